//! What the tests share: a clock and chance they own, and receivers on loopback, well-behaved
//! and broken.

use crate::clock::{Clock, Random};
use crate::egress::{Egress, EgressPolicy};
use crate::notification::{Notification, NotificationKind};
use crate::receiver::{Address, Receiver, ReceiverKind, Webhook};
use crate::sender::{Answer, Held, Outbound};
use crate::sign::SigningSecret;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, TimeDelta, Utc};
use keywatch_secrets::{SecretManager, SecretRef, SecretValue, Settings};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;
use tokio::time::timeout;

/// How long a test waits for something that must happen.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// A clock that stands still until told.
pub(crate) struct TestClock(Mutex<DateTime<Utc>>);

impl TestClock {
    /// Starts at the real time, which the reference verifier insists on.
    #[expect(clippy::disallowed_methods, reason = "the reference verifier reads the real clock")]
    pub(crate) fn at_real_time() -> Arc<Self> {
        Arc::new(Self(Mutex::new(Utc::now())))
    }

    pub(crate) fn advance(&self, secs: i64) {
        *self.0.lock().unwrap() += TimeDelta::seconds(secs);
    }
}

impl Clock for TestClock {
    fn now(&self) -> DateTime<Utc> {
        *self.0.lock().unwrap()
    }
}

/// Always the same "random" bits.
pub(crate) struct Fixed(pub(crate) u64);

impl Random for Fixed {
    fn next_u64(&self) -> u64 {
        self.0
    }
}

/// A webhook receiver that signs with the secret [`secret_of`] its name.
pub(crate) fn receiver(name: &str, url: &str) -> Receiver {
    let address = Address::Plain(url.to_owned());
    let signing = vec![variable(&format!("SECRET_{name}"))];
    Receiver::new(name, ReceiverKind::Webhook(Webhook { address, signing, auth: None }))
}

/// A reference to a variable of the environment that [`secrets`] knows.
pub(crate) fn variable(name: &str) -> SecretRef {
    format!("env:{name}").parse().unwrap()
}

/// The signing secret of the receiver `name`.
pub(crate) fn secret_of(name: &str) -> SigningSecret {
    SigningSecret::parse(&secret_text(name)).unwrap()
}

fn secret_text(name: &str) -> String {
    let bytes: Vec<u8> = name.bytes().cycle().take(32).collect();
    format!("whsec_{}", base64::Engine::encode(&base64::engine::general_purpose::STANDARD, bytes))
}

/// Knows every `SECRET_…`, except `SECRET_unset`; `SECRET_wrong` is no signing secret.
pub(crate) fn secrets() -> SecretManager {
    secrets_from(|name| match name.strip_prefix("SECRET_")? {
        "unset" => None,
        "wrong" => Some("hunter2".to_owned()),
        name => Some(secret_text(name)),
    })
}

