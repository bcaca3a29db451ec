//! `keywatch secret`, as a user types it.

use crate::harness::logs::vault_line;
use crate::harness::{Service, program, run, text, wait_until};
use crate::peers::{installed, peer};
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

const CANARY: &str = "sk-canary-7f3a9c";

fn configured(yaml: &str) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("keywatch.yaml");
    std::fs::write(&path, yaml).expect("written");
    let path = path.display().to_string();
    (folder, path)
}

fn with_variable(arguments: &[&str]) -> Output {
    program().args(arguments).env("KW_TEST_SECRET", CANARY).output().expect("the program runs")
}

#[test]
fn secret_get_prints_the_value_and_nothing_else() {
    let output = with_variable(&["secret", "get", "env:KW_TEST_SECRET"]);
    assert_eq!(
        (output.status.code(), text(&output.stdout), text(&output.stderr)),
        (Some(0), CANARY.into(), String::new())
    );
}

#[test]
fn secret_get_shows_no_value_to_a_terminal_unless_asked() {
    // `script` gives the program a terminal; it is part of every Debian and macOS.
    let typed = |arguments: &str| {
        let program = program().get_program().to_string_lossy().into_owned();
        let command = format!("{program} secret get env:KW_TEST_SECRET {arguments}");
        let child = Command::new("script")
            .args(["-qec", &command, "/dev/null"])
            .env("KW_TEST_SECRET", CANARY)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .output()
            .expect("script runs");
        (child.status.code(), text(&child.stdout))
    };
    let (code, said) = typed("");
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("--reveal") && !said.contains(CANARY), "{said}");
    let (code, said) = typed("--reveal");
    assert_eq!((code, said.trim()), (Some(0), CANARY));
}

#[test]
fn secret_check_tells_of_every_secret_of_the_configuration_at_once() {
    let (folder, path) = configured(
        "receivers:\n  - name: soc\n    webhook:\n      url: https://hooks.example.com/k\n      secrets: [env:KW_TEST_SECRET, env:KW_TEST_NONE]\n  - name: other\n    webhook:\n      url: https://hooks.example.com/o\n      secret_file: /nowhere/secret\n",
    );
    let output = with_variable(&["secret", "check", "--config", &path]);
    let (table, said) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(3), "{table}{said}");
    for part in [
        "env:KW_TEST_SECRET    ok ",
        "env:KW_TEST_NONE      missing ",
        "remedy:  set KW_TEST_NONE in the environment",
        "file:/nowhere/secret  missing ",
        "remedy:  create /nowhere/secret",
    ] {
        assert!(table.contains(part), "{part} in {table}");
    }
    assert!(said.contains("3 secret(s), 2 cannot be had"), "{said}");
    assert!(!format!("{table}{said}").contains(CANARY));
    drop(folder);
}

