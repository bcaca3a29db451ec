//! Reading configurations in tests.

use super::frame::Problems;
use super::section::Root;
use super::{Config, ConfigProblems, Layers};

/// The sections of a text, and everything wrong with it.
pub(crate) fn read_root(text: &str) -> (Option<Root>, Vec<String>) {
    let problems = Problems::default();
    let reading = Layers::of_text("c.yaml", text).reading(&problems);
    (reading.map(|reading| reading.root), problems.into_sorted().iter().map(ToString::to_string).collect())
}

/// Everything wrong with a configuration in an environment without variables.
pub(crate) fn problems(text: &str) -> Vec<String> {
    let problems = Problems::default();
    let reading = Layers::of_text("c.yaml", text).reading(&problems);
    let _config = reading.map(|reading| Config::collect(&reading.root, &problems));
    problems.into_sorted().iter().map(ToString::to_string).collect()
}

/// Holds what is wrong with a configuration, without the places, to `wanted`.
#[track_caller]
pub(crate) fn check_problems(text: &str, wanted: &[&str]) {
    let found = problems(text);
    let texts: Vec<&str> =
        found.iter().map(|text| text.split_once(": ").map_or(text.as_str(), |(_, text)| text)).collect();
    assert_eq!(texts, wanted);
}

/// Holds what is wrong with one source to `wanted`.
#[track_caller]
pub(crate) fn check_source(yaml: &str, wanted: &[&str]) {
    check_problems(&format!("sources:\n  - name: a\n    {yaml}\n"), wanted);
}

pub(crate) fn texts(found: &ConfigProblems) -> Vec<String> {
    found.0.iter().map(ToString::to_string).collect()
}
