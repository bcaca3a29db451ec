//! A container of Azure in the whole program, against Azurite, which is Microsoft's own stand-in.
//!
//! `cargo xtask test` installs it and says where (`KEYWATCH_SETUP`); without it this test says that it
//! did nothing.

use crate::harness::{Receiver, Service, Site, run, text, wait_until};
use crate::peers::{installed, peer};
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A running Azurite; ended when dropped. What it holds outlives it.
struct Azurite {
    child: Child,
    port: u16,
}

impl Azurite {
    fn start(setup: &Path, folder: &Path, port: u16) -> Self {
        let child = Command::new("node")
            .arg(setup.join("node/node_modules/azurite/dist/src/blob/main.js"))
            .args(["--silent", "--skipApiVersionCheck", "--disableTelemetry", "--blobHost", "127.0.0.1"])
            .args(["--blobPort", &port.to_string(), "--location"])
            .arg(folder)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("Azurite starts");
        let azurite = Self { child, port };
        wait_until("Azurite listens", Duration::from_mins(1), || {
            TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        azurite
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

impl Drop for Azurite {
    fn drop(&mut self) {
        // It writes down what it holds when it is asked to end.
        let _asked = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        let deadline = std::time::Instant::now() + Duration::from_secs(20);
        while matches!(self.child.try_wait(), Ok(None)) && std::time::Instant::now() < deadline {
            std::thread::park_timeout(Duration::from_millis(20));
        }
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// Writes to a container as diagnostic settings do.
struct Writer {
    python: PathBuf,
    url: String,
    /// The hour of all blobs, whatever hour the test ends in.
    hour: String,
    begun: Vec<String>,
}

impl Writer {
    /// Appends to the blob of this hour of a vault.
    fn append(&mut self, vault: &str, text: &str) {
        let blob = format!(
            "resourceId=/SUBSCRIPTIONS/0B0C/RESOURCEGROUPS/PROD/PROVIDERS/MICROSOFT.KEYVAULT/VAULTS/{vault}/{}",
            self.hour
        );
        let is_new = !self.begun.contains(&blob);
        let line = serde_json::json!({"blob": blob, "new": is_new, "text": text});
        let mut child = Command::new(&self.python)
            .arg(peer("azure.py"))
            .args([&self.url, "insights-logs-auditevent"])
            .stdin(Stdio::piped())
            .spawn()
            .expect("python starts");
        writeln!(child.stdin.take().expect("a pipe"), "{line}").expect("written");
        assert!(child.wait().expect("python ends").success(), "{blob}");
        self.begun.push(blob);
    }
}

#[expect(clippy::disallowed_methods, reason = "the service under test runs on the real clock")]
fn now() -> chrono::DateTime<chrono::Utc> {
    std::time::SystemTime::now().into()
}

/// A deletion of a secret of its own, which is told of.
fn deletion(vault: &str, number: usize) -> String {
    let time = now().to_rfc3339_opts(chrono::SecondsFormat::Nanos, true);
    let id = format!("https://{vault}.vault.azure.net/secrets/s{number}");
    let record = serde_json::json!({
        "time": time, "category": "AuditEvent", "operationName": "SecretPurge", "resultSignature": "OK",
        "correlationId": format!("c{number}"), "callerIpAddress": "203.0.113.9",
        "identity": {"claim": {"oid": format!("o{number}"), "upn": format!("u{number}@example.com")}},
        "properties": {"id": id, "httpStatusCode": 200, "requestUri": format!("{id}?api-version=7.5")},
        "resourceId": format!("/SUBSCRIPTIONS/0B0C/RESOURCEGROUPS/PROD/PROVIDERS/MICROSOFT.KEYVAULT/VAULTS/{vault}"),
    });
    format!("{record}\r\n")
}

fn configure(site: &Site, receiver: &Receiver, azurite: &Azurite) {
    let folder = site.folder.path().display();
    let key = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";
    let connection = format!(
        "AccountName=devstoreaccount1;AccountKey={key};BlobEndpoint={}/devstoreaccount1",
        azurite.url()
    );
    std::fs::write(site.path("connection"), connection).expect("a connection string");
    let yaml = format!(
        "database: {folder}/keywatch.db\nlisten: 127.0.0.1:0\nsources:\n  - name: vaults\n    \
         azure_blob: {{poll: 1s, backfill: 1d, access: {{connection_string: \"file:{folder}/connection\"}}}}\n\
         receivers:\n  - name: soc\n    webhook:\n      url: {}\n      secret: {{source: file, path: {folder}/secret}}\n\
         egress: {{allow: [127.0.0.0/8], allow_http: true}}\n",
        receiver.url()
    );
    std::fs::write(site.config(), yaml).expect("a configuration");
}

/// Waits until so many deletions were told.
fn told(receiver: &Receiver, count: usize) {
    let what = format!("{count} deletions are told");
    wait_until(&what, Duration::from_mins(1), || {
        let messages = receiver.received().messages.clone();
        (0..count).all(|number| {
            let principal = format!("u{number}@example.com");
            messages.iter().any(|(_, body)| body.contains(&principal))
        })
    });
}

#[test]
fn blobs_that_grow_in_azurite_are_read_to_their_last_whole_line_whatever_ends_and_begins() {
    let Some(setup) = installed() else { return };
    let receiver = Receiver::start(false);
    let site = Site::new(&receiver);
    let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port");
    let blobs = site.path("azurite");
    let azurite = Azurite::start(&setup, &blobs, port.port());
    configure(&site, &receiver, &azurite);
    let hour = now().format("y=%Y/m=%m/d=%d/h=%H/m=00/PT1H.json");
    let python = setup.join("venv/bin/python");
    let mut writer = Writer { python, url: azurite.url(), hour: hour.to_string(), begun: Vec::new() };
    let torn = deletion("PAY", 1);
    let (head, tail) = torn.split_at(70);
    writer.append("PAY", &format!("{}{head}", deletion("PAY", 0)));
    let looked = run(&["config", "check", site.config().to_str().expect("a path")]);
    assert!(text(&looked.stdout).contains("holds 1 folder(s) with years"), "{}", text(&looked.stdout));
    let service = Service::start(&site.config());
    told(&receiver, 1);
    writer.append("PAY", tail);
    told(&receiver, 2);
    // The service is killed, and the container grows meanwhile; a vault is new.
    drop(service);
    writer.append("PAY", &deletion("PAY", 2));
    writer.append("WEB", &deletion("WEB", 3));
    let service = Service::start(&site.config());
    told(&receiver, 4);
    // The account is away for a while.
    drop(azurite);
    wait_until("the failure is told", Duration::from_secs(30), || service.said().contains("failed"));
    let _azurite = Azurite::start(&setup, &blobs, port.port());
    writer.append("WEB", &deletion("WEB", 4));
    told(&receiver, 5);
    assert_eq!(service.stop(), Some(0));
    let (totals, positions) = site.look(async |store| {
        let totals = store.overview(chrono::DateTime::UNIX_EPOCH).await.expect("totals").totals;
        (totals, store.positions().await.expect("positions"))
    });
    assert_eq!((totals.events, totals.rejects), (5, 0), "{positions:?}");
    assert_eq!(positions.len(), 3, "where it began, and two vaults: {positions:?}");
}
