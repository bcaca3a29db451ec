//! Who climbs the ladder, who does not, and how often is told of them meanwhile.

use super::*;

/// Reads from `count` networks an hour apart while history is short.
fn roam(known: &mut Known, count: u8, hours: i64, sight: impl Fn(u8, i64) -> Sight<'static>) {
    for n in 0..count {
        see(known, &networks(), &sight(n, i64::from(n) * hours * HOUR));
    }
}

/// On how many days something was new of a principal that is told of for the first time after `home` days at one
/// network: then of `roaming` days, each from the networks `at` says.
fn told_of(home: i64, roaming: i64, at: impl Fn(i64) -> Vec<(String, Option<u32>)>) -> (usize, Known) {
    let (mut known, spec) = (Known::new(MUCH), networks());
    known.0.began(-30 * DAY);
    for day in 0..home {
        for hour in [1, 9] {
            see(&mut known, &spec, &from("p", "198.51.100.7", day * DAY + hour * HOUR));
        }
    }
    let mut told = 0;
    for day in home..home + roaming {
        let mut is_told = false;
        for (ip, asn) in at(day) {
            let sight = from("p", &ip, day * DAY + 2 * HOUR);
            let sight = asn.map_or(sight, |asn| with_asn("p", &ip, asn, sight.now_secs));
            is_told |= see(&mut known, &spec, &sight).news().is_some();
        }
        told += usize::from(is_told);
    }
    (told, known)
}

/// One of 28 networks of 16 bits in five blocks, as a region of a cloud has them, and one of 24 bits in it.
fn cloud(day: i64) -> String {
    let mixed = (day * 7_919 + 13) % 28;
    let block = [3, 18, 35, 52, 54][usize::try_from(mixed % 5).unwrap()];
    format!("{block}.{}.{}.9", 60 + mixed, (day * 31) % 256)
}

#[test]
fn a_job_that_always_moved_is_judged_by_blocks_when_the_first_week_is_over() {
    let (told, known) = told_of(0, 40, |day| vec![(cloud(day), None)]);
    assert!(told <= 2, "{told}");
    let thief = from("p", "185.220.101.7", 40 * DAY);
    assert_eq!(judged(&known, &networks(), &thief), new("185.0.0.0/8", 5));
}

#[test]
fn a_workload_that_begins_to_move_is_told_of_on_a_handful_of_days() {
    let (told, known) = told_of(20, 60, |day| vec![(cloud(day), None)]);
    assert!((4..=9).contains(&told), "{told}");
    assert!(judged(&known, &networks(), &from("p", "185.220.101.7", 80 * DAY)).news().is_some());
}

#[test]
fn with_a_database_it_is_judged_by_the_autonomous_systems_it_was_learned_with() {
    let (told, known) = told_of(0, 40, |day| vec![(cloud(day), Some(16_509))]);
    assert_eq!(told, 0);
    let next_door = with_asn("p", "54.99.1.1", 16_509, 40 * DAY);
    assert_eq!(judged(&known, &networks(), &next_door), KNOWN);
    assert_eq!(judged(&known, &networks(), &with_asn("p", "54.99.1.1", 14_061, 40 * DAY)), new("AS14061", 1));
}

#[test]
fn a_thief_who_moves_each_day_is_told_of_each_day_where_the_owner_is_at_home() {
    for home_first in [true, false] {
        let (told, _) = told_of(20, 30, |day| {
            let thief = (format!("203.{day}.113.9"), None);
            let home = ("198.51.100.8".to_owned(), None);
            if home_first { vec![home, thief] } else { vec![thief, home] }
        });
        assert_eq!(told, 30, "home first: {home_first}");
    }
}

#[test]
fn an_owner_at_home_over_one_protocol_may_move_over_the_other() {
    let (told, _) = told_of(20, 60, |day| {
        vec![("2001:db8::1".to_owned(), None), (format!("34.{}.{}.9", day % 5, day), None)]
    });
    assert!((4..=7).contains(&told), "{told}");
}

#[test]
fn gateways_that_take_turns_are_accepted_and_make_nobody_climb() {
    let (told, known) = told_of(20, 30, |day| vec![(format!("203.0.{}.9", day % 3), None)]);
    assert_eq!(told, 6, "each on two days, and accepted on the third");
    assert_eq!(judged(&known, &networks(), &from("p", "203.0.9.9", 50 * DAY)), new("203.0.9.0/24", 3));
}

#[test]
fn somewhere_new_on_a_day_with_something_high_is_no_move() {
    let (mut known, spec) = (settled(&networks()), networks());
    for day in 10..30 {
        let sight = from("p", &format!("203.{day}.113.9"), day * DAY + HOUR);
        let judgement = known.judge(&spec, &sight);
        assert!(judgement.news().is_some(), "day {day}");
        known.learn(&spec, &sight, &judgement, Raised::High);
    }
}

