//! Every complete rule in the documentation compiles and does what its examples say.

use keywatch_rules::{RuleSet, compile, examples};

const README: &str = include_str!("../README.md");

/// The YAML blocks that are rules, each with the line it begins on.
fn rules() -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut open: Option<(usize, String)> = None;
    for (line, text) in README.lines().enumerate() {
        match (&mut open, text) {
            (None, "```yaml") => open = Some((line + 2, String::new())),
            (Some(_), "```") => found.extend(open.take()),
            (Some((_, block)), _) => {
                block.push_str(text);
                block.push('\n');
            }
            (None, _) => {}
        }
    }
    found.retain(|(_, block)| block.starts_with("title:"));
    found
}

fn compiled(line: usize, block: &str) -> Result<RuleSet, String> {
    let set = compile([("README.md", block)]);
    set.map_err(|problems| {
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        format!("the block at line {line}:\n{}", lines.join("\n"))
    })
}

#[test]
fn every_rule_in_the_documentation_compiles() {
    let rules = rules();
    assert!(rules.len() >= 14, "only {} rules were found", rules.len());
    let wrong: Vec<String> = rules.iter().filter_map(|(line, block)| compiled(*line, block).err()).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_example_in_the_documentation_holds() {
    let mut ran = 0;
    let mut failed = Vec::new();
    for (line, block) in rules() {
        let outcomes = examples::run(&compiled(line, &block).unwrap());
        ran += outcomes.len();
        let failures = outcomes.iter().filter_map(|outcome| {
            Some(format!("line {line}, {}: {}", outcome.example, outcome.failure.as_ref()?))
        });
        failed.extend(failures);
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    assert!(ran >= 30, "only {ran} examples ran");
}
