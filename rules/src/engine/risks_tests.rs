//! Alerts that are joined, and what becomes of that.

use super::*;
use keywatch_event::{AuditEvent, Class};

fn alert(level: Level, events: &[&str]) -> Arc<AlertFacts> {
    Arc::new(AlertFacts {
        id: AlertId(events.concat()),
        rule: "KW-102".into(),
        level,
        opened_at_secs: 0,
        principal: None,
        source: None,
        evidence: events.iter().map(|event| hashed(event)).collect(),
        events: 1,
        bytes: 1,
    })
}

/// Two rules, and one that joins what they raise within a day.
fn engine() -> Engine {
    let rule = |name: &str, level: &str, wanted: &str| {
        format!(
            "title: {name}\nname: {name}\nlevel: {level}\ndetection: {{s: {{{wanted}}}, condition: s}}\nkeywatch: {{incident: {{key: [principal.id], keep_alive: 1h}}}}\n---\n"
        )
    };
    let rules = rule("R-1", "high", "class: secret.read")
        + &rule("R-2", "medium", "secrets.name: [c, d, e]")
        + "title: Joined\nname: R-3\nlevel: critical\nkeywatch: {action: Look, risk: {by: [principal], rules: 2, level: high, within: 24h}}\n";
    let set = crate::compile([("a.yml", &*rules)]).unwrap_or_else(|problems| panic!("{problems:?}"));
    Engine::new(Arc::new(set), crate::Settings::default())
}

/// What becomes of joined alerts when a secret is used: R-1 raises for reads, R-2 for c, d and e.
fn joined(engine: &mut Engine, hour: i64, (class, name): (Class, &str)) -> Vec<AlertChange> {
    let event = AuditEvent {
        id: format!("{hour}-{name}").into(),
        time: keywatch_event::EventTime::from_secs(1_790_000_000 + hour * 3600),
        class,
        secrets: vec![crate::testing::secret(name)],
        ..crate::testing::event()
    };
    let seen = crate::Seen { event: &event, place: &crate::testing::PLACE, raw: b"{}" };
    let mut changes = engine.evaluate(&[seen]).changes;
    changes.retain(|change| match change {
        AlertChange::Opened { alert, .. } | AlertChange::Updated { alert, .. } => alert.rule == "R-3",
        AlertChange::Withdrawn { reason, .. } => reason.starts_with("the alerts it joined"),
    });
    changes
}

#[test]
fn an_event_that_several_rules_raised_for_is_counted_once() {
    let mut engine = engine();
    let mut told = Vec::new();
    for name in ["a", "b", "c", "d", "e"] {
        let class = if name < "d" { Class::SecretRead } else { Class::SecretMeta };
        told.extend(joined(&mut engine, 0, (class, name)));
    }
    let Some(AlertChange::Updated { alert, .. }) = told.last() else { panic!("{told:?}") };
    assert_eq!((alert.events, alert.evidence.len()), (5, 5));
}

#[test]
fn what_was_joined_days_ago_stands_and_what_comes_is_joined_anew() {
    let mut engine = engine();
    assert!(joined(&mut engine, 0, (Class::SecretRead, "a")).is_empty());
    let first = joined(&mut engine, 2, (Class::SecretMeta, "c"));
    assert!(matches!(&first[..], [AlertChange::Opened { .. }]), "{first:?}");
    // Its first alert is let go before its second, which is no part of another.
    for hour in [30, 49, 51, 73, 97] {
        let later = joined(&mut engine, hour, (Class::SecretMeta, "c"));
        assert!(later.is_empty(), "hour {hour}: {later:?}");
    }
    let second = joined(&mut engine, 100, (Class::SecretRead, "a"));
    assert!(matches!(&second[..], [AlertChange::Opened { .. }]), "{second:?}");
}

#[test]
fn what_is_left_of_an_incident_joins_nothing_else() {
    let mut engine = engine();
    assert!(joined(&mut engine, 0, (Class::SecretMeta, "c")).is_empty());
    assert_eq!(joined(&mut engine, 20, (Class::SecretRead, "a")).len(), 1);
    assert!(joined(&mut engine, 43, (Class::SecretMeta, "d")).is_empty(), "a day after the first");
    for hour in [50, 52] {
        assert!(joined(&mut engine, hour, (Class::SecretMeta, "e")).is_empty(), "hour {hour}");
    }
}

#[test]
fn who_it_was_is_said_once_and_not_in_every_title() {
    let brief = |title: &str| without_who(title, "app", Some("i-1"));
    assert_eq!(
        brief("Tool of intruders: 2 secrets by app, session i-1 (x)"),
        "Tool of intruders: 2 secrets (x)"
    );
    assert_eq!(brief("Secrets listed by app"), "Secrets listed");
    assert_eq!(brief("Secrets listed by app, session i-2"), "Secrets listed, session i-2");
    for whole in ["Secrets listed by app2", "Failed authentication as app", "Secrets listed by ops, then app"]
    {
        assert_eq!(brief(whole), whole);
    }
}

#[test]
fn what_a_critical_alert_cites_with_all_its_evidence_is_one_finding() {
    let (critical, high) = (Level::Critical, Level::High);
    assert!(is_one_finding(&[alert(high, &["b"]), alert(critical, &["a", "b"])]));
    assert!(!is_one_finding(&[alert(high, &["c"]), alert(critical, &["a", "b"])]));
    assert!(!is_one_finding(&[alert(high, &["a", "b"]), alert(Level::Warning, &["b"])]));
}