#[test]
fn what_an_earlier_version_stored_of_a_principal_is_read() {
    let known = settled(&networks());
    let peer = known.peer("p").unwrap();
    let stored = crate::engine::shelf::encode(&earlier::Unmoved::of(peer));
    let read = earlier::read(&stored).unwrap();
    assert_eq!(crate::engine::shelf::encode(&earlier::Unmoved::of(&read)), stored);
    assert_eq!(earlier::read(&crate::engine::shelf::encode(peer)).as_ref(), Some(peer));
    assert_eq!(earlier::read(&stored[..stored.len() - 1]), None);
}

/// A principal seen six times in sixteen days, at the networks `ip` says.
fn seldom(ip: impl Fn(i64) -> String) -> (Known, Baseline) {
    let spec = Baseline { seldom: Some(Mature { age_secs: 14 * DAY, events: 5, days: 5 }), ..networks() };
    let mut known = Known::of(&spec, MUCH);
    for n in 0..6 {
        see(&mut known, &spec, &from("p", &ip(n), n * 3 * DAY));
    }
    (known, spec)
}

#[test]
fn who_is_seen_seldom_is_judged_by_where_it_came_back_to() {
    let elsewhere = from("p", "203.0.113.9", 16 * DAY);
    let (known, spec) = seldom(|_| "192.0.2.7".to_owned());
    assert_eq!(known.judge(&spec, &elsewhere), new("203.0.113.0/24", 1));
    assert_eq!(known.judge(&spec, &Sight { now_secs: 14 * DAY - 1, ..elsewhere }), Judgement::Immature);
    assert_eq!(known.judge(&networks(), &elsewhere), Judgement::Immature, "without `seldom`");
    let (known, spec) = seldom(|n| format!("192.0.{n}.7"));
    assert_eq!(known.judge(&spec, &elsewhere), Judgement::Immature, "it never came back");
}

#[test]
fn twelve_networks_within_a_week_climb_to_wider_ones() {
    let mut known = Known::new(MUCH);
    roam(&mut known, 12, 10, |n, at| from("p", &format!("198.51.{n}.1"), at));
    assert_eq!(judged(&known, &networks(), &from("p", "198.51.200.1", 8 * DAY)), KNOWN);
    assert_eq!(judged(&known, &networks(), &from("p", "203.0.113.1", 8 * DAY)), new("203.0.0.0/16", 1));
}

#[test]
fn twelve_networks_in_more_than_a_week_do_not_climb() {
    let mut known = Known::new(MUCH);
    let spec = Baseline { learn_secs: 30 * DAY, ..networks() };
    for n in 0..12 {
        // Home each day: no day is a move.
        see(&mut known, &spec, &from("p", "198.51.0.1", n * 17 * HOUR + HOUR));
        see(&mut known, &spec, &from("p", &format!("198.51.{n}.1"), n * 17 * HOUR));
    }
    assert_eq!(judged(&known, &networks(), &from("p", "198.51.200.1", 8 * DAY)), new("198.51.200.0/24", 12));
}

#[test]
fn without_a_database_whoever_outgrows_wide_networks_is_judged_by_blocks() {
    let mut known = Known::new(MUCH);
    roam(&mut known, 24, 3, |n, at| from("p", &format!("10.{n}.0.1"), at));
    assert_eq!(judged(&known, &networks(), &from("p", "10.200.0.1", 8 * DAY)), KNOWN);
    assert_eq!(judged(&known, &networks(), &from("p", "203.0.113.1", 8 * DAY)), new("203.0.0.0/8", 1));
    assert_eq!(judged(&known, &networks(), &from("p", "2001:db8::1", 8 * DAY)), new("2001:d00::/24", 1));
    roam(&mut known, 12, 1, |n, at| from("p", &format!("{}.0.0.1", 11 + n), at + DAY));
    assert_eq!(judged(&known, &networks(), &from("p", "203.0.113.1", 8 * DAY)), Judgement::Mobile);
}

#[test]
fn with_a_database_the_autonomous_systems_are_judged_before_nothing_is() {
    let mut known = Known::new(MUCH);
    roam(&mut known, 40, 2, |n, at| with_asn("p", &format!("10.{n}.0.1"), 64_496 + u32::from(n % 2), at));
    let spec = networks();
    assert_eq!(judged(&known, &spec, &with_asn("p", "203.0.113.1", 64_497, 8 * DAY)), KNOWN);
    assert_eq!(judged(&known, &spec, &with_asn("p", "203.0.113.1", 64_500, 8 * DAY)), new("AS64500", 2));
    assert_eq!(judged(&known, &spec, &from("p", "203.0.113.1", 8 * DAY)), Judgement::Mobile);
    roam(&mut known, 12, 1, |n, at| with_asn("p", "10.0.0.1", 64_500 + u32::from(n), at));
    assert_eq!(judged(&known, &spec, &with_asn("p", "203.0.113.1", 64_496, 8 * DAY)), Judgement::Mobile);
}
