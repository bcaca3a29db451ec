//! Every rule of a checkout of the public collection gives the right answer: it says that its
//! records are not ingested, or it finds a record that has what it asks for.
//!
//! The checkout is not part of this repository: `KEYWATCH_SIGMA` names its folder (SigmaHQ's
//! `rules/cloud`). Without it nothing is checked, which the test says.

use keywatch_event::{
    AuditEvent, Class, EventTime, Outcome, Place, Principal, PrincipalKind, Provider, Source,
};
use keywatch_rules::yaml::{Data, Node, parse};
use keywatch_rules::{Engine, RuleSet, Seen, Settings, compile};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Log sources that reach a running Keywatch.
const INGESTED: &[(&str, Provider)] = &[
    ("aws/cloudtrail", Provider::Aws),
    ("gcp/gcp.audit", Provider::Gcp),
    ("azure/activitylogs", Provider::Azure),
];
const LIMITS: &str = include_str!("../../docs/limits.md");

fn find(folder: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            find(&path, files)?;
        } else if path.extension().is_some_and(|ending| ending == "yml") {
            files.push(path);
        }
    }
    Ok(())
}

fn source(rule: &Node) -> String {
    let word = |key| rule.get("logsource").and_then(|source| source.get(key)).and_then(Node::text);
    [word("product"), word("category"), word("service")].into_iter().flatten().collect::<Vec<_>>().join("/")
}

/// The selections a condition asks for, of several alternatives the first.
fn asked(detection: &Node) -> Vec<&Node> {
    let Data::Map(entries) = &detection.data else { return Vec::new() };
    let condition = detection.get("condition").and_then(|node| node.items().first()).and_then(Node::text);
    let words: Vec<String> = condition.unwrap_or_default().split_whitespace().map(str::to_owned).collect();
    let (mut found, mut at) = (Vec::new(), 0);
    let mut negated = false;
    while let Some(word) = words.get(at) {
        let quantified = words.get(at + 1).is_some_and(|next| next == "of");
        let pattern = if quantified { words.get(at + 2) } else { Some(word) };
        at += if quantified { 3 } else { 1 };
        if ["and", "or"].contains(&word.as_str()) {
            continue;
        }
        if word == "not" {
            negated = true;
            continue;
        }
        let pattern = pattern.map(|text| text.trim_matches(['(', ')']).to_owned()).unwrap_or_default();
        let fits =
            |name: &str| pattern.strip_suffix('*').map_or(name == pattern, |head| name.starts_with(head));
        let fitting = entries.iter().filter(|(key, _)| key.text().is_some_and(|name| fits(&name)));
        let limit = if quantified && word != "all" { 1 } else { usize::MAX };
        if !std::mem::take(&mut negated) {
            found.extend(fitting.map(|(_, body)| body).take(limit));
        }
    }
    found
}

/// Puts what an item asks for into a record.
fn put(record: &mut Map<String, Value>, key: &str, value: &Node) {
    let mut words = key.split('|');
    let field = words.next().unwrap_or_default();
    let field = field.strip_prefix("data.").unwrap_or(field);
    let field = if field == "gcp.audit.method_name" { "protoPayload.methodName" } else { field };
    let modifiers: Vec<&str> = words.collect();
    let texts: Vec<String> = value.items().iter().filter_map(Node::text).collect();
    let wanted =
        if modifiers.contains(&"all") { texts.join(" ") } else { texts.first().cloned().unwrap_or_default() };
    if value.items().iter().all(|node| matches!(node.data, Data::Null)) {
        return;
    }
    let plain = wanted.replace(['*', '?'], "x").replace('\\', "");
    let mut here = record;
    let mut path: Vec<&str> = field.split('.').collect();
    let last = path.pop().unwrap_or_default();
    for step in path {
        let inner = here.entry(step).or_insert_with(|| Value::Object(Map::new()));
        if !inner.is_object() {
            *inner = Value::Object(Map::new());
        }
        let Value::Object(inside) = inner else { return };
        here = inside;
    }
    // Several items about one field ask for its beginning, its end and what lies between.
    let before = here.get(last).and_then(Value::as_str).unwrap_or_default();
    let whole = if modifiers.contains(&"startswith") {
        format!("{plain}{before}")
    } else {
        format!("{before}{plain}")
    };
    here.insert(last.to_owned(), Value::String(whole));
}

