//! What is kept of incidents: as much as a restart needs, and no more.

use super::*;

fn anchor(opened: i64, last: i64) -> Anchor {
    let nanos = |secs: i64| EventTime::from_secs(secs).unix_nanos();
    Anchor {
        opened: (nanos(opened), format!("e{opened}")),
        first: nanos(opened),
        last: nanos(last),
        full: vec![(1, i64::MIN)],
        base: vec![(2, i64::MIN)],
        ..Anchor::default()
    }
}

fn id(n: i64) -> AlertId {
    AlertId(format!("a{n}"))
}

fn keys(learned: &[Learned]) -> Vec<(&str, bool)> {
    learned.iter().map(|one| (&*one.key, one.state.is_empty())).collect()
}

#[test]
fn what_is_stored_comes_back_and_goes_when_nothing_of_it_is_fed_again() {
    let mut kept = Anchors::new(true);
    kept.put("eve", &id(1), anchor(100, 200));
    kept.put("eve", &id(2), anchor(300, 400));
    let learned = kept.take_learned("R", Some(EventTime::from_secs(150)));
    assert_eq!(keys(&learned), [("R\u{1f}anchor a1", false), ("R\u{1f}anchor a2", false)]);
    kept.put("eve", &id(2), anchor(300, 400));
    assert_eq!(kept.take_learned("R", None), [], "nothing changed");
    let mut restarted = Anchors::new(true);
    for one in &learned {
        restarted.restore("R", one);
        restarted.restore("R-2", one);
    }
    assert_eq!(restarted.kept.get("a2"), kept.kept.get("a2"));
    let learned = restarted.take_learned("R", Some(EventTime::from_secs(201)));
    assert_eq!(keys(&learned), [("R\u{1f}anchor a1", true)]);
    restarted.remove(&id(2));
    assert_eq!(keys(&restarted.take_learned("R", None)), [("R\u{1f}anchor a2", true)]);
    assert!(restarted.by_last.is_empty());
}

#[test]
fn of_too_many_those_that_ended_first_go() {
    let mut kept = Anchors::new(true);
    for n in 0..25_000 {
        kept.put("eve", &id(n), anchor(n, n + 10));
        assert!(kept.kept.len() <= ANCHORS_MAX && kept.by_last.len() == kept.kept.len());
    }
    assert!(kept.kept.contains("a24999") && !kept.kept.contains("a0"));
    assert_eq!(kept.evicted(), 5_000);
}

#[test]
fn before_everything_is_known_again_only_what_opened_then_opens() {
    let past =
        Past { until: Some(EventTime::from_secs(500)), open: vec![anchor(300, 400)], ..Past::default() };
    let opens = |secs: i64, event: &str| past.opens((EventTime::from_secs(secs), event));
    assert_eq!(
        (opens(300, "e300"), opens(300, "other"), opens(310, "e310")),
        (Some(true), Some(false), Some(false))
    );
    assert_eq!((opens(500, "e500"), Past::default().opens((EventTime::from_secs(1), "e"))), (None, None));
}
