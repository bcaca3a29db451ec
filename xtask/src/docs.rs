//! Writes the reference of the configuration from the declarations the program reads with.

use crate::run::{Failure, Progress, cargo, output};
use std::path::Path;

const FILE: &str = "docs/configuration.md";

/// Writes `docs/configuration.md` anew.
///
/// # Errors
/// [`Failure`] when the program cannot be built or the file cannot be written.
pub(crate) fn run(root: &Path, progress: &Progress) -> Result<(), Failure> {
    progress.say("building the program, then writing docs/configuration.md");
    let mut command = cargo(root);
    command.args(["run", "--quiet", "--package", "keywatch", "--", "config", "reference"]);
    let text = output(&mut command)
        .ok_or_else(|| Failure::new("`cargo run -- config reference` failed; run it to see why"))?;
    std::fs::write(root.join(FILE), format!("{text}\n"))
        .map_err(|error| Failure::new(format!("cannot write {FILE}: {error}")))
}
