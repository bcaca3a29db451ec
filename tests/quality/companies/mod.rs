//! Further companies, none of them under attack: habits the main scenario does not have.
//!
//! Nobody has configured a list. What each is told is compared with what it should be told: news
//! that somebody ought to look at once, and nothing twice.

mod nightly;
mod platform;
mod serverless;
mod tokens;

use crate::scan::{Replay, is, scan};
use crate::scenario::{DAY, Log};
use crate::score::Score;
use crate::whole::show;

/// Days of everyday work.
const DAYS: i64 = 28;

/// Rule and how often it may speak after the first week: news of the company.
type Meant = &'static [(&'static str, usize)];

/// Monday to Friday.
fn workdays() -> impl Iterator<Item = i64> {
    (0..DAYS).filter(|day| day % 7 < 5)
}

/// Replays a company and holds what is said, after the first week, to what is meant.
#[track_caller]
fn check(name: &str, play: impl FnOnce(&mut Log), meant: Meant) {
    let mut log = Log::new();
    play(&mut log);
    let log = log.in_order();
    let replay = scan(&log);
    let score = Score::of(&log, &replay);
    let events = log.records.len();
    show(
        &format!("  {name}: {events} records, {} alerts after the first week", score.false_alarms.len()),
        &"",
    );
    let limit = |rule: &str| {
        let of = |(wanted, _): &&(&str, usize)| is(rule, wanted);
        meant.iter().find(of).map_or(0, |(_, count)| *count)
    };
    let count = |rule: &str| score.false_alarms.iter().filter(|alert| alert.rule == rule).count();
    let wrong: Vec<String> = score
        .false_alarms
        .iter()
        .filter(|alert| count(&alert.rule) > limit(&alert.rule))
        .map(|alert| format!("{} {} {} {}", alert.rule, alert.level, alert.opened_at, alert.why))
        .collect();
    assert!(wrong.is_empty(), "{name}:\n  {}", wrong.join("\n  "));
    learning(name, &replay);
}

/// In the first week all is new: what reads much is told of at each run of its first three days. After
/// that it must not be told of every day.
#[track_caller]
fn learning(name: &str, replay: &Replay) {
    let week = |at: &str| crate::scenario::since_start(at).is_some_and(|at| at < 7 * DAY);
    let early = replay.alerts.iter().filter(|alert| alert.rank() >= 2 && week(&alert.opened_at));
    let told: Vec<String> =
        early.map(|alert| format!("{} {} {}", alert.rule, alert.level, alert.opened_at)).collect();
    show(&format!("    {} alerts in the first week", told.len()), &"");
    assert!(told.len() <= 60, "{name}, first week:\n  {}", told.join("\n  "));
}
