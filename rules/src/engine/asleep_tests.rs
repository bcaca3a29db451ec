//! A group that slept wakes to what it would have been.

use super::*;
use crate::engine::brief::Shared;
use crate::engine::{Engine, Settings};
use crate::field::{Field, Normal};
use crate::view::View;
use crate::{RuleSet, Seen, builtin, compile, examples, testing};
use keywatch_event::{Alert, AuditEvent, EventTime, Learned, Outcome, Place};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

/// Every field a sleeping group counts on.
const TOLD: [Normal; 18] = [
    Normal::Provider,
    Normal::Store,
    Normal::Account,
    Normal::PrincipalId,
    Normal::PrincipalKind,
    Normal::PrincipalName,
    Normal::PrincipalSession,
    Normal::PrincipalAccessKey,
    Normal::SourceIp,
    Normal::SourceKind,
    Normal::SourceRaw,
    Normal::SourceNetwork,
    Normal::UserAgent,
    Normal::UserAgentFamily,
    Normal::Actor,
    Normal::SecretsId,
    Normal::SecretsName,
    Normal::SecretsCount,
];

#[track_caller]
fn check(shared: &mut Shared, event: &AuditEvent<'_>) {
    let place = Place { name: Arc::from("t"), line: 1, record: 0 };
    let seen = Seen { event, place: &place, raw: b"{}" };
    let brief = shared.brief(&seen, (1, 0));
    let again = brief.event();
    let remembered = Seen { event: &again, place: &place, raw: b"" };
    let (whole, brief) = (View::alone(&seen), View::alone(&remembered));
    for normal in TOLD {
        let field = Field::Normal(normal);
        assert!(is_told(&field), "{normal:?}");
        assert_eq!(field.values(&brief), field.values(&whole), "{normal:?} of {event:?}");
    }
}

#[test]
fn a_brief_tells_every_field_a_sleeping_group_counts_on() {
    let normalizer = keywatch_ingest::provider::Normalizer::new();
    let (mut shared, mut records) = (Shared::default(), 0);
    check(&mut shared, &testing::event());
    for provider in ["aws", "azure", "gcp", "vault"] {
        let folder = format!("{}/../tests/fixtures/{provider}", env!("CARGO_MANIFEST_DIR"));
        for case in std::fs::read_dir(folder).unwrap() {
            let raw = std::fs::read(case.unwrap().path().join("record.json")).unwrap();
            let received_at = EventTime::from_secs(1_790_000_000);
            let Ok(Some(event)) = normalizer.normalize(&raw, received_at) else { continue };
            check(&mut shared, &event);
            records += 1;
        }
    }
    assert!(records > 100, "{records}");
}

#[test]
fn fields_of_the_record_and_of_its_receipt_keep_a_group_awake() {
    for told in [Normal::Operation, Normal::Region, Normal::TimeDelay, Normal::Planned] {
        assert!(!is_told(&Field::Normal(told)), "{told:?}");
    }
}

#[test]
fn a_group_sleeps_only_while_too_little_is_there() {
    assert_eq!(least(&[(Op::Gte, 5.0)]), Some(5));
    assert_eq!(least(&[(Op::Gt, 5.0)]), Some(6));
    assert_eq!(least(&[(Op::Gt, 4.5), (Op::Lte, 9.0)]), Some(5));
    assert_eq!(least(&[(Op::Gte, 1.0)]), None, "one event is enough");
    assert_eq!(least(&[(Op::Lte, 5.0)]), None, "none is enough");
    let hit = |hit| Presence::Hit(hit);
    assert!(is_monotone(&Presence::And(vec![hit(0), Presence::Or(vec![hit(1), hit(2)])])));
    assert!(!is_monotone(&Presence::And(vec![hit(0), Presence::Not(Box::new(hit(1)))])));
}

static RULES: LazyLock<Arc<RuleSet>> = LazyLock::new(|| {
    Arc::new(compile(builtin().iter().copied()).unwrap_or_else(|problems| panic!("{problems:?}")))
});