#[test]
fn secret_check_looks_for_what_is_named_and_is_content_when_all_is_there() {
    let output = with_variable(&["secret", "check", "env:KW_TEST_SECRET"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(text(&output.stdout).lines().count(), 2);
    let (_folder, path) = configured("listen: 127.0.0.1:8420\n");
    let output = run(&["secret", "check", "-c", &path]);
    assert_eq!(
        (output.status.code(), text(&output.stderr).trim()),
        (Some(0), "the configuration names no secret")
    );
}

#[test]
fn the_service_does_not_start_while_secrets_are_missing_and_names_all_of_them() {
    let (folder, path) = configured(
        "receivers:\n  - name: soc\n    webhook:\n      url: https://hooks.example.com/k\n      secret: env:KW_TEST_NONE\n  - name: other\n    webhook:\n      url: https://hooks.example.com/o\n      secret_file: /nowhere/secret\n",
    );
    let database = folder.path().join("keywatch.db").display().to_string();
    let output = run(&["serve", "--config", &path, "--database", &database, "--listen", "127.0.0.1:0"]);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{said}");
    for part in [
        "2 of the secrets",
        "env:KW_TEST_NONE: the variable is not set",
        "file:/nowhere/secret: there is no such file",
    ] {
        assert!(said.contains(part), "{part} in {said}");
    }
    assert!(!folder.path().join("keywatch.db").exists(), "nothing was begun");
}

#[test]
fn mistakes_about_backends_are_told_with_their_place() {
    let (_folder, path) = configured(
        "secret_manager:\n  ttl: 5s\n  aws: {access_key_id: AKID}\n  azure: {client_secret: env:A}\n  vault:\n    address: http://vault.example.com:8200\n    token: vault:secret/own\n    app_role: {role_id: r}\n",
    );
    let output = run(&["config", "check", &path]);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{said}");
    for part in [
        "`ttl`",
        "one of `access_key_id` and `secret_access_key` is missing",
        "`client_secret` stands without `identity: client`",
        "Vault has more than one login",
        "`secret_manager.vault.address` cannot be used: `http://vault.example.com:8200` would send secrets in clear",
        "`secret_manager.vault.token` cannot be used: `vault:secret/own` is in a backend itself",
    ] {
        assert!(said.contains(part), "{part} in {said}");
    }
}

#[test]
fn a_text_that_is_no_reference_is_refused_without_being_fetched() {
    let mut child = program();
    let output = child.args(["secret", "get", "sk-live-123"]).output().expect("the program runs");
    assert_eq!(output.status.code(), Some(3));
    assert!(text(&output.stderr).contains("source:path"), "{}", text(&output.stderr));
}

/// A peer that ends with the test.
struct Peer(Child);

impl Drop for Peer {
    fn drop(&mut self) {
        // A peer that is gone already needs no end.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// A real OpenBao in development mode.
struct Bao {
    program: PathBuf,
    address: String,
    folder: PathBuf,
    _server: Peer,
}

impl Bao {
    fn start(setup: &Path, folder: &Path) -> Self {
        let port = TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .expect("a port")
            .port();
        let program = setup.join("venv/bin/bao");
        let server = Command::new(&program)
            .args(["server", "-dev", "-dev-no-store-token", "-dev-root-token-id=root"])
            .arg(format!("-dev-listen-address=127.0.0.1:{port}"))
            .env("HOME", folder)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("OpenBao starts");
        let address = format!("http://127.0.0.1:{port}");
        let bao = Self { program, address, folder: folder.to_owned(), _server: Peer(server) };
        wait_until("OpenBao is ready", Duration::from_mins(1), || bao.put("ready=yes"));
        bao
    }

    /// Writes a version of the secret; whether that went well.
    fn put(&self, field: &str) -> bool {
        let mut put = Command::new(&self.program);
        put.args(["kv", "put", &format!("-address={}", self.address), "secret/soc", field]);
        put.env("BAO_TOKEN", "root").env("HOME", &self.folder).stdout(Stdio::null()).stderr(Stdio::null());
        put.status().expect("bao runs").success()
    }
}

/// A receiver that takes what is signed with the secret a file holds now; its port.
fn verifier(setup: &Path, folder: &Path) -> (Peer, u16) {
    let mut command = Command::new(setup.join("venv/bin/python"));
    command.arg(peer("verifier.py")).arg(folder.join("signing")).arg(folder.join("answers"));
    let mut child = command.stdout(Stdio::piped()).spawn().expect("the receiver starts");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line).expect("a port");
    (Peer(child), line.trim().parse().expect("a port"))
}

/// The messages that were answered with a status.
fn answered(folder: &Path, status: &str) -> Vec<String> {
    let answers = std::fs::read_to_string(folder.join("answers")).unwrap_or_default();
    let of_status = |line: &str| line.strip_prefix(status).map(|id| id.trim().to_owned());
    answers.lines().filter_map(of_status).collect()
}

/// A signing secret for each of ten rounds; a byte of each differs.
fn signing(round: u64) -> String {
    format!("whsec_{round}fKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo=")
}

#[test]
fn a_signing_secret_rotated_in_openbao_while_alerts_are_sent_loses_none() {
    let Some(setup) = installed() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let bao = Bao::start(&setup, folder.path());
    let (_receiver, port) = verifier(&setup, folder.path());
    let (address, here) = (&bao.address, folder.path().display());
    let yaml = format!(
        "database: {here}/keywatch.db\nlisten: 127.0.0.1:0\nsources: [{{name: audit, files: [{here}/logs]}}]\n\
         secret_manager: {{vault: {{address: \"{address}\", token: \"file:{here}/token\"}}}}\n\
         egress: {{allow: [127.0.0.0/8], allow_http: true}}\n\
         receivers: [{{name: soc, level: critical, webhook: {{url: \"http://127.0.0.1:{port}/\", secret: \"vault:secret/soc#signing\"}}}}]\n"
    );
    let config = folder.path().join("keywatch.yaml");
    std::fs::create_dir(folder.path().join("logs")).expect("a folder for logs");
    std::fs::write(folder.path().join("token"), "root\n").expect("a token");
    std::fs::write(&config, yaml).expect("a configuration");
    let rotate = |round: u64| {
        assert!(bao.put(&format!("signing={}", signing(round))), "written to OpenBao");
        std::fs::write(folder.path().join("signing"), signing(round)).expect("told the receiver");
    };
    rotate(0);
    let service = Service::start(&config);
    let log =
        std::fs::OpenOptions::new().create(true).append(true).open(folder.path().join("logs/audit.log"));
    let mut log = log.expect("a log");
    for round in 0..4_u64 {
        if round > 0 {
            rotate(round);
        }
        for n in 0..10 {
            let number = round * 10 + n;
            let line = vault_line(
                number,
                60 * i64::try_from(number).expect("small"),
                &format!("eve{number}"),
                &format!("delete secret/data/s{number}"),
                None,
            );
            log.write_all(line.as_bytes()).expect("logged");
        }
        let expected = usize::try_from((round + 1) * 10).expect("small");
        wait_until("every deletion is told", Duration::from_secs(20), || {
            answered(folder.path(), "200").iter().collect::<BTreeSet<_>>().len() >= expected
        });
    }
    assert_eq!(service.stop(), Some(0));
    let (accepted, refused) = (answered(folder.path(), "200"), answered(folder.path(), "401"));
    let refused: BTreeSet<_> = refused.iter().collect();
    assert_eq!(accepted.len(), 40, "each once");
    assert!(refused.len() >= 3, "each rotation was noticed by a refusal: {refused:?}");
    assert!(refused.iter().all(|id| accepted.contains(id)), "what was refused was sent anew");
}
