//! The documentation does what it says: every block is run or read.
//!
//! A fenced block says in its info string what it is. `sh` is run, command by command, in a folder
//! that has what its page speaks of; `yaml` is read as a configuration; `json` and `hcl` are read by
//! parsers of those; `text` is output. A block that cannot be run here begins with
//! `# not run: REASON`, and [`NOT_RUN`] lists all of those.

mod page;
mod world;

use crate::harness::{run, text};
use crate::peers::installed;
use page::blocks;
use std::io::Write;
use std::process::{Command, Stdio};
use world::World;

/// Blocks that are not run, by page and reason: they change something at a vendor whose service
/// cannot be had on this machine, or need a peer that the page's own tests start. Their syntax is
/// checked.
const NOT_RUN: &[(&str, &str)] = &[
    ("docs/credentials.md", "it changes a project at Google"),
    ("docs/credentials.md", "it changes a vault at Azure"),
    ("docs/doctor.md", "it asks the providers of a configuration"),
    ("docs/sources/aws.md", "it changes a trail"),
    ("docs/sources/azure.md", "it makes resources at Azure"),
    ("docs/sources/azure.md", "it makes resources at Azure"),
    ("docs/sources/gcp.md", "it changes an organisation's policy"),
    ("docs/sources/gcp.md", "it changes a service account at Google Cloud"),
    ("docs/sources/gcp.md", "it makes resources at Google Cloud"),
    ("docs/sources/gcp.md", "it grants roles at Google Cloud"),
    ("docs/sources/gcp.md", "it grants roles at Google Cloud"),
    ("docs/sources/gcp.md", "it makes resources at Google Cloud"),
    ("docs/sources/http.md", "it needs a running service"),
    ("docs/sources/http.md", "it makes resources at Google"),
    ("docs/sources/http.md", "it makes resources at AWS"),
    ("docs/sources/http.md", "it makes resources at AWS"),
    ("docs/sources/http.md", "it makes resources at Azure"),
    ("docs/sources/kafka.md", "it changes a cluster"),
    ("docs/sources/vault.md", "it needs a Vault"),
    ("docs/sources/vault.md", "it needs a Vault"),
];

#[test]
fn every_block_says_what_it_is_and_few_are_not_run() {
    let all = blocks();
    assert!(all.len() > 50, "{} blocks found", all.len());
    for block in &all {
        let known = ["sh", "yaml", "json", "hcl", "text"].contains(&block.language.as_str());
        assert!(known, "{}: `{}` is no language a block may have", block.place(), block.language);
    }
    let not_run: Vec<(&str, &str)> =
        all.iter().filter_map(|block| Some((block.page.as_str(), block.why_not_run()?))).collect();
    assert_eq!(not_run, NOT_RUN);
}

#[test]
fn every_configuration_is_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("keywatch.yaml");
    for block in blocks().iter().filter(|block| block.language == "yaml") {
        std::fs::write(&path, &block.text).expect("written");
        let output = run(&["config", "check", "--no-environment", path.to_str().expect("a path")]);
        assert!(output.status.success(), "{}: {}", block.place(), text(&output.stderr));
    }
}

#[test]
fn every_json_document_is_one_and_every_policy_allows_something() {
    for block in blocks().iter().filter(|block| block.language == "json") {
        let document: serde_json::Value =
            serde_json::from_str(&block.text).unwrap_or_else(|error| panic!("{}: {error}", block.place()));
        if document.get("Version").is_some() {
            let statements = document["Statement"].as_array().expect("statements");
            assert!(!statements.is_empty(), "{}", block.place());
            for statement in statements {
                let complete = ["Effect", "Action"].iter().all(|key| statement.get(key).is_some());
                assert!(complete, "{}: {statement}", block.place());
            }
        }
    }
}

#[test]
fn every_hcl_document_is_read_by_a_parser_of_hcl() {
    let Some(setup) = installed() else { return };
    for block in blocks().iter().filter(|block| block.language == "hcl") {
        let script = "import hcl2, sys; assert hcl2.loads(sys.stdin.read())";
        let (read, said) = fed(Command::new(setup.join("venv/bin/python")).args(["-c", script]), &block.text);
        assert!(read, "{}: {said}", block.place());
    }
}

