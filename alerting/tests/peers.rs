//! Receivers against software Keywatch did not write: an SMTP server, an HTTPS server, SNS with
//! its subscribers, and a second implementation of ed25519.
//!
//! `KEYWATCH_SETUP` names the folder that `cargo xtask setup` fills; without it these tests say so
//! and do nothing.

use chrono::{DateTime, Utc};
use keywatch_alerting::{
    AccessKey, Address, Alertmanager, Egress, EgressPolicy, Email, MailTls, Notification, NotificationKind,
    Ocsf, Outbound, PagerDuty, Receiver, ReceiverKind, Reply, Role, Sender, SigningSecret, Slack, Sns, Teams,
    Verdict, Webhook,
};
use keywatch_secrets::{SecretManager, Settings};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;

/// A private ed25519 key of the test: 32 times 7.
const PRIVATE: &str = "whsk_BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo=";

#[expect(clippy::disallowed_methods, reason = "a test finds its peers through the environment")]
#[expect(clippy::print_stderr, reason = "a test that did nothing has to say so")]
fn setup() -> Option<PathBuf> {
    let found = std::env::var("KEYWATCH_SETUP").ok().map(PathBuf::from);
    if found.is_none() {
        eprintln!("KEYWATCH_SETUP is not set: nothing was tested; run cargo xtask test");
    }
    found
}

/// A peer that ends with the test.
struct Peer {
    child: Child,
    ask: Option<ChildStdin>,
    lines: BufReader<ChildStdout>,
    folder: tempfile::TempDir,
}

impl Peer {
    fn start(setup: &Path, kind: &str, mode: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("password"), "first").expect("a password");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/peers/receivers.py");
        let mut child = Command::new(setup.join("venv/bin/python"))
            .arg(script)
            .arg(kind)
            .arg(folder.path())
            .args(mode)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("cargo xtask setup installs Python");
        let ask = child.stdin.take();
        let lines = BufReader::new(child.stdout.take().expect("a pipe"));
        Self { child, ask, lines, folder }
    }

    /// The next thing it says; the test fails when it has ended.
    fn says(&mut self) -> Value {
        let mut line = String::new();
        self.lines.read_line(&mut line).expect("the peer speaks UTF-8");
        serde_json::from_str(&line).expect("the peer still runs and says JSON")
    }

    fn port(&mut self) -> u16 {
        let port = self.says().get("port").and_then(Value::as_u64);
        port.and_then(|port| port.try_into().ok()).expect("a port")
    }

    /// Tells it one line.
    fn hears(&mut self, line: &str) {
        let ask = self.ask.as_mut().expect("it listens until the end");
        writeln!(ask, "{line}").expect("it listens");
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It ends with its standard input, and takes along what it has started itself. An error
        // means that it has ended already.
        drop(self.ask.take());
        drop(self.child.wait());
    }
}

fn at() -> DateTime<Utc> {
    DateTime::from_timestamp(1_769_860_800, 0).expect("a time")
}

fn notification(id: &str) -> Notification {
    let alert = json!({
        "id": "a1", "rule": "KW-004", "title": "Secrets are destroyed \r\nBcc: x@evil.example", "level": "critical",
        "action": "Immediate review", "opened_at": "2026-01-31T11:59:00Z", "provider": "aws",
        "account": "111122223333", "store": "sm", "events": 3, "secrets": [], "evidence": [],
        "why": {"text": "3 deletions in 5 minutes", "observed": 3.0, "threshold": 1.0}, "tags": [],
    });
    Notification {
        id: id.to_owned(),
        kind: NotificationKind::Opened,
        created_at: at(),
        alerts: vec![alert.to_string()],
        group: vec![],
        note: None,
        link: Some("https://keywatch.example/alerts/a1".to_owned()),
    }
}

/// To loopback, with the secrets of the tests.
fn outbound() -> Outbound {
    let environment = |name: &str| match name {
        "SECRET" => Some(SECRET.to_owned()),
        "PRIVATE" => Some(PRIVATE.to_owned()),
        "KEY_ID" => Some("AKIATEST".to_owned()),
        "KEY" => Some("test".to_owned()),
        "ROUTING_KEY" => Some("k".repeat(32)),
        _ => None,
    };
    let policy = EgressPolicy { allow: vec!["127.0.0.0/8".parse().expect("a network")], allow_http: true };
    Outbound {
        egress: Egress::new(policy),
        secrets: SecretManager::new(Settings::new(Arc::new(environment))),
    }
}

async fn send(receiver: &Receiver, notification: &Notification) -> Reply {
    Sender::new(receiver, &outbound()).expect("a sender").send(notification, at()).await
}

