//! Whether the clock here goes as those of the stores do.
//!
//! Rules compare times of records with each other and with the time they come in: a clock that is wrong
//! here makes silences of what is late, and doubts records that are right.

use super::{Findings, Lost, Spot};
use crate::clock::spoken;
use chrono::TimeDelta;

/// Seconds of difference that are told. Certificates and signatures allow minutes; machines that are
/// kept in time differ by less than one.
const SKEW_SECS_MAX: i64 = 60;

/// The clock of one store, beside that of this machine.
#[derive(Clone, Debug)]
pub(crate) struct Reading {
    /// Who was asked.
    pub(crate) store: String,
    /// How far the clock here is ahead of that one.
    pub(crate) ahead: TimeDelta,
    /// By how much that may be wrong: the time the answer took.
    pub(crate) unsure: TimeDelta,
}

impl Reading {
    fn is_off(&self) -> bool {
        self.ahead.abs() - self.unsure > TimeDelta::seconds(SKEW_SECS_MAX)
    }

    fn words(&self) -> String {
        let way = if self.ahead < TimeDelta::zero() { "behind" } else { "ahead of" };
        format!("{} {way} {}", spoken(self.ahead.abs().num_seconds()), self.store)
    }
}

/// Says which clocks differ. When only some of them do, it is theirs that are wrong.
pub(crate) fn judge(readings: &[Reading], findings: &mut Findings) {
    let off: Vec<String> = readings.iter().filter(|one| one.is_off()).map(Reading::words).collect();
    if off.is_empty() {
        if !readings.is_empty() {
            let stores: Vec<&str> = readings.iter().map(|one| one.store.as_str()).collect();
            findings.sound(format!("the clock here agrees with {}", stores.join(", ")));
        }
        return;
    }
    let mend = if off.len() * 2 > readings.len() {
        vec![
            "timedatectl set-ntp true".to_owned(),
            "# and see that it is kept in time: timedatectl timesync-status, or chronyc tracking".to_owned(),
        ]
    } else {
        vec!["# the others agree with the clock here: set that of the store right".to_owned()]
    };
    findings.spot(Spot {
        id: "clock.skewed",
        what: "how late records are, and what is silent".to_owned(),
        why: format!("the clock of this machine is {}", off.join(", and ")),
        mend,
        lost: Lost::nothing(),
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::testing::ids;

    fn judged(readings: &[(&str, i64, i64)]) -> Findings {
        let reading = |(store, ahead, unsure): &(&str, i64, i64)| Reading {
            store: (*store).to_owned(),
            ahead: TimeDelta::seconds(*ahead),
            unsure: TimeDelta::seconds(*unsure),
        };
        let mut findings = Findings::default();
        judge(&readings.iter().map(reading).collect::<Vec<_>>(), &mut findings);
        findings
    }

    #[track_caller]
    fn check(readings: &[(&str, i64, i64)], why: &str, mend: &str) {
        let findings = judged(readings);
        assert_eq!(ids(&findings), ["clock.skewed"], "{readings:?}");
        let spot = &findings.spots[0];
        assert!(spot.why.ends_with(why) && spot.mend[0].contains(mend), "{spot:?}");
    }

    #[test]
    fn a_difference_beyond_a_minute_is_told_with_its_way_and_size() {
        check(&[("A", 61, 0)], "is 61 s ahead of A", "set-ntp");
        check(&[("A", -7_300, 1)], "is 2 h behind A", "set-ntp");
        check(&[("A", 600, 0), ("B", 601, 0)], "is 10 min ahead of A, and 10 min ahead of B", "set-ntp");
    }

    #[test]
    fn a_store_that_differs_from_all_others_is_wrong_itself() {
        check(&[("A", 0, 0), ("B", 600, 0)], "is 10 min ahead of B", "that of the store");
    }

    #[test]
    fn what_the_way_there_may_explain_is_not_told() {
        assert!(judged(&[("A", 60, 0), ("B", -60, 0), ("C", 70, 10)]).spots.is_empty());
        assert_eq!(judged(&[("A", 60, 0)]).sound.len(), 1);
        assert!(judged(&[]).sound.is_empty());
    }
}
