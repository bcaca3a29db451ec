//! What is told and closed takes memory too, and gives it back.

use crate::engine::{Engine, Settings, State};
use crate::{Seen, compile, testing};
use keywatch_event::{EventTime, Outcome};
use std::sync::Arc;

/// Raises about each principal at once and keeps the incident open for a day.
const RULE: &str = "title: T\nname: base\nlevel: low\ndetection: {read: {class: secret.read}, condition: read}\n---\ntitle: C\nid: KW-900\nlevel: high\ncorrelation: {type: event_count, rules: [base], group-by: [principal.id], timespan: 1m, condition: {gte: 1}}\nkeywatch: {incident: {keep_alive: 1d}}\n";

fn engine(entries_max: usize) -> Engine {
    let rules = compile([("a.yml", RULE)]).unwrap_or_else(|problems| panic!("{problems:?}"));
    Engine::new(Arc::new(rules), Settings { entries_max, ..Settings::default() })
}

/// One event of each of so many principals, ten seconds apart.
fn flood(engine: &mut Engine, principals: i64) {
    let place = &*testing::PLACE;
    for n in 0..principals {
        let mut event = testing::event();
        event.id = format!("e{n}").into();
        event.principal.id = format!("invented-{n}").into();
        event.outcome = Outcome::Ok;
        event.time = EventTime::from_secs(1_790_000_000 + 10 * n);
        engine.evaluate(&[Seen { event: &event, place, raw: b"{}" }]);
    }
}

fn incidents(engine: &Engine) -> usize {
    let of = |state: &State| match state {
        State::Count(state) => state.awake().map(|(_, group)| group.incidents()).sum(),
        State::None | State::Silence(_) | State::Risk(_) => 0,
    };
    engine.states.iter().map(of).sum()
}

#[test]
fn incidents_count_as_entries_and_the_oldest_of_them_goes() {
    let mut small = engine(300);
    flood(&mut small, 2_000);
    let held = incidents(&small);
    assert!((50..=150).contains(&held), "{held} incidents");
    assert!(small.gauges().entries <= 300 && small.gauges().entries_evicted > 0, "{:?}", small.gauges());
}

#[test]
fn with_room_enough_every_open_incident_stays() {
    let mut large = engine(10_000);
    flood(&mut large, 2_000);
    assert_eq!(incidents(&large), 2_000);
    assert_eq!(large.gauges().entries_evicted, 0);
}
