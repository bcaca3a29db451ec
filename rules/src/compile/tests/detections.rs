//! Detections alone, and baselines.

use super::{compiled, counted, detection, last, problems, refused};
use crate::rule::{Kind, Mature, Novel};
use keywatch_event::Level;

#[test]
fn the_frame_of_a_rule_is_checked() {
    refused(
        "detection: {sel: {class: secret.read}, condition: sel}\n",
        &[
            "a.yml:1:1: `level` is missing; there is no usual one: write informational or low to classify events and raise nothing, medium (a warning), high or critical to raise alerts",
            "a.yml:1:1: `title` is missing; add `title:`, one line",
        ],
    );
    refused(
        &detection("acton: Look").replace("medium", "hihg"),
        &[
            "a.yml:8:8: `hihg` is no level; write informational, low, medium, high or critical",
            "a.yml:10:3: unknown key `acton`; did you mean `action`?",
        ],
    );
    refused(
        &detection("{}").replace("logsource: {product: keywatch, category: audit}", "logsource: {}"),
        &[
            "a.yml:3:12: the log source names no product, service or category; for Keywatch's own fields write `logsource: {product: keywatch, category: audit}`",
        ],
    );
}

#[test]
fn selections_are_there_not_empty_and_used() {
    refused(
        "title: T\nlevel: low\ndetection:\n  sel: {class: secret.read}\n  spare: {outcome: ok}\n  condition: sel\n",
        &["a.yml:5:10: no condition uses the selection `spare`; name it in the condition, or remove it"],
    );
    refused(
        "title: T\nlevel: low\ndetection:\n  sel: {}\n  condition: sel\n",
        &["a.yml:4:8: the selection `sel` is empty; name the fields and values an event must have"],
    );
    refused(
        "title: T\nlevel: low\ndetection:\n  _sel: {class: secret.read}\n",
        &["a.yml:4:3: `condition` is missing; add `condition:` with the names of the selections"],
    );
}

#[test]
fn a_misspelt_modifier_is_named_with_the_one_that_was_meant() {
    let rule =
        |item: &str| format!("title: T\nlevel: low\ndetection:\n  sel:\n    {item}: x\n  condition: sel\n");
    refused(
        &rule("operation|contians"),
        &["a.yml:5:5: `contians` in `operation|contians` is no modifier; did you mean `contains`?"],
    );
    refused(
        &rule("operation|startswith|al"),
        &["a.yml:5:5: `al` in `operation|startswith|al` is no modifier; did you mean `all`?"],
    );
    let far = problems(&[&rule("operation|telepathy")]);
    assert!(far[0].contains("known here: contains, startswith"), "{far:?}");
}

#[test]
fn a_condition_that_counts_is_told_as_the_correlation_to_write() {
    let rule = |condition: &str| {
        format!("title: T\nlevel: low\ndetection:\n  s: {{class: secret.read}}\n  condition: {condition}\n")
    };
    let remedy = |correlation: &str| {
        format!(
            "a.yml:5:14: a condition does not count; Sigma counts in a correlation of its own: leave the condition \
             before the `|`, give this rule a `name`, and add a document with `correlation: {correlation}`"
        )
    };
    refused(
        &rule("s | count() > 10"),
        &[&remedy("{type: event_count, rules: [<name>], timespan: 10m, condition: {gt: 10}}")],
    );
    refused(
        &rule("s | count(secrets.id) by principal.id >= 3"),
        &[&remedy(
            "{type: value_count, rules: [<name>], group-by: [principal.id], timespan: 10m, condition: {field: secrets.id, gte: 3}}",
        )],
    );
    let near = problems(&[&rule("s | near other")]);
    assert!(near[0].contains("the condition cannot be read"), "{near:?}");
}

