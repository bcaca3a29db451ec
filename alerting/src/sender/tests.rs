//! One attempt against receivers of every temper, over real sockets.

mod faults;

use super::http::EXCERPT_BYTES_MAX;
use super::*;
use crate::clock::Clock;
use crate::egress::{EgressPolicy, Lookup, Resolved};
use crate::receiver::{Address, Authorization, Webhook};
use crate::reply::Verdict;
use crate::testing::{
    Act, Break, Broken, DEADLINE, Endpoint, TestClock, loopback, noon, notification, outbound, receiver,
    secret_of, secrets, secrets_from, status, variable, verify, with_header,
};
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};

fn through(egress: &Egress) -> Outbound {
    Outbound { egress: egress.clone(), secrets: secrets() }
}

fn sender(url: &str, egress: &Egress) -> Sender {
    Sender::new(&receiver("siem", url), &through(egress)).unwrap().with_timeout(DEADLINE)
}

async fn send(sender: &Sender) -> Reply {
    sender.send(&notification(), noon()).await
}

/// One attempt that must fail without an answer; yields what was said of it.
async fn failure(sender: &Sender) -> String {
    let reply = send(sender).await;
    assert_eq!((reply.verdict, reply.status), (Verdict::TryAgain, None), "{reply:?}");
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
    let address = Address::Plain("https://siem.example/".to_owned());
    let webhook = Webhook { address, signing: vec![], auth: None };
    for code in 200..=599_u16 {
        let answer = crate::testing::answer(code, "");
        let Judgement { verdict, error, .. } = webhook.judge(&answer);
        let want = match code {
            200..=299 => Verdict::Delivered,
            410 => Verdict::Gone,
            _ => Verdict::TryAgain,
        };
        assert_eq!(verdict, want, "{code}");
        assert_eq!(error.is_none(), want == Verdict::Delivered, "{code}");
    }
}

#[tokio::test]
async fn the_reference_verifier_accepts_the_request_with_either_secret_of_a_rotation() {
    let mut endpoint = Endpoint::start(|_| status(200, "")).await;
    let signing = vec![variable("SECRET_old"), variable("SECRET_new")];
    let webhook = Webhook { address: Address::Plain(endpoint.url()), signing, auth: None };
    let rotating = Receiver::new("siem", ReceiverKind::Webhook(webhook));
    let now = TestClock::at_real_time().now();
    let reply = Sender::new(&rotating, &outbound()).unwrap().send(&notification(), now).await;
    assert_eq!(reply.verdict, Verdict::Delivered, "{reply:?}");

    let seen = endpoint.next().await;
    for secret in [secret_of("old"), secret_of("new")] {
        let verifier = standardwebhooks::Webhook::new(&secret.reveal()).unwrap();
        verifier.verify(&seen.body, &seen.headers).unwrap();
        verify(&seen, &secret);
    }
    let stranger = standardwebhooks::Webhook::new(&secret_of("stranger").reveal()).unwrap();
    assert!(stranger.verify(&seen.body, &seen.headers).is_err());
}

#[tokio::test]
async fn a_request_is_one_buffer_with_the_headers_of_the_standard() {
    let mut endpoint = Endpoint::start(|_| status(204, "")).await;
    send(&sender(&endpoint.url(), &loopback())).await;
    let seen = endpoint.next().await;
    assert_eq!(seen.header("content-type"), "application/json");
    assert_eq!(seen.header("user-agent"), format!("keywatch/{}", env!("CARGO_PKG_VERSION")));
    assert_eq!(seen.header("webhook-id"), "msg_1");
    assert_eq!(seen.header("webhook-timestamp"), "1769860800");
    assert_eq!(seen.header("content-length"), seen.body.len().to_string());
    assert!(!seen.headers.contains_key("transfer-encoding"));
    assert_eq!(seen.body, crate::render::body(&notification()).unwrap());
}

#[tokio::test]
async fn answers_of_every_class_are_understood() {
    const CODES: [u16; 14] = [200, 201, 202, 204, 400, 401, 403, 404, 409, 422, 429, 500, 503, 599];
    let endpoint = Endpoint::start(|number| status(CODES[number], "said so")).await;
    let sender = sender(&endpoint.url(), &loopback());
    for code in CODES {
        let reply = send(&sender).await;
        let want = if code < 300 { Verdict::Delivered } else { Verdict::TryAgain };
        assert_eq!((reply.status, reply.verdict), (Some(code), want));
        if code != 204 {
            assert_eq!(reply.excerpt.as_deref(), Some("said so"), "{code}");
        }
    }
}

#[tokio::test]
async fn a_receiver_that_is_gone_is_not_just_failing() {
    let endpoint = Endpoint::start(|_| status(410, "")).await;
    let reply = send(&sender(&endpoint.url(), &loopback())).await;
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
        let reply = send(&sender).await;
        assert_eq!((reply.status, reply.verdict), (Some(code), Verdict::TryAgain));
        assert!(reply.error.unwrap().contains("configure the final address"));
    }
    assert!(elsewhere.is_quiet(), "the other endpoint was reached");
}

