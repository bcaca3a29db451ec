//! Runs a history through some rules, and starts again as the program does.

use super::history::{History, LATENESS};
use super::stored::Stored;
use keywatch_event::{Alert, EventTime, Learned, Place};
use keywatch_rules::{Engine, RuleSet, Seen, Settings, Signal, compile, examples};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};

/// Rules that a history runs through.
pub(crate) struct Section {
    pub(crate) name: String,
    /// Seconds that a sixtieth of a unit takes.
    scale: i64,
    /// Whether what its rules say follows the order in which events come.
    pub(crate) is_ordered: bool,
    rules: Arc<RuleSet>,
}

/// Every section of the file.
pub(crate) static SECTIONS: LazyLock<Vec<Section>> = LazyLock::new(|| {
    let text = include_str!("rules.yml");
    let sections = text.split("\n#@ ").skip(1).map(|section| {
        let (head, rules) = section.split_once('\n').unwrap();
        let (name, rest) = head.split_once(' ').unwrap();
        let scale = rest.split_whitespace().find_map(|word| word.strip_prefix("scale=")).unwrap();
        (name, scale.parse().unwrap(), rest.contains("ordered"), rules)
    });
    let section = |(name, scale, is_ordered, rules): (&str, i64, bool, &str)| {
        let rules = compile([(name, rules)]).unwrap_or_else(|problems| panic!("{problems:?}"));
        Section { name: name.to_owned(), scale, is_ordered, rules: Arc::new(rules) }
    };
    sections.map(section).collect()
});

/// The section of that name.
pub(crate) fn section(name: &str) -> &'static Section {
    SECTIONS.iter().find(|section| section.name == name).unwrap()
}

/// What a database keeps beside the events.
type Kept = BTreeMap<String, Vec<u8>>;

/// The alerts that stand at the end.
pub(crate) fn outcome(section: &Section, history: &History) -> BTreeMap<String, Alert> {
    let place = Place { name: Arc::from("t"), line: 1, record: 0 };
    let events = history.events(section.scale);
    let settings = Settings {
        lateness_secs: LATENESS * 60 * section.scale,
        late_from_secs: Some(120),
        ..Settings::default()
    };
    let mut engine = Engine::new(Arc::clone(&section.rules), settings.clone());
    let (mut standing, mut stored, mut kept) = (BTreeMap::new(), Stored::default(), Kept::new());
    let mut edges: BTreeSet<usize> = history.cuts.iter().chain(&history.restarts).copied().collect();
    edges.insert(events.len());
    let mut from = 0;
    for to in edges.into_iter().map(|edge| edge.min(events.len())) {
        let batch: Vec<_> = events[from..to].iter().collect();
        if !batch.is_empty() {
            let seen: Vec<Seen<'_>> =
                batch.iter().map(|event| Seen { event, place: &place, raw: b"{}" }).collect();
            let evaluation = engine.evaluate(&seen);
            stored.commit(&batch, &evaluation);
            for Learned { key, state } in evaluation.learned {
                if state.is_empty() { drop(kept.remove(&key)) } else { drop(kept.insert(key, state)) }
            }
            examples::apply(&mut standing, evaluation.changes);
        }
        if history.restarts.contains(&to) {
            engine = Engine::new(Arc::clone(&section.rules), settings.clone());
            begin_again(&mut engine, &settings, &stored, &kept, &place);
        }
        from = to;
    }
    standing
}

/// As `Pipeline::remember` does, with what `Store::open_signals` finds.
fn begin_again(engine: &mut Engine, settings: &Settings, stored: &Stored<'_>, kept: &Kept, place: &Place) {
    let Some(newest) = stored.0.iter().map(|(event, ..)| event.time).max() else { return };
    let until = newest.plus_secs(-settings.lateness_secs);
    let earliest = until.plus_secs(-engine.span_secs());
    let learned: Vec<Learned> =
        kept.iter().map(|(key, state)| Learned { key: key.clone(), state: state.clone() }).collect();
    let matters =
        |time: EventTime, secs: u32| secs > 0 && time >= earliest && time.plus_secs(i64::from(secs)) >= until;
    let mut open: Vec<Signal<'_>> = stored.signals(place, |event, secs| matters(event.time, secs));
    open.sort_by_key(|signal| signal.seen.event.time);
    engine.reached(newest);
    engine.restore(&learned, &open);
}

/// Where two sets of alerts differ, a line each.
pub(crate) fn differences(found: &BTreeMap<String, Alert>, wanted: &BTreeMap<String, Alert>) -> Vec<String> {
    let ids: BTreeSet<&String> = found.keys().chain(wanted.keys()).collect();
    let said = |alert: Option<&Alert>| {
        alert.map(|alert| {
            let secs = |time: EventTime| time.secs() - 1_800_000_000;
            let evidence: Vec<&str> = alert.evidence.iter().map(|row| &*row.event).collect();
            let times = [alert.opened_at, alert.first_event_at, alert.last_event_at].map(secs);
            let late = alert.late_secs;
            format!(
                "{:?} {times:?} late {late:?}: {} of {evidence:?}; {}",
                alert.level, alert.events, alert.why.text
            )
        })
    };
    let differ = ids.into_iter().filter(|id| found.get(*id) != wanted.get(*id));
    differ
        .map(|id| {
            let (found, wanted) = (found.get(id), wanted.get(id));
            let rule = found.or(wanted).map(|alert| &*alert.rule).unwrap_or_default();
            format!("{rule}: {:?}\n  instead of {:?}", said(found), said(wanted))
        })
        .collect()
}
