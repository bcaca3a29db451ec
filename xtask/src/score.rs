//! Replays the labelled scenarios and prints how good detection is.

use crate::run::{self, Failure, Progress, cargo};
use std::path::Path;

/// The tests that print a table: the scenarios, and recordings when `KEYWATCH_CORPUS` names them.
const TABLES: [&str; 3] = [
    "whole::attacks_are_found_by_the_rules_made_for_them_and_everyday_work_is_left_alone",
    "whole::each_kind_of_everyday_work_alone_raises_nothing_that_is_not_meant",
    "recordings::recorded_attacks_on_secrets_are_found_even_when_their_tool_does_not_name_itself",
];

/// Prints, per attack, what was said and how soon; then recall, precision and false alarms.
///
/// # Errors
/// [`Failure`] when an attack is missed or a figure is worse than promised.
pub(crate) fn run(root: &Path, progress: &Progress) -> Result<(), Failure> {
    progress.say("building the program, then replaying four weeks of a company under attack");
    let mut command = cargo(root);
    command.args(["test", "--locked", "--package", "keywatch", "--test", "quality", "--", "--exact"]);
    run::must(command.arg("--test-threads=1").args(TABLES), "the scores")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_are_tests_that_exist() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/quality");
        for table in TABLES {
            let (file, test) = table.split_once("::").unwrap();
            let source = std::fs::read_to_string(folder.join(format!("{file}.rs"))).unwrap();
            assert!(source.contains(&format!("fn {test}()")), "{table}");
        }
    }
}
