//! A restart changes no alert, wherever it comes: memory is much shorter than the history, and what is older
//! than it reaches is given back only as far as it may still matter.
//!
//! `KEYWATCH_SEEDS=10000` runs more histories, `KEYWATCH_SEED=17` one of them.

#[cfg(test)]
#[path = "restarts/history.rs"]
mod history;
#[cfg(test)]
#[path = "restarts/run.rs"]
mod run;
mod stored;

use history::{History, siege};
use run::{SECTIONS, Section, differences, outcome, section};

/// Histories of an ordinary run.
const SEEDS: u64 = 200;

#[expect(clippy::disallowed_methods, reason = "how many histories, for runs on demand")]
fn seeds() -> std::ops::Range<u64> {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse().ok());
    match number("KEYWATCH_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("KEYWATCH_SEEDS").unwrap_or(SEEDS),
    }
}

/// What restarts change in the outcome of a history.
fn changed(section: &Section, history: &History) -> Vec<String> {
    differences(&outcome(section, history), &outcome(section, &history.calm()))
}

/// What the order in which it comes changes, but for how late alerts are.
fn disordered(section: &Section, history: &History) -> Vec<String> {
    let calm = history.calm();
    let mut sorted = calm.clone();
    sorted.happenings.sort_by_key(|one| one.at);
    let in_time = |history: &History| {
        let mut alerts = outcome(section, history);
        for alert in alerts.values_mut() {
            alert.late_secs = None;
        }
        alerts
    };
    differences(&in_time(&calm), &in_time(&sorted))
}

/// Runs all histories through all sections, and tells of the smallest that is found of each.
fn check(finds: impl Fn(&Section, &History) -> Vec<String>) {
    let mut found = Vec::new();
    for section in SECTIONS.iter() {
        let failing: Vec<u64> =
            seeds().filter(|seed| !finds(section, &History::of(*seed)).is_empty()).collect();
        let Some(seed) = failing.first() else { continue };
        let small = History::of(*seed).smallest(|fewer| !finds(section, fewer).is_empty());
        let lines = finds(section, &small).join("\n");
        found.push(format!(
            "{}: {} of {} histories, seeds {:?}…: {small:?}\n{lines}\n",
            section.name,
            failing.len(),
            seeds().count(),
            failing.iter().take(5).collect::<Vec<_>>()
        ));
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn wherever_restarts_come_the_alerts_are_those_of_a_run_without() {
    check(changed);
}

#[test]
fn whatever_comes_late_the_alerts_are_those_of_the_order_in_which_it_happened() {
    check(|section, history| if section.is_ordered { Vec::new() } else { disordered(section, history) });
}

#[test]
fn a_siege_is_cut_where_it_was_whenever_a_restart_comes() {
    let wanted = outcome(section("windows"), &siege());
    assert!((8..=9).contains(&wanted.len()), "an incident takes half an hour: {wanted:#?}");
    for at in (1..240).step_by(7) {
        // Once, twice in a row, and once more when the next incident is open.
        for restarts in [vec![at], vec![at, at + 1], vec![at, at + 20]] {
            let found = outcome(section("windows"), &History { restarts: restarts.clone(), ..siege() });
            assert_eq!(differences(&found, &wanted), Vec::<String>::new(), "restarts before {restarts:?}");
        }
    }
}

/// Histories that once came out otherwise after a restart, by section and seed.
const FOUND: [(&str, u64); 12] = [
    // The opening events of an incident that was over had given it keys, and were not fed again.
    ("parts", 778),
    ("windows", 6198),
    ("learned", 4069),
    // An event that stood behind an incident was one of its own afterwards.
    ("chained", 1330),
    // A late event made others belong to an incident that had been nobody's, and did not matter for long.
    ("windows", 21),
    // What an incident opened with counted for less than what it had seen by then.
    ("values", 26),
    // The window at the beginning of what is fed again held too little to keep a condition from being met.
    ("absent", 222),
    ("statistics", 690),
    // A secret was made anew under the same name, or read, long after it was deleted.
    ("lives", 44),
    // The alerts of a joined incident were forgotten one by one, which moved its beginning.
    ("joined", 177),
    ("joined", 275),
    // What stood behind an incident that opened late was not looked for before what was looked through.
    ("values", 2937),
];

#[test]
fn histories_that_once_came_out_otherwise_do_not_any_more() {
    for (name, seed) in FOUND {
        assert_eq!(changed(section(name), &History::of(seed)), Vec::<String>::new(), "{name}, seed {seed}");
    }
}

#[test]
fn what_once_came_out_otherwise_when_it_came_late_does_not_any_more() {
    // An alert left a joined one while another of as many events came.
    for seed in [3684, 8394] {
        assert_eq!(disordered(section("joined"), &History::of(seed)), Vec::<String>::new(), "seed {seed}");
    }
}
