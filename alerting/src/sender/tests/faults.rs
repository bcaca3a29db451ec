//! Every kind of receiver against every fault, in one table: what is taken, what is tried again, what
//! is given up, and that nothing takes longer than it may.

use super::*;
use crate::receiver::{AccessKey, Alertmanager, Ocsf, PagerDuty, Role, Slack, Sns, Teams};
use crate::testing::answer;

/// Long enough for a busy machine to answer at once, short enough to wait for.
const SHORT: Duration = Duration::from_millis(400);

/// What the system takes of an answer before anybody reads it, and then some.
const BUFFERS_BYTES_MAX: usize = 128 << 20;

/// What SNS says when it takes a message; the others read no more than the status.
const TAKEN: &str = "<PublishResponse xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\"><PublishResult>\
                     <MessageId>m-1</MessageId></PublishResult></PublishResponse>";

/// A name server that is down.
struct Down;

impl Lookup for Down {
    fn lookup(&self, _host: String) -> Resolved {
        Box::pin(async { Err(std::io::Error::other("the name server is down")) })
    }
}

/// One receiver of every kind that is reached over HTTP, at `url`.
fn every_kind(url: &str) -> Vec<Receiver> {
    let address = || Address::Plain(url.to_owned());
    let signing = || vec![variable("SECRET_siem")];
    let kinds = [
        ReceiverKind::Webhook(Webhook { address: address(), signing: signing(), auth: None }),
        ReceiverKind::Slack(Slack { address: address() }),
        ReceiverKind::Teams(Teams { address: address() }),
        ReceiverKind::PagerDuty(PagerDuty { address: address(), routing_key: variable("KEY") }),
        ReceiverKind::Alertmanager(Alertmanager { address: address(), auth: None }),
        ReceiverKind::Ocsf(Ocsf { address: address(), signing: signing(), auth: None }),
        ReceiverKind::Sns(topic(url, None)),
    ];
    kinds.into_iter().map(|kind| Receiver::new("one", kind)).collect()
}

fn topic(url: &str, role: Option<Role>) -> Sns {
    let topic_arn = "arn:aws:sns:eu-west-1:111122223333:alerts".to_owned();
    let access_key = Some(AccessKey { id: variable("KEY"), secret: variable("KEY") });
    Sns { topic_arn, endpoint: Some(url.to_owned()), role, access_key }
}

/// What comes of one attempt with each of them.
async fn replies(url: &str, egress: &Egress, limit: Duration) -> Vec<(&'static str, Reply)> {
    replies_of(every_kind(url), egress, limit).await
}

async fn replies_of(
    receivers: Vec<Receiver>,
    egress: &Egress,
    limit: Duration,
) -> Vec<(&'static str, Reply)> {
    let secrets = secrets_from(|name| {
        Some(if name == "KEY" { "k".repeat(32) } else { secret_of("siem").reveal().to_string() })
    });
    let outbound = Outbound { egress: egress.clone(), secrets };
    let mut replies = Vec::new();
    for receiver in receivers {
        let sender = Sender::new(&receiver, &outbound).unwrap().with_timeout(limit);
        let started = Instant::now();
        replies.push((receiver.kind.as_str(), send(&sender).await));
        let (kind, took) = (receiver.kind.as_str(), started.elapsed());
        assert!(took < limit + DEADLINE / 2, "{kind} took {took:?}");
    }
    replies
}

/// What each kind makes of a status, from what its vendor says of it.
fn wanted(kind: &str, code: u16) -> Verdict {
    match (code, kind) {
        (200..=299, _) => Verdict::Delivered,
        (410, "webhook" | "slack" | "teams" | "ocsf") => Verdict::Gone,
        (400 | 413, "slack" | "pagerduty" | "alertmanager") | (413, "teams" | "ocsf") => Verdict::GiveUp,
        _ => Verdict::TryAgain,
    }
}

#[tokio::test]
async fn every_kind_understands_every_class_of_answer() {
    for code in [
        200, 201, 202, 204, 301, 302, 303, 307, 308, 400, 401, 403, 404, 405, 408, 409, 410, 413, 422, 425,
        429, 500, 501, 502, 503, 504, 599,
    ] {
        let body = if code < 300 { TAKEN } else { "" };
        let endpoint = Endpoint::start(move |_| status(code, body)).await;
        for (kind, reply) in replies(&endpoint.url(), &loopback(), DEADLINE).await {
            // SNS says 200 and nothing else when it takes a message, and 204 has no body.
            if kind == "sns" && code == 204 {
                continue;
            }
            assert_eq!(reply.verdict, wanted(kind, code), "{kind} {code}: {reply:?}");
            assert_eq!(reply.error.is_none(), reply.verdict == Verdict::Delivered, "{kind} {code}");
            // The SDK hands on no status of what was taken.
            let shown = if kind == "sns" && code < 300 { 200 } else { code };
            assert_eq!(reply.status, Some(shown), "{kind} {code}: {reply:?}");
            let refused = matches!((code, kind), (401 | 403, _));
            assert!(!refused || reply.credentials_refused, "{kind} {code}: other credentials are asked for");
        }
    }
}