pub(crate) fn secrets_from(lookup: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> SecretManager {
    SecretManager::new(Settings::new(Arc::new(lookup)))
}

/// An egress that reaches loopback over plain HTTP.
pub(crate) fn loopback() -> Egress {
    Egress::new(EgressPolicy { allow: vec!["127.0.0.0/8".parse().unwrap()], allow_http: true })
}

/// Sends to loopback, with the secrets of [`secrets`].
pub(crate) fn outbound() -> Outbound {
    Outbound { egress: loopback(), secrets: secrets() }
}

/// A new alert, told at noon.
pub(crate) fn notification() -> Notification {
    Notification {
        id: "msg_1".to_owned(),
        kind: NotificationKind::Opened,
        created_at: noon(),
        alerts: vec![r#"{"id":"a1"}"#.to_owned()],
        group: vec![],
        note: None,
        link: None,
    }
}

/// A critical alert with everything an alert can have, and a page to read on.
pub(crate) fn telling() -> Notification {
    let secrets: Vec<_> = (0..7)
        .map(|n| serde_json::json!({"id": format!("arn:s{n}"), "name": format!("prod/s{n}")}))
        .collect();
    let alert = serde_json::json!({
        "id": "a1", "rule": "KW-004", "title": "Secrets are destroyed", "level": "critical",
        "action": "Immediate review", "opened_at": "2026-01-31T11:59:00Z",
        "first_event_at": "2026-01-31T11:55:00Z", "last_event_at": "2026-01-31T11:59:30Z", "late_secs": 1000,
        "principal": {"id": "arn:aws:iam::111122223333:role/deploy", "kind": "role", "name": "deploy"},
        "source": {"ip": "203.0.113.9", "kind": "addr", "raw": "203.0.113.9"},
        "secrets": secrets, "provider": "aws", "account": "111122223333", "store": "sm", "events": 3,
        "evidence": [{"event": "aws:1:e1", "time": "2026-01-31T11:55:00Z", "place": "trail#1"}],
        "why": {"text": "3 deletions in 5 minutes, normal is 0", "observed": 3.0, "threshold": 1.0},
        "tags": ["attack.t1555.006", "attack.impact"],
    });
    let link = Some("https://keywatch.example/alerts/a1".to_owned());
    Notification { alerts: vec![alert.to_string()], link, ..notification() }
}

/// An alert about which an attacker could choose every text: markup and mentions of every
/// receiver, line breaks, hidden characters, and a megabyte of them.
pub(crate) fn hostile() -> Notification {
    let nasty = "<!channel> <script>alert(1)</script> [x](https://evil.example) <@U1> *b* `c` @everyone\r\nBcc: x@evil.example\r\n\r\n\0\u{1b}[31m\u{202e}gpj.exe\u{200b} \"'& ".to_owned();
    let long = nasty.clone() + &"<!channel>\u{202e}\0".repeat(75_000);
    let secrets: Vec<_> = (0..100).map(|_| serde_json::json!({"id": nasty, "name": nasty})).collect();
    let evidence: Vec<_> =
        (0..20).map(|_| serde_json::json!({"event": nasty, "time": nasty, "place": nasty})).collect();
    let alert = serde_json::json!({
        "id": long, "rule": long, "title": long, "level": "critical", "action": long, "opened_at": nasty,
        "first_event_at": nasty, "last_event_at": nasty,
        "principal": {"id": long, "kind": nasty, "name": long},
        "sessions": {"count": u64::MAX, "first": vec![serde_json::json!({"name": long, "access_key": nasty}); 9]},
        "source": {"ip": nasty, "kind": "opaque", "raw": long},
        "secrets": secrets, "provider": nasty, "account": long, "store": long, "events": u64::MAX,
        "evidence": evidence, "why": {"text": long, "observed": 1e300, "threshold": -1.0},
        "tags": vec![nasty.clone(); 50],
    });
    let link = Some("https://keywatch.example/alerts/a1".to_owned());
    Notification { alerts: vec![alert.to_string()], note: Some(long), link, ..notification() }
}

/// An answer of a receiver.
pub(crate) fn answer(status: u16, text: &str) -> Answer {
    Answer { status: reqwest::StatusCode::from_u16(status).unwrap(), text: text.to_owned() }
}

/// Credentials in hand: variables by name.
pub(crate) fn held(values: &[(&str, &str)]) -> Held {
    let value = |&(name, text): &(&str, &str)| (variable(name), SecretValue::new(text.to_owned()));
    Held::made_up(values.iter().map(value).collect())
}

/// Fails unless every message is what the recorded schema `name` of the vendor's allows. The judge
/// is a package `cargo xtask setup` installs; without it the test says so and goes on.
#[expect(clippy::disallowed_methods, reason = "a test finds its peers through the environment")]
#[expect(clippy::print_stderr, reason = "a test that did less has to say so")]
pub(crate) fn check_schema(name: &str, messages: &[serde_json::Value]) {
    use std::io::Write;
    use std::process::{Command, Stdio};
    let Ok(setup) = std::env::var("KEYWATCH_SETUP") else {
        eprintln!("KEYWATCH_SETUP is not set: no message was held against a schema; run cargo xtask test");
        return;
    };
    let home = env!("CARGO_MANIFEST_DIR");
    let mut judge = Command::new(format!("{setup}/venv/bin/python"))
        .args([format!("{home}/../tests/peers/schema.py"), format!("{home}/tests/schemas/{name}.json")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("cargo xtask setup installs Python");
    judge.stdin.take().unwrap().write_all(&serde_json::to_vec(messages).unwrap()).unwrap();
    let judged = judge.wait_with_output().unwrap();
    assert!(judged.status.success(), "{name}: {}", String::from_utf8_lossy(&judged.stdout));
}

/// 2026-01-31T12:00:00Z.
pub(crate) fn noon() -> DateTime<Utc> {
    DateTime::from_timestamp(1_769_860_800, 0).unwrap()
}

/// One request as it arrived.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }

    pub(crate) fn timestamp(&self) -> i64 {
        self.header("webhook-timestamp").parse().unwrap()
    }
}

/// Fails unless the reference implementation makes the same signature.
pub(crate) fn verify(seen: &Seen, secret: &SigningSecret) {
    let oracle = standardwebhooks::Webhook::new(&secret.reveal()).unwrap();
    let want = oracle.sign(seen.header("webhook-id"), seen.timestamp(), &seen.body).unwrap();
    assert!(seen.header("webhook-signature").split(' ').any(|one| one == want), "signature differs");
}

/// What an endpoint does with a request.
pub(crate) enum Act {
    Answer(Response),
    /// Says 200 once the gate has a permit.
    Wait(Arc<Semaphore>),
    Hang,
}

pub(crate) fn status(code: u16, body: &str) -> Act {
    Act::Answer((StatusCode::from_u16(code).unwrap(), body.to_owned()).into_response())
}

pub(crate) fn with_header(code: u16, name: &str, value: &str) -> Act {
    let header = (name.parse::<HeaderName>().unwrap(), value.to_owned());
    Act::Answer((StatusCode::from_u16(code).unwrap(), [header]).into_response())
}

/// A receiver that speaks HTTP properly.
pub(crate) struct Endpoint {
    address: SocketAddr,
    seen: UnboundedReceiver<Seen>,
    /// Ends with the endpoint.
    _server: JoinSet<()>,
}

struct Script {
    act: Box<dyn Fn(usize) -> Act + Send + Sync>,
    count: AtomicUsize,
    seen: UnboundedSender<Seen>,
}

impl Endpoint {
    /// Answers request number n (from 0) with `act(n)`.
    pub(crate) async fn start(act: impl Fn(usize) -> Act + Send + Sync + 'static) -> Self {
        Self::start_on(TcpListener::bind("127.0.0.1:0").await.unwrap(), act)
    }

    pub(crate) fn start_on(
        listener: TcpListener,
        act: impl Fn(usize) -> Act + Send + Sync + 'static,
    ) -> Self {
        let (sender, seen) = unbounded_channel();
        let address = listener.local_addr().unwrap();
        let script = Script { act: Box::new(act), count: AtomicUsize::new(0), seen: sender };
        let router = Router::new().fallback(respond).with_state(Arc::new(script));
        let mut server = JoinSet::new();
        server.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, seen, _server: server }
    }

    pub(crate) const fn port(&self) -> u16 {
        self.address.port()
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/hook/T0KEN", self.address)
    }

    /// The next request; fails when none comes.
    pub(crate) async fn next(&mut self) -> Seen {
        timeout(DEADLINE, self.seen.recv()).await.expect("a request in time").expect("endpoint runs")
    }

    /// Whether every request that arrived has been looked at.
    pub(crate) fn is_quiet(&self) -> bool {
        self.seen.is_empty()
    }
}

async fn respond(State(script): State<Arc<Script>>, headers: HeaderMap, body: Bytes) -> Response {
    let number = script.count.fetch_add(1, Ordering::SeqCst);
    script.seen.send(Seen { headers, body }).unwrap();
    match (script.act)(number) {
        Act::Answer(response) => response,
        Act::Wait(gate) => {
            gate.acquire().await.unwrap().forget();
            StatusCode::OK.into_response()
        }
        Act::Hang => std::future::pending().await,
    }
}

/// How a broken receiver breaks.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Break {
    /// Reads the request and closes without a word: the reply is lost.
    Lose,
    /// Reads the request and resets the connection.
    Reset,
    /// Sends its headers one byte at a time, for ever.
    DripHead,
    /// Says 200 and then sends the body one byte at a time, for ever.
    DripBody,
    /// Says 200 and sends a body without end as fast as it can.
    Flood,
    /// Breaks off amid the headers.
    MidHead,
    /// Says 200 and breaks off amid the body.
    MidBody,
    /// Answers in another language.
    Babble,
}

/// A receiver that does not speak HTTP properly.
pub(crate) struct Broken {
    pub(crate) address: SocketAddr,
    /// Bytes it got rid of in floods.
    pub(crate) flooded: Arc<AtomicUsize>,
    _server: JoinSet<()>,
}

impl Broken {
    pub(crate) async fn start(how: Break) -> Self {
        Self::start_as(how, true).await
    }

    /// One that does not wait to be asked, as where the server speaks first.
    pub(crate) async fn start_unasked(how: Break) -> Self {
        Self::start_as(how, false).await
    }

    async fn start_as(how: Break, is_asked: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (flooded, mut server) = (Arc::default(), JoinSet::new());
        let sent = Arc::clone(&flooded);
        server.spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                if is_asked {
                    read_request(&mut stream).await;
                }
                break_off(stream, how, &sent).await;
            }
        });
        Self { address, flooded, _server: server }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/hook/T0KEN", self.address)
    }
}

