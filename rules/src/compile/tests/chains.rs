//! Correlations of correlations: what they become, and what is a mistake.

use super::{compiled, correlation, refused};
use crate::field::Field;
use crate::log_source::LogSource;
use crate::rule::{Count, Kind, RuleSet};

/// Correlations `c1`, `c2` and so on, each of which counts the one before; `c1` counts `first`. The
/// `rules` of `c1` are on line 9, those of each further one five lines on.
fn chain(length: usize, first: &str) -> String {
    let link = |n: usize| {
        let counted = if n == 1 { first.to_owned() } else { format!("c{}", n - 1) };
        format!(
            "---\ntitle: C{n}\nname: c{n}\nlevel: high\n\
             correlation: {{type: event_count, rules: [{counted}], timespan: 1h, condition: {{gte: 2}}}}\n"
        )
    };
    let detection = "title: A\nname: a\nlevel: low\ndetection: {sel: {class: secret.read}, condition: sel}\n";
    std::iter::once(detection.to_owned()).chain((1..=length).map(link)).collect()
}

fn counts(set: &RuleSet) -> Vec<&Count> {
    let counts = set.rules.iter().filter_map(|rule| match &rule.kind {
        Kind::Count(count) => Some(&**count),
        Kind::Classify(_) | Kind::Silence(_) | Kind::Risk(_) | Kind::Observed(_) => None,
    });
    counts.collect()
}

#[test]
fn a_correlation_may_count_another_which_then_raises_nothing() {
    let set = compiled(&chain(3, "a"));
    let counts = counts(&set);
    assert_eq!(counts.iter().map(|count| count.raises).collect::<Vec<_>>(), [false, false, true]);
    let through = counts[2].hits[0].through.as_ref().unwrap();
    assert_eq!((&*through.rule, through.beginning), ("c2", true));
    let spans: Vec<i64> = set.rules.iter().map(|rule| rule.kind.span_secs() / 3600).collect();
    // An hour and a day is what the incident of the outermost lives; each below looks back two hours.
    assert_eq!(spans, [0, 25 + 4, 25 + 2, 25]);
    assert_eq!(set.rules[1].level, keywatch_event::Level::Info);
}

#[test]
fn a_correlation_that_another_counts_may_raise_all_the_same() {
    let text = chain(2, "a").replace("rules: [c1]", "rules: [c1], generate: true");
    let set = compiled(&text);
    assert!(counts(&set)[0].raises && counts(&set)[0].feeds_secs.is_some());
}

#[test]
fn a_chain_that_is_too_long_or_too_wide_or_comes_back_to_itself_is_a_mistake() {
    compiled(&chain(8, "a"));
    refused(
        &chain(9, "a"),
        &[
            "a.yml:49:42: more than 8 correlations follow one another; name what lies nearer to the detections",
        ],
    );
    let circle = "this correlation counts itself, by way of the one it names; let one of them name the detections themselves";
    refused(&chain(1, "c1"), &[&format!("a.yml:9:42: {circle}")]);
    refused(&chain(2, "c2"), &[&format!("a.yml:9:42: {circle}"), &format!("a.yml:14:42: {circle}")]);
    let names = |letter: char, number: usize| (0..number).map(|n| format!("{letter}{n}")).collect::<Vec<_>>();
    let detection = |name: &String| {
        format!("title: D\nname: {name}\ndetection: {{sel: {{class: other}}, condition: sel}}\n---\n")
    };
    let correlation = |name: &str, rules: &[String]| {
        format!(
            "title: I\nname: {name}\nlevel: high\ncorrelation: {{type: event_count, timespan: 1h, condition: {{gte: 2}}, rules: [{}]}}\n---\n",
            rules.join(", ")
        )
    };
    let (detections, inner) = (names('d', 9), names('i', 8));
    let text: String = detections
        .iter()
        .map(detection)
        .chain(inner.iter().map(|name| correlation(name, &detections)))
        .chain([correlation("outer", &inner)])
        .collect();
    let wide = "a.yml:80:76: more than 64 detections are counted here, each way to one by itself; count fewer in one correlation";
    refused(&text, &[wide]);
}

#[test]
fn an_alias_of_a_correlation_stands_for_what_it_means_in_each_detection() {
    let rest = "---\ntitle: D\nname: d\nlevel: high\ncorrelation: {type: temporal, rules: [c, e], group-by: [GROUP], timespan: 1h, aliases: {ALIASES}}\n\
                ---\ntitle: E\nname: e\ndetection: {sel: {class: export}, condition: sel}\n";
    let body = "type: event_count, rules: [a, b], timespan: 1h, condition: {gte: 2}, group-by: [who], aliases: {who: {a: principal.id, b: source.ip}}";
    let groups = |group: &str, aliases: &str| {
        let rest = rest.replace("GROUP", group).replace("ALIASES", aliases);
        let set = compiled(&correlation(body, &rest));
        let outer = counts(&set)[1].clone();
        outer.hits.iter().map(|hit| hit.group_by.clone()).collect::<Vec<_>>()
    };
    let field =
        |name: &str| vec![Field::parse(name, &LogSource::parse(Some("keywatch"), None, None)).unwrap()];
    let wanted = [field("principal.id"), field("source.ip"), field("principal.name")];
    assert_eq!(groups("user", "user: {c: who, e: principal.name}"), wanted);
    let wanted = [field("account"), field("account"), field("account")];
    assert_eq!(groups("account", ""), wanted);
}

#[test]
fn a_chain_has_no_use_for_what_shapes_incidents_or_explains_events() {
    let extended = |rule: &str, extension: &str| {
        let end = "condition: {gte: 2}}\n";
        let mut parts: Vec<String> = chain(2, "a").split_inclusive(end).map(str::to_owned).collect();
        parts[usize::from(rule == "c2")].push_str(&["keywatch: {", extension, "}\n"].concat());
        parts.concat()
    };
    for key in ["incident: {keep_alive: 1h}", "escalate: {to: critical, distinct: secrets.id, gte: 2}"] {
        let name = key.split_once(':').unwrap().0;
        refused(
            &extended("c1", key),
            &[&format!(
                "a.yml:10:22: `{name}` has no effect here: `c2` counts this correlation, which then raises nothing by itself; move it to that correlation, or write `generate: true` there"
            )],
        );
        compiled(&extended("c2", key));
    }
    let lagged = "lagged: {highest: 2}";
    refused(
        &extended("c1", lagged),
        &[
            "a.yml:10:20: `lagged` has no effect here: `c2` counts the events at which this condition is met, and knows of no other; give what raises a correlation of its own",
        ],
    );
    refused(
        &extended("c2", lagged),
        &[
            "a.yml:15:20: `lagged` has no effect here: a correlation of correlations learns no threshold; count the detections themselves, or remove it",
        ],
    );
}
