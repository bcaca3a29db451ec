//! `keywatch config`, as a user types it.

use crate::aws::Moto;
use crate::harness::{Receiver, Site, program, run, text};
use std::process::Output;

/// Runs the program in a folder, with variables.
fn run_in(folder: &std::path::Path, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = program();
    command.current_dir(folder).args(arguments).envs(variables.iter().copied());
    command.output().expect("the program starts")
}

#[test]
fn a_configuration_is_written_once_and_then_left_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let init = ["config", "init", "--for", "vault,aws"];
    let output = run_in(folder.path(), &init, &[]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let written = std::fs::read_to_string(folder.path().join("keywatch.yaml")).expect("written");
    assert!(written.contains("name: vault") && written.contains("name: cloudtrail"), "{written}");
    assert!(!written.contains("name: azure"), "{written}");
    assert_eq!(run_in(folder.path(), &["config", "check", "--no-environment"], &[]).status.code(), Some(0));

    let again = run_in(folder.path(), &init, &[]);
    assert_eq!(again.status.code(), Some(5));
    assert!(text(&again.stderr).contains("keywatch.yaml is not written"), "{}", text(&again.stderr));
    let after = std::fs::read_to_string(folder.path().join("keywatch.yaml")).expect("still there");
    assert_eq!(after, written);
}

#[test]
fn show_tells_where_every_value_comes_from() {
    let folder = tempfile::tempdir().expect("a folder");
    let parts = folder.path().join("conf.d");
    std::fs::create_dir(&parts).expect("a folder");
    std::fs::write(parts.join("10-base.yaml"), "listen: 127.0.0.1:1\nhosts: [a.example]\n").expect("written");
    std::fs::write(parts.join("20-more.yml"), "hosts: [\"${NAME}.example\"]\n").expect("written");
    std::fs::write(parts.join("notes.txt"), "not: [yaml").expect("written");
    let arguments = ["config", "show", "--config", "conf.d", "--format", "ndjson"];
    let variables = [("NAME", "b"), ("KEYWATCH_EGRESS__ALLOW_HTTP", "true")];
    let output = run_in(folder.path(), &arguments, &variables);
    let shown = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    for line in [
        r#"{"key":"listen","value":"127.0.0.1:1","from":"conf.d/10-base.yaml:1"}"#,
        r#"{"key":"hosts","value":"[a.example, b.example]","from":"conf.d/10-base.yaml:2, conf.d/20-more.yml:1"}"#,
        r#"{"key":"egress.allow_http","value":"true","from":"KEYWATCH_EGRESS__ALLOW_HTTP"}"#,
        r#"{"key":"database","value":"keywatch.db","from":"default"}"#,
    ] {
        assert!(shown.contains(line), "{line} in {shown}");
    }
}

#[test]
fn what_stands_in_two_files_and_what_is_misspelt_in_the_environment_is_told_at_once() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("a.yaml"), "listen: 127.0.0.1:1\n").expect("written");
    std::fs::write(folder.path().join("b.yaml"), "\nlisten: 127.0.0.1:2\n").expect("written");
    let output = run_in(
        folder.path(),
        &["config", "check", "a.yaml", "b.yaml", "gone.yaml"],
        &[("KEYWATCH_LISTN", "127.0.0.1:3")],
    );
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{said}");
    for part in [
        "b.yaml:2:9: `listen` is set here and in a.yaml:1; keep one of them",
        "the variable KEYWATCH_LISTN: sets no key of the configuration; did you mean `KEYWATCH_LISTEN`?",
        "gone.yaml:1:1: cannot be read",
        "3 problem(s)",
    ] {
        assert!(said.contains(part), "wanted `{part}` in {said}");
    }
}

#[test]
fn the_schema_and_the_reference_are_printed() {
    let schema: serde_json::Value =
        serde_json::from_slice(&run(&["config", "schema"]).stdout).expect("the schema is JSON");
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    assert!(text(&run(&["config", "reference"]).stdout).contains("## receivers"));
}

