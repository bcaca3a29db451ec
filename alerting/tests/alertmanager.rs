//! A real Alertmanager: what it takes, what it shows, and that a resolve ends an alert there.
//!
//! `KEYWATCH_SETUP` names the folder that `cargo xtask setup` fills, on Debian and Ubuntu with
//! Alertmanager; without it this test says so and does nothing.

use chrono::{DateTime, Utc};
use keywatch_alerting::{
    Address, Alertmanager, Egress, EgressPolicy, Notification, NotificationKind, Outbound, Receiver,
    ReceiverKind, Sender, Verdict,
};
use keywatch_secrets::{SecretManager, Settings};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A running Alertmanager; ended when dropped.
struct Running {
    child: Child,
    port: u16,
    _folder: tempfile::TempDir,
}

impl Drop for Running {
    fn drop(&mut self) {
        // Either error means that it has ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[expect(clippy::disallowed_methods, reason = "a test finds its peers through the environment")]
#[expect(clippy::print_stderr, reason = "a test that did nothing has to say so")]
fn program() -> Option<PathBuf> {
    let setup = std::env::var("KEYWATCH_SETUP").ok().map(PathBuf::from);
    let found = setup.map(|setup| setup.join("debian/usr/bin/prometheus-alertmanager"));
    let found = found.filter(|program| program.exists());
    if found.is_none() {
        eprintln!("there is no Alertmanager: nothing was tested; run cargo xtask setup on Debian or Ubuntu");
    }
    found
}

/// Debian's build looks for its templates below /usr/share, where nothing of it is installed: a copy
/// that looks below its working directory, in a path of the same length.
fn relocated(program: &Path, copy: &Path) {
    let (fixed, moved) = (b"/usr/share/prometheus/alertmanager", b"usr/share/prometheus//alertmanager");
    let mut bytes = std::fs::read(program).expect("a program");
    let mut at = 0;
    while let Some(rest) = bytes.get_mut(at..at + fixed.len()) {
        if rest == fixed {
            rest.copy_from_slice(moved);
        }
        at += 1;
    }
    std::fs::write(copy, bytes).expect("written");
    std::fs::set_permissions(copy, std::fs::Permissions::from_mode(0o700)).expect("a program again");
}

impl Running {
    fn start(program: &Path) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let copy = folder.path().join("alertmanager");
        relocated(program, &copy);
        let unpacked = program.ancestors().nth(3).expect("the folder it was unpacked into");
        let config = folder.path().join("alertmanager.yml");
        std::fs::write(&config, "route: {receiver: nobody}\nreceivers: [{name: nobody}]\n").expect("written");
        let free = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = free.local_addr().expect("an address").port();
        drop(free);
        let child = Command::new(&copy)
            .current_dir(unpacked)
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.path={}", folder.path().display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .args(["--cluster.listen-address=", "--log.level=error"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("Alertmanager starts");
        let running = Self { child, port, _folder: folder };
        let deadline = Instant::now() + Duration::from_secs(30);
        while !running.get("/-/ready").is_some_and(|answer| answer.contains(" 200 OK")) {
            assert!(Instant::now() < deadline, "Alertmanager did not start");
            std::thread::park_timeout(Duration::from_millis(50));
        }
        running
    }

    fn get(&self, path: &str) -> Option<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        write!(stream, "GET {path} HTTP/1.0\r\nhost: 127.0.0.1\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer)
    }

    /// The alerts that fire there.
    fn firing(&self) -> Vec<Value> {
        let answer = self.get("/api/v2/alerts?active=true").expect("it answers");
        let (_, body) = answer.split_once("\r\n\r\n").expect("a body");
        serde_json::from_str(body).expect("a list")
    }
}

fn told(kind: NotificationKind, id: &str, title: &str, at: DateTime<Utc>) -> Notification {
    let alert = json!({
        "id": id, "rule": "KW-004", "title": title, "level": "critical", "action": "Immediate review",
        "opened_at": at, "provider": "aws", "account": "111122223333", "store": "sm", "events": 3,
        "principal": {"id": "arn:aws:iam::111122223333:role/\u{202e}deploy\n", "kind": "role"}, "secrets": [],
        "evidence": [], "why": {"text": "3 deletions", "observed": 3.0, "threshold": 1.0}, "tags": [],
    });
    Notification {
        id: format!("msg_{id}"),
        kind,
        created_at: at,
        alerts: vec![alert.to_string()],
        group: vec![],
        note: None,
        link: Some(format!("https://keywatch.example/alerts/{id}")),
    }
}

#[expect(clippy::disallowed_methods, reason = "Alertmanager goes by the clock of the machine")]
fn now() -> DateTime<Utc> {
    Utc::now()
}

#[tokio::test]
async fn alertmanager_shows_one_alert_however_often_it_is_said_and_none_when_it_is_resolved() {
    let Some(program) = program() else { return };
    let running = Running::start(&program);
    let address = Address::Plain(format!("http://127.0.0.1:{}/", running.port));
    let kind = ReceiverKind::Alertmanager(Alertmanager { address, auth: None });
    let policy = EgressPolicy { allow: vec!["127.0.0.0/8".parse().expect("a network")], allow_http: true };
    let secrets = SecretManager::new(Settings::new(Arc::new(|_: &str| None)));
    let outbound = Outbound { egress: Egress::new(policy), secrets };
    let sender = Sender::new(&Receiver::new("prometheus", kind), &outbound).expect("a sender");
    let say = async |kind, id: &str, title: &str| {
        let reply = sender.send(&told(kind, id, title, now()), now()).await;
        assert_eq!((reply.verdict, reply.status), (Verdict::Delivered, Some(200)), "{kind}: {reply:?}");
    };
    let began = now();
    say(NotificationKind::Opened, "a1", "Secrets are destroyed").await;
    say(NotificationKind::Opened, "a2", "<script>alert(1)</script> {{ .Labels }} \u{0} \"'\\").await;
    for kind in [NotificationKind::Updated, NotificationKind::Refreshed, NotificationKind::Reminder] {
        say(kind, "a1", "Secrets are destroyed").await;
    }
    let firing = running.firing();
    assert_eq!(firing.len(), 2, "{firing:#?}");
    let first = firing.iter().find(|one| one["labels"]["alert_id"] == "a1").expect("the alert");
    assert_eq!(first["labels"]["alertname"], "KW-004");
    assert_eq!(first["labels"]["severity"], "critical");
    assert_eq!(first["generatorURL"], "https://keywatch.example/alerts/a1");
    assert_eq!(first["status"]["state"], "active");
    let ends: DateTime<Utc> = first["endsAt"].as_str().and_then(|at| at.parse().ok()).expect("a time");
    assert!((290..=320).contains(&(ends - began).num_seconds()), "it stands for five minutes: {ends}");

    say(NotificationKind::Resolved, "a1", "Secrets are destroyed").await;
    say(NotificationKind::Withdrawn, "a2", "<script>alert(1)</script> {{ .Labels }} \u{0} \"'\\").await;
    assert_eq!(running.firing(), Vec::<Value>::new());
}
