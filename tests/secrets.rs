//! `keywatch secret`, as a user types it.

use crate::harness::{program, run, text};
use std::process::{Command, Output, Stdio};

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
