//! Several documents and several files.

use super::{compiled, correlation, problems, refused};
use crate::compile;
use crate::rule::Kind;
use keywatch_event::Level;

const READ: &str =
    "title: Read\nname: read\ndetection: {sel: {class: secret.read}, condition: sel}\nlevel: medium\n";
const MANY: &str = "title: Many\nname: many\ncorrelation: {type: event_count, rules: [read], timespan: 1h, condition: {gte: 9}}\nlevel: high\n";

#[test]
fn a_correlation_uses_a_rule_of_another_file_read_later() {
    let set = compile([("many.yml", MANY), ("read.yml", READ)]).unwrap();
    let Kind::Count(count) = &set.rules[0].kind else { panic!("{:?}", set.rules[0]) };
    assert_eq!((&*set.rules[0].id, &*count.hits[0].rule, count.hits[0].matcher.0), ("many", "read", 0));
    assert!(matches!(&set.rules[1].kind, Kind::Classify(hit) if hit.matcher == count.hits[0].matcher));
    assert_eq!((set.rules[1].level, set.matchers.len()), (Level::Info, 1));
}

#[test]
fn a_rule_may_be_named_by_its_id() {
    let read = READ.replace("name: read", "id: 6f1c0a52-0000-4000-8000-000000000001");
    let many = MANY.replace("[read]", "[6f1c0a52-0000-4000-8000-000000000001]");
    let set = compile([("read.yml", read.as_str()), ("many.yml", many.as_str())]).unwrap();
    assert_eq!(&*set.rules[0].id, "6f1c0a52-0000-4000-8000-000000000001");
}

#[test]
fn a_rule_without_name_and_id_goes_by_its_title_however_the_file_is_written() {
    let many = MANY.replace("[read]", "[Read]");
    for read in [
        READ.replace("name: read\n", ""),
        "{title: Read, level: medium, detection: {sel: {class: secret.read}, condition: sel}}".to_owned(),
        "\"level\": medium\n'title': Read\ndetection: {sel: {class: secret.read}, condition: sel}\n"
            .to_owned(),
        "  level: medium\n  detection: {sel: {class: secret.read}, condition: sel}\n  title: Read\n"
            .to_owned(),
    ] {
        let set = compile([("read.yml", read.as_str()), ("many.yml", many.as_str())]).unwrap();
        assert_eq!(&*set.rules[0].id, "Read", "{read}");
        let gone = ["Read".to_owned()].into();
        let left = crate::compile_read(&[crate::ReadFile::read("read.yml", &read).without(&gone)]).unwrap();
        assert!(left.rules.is_empty(), "{read}");
        assert_eq!(
            problems(&[READ.replace("name: read\n", "").as_str(), &read]).len(),
            1,
            "two rules cannot go by one title: {read}"
        );
    }
}

#[test]
fn generate_keeps_the_rules_raising() {
    let many = MANY.replace("type:", "generate: true, type:");
    let set = compile([("read.yml", READ), ("many.yml", many.as_str())]).unwrap();
    assert!(matches!(set.rules[0].kind, Kind::Count(_)), "{:?}", set.rules[0]);
    assert_eq!(set.rules[0].level, Level::Warning);
}

#[test]
fn a_name_given_twice_is_told_where_it_is_given_again() {
    let again = format!(
        "title: First\nname: first\ndetection: {{sel: {{class: other}}, condition: sel}}\nlevel: low\n---\n{READ}"
    );
    assert_eq!(
        problems(&[READ, &again]),
        ["b.yml:7:7: the rule `read` is also in a.yml:1; give one of them another name"]
    );
}

#[test]
fn every_mistake_of_every_file_is_told_at_once() {
    let slips = READ.replace("medium", "severe").replace("condition: sel", "condition: sell");
    let many = MANY.replace("[read]", "[raed]").replace("gte", "get").replace("1h", "32d");
    assert_eq!(
        problems(&[&many, &slips]),
        [
            "a.yml:3:42: no rule is called `raed`; did you mean `read`?",
            "a.yml:3:59: `timespan` is `32d`; write a length of time such as 10m, 24h or 7d; at most 31d",
            "a.yml:3:75: the condition has no bound; for example `gte: 5`",
            "a.yml:3:76: unknown key `get`; did you mean `gte`?",
            "b.yml:3:51: the condition names `sell`, which is no selection of this rule; did you mean `sel`?",
            "b.yml:4:8: `severe` is no level; write informational, low, medium, high or critical",
        ]
    );
}

#[test]
fn a_name_that_may_stand_in_an_unread_file_is_no_mistake() {
    assert_eq!(
        problems(&[MANY, "title: [\n"]).iter().filter(|problem| problem.starts_with("a.yml")).count(),
        0
    );
    assert_eq!(problems(&[MANY, "title: [\n"]).len(), 1);
}

