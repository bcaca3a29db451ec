//! What shapes incidents.

use super::{correlation, counted, detection, last, problems, refused};
use crate::rule::{Counted, LaggedBy};
use keywatch_event::Level;

const COUNT: &str =
    "type: event_count, rules: [a, b], group-by: [account], timespan: 1h, condition: {gte: 5}";

#[test]
fn an_incident_has_keys_and_times() {
    let usual = counted(&detection("{}")).incident;
    assert_eq!((usual.keep_alive_secs, usual.max_duration_secs, usual.keys.len()), (3600, 86_400, 1));
    let own =
        counted(&detection("incident: {key: [store, actor], or: [secrets.id], keep_alive: 48h}")).incident;
    assert_eq!((own.keep_alive_secs, own.max_duration_secs, own.keys.len()), (172_800, 172_800, 2));
    refused(
        &detection("incident: {or: [secrets.id], keepalive: 1h}"),
        &[
            "a.yml:10:13: `or` stands without `key`; write the first set of fields as `key`",
            "a.yml:10:32: unknown key `keepalive`; did you mean `keep_alive`?",
        ],
    );
}

#[test]
fn an_incident_is_not_kept_alive_beyond_its_longest_time() {
    refused(
        &detection("incident: {keep_alive: 48h, max_duration: 1h}"),
        &[
            "a.yml:10:26: `keep_alive` is longer than `max_duration`; write a `keep_alive` no longer than `max_duration`",
        ],
    );
    counted(&detection("incident: {keep_alive: 1h, max_duration: 1h}"));
}

#[test]
fn events_attach_by_name_or_in_full() {
    let bare = &counted(&detection("attach: _other")).attach;
    assert_eq!((bare.len(), bare[0].on.len(), bare[0].raise_to), (1, 1, None));
    let full =
        &counted(&detection("attach: [_other, {when: _other, on: [principal.id, store], to: critical}]"))
            .attach;
    assert_eq!((full.len(), full[1].on.len(), full[1].raise_to), (2, 2, Some(Level::Critical)));
    refused(
        &detection("attach: [{when: sel}, othr]"),
        &[
            "a.yml:10:12: `on` is missing; name the fields the event shares with the incident, as `on: [secrets.id]`",
            "a.yml:10:25: `othr` is no selection here; did you mean `_other`?",
        ],
    );
}

#[test]
fn escalations_count_events_values_or_matches() {
    let text = "escalate: [{to: critical, gte: 3, within: 10m}, {to: high, distinct: secrets.id, gte: 8}, {to: high, matching: _other, gte: 1}]";
    let escalate = counted(&detection(text)).escalate;
    assert!(matches!(escalate[0].of, Counted::Events) && escalate[0].within_secs == 600);
    assert!(matches!(escalate[1].of, Counted::Distinct(_)) && escalate[1].within_secs == 0);
    assert!(matches!(escalate[2].of, Counted::Matching(_)) && escalate[2].at_least == 1);
    refused(
        &detection("escalate: {to: low}"),
        &[
            "a.yml:10:13: an incident is never informational; write medium, high or critical",
            "a.yml:10:13: `gte` is missing; say from how many on, as `gte: 3`",
        ],
    );
}

#[test]
fn further_conditions_count_values_or_matches() {
    let rest = "keywatch: {any: [{distinct: secrets.id, gte: 2}, {matching: _denied, gt: 0}]}";
    let any = counted(&correlation(COUNT, rest)).any;
    assert!(matches!(&any[0].of, Counted::Distinct(hits) if hits.len() == 2), "one list for each detection");
    assert!(matches!(any[1].of, Counted::Matching(_)));
    refused(
        &correlation(COUNT, "keywatch: {any: [{gte: 2}, {matching: sel, distinct: store, gte: 1}]}"),
        &[
            "a.yml:13:18: needs `distinct` or `matching`; for example `{distinct: secrets.id, gte: 2}`",
            "a.yml:13:39: `distinct` and `matching` stand together; write two conditions, one for each",
        ],
    );
}

