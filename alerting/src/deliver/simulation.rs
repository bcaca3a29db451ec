//! Histories drawn from a seed: alerts come, receivers fail in every way, the program is killed
//! between any two steps and starts again on the same database; then the faults stop.
//!
//! What must hold: every alert reaches every receiver; a message comes twice only when the answer
//! to it was lost, and then under the same id; no attempt comes before its time. The same histories
//! must find three defects that are put in on purpose.
//!
//! `KEYWATCH_SEEDS=1000` walks more of them, `KEYWATCH_SEED=17` one alone.

mod peer;
mod world;

use world::{Flaw, World};

/// Histories walked in each of four tests, unless asked for more.
const SEEDS: u64 = 25;

fn seeds() -> std::ops::Range<u64> {
    #[expect(clippy::disallowed_methods, reason = "longer runs and reproductions are asked for from outside")]
    let asked = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    match asked("KEYWATCH_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..asked("KEYWATCH_SEEDS").map_or(SEEDS, |all| all.div_ceil(4)),
    }
}

/// Walks a quarter of the histories: those whose number leaves `quarter`.
fn walk(quarter: u64) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut walked = 0;
    for seed in seeds().map(|seed| seed * 4 + quarter) {
        if let Err(problem) = runtime.block_on(World::walk(seed, Flaw::None)) {
            panic!("history {seed}: {problem}; walk it alone with KEYWATCH_SEED={}", seed / 4);
        }
        walked += 1;
    }
    assert!(walked > 0);
}

#[test]
fn nothing_is_lost_and_nothing_comes_twice_without_need_in_any_history_of_the_first_quarter() {
    walk(0);
}

#[test]
fn nothing_is_lost_and_nothing_comes_twice_without_need_in_any_history_of_the_second_quarter() {
    walk(1);
}

#[test]
fn nothing_is_lost_and_nothing_comes_twice_without_need_in_any_history_of_the_third_quarter() {
    walk(2);
}

#[test]
fn nothing_is_lost_and_nothing_comes_twice_without_need_in_any_history_of_the_fourth_quarter() {
    walk(3);
}

/// The problem the histories find with a defect put in.
fn found(flaw: Flaw) -> String {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let problem = (0..100).find_map(|seed| runtime.block_on(World::walk(seed, flaw)).err());
    problem.unwrap_or_else(|| panic!("100 histories did not find {flaw:?}"))
}

#[test]
fn recording_a_message_as_delivered_before_it_is_sent_is_found() {
    let problem = found(Flaw::MarkBeforeSend);
    assert!(problem.contains("never arrived"), "{problem}");
}

#[test]
fn writing_the_outbox_in_a_transaction_of_its_own_is_found() {
    let problem = found(Flaw::OutboxOutside);
    assert!(problem.contains("was never to be told"), "{problem}");
}

#[test]
fn sending_without_a_lease_is_found() {
    let problem = found(Flaw::NoLease);
    assert!(problem.contains("came twice"), "{problem}");
}
