//! The four weeks of a company with every plain attack in them, scored.

use crate::attacks::{self, begins};
use crate::benign;
use crate::scan::{rank, scan};
use crate::scenario::Log;
use crate::score::Score;
use std::io::Write;

/// Prints a table past the test runner's capture; `cargo xtask score` is how a person sees it.
pub(crate) fn show(title: &str, text: &dyn std::fmt::Display) {
    let _closed = writeln!(std::io::stderr(), "{title}\n{text}");
}

fn company_under_attack() -> Log {
    let mut log = Log::new();
    benign::company(&mut log);
    for (n, attack) in attacks::all().iter().enumerate() {
        attack.stage(&mut log, begins(n));
    }
    log.in_order()
}

#[test]
fn attacks_are_found_and_everyday_work_is_left_alone() {
    let log = company_under_attack();
    let replay = scan(&log);
    let score = Score::of(&log, &replay);
    show("a company under attack", &score);
    show("  ", &replay.summary);
    let _unused = rank("high");
    assert!(score.missed().is_empty(), "missed: {:?}", score.missed());
}