fn email(port: u16, tls: MailTls) -> Receiver {
    let email = Email {
        host: "127.0.0.1".to_owned(),
        port,
        tls,
        login: None,
        from: "Keywatch <keywatch@example.org>".to_owned(),
        to: vec!["soc@example.org".to_owned()],
    };
    Receiver::new("mail", ReceiverKind::Email(email))
}

#[tokio::test]
async fn mail_arrives_without_with_and_after_tls_and_adds_no_header() {
    let Some(setup) = setup() else { return };
    for (mode, tls) in [("plain", MailTls::None), ("starttls", MailTls::StartTls), ("tls", MailTls::Tls)] {
        let mut server = Peer::start(&setup, "mail", &[mode]);
        let port = server.port();
        let trusting = Receiver { ca_file: Some(server.path("ca.pem")), ..email(port, tls) };
        let reply = send(&trusting, &notification("msg_1")).await;
        assert_eq!((reply.verdict, reply.status), (Verdict::Delivered, Some(250)), "{mode}: {reply:?}");
        let seen = server.says();
        assert_eq!(seen["encrypted"], json!(tls != MailTls::None), "{mode}");
        assert_eq!(seen["recipients"], json!(["soc@example.org"]), "{mode}: a field added a recipient");
        let data = seen["data"].as_str().expect("text");
        let head = data.split("\r\n\r\n").next().expect("a head");
        assert!(head.contains("Message-ID: <msg_1@example.org>"), "{head}");
        assert!(!head.lines().any(|line| line.starts_with("Bcc")), "{head}");
    }
}

#[tokio::test]
async fn a_mail_server_with_a_certificate_nobody_vouches_for_gets_nothing() {
    let Some(setup) = setup() else { return };
    let mut server = Peer::start(&setup, "mail", &["starttls"]);
    let reply = send(&email(server.port(), MailTls::StartTls), &notification("msg_1")).await;
    assert_eq!((reply.verdict, reply.status), (Verdict::TryAgain, None), "{reply:?}");
}

#[tokio::test]
async fn a_password_that_was_rotated_is_fetched_anew_and_the_mail_arrives() {
    let Some(setup) = setup() else { return };
    let mut server = Peer::start(&setup, "mail", &["login"]);
    let port = server.port();
    let ours = server.path("ours");
    std::fs::write(&ours, "first").expect("written");
    let password = format!("file:{}", ours.display()).parse().expect("a reference");
    let mut receiver = email(port, MailTls::StartTls);
    receiver.ca_file = Some(server.path("ca.pem"));
    if let ReceiverKind::Email(email) = &mut receiver.kind {
        email.login = Some(("keywatch".to_owned(), password));
    }
    let sender = Sender::new(&receiver, &outbound()).expect("a sender");
    let first = sender.send(&notification("msg_1"), at()).await;
    assert_eq!(first.verdict, Verdict::Delivered, "{first:?}");
    assert_eq!(server.says()["user"], "keywatch");

    std::fs::write(server.path("password"), "second").expect("rotated there");
    std::fs::write(&ours, "second").expect("rotated here");
    let second = sender.send(&notification("msg_2"), at()).await;
    assert_eq!(second.verdict, Verdict::Delivered, "{second:?}");
    assert!(server.says().get("refused").is_some(), "the first password was tried");
    assert_eq!(server.says()["user"], "keywatch");

    std::fs::write(server.path("password"), "third").expect("rotated there only");
    let third = sender.send(&notification("msg_3"), at()).await;
    assert_eq!((third.verdict, third.status), (Verdict::TryAgain, Some(535)), "{third:?}");
    assert!(!format!("{third:?}").contains("second"), "{third:?}");
}

fn webhook(port: u16, ca_file: Option<PathBuf>) -> Receiver {
    let address = Address::Plain(format!("https://127.0.0.1:{port}/hook"));
    let signing = vec!["env:SECRET".parse().expect("a reference")];
    let kind = ReceiverKind::Webhook(Webhook { address, signing, auth: None });
    Receiver { ca_file, ..Receiver::new("siem", kind) }
}

#[tokio::test]
async fn a_certificate_of_the_operators_own_authority_is_trusted_when_named() {
    let Some(setup) = setup() else { return };
    let mut server = Peer::start(&setup, "https", &["good"]);
    let port = server.port();
    let reply = send(&webhook(port, Some(server.path("ca.pem"))), &notification("msg_1")).await;
    assert_eq!(reply.verdict, Verdict::Delivered, "{reply:?}");
    assert_eq!(server.says()["path"], "/hook");
    let reply = send(&webhook(port, None), &notification("msg_1")).await;
    assert_eq!((reply.verdict, reply.status), (Verdict::TryAgain, None), "{reply:?}");
}