#[test]
fn where_a_condition_breaks_off_is_told_in_one_line() {
    let rule = |condition: &str| {
        format!("title: T\nlevel: low\ndetection:\n  sel: {{class: secret.read}}\n  condition: {condition}\n")
    };
    let remedy = "combine selection names with and, or, not, `1 of x_*`, `all of them`";
    refused(
        &rule("sel and not sel or"),
        &[&format!(
            "a.yml:5:14: the condition cannot be read: it stops where a selection's name is needed; {remedy}"
        )],
    );
    refused(
        &rule("sel and ) sel"),
        &[&format!("a.yml:5:14: the condition cannot be read from `) sel` on; {remedy}")],
    );
}

#[test]
fn selections_that_stand_beside_the_title_are_told_where_they_belong() {
    refused(
        "title: T\nlevel: low\nselection:\n  class: secret.read\ncondition: selection\n",
        &[
            "a.yml:1:1: a rule needs a `detection` or a `correlation`; put the selections and their `condition` below `detection:`",
        ],
    );
}

#[test]
fn a_field_of_the_providers_own_record_is_answered_with_how_it_is_written() {
    let found = problems(&[
        "title: T\nlevel: low\ndetection:\n  sel: {eventName: GetSecretValue, operation|re: '(x'}\n  condition: sel\n",
    ]);
    assert!(
        found[0].starts_with(
            "a.yml:4:9: unknown field `eventName`; a field of the provider's own record is written `raw.eventName`, or as it is where"
        ),
        "{found:?}"
    );
    assert_eq!(
        found[1],
        "a.yml:4:50: the regular expression cannot be used: unclosed group; write it without lookaround and backreferences, and not too large"
    );
}

#[test]
fn selections_named_by_the_extension_are_used() {
    let text = detection("hold: {when: _other, cleared_by: late, on: [principal.id], unless_count: 5}")
        .replace("  condition", "  late: {outcome: ok}\n  condition");
    let hold = counted(&text).hold.unwrap();
    assert_eq!((hold.secs, hold.before_too, hold.unless_count), (60, false, 5));
}

#[test]
fn the_level_decides_what_a_detection_does() {
    for (level, alerts) in [("informational", false), ("low", false), ("medium", true), ("critical", true)] {
        let rule = last(&detection("{}").replace("medium", level));
        assert_eq!(matches!(rule.kind, Kind::Count(_)), alerts, "{level}");
    }
    refused(
        &detection("incident: {keep_alive: 1h}").replace("medium", "low"),
        &[
            "a.yml:10:13: `incident` has no effect here: a rule of level informational or low raises nothing; remove it, or raise the level",
        ],
    );
}

#[test]
fn what_belongs_to_others_is_refused() {
    refused(
        &detection("lagged: {spread: 6}"),
        &[
            "a.yml:10:11: `lagged` has no effect here: it belongs to a correlation; move it to the correlation that uses this detection",
        ],
    );
    refused(
        &detection("risk: {rules: 2}"),
        &[
            "a.yml:10:9: `risk` has no effect here: a risk rule has no detection; give it a document of its own, with a title and a level",
        ],
    );
}

#[test]
fn a_baseline_of_values_has_its_usual_numbers() {
    let set = compiled(&detection("first_seen: {of: [secrets.id, operation], per: [principal.id]}"));
    let baseline = &set.baselines[0];
    assert!(matches!(&baseline.of, Novel::Values(fields) if fields.len() == 2));
    assert_eq!((baseline.per.len(), baseline.mature, baseline.accept_days), (1, Mature::default(), 0));
    assert_eq!(
        (baseline.learn_secs, baseline.decay_secs, baseline.values_max),
        (7 * 86_400, 90 * 86_400, 256)
    );
    let Kind::Count(count) = &set.rules[0].kind else { panic!("{:?}", set.rules[0]) };
    assert_eq!(count.hits[0].novel.map(|id| id.0), Some(0));
    assert_eq!(count.hits[0].matcher, baseline.events);
}