/// A record that has what the rule asks for.
fn record(rule: &Node) -> Value {
    let mut record = Map::new();
    for selection in rule.get("detection").map(asked).unwrap_or_default() {
        if let Data::Map(entries) = &selection.items().first().unwrap_or(selection).data {
            for (key, value) in entries {
                put(&mut record, &key.text().unwrap_or_default(), value);
            }
        } else {
            let word = selection.items().iter().find_map(Node::text).unwrap_or_default();
            record.insert("words".to_owned(), Value::String(word.replace('*', "x")));
        }
    }
    Value::Object(record)
}

fn event(provider: Provider) -> AuditEvent<'static> {
    let time = EventTime::from_secs(1_777_593_600);
    AuditEvent {
        id: "e".into(),
        time,
        time_raw: None,
        received_at: time,
        provider,
        service: "".into(),
        store: None,
        account: None,
        region: None,
        operation: "".into(),
        class: Class::Other,
        outcome: Outcome::Ok,
        error: None,
        principal: Principal {
            id: "somebody".into(),
            kind: PrincipalKind::User,
            name: None,
            session: None,
            access_key: None,
            via: None,
        },
        source: Source::from_text("192.0.2.9".into()),
        user_agent: None,
        secrets: Vec::new(),
        echo_of: None,
        scrubbed: Vec::new(),
        told: None,
    }
}

fn finds(set: &Arc<RuleSet>, provider: Provider, raw: &Value) -> bool {
    let mut engine = Engine::new(Arc::clone(set), Settings::default());
    let (event, raw) = (event(provider), raw.to_string());
    let place = Place { name: Arc::from("t"), line: 1, record: 0 };
    let evaluation = engine.evaluate(&[Seen { event: &event, place: &place, raw: raw.as_bytes() }]);
    evaluation.classified.iter().any(|said| !said.rules.is_empty())
}

/// What is wrong with the answer one rule gives; the log source it is blind for.
fn judge(text: &str) -> Result<Option<String>, String> {
    let set = compile([("rule.yml", text)]).map_err(|problems| format!("{problems:?}"))?;
    let documents = parse("rule.yml", text).map_err(|problem| problem.to_string())?;
    let (Some(rule), Some(document)) = (set.rules.first(), documents.first()) else {
        return Err("no rule".to_owned());
    };
    let source = source(document);
    let Some((_, provider)) = INGESTED.iter().find(|(name, _)| *name == source) else {
        let wanted = format!("Keywatch does not ingest {source}");
        let right = rule.blind.as_deref() == Some(&*wanted);
        return if right { Ok(Some(source)) } else { Err(format!("{source}: blind is {:?}", rule.blind)) };
    };
    if let Some(reason) = &rule.blind {
        return Err(format!("is blind though {source} is ingested: {reason}"));
    }
    let (set, wanted) = (Arc::new(set), record(document));
    if !finds(&set, *provider, &wanted) {
        return Err(format!("does not find {wanted}"));
    }
    let other = if *provider == Provider::Aws { Provider::Gcp } else { Provider::Aws };
    if finds(&set, other, &wanted) || finds(&set, *provider, &Value::Object(Map::new())) {
        return Err("finds what it does not ask for".to_owned());
    }
    Ok(None)
}

#[test]
fn every_rule_of_the_collection_gives_the_right_answer() {
    let named = std::env::vars_os().find(|(key, _)| key == "KEYWATCH_SIGMA");
    let mut paths = Vec::new();
    if let Some((_, folder)) = &named {
        find(Path::new(folder), &mut paths).unwrap();
    }
    let (mut wrong, mut blind, mut found) = (Vec::new(), BTreeMap::<String, usize>::new(), 0);
    for path in &paths {
        match judge(&fs::read_to_string(path).unwrap()) {
            Ok(Some(source)) => *blind.entry(source).or_default() += 1,
            Ok(None) => found += 1,
            Err(reason) => wrong.push(format!("{}: {reason}", path.display())),
        }
    }
    #[expect(clippy::print_stderr, reason = "the count is what somebody runs this for")]
    match &named {
        Some(_) => eprintln!("{found} rules find what they ask for; blind: {blind:?}"),
        None => eprintln!("KEYWATCH_SIGMA names no checkout: nothing was checked"),
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), paths.len(), wrong.join("\n"));
    let untold: Vec<&String> =
        blind.keys().filter(|source| !LIMITS.contains(&format!("`{source}`"))).collect();
    assert!(untold.is_empty(), "docs/limits.md does not name {untold:?}");
}