fn reference(name: &str) -> keywatch_secrets::SecretRef {
    format!("env:{name}").parse().expect("a reference")
}

#[tokio::test]
async fn another_implementation_of_ed25519_verifies_what_a_private_key_has_signed() {
    let Some(setup) = setup() else { return };
    let mut server = Peer::start(&setup, "https", &["good"]);
    let (port, ca_file) = (server.port(), Some(server.path("ca.pem")));
    let address = || Address::Plain(format!("https://127.0.0.1:{port}/hook"));
    let signing = || vec![reference("PRIVATE")];
    let kinds = [
        ReceiverKind::Webhook(Webhook { address: address(), signing: signing(), auth: None }),
        ReceiverKind::Ocsf(Ocsf { address: address(), signing: signing(), auth: None }),
    ];
    let key = SigningSecret::parse(PRIVATE).expect("a key").public().expect("a public half");
    let mut judge = Peer::start(&setup, "verify", &[&key]);
    for kind in kinds {
        let receiver = Receiver { ca_file: ca_file.clone(), ..Receiver::new("siem", kind) };
        let reply = send(&receiver, &notification("msg_1")).await;
        assert_eq!(reply.verdict, Verdict::Delivered, "{reply:?}");
        let request = server.says();
        judge.hears(&request.to_string());
        assert_eq!(judge.says(), json!({"genuine": true}), "{request}");
        let mut forged = request;
        forged["body"] = json!("{}");
        judge.hears(&forged.to_string());
        assert_eq!(judge.says(), json!({"genuine": false}));
    }
}

/// One receiver of every kind, at a port with the certificate of the tests.
fn every_kind(port: u16, ca_file: &Path) -> Vec<Receiver> {
    let url = format!("https://127.0.0.1:{port}/hook");
    let address = || Address::Plain(url.clone());
    let signing = || vec![reference("SECRET")];
    let access_key = Some(AccessKey { id: reference("KEY_ID"), secret: reference("KEY") });
    let topic_arn = "arn:aws:sns:eu-west-1:000000000000:alerts".to_owned();
    let kinds = [
        ReceiverKind::Webhook(Webhook { address: address(), signing: signing(), auth: None }),
        ReceiverKind::Slack(Slack { address: address() }),
        ReceiverKind::Teams(Teams { address: address() }),
        ReceiverKind::PagerDuty(PagerDuty { address: address(), routing_key: reference("ROUTING_KEY") }),
        ReceiverKind::Alertmanager(Alertmanager { address: address(), auth: None }),
        ReceiverKind::Ocsf(Ocsf { address: address(), signing: signing(), auth: None }),
        ReceiverKind::Sns(Sns { topic_arn, endpoint: Some(url.clone()), role: None, access_key }),
    ];
    let trusting = |kind| Receiver { ca_file: Some(ca_file.to_owned()), ..Receiver::new("one", kind) };
    kinds.into_iter().map(trusting).collect()
}

#[tokio::test]
async fn an_expired_certificate_is_told_and_no_kind_of_receiver_behind_it_gets_anything() {
    let Some(setup) = setup() else { return };
    let mut server = Peer::start(&setup, "https", &["expired"]);
    let port = server.port();
    let mut receivers = every_kind(port, &server.path("ca.pem"));
    let mut mail = Peer::start(&setup, "mail", &["expired"]);
    let people = email(mail.port(), MailTls::StartTls);
    receivers.push(Receiver { ca_file: Some(mail.path("ca.pem")), ..people });
    for receiver in receivers {
        let (kind, reply) = (receiver.kind.as_str(), send(&receiver, &notification("msg_1")).await);
        assert_eq!((reply.verdict, reply.status), (Verdict::TryAgain, None), "{kind}: {reply:?}");
        let error = reply.error.expect("an error").to_lowercase();
        assert!(error.contains("expired"), "{kind}: {error}");
    }
}

#[tokio::test]
async fn the_same_certificate_before_it_expires_is_trusted_by_every_kind() {
    let Some(setup) = setup() else { return };
    let mut server = Peer::start(&setup, "https", &["good"]);
    for receiver in every_kind(server.port(), &server.path("ca.pem")) {
        let (kind, reply) = (receiver.kind.as_str(), send(&receiver, &notification("msg_1")).await);
        // The server is no SNS, so what it says means nothing there; the request reached it.
        assert!(reply.verdict == Verdict::Delivered || kind == "sns", "{kind}: {reply:?}");
        assert_eq!(reply.status, Some(200), "{kind}: {reply:?}");
        assert_eq!(
            server.says()["path"].as_str().map(|path| path.starts_with("/hook")),
            Some(true),
            "{kind}"
        );
    }
}