#[test]
fn a_baseline_of_networks_has_its_ladder_and_its_own_usual_numbers() {
    let set = compiled(&detection("first_seen: {of: source.network, taints: _other, mature: {events: 20}}"));
    let baseline = &set.baselines[0];
    assert!(matches!(
        baseline.of,
        Novel::Network {
            mobile_networks: 12,
            mobile_within_secs: 604_800,
            mobile_days: 4,
            mobile_of_days: 14
        }
    ));
    assert_eq!(baseline.mature, Mature { age_secs: 604_800, events: 20, days: 3 });
    assert_eq!((baseline.per.len(), baseline.decay_secs, baseline.accept_days), (1, 30 * 86_400, 3));
    assert!(baseline.taints.is_some() && baseline.unless.is_none());
}

#[test]
fn a_value_that_may_return_is_remembered_for_longer() {
    let set = compiled(&detection("first_seen: {of: secrets.id, returns_after: 90d}"));
    assert_eq!(set.baselines[0].decay_secs, 360 * 86_400);
    refused(
        &detection("first_seen: {of: secrets.id, returns_after: 90d, decay: 90d}"),
        &[
            "a.yml:10:59: a value would be forgotten before it can return; write `decay` longer than `returns_after`",
        ],
    );
}

#[test]
fn the_keys_of_a_baseline_are_checked() {
    refused(
        &detection("first_seen: {per: [principal.id]}"),
        &["a.yml:10:15: `of` is missing; name fields, as `of: [secrets.id]`, or source.network"],
    );
    refused(
        &detection("first_seen: {of: [source.network, secrets.id]}"),
        &[
            "a.yml:10:20: source.network is judged by itself; leave source.network alone in `of`, and write the other fields under `per`",
        ],
    );
    refused(
        &detection("first_seen: {of: secrets.id, mobile: {networks: 3}}"),
        &[
            "a.yml:10:40: only networks have a ladder a principal can climb; remove `mobile`, or write `of: source.network`",
        ],
    );
    refused(
        &detection("first_seen: {of: secrets.id, per: [secrets.id], taints: nobody}"),
        &[
            "a.yml:10:38: `secrets.id` is also under `of`, so it is new only once for itself; take it out of one of them",
            "a.yml:10:59: `nobody` is no selection here; known here: sel, _other",
        ],
    );
}

#[test]
fn a_silence_is_about_a_rhythm_or_a_follower() {
    let Kind::Silence(silence) = last(&detection("silence: {per: [provider, account]}")).kind else {
        panic!()
    };
    assert_eq!((silence.secs_min, silence.gaps_min, silence.hit.group_by.len()), (1800, 100, 2));
    let follower = detection("silence: {followed_by: _other, per: raw.request.id}");
    let Kind::Silence(silence) = last(&follower).kind else { panic!() };
    assert_eq!((silence.secs_min, silence.followed_by.map(|hit| hit.group_by.len())), (60, Some(1)));
}

#[test]
fn the_keys_of_a_silence_are_checked() {
    refused(
        &detection("silence: {followed_by: _other, gaps_min: 7}"),
        &[
            "a.yml:10:12: `per` is missing; name what the two events share, as `per: [raw.request.id]`",
            "a.yml:10:44: `gaps_min` is about a rhythm, not about a follower; remove it",
        ],
    );
    refused(
        &detection("silence: {for_at_least: 5 minutes}").replace("medium", "low"),
        &[
            "a.yml:10:12: a silence of level informational or low tells nobody; raise the level",
            "a.yml:10:27: `for_at_least` is `5 minutes`; write a length of time such as 30s, 10m, 1h or 7d",
        ],
    );
    refused(
        &detection("silence: {per: [account]}\n  escalate: {to: high, gte: 2}"),
        &["a.yml:11:13: `escalate` has no effect here: the alert of a silence has no events; remove it"],
    );
}

