//! `keywatch doctor`, against servers that play AWS and a real OpenBao.
//!
//! What the doctor says mends a blind spot is run, and the doctor must then find it mended.

mod azure;
mod clock;
mod google;
mod history;

use crate::harness::{run, text, wait_until};
use crate::peers::installed;
use serde_json::Value;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

/// A server of ours; ended when dropped.
struct Peer(Child);

impl Drop for Peer {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _reaped = self.0.wait();
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    listener.expect("a port").port()
}

/// A folder with a configuration, and what the doctor says of it.
struct Patient {
    folder: tempfile::TempDir,
}

impl Patient {
    fn of(yaml: &str) -> Self {
        let patient = Self { folder: tempfile::tempdir().expect("a folder") };
        patient.configure(yaml);
        patient
    }

    fn configure(&self, yaml: &str) {
        let database = self.folder.path().join("keywatch.db");
        self.file("keywatch.yaml", &format!("database: {}\n{yaml}", database.display()));
    }

    fn file(&self, name: &str, text: &str) -> String {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).expect("written");
        path.display().to_string()
    }

    fn asked(&self, more: &[&str]) -> Output {
        let config = self.folder.path().join("keywatch.yaml");
        let mut arguments = vec!["doctor", config.to_str().expect("a path")];
        arguments.extend(more);
        run(&arguments)
    }

    /// The report, and the exit code.
    fn report(&self) -> (Value, Option<i32>) {
        let output = self.asked(&["--json"]);
        let said = text(&output.stdout);
        let report = serde_json::from_str(&said);
        assert!(report.is_ok(), "{said}{}", text(&output.stderr));
        (report.unwrap_or_default(), output.status.code())
    }
}

/// The blind spots of one source, by their ids.
fn ids(report: &Value, source: &str) -> Vec<String> {
    spots(report, source).iter().map(|spot| spot["id"].as_str().expect("an id").to_owned()).collect()
}

fn spots<'r>(report: &'r Value, source: &str) -> &'r Vec<Value> {
    of(report, source)["blind_spots"].as_array().expect("a list")
}

fn of<'r>(report: &'r Value, source: &str) -> &'r Value {
    let mut sources = report["sources"].as_array().expect("sources").iter();
    sources.find(|one| one["source"] == source).expect("the source")
}

/// What it takes to know what could not be asked.
fn needs(report: &Value, source: &str) -> Vec<String> {
    let unknown = of(report, source)["unknown"].as_array().expect("a list").iter();
    unknown.map(|one| one["needs"].as_str().expect("text").to_owned()).collect()
}

/// Every command the report gives, in its order; words for people are left out.
fn commands(report: &Value, source: &str) -> Vec<String> {
    let mend = spots(report, source).iter().flat_map(|spot| spot["mend"].as_array().expect("commands"));
    let commands = mend.map(|command| command.as_str().expect("text").to_owned());
    commands.filter(|command| !command.starts_with('#')).collect()
}

struct Moto {
    setup: PathBuf,
    endpoint: String,
    _server: Peer,
}

