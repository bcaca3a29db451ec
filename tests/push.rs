//! A real OpenBao that pushes to Keywatch, and a sender that Keywatch is killed under.

mod full;

use crate::harness::logs::vault_line;
use crate::harness::{Receiver, Service, Site, program, run, text, wait_until};
use crate::peers::installed;
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const LIMIT: Duration = Duration::from_mins(1);

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    listener.expect("a port").port()
}

fn listens(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_ok()
}

/// OpenBao with three audit devices; ended when dropped.
struct Bao {
    program: PathBuf,
    address: String,
    folder: PathBuf,
    token: String,
    server: Child,
}

impl Drop for Bao {
    fn drop(&mut self) {
        let _gone = self.server.kill();
        let _reaped = self.server.wait();
    }
}

impl Bao {
    fn start(setup: &Path, folder: &Path, (socket, http): (u16, u16)) -> Self {
        let (port, shown) = (free_port(), folder.display());
        let config = format!(
            "storage \"inmem\" {{}}\napi_addr = \"http://127.0.0.1:{port}\"\nlistener \"tcp\" {{\n  address = \"127.0.0.1:{port}\"\n  tls_disable = true\n}}\n\
             audit \"file\" \"to-file\" {{\n  options {{\n    file_path = \"{shown}/audit.log\"\n  }}\n}}\n\
             audit \"socket\" \"to-socket\" {{\n  options {{\n    address = \"127.0.0.1:{socket}\"\n    socket_type = \"tcp\"\n  }}\n}}\n\
             audit \"http\" \"to-http\" {{\n  options {{\n    uri = \"http://127.0.0.1:{http}/v1/vault\"\n    headers = \"{{\\\"Authorization\\\":[\\\"Bearer open-sesame\\\"]}}\"\n  }}\n}}\n"
        );
        std::fs::write(folder.join("bao.hcl"), config).expect("a configuration");
        let program = setup.join("venv/bin/bao");
        let server = Command::new(&program)
            .args(["server", "-config"])
            .arg(folder.join("bao.hcl"))
            .env("HOME", folder)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("OpenBao starts");
        let address = format!("http://127.0.0.1:{port}");
        let mut bao = Self { program, address, folder: folder.to_owned(), token: String::new(), server };
        wait_until("OpenBao listens", LIMIT, || listens(port));
        let mut made = String::new();
        wait_until("OpenBao is initialised", LIMIT, || {
            made = bao.run(&["operator", "init", "-key-shares=1", "-key-threshold=1", "-format=json"]).1;
            made.contains("root_token")
        });
        let made: serde_json::Value = serde_json::from_str(&made).expect("JSON");
        let text = |at: &str| made.pointer(at).and_then(|value| value.as_str()).expect("text").to_owned();
        bao.token = text("/root_token");
        let key = text("/unseal_keys_b64/0");
        assert!(bao.run(&["operator", "unseal", &key]).0);
        wait_until("OpenBao is unsealed", LIMIT, || {
            bao.run(&["secrets", "enable", "-path=app", "-version=2", "kv"]).0
        });
        wait_until("the store is ready", LIMIT, || bao.run(&["kv", "put", "app/ready", "a=b"]).0);
        bao
    }

    /// Whether it went well, and what it printed.
    fn run(&self, arguments: &[&str]) -> (bool, String) {
        let mut command = Command::new(&self.program);
        command.args(arguments).env("BAO_ADDR", &self.address).env("HOME", &self.folder);
        let output = command.env("BAO_TOKEN", &self.token).stdin(Stdio::null()).output().expect("bao runs");
        (output.status.success(), text(&output.stdout))
    }
}

/// The ids of the events in a file of an audit device.
fn ids_in(path: &Path) -> BTreeSet<String> {
    let output = program().arg("normalize").arg(path).output().expect("it runs");
    let id = |line: &str| {
        let event: serde_json::Value = serde_json::from_str(line).expect("JSON");
        event.get("id").and_then(|id| id.as_str()).expect("an id").to_owned()
    };
    text(&output.stdout).lines().map(id).collect()
}

fn stored(site: &Site) -> (u64, u64) {
    site.look(async |store| {
        let totals = store.totals().await.expect("totals");
        (totals.events, totals.rejects)
    })
}

fn site() -> (Receiver, Site, (u16, u16)) {
    let receiver = Receiver::start(true);
    let (site, ports) = site_of(&receiver, "1GiB");
    (receiver, site, ports)
}

/// A device and an address for requests, with spools of this size.
fn site_of(receiver: &Receiver, spool: &str) -> (Site, (u16, u16)) {
    let site = Site::new(receiver);
    let (socket, http) = (free_port(), free_port());
    let folder = site.folder.path().display();
    std::fs::write(site.path("token"), "open-sesame\n").expect("a token");
    let yaml = std::fs::read_to_string(site.config()).expect("a configuration");
    let sources = format!(
        "sources:\n  - name: device\n    vault: {{tcp: \"127.0.0.1:{socket}\", spool: {{size: {spool}}}}}\n  - name: requests\n    http: {{listen: \"127.0.0.1:{http}\", tokens: [\"file:{folder}/token\"], spool: {{size: {spool}}}}}\n"
    );
    std::fs::write(site.config(), yaml.replace("sources:\n", &sources)).expect("a configuration");
    (site, (socket, http))
}

/// Holds the database until it is dropped.
struct Lock(Child);

impl Lock {
    fn take(setup: &Path, site: &Site) -> Self {
        let mut lock = Command::new(setup.join("venv/bin/python"))
            .args(["-c", LOCK])
            .arg(site.database())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("Python starts");
        let mut held = [0; 5];
        lock.stdout.as_mut().expect("a pipe").read_exact(&mut held).expect("the database is held");
        Self(lock)
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _reaped = self.0.wait();
    }
}

