//! Restarts and repetition change no judgement.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

#[derive(Clone, Debug)]
enum Op {
    See { per: u8, value: u8, raised: u8, exempt: bool },
    Taint { per: u8, value: u8 },
    High { per: u8 },
    Hold { per: u8, hours: i64 },
}

fn any_op() -> impl Strategy<Value = Op> {
    let see = (0..6_u8, 0..14_u8, 0..20_u8, prop::bool::weighted(0.05));
    prop_oneof![
        20 => see.prop_map(|(per, value, raised, exempt)| Op::See { per, value, raised, exempt }),
        2 => (0..6_u8, 0..14_u8).prop_map(|(per, value)| Op::Taint { per, value }),
        1 => (0..6_u8).prop_map(|per| Op::High { per }),
        1 => (0..6_u8, 0..50_i64).prop_map(|(per, hours)| Op::Hold { per, hours }),
    ]
}

fn step(known: &mut Known, spec: &Baseline, op: &Op, now: i64) -> Option<Judgement> {
    let text = |value: &u8| format!("value {value}");
    let address =
        |value: &u8| Value::Address { ip: [10, *value, 0, 1].into(), asn: Some(u32::from(*value % 3)) };
    match op {
        Op::See { per, value, raised, exempt } => {
            let (per, words) = (per.to_string(), text(value));
            let value =
                if matches!(spec.of, Novel::Values(_)) { Value::text(&words) } else { address(value) };
            let sight = Sight { per: (&*per).into(), value, now_secs: now, exempt: *exempt };
            let judgement = known.judge(spec, &sight);
            let raised = match raised {
                0 => Raised::High,
                1 => Raised::Other,
                _ if judgement.news().is_some() => Raised::Novelty,
                _ => Raised::Nothing,
            };
            known.learn(spec, &sight, &judgement, raised);
            return Some(judgement);
        }
        Op::Taint { per, value } => {
            let per = per.to_string();
            known.taint(&Sight { per: (&*per).into(), value: address(value), now_secs: now, exempt: false });
        }
        Op::High { per } => known.raised_high(&per.to_string()),
        Op::Hold { per, hours } => known.hold(&per.to_string(), (now, now + hours * HOUR)),
    }
    None
}

fn any_spec() -> impl Strategy<Value = Baseline> {
    let mature = (0..3_i64, 0..4_u32, 0..3_usize).prop_map(|(days, events, seen)| Mature {
        age_secs: days * DAY,
        events,
        days: seen,
    });
    let kind = prop_oneof![Just(0), Just(1), Just(2)];
    (kind, mature, 0..3_i64, 0..3_usize, 2..6_usize).prop_map(
        |(kind, mature, learn, accept_days, values_max)| Baseline {
            of: match kind {
                0 => Novel::Network {
                    mobile_networks: 4,
                    mobile_within_secs: 2 * DAY,
                    mobile_days: 2,
                    mobile_of_days: 3,
                },
                _ => Novel::Values(Vec::new()),
            },
            returns_after_secs: (kind == 2).then_some(DAY),
            learn_secs: learn * DAY,
            decay_secs: 3 * DAY,
            mature,
            accept_days,
            values_max,
            ..networks()
        },
    )
}

/// What the store would hold after each [`Baselines::take_learned`].
fn commit(store: &mut BTreeMap<String, Vec<u8>>, learned: Vec<Learned>) {
    for one in learned {
        if one.state.is_empty() {
            store.remove(&one.key);
        } else {
            store.insert(one.key, one.state);
        }
    }
}

proptest! {
    #[test]
    fn a_restart_after_every_nth_step_changes_no_judgement(
        spec in any_spec(),
        steps in prop::collection::vec((any_op(), -2_i64..40), 1..150),
        (restart_every, commit_every) in (1..12_usize, 1..5_usize),
        bytes_max in 1_000..4_000_usize,
    ) {
        let (mut plain, mut restarted) = (Known::new(bytes_max), Known::new(bytes_max));
        let mut store = BTreeMap::new();
        let mut now = 1_700_000_000;
        for (at, (op, hours)) in steps.iter().enumerate() {
            now += hours * HOUR / 4;
            let expect = step(&mut plain, &spec, op, now);
            prop_assert_eq!(expect, step(&mut restarted, &spec, op, now), "step {}", at);
            prop_assert!(plain.0.bytes() <= bytes_max);
            prop_assert_eq!(plain.0.bytes(), plain.0.ledger.records.iter().map(|one| one.bytes as usize).sum::<usize>());
            if at % commit_every == 0 {
                commit(&mut store, restarted.take_learned());
            }
            if at % restart_every == 0 {
                commit(&mut store, restarted.take_learned());
                restarted = Known::new(bytes_max);
                // The store gives no order; the reverse is as good as any.
                for (key, state) in store.iter().rev() {
                    restarted.restore(&Learned { key: key.clone(), state: state.clone() });
                }
                restarted.0.restored();
                prop_assert_eq!(restarted.0.unreadable(), 0);
            }
            let shape = |known: &Known| (known.0.len(), known.0.bytes(), known.settled(), known.0.ledger.settled_bytes);
            prop_assert_eq!(shape(&plain), shape(&restarted));
        }
    }

    #[test]
    fn what_is_noted_already_teaches_nothing(
        spec in any_spec(),
        steps in prop::collection::vec((any_op(), -2_i64..3), 1..100),
    ) {
        let (mut known, mut now) = (Known::new(MUCH), 1_700_000_000);
        for (op, hours) in &steps {
            now += hours * HOUR / 4;
            step(&mut known, &spec, op, now);
            for value in 0..14 {
                let value = format!("value {value}");
                let sight = text("0", &value, now);
                if known.judge(&spec, &sight) == NOTED {
                    let mut peer = known.peer("0").unwrap().clone();
                    prop_assert!(!peer.learn(&spec, &sight, &KNOWN, Raised::Other));
                    prop_assert_eq!(&peer, known.peer("0").unwrap());
                }
            }
        }
    }

    #[test]
    fn judging_is_free_of_effects(
        spec in any_spec(),
        steps in prop::collection::vec((any_op(), 0_i64..40), 1..60),
    ) {
        let (mut known, mut now) = (Known::new(MUCH), 1_700_000_000);
        for (op, hours) in &steps {
            now += hours * HOUR / 4;
            step(&mut known, &spec, op, now);
            let sight = text("0", "value 1", now);
            let first = known.judge(&spec, &sight);
            known.take_learned();
            prop_assert_eq!(first, known.judge(&spec, &sight));
            prop_assert!(known.take_learned().is_empty());
        }
    }
}