/// One event of a history, by numbers.
#[derive(Clone, Debug)]
struct Move {
    day: i64,
    second: i64,
    who: u8,
    secret: u8,
    outcome: u8,
    network: u8,
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let day = prop_oneof![6 => Just(0_i64), 2 => 0..5_i64, 1 => 0..12_i64];
    let second = prop_oneof![3 => 0..900_i64, 1 => 0..8_000_i64];
    let one = (day, second, 0..3_u8, 0..16_u8, 0..8_u8, 0..3_u8);
    let one = one.prop_map(|(day, second, who, secret, outcome, network)| Move {
        day,
        second,
        who,
        secret,
        outcome,
        network,
    });
    // In order as they come, or nearly, or not at all.
    (proptest::collection::vec(one, 1..120), 0..3_u8, 0..100_i64).prop_map(|(mut moves, order, late)| {
        match order {
            0 => moves.sort_by_key(|one| (one.day, one.second)),
            1 => moves
                .sort_by_key(|one| (one.day, one.second + if one.secret % 4 == 0 { late * 10 } else { 0 })),
            _ => {}
        }
        moves
    })
}

fn made(moves: &[Move]) -> Vec<AuditEvent<'static>> {
    let one = |(n, one): (usize, &Move)| {
        let outcome = match one.outcome {
            0 => Outcome::Denied,
            1 => Outcome::NotFound,
            _ => Outcome::Ok,
        };
        let ordinary = testing::event();
        let mut principal = ordinary.principal.clone();
        principal.id = format!("role/p{}", one.who).into();
        principal.access_key = Some(format!("ASIA{}", one.who).into());
        AuditEvent {
            // Ids are no order of arrival.
            id: format!("e{}", n.wrapping_mul(7919) % 1000).into(),
            time: EventTime::from_secs(1_780_045_500 + one.day * 86_400 + one.second),
            outcome,
            principal,
            source: keywatch_event::Source::from_text(format!("203.0.{}.9", one.network).into()),
            secrets: vec![testing::secret(&format!("s{}", one.secret))],
            ..ordinary
        }
    };
    moves.iter().enumerate().map(one).collect()
}

/// The alerts that stand in the end, and what was learned.
fn outcome(
    mut engine: Engine,
    events: &[AuditEvent<'_>],
    batch: usize,
) -> (BTreeMap<String, Alert>, Vec<Learned>) {
    let (mut alerts, mut learned) = (BTreeMap::new(), BTreeMap::new());
    for batch in events.chunks(batch) {
        let seen = |event| Seen { event, place: &testing::PLACE, raw: b"{}" };
        let evaluation = engine.evaluate(&batch.iter().map(seen).collect::<Vec<_>>());
        examples::apply(&mut alerts, evaluation.changes);
        for one in evaluation.learned {
            if one.state.is_empty() {
                learned.remove(&one.key);
            } else {
                learned.insert(one.key.clone(), one);
            }
        }
    }
    (alerts, learned.into_values().collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn who_sleeps_raises_and_learns_what_who_never_sleeps_does(moves in moves()) {
        let events = made(&moves);
        let engine = || Engine::new(Arc::clone(&RULES), Settings::default());
        let (alerts, learned) = outcome(engine(), &events, 7);
        let (wanted, known) = outcome(engine().sleepless(), &events, 7);
        prop_assert_eq!(alerts, wanted);
        prop_assert_eq!(learned, known);
    }

    #[test]
    fn the_way_a_stream_is_cut_changes_nothing_that_is_raised_or_learned(moves in moves(), batch in 2..40_usize) {
        let events = made(&moves);
        let settings = || Settings { late_from_secs: None, ..Settings::default() };
        let engine = || Engine::new(Arc::clone(&RULES), settings());
        let (mut alerts, learned) = outcome(engine(), &events, batch);
        let (mut wanted, known) = outcome(engine(), &events, 1);
        // What joins the alerts of other rules is told of with the batch, not with the event.
        alerts.retain(|_, alert| alert.rule != "KW-140");
        wanted.retain(|_, alert| alert.rule != "KW-140");
        prop_assert_eq!(alerts, wanted);
        prop_assert_eq!(learned, known);
    }
}

#[test]
fn an_event_of_the_batch_that_opens_an_incident_is_kept_as_long_as_the_incident_may_live() {
    let denied =
        |n: u8| Move { day: 0, second: i64::from(n) * 60, who: 0, secret: n, outcome: 0, network: 0 };
    let events = made(&(0..5).map(denied).collect::<Vec<_>>());
    let mut engine = Engine::new(Arc::clone(&RULES), Settings::default());
    let seen = |event| Seen { event, place: &testing::PLACE, raw: b"{}" };
    let evaluation = engine.evaluate(&events.iter().map(seen).collect::<Vec<_>>());
    let kept: Vec<u32> = evaluation.classified.iter().map(|said| said.matters_secs).collect();
    assert!(kept.iter().all(|secs| *secs >= 24 * 3600 + 3600), "{kept:?}");
}