#[test]
fn check_asks_everything_the_configuration_names_and_sends_nothing() {
    let receiver = Receiver::start(false);
    let site = Site::new(&receiver);
    std::fs::write(site.logs().join("audit.log"), "").expect("a log");
    let path = site.config().display().to_string();
    let fine = run(&["config", "check", &path]);
    let (table, said) = (text(&fine.stdout), text(&fine.stderr));
    assert_eq!(fine.status.code(), Some(0), "{table}{said}");
    for part in ["database", "disk", "source audit", "secret", "receiver soc"] {
        assert!(table.lines().any(|line| line.starts_with("ok") && line.contains(part)), "{part} in {table}");
    }
    assert_eq!(receiver.received().requests, 0, "nothing was sent");

    let folder = site.folder.path().display();
    std::fs::write(site.path("account-key"), "a2V5").expect("a key");
    let wrong = format!(
        "database: {folder}/nowhere/keywatch.db\nsources:\n  - name: logs\n    files: [{folder}/gone.log]\n  \
         - name: queue\n    aws_queue: {{url: \"http://127.0.0.1:9/111122223333/q\", region: eu-west-1, access: {{endpoint: \"http://127.0.0.1:9/\", access_key: {{id: \"file:{folder}/secret\", secret: \"file:{folder}/secret\"}}}}}}\n  \
         - name: asked\n    aws_lookup: {{regions: [eu-west-1], access: {{endpoint: \"http://127.0.0.1:9/\", access_key: {{id: \"file:{folder}/secret\", secret: \"file:{folder}/secret\"}}}}}}\n  \
         - name: google\n    gcp_pubsub: {{subscription: projects/p/subscriptions/s, access: {{endpoint: \"http://127.0.0.1:9\", anonymous: true}}}}\n  \
         - name: logging\n    gcp_logging: {{resources: [projects/p], access: {{endpoint: \"http://127.0.0.1:9\", anonymous: true}}}}\n  \
         - name: blobs\n    azure_blob: {{account: examplelogs, endpoint: \"http://127.0.0.1:9\", access: {{key: \"file:{folder}/account-key\"}}}}\n  \
         - name: topics\n    kafka: {{brokers: [\"127.0.0.1:9\"], topics: [audit]}}\n\
         receivers:\n  - name: far\n    webhook: {{url: \"https://nobody.invalid/\", secret: \"file:{folder}/secret\"}}\n  \
         - name: unsigned\n    webhook: {{url: \"https://hooks.example.com/\", secret: \"env:KW_TEST_NONE\"}}\n"
    );
    std::fs::write(site.config(), wrong).expect("written");
    let output = run(&["config", "check", &path]);
    let (table, said) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(3), "{table}{said}");
    for (what, part) in [
        ("disk", "create it"),
        ("source logs", "create it, or correct the path"),
        ("source queue", "sqs:GetQueueAttributes failed"),
        ("source asked", "cloudtrail:LookupEvents failed for account own in eu-west-1"),
        ("source google", "the Pub/Sub look of projects/p/subscriptions/s failed"),
        ("source logging", "entries.list failed for projects/p"),
        ("source blobs", "listing azure://examplelogs/insights-logs-auditevent failed"),
        ("source topics", "check the addresses"),
        ("secret", "set KW_TEST_NONE in the environment"),
        ("receiver far", "nobody.invalid"),
        ("receiver unsigned", "KW_TEST_NONE"),
    ] {
        let is_told = |line: &str| line.starts_with("WRONG") && line.contains(what) && line.contains(part);
        assert!(table.lines().any(is_told), "{what}: {part} in {table}");
    }
    assert!(said.contains("problem(s)"), "{said}");
}

#[test]
fn check_asks_aws_for_its_queues() {
    let Some(moto) = Moto::start() else { return };
    let receiver = Receiver::start(false);
    let site = Site::new(&receiver);
    let queue = moto.does(&["setup"]);
    let (folder, endpoint) = (site.folder.path().display(), &moto.endpoint);
    let source = |name: &str, queue: &str| {
        format!(
            "  - name: {name}\n    aws_queue: {{url: \"{queue}\", region: eu-central-1, access: {{endpoint: \"{endpoint}\", access_key: {{id: \"file:{folder}/secret\", secret: \"file:{folder}/secret\"}}}}}}\n"
        )
    };
    let gone = format!("{endpoint}/123456789012/gone");
    let yaml = format!(
        "database: {folder}/keywatch.db\nsources:\n{}{}",
        source("there", &queue),
        source("gone", &gone)
    );
    std::fs::write(site.config(), yaml).expect("written");
    let output = run(&["config", "check", site.config().to_str().expect("a path")]);
    let table = text(&output.stdout);
    assert!(table.lines().any(|line| line.starts_with("ok") && line.contains("answers")), "{table}");
    assert!(
        table.lines().any(|line| line.starts_with("WRONG") && line.contains("name a queue that exists")),
        "{table}"
    );
}

/// The example with what is commented out in it put in force.
fn put_in_force(example: &str) -> String {
    let line = |line: &str| {
        let (indent, rest) = line.split_at(line.len() - line.trim_start().len());
        let Some(text) = rest.strip_prefix("# ") else { return line.to_owned() };
        let word = text.trim_start().trim_start_matches("- ").trim_start_matches('{');
        let key = word.split_once(':').map(|(key, _)| key).unwrap_or_default();
        let is_key = !key.is_empty() && key.chars().all(|c| c.is_ascii_lowercase() || c == '_');
        if is_key { format!("{indent}{text}") } else { line.to_owned() }
    };
    example.lines().map(|text| line(text) + "\n").collect()
}

#[test]
fn everything_the_example_shows_can_be_used_and_it_shows_every_section() {
    let whole = put_in_force(include_str!("../keywatch.example.yaml"));
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("keywatch.yaml"), &whole).expect("written");
    let output = run_in(folder.path(), &["config", "check", "--no-environment", "keywatch.yaml"], &[]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let schema: serde_json::Value =
        serde_json::from_slice(&run(&["config", "schema"]).stdout).expect("the schema is JSON");
    let sections = schema["properties"].as_object().expect("sections");
    let shown = |name: &str| whole.lines().any(|line| line.starts_with(&format!("{name}:")));
    let missing: Vec<_> = sections.keys().filter(|name| !shown(name)).collect();
    assert!(missing.is_empty(), "the example does not show {missing:?}");
}