#[test]
fn every_command_is_written_in_the_language_of_the_shell() {
    for block in blocks().iter().filter(|block| block.language == "sh") {
        let (read, said) = fed(Command::new("sh").arg("-n"), &block.text);
        assert!(read, "{}: {said}", block.place());
    }
}

/// Gives a command something to read; whether it ended well, and what it said.
fn fed(command: &mut Command, input: &str) -> (bool, String) {
    let child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
    let mut child = child.expect("it starts");
    child.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("written");
    let output = child.wait_with_output().expect("it ends");
    (output.status.success(), text(&output.stderr))
}

#[test]
fn the_commands_of_the_readme_work() {
    let world = World::new();
    world.write("my-rules/new.yml", include_str!("docs/rule.yml"));
    world.configure(&page::first("README.md", "yaml"));
    world.walk("README.md", &[("keywatch scan --fail-level", 1)]);
}

#[test]
fn the_five_minute_start_ends_with_a_service_that_runs() {
    let world = World::new();
    world.walk("docs/start.md", &[]);
    assert!(world.received() > 0, "the test message of the receiver");
}

#[test]
fn receivers_are_listed_and_tried_out_as_their_page_says() {
    let world = World::new();
    let chat = world::Chat::start();
    world.write("slack", &chat.url());
    world.configure("receivers:\n  - name: soc-slack\n    slack: {url: {source: file, path: slack}}\n");
    world.walk("docs/receivers.md", &[]);
    assert_eq!(chat.requests(), 1, "the test message");
}

#[test]
fn secrets_are_had_from_a_vault_that_was_set_up_as_the_page_says() {
    let Some(setup) = installed() else { return };
    let world = World::new();
    let bao = world.bao(&setup);
    bao.does(&["auth", "enable", "approle"]);
    bao.does(&["kv", "put", "secret/app", "token=t0k3n"]);
    bao.does(&["kv", "put", "secret/keywatch/own", "token=t0k3n"]);
    world.write("keywatch.hcl", &page::first("docs/credentials.md", "hcl"));
    world.write("root", "root");
    let address = bao.address();
    world.configure(&format!(
        "secret_manager: {{vault: {{address: \"{address}\", token: \"file:root\"}}}}\n\
         receivers: [{{name: soc, webhook: {{url: \"https://hooks.example.com/\", secret: \"vault:secret/app#token\"}}}}]\n"
    ));
    world.walk("docs/credentials.md", &[]);
    // What the page's role may read, and what not.
    world.write("role-id", &bao.says(&["read", "-field=role_id", "auth/approle/role/keywatch/role-id"]));
    world.write(
        "secret-id",
        &bao.says(&["write", "-f", "-field=secret_id", "auth/approle/role/keywatch/secret-id"]),
    );
    let role = std::fs::read_to_string(world.path("role-id")).expect("a role");
    world.write(
        "keywatch.yaml",
        &format!(
            "secret_manager: {{vault: {{address: \"{address}\", app_role: {{role_id: {role}, secret_id: \"file:secret-id\"}}}}}}\n"
        ),
    );
    world.runs("keywatch secret check vault:secret/keywatch/own#token", 0);
    world.runs("keywatch secret check vault:secret/app#token", 3);
}

#[test]
fn queues_are_made_at_aws_as_the_page_says() {
    let Some(setup) = installed() else { return };
    let world = World::new();
    let moto = world.moto(&setup);
    moto.does("aws s3api create-bucket --bucket example-cloudtrail --create-bucket-configuration LocationConstraint=eu-central-1");
    moto.does("aws sqs create-queue --queue-name keywatch-events");
    world.walk("docs/sources/aws.md", &[]);
    let notices = moto.does("aws s3api get-bucket-notification-configuration --bucket example-cloudtrail");
    assert!(notices.contains("arn:aws:sqs:eu-central-1:111122223333:keywatch"), "{notices}");
    let target = moto.does("aws events list-targets-by-rule --rule keywatch");
    assert!(target.contains("keywatch-events"), "{target}");
}