#[test]
fn a_risk_rule_joins_the_alerts_of_others() {
    let text = "title: R\nname: r\nlevel: critical\nkeywatch: {risk: {except: [r], by: [principal]}}\n";
    let rule = last(text);
    let Kind::Risk(risk) = &rule.kind else { panic!("{rule:?}") };
    assert_eq!((risk.rules_min, risk.timespan_secs, risk.level_min), (2, 3600, Level::High));
    assert_eq!((risk.except.len(), risk.by.len()), (1, 1));
    refused(
        &text.replace("[r]", "[q]").replace("[principal]", "[principle]"),
        &[
            "a.yml:4:28: no rule is called `q`; did you mean `r`?",
            "a.yml:4:37: alerts cannot be joined by `principle`; did you mean `principal`?",
        ],
    );
}

#[test]
fn a_rule_about_sources_names_what_is_noticed_and_has_no_detection() {
    let text = "title: S\nname: s\nlevel: high\nkeywatch: {observed: silence}\n";
    assert!(matches!(last(text).kind, Kind::Observed(keywatch_event::Observed::Silence)));
    refused(
        &text.replace("silence", "silense"),
        &["a.yml:4:22: nothing called `silense` is noticed about a source; did you mean `silence`?"],
    );
    refused(
        &text.replace("level: high", "level: low"),
        &["a.yml:4:22: what is noticed at level informational or low is told to nobody; raise the level"],
    );
}

/// A detection of level medium with this selection, on line 5 from column 8 on, and condition.
fn asking(selection: &str, condition: &str) -> String {
    format!("title: T\nname: t\nlevel: medium\ndetection:\n  sel: {selection}\n  condition: {condition}\n")
}

#[test]
fn an_hour_no_clock_shows_is_refused_and_a_number_is_an_hour() {
    let remedy = "hours are written with two digits, from 00 to 23";
    for wrong in ["\"24\"", "24", "\"7\"", "noon", "-1", "[\"08\", \"007\"]"] {
        let found = problems(&[&asking(&format!("{{time.hour: {wrong}}}"), "sel")]);
        assert!(found.len() == 1 && found[0].ends_with(remedy), "{wrong}: {found:?}");
    }
    for right in ["\"07\"", "7", "07", "[0, \"23\"]", "'2*'", "'0?'"] {
        compiled(&asking(&format!("{{time.hour: {right}}}"), "sel"));
    }
    compiled(&asking("{time.hour|gte: 9, time.hour|lt: 24}", "sel"));
}

#[test]
fn more_selections_than_there_are_cannot_be_asked_for() {
    refused(
        &asking("{class: secret.read}", "2 of se*"),
        &[
            "a.yml:6:14: the condition asks for 2 of `se*`, and there are 1; ask for at most 1, or add selections",
        ],
    );
    compiled(&asking("{class: secret.read}", "1 of se*"));
}

#[test]
fn parentheses_without_end_are_told_once_and_briefly() {
    let deep = format!("{}sel{}", "(".repeat(200), ")".repeat(200));
    let remedy = "combine selection names with and, or, not, `1 of x_*`, `all of them`";
    let message = "the condition cannot be read: its parentheses are nested too deeply";
    refused(&asking("{class: secret.read}", &deep), &[&format!("a.yml:6:14: {message}; {remedy}")]);
    let hold = format!(
        "{}keywatch: {{hold: {{when: \"{deep}\", cleared_by: sel, on: [store]}}}}\n",
        asking("{class: secret.read}", "sel")
    );
    refused(&hold, &[&format!("a.yml:7:25: {message}; write the name of a selection")]);
}

#[test]
fn a_level_is_written_as_sigma_writes_it() {
    let with = |level: &str| asking("{class: secret.read}", "sel").replace("medium", level);
    refused(&with("warning"), &["a.yml:3:8: `warning` is no level; a warning is written `medium`"]);
    let all = "write informational, low, medium, high or critical";
    refused(&with("info"), &[&format!("a.yml:3:8: `info` is no level; {all}")]);
}
