//! Somebody busy whose days are alike sleeps, and raises and teaches what they would awake.

use crate::engine::{Engine, Settings, State};
use crate::{RuleSet, Seen, compile, examples, testing};
use keywatch_event::{Alert, AuditEvent, EventTime, Learned};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

/// Rules whose own bound is met all the time, so that what was learned decides.
const RULES: &str = "
title: Read
name: read
level: informational
logsource: {product: keywatch, category: audit}
detection:
  read: {class: secret.read}
  condition: read
---
title: More than the highest
name: highest
level: medium
correlation:
  {type: value_count, rules: [read], group-by: [principal.id], timespan: 10m, condition: {field: secrets.id, gte: 2}}
keywatch:
  lagged: {highest: 1.5, plus: 1, days: 3, days_min: 1, growth_weekly_max: 1.5}
  incident: {key: [principal.id], keep_alive: 5m, max_duration: 1h}
---
title: More than the spread
name: spread
level: medium
correlation:
  {type: value_count, rules: [read], group-by: [principal.id], timespan: 1h, condition: {field: secrets.id, gte: 2}}
keywatch:
  lagged: {spread: 2, days: 4, days_min: 2, growth_weekly_max: 3, silent: true}
  incident: {key: [principal.id, actor], keep_alive: 30m, max_duration: 24h}
";

static SET: LazyLock<Arc<RuleSet>> = LazyLock::new(|| {
    Arc::new(compile([("busy.yml", RULES)]).unwrap_or_else(|problems| panic!("{problems:?}")))
});

/// A read: on which day, at which second, by whom, of which secret.
type Read = (i64, i64, u8, u8);

fn made(n: usize, (day, second, who, secret): Read) -> AuditEvent<'static> {
    let ordinary = testing::event();
    let mut principal = ordinary.principal.clone();
    principal.id = format!("role/p{who}").into();
    AuditEvent {
        id: format!("e{}", n.wrapping_mul(7919) % 10_007).into(),
        time: EventTime::from_secs(1_780_045_500 + day * 86_400 + second),
        principal,
        secrets: vec![testing::secret(&format!("s{secret}"))],
        ..ordinary
    }
}

/// The alerts that stand in the end, what was learned, and how many groups are awake.
fn outcome(
    mut engine: Engine,
    reads: &[Read],
    batch: usize,
) -> (BTreeMap<String, Alert>, Vec<Learned>, usize) {
    let events: Vec<AuditEvent<'_>> = reads.iter().enumerate().map(|(n, read)| made(n, *read)).collect();
    let (mut alerts, mut learned) = (BTreeMap::new(), BTreeMap::new());
    for batch in events.chunks(batch) {
        let seen = |event| Seen { event, place: &testing::PLACE, raw: b"{}" };
        let evaluation = engine.evaluate(&batch.iter().map(seen).collect::<Vec<_>>());
        examples::apply(&mut alerts, evaluation.changes);
        learned.extend(evaluation.learned.into_iter().map(|one| (one.key.clone(), one)));
    }
    let awake = engine.states.iter().map(|state| match state {
        State::Count(state) => state.awake().count(),
        State::None | State::Silence(_) | State::Risk(_) => 0,
    });
    let awake = awake.sum();
    (alerts, learned.into_values().collect(), awake)
}

fn engine() -> Engine {
    Engine::new(Arc::clone(&SET), Settings::default())
}

#[test]
fn who_reads_as_many_secrets_every_day_sleeps_until_they_read_more() {
    let day = |day: i64, secrets: u8| (0..secrets).map(move |n| (day, i64::from(n) * 20, 0, n));
    let usual: Vec<Read> = (0..2).flat_map(|at| day(at, 1)).chain((2..6).flat_map(|at| day(at, 2))).collect();
    let (alerts, _, awake) = outcome(engine(), &usual, 5);
    assert_eq!((alerts.len(), awake), (0, 0), "{alerts:?}");
    let more: Vec<Read> = usual.into_iter().chain(day(6, 9)).collect();
    let (alerts, _, awake) = outcome(engine(), &more, 5);
    assert_eq!((alerts.len(), awake), (2, 2), "{alerts:?}");
}

fn reads() -> impl Strategy<Value = Vec<Read>> {
    let second = prop_oneof![3 => 0..900_i64, 1 => 0..8_000_i64];
    let one = (0..7_i64, second, 0..2_u8, 0..9_u8);
    // In order as they come, or some late within their day, or by days.
    (proptest::collection::vec(one, 1..160), 0..4_u8, 1..900_i64).prop_map(|(mut reads, order, late)| {
        let lateness = |read: &Read| if read.3 == 0 { late } else { 0 };
        match order {
            0 => reads.sort_by_key(|read| (read.0, read.1)),
            1 => reads.sort_by_key(|read| (read.0, read.1 + lateness(read))),
            2 => reads.sort_by_key(|read| (read.0 + i64::from(read.3 == 0 && read.2 == 0) * 2, read.1)),
            _ => {}
        }
        reads
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn who_sleeps_while_busy_raises_and_learns_what_who_never_sleeps_does(reads in reads(), batch in 1..9_usize) {
        let (alerts, learned, _) = outcome(engine(), &reads, batch);
        let (wanted, known, _) = outcome(engine().sleepless(), &reads, batch);
        prop_assert_eq!(alerts, wanted);
        prop_assert_eq!(learned, known);
    }
}
