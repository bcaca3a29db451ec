//! One attempt against receivers of every temper, over real sockets.

use super::*;
use crate::egress::{Lookup, Resolved};
use crate::testing::{
    Act, Break, Broken, DEADLINE, Endpoint, loopback, receiver, status, verify, with_header,
};
use std::net::IpAddr;
use std::sync::Arc;

fn message(timestamp: i64) -> Message {
    let body = br#"{"type":"alert.opened","data":{"id":"a1"}}"#.to_vec();
    Message { id: "msg_1".to_owned(), timestamp, body }
}

fn sender(url: &str, egress: &Egress) -> Sender {
    Sender::new(&receiver("siem", url), egress).unwrap().with_timeout(DEADLINE)
}

/// One attempt that must fail without an answer; yields what was said of it.
async fn failure(sender: &Sender) -> String {
    let reply = sender.send(&message(1)).await;
    assert_eq!((&reply.verdict, reply.status), (&Verdict::Failed, None), "{reply:?}");
    reply.error.unwrap()
}

async fn failure_of(how: Break, limit: Duration) -> String {
    let broken = Broken::start(how).await;
    failure(&sender(&broken.url(), &loopback()).with_timeout(limit)).await
}

/// Every name is at this address.
struct Everywhere(IpAddr);

impl Lookup for Everywhere {
    fn lookup(&self, _host: String) -> Resolved {
        let address = self.0;
        Box::pin(async move { Ok(vec![address]) })
    }
}

#[test]
fn every_status_is_success_goodbye_or_to_be_tried_again() {
    for code in 200..=599_u16 {
        let (verdict, error) = judge(StatusCode::from_u16(code).unwrap());
        let want = match code {
            200..=299 => Verdict::Delivered,
            410 => Verdict::Gone,
            _ => Verdict::Failed,
        };
        assert_eq!(verdict, want, "{code}");
        assert_eq!(error.is_none(), want == Verdict::Delivered, "{code}");
    }
}

#[test]
fn an_excerpt_cannot_steer_a_terminal() {
    assert_eq!(readable("a\u{1b}[31mb\r\nc\0\u{202e}d".as_bytes()), Some("a [31mb  c  d".to_owned()));
    assert_eq!(readable(b" \r\n"), None);
    assert_eq!(readable(&[0xff, b'x']), Some("\u{fffd}x".to_owned()));
}

#[tokio::test]
async fn the_reference_verifier_accepts_the_request_with_either_secret_of_a_rotation() {
    let mut endpoint = Endpoint::start(|_| status(200, "")).await;
    let mut rotating = receiver("siem", &endpoint.url());
    rotating.secrets.push(SigningSecret::generate().unwrap());
    let now = crate::clock::Clock::now(&*crate::testing::TestClock::at_real_time()).timestamp();
    let reply = Sender::new(&rotating, &loopback()).unwrap().send(&message(now)).await;
    assert_eq!(reply.verdict, Verdict::Delivered, "{reply:?}");

    let seen = endpoint.next().await;
    for secret in &rotating.secrets {
        let verifier = standardwebhooks::Webhook::new(&secret.reveal()).unwrap();
        verifier.verify(&seen.body, &seen.headers).unwrap();
        verify(&seen, secret);
    }
    let stranger = standardwebhooks::Webhook::new(&SigningSecret::generate().unwrap().reveal()).unwrap();
    assert!(stranger.verify(&seen.body, &seen.headers).is_err());
}

#[tokio::test]
async fn a_request_is_one_buffer_with_the_headers_of_the_standard() {
    let mut endpoint = Endpoint::start(|_| status(204, "")).await;
    sender(&endpoint.url(), &loopback()).send(&message(1_769_860_800)).await;
    let seen = endpoint.next().await;
    assert_eq!(seen.header("content-type"), "application/json");
    assert_eq!(seen.header("user-agent"), format!("keywatch/{}", env!("CARGO_PKG_VERSION")));
    assert_eq!(seen.header("webhook-id"), "msg_1");
    assert_eq!(seen.header("webhook-timestamp"), "1769860800");
    assert_eq!(seen.header("content-length"), seen.body.len().to_string());
    assert!(!seen.headers.contains_key("transfer-encoding"));
    assert_eq!(seen.body, message(0).body);
}

#[tokio::test]
async fn answers_of_every_class_are_understood() {
    const CODES: [u16; 14] = [200, 201, 202, 204, 400, 401, 403, 404, 409, 422, 429, 500, 503, 599];
    let endpoint = Endpoint::start(|number| status(CODES[number], "said so")).await;
    let sender = sender(&endpoint.url(), &loopback());
    for code in CODES {
        let reply = sender.send(&message(1)).await;
        let want = if code < 300 { Verdict::Delivered } else { Verdict::Failed };
        assert_eq!((reply.status, reply.verdict), (Some(code), want));
        if code != 204 {
            assert_eq!(reply.excerpt.as_deref(), Some("said so"), "{code}");
        }
    }
}

