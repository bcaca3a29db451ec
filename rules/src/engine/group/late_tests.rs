//! A group that took its entries in any order is the group that took them in order, to the last step
//! that could be taken back.

use super::*;
use crate::engine::{Engine, Settings, State};
use crate::rule::{Kind, RuleSet};
use crate::{Seen, builtin, compile, testing};
use keywatch_event::{AuditEvent, Class, Outcome, Source};
use proptest::prelude::*;
use std::fmt::Write as _;
use std::sync::{Arc, LazyLock};

/// Rules whose incidents overlap, end within a window, grow by more than one key, repeat, escalate
/// and take further evidence.
const RULES: &str = r"
title: Reads
id: 00000000-0000-4000-8000-000000000001
name: reads
logsource: {product: keywatch, category: audit}
detection:
  read: {class: secret.read}
  condition: read
level: informational
---
title: Denied
id: 00000000-0000-4000-8000-000000000002
name: denied
logsource: {product: keywatch, category: audit}
detection:
  read: {class: secret.read, outcome: denied}
  condition: read
level: informational
---
title: Removed
id: 00000000-0000-4000-8000-000000000003
name: removed
logsource: {product: keywatch, category: audit}
detection:
  removal: {class: secret.delete}
  refused: {class: secret.delete, outcome: denied}
  creation: {class: secret.write}
  condition: removal
level: medium
keywatch:
  incident: {key: [principal.id, actor], or: [secrets.id], keep_alive: 5m, max_duration: 1h}
  attach: {when: creation, on: [secrets.id]}
  escalate: {to: critical, matching: refused, gte: 3, within: 10m}
---
title: Removed, widely
id: 00000000-0000-4000-8000-000000000008
name: widely
logsource: {product: keywatch, category: audit}
detection:
  removal: {class: secret.delete}
  condition: removal
level: medium
keywatch:
  incident: {key: [principal.id, actor], keep_alive: 20m, max_duration: 24h}
  escalate: {to: high, distinct: secrets.id, gte: 4}
---
title: Many
id: 00000000-0000-4000-8000-000000000004
name: many
correlation:
  type: event_count
  rules: [reads]
  group-by: [principal.id]
  timespan: 10m
  condition: {gte: 4}
level: high
keywatch:
  incident: {key: [principal.id, actor], keep_alive: 4m, max_duration: 30m}
---
title: Wide
id: 00000000-0000-4000-8000-000000000005
name: wide
correlation:
  type: value_count
  rules: [reads]
  group-by: [principal.id]
  timespan: 10m
  condition: {field: secrets.id, gte: 3}
level: high
keywatch:
  incident: {key: [principal.id, actor], keep_alive: 15m, max_duration: 2h, repeats: 1h}
---
title: From one address
id: 00000000-0000-4000-8000-000000000006
name: addresses
correlation:
  type: value_count
  rules: [denied]
  group-by: [source.ip]
  timespan: 20m
  condition: {field: principal.id, gte: 2}
level: high
keywatch:
  incident: {key: [source.ip], or: [secrets.id], keep_alive: 10m, max_duration: 2h}
---
title: Denied, then read
id: 00000000-0000-4000-8000-000000000007
name: order
correlation:
  type: temporal_ordered
  rules: [denied, reads]
  group-by: [principal.id, secrets.id]
  timespan: 15m
level: high
keywatch:
  incident: {key: [principal.id, secrets.id], keep_alive: 10m, max_duration: 1h}
---
title: A burst, then a read
id: 00000000-0000-4000-8000-000000000009
name: chain
correlation:
  type: temporal_ordered
  rules: [burst, reads]
  group-by: [principal.id]
  timespan: 20m
level: high
keywatch:
  incident: {key: [principal.id, actor], or: [secrets.id], keep_alive: 10m, max_duration: 1h}
---
title: Bursts of several names
id: 00000000-0000-4000-8000-000000000010
name: bursts
correlation:
  type: value_count
  rules: [burst]
  group-by: [source.ip]
  timespan: 30m
  condition: {field: secrets.id, gte: 2}
level: high
keywatch:
  incident: {key: [source.ip], keep_alive: 15m, max_duration: 2h}
---
title: Burst
name: burst
correlation:
  type: event_count
  rules: [denied]
  group-by: [principal.id]
  timespan: 10m
  condition: {gte: 2}
";

static OWN: LazyLock<Arc<RuleSet>> = LazyLock::new(|| {
    let set = compile([("late.yml", RULES)]).unwrap_or_else(|problems| panic!("{problems:?}"));
    Arc::new(set)
});

