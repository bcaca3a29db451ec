//! The same events give the same alerts: in any order of arrival, any split into batches, with
//! duplicates, and across a restart. (First-seen baselines follow the order of commit and are
//! tested on their own.)
#![expect(clippy::indexing_slicing, reason = "a test that indexes out of its own bounds should fail")]

mod stored;

use keywatch_event::{
    Alert, AuditEvent, Class, EventTime, Outcome, Place, Principal, PrincipalKind, Provider, SecretRef,
    Source,
};
use keywatch_rules::rule::Kind;
use keywatch_rules::{Engine, RuleSet, Seen, Settings, builtin, compile, examples};
use proptest::prelude::*;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};
use stored::Stored;

static RULES: LazyLock<Arc<RuleSet>> = LazyLock::new(|| {
    let mut set = compile(builtin().iter().copied()).expect("the shipped rules compile");
    set.rules.retain(|rule| follows_no_order(&rule.kind));
    Arc::new(set)
});

/// Baselines, learned thresholds and silences follow the order of commit, and joined alerts what
/// those raise.
fn follows_no_order(kind: &Kind) -> bool {
    match kind {
        Kind::Count(count) => !kind.is_novel() && count.lagged.is_none(),
        Kind::Classify(_) => !kind.is_novel(),
        Kind::Silence(_) | Kind::Risk(_) | Kind::Observed(_) => false,
    }
}

fn settings() -> Settings {
    Settings { late_from_secs: None, ..Settings::default() }
}

fn event(n: usize, secs: i64, what: usize, who: usize, secret: usize) -> AuditEvent<'static> {
    let (class, outcome, operation) = [
        (Class::SecretRead, Outcome::Denied, "GetSecretValue"),
        (Class::SecretRead, Outcome::NotFound, "GetSecretValue"),
        (Class::SecretRead, Outcome::Ok, "GetSecretValue"),
        (Class::SecretDelete, Outcome::Ok, "DeleteSecret"),
        (Class::SecretDelete, Outcome::Denied, "DeleteSecret"),
        (Class::SecretWrite, Outcome::Ok, "CreateSecret"),
        (Class::AuthFail, Outcome::Denied, "AssumeRole"),
        (Class::AuthOk, Outcome::Ok, "AssumeRole"),
        (Class::AuthFail, Outcome::Unauthenticated, "ConsoleLogin"),
        (Class::AuthChallenge, Outcome::Unauthenticated, "SecretGet"),
    ][what];
    let id: Cow<'static, str> = format!("role/{}", who % 3).into();
    let name: Cow<'static, str> = format!("secret/{secret}").into();
    AuditEvent {
        id: format!("e{n}").into(),
        time: EventTime::from_secs(1_800_000_000 + secs),
        time_raw: None,
        received_at: EventTime::from_secs(1_800_000_000),
        provider: if what == 9 { Provider::Azure } else { Provider::Aws },
        service: "".into(),
        store: Some("sm".into()),
        account: None,
        region: None,
        operation: operation.into(),
        class,
        outcome,
        error: None,
        principal: Principal {
            id,
            kind: PrincipalKind::Role,
            name: None,
            session: None,
            access_key: None,
            via: None,
        },
        source: Source::from_text(format!("203.0.{who}.1").into()),
        user_agent: None,
        secrets: vec![SecretRef { id: name.clone(), name, version: None }],
        echo_of: None,
        scrubbed: Vec::new(),
        told: None,
    }
}