#[test]
fn hold_and_lower_name_selections() {
    refused(
        &detection("hold: {when: sel, cleared_by: _othr}\n  lower: {to: medum, created_by: sel}"),
        &[
            "a.yml:10:9: `on` is missing; name the fields that agree between the two, as `on: [principal.id]`",
            "a.yml:10:33: `_othr` is no selection here; did you mean `_other`?",
            "a.yml:11:10: `read_by` is missing; name a selection of the detection",
            "a.yml:11:15: `medum` is no level; write informational, low, medium, high or critical",
        ],
    );
}

#[test]
fn a_learned_threshold_starts_from_a_fixed_one() {
    let lagged = counted(&correlation(COUNT, "keywatch: {lagged: {highest: 1.5, plus: 1}}")).lagged.unwrap();
    assert_eq!(lagged.by, LaggedBy::Highest { factor: 1.5, plus: 1.0 });
    assert_eq!((lagged.days, lagged.days_min), (14, 3));
    let spread = counted(&correlation(COUNT, "keywatch: {lagged: {spread: 6}}")).lagged.unwrap();
    assert_eq!((spread.by, spread.days_min), (LaggedBy::Spread { times: 6.0 }, 7));
    refused(
        &correlation(&COUNT.replace("gte: 5", "gte: 5, lt: 9"), "keywatch: {lagged: {spread: 6}}"),
        &[
            "a.yml:13:20: a learned threshold needs a count with one `gte` bound to start from; write `condition: {gte: 10}` in the correlation",
        ],
    );
    refused(
        &correlation(COUNT, "keywatch: {lagged: {spread: 6, plus: 2, days: 5}}"),
        &[
            "a.yml:13:20: `plus` goes with `highest`; write `{highest: 1.5, plus: 1}` or `{spread: 6}`",
            "a.yml:13:20: `days_min` is 7, and only 5 days count; write `days_min` no larger than `days`",
        ],
    );
}

#[test]
fn a_correlation_may_bring_selections_of_its_own() {
    let own =
        "detection:\n  mine: {outcome: ok}\nkeywatch: {escalate: {to: critical, matching: mine, gte: 1}}";
    assert_eq!(counted(&correlation(COUNT, own)).escalate.len(), 1);
    refused(
        &correlation(COUNT, "detection:\n  mine: {outcome: ok}\n  condition: mine\n"),
        &[
            "a.yml:14:9: no condition uses the selection `mine`; name it in the condition, or remove it",
            "a.yml:15:14: the `detection` of a correlation holds selections only; remove the condition",
        ],
    );
}

#[test]
fn selections_are_taken_from_the_first_detection_that_has_them() {
    let twice = correlation(COUNT, "keywatch: {any: [{matching: sel, gte: 1}]}");
    let count = counted(&twice);
    assert!(matches!(count.any[0].of, Counted::Matching(sel) if sel == count.hits[0].matcher));
}

#[test]
fn the_field_names_of_the_extension_are_keywatchs_own() {
    let aws = "title: T\nlevel: high\nlogsource: {product: aws, service: cloudtrail}\n\
               detection: {sel: {eventName: PutParameter}, condition: sel}\n";
    let found = problems(&[&format!("{aws}keywatch: {{incident: {{key: [eventName]}}}}\n")]);
    assert!(found[0].starts_with("a.yml:5:29: unknown field `eventName`;"), "{found:?}");
    assert!(found[0].contains("`raw.eventName`"), "{found:?}");
    assert_eq!(
        counted(&format!("{aws}keywatch: {{incident: {{key: [raw.eventName]}}}}\n")).incident.keys.len(),
        1
    );
}

#[test]
fn actions_follow_the_level_unless_written() {
    let check = |level: &str, want: &str| {
        assert_eq!(last(&detection("{}").replace("medium", level)).action, want, "{level}");
    };
    check("low", "Log only");
    check("medium", "Investigate");
    check("high", "Investigate");
    check("critical", "Immediate review");
    assert_eq!(last(&detection("action: Look")).action, "Look");
}