#[test]
fn what_openbao_audits_is_stored_once_by_whatever_device_it_comes() {
    let Some(setup) = installed() else { return };
    let (_receiver, site, ports) = site();
    let service = Service::start(&site.config());
    wait_until("Keywatch listens", LIMIT, || listens(ports.0) && listens(ports.1));
    let bao = Bao::start(&setup, site.folder.path(), ports);
    for number in 0..5 {
        let path = format!("app/s{number}");
        assert!(bao.run(&["kv", "put", &path, "password=hunter2"]).0);
        assert!(bao.run(&["kv", "get", &path]).0);
    }
    let log = site.folder.path().join("audit.log");
    let pushed = ids_in(&log).len() as u64;
    assert!(pushed > 20, "{pushed}");
    // Nobody reads the file yet: all this came over the wire, by two devices, and was stored once.
    for source in ["device", "requests"] {
        let name = format!("keywatch_source_records_total{{source=\"{source}\"}}");
        wait_until("a device has brought all", LIMIT, || metric(&service, &name) >= pushed);
    }
    assert_eq!(metric(&service, "keywatch_stored_events"), pushed);
    assert_eq!(service.stop(), Some(0));
    // The file device takes what the others cannot: OpenBao goes on.
    assert!(bao.run(&["kv", "get", "app/s1"]).0, "OpenBao works while Keywatch is away");
    let service = Service::start(&site.config());
    wait_until("Keywatch listens again", LIMIT, || listens(ports.0) && listens(ports.1));
    assert!(bao.run(&["kv", "metadata", "delete", "app/s2"]).0);
    drop(bao);
    // What was audited meanwhile stands in the file alone: read too, it makes the whole.
    let all = ids_in(&log);
    std::fs::copy(&log, site.logs().join("audit.log")).expect("copied");
    wait_until("all is stored", LIMIT, || metric(&service, "keywatch_stored_events") >= all.len() as u64);
    assert_eq!(service.stop(), Some(0));
    assert_eq!(stored(&site), (all.len() as u64, 0), "each once");
}

/// A figure of the running service.
fn metric(service: &Service, name: &str) -> u64 {
    let address =
        service.login_link.split("//").nth(1).and_then(|rest| rest.split('/').next()).expect("an address");
    let mut stream = TcpStream::connect(address).expect("it listens");
    let request = format!("GET /metrics HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("asked");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("answered");
    let line = answer.lines().find(|line| line.starts_with(name) && !line.starts_with('#'));
    let value =
        line.and_then(|line| line.split_whitespace().last()).and_then(|value| value.parse::<f64>().ok());
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small count")]
    value.map_or(0, |value| value as u64)
}

/// Whether a line was acknowledged.
fn post(port: u16, line: &str) -> bool {
    let attempt = || {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        let head = "POST /v1/events HTTP/1.1\r\nhost: k\r\nx-api-key: open-sesame\r\nconnection: close\r\n";
        stream.write_all(format!("{head}content-length: {}\r\n\r\n{line}", line.len()).as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        std::io::Result::Ok(answer)
    };
    attempt().is_ok_and(|answer| answer.starts_with("HTTP/1.1 200"))
}

#[test]
fn killed_under_a_sender_it_keeps_all_that_it_acknowledged() {
    let (_receiver, site, (_, http)) = site();
    let (mut number, mut acknowledged, mut unsure) = (0, 0, 0);
    for round in 0..12_u64 {
        let mut service = Service::spawn(&site.config());
        wait_until("Keywatch listens", LIMIT, || listens(http));
        for _ in 0..20 + round * 3 {
            let line = vault_line(number, 60, "ada", "read secret/data/app", None);
            let is_taken = post(http, &line);
            (acknowledged, unsure) = (acknowledged + u64::from(is_taken), unsure + u64::from(!is_taken));
            number += 1;
        }
        service.kill().expect("killed");
        service.wait().expect("reaped");
    }
    assert_eq!(unsure, 0, "each was acknowledged before the kill");
    let service = Service::start(&site.config());
    wait_until("all is stored", LIMIT, || metric(&service, "keywatch_stored_events") >= acknowledged);
    assert_eq!(service.stop(), Some(0));
    assert_eq!(stored(&site), (acknowledged, 0));
}

/// Holds the database as a backup that went wrong does.
const LOCK: &str = "import sqlite3, sys\nc = sqlite3.connect(sys.argv[1], isolation_level=None)\nc.execute('BEGIN IMMEDIATE')\nprint('held', flush=True)\nsys.stdin.read()\n";

#[test]
fn while_the_database_is_locked_senders_are_answered_and_nothing_is_lost() {
    let Some(setup) = installed() else { return };
    let (_receiver, site, (_, http)) = site();
    let service = Service::start(&site.config());
    wait_until("Keywatch listens", LIMIT, || listens(http));
    let lock = Lock::take(&setup, &site);
    let mut number = 0;
    // Longer than a connection waits for the lock.
    wait_until("Keywatch says that the database is busy", LIMIT, || {
        let line = vault_line(number, 60, "ada", "read secret/data/app", None);
        assert!(post(http, &line), "taken while the database is locked");
        number += 1;
        service.said().contains("was busy for too long")
    });
    drop(lock);
    wait_until("all is stored", LIMIT, || metric(&service, "keywatch_stored_events") >= number);
    assert_eq!(service.stop(), Some(0));
    assert_eq!(stored(&site), (number, 0));
}

#[test]
fn a_configuration_of_pushed_sources_is_checked_and_its_mistakes_told() {
    let (_receiver, site, _) = site();
    let path = site.config().display().to_string();
    let output = run(&["config", "check", "--no-environment", &path]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
}
