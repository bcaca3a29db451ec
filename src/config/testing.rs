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

pub(crate) fn texts(found: &ConfigProblems) -> Vec<String> {
    found.0.iter().map(ToString::to_string).collect()
}
