//! What lies in the backlog is found, in order, until it is taken out or let go.

use super::*;
use crate::engine::brief::Shared;
use crate::{Seen, testing};
use keywatch_event::{AuditEvent, Place};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;

/// An entry that came as number `n`, with an event time of its own.
fn light(n: u64, secs: i64) -> Light {
    let event =
        AuditEvent { id: format!("e{n}").into(), time: EventTime::from_secs(secs), ..testing::event() };
    let place = Place { name: Arc::from("t"), line: 1, record: 0 };
    let seen = Seen { event: &event, place: &place, raw: b"{}" };
    let brief = Shared::default().brief(&seen, (1, 0));
    Light { brief, note: None, hits: 1, adds: 0, attached: None }
}

fn ids(lights: &[Light]) -> Vec<String> {
    lights.iter().map(|light| light.brief.id.to_string()).collect()
}

#[derive(Clone, Debug)]
enum Op {
    Push { group: u64 },
    Take { group: u64 },
    ForgetHalf,
    Shed { keep: usize },
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        400 => (0..40_u64).prop_map(|group| Op::Push { group: group * 0x9e37_79b9 }),
        20 => (0..40_u64).prop_map(|group| Op::Take { group: group * 0x9e37_79b9 }),
        1 => Just(Op::ForgetHalf),
        1 => (0..2_000_usize).prop_map(|keep| Op::Shed { keep }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn it_holds_what_a_plain_list_holds(ops in proptest::collection::vec(op(), 1..4_000)) {
        let (mut backlog, mut plain): (Backlog, Vec<(u64, Light)>) = Default::default();
        for (n, op) in (0_u64..).zip(ops) {
            match op {
                Op::Push { group } => {
                    let light = light(n, i64::try_from(n).unwrap());
                    backlog.push(group, light.clone());
                    plain.push((group, light));
                }
                Op::Take { group } => {
                    let its = plain.iter().filter(|(of, _)| *of == group).map(|(_, light)| light.clone());
                    prop_assert_eq!(ids(&backlog.take(group)), ids(&its.collect::<Vec<_>>()));
                    plain.retain(|(of, _)| *of != group);
                }
                Op::ForgetHalf => {
                    let time = EventTime::from_secs(i64::try_from(n / 2).unwrap());
                    backlog.forget_before(time);
                    // Whole blocks and the oldest of the next: of times in order, exactly those before.
                    plain.retain(|(_, light)| light.brief.time >= time);
                }
                Op::Shed { keep } => {
                    let went = plain.len().saturating_sub(keep);
                    prop_assert_eq!(backlog.shed(keep), went);
                    plain.drain(..went);
                }
            }
            prop_assert_eq!(backlog.len(), plain.len());
        }
        let mut left: BTreeMap<u64, Vec<Light>> = BTreeMap::new();
        for (group, light) in plain {
            left.entry(group).or_default().push(light);
        }
        for (group, its) in left {
            prop_assert_eq!(ids(&backlog.take(group)), ids(&its));
        }
        prop_assert_eq!(backlog.len(), 0);
    }
}

#[test]
fn places_that_were_emptied_are_given_back_though_the_oldest_entry_stays() {
    let mut backlog = Backlog::default();
    backlog.push(1, light(0, i64::MAX / 2));
    for n in 2..20_000 {
        backlog.push(n, light(n, 0));
        backlog.take(n);
        backlog.forget_before(EventTime::from_secs(1));
    }
    assert!(backlog.blocks.len() <= 5, "{} blocks for one entry", backlog.blocks.len());
    assert_eq!(ids(&backlog.take(1)), ["e0"]);
}

#[test]
fn a_table_that_was_large_is_given_back() {
    let mut backlog = Backlog::default();
    (0..5_000).for_each(|n| backlog.push(n, light(n, 0)));
    assert_eq!((backlog.cells.len(), backlog.blocks.len()), (8_192, 5));
    assert_eq!(backlog.shed(10), 4_990);
    assert_eq!((backlog.cells.len(), backlog.blocks.len()), (CELLS_MIN, 1));
    assert_eq!(ids(&backlog.take(4_995)), ["e4995"]);
    assert!(backlog.take(7).is_empty());
}