#[tokio::test]
async fn a_receiver_that_is_gone_is_not_just_failing() {
    let endpoint = Endpoint::start(|_| status(410, "")).await;
    let reply = sender(&endpoint.url(), &loopback()).send(&message(1)).await;
    assert_eq!(reply.verdict, Verdict::Gone);
    assert_eq!(reply.error.as_deref(), Some("answered 410 Gone: it wants no more messages"));
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = Endpoint::start(|_| status(200, "")).await;
    let target = elsewhere.url();
    let codes = [301, 302, 303, 307, 308];
    let endpoint = Endpoint::start(move |number| with_header(codes[number], "location", &target)).await;
    let sender = sender(&endpoint.url(), &loopback());
    for code in codes {
        let reply = sender.send(&message(1)).await;
        assert_eq!((reply.status, &reply.verdict), (Some(code), &Verdict::Failed));
        assert!(reply.error.unwrap().contains("configure the final address"));
    }
    assert!(elsewhere.is_quiet(), "the other endpoint was reached");
}

#[tokio::test]
async fn retry_after_is_handed_on_as_sent() {
    let endpoint = Endpoint::start(|_| with_header(429, "retry-after", "120")).await;
    let reply = sender(&endpoint.url(), &loopback()).send(&message(1)).await;
    assert_eq!(reply.retry_after.as_deref(), Some("120"));
}

#[tokio::test]
async fn a_hung_receiver_costs_no_more_than_the_time_limit() {
    let limit = Duration::from_millis(300);
    let endpoint = Endpoint::start(|_| Act::Hang).await;
    let error = failure(&sender(&endpoint.url(), &loopback()).with_timeout(limit)).await;
    assert_eq!(error, "127.0.0.1 gave no answer within 300ms");
    let error = failure_of(Break::DripHead, limit).await;
    assert_eq!(error, "127.0.0.1 gave no answer within 300ms", "headers that drip");
}

#[tokio::test]
async fn a_lost_reply_and_a_reset_are_failures_that_are_tried_again() {
    for how in [Break::Lose, Break::Reset] {
        let error = failure_of(how, DEADLINE).await;
        assert!(error.contains("127.0.0.1 broke off without an answer"), "{how:?}: {error}");
    }
}

#[tokio::test]
async fn the_status_decides_even_when_the_body_never_ends() {
    for (how, excerpt_bytes) in
        [(Break::Flood, EXCERPT_BYTES_MAX..=EXCERPT_BYTES_MAX), (Break::DripBody, 1..=1000)]
    {
        let broken = Broken::start(how).await;
        let reply = sender(&broken.url(), &loopback()).send(&message(1)).await;
        assert_eq!((reply.status, &reply.verdict), (Some(200), &Verdict::Delivered), "{how:?}");
        let read = reply.excerpt.unwrap().len();
        assert!(excerpt_bytes.contains(&read), "{how:?}: {read} bytes were read");
    }
}

#[tokio::test]
async fn nobody_listening_is_a_failure_that_names_the_host_but_not_the_path() {
    let endpoint = Endpoint::start(|_| status(200, "")).await;
    let url = endpoint.url();
    let unencrypted = sender(&url.replace("http:", "https:"), &loopback());
    let error = failure(&unencrypted).await;
    assert!(error.starts_with("could not connect to 127.0.0.1: "), "no TLS there: {error}");
    drop(endpoint);
    let error = failure(&sender(&url, &loopback())).await;
    assert!(error.starts_with("could not connect to 127.0.0.1: "), "{error}");
    assert!(!error.contains("T0KEN"), "{error}");
}

#[tokio::test]
async fn a_host_written_as_an_address_is_checked_before_anything_is_sent() {
    let endpoint = Endpoint::start(|_| status(200, "")).await;
    for allow in [vec![], vec!["10.0.0.0/8".parse().unwrap()]] {
        let strict = Egress::new(EgressPolicy { allow, allow_http: true });
        let error = failure(&sender(&endpoint.url(), &strict)).await;
        assert!(error.contains("egress.allow"), "{error}");
    }
    assert!(endpoint.is_quiet());
}

#[tokio::test]
async fn a_name_is_checked_when_it_is_dialled() {
    let mut endpoint = Endpoint::start(|_| status(200, "")).await;
    let here = Arc::new(Everywhere("127.0.0.1".parse().unwrap()));
    let url = format!("http://hooks.example:{}/hook", endpoint.port());
    let other = EgressPolicy { allow: vec!["10.0.0.0/8".parse().unwrap()], allow_http: true };
    let error =
        failure(&sender(&url, &Egress::with_lookup(other, Arc::clone(&here) as Arc<dyn Lookup>))).await;
    assert!(
        error.starts_with("hooks.example is at 127.0.0.1, a loopback address; list its network"),
        "{error}"
    );
    assert!(endpoint.is_quiet());

    let listed = Egress::with_lookup(loopback().policy().clone(), here);
    let reply = sender(&url, &listed).send(&message(1)).await;
    assert_eq!(reply.verdict, Verdict::Delivered, "{reply:?}");
    assert_eq!(endpoint.next().await.header("host"), format!("hooks.example:{}", endpoint.port()));
}