fn alerts(batches: &[&[&AuditEvent<'static>]], restart_at: Option<usize>) -> BTreeMap<String, Alert> {
    let place = Place { name: Arc::from("t"), line: 1, record: 0 };
    let mut engine = Engine::new(Arc::clone(&RULES), settings());
    let mut standing = BTreeMap::new();
    let mut stored = Stored::default();
    for (n, batch) in batches.iter().enumerate() {
        if restart_at == Some(n) {
            engine = Engine::new(Arc::clone(&RULES), settings());
            engine.restore(&[], &stored.signals(&place, |_, secs| secs > 0));
        }
        let seen: Vec<Seen<'_>> =
            batch.iter().map(|event| Seen { event, place: &place, raw: b"{}" }).collect();
        let evaluation = engine.evaluate(&seen);
        stored.commit(batch, &evaluation);
        examples::apply(&mut standing, evaluation.changes);
    }
    standing
}

/// Where two sets of alerts differ, a line each.
fn differences(found: &BTreeMap<String, Alert>, clean: &BTreeMap<String, Alert>) -> Vec<String> {
    let ids = found.keys().chain(clean.keys()).collect::<std::collections::BTreeSet<_>>();
    let differ = ids.into_iter().filter(|id| found.get(*id) != clean.get(*id));
    let events = |alert: Option<&Alert>| {
        alert.map(|a| (a.level, a.events, a.evidence.iter().map(|e| e.event.clone()).collect::<Vec<_>>()))
    };
    let rule = |id: &String| found.get(id).or(clean.get(id)).map(|alert| alert.rule.clone());
    differ
        .map(|id| {
            format!("{:?}: {:?} instead of {:?}", rule(id), events(found.get(id)), events(clean.get(id)))
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, max_shrink_iters: 60, ..ProptestConfig::default() })]

    #[test]
    fn order_batches_duplicates_and_restarts_change_no_alert(
        drawn in proptest::collection::vec((0_i64..7200, 0_usize..10, 0_usize..6, 0_usize..5), 1..80),
        order in proptest::collection::vec(any::<u32>(), 80),
        sizes in proptest::collection::vec(1_usize..12, 80),
        again in proptest::collection::vec(any::<proptest::sample::Index>(), 0..10),
        restart in proptest::option::of(0_usize..20),
    ) {
        let events: Vec<_> = drawn.iter().enumerate().map(|(n, (t, what, who, s))| event(n, *t, *what, *who, *s)).collect();
        let mut sorted: Vec<&AuditEvent<'static>> = events.iter().collect();
        sorted.sort_by_key(|e| (e.time, e.id.clone()));
        let clean = alerts(&[&sorted], None);

        let mut shuffled: Vec<(u32, &AuditEvent<'static>)> = order.iter().copied().zip(&events).collect();
        shuffled.extend(again.iter().map(|index| (order[0], index.get(&events))));
        shuffled.sort_by_key(|(key, _)| *key);
        let shuffled: Vec<&AuditEvent<'static>> = shuffled.into_iter().map(|(_, e)| e).collect();
        let mut rest = shuffled.as_slice();
        let mut batches = Vec::new();
        for size in sizes {
            let (head, tail) = rest.split_at(size.min(rest.len()));
            batches.push(head);
            rest = tail;
        }
        batches.push(rest);
        let restart = restart.filter(|at| *at < batches.len());
        let found = alerts(&batches, restart);
        prop_assert_eq!(differences(&found, &clean), Vec::<String>::new());
    }
}

#[test]
fn telling_seldom_tells_the_same() {
    let place = Place { name: Arc::from("t"), line: 1, record: 0 };
    let events: Vec<_> = (0..400_usize)
        .map(|n| event(n, i64::try_from(n * 37 % 7000).unwrap(), n % 10, n % 6, n % 5))
        .collect();
    let told = |tell_every: usize| {
        let mut engine = Engine::new(Arc::clone(&RULES), Settings { tell_every, ..settings() });
        let mut standing = BTreeMap::new();
        for batch in events.chunks(7) {
            let seen: Vec<Seen<'_>> =
                batch.iter().map(|event| Seen { event, place: &place, raw: b"{}" }).collect();
            examples::apply(&mut standing, engine.evaluate(&seen).changes);
        }
        examples::apply(&mut standing, engine.tell().changes);
        standing
    };
    assert!(!told(1).is_empty());
    assert_eq!(differences(&told(100_000), &told(1)), Vec::<String>::new());
    assert_eq!(differences(&told(50), &told(1)), Vec::<String>::new());
}

#[test]
fn memory_stays_bounded_and_an_open_incident_is_not_forgotten() {
    let settings = Settings { entries_max: 500, ..settings() };
    let mut engine = Engine::new(Arc::clone(&RULES), settings);
    let place = Place { name: Arc::from("t"), line: 1, record: 0 };
    let mut standing = BTreeMap::new();
    let events: Vec<_> =
        (0..5_000_u16).map(|n| event(n.into(), i64::from(n) * 20, 0, 1, usize::from(n % 4))).collect();
    for batch in events.chunks(50) {
        let seen: Vec<Seen<'_>> =
            batch.iter().map(|event| Seen { event, place: &place, raw: b"{}" }).collect();
        examples::apply(&mut standing, engine.evaluate(&seen).changes);
        assert!(engine.gauges().entries <= 600, "{:?}", engine.gauges());
    }
    let mine: Vec<&Alert> = standing.values().filter(|alert| alert.rule == "KW-005").collect();
    assert_eq!(mine.len(), 2, "28 hours of one incident, cut at 24: {mine:#?}");
}