/// Write errors mean that the sender has left, which ends the scene.
async fn break_off(mut stream: TcpStream, how: Break, flooded: &AtomicUsize) {
    let ok = "HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n";
    match how {
        Break::Lose => {}
        Break::Reset => stream.set_zero_linger().unwrap(),
        Break::DripHead => drip(&mut stream, "HTTP/1.1 200 OK\r\nx-slow: ").await,
        Break::DripBody => drip(&mut stream, ok).await,
        Break::MidHead => drop(stream.write_all(b"HTTP/1.1 200 OK\r\nx-cut").await),
        Break::MidBody => drop(stream.write_all(format!("{ok}half a body").as_bytes()).await),
        Break::Babble => drop(stream.write_all(b"500 syntax error, command unrecognized\r\n").await),
        Break::Flood => {
            let chunk = vec![b'x'; 65_536];
            // No length: it ends when the connection does.
            let mut written = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
            while written.is_ok() {
                flooded.fetch_add(chunk.len(), Ordering::SeqCst);
                written = stream.write_all(&chunk).await;
            }
        }
    }
}

async fn drip(stream: &mut TcpStream, head: &str) {
    let mut ticks = tokio::time::interval(Duration::from_millis(20));
    let mut written = stream.write_all(head.as_bytes()).await;
    while written.is_ok() {
        ticks.tick().await;
        written = stream.write_all(b"y").await;
    }
}

/// Reads one request with a content-length, whole.
async fn read_request(stream: &mut TcpStream) {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).to_lowercase();
        let whole = text.split_once("\r\n\r\n").is_some_and(|(head, body)| {
            let length = head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next());
            length.and_then(|length| length.parse().ok()).is_some_and(|length| body.len() >= length)
        });
        if whole || stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
            return;
        }
    }
}