#[test]
fn no_status_at_all_leaves_a_kind_without_a_verdict() {
    let address = || Address::Plain("https://hooks.example/".to_owned());
    let kinds: [(&str, Box<dyn Format>); 6] = [
        ("webhook", Box::new(Webhook { address: address(), signing: vec![], auth: None })),
        ("slack", Box::new(Slack { address: address() })),
        ("teams", Box::new(Teams { address: address() })),
        ("pagerduty", Box::new(PagerDuty { address: address(), routing_key: variable("KEY") })),
        ("alertmanager", Box::new(Alertmanager { address: address(), auth: None })),
        ("ocsf", Box::new(Ocsf { address: address(), signing: vec![], auth: None })),
    ];
    for code in 200..=599_u16 {
        for (kind, format) in &kinds {
            let judged = format.judge(&answer(code, ""));
            assert_eq!(judged.verdict, wanted(kind, code), "{kind} {code}");
            assert_eq!(judged.error.is_none(), judged.verdict == Verdict::Delivered, "{kind} {code}");
        }
    }
}

#[tokio::test]
async fn every_kind_survives_every_way_an_answer_can_break() {
    // When the headers have come the status has decided, except for SNS, whose answer is its body.
    let by_status = |kind: &str| if kind == "sns" { Verdict::TryAgain } else { Verdict::Delivered };
    for (how, limit, decided) in [
        (Break::Lose, DEADLINE, false),
        (Break::Reset, DEADLINE, false),
        (Break::MidHead, DEADLINE, false),
        (Break::Babble, DEADLINE, false),
        (Break::DripHead, SHORT, false),
        (Break::DripBody, SHORT, true),
        (Break::MidBody, DEADLINE, true),
        (Break::Flood, DEADLINE, true),
    ] {
        let broken = Broken::start(how).await;
        for (kind, reply) in replies(&broken.url(), &loopback(), limit).await {
            let want = if decided { by_status(kind) } else { Verdict::TryAgain };
            assert_eq!(reply.verdict, want, "{how:?}, {kind}: {reply:?}");
            assert_eq!(reply.error.is_none(), want == Verdict::Delivered, "{how:?}, {kind}: {reply:?}");
            let read = reply.excerpt.map_or(0, |excerpt| excerpt.len());
            assert!(read <= EXCERPT_BYTES_MAX, "{how:?}, {kind}: {read} bytes are kept");
        }
        let sent = broken.flooded.load(Ordering::SeqCst);
        assert!(sent < 7 * BUFFERS_BYTES_MAX, "{how:?}: {sent} bytes were taken");
    }
}

#[tokio::test]
async fn who_gives_credentials_may_break_in_every_way_too() {
    let topics = Endpoint::start(|_| status(200, TAKEN)).await;
    for (how, limit) in [
        (Break::Lose, DEADLINE),
        (Break::Reset, DEADLINE),
        (Break::MidHead, DEADLINE),
        (Break::Babble, DEADLINE),
        (Break::DripHead, SHORT),
        (Break::DripBody, SHORT),
        (Break::MidBody, DEADLINE),
        (Break::Flood, DEADLINE),
    ] {
        let broken = Broken::start(how).await;
        let arn = "arn:aws:iam::999988887777:role/alerts".to_owned();
        let role = Role { arn, external_id: None, endpoint: Some(broken.url()) };
        let through = Receiver::new("one", ReceiverKind::Sns(topic(&topics.url(), Some(role))));
        for (_, reply) in replies_of(vec![through], &loopback(), limit).await {
            assert_eq!(reply.verdict, Verdict::TryAgain, "{how:?}: {reply:?}");
            assert!(reply.error.is_some(), "{how:?}: {reply:?}");
        }
        let sent = broken.flooded.load(Ordering::SeqCst);
        assert!(sent < BUFFERS_BYTES_MAX, "{how:?}: {sent} bytes were taken");
    }
    assert!(topics.is_quiet(), "nothing was published without credentials");
}

#[tokio::test]
async fn no_kind_gives_up_or_follows_when_the_way_there_is_broken() {
    let elsewhere = Endpoint::start(|_| status(200, TAKEN)).await;
    let target = elsewhere.url();
    let moved = Endpoint::start(move |_| with_header(307, "location", &target)).await;
    let hung = Endpoint::start(|_| Act::Hang).await;
    let gone = Endpoint::start(|_| status(200, TAKEN)).await;
    let unheard = gone.url();
    drop(gone);
    let down = Egress::with_lookup(EgressPolicy::default(), Arc::new(Down));
    let here = Arc::new(Everywhere("169.254.169.254".parse().unwrap()));
    let strict = Egress::with_lookup(EgressPolicy::default(), here);
    let unencrypted = hung.url().replace("http:", "https:");
    for (what, replies, part) in [
        ("a redirect", replies(&moved.url(), &loopback(), DEADLINE).await, "answered 307"),
        ("a hang", replies(&hung.url(), &loopback(), SHORT).await, "gave no answer within 400ms"),
        ("nobody there", replies(&unheard, &loopback(), DEADLINE).await, "could not"),
        ("no TLS there", replies(&unencrypted, &loopback(), DEADLINE).await, "could not"),
        ("no name server", replies("https://hooks.example/", &down, DEADLINE).await, "could not resolve"),
        ("a private address", replies("https://hooks.example/", &strict, DEADLINE).await, "link-local"),
    ] {
        for (kind, reply) in replies {
            assert_eq!(reply.verdict, Verdict::TryAgain, "{what}, {kind}: {reply:?}");
            let told = reply.error.as_ref().is_some_and(|error| error.contains(part));
            assert!(told, "{what}, {kind}: {reply:?}");
        }
    }
    assert!(elsewhere.is_quiet(), "a redirect was followed");
}

#[tokio::test]
async fn every_kind_hands_a_request_to_wait_on() {
    let busy = Endpoint::start(|_| with_header(429, "retry-after", "120")).await;
    for (kind, reply) in replies(&busy.url(), &loopback(), DEADLINE).await {
        assert_eq!((reply.verdict, reply.retry_after.as_deref()), (Verdict::TryAgain, Some("120")), "{kind}");
    }
}
