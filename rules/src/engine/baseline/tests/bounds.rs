//! Memory, floods and what is written.

use super::*;

#[test]
fn hundred_thousand_principals_with_two_networks_take_at_most_400_bytes_each() {
    let (mut known, spec) = (Known::new(1_000_000), values_as_networks());
    for n in 0..100_000 {
        let per = format!("arn:aws:iam::111122223333:role/service-{n:06}");
        see(&mut known, &spec, &from(&per, "192.0.2.1", n));
        see(&mut known, &spec, &from(&per, "198.51.100.1", n));
    }
    known.take_learned("KW-002");
    let each = known.peers.bytes(Peer::heap_bytes) / known.len();
    // The table has just not grown: it may be less than half full.
    let worst = each + size_of::<(Box<str>, [u64; 9])>();
    assert!(each > 100 && worst <= 400, "{each} bytes each, {worst} at worst");
}

#[test]
fn a_flood_of_invented_names_pushes_out_no_settled_and_no_held_one() {
    const MAX: usize = 2_000;
    let (mut known, spec) = (Known::new(MAX), networks());
    for n in 0..30 {
        for who in 0..1_000 {
            see(&mut known, &spec, &from(&format!("role-{who}"), "192.0.2.1", n * 8 * HOUR + who));
        }
    }
    let flood = 10 * DAY;
    see(&mut known, &spec, &from("held", "192.0.2.1", flood));
    known.hold("held".into(), flood + DAY);
    for n in 0..100_000_i64 {
        see(&mut known, &spec, &from(&format!("invented-{n}"), "203.0.113.1", flood + n / 5));
        assert!(known.len() <= MAX);
    }
    assert!(known.evicted() > 95_000, "{} evicted", known.evicted());
    for who in 0..1_000 {
        let per = format!("role-{who}");
        let sight = from(&per, "192.0.2.1", flood + DAY);
        assert_eq!(judged(&known, &spec, &sight), KNOWN, "role-{who}");
    }
    let held = from("held", "192.0.2.1", flood);
    assert_eq!(judged(&known, &spec, &held), KNOWN, "what is held stays");
    assert!(known.take_learned("KW-002").len() <= MAX + 1, "what waits to be written is bounded");
}

#[test]
fn the_settled_are_bounded_and_the_longest_unseen_goes() {
    let (mut known, spec) = (Known::new(100), values());
    for who in 0..300 {
        for day in 0..2 {
            see(&mut known, &spec, &text(&format!("{who}"), "v", who * 10 * DAY + day * DAY));
        }
    }
    assert!(known.len() <= 100 && known.settled <= 90, "{} of them {}", known.len(), known.settled);
    assert_eq!(judged(&known, &spec, &text("299", "v", 2_991 * DAY)), KNOWN);
    assert_eq!(judged(&known, &spec, &text("0", "v", DAY)), new("v", 0));
}

#[test]
fn when_everybody_is_held_a_newcomer_is_refused_and_counted() {
    let (mut known, spec) = (Known::new(2), values());
    for per in ["a", "b"] {
        see(&mut known, &spec, &text(per, "v", 0));
        known.hold(per.into(), DAY);
    }
    see(&mut known, &spec, &text("c", "v", 10));
    assert_eq!((known.len(), known.evicted()), (2, 1));
    see(&mut known, &spec, &text("c", "v", 3 * DAY));
    assert_eq!(judged(&known, &spec, &text("c", "v", 3 * DAY)), KNOWN, "no longer held");
}

#[test]
fn a_known_value_is_written_at_most_hourly() {
    let (mut known, spec) = (settled(&networks()), networks());
    known.take_learned("KW-002");
    let mut written = 0;
    for minute in 0..240 {
        see(&mut known, &spec, &from("p", "192.0.2.1", 10 * DAY + minute * 60));
        written += known.take_learned("KW-002").len();
    }
    assert_eq!(written, 4);
}

#[test]
fn unreadable_state_is_ignored_and_counted_and_that_of_others_ignored() {
    let mut known = Known::new(10);
    for (key, state) in
        [("KW-002", vec![0; 8]), ("KW-002 p", vec![0x80, 1]), ("KW-003", vec![7]), ("KW-0021 p", vec![7])]
    {
        known.restore("KW-002", &Learned { key: key.to_owned(), state });
    }
    assert_eq!((known.len(), known.unreadable()), (0, 2));
    assert_eq!(known.judges_from(&networks()), None);
}
