//! Tables of rule texts and what the compiler says of them.

mod chains;
mod correlations;
mod detections;
mod extensions;
mod files;
mod filters;
mod sense;

use super::compile;
use crate::rule::{Count, Kind, Rule, RuleSet};

/// What is wrong with these files, named `a.yml`, `b.yml` and so on.
fn problems(texts: &[&str]) -> Vec<String> {
    let names = ["a.yml", "b.yml", "c.yml"];
    let found = compile(names.into_iter().zip(texts.iter().copied())).err().unwrap_or_default();
    found.iter().map(ToString::to_string).collect()
}

#[track_caller]
fn refused(text: &str, want: &[&str]) {
    assert_eq!(problems(&[text]), want, "{text}");
}

#[track_caller]
fn compiled(text: &str) -> RuleSet {
    compile([("a.yml", text)]).unwrap_or_else(|_| panic!("{text}\n{}", problems(&[text]).join("\n")))
}

/// The rule that stands last.
#[track_caller]
fn last(text: &str) -> Rule {
    compiled(text).rules.pop().unwrap()
}

#[track_caller]
fn counted(text: &str) -> Count {
    let rule = last(text);
    let Kind::Count(count) = rule.kind else { panic!("{:?}", rule.kind) };
    *count
}

/// A detection of level medium whose extension begins on line 10, column 3.
fn detection(extension: &str) -> String {
    format!(
        "title: T
name: t
logsource: {{product: keywatch, category: audit}}
detection:
  sel: {{class: secret.read}}
  _other: {{outcome: denied}}
  condition: sel
level: medium
keywatch:
  {extension}
"
    )
}

/// Detections `a` and `b`, and a correlation of level high: its body is on line 12, from
/// column 15 on; what follows begins on line 13.
fn correlation(body: &str, rest: &str) -> String {
    format!(
        "title: A
name: a
detection: {{sel: {{class: secret.read}}, _denied: {{outcome: denied}}, condition: sel}}
---
{{title: B, name: b, level: low,
  detection: {{sel: {{class: secret.list}}, condition: sel}}}}

---
title: C
name: c
level: high
correlation: {{{body}}}
{rest}"
    )
}
