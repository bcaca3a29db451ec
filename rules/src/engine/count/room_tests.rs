//! What is told and closed takes memory too, and gives it back.

use crate::engine::{Engine, Settings, State};
use crate::{Seen, compile, testing};
use keywatch_event::{AlertChange, EventTime, Outcome, Source};
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
    assert!((40..=75).contains(&held), "{held} incidents");
    assert!(small.gauges().entries <= 300 && small.gauges().entries_evicted > 0, "{:?}", small.gauges());
}

#[test]
fn with_room_enough_every_open_incident_stays() {
    let mut large = engine(10_000);
    flood(&mut large, 2_000);
    assert_eq!(incidents(&large), 2_000);
    assert_eq!(large.gauges().entries_evicted, 0);
}

/// One incident of everything that happens to a store, which ever new secrets escalate.
const LONG: &str = "title: T\nname: base\nlevel: low\ndetection: {read: {class: secret.read}, condition: read}\n---\ntitle: C\nid: KW-901\nlevel: medium\ncorrelation: {type: event_count, rules: [base], group-by: [store], timespan: 5m, condition: {gte: 3}}\nkeywatch:\n  incident: {keep_alive: 1d, max_duration: 30d}\n  escalate:\n    - {to: high, distinct: secrets.id, gte: 5, within: 1h}\n    - {to: critical, distinct: principal.id, gte: 9}\n";

/// All that is told of an incident of so many events, with room for so many entries; and how many of
/// the events it keeps by name at the end.
fn told(entries_max: usize, events: i64) -> (Vec<String>, usize) {
    let rules = compile([("a.yml", LONG)]).unwrap_or_else(|problems| panic!("{problems:?}"));
    let mut engine = Engine::new(Arc::new(rules), Settings { entries_max, ..Settings::default() });
    let place = &*testing::PLACE;
    let mut told = Vec::new();
    for n in 0..events {
        let mut event = testing::event();
        event.id = format!("e{n}").into();
        event.principal.id = format!("role-{}", n / 150 + n % 5).into();
        event.secrets = vec![testing::secret(&format!("app-{}", n / 60 + n / 500 * (n % 5)))];
        event.outcome = Outcome::Ok;
        event.time = EventTime::from_secs(1_790_000_000 + 30 * n);
        let changes = engine.evaluate(&[Seen { event: &event, place, raw: b"{}" }]).changes;
        told.extend(changes.iter().map(|change| format!("{change:?}")));
    }
    let members = |state: &State| match state {
        State::Count(state) => state.awake().map(|(_, group)| group.members()).sum(),
        State::None | State::Silence(_) | State::Risk(_) => 0,
    };
    (told, engine.states.iter().map(members).sum())
}

#[test]
fn an_incident_that_forgot_events_by_name_is_told_of_as_if_it_had_not() {
    let ((scarce, named), (ample, all)) = (told(150, 1_500), told(100_000, 1_500));
    assert_eq!(all, 1_000);
    assert!(named < 100, "{named} of 1,500 events are kept by name");
    for level in ["Warning", "High", "Critical"] {
        assert!(ample.iter().any(|change| change.contains(&format!("level: {level}"))), "{level}");
    }
    let differ = scarce.iter().zip(&ample).find(|(scarce, ample)| scarce != ample);
    assert!(scarce.len() == ample.len() && differ.is_none(), "{differ:#?}");
}

/// Tells of what reads many secrets, and of the same ones again only after eight days.
const WIDE: &str = "title: T\nname: base\nlevel: low\ndetection: {read: {class: secret.read}, condition: read}\n---\ntitle: C\nid: KW-902\nlevel: high\ncorrelation: {type: value_count, rules: [base], group-by: [principal.id], timespan: 1m, condition: {field: secrets.id, gte: 40}}\nkeywatch: {incident: {keep_alive: 10m, max_duration: 1d, repeats: 8d}}\n";

#[test]
fn an_incident_knows_so_many_values_and_is_told_again_of_what_is_beyond() {
    let rules = compile([("a.yml", WIDE)]).unwrap_or_else(|problems| panic!("{problems:?}"));
    let mut engine = Engine::new(Arc::new(rules), Settings::default());
    let place = &*testing::PLACE;
    // How many incidents open when the fifty names from `first` on are read at `at`.
    let mut read = |at: i64, first: i64| {
        let mut event = testing::event();
        event.id = format!("e{at}").into();
        event.outcome = Outcome::Ok;
        event.secrets = (first..first + 50).map(|name| testing::secret(&format!("app-{name}"))).collect();
        event.time = EventTime::from_secs(1_790_000_000 + at);
        let changes = engine.evaluate(&[Seen { event: &event, place, raw: b"{}" }]).changes;
        changes.iter().filter(|change| matches!(change, AlertChange::Opened { .. })).count()
    };
    let told: usize = (0..42).map(|n| read(n, n * 50)).sum();
    assert_eq!(told, 1);
    assert_eq!(read(10_000, 0), 0, "these are known");
    assert_eq!(read(20_000, 2_050), 1, "these are not");
    let State::Count(state) = &engine.states[1] else { panic!("the second rule counts") };
    let kept: usize = state.awake().map(|(_, group)| group.members()).sum();
    assert!((120..140).contains(&kept), "{kept}");
}

/// Tells of a principal or of an address, while either goes on.
const TRIED: &str = "title: T\nid: KW-903\nlogsource: {product: keywatch, category: audit}\nlevel: medium\ndetection: {failed: {outcome: denied}, condition: failed}\nkeywatch: {incident: {key: [principal.id], or: [source.ip], keep_alive: 1h, max_duration: 1d}}\n";

#[test]
fn an_incident_is_found_by_so_many_keys_and_what_is_beyond_is_another() {
    let rules = compile([("a.yml", TRIED)]).unwrap_or_else(|problems| panic!("{problems:?}"));
    let mut engine = Engine::new(Arc::new(rules), Settings::default());
    let place = &*testing::PLACE;
    // How many incidents open when somebody fails from an address.
    let mut fail = |at: i64, who: i64, address: &str| {
        let mut event = testing::event();
        event.id = format!("e{at}").into();
        event.outcome = Outcome::Denied;
        event.principal.id = format!("invented-{who}").into();
        event.source = Source::from_text(address.to_owned().into());
        event.time = EventTime::from_secs(1_790_000_000 + at);
        let changes = engine.evaluate(&[Seen { event: &event, place, raw: b"{}" }]).changes;
        changes.iter().filter(|change| matches!(change, AlertChange::Opened { .. })).count()
    };
    let told: usize = (0..60).map(|n| fail(n, n, "203.0.113.66")).sum();
    assert_eq!(told, 1, "one address is one alert, however many names it tries");
    assert_eq!(fail(100, 5, "192.0.2.1"), 0, "by this name it is found");
    assert_eq!(fail(101, 55, "192.0.2.1"), 1, "by this one it is not");
    let State::Count(state) = &engine.states[0] else { panic!("the rule counts") };
    assert!(state.awake().map(|(_, group)| group.members()).sum::<usize>() >= 62 + 10);
}