#[tokio::test]
async fn retry_after_is_handed_on_as_sent() {
    let endpoint = Endpoint::start(|_| with_header(429, "retry-after", "120")).await;
    let reply = send(&sender(&endpoint.url(), &loopback())).await;
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
        let reply = send(&sender(&broken.url(), &loopback())).await;
        assert_eq!((reply.status, reply.verdict), (Some(200), Verdict::Delivered), "{how:?}");
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
    let reply = send(&sender(&url, &listed)).await;
    assert_eq!(reply.verdict, Verdict::Delivered, "{reply:?}");
    assert_eq!(endpoint.next().await.header("host"), format!("hooks.example:{}", endpoint.port()));
}

/// A webhook whose endpoint wants a bearer token as well.
fn guarded(url: &str) -> Receiver {
    let auth = Some(Authorization::Bearer(variable("TOKEN")));
    let address = Address::Plain(url.to_owned());
    let webhook = Webhook { address, signing: vec![variable("SECRET_siem")], auth };
    Receiver::new("siem", ReceiverKind::Webhook(webhook))
}

#[tokio::test]
async fn a_refused_credential_that_was_replaced_meanwhile_fails_nothing() {
    // Rotated between the first attempt's fetch and its refusal.
    let rotated = Arc::new(AtomicBool::new(false));
    let (told, asked) = (Arc::clone(&rotated), Arc::clone(&rotated));
    let mut endpoint = Endpoint::start(move |number| {
        told.store(true, Ordering::SeqCst);
        status(if number == 0 { 401 } else { 200 }, "")
    })
    .await;
    let secrets = secrets_from(move |name| match name {
        "TOKEN" if asked.load(Ordering::SeqCst) => Some("token-new".to_owned()),
        "TOKEN" => Some("token-old".to_owned()),
        _ => Some(secret_of("siem").reveal().to_string()),
    });
    let outbound = Outbound { egress: loopback(), secrets };
    let reply = send(&Sender::new(&guarded(&endpoint.url()), &outbound).unwrap()).await;
    assert_eq!(reply.verdict, Verdict::Delivered, "{reply:?}");
    let tokens = [endpoint.next().await, endpoint.next().await];
    assert_eq!(
        tokens.map(|seen| seen.header("authorization").to_owned()),
        ["Bearer token-old", "Bearer token-new"]
    );
}

#[tokio::test]
async fn a_refused_credential_that_has_not_changed_is_shown_once_and_tried_later() {
    let mut endpoint = Endpoint::start(|_| status(403, "token-same is not welcome")).await;
    let secrets = secrets_from(|name| {
        Some(if name == "TOKEN" { "token-same".to_owned() } else { secret_of("siem").reveal().to_string() })
    });
    let outbound = Outbound { egress: loopback(), secrets };
    let reply = send(&Sender::new(&guarded(&endpoint.url()), &outbound).unwrap()).await;
    assert_eq!((reply.verdict, reply.status), (Verdict::TryAgain, Some(403)));
    assert_eq!(reply.excerpt.as_deref(), Some("[redacted] is not welcome"), "it was repeated");
    endpoint.next().await;
    assert!(endpoint.is_quiet(), "the same credential was shown twice");
}

#[tokio::test]
async fn an_address_that_is_a_credential_is_followed_when_it_was_replaced_and_never_shown() {
    let mut first = Endpoint::start(|number| status(if number == 0 { 200 } else { 404 }, "")).await;
    let mut second = Endpoint::start(|_| status(200, "")).await;
    let urls = [first.url(), second.url()];
    let moved = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&moved);
    let secrets = secrets_from(move |name| match name {
        "URL" => urls.get(usize::from(asked.load(Ordering::SeqCst))).cloned(),
        _ => Some(secret_of("siem").reveal().to_string()),
    });
    let address = Address::Secret(variable("URL"));
    let webhook = Webhook { address, signing: vec![variable("SECRET_siem")], auth: None };
    let target = Receiver::new("siem", ReceiverKind::Webhook(webhook));
    let sender = Sender::new(&target, &Outbound { egress: loopback(), secrets }).unwrap();
    let (reply, shown) = sender.rehearse(&notification(), noon()).await;
    assert_eq!(reply.verdict, Verdict::Delivered, "{reply:?}");
    first.next().await;
    assert!(!format!("{shown:?}").contains("T0KEN"), "{shown:?}");
    moved.store(true, Ordering::SeqCst);
    assert_eq!(send(&sender).await.verdict, Verdict::Delivered);
    second.next().await;
}

#[tokio::test]
async fn a_missing_credential_is_told_and_tried_again_later() {
    let endpoint = Endpoint::start(|_| status(200, "")).await;
    let sender = Sender::new(&receiver("unset", &endpoint.url()), &outbound()).unwrap();
    let error = failure(&sender).await;
    assert!(error.contains("env:SECRET_unset"), "{error}");
    assert!(endpoint.is_quiet());
}