#[tokio::test]
async fn a_topic_reaches_its_subscribers_with_attributes_and_in_order() {
    let Some(setup) = setup() else { return };
    let mut cloud = Peer::start(&setup, "sns", &[]);
    let ready = cloud.says();
    let text = |key: &str| ready[key].as_str().expect("text").to_owned();
    let topic = |topic_arn: String| {
        let key = |name: &str| format!("env:{name}").parse().expect("a reference");
        let access_key = Some(AccessKey { id: key("KEY_ID"), secret: key("KEY") });
        let sns = Sns { topic_arn, endpoint: Some(text("endpoint")), role: None, access_key };
        Receiver::new("topic", ReceiverKind::Sns(sns))
    };
    for (arn, id) in [("topic", "msg_1"), ("fifo", "msg_2"), ("fifo", "msg_2")] {
        let reply = send(&topic(text(arn)), &notification(id)).await;
        assert_eq!(reply.verdict, Verdict::Delivered, "{arn}: {reply:?}");
    }
    let hook = cloud.says()["http"].clone();
    assert_eq!(hook["Subject"], "CRITICAL: Secrets are destroyed ??Bcc: x@evil.example");
    assert_eq!(hook["MessageAttributes"]["level"]["Value"], "critical");
    let body: Value = serde_json::from_str(hook["Message"].as_str().expect("text")).expect("JSON");
    assert_eq!((&body["type"], &body["data"]["id"]), (&json!("alert.opened"), &json!("a1")));

    cloud.hears("receive");
    let mut queued = Vec::new();
    loop {
        let said = cloud.says();
        if said.get("done").is_some() {
            break;
        }
        queued.push(said);
    }
    let of = |name: &str| queued.iter().filter(|one| one["queue"] == name).count();
    assert_eq!((of("alerts"), of("alerts.fifo")), (1, 1), "the repeated message is one: {queued:#?}");

    let nowhere = topic("arn:aws:sns:eu-west-1:000000000000:nowhere".to_owned());
    let reply = send(&nowhere, &notification("msg_3")).await;
    assert_eq!((reply.verdict, reply.status), (Verdict::TryAgain, Some(404)), "{reply:?}");
    assert!(reply.error.expect("an error").contains("create the topic"));
}

#[tokio::test]
async fn a_topic_of_another_account_is_reached_through_a_role_and_its_external_id() {
    let Some(setup) = setup() else { return };
    let mut cloud = Peer::start(&setup, "sns", &[]);
    let ready = cloud.says();
    let text = |key: &str| ready[key].as_str().expect("text").to_owned();
    let door = text("door");
    let through = |external_id: Option<&str>| {
        let role = Role {
            arn: "arn:aws:iam::999988887777:role/alerts".to_owned(),
            external_id: external_id.map(str::to_owned),
            endpoint: Some(door.clone()),
        };
        let access_key = Some(AccessKey { id: reference("KEY_ID"), secret: reference("KEY") });
        let endpoint = Some(door.clone());
        let sns = Sns { topic_arn: text("topic"), endpoint, role: Some(role), access_key };
        Receiver::new("topic", ReceiverKind::Sns(sns))
    };
    for wrong in [None, Some("theirs")] {
        let reply = send(&through(wrong), &notification("msg_1")).await;
        assert_eq!(reply.verdict, Verdict::TryAgain, "{reply:?}");
        let error = reply.error.expect("an error");
        assert!(error.contains("AssumeRole") && error.contains("in the role's trust policy"), "{error}");
        let word = if wrong.is_some() { "see that `external_id`" } else { "write `external_id` if" };
        assert!(error.contains(word), "{error}");
        let refused = cloud.says();
        assert_eq!((&refused["action"], &refused["status"]), (&json!("AssumeRole"), &json!(403)));
    }
    let reply = send(&through(Some("ours-42")), &notification("msg_2")).await;
    assert_eq!(reply.verdict, Verdict::Delivered, "{reply:?}");
    let mut said = Vec::new();
    while said.len() < 3 {
        said.push(cloud.says());
    }
    let of = |action: &str| said.iter().find(|one| one["action"] == action).expect("it was asked");
    let (assumed, published) = (of("AssumeRole"), of("Publish"));
    assert_eq!(assumed["role"], "arn:aws:iam::999988887777:role/alerts");
    assert_eq!(assumed["signed_by"], "AKIATEST");
    assert_eq!(published["signed_by"], assumed["given"], "the role's own key signs");
    assert_ne!(published["signed_by"], "AKIATEST");
    let hook = said.iter().find_map(|one| one.get("http")).expect("the subscriber was reached");
    assert_eq!(hook["MessageAttributes"]["level"]["Value"], "critical");
}
