//! Rules of one's own: listed, checked, taken over while the service runs.

use crate::harness::browser::Browser;
use crate::harness::logs::vault_line;
use crate::harness::{Receiver, Service, Site, run, run_with_input, text, wait_until};
use std::path::Path;
use std::time::Duration;

/// A rule about every call by `who`.
fn rule(name: &str, who: &str) -> String {
    format!(
        "title: Calls by {who}\nname: {name}\nlogsource: {{product: keywatch, category: audit}}\n\
         detection:\n  by:\n    principal.name: {who}\n  condition: by\nlevel: high\n"
    )
}

fn write(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
    std::fs::write(path, text).expect("written");
}

#[test]
fn rules_are_listed_with_their_place_and_whose_records_they_read() {
    let output = run(&["rules", "list", "--format", "json"]);
    let rules: serde_json::Value = serde_json::from_slice(&output.stdout).expect("one array");
    let rules = rules.as_array().expect("an array");
    let deletion = rules.iter().find(|rule| rule["id"] == "KW-004").expect("KW-004");
    assert_eq!(deletion["level"], "critical");
    assert_eq!(deletion["log_source"], "keywatch/audit");
    assert!(deletion["file"].as_str().is_some_and(|file| file.contains(".yml")), "{deletion}");
    assert!(deletion["line"].as_u64().is_some_and(|line| line >= 1), "{deletion}");
    let counted = rules.iter().find(|rule| rule["id"] == "KW-005").expect("KW-005");
    assert_eq!(counted["log_source"], "keywatch/audit", "that of the rules it counts");
    let table = text(&run(&["rules", "list"]).stdout);
    assert!(table.contains("KW-004") && table.contains(".yml:"), "{table}");
}

#[test]
fn a_checkout_with_other_yaml_and_other_log_sources_loads() {
    let folder = tempfile::tempdir().expect("a folder");
    let foreign = |n: u32| {
        format!(
            "title: Risky sign-in {n}\nid: 00000000-0000-4000-8000-00000000000{n}\nstatus: test\n\
             logsource:\n  product: azure\n  service: riskdetection\ndetection:\n  selection:\n    \
             riskEventType: impossibleTravel\n  condition: selection\nlevel: high\n"
        )
    };
    write(folder.path(), "rules/cloud/azure/one.yml", &foreign(1));
    write(folder.path(), "rules/cloud/azure/two.yml", &foreign(2));
    write(folder.path(), "rules/mine.yml", &rule("MY-001", "eve"));
    write(folder.path(), "tests/sigma_cli_conf.yml", "rules: [a, b]\n");
    write(folder.path(), "other/broken.yml", "a: {b: [\n");
    write(folder.path(), ".github/workflows/test.yml", "on: push\n");
    let path = folder.path().to_str().expect("a path");
    let checked = run(&["rules", "check", path]);
    let said = text(&checked.stderr);
    assert_eq!(checked.status.code(), Some(0), "{said}");
    for part in ["3 rule(s), no mistakes", "2 other YAML file(s) hold no rule", "2 azure/riskdetection"] {
        assert!(said.contains(part), "{part} in {said}");
    }
    let list = text(&run(&["rules", "list", path]).stdout);
    let why = "finds nothing here: Keywatch does not ingest azure/riskdetection";
    assert_eq!(list.matches(why).count(), 2, "{list}");
}

#[test]
fn broken_files_are_all_named_at_once() {
    let folder = tempfile::tempdir().expect("a folder");
    for n in 0..3 {
        write(
            folder.path(),
            &format!("{n}.yml"),
            &rule("MY-00X", "eve").replace("level: high", "level: hihg"),
        );
    }
    write(folder.path(), "cut.yml", "title: A\ndetection: {x: [\n");
    let checked = run(&["rules", "check", folder.path().to_str().expect("a path")]);
    let said = text(&checked.stderr);
    assert_eq!(checked.status.code(), Some(2), "{said}");
    for part in ["0.yml:", "1.yml:", "2.yml:", "cut.yml:", "in 4 rule file(s)"] {
        assert!(said.contains(part), "{part} in {said}");
    }
}

