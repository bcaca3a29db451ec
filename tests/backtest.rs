//! A rule tried on the past, beside the rules in force.

use crate::harness::logs::vault_line;
use crate::harness::{Receiver, Service, Site, run, run_with_input, text, wait_until};
use serde_json::Value;
use std::time::Duration;

/// Denied reads by `eve`, five of them, and a deletion by `bob` on the next day.
fn history() -> String {
    let denied = (0..5_u64).map(|n| {
        let secs = i64::try_from(n).expect("small") * 30;
        vault_line(n, secs, "eve", &format!("read secret/data/s{n}"), Some("permission denied"))
    });
    denied.chain([vault_line(9, 86_400, "bob", "delete secret/data/db", None)]).collect()
}

/// A rule of one's own that counts what `KW-004` counts, and more.
const DENIED: &str = "title: Denied\nname: MY-010\nlogsource: {product: keywatch, category: audit}\n\
    detection:\n  denied: {outcome: denied}\n  condition: denied\nlevel: high\n\
    keywatch:\n  incident: {key: [principal.id], keep_alive: 1h, max_duration: 24h}\n";

/// The alerts of `MY-010` and `KW-004` under `key`: rules that join alerts have theirs beside them.
fn of<'f>(found: &'f Value, key: &str) -> Vec<&'f Value> {
    let named = |alert: &&Value| alert["rule"] == "MY-010" || alert["rule"] == "KW-004";
    found[key].as_array().into_iter().flatten().filter(named).collect()
}

fn json(output: &std::process::Output) -> Value {
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("one object")
}

#[test]
fn a_new_rule_gains_alerts_with_evidence_and_place_per_day() {
    let folder = tempfile::tempdir().expect("a folder");
    let rule = folder.path().join("denied.yml");
    std::fs::write(&rule, DENIED).expect("written");
    let rule = rule.to_str().expect("a path");
    let run = |format: &str| {
        run_with_input(&["rules", "backtest", rule, "--format", format, "-"], history().as_bytes())
    };
    let found = json(&run("json"));
    assert_eq!(found["events"], 6);
    assert_eq!(found["rules"], serde_json::json!(["MY-010"]));
    let day = &found["days"][0];
    assert_eq!((&day["day"], &day["lost"]), (&Value::from("2026-06-01"), &Value::from(0)));
    assert!(day["gained"].as_u64() >= Some(1), "{day}");
    let gained = of(&found, "gained");
    assert_eq!(gained.len(), 1, "{found}");
    let gained = gained[0];
    assert_eq!((&gained["rule"], &gained["events"]), (&Value::from("MY-010"), &Value::from(5)));
    assert_eq!(gained["evidence"][0]["place"], "-:1");
    let table = text(&run("table").stdout);
    assert!(
        table.contains("gained  HIGH") && table.contains("at -:1") && table.contains("2026-06-01"),
        "{table}"
    );
    let lines = text(&run("ndjson").stdout);
    let lines: Vec<Value> =
        lines.lines().map(|line| serde_json::from_str(line).expect("an object")).collect();
    assert!(
        lines.iter().any(|line| line["what"] == "gained" && line["alert"]["rule"] == "MY-010"),
        "{lines:?}"
    );
    assert_eq!(lines.last().map(|line| &line["what"]), Some(&Value::from("summary")));
}

#[test]
fn an_edited_rule_is_compared_with_the_one_in_force_on_the_stored_history() {
    let site = Site::new(&Receiver::start(false));
    std::fs::write(site.logs().join("audit.log"), history()).expect("written");
    let own = site.path("own.yml");
    std::fs::write(&own, DENIED).expect("written");
    site.configure(&format!("rules: [{}]\n", own.display()));
    let service = Service::start(&site.config());
    let edited = site.path("edited.yml");
    std::fs::write(&edited, DENIED.replace("outcome: denied", "class: secret.delete")).expect("written");
    let (edited, config) = (edited.display().to_string(), site.config().display().to_string());
    let backtest = |rule: &str, more: &[&str]| {
        let mut arguments = vec!["rules", "backtest", rule, "--config", &config, "--format", "json"];
        arguments.extend(more);
        run(&arguments)
    };
    // While the service runs, and has the database.
    wait_until("the history is stored", Duration::from_secs(20), || {
        let output = backtest(&edited, &[]);
        output.status.code() == Some(0) && json(&output)["events"] == 6
    });
    let found = json(&backtest(&edited, &[]));
    let (lost, gained) = (of(&found, "lost"), of(&found, "gained"));
    assert_eq!((lost.len(), gained.len()), (1, 1), "{found}");
    assert!(lost[0]["principal"].as_str().is_some_and(|who| who.contains("eve")), "{found}");
    assert!(
        gained[0]["evidence"][0]["place"].as_str().is_some_and(|at| at.ends_with("audit.log:6")),
        "{found}"
    );
    let alone = json(&backtest("KW-004", &[]));
    assert_eq!(of(&alone, "gained").len(), 1, "{alone}");
    assert_eq!(alone["against"], "the rules without KW-004");
    let none = backtest("KW-004", &["--since", "1s"]);
    assert_eq!(none.status.code(), Some(4), "{}", text(&none.stderr));
    assert_eq!(service.stop(), Some(0));
}

#[test]
fn each_kind_of_failure_has_its_exit_code() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(at("broken.yml"), DENIED.replace("level: high", "level: hihg")).expect("written");
    std::fs::write(at("denied.yml"), DENIED).expect("written");
    std::fs::write(at("keywatch.yaml"), format!("database: {}\n", at("none.db"))).expect("written");
    std::fs::write(at("wrong.yaml"), "databse: x\n").expect("written");
    for (arguments, code, part) in [
        (vec![at("broken.yml"), "-".to_owned()], 2, "broken.yml:"),
        (vec!["KW-0004".to_owned(), "-".to_owned()], 3, "did you mean `KW-004`?"),
        (vec![at("denied.yml"), "--config".to_owned(), at("wrong.yaml")], 3, "did you mean `database`?"),
        (vec![at("denied.yml"), "--config".to_owned(), at("keywatch.yaml")], 4, "none.db"),
        (vec![at("denied.yml"), at("no.log")], 4, "no.log"),
    ] {
        let arguments: Vec<&str> =
            ["rules", "backtest"].into_iter().chain(arguments.iter().map(String::as_str)).collect();
        let output = run(&arguments);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(said.contains(part), "{part} in {said}");
    }
}