#[test]
fn a_key_that_stands_twice_does_not_keep_the_other_mistakes_of_its_file_back() {
    let text = "title: A\ntitle: B\nname: a\nlevel: hihg\ndetection: {s: {class: secret.read, class: secret.list}, condition: z}\n---\ntitle: C\nname: c\nlevel: severe\ndetection: {s: {class: secret.read}, condition: s}\n";
    refused(
        text,
        &[
            "a.yml:2:1: the key `title` stands twice; keep one of them",
            "a.yml:4:8: `hihg` is no level; write informational, low, medium, high or critical",
            "a.yml:5:37: the key `class` stands twice; keep one of them",
            "a.yml:5:69: the condition names `z`, which is no selection of this rule; did you mean `s`?",
            "a.yml:9:8: `severe` is no level; write informational, low, medium, high or critical",
        ],
    );
}

#[test]
fn mistakes_before_what_is_no_yaml_are_told_with_it() {
    let found = problems(&[
        "title: A\nname: a\nlevel: hihg\ndetection: {s: {class: secret.read}, condition: s}\n---\ntitle: [\n",
    ]);
    assert_eq!(found.len(), 2, "{found:#?}");
    assert!(found[0].contains("`hihg` is no level") && found[1].contains("not valid YAML"), "{found:#?}");
}

#[test]
fn a_shipped_rule_that_others_name_and_that_is_not_loaded_is_noticed() {
    let (_, text) = crate::builtin().iter().find(|(name, _)| name.contains("kw-140")).unwrap();
    let set = compiled(text);
    let told: Vec<String> = set.notices.iter().map(ToString::to_string).collect();
    let all = "the shipped rules `KW-133`, `KW-133n` and `KW-133v` are not loaded; what is said of that here has no effect";
    assert!(told.len() == 1 && told[0].ends_with(all), "{told:#?}");
    let part = READ.replace("level: low", "level: high") + "keywatch: {part_of: [KW-113]}\n";
    let set = compiled(&part);
    assert!(set.rules[0].part_of.is_empty() && set.notices[0].line == 5, "{:?}", set.notices);
    refused(
        &part.replace("KW-113", "KW-9113"),
        &[
            "a.yml:5:22: no rule is called `KW-9113`; write the `name` or `id` of a rule in one of the files loaded",
        ],
    );
    let all = crate::compile(crate::builtin().iter().copied()).unwrap();
    assert_eq!(all.notices, []);
}

#[test]
fn what_is_no_rule_is_told_and_the_custom_keys_of_others_are_kept_quiet() {
    refused("- a\n- b\n", &["a.yml:1:1: a rule is a mapping, not a list; begin with `title: …`"]);
    refused(
        "title: x\nlevel: low\n",
        &[
            "a.yml:1:1: a rule needs a `detection` or a `correlation`; say under `detection:` which events the rule is about",
        ],
    );
    let own = format!("{READ}x_our_ticket: 4711\nreviewed: {{by: [us]}}\n");
    assert_eq!(problems(&[&own]), [""; 0]);
    let slip = format!("{READ}keywach: {{action: Look}}\n");
    refused(&slip, &["a.yml:5:1: unknown key `keywach`; did you mean `keywatch`?"]);
}

#[test]
fn an_empty_document_between_others_is_nothing() {
    assert_eq!(compiled(&format!("---\n---\n{READ}")).rules.len(), 1);
}

#[test]
fn rules_know_their_file_and_line() {
    let set =
        compiled(&correlation("type: event_count, rules: [a, b], timespan: 1m, condition: {gt: 1}", ""));
    let lines: Vec<(&str, usize)> = set.rules.iter().map(|rule| (&*rule.id, rule.line)).collect();
    assert_eq!(lines, [("a", 1), ("b", 5), ("c", 9)]);
}

#[test]
fn every_key_of_the_extension_is_documented() {
    let text = include_str!("../../../README.md");
    for key in crate::compile::document::EXTENSION {
        assert!(text.contains(&format!("`{key}`")), "`{key}` is not in rules/README.md");
    }
}

/// A rule of somebody's own that counts a shipped one, beside all shipped rules.
fn beside_the_shipped(correlation: &str) -> Result<crate::RuleSet, Vec<String>> {
    let own = format!(
        "title: Own\nname: own\nlevel: high\ncorrelation: {{{correlation}, timespan: 1h, condition: {{gte: 3}}}}\n"
    );
    let all = crate::builtin().iter().copied().chain([("own.yml", own.as_str())]);
    compile(all).map_err(|problems| problems.iter().map(ToString::to_string).collect())
}

#[test]
fn who_does_without_the_alerts_of_a_shipped_rule_may_count_it() {
    let set = beside_the_shipped("type: event_count, generate: false, rules: [KW-003]").unwrap();
    let rule = set.rules.iter().find(|rule| &*rule.id == "KW-003").unwrap();
    assert!(matches!(rule.kind, Kind::Classify(_)), "{:?}", rule.kind);
    let ending = beside_the_shipped("type: event_count, rules: [KW-003]").unwrap_err();
    assert_eq!(ending.len(), 1, "{ending:#?}");
    assert!(ending[0].starts_with("own.yml:4:") && ending[0].contains("which this would end"), "{ending:?}");
}

#[test]
fn a_shipped_rule_that_cannot_be_counted_is_told_where_it_is_named() {
    let found = beside_the_shipped("type: event_count, generate: false, rules: [KW-110]").unwrap_err();
    assert_eq!(
        found,
        [
            "own.yml:4:59: `KW-110` has `hold` and cannot be counted by another rule; count what it counts: kw110_denied, kw110_read"
        ]
    );
}