#[test]
fn an_edited_copy_of_a_shipped_rule_can_be_tested_and_not_loaded_beside_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let shipped = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/rules/builtin")).expect("rules");
    let shipped = shipped.flatten().find(|file| file.file_name().to_string_lossy().contains("deletion"));
    let shipped = std::fs::read_to_string(shipped.expect("KW-004").path()).expect("read");
    write(folder.path(), "mine.yml", &shipped.replace("keep_alive: 15m", "keep_alive: 20m"));
    let path = folder.path().join("mine.yml");
    let path = path.to_str().expect("a path");
    let tested = run(&["rules", "test", path]);
    assert_eq!(tested.status.code(), Some(0), "{}", text(&tested.stderr));
    assert!(text(&tested.stdout).contains("KW-004") && !text(&tested.stdout).contains("KW-003"));
    let checked = run(&["rules", "check", path]);
    assert_eq!(checked.status.code(), Some(2));
    assert!(text(&checked.stderr).contains("KW-004"), "{}", text(&checked.stderr));
}

#[test]
fn scan_takes_lists_from_the_command_line_and_from_a_configuration() {
    let folder = tempfile::tempdir().expect("a folder");
    write(folder.path(), "canaries.txt", "# planted\n*bait*\n");
    let canary = "title: Bait\nname: MY-002\nlogsource: {product: keywatch, category: audit}\n\
        detection:\n  bait:\n    secrets.name|expand: '%canaries%'\n  condition: bait\nlevel: critical\n";
    write(folder.path(), "bait.yml", canary);
    let at = |name: &str| folder.path().join(name).display().to_string();
    let config = format!(
        "database: {}\nrules: [{}]\nlists:\n  canaries: {{file: {}}}\nreceivers:\n  - name: soc\n    webhook:\n      \
         url: https://hooks.example.com/k\n      secret: {{source: env, path: NOT_SET_FOR_A_SCAN}}\n",
        at("keywatch.db"),
        at("bait.yml"),
        at("canaries.txt"),
    );
    write(folder.path(), "keywatch.yaml", &config);
    let line = vault_line(1, 0, "app", "read secret/data/bait", None);
    let scan = |more: &[&str]| {
        let arguments: Vec<&str> =
            ["scan", "-q", "--format", "ndjson", "-"].iter().chain(more).copied().collect();
        let output = run_with_input(&arguments, line.as_bytes());
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        text(&output.stdout).matches("\"rule\":\"MY-002\"").count()
    };
    let (rules, list) = (at("bait.yml"), format!("canaries={}", at("canaries.txt")));
    assert_eq!(scan(&["--rules", &rules]), 0, "without the list it finds nothing");
    assert_eq!(scan(&["--rules", &rules, "--list", &list]), 1);
    assert_eq!(scan(&["--config", &at("keywatch.yaml")]), 1, "no receiver's secret is needed for it");
    let missing = run_with_input(&["scan", "--list", "canaries=/nowhere/list", "-"], line.as_bytes());
    assert_eq!(missing.status.code(), Some(3), "{}", text(&missing.stderr));
    assert!(text(&missing.stderr).contains("/nowhere/list"), "{}", text(&missing.stderr));
}

#[test]
fn a_scan_without_any_rule_says_so_instead_of_finding_nothing() {
    let line = vault_line(1, 0, "app", "read secret/data/bait", None);
    let scanned = run_with_input(&["scan", "--no-shipped-rules", "-"], line.as_bytes());
    let said = text(&scanned.stderr);
    assert_eq!(scanned.status.code(), Some(3), "{said}");
    assert!(said.contains("leaves no rule to judge by; name rule files or folders with --rules"), "{said}");
}