impl Moto {
    fn start(setup: PathBuf) -> Self {
        let port = free_port();
        let server = Command::new(setup.join("venv/bin/moto_server"))
            .args(["-H", "127.0.0.1", "-p", &port.to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let server = Peer(server.expect("moto starts"));
        wait_until("moto listens", Duration::from_mins(1), || {
            TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        Self { setup, endpoint: format!("http://127.0.0.1:{port}"), _server: server }
    }

    fn does(&self, what: &str) -> String {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/doctor.py");
        let output = Command::new(self.setup.join("venv/bin/python"))
            .arg(script)
            .arg(&self.endpoint)
            .arg(what)
            .output();
        let output = output.expect("python runs");
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout).trim().to_owned()
    }

    /// Runs a command of `aws` as a person would paste it.
    fn pasted(&self, command: &str) {
        let aws = self.setup.join("venv/bin/aws");
        let script =
            format!("aws() {{ {} --endpoint-url {} \"$@\"; }}; {command}", aws.display(), self.endpoint);
        let output = Command::new("sh")
            .args(["-ec", &script])
            .env("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
            .env("AWS_SECRET_ACCESS_KEY", "secret")
            .output()
            .expect("the shell runs");
        assert!(output.status.success(), "{command}: {}", text(&output.stderr));
    }
}

#[test]
fn doctor_finds_what_aws_does_not_log_and_its_commands_mend_it() {
    let Some(setup) = installed() else { return };
    let moto = Moto::start(setup);
    let events = moto.does("blind");
    let trail = events.replace("/events", "/trail");
    let patient = Patient::of("");
    let access = format!(
        "{{endpoint: \"{}\", access_key: {{id: \"file:{}\", secret: \"file:{}\"}}}}",
        moto.endpoint,
        patient.file("id", "AKIAEXAMPLE"),
        patient.file("key", "secret"),
    );
    let yaml = format!(
        "sources:\n  - name: trail\n    aws_queue: {{url: \"{trail}\", region: eu-central-1, buckets: [logs], access: {access}}}\n  \
         - name: events\n    aws_queue: {{url: \"{events}\", region: eu-central-1, carries: events, access: {access}}}\n  \
         - name: lookup\n    aws_lookup: {{regions: [eu-central-1, us-east-1], access: {access}}}\n"
    );
    patient.configure(&yaml);

    let (report, code) = patient.report();
    assert_eq!(code, Some(1), "{report}");
    assert_eq!(
        ids(&report, "trail"),
        [
            "aws.reads-left-out",
            "aws.service-left-out",
            "aws.one-region",
            "aws.no-digests",
            "aws.no-dead-letter-queue",
            "aws.queue-forgets-early"
        ],
        "{report:#}"
    );
    let want = ["aws.rule-without-reads", "aws.rule-leaves-out", "aws.no-dead-letter-queue"];
    assert_eq!(ids(&report, "events"), want, "{report:#}");
    assert!(ids(&report, "lookup").is_empty(), "{report:#}");
    let blind = &spots(&report, "trail")[0]["rules"]["blind"];
    assert!(blind.as_array().expect("rules").contains(&"KW-102".into()), "{blind}");
    let shown = text(&patient.asked(&[]).stdout);
    assert!(
        shown.contains("BLIND  reads") && shown.contains("aws cloudtrail put-event-selectors"),
        "{shown}"
    );

    // The last command about a thing says all that was found about it.
    let paste = |source| {
        let mut commands = commands(&report, source);
        commands.dedup();
        for command in commands {
            moto.pasted(&command);
        }
    };
    // Nothing of one source is another's, and `aws` takes a second to start.
    std::thread::scope(|scope| {
        scope.spawn(|| paste("trail"));
        paste("events");
    });
    let (report, code) = patient.report();
    let left: Vec<String> = ["trail", "events"].iter().flat_map(|source| ids(&report, source)).collect();
    assert_eq!((left, code), (Vec::new(), Some(0)), "{report:#}");

    moto.does("off");
    let (report, code) = patient.report();
    assert_eq!(
        (ids(&report, "trail"), code),
        (vec!["aws.trail-not-logging".to_owned()], Some(1)),
        "{report:#}"
    );
    assert_eq!(ids(&report, "lookup"), ["aws.no-trail"], "{report:#}");
}

#[test]
fn doctor_never_calls_fine_what_it_could_not_ask() {
    let patient = Patient::of("");
    let port = free_port();
    let key = patient.file("key", "AKIAEXAMPLE");
    let yaml = format!(
        "sources:\n  - name: away\n    aws_queue:\n      url: http://127.0.0.1:{port}/1/keywatch\n      region: eu-central-1\n      \
         access: {{endpoint: \"http://127.0.0.1:{port}\", access_key: {{id: \"file:{key}\", secret: \"file:{key}\"}}}}\n  \
         - name: devices\n    vault: {{tcp: \"127.0.0.1:9090\"}}\n  \
         - name: bao\n    vault: {{tcp: \"127.0.0.1:9091\"}}\n\
         doctor:\n  vaults:\n    - {{source: bao, vault: {{address: \"http://127.0.0.1:{port}\", token: \"file:{key}\"}}}}\n"
    );
    patient.configure(&yaml);
    let (report, code) = patient.report();
    assert_eq!((report["blind_spots"].as_u64(), code), (Some(0), Some(0)), "{report:#}");
    for source in ["away", "devices", "bao"] {
        let one = of(&report, source);
        assert!(!one["unknown"].as_array().expect("a list").is_empty(), "{one}");
        assert!(one["sound"].as_array().expect("a list").is_empty(), "{one}");
    }
    assert_eq!(of(&report, "away")["unknown"][0]["needs"], "cloudtrail:DescribeTrails");
    assert_eq!(patient.asked(&["--strict"]).status.code(), Some(1));
    let shown = text(&patient.asked(&[]).stdout);
    assert!(shown.contains("CANNOT TELL") && shown.contains("doctor.vaults"), "{shown}");
}

#[test]
fn doctor_says_what_is_wrong_with_its_configuration() {
    let patient = Patient::of("sources: []\ndoctor:\n  vaults:\n    - {source: vualt, vault: {}}\n");
    let output = patient.asked(&[]);
    assert_eq!(output.status.code(), Some(3));
    assert!(text(&output.stderr).contains("no source is called `vualt`"), "{}", text(&output.stderr));
    let none = Patient::of("");
    let output = none.asked(&[]);
    assert_eq!(output.status.code(), Some(0));
    assert!(text(&output.stdout).contains("names no sources"), "{}", text(&output.stdout));
}

struct Bao {
    setup: PathBuf,
    address: String,
    home: PathBuf,
    _server: Peer,
}

impl Bao {
    /// A real OpenBao, in which people may enable audit devices.
    fn start(setup: PathBuf, home: &Path) -> Self {
        let port = free_port();
        let config = home.join("bao.hcl");
        std::fs::write(&config, "unsafe_allow_api_audit_creation = true\nallow_audit_log_prefixing = true\n")
            .expect("written");
        let server = Command::new(setup.join("venv/bin/bao"))
            .args(["server", "-dev", "-dev-no-store-token", "-dev-root-token-id=root"])
            .arg(format!("-dev-listen-address=127.0.0.1:{port}"))
            .arg(format!("-config={}", config.display()))
            .env("HOME", home)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let server = Peer(server.expect("OpenBao starts"));
        let bao = Self {
            setup,
            address: format!("http://127.0.0.1:{port}"),
            home: home.to_owned(),
            _server: server,
        };
        wait_until("OpenBao is ready", Duration::from_mins(1), || {
            bao.ran("vault kv put secret/ready yes=yes").is_ok_and(|output| output.status.success())
        });
        bao
    }

    fn ran(&self, command: &str) -> std::io::Result<Output> {
        let script =
            format!("vault() {{ {} \"$@\"; }}; {command}", self.setup.join("venv/bin/bao").display());
        let mut shell = Command::new("sh");
        shell.args(["-ec", &script]).env("HOME", &self.home);
        shell.env("BAO_ADDR", &self.address).env("BAO_TOKEN", "root").output()
    }

    fn pasted(&self, command: &str) -> String {
        let output = self.ran(command).expect("the shell runs");
        assert!(output.status.success(), "{command}: {}", text(&output.stderr));
        text(&output.stdout)
    }
}

#[test]
fn doctor_finds_what_a_real_openbao_does_not_log_and_its_commands_mend_it() {
    let Some(setup) = installed() else { return };
    let patient = Patient::of("");
    let bao = Bao::start(setup, patient.folder.path());
    let token = patient.file("token", "root");
    let folder = patient.folder.path().display().to_string();
    let configure = || {
        format!(
            "sources:\n  - name: bao\n    files: [{folder}/audit.log]\n\
             doctor:\n  vaults:\n    - {{source: bao, vault: {{address: \"{}\", token: \"file:{token}\"}}}}\n",
            bao.address
        )
    };
    patient.configure(&configure());
    let (report, code) = patient.report();
    assert_eq!(
        (ids(&report, "bao"), code),
        (vec!["vault.no-audit-device".to_owned()], Some(1)),
        "{report:#}"
    );
    let here = |command: &str| command.replace("/var/log/vault/", &format!("{folder}/"));
    for command in commands(&report, "bao") {
        bao.pasted(&here(&command));
    }
    let (report, _) = patient.report();
    assert_eq!(ids(&report, "bao"), ["vault.one-audit-device"], "{report:#}");
    for command in commands(&report, "bao") {
        bao.pasted(&here(&command));
    }
    let (report, code) = patient.report();
    assert_eq!((ids(&report, "bao"), code), (Vec::new(), Some(0)), "{report:#}");

    let raw = format!(
        "vault audit enable -path=raw file file_path={folder}/raw.log log_raw=true hmac_accessor=false"
    );
    bao.pasted(&raw);
    let (report, _) = patient.report();
    assert_eq!(ids(&report, "bao"), ["vault.values-in-clear", "vault.accessors-in-clear"], "{report:#}");
    for command in commands(&report, "bao").iter().take(2) {
        bao.pasted(command);
    }
    let (report, _) = patient.report();
    assert_eq!(ids(&report, "bao"), ["vault.accessors-in-clear"], "{report:#}");

    let policy = "path \"sys/mounts\" { capabilities = [\"read\"] }";
    bao.pasted(&format!("echo '{policy}' | vault policy write little -"));
    let little = bao.pasted("vault token create -policy=little -field=token");
    patient.file("token", little.trim());
    let (report, code) = patient.report();
    assert_eq!((ids(&report, "bao"), code), (Vec::new(), Some(0)), "{report:#}");
    let needs = of(&report, "bao")["unknown"][0]["needs"].as_str().expect("text");
    assert_eq!(needs, "path \"sys/audit\" { capabilities = [\"read\", \"sudo\"] }");
    assert!(of(&report, "bao")["sound"].as_array().expect("a list").is_empty(), "{report:#}");
}