/// The shipped rules whose alerts do not depend on the order of arrival.
static SHIPPED: LazyLock<Arc<RuleSet>> = LazyLock::new(|| {
    let mut set = compile(builtin().iter().copied()).unwrap_or_else(|problems| panic!("{problems:?}"));
    set.rules.retain(|rule| match &rule.kind {
        Kind::Count(count) => !rule.kind.is_novel() && count.lagged.is_none(),
        Kind::Classify(_) | Kind::Silence(_) | Kind::Risk(_) | Kind::Observed(_) => false,
    });
    Arc::new(set)
});

fn event(n: usize, (secs, what, who, secret): (i64, usize, usize, usize)) -> AuditEvent<'static> {
    let (class, outcome, operation) = [
        (Class::SecretRead, Outcome::Ok, "GetSecretValue"),
        (Class::SecretRead, Outcome::Denied, "GetSecretValue"),
        (Class::SecretDelete, Outcome::Ok, "DeleteSecret"),
        (Class::SecretDelete, Outcome::Denied, "DeleteSecret"),
        (Class::SecretWrite, Outcome::Ok, "CreateSecret"),
        (Class::AuthFail, Outcome::Denied, "AssumeRole"),
        (Class::AuthOk, Outcome::Ok, "AssumeRole"),
    ][what];
    let ordinary = testing::event();
    let mut principal = ordinary.principal.clone();
    principal.id = format!("role/p{}", who % 3).into();
    AuditEvent {
        id: format!("e{:03}", n.wrapping_mul(7919) % 1000).into(),
        time: EventTime::from_secs(1_780_045_500 + secs),
        class,
        outcome,
        operation: operation.into(),
        principal,
        source: Source::from_text(format!("203.0.{}.9", who / 3).into()),
        secrets: vec![testing::secret(&format!("s{secret}"))],
        ..ordinary
    }
}

/// All there is to a group, but for what was told of it and the batches its events came in.
fn state(group: &Group) -> String {
    let mut text = String::new();
    for entry in &group.entries {
        writeln!(text, "{} {:?} {}", entry.brief.id, entry.owner, entry.counted).unwrap();
    }
    for act in &group.steps {
        match act {
            Act::Nothing => text.push_str("-\n"),
            Act::Joined(serial, undo) => writeln!(text, "joined {serial} {undo:?}").unwrap(),
            Act::Opened(taken) => {
                let taken: Vec<_> = taken.iter().map(|(brief, owner)| (&brief.id, owner)).collect();
                writeln!(text, "opened {taken:?}").unwrap();
            }
        }
    }
    let mut values: Vec<u64> = group.window.values().collect();
    values.sort_unstable();
    writeln!(text, "{} {} {values:?}", group.sealed, group.window.first).unwrap();
    for incident in &group.incidents {
        let members: Vec<_> = incident.members.iter().map(|member| &member.brief.id).collect();
        writeln!(text, "{:?} {} {members:?}", incident.mark(), incident.events).unwrap();
        writeln!(text, "{:?} {:?} {:?}", incident.id, incident.full_keys, incident.base_keys).unwrap();
    }
    text
}

/// The groups of every rule after these events.
fn groups(rules: &Arc<RuleSet>, events: &[&AuditEvent<'static>]) -> Vec<(usize, u64, String)> {
    let settings = Settings { late_from_secs: None, ..Settings::default() };
    let mut engine = Engine::new(Arc::clone(rules), settings).sleepless();
    for batch in events.chunks(7) {
        let seen = |event| Seen { event, place: &testing::PLACE, raw: b"{}" };
        engine.evaluate(&batch.iter().copied().map(seen).collect::<Vec<_>>());
    }
    let mut all: Vec<(usize, u64, String)> = Vec::new();
    for (rule, found) in engine.states.iter().enumerate() {
        if let State::Count(found) = found {
            all.extend(found.awake().map(|(hash, group)| (rule, hash, state(group))));
        }
    }
    all.sort();
    all
}

fn drawn() -> impl Strategy<Value = Vec<(i64, usize, usize, usize)>> {
    // Mostly one kind of event by one principal, so that windows are full and incidents long.
    let what = prop_oneof![3 => Just(0_usize), 3 => Just(1), 3 => Just(2), 2 => 3..7_usize];
    let who = prop_oneof![3 => Just(0_usize), 1 => 0..12_usize];
    proptest::collection::vec((0..9000_i64, what, who, 0..5_usize), 1..90)
}

fn shuffled<'e>(
    events: &'e [AuditEvent<'static>],
    order: &[u32],
    late_in: u32,
) -> Vec<&'e AuditEvent<'static>> {
    let mut sorted: Vec<_> = events.iter().collect();
    sorted.sort_by_key(|event| (event.time, event.id.clone()));
    // One in so many comes late, by up to the whole history.
    let mut places: Vec<(usize, &AuditEvent<'static>)> = sorted.into_iter().enumerate().collect();
    for ((place, _), lot) in places.iter_mut().zip(order) {
        if lot % late_in == 0 {
            *place += usize::try_from(lot >> 8).unwrap() % 90;
        }
    }
    places.sort_by_key(|(place, _)| *place);
    places.into_iter().map(|(_, event)| event).collect()
}

fn check(rules: &Arc<RuleSet>, drawn: &[(i64, usize, usize, usize)], (order, late_in): (&[u32], u32)) {
    let events: Vec<_> = drawn.iter().enumerate().map(|(n, one)| event(n, *one)).collect();
    let mut sorted: Vec<_> = events.iter().collect();
    sorted.sort_by_key(|event| (event.time, event.id.clone()));
    let (wanted, found) = (groups(rules, &sorted), groups(rules, &shuffled(&events, order, late_in)));
    assert_eq!(wanted.len(), found.len());
    for (wanted, found) in wanted.iter().zip(&found) {
        let differing = wanted.2.lines().zip(found.2.lines()).filter(|(wanted, found)| wanted != found);
        let differing: Vec<_> = differing.map(|(wanted, found)| format!("{wanted}\n{found}\n")).collect();
        assert!(wanted == found, "{:?}\n{}", rules.rules[wanted.0].id, differing.concat());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, max_shrink_iters: 300, ..ProptestConfig::default() })]

    #[test]
    fn a_group_is_what_it_would_be_had_all_come_in_order(
        drawn in drawn(),
        order in proptest::collection::vec(any::<u32>(), 90),
        late_in in 1_u32..8,
    ) {
        check(&OWN, &drawn, (&order, late_in));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, max_shrink_iters: 100, ..ProptestConfig::default() })]

    #[test]
    fn groups_of_the_shipped_rules_are_what_they_would_be_had_all_come_in_order(
        drawn in drawn(),
        order in proptest::collection::vec(any::<u32>(), 90),
        late_in in 1_u32..8,
    ) {
        check(&SHIPPED, &drawn, (&order, late_in));
    }
}