#[test]
fn a_misspelt_list_is_noticed_wherever_lists_and_rules_meet() {
    let folder = tempfile::tempdir().expect("a folder");
    let bait = "title: Bait\nname: MY-002\nlevel: critical\n\
        detection:\n  bait:\n    secrets.name|expand: '%cannaries%'\n  condition: bait\n";
    write(folder.path(), "bait.yml", bait);
    write(folder.path(), "list.txt", "prod/bait\n");
    let at = |name: &str| folder.path().join(name).display().to_string();
    let asked = "asks for the list `cannaries`, which nothing supplies; did you mean `canaries`?";
    let checked = run(&["rules", "check", &at("bait.yml")]);
    assert_eq!(checked.status.code(), Some(0));
    assert!(text(&checked.stderr).contains(asked), "{}", text(&checked.stderr));
    let list = format!("canarys={}", at("list.txt"));
    let scanned = run_with_input(&["scan", "--rules", &at("bait.yml"), "--list", &list, "-"], b"");
    let said = text(&scanned.stderr);
    assert!(said.contains(asked), "{said}");
    assert!(said.contains("no rule asks for the list `canarys`; did you mean `canaries`?"), "{said}");
    let config = format!("database: {}\nlists: {{automations: [role/terraform]}}\n", at("keywatch.db"));
    write(folder.path(), "keywatch.yaml", &config);
    let checked = run(&["config", "check", &at("keywatch.yaml")]);
    let said = text(&checked.stderr);
    assert_eq!(checked.status.code(), Some(0), "{said}");
    assert!(said.contains("no rule asks for the list `automations`; did you mean `automation`?"), "{said}");
}

#[test]
fn a_rule_without_a_name_is_checked_and_a_file_without_a_rule_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    write(
        folder.path(),
        "named.yml",
        "title: Windows only\nlevel: high\nlogsource: {product: windows}\ndetection:\n  s: {a: b}\n  condition: s\n",
    );
    write(folder.path(), "empty.yml", "# nothing yet\n");
    let check =
        |name: &str| text(&run(&["rules", "check", &folder.path().join(name).display().to_string()]).stderr);
    let said = check("named.yml");
    assert!(said.contains("1 rule(s), no mistakes") && said.contains("1 windows"), "{said}");
    assert!(check("empty.yml").contains("no rule found"), "{}", check("empty.yml"));
}

#[test]
fn the_alerts_of_examples_are_shown_when_asked_for() {
    let tested = run(&["rules", "test", "--alerts"]);
    let said = text(&tested.stdout);
    assert!(said.contains("\n      WARNING Failed authentication as user/ada (ConsoleLogin)\n"), "{said}");
    assert!(!text(&run(&["rules", "test"]).stdout).contains("WARNING"));
}

#[test]
fn sighup_takes_over_edited_rules_and_lists_and_a_mistake_changes_nothing() {
    let receiver = Receiver::start(false);
    let site = Site::new(&receiver);
    let own = site.path("own");
    write(&own, "watch.yml", &rule("MY-001", "eve"));
    write(&own, "people.txt", "mallory\n");
    let listed = rule("MY-003", "x").replace("principal.name: x", "principal.name|expand: '%people%'");
    write(&own, "listed.yml", &listed);
    let folder = own.display();
    site.configure(&format!("rules: [{folder}]\nlists:\n  people: {{file: {folder}/people.txt}}\n"));
    let service = Service::start(&site.config());
    let browser = Browser::sign_in(&service.login_link);
    let page = browser.page("/rules");
    assert!(page.contains("Calls by eve") && !page.contains("was not reloaded"), "{page}");

    write(&own, "watch.yml", &rule("MY-001", "bob").replace("condition: by", "condition: bye"));
    write(&own, "people.txt", "bob\n");
    service.reload();
    wait_until("the page says that the reload failed", Duration::from_secs(20), || {
        browser.page("/sources").contains("was not reloaded")
    });
    let page = browser.page("/rules");
    assert!(page.contains("watch.yml:") && page.contains("Calls by eve"), "{page}");

    write(&own, "watch.yml", &rule("MY-001", "bob"));
    service.reload();
    wait_until("the page shows the new rule", Duration::from_secs(20), || {
        browser.page("/rules").contains("Calls by bob")
    });
    assert!(!browser.page("/rules").contains("was not reloaded"));
    std::fs::write(site.logs().join("audit.log"), vault_line(1, 0, "bob", "read secret/data/db", None))
        .expect("written");
    let both = || {
        let heard = receiver.received();
        ["MY-001", "MY-003"].iter().all(|rule| heard.messages.iter().any(|(_, body)| body.contains(rule)))
    };
    wait_until("both the new rule and the new list are in force", Duration::from_secs(20), both);
    assert_eq!(service.stop(), Some(0));
}
