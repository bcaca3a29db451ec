//! Who is asked about familiar events learns and says what who is asked about every event does.

use super::*;
use crate::engine::{Engine, Settings};
use crate::{RuleSet, Seen, builtin, compile, testing};
use keywatch_event::{AuditEvent, Evaluation, EventTime, Outcome, Source};
use proptest::prelude::*;
use std::sync::{Arc, LazyLock};

/// Baselines that forget and lose often, alone: others take long to know anybody.
static FEW: LazyLock<Arc<RuleSet>> = LazyLock::new(|| rules(&[]));
/// The shipped rules as well.
static RULES: LazyLock<Arc<RuleSet>> = LazyLock::new(|| rules(builtin()));

fn rules(shipped: &[(&str, &str)]) -> Arc<RuleSet> {
    let baseline = |name: &str, says: &str| {
        let text = format!(
            "title: T\nname: {name}\nlevel: medium\nlogsource: {{product: keywatch, category: audit}}\n\
             detection: {{read: {{class: secret.read}}, condition: read}}\nkeywatch: {{first_seen: {says}}}\n"
        );
        (format!("{name}.yml"), text)
    };
    let own = [
        baseline("few", "{of: [secrets.id], per: [principal.id], learn: 0s, values_max: 3}"),
        baseline("short", "{of: [secrets.id], per: [principal.id], learn: 0s, decay: 3h}"),
        baseline(
            "aged",
            "{of: [source.network], per: [principal.id], learn: 1h, mature: {age: 1h, events: 3, days: 2}}",
        ),
        baseline(
            "moves",
            "{of: source.network, per: [principal.id], learn: 0s, accept_days: 2, mobile: {networks: 3, within: 2h}}",
        ),
    ];
    let shipped = shipped.iter().map(|(name, text)| (*name, *text));
    let all = shipped.chain(own.iter().map(|(name, text)| (&**name, &**text)));
    Arc::new(compile(all).unwrap_or_else(|problems| panic!("{problems:?}")))
}

/// One event after another, by numbers.
#[derive(Clone, Debug)]
struct Move {
    /// Seconds since the one before.
    after: i64,
    who: u8,
    secret: u8,
    network: u8,
    denied: bool,
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let after = prop_oneof![
        8 => 0..30_i64,
        3 => 30..4_000_i64,
        2 => 4_000..90_000_i64,
        1 => -5_000..0_i64,
    ];
    // Most are like many others.
    let few = |most: u8| prop_oneof![6 => 0..2_u8, 1 => 0..most];
    let one = (after, few(3), few(9), few(6), prop::bool::weighted(0.03));
    let one =
        one.prop_map(|(after, who, secret, network, denied)| Move { after, who, secret, network, denied });
    proptest::collection::vec(one, 1..150)
}

fn made(moves: &[Move]) -> Vec<AuditEvent<'static>> {
    let mut at = 1_780_045_500;
    let one = |(n, one): (usize, &Move)| {
        at += one.after;
        let mut event = testing::event();
        event.id = format!("e{n}").into();
        event.time = EventTime::from_secs(at);
        event.principal.id = format!("role/p{}", one.who).into();
        event.source = Source::from_text(format!("203.0.{}.9", one.network).into());
        event.secrets = vec![testing::secret(&format!("s{}", one.secret))];
        if one.denied {
            event.outcome = Outcome::Denied;
        }
        event
    };
    moves.iter().enumerate().map(one).collect()
}

fn told(engine: &mut Engine, events: &[AuditEvent<'_>]) -> Evaluation {
    let seen = |event| Seen { event, place: &testing::PLACE, raw: b"{}" };
    engine.evaluate(&events.iter().map(seen).collect::<Vec<_>>())
}

#[track_caller]
fn check(rules: &Arc<RuleSet>, events: &[AuditEvent<'_>], learned_bytes_max: usize) -> u32 {
    let settings = Settings { learned_bytes_max, ..Settings::default() };
    let engine = || Engine::new(Arc::clone(rules), settings.clone());
    let (mut one, mut other) = (engine(), engine().strange());
    for batch in events.chunks(5) {
        let (found, wanted) = (told(&mut one, batch), told(&mut other, batch));
        assert_eq!(found.classified, wanted.classified);
        assert_eq!(found.changes, wanted.changes);
        assert_eq!(found.learned, wanted.learned);
    }
    assert_eq!(one.gauges(), other.gauges());
    one.familiar.found
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn familiar_events_say_and_teach_what_they_would_if_every_baseline_was_asked(
        moves in moves(),
        learned_bytes_max in prop_oneof![2 => Just(112 << 20), 1 => 6_000..40_000_usize],
    ) {
        let events = made(&moves);
        check(&FEW, &events, learned_bytes_max);
        check(&RULES, &events, learned_bytes_max);
    }
}

#[test]
fn most_of_the_same_reads_by_the_same_people_are_familiar() {
    let one = |n: u8| Move { after: 2, who: n % 2, secret: n % 3, network: n % 2, denied: false };
    let moves: Vec<Move> = (0..10).flat_map(|_| 0..60).map(one).collect();
    let found = check(&RULES, &made(&moves), 112 << 20);
    assert!(found > 450, "{found} of 600");
}

#[test]
fn where_few_events_are_familiar_none_are_remembered_for_a_while() {
    let mut familiar = Familiar { sought: 800, found: 99, ..Familiar::default() };
    familiar.forget();
    assert_eq!(familiar.rests, 6_400);
    let mut familiar = Familiar { sought: 800, found: 100, ..Familiar::default() };
    familiar.forget();
    assert_eq!(familiar.rests, 0);
}
