//! Gaps that are filled late, held to their promises.

use super::*;
use proptest::prelude::*;

const LIMIT: i64 = 1800;

fn told() -> (Gaps, AlertId) {
    let alert = AlertId("a".to_owned());
    let mut gaps = Gaps::new(true);
    gaps.told("s", (0, LIMIT), &alert);
    (gaps, alert)
}

#[test]
fn a_gap_that_is_filled_up_is_over_once_and_not_before() {
    let (mut gaps, alert) = told();
    gaps.see("s", 9000, true);
    for secs in [7300, 3500, 1700] {
        gaps.see("s", secs, false);
        assert_eq!(gaps.take_filled(), []);
    }
    gaps.see("s", 5300, false);
    assert_eq!(gaps.take_filled(), [], "5300 to 7300 is longer than allowed");
    gaps.see("s", 6000, false);
    assert_eq!(gaps.take_filled(), [Filled { alert, limit_secs: LIMIT }]);
    gaps.see("s", 6001, false);
    assert_eq!(gaps.take_filled(), []);
}

#[test]
fn a_first_event_after_it_that_came_in_time_shows_that_there_was_no_silence() {
    let (mut gaps, alert) = told();
    gaps.see("s", 1799, true);
    assert_eq!(gaps.take_filled(), [Filled { alert, limit_secs: LIMIT }]);
}

#[test]
fn other_streams_earlier_events_and_later_ones_fill_nothing() {
    let (mut gaps, _) = told();
    gaps.see("t", 900, true);
    gaps.see("s", 0, false);
    gaps.see("s", -5, false);
    gaps.see("s", 3600, true);
    gaps.see("s", 3601, false);
    assert_eq!(gaps.take_filled(), []);
}

#[test]
fn an_old_gap_is_forgotten_and_taken_from_the_store() {
    let (mut gaps, _) = told();
    gaps.take_learned("R");
    gaps.forget_old(i64::MAX / 2);
    assert_eq!(gaps.gaps.len(), 1, "a silence that lasts is kept");
    gaps.see("s", 9000, true);
    gaps.take_learned("R");
    gaps.forget_old(9000 + REMEMBERED_SECS + 1);
    let learned = gaps.take_learned("R");
    assert_eq!((gaps.gaps.len(), learned.len(), learned[0].state.is_empty()), (0, 1, true));
}

proptest! {
    /// Against the definition: sorted, no two neighbours farther apart than the limit.
    #[test]
    fn the_order_of_arrival_and_restarts_change_nothing(
        times in prop::collection::vec(1..9000_i64, 0..14), restart_at in 0..14_usize,
    ) {
        let (mut gaps, _) = told();
        gaps.see("s", 9000, true);
        for (at, secs) in times.iter().enumerate() {
            if at == restart_at {
                let stored = gaps.take_learned("R");
                gaps = Gaps::new(true);
                stored.iter().filter(|one| !one.state.is_empty()).for_each(|one| gaps.restore("R", one));
            }
            gaps.see("s", *secs, false);
        }
        let mut all = times.clone();
        all.extend([0, 9000]);
        all.sort_unstable();
        let want = all.windows(2).all(|pair| pair[1] - pair[0] <= LIMIT);
        // What was filled before the restart was told before it.
        let early: Vec<i64> = times.iter().take(restart_at.min(times.len())).copied().chain([0, 9000]).collect();
        let mut early = early;
        early.sort_unstable();
        let told_before = restart_at < times.len() && early.windows(2).all(|pair| pair[1] - pair[0] <= LIMIT);
        prop_assert_eq!(!gaps.take_filled().is_empty(), want && !told_before);
    }
}
