//! Attempts to steal or destroy secrets without being seen, one test each.
//!
//! Where an attempt cannot be seen, the test holds the program to what `docs/limits.md` says.

mod counting;
mod disguise;
mod elsewhere;
mod history;
mod limits;
mod lists;
mod quiet;
mod records;
mod tokens;

use crate::scan::{Alert, Replay, rank, scan};
use crate::scenario::{HOUR, Log, Provider, Who};

/// When attacks begin: learning is over.
const LATER: i64 = 18 * crate::scenario::DAY + 9 * HOUR;

/// A workload that has read its two secrets in turn, one a day, from its own network.
fn victim(log: &mut Log, provider: Provider, name: &str) -> Who {
    let who = Who::workload(name);
    log.history(provider, &who, LATER - HOUR, &["own-a", "own-b"]);
    who
}

/// A replay and what it found.
struct Seen {
    log: Log,
    replay: Replay,
}

fn replay(log: Log) -> Seen {
    let log = log.in_order();
    let replay = scan(&log);
    Seen { log, replay }
}

impl Seen {
    /// Alerts of these rules that cite the attack; fails when there is none or none reaches `level`.
    #[track_caller]
    fn found(&self, rules: &[&str], level: &str) -> Vec<&Alert> {
        let mut alerts = self.replay.of(rules);
        alerts.retain(|alert| alert.lines().any(|line| self.is_attack(line)));
        let highest = alerts.iter().map(|alert| alert.rank()).max().unwrap_or(0);
        assert!(
            highest >= rank(level),
            "expected {rules:?} at {level} on the attack; these alerts stand:\n{}",
            self.replay.table()
        );
        alerts
    }

    /// No alert of these rules (all rules when none is named) at warning or above.
    #[track_caller]
    fn silent(&self, rules: &[&str]) {
        let all = if rules.is_empty() { self.replay.alerts.iter().collect() } else { self.replay.of(rules) };
        let said: Vec<&Alert> = all.into_iter().filter(|alert| alert.rank() >= 2).collect();
        assert!(
            said.is_empty(),
            "expected silence of {rules:?}; these alerts stand:\n{}",
            self.replay.table()
        );
    }

    fn is_attack(&self, line: usize) -> bool {
        let label = self.log.records.get(line).map(|record| &record.label);
        matches!(label, Some(crate::scenario::Label::Attack(_)))
    }
}