/// A chain whose incidents last as long as it goes on.
const CHAIN: &str = r"
title: A burst, then a read
name: chain
level: high
correlation: {type: temporal_ordered, rules: [burst, reads], group-by: [principal.id], timespan: 20m}
keywatch: {incident: {key: [principal.id], keep_alive: 1h, max_duration: 30d}}
---
title: Burst
name: burst
correlation: {type: event_count, rules: [denied], group-by: [principal.id], timespan: 10m, condition: {gte: 2}}
---
title: Reads
name: reads
detection: {read: {class: secret.read}, condition: read}
---
title: Denied
name: denied
detection: {read: {class: secret.read, outcome: denied}, condition: read}
";

/// Late events of the test below.
const LATE: usize = 3_000;

#[test]
fn what_comes_late_to_a_chain_costs_what_it_touches_and_not_what_came_since() {
    let set = compile([("chain.yml", CHAIN)]).unwrap_or_else(|problems| panic!("{problems:?}"));
    let mut engine = Engine::new(Arc::new(set), Settings { late_from_secs: None, ..Settings::default() });
    let reads = |n: usize, at: i64| AuditEvent { id: format!("e{n}").into(), ..event(0, (at, 0, 0, n % 5)) };
    let refused = |n: usize, at: i64| AuditEvent { id: format!("r{n}").into(), ..event(0, (at, 1, 0, 0)) };
    let evaluate = |engine: &mut Engine, events: &[AuditEvent<'static>]| {
        let seen = |event| Seen { event, place: &testing::PLACE, raw: b"{}" };
        engine.evaluate(&events.iter().map(seen).collect::<Vec<_>>())
    };
    // Seconds apart, a burst every quarter of an hour; then every second one of them late, alone.
    let on_time = (0..LATE).map(|n| reads(n, 2 * i64::try_from(n).unwrap()));
    let bursts = (0..LATE / 200).flat_map(|n| {
        [0, 1, 2]
            .map(|at| refused(3 * n + usize::try_from(at).unwrap(), 400 * i64::try_from(n).unwrap() + at))
    });
    evaluate(&mut engine, &on_time.chain(bursts).collect::<Vec<_>>());
    for n in 0..LATE {
        evaluate(&mut engine, &[reads(LATE + n, 2 * i64::try_from(n).unwrap() + 1)]);
        if n % 100 == 0 {
            evaluate(&mut engine, &[refused(LATE + n, 2 * i64::try_from(n).unwrap() + 3)]);
        }
    }
    let chain = engine.rules.rules.iter().position(|rule| rule.title == "A burst, then a read").unwrap();
    let Some(State::Count(found)) = engine.states.get(chain) else { panic!("it counts") };
    let (entries, steps) = found
        .awake()
        .fold((0, 0), |(entries, steps), (_, group)| (entries + group.len(), steps + group.steps_taken));
    assert!(entries > 2 * LATE, "{entries}");
    assert!(steps < 3 * entries, "{steps} steps for {entries} entries");
}
