//! What the statistical correlations measure is compared exactly.

use super::happening::Happening;
use super::{Recorded, compiled, refused, standing};

/// What a rule that measures `raw.amount` of all events within an hour finds, as last told: the observed value.
fn observed(kind: &str, condition: &str, amounts: &[&str]) -> Option<f64> {
    let text = format!(
        "title: Measure\nname: measure\nlevel: high\ncorrelation: {{type: {kind}, rules: [read], timespan: 1h, \
         condition: {{field: raw.amount, {condition}}}}}\n---\n\
         title: Read\nname: read\ndetection: {{sel: {{class: secret.read}}, condition: sel}}\n"
    );
    let one = |(n, amount): (usize, &&str)| Recorded {
        // At one instant: the window is looked at once.
        event: Happening { id: format!("e{n:04}"), ..refused(0, 0, 0) }.event(),
        raw: format!("{{\"amount\": {amount}}}").into_bytes(),
    };
    let events: Vec<Recorded> = amounts.iter().enumerate().map(one).collect();
    let found = standing(&compiled(&text), &[events.iter().collect()], None);
    found.into_values().next().map(|alert| alert.why.observed)
}

#[test]
fn what_is_measured_is_compared_exactly() {
    let hundred: Vec<String> = (1..=100).rev().map(|n| n.to_string()).collect();
    let hundred: Vec<&str> = hundred.iter().map(String::as_str).collect();
    // In binary fractions 0.07 × 100 is more than 7, and 0.1 + 0.2 + 0.3 a third of it less than 0.2.
    for percent in 1..=100 {
        let found = observed("value_percentile", &format!("percentile: {percent}, eq: {percent}"), &hundred);
        assert_eq!(found, Some(f64::from(percent)), "{percent}");
    }
    assert_eq!(observed("value_percentile", "percentile: 99.1, eq: 100", &hundred), Some(100.0));
    assert_eq!(observed("value_percentile", "percentile: 0, eq: 1", &hundred), Some(1.0));
    assert_eq!(observed("value_avg", "gte: 0.2", &["0.1", "0.2", "0.3"]), Some(0.2));
    assert_eq!(observed("value_avg", "eq: 0.2", &["0.1", "0.2", "0.3"]), Some(0.2));
    assert_eq!(observed("value_sum", "eq: 0.6", &["0.1", "0.2", "0.3"]), Some(0.6));
    assert_eq!(observed("value_sum", "gt: 0.6", &["0.1", "0.2", "0.3"]), None);
    assert_eq!(observed("value_median", "eq: 2.5", &["9", "2", "3", "-4"]), Some(2.5));
    assert_eq!(observed("value_median", "eq: 3", &["9", "2", "3"]), Some(3.0));
}

#[test]
fn what_is_no_number_adds_nothing_and_no_number_meets_no_bound() {
    let nothing = ["null", "\"many\"", "\"NaN\"", "\"inf\"", "true", "[]", "{}", "\" 5\"", "\"\""];
    for kind in ["value_sum", "value_avg", "value_median"] {
        for bound in ["lt: 5", "lte: 0", "gte: -5", "gt: -5", "eq: 0", "neq: 7"] {
            assert_eq!(observed(kind, bound, &nothing), None, "{kind} {bound}");
        }
        assert_eq!(observed(kind, "eq: 5", &[&nothing[..], &["5"]].concat()), Some(5.0), "{kind}");
        assert_eq!(observed(kind, "eq: 5", &[&nothing[..], &["\"5\""]].concat()), Some(5.0), "{kind}");
    }
    assert_eq!(observed("value_percentile", "percentile: 50, lt: 5", &nothing), None);
    assert_eq!(observed("value_sum", "eq: 6", &["[1, \"x\", 2, null, 3]"]), Some(6.0), "each item of a list");
    assert_eq!(observed("value_sum", "lt: 0", &["-7", "2.5"]), Some(-4.5));
    let most = observed("value_sum", "gt: 9e12", &["1e300"]).expect("it is large");
    assert!((most - 9.223_372_036_854_775e12).abs() < 1.0, "{most}");
    assert_eq!(observed("value_sum", "lt: 1", &["1e300", "-1e300"]), Some(-0.000_001), "both are held");
}
