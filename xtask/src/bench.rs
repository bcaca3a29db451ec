//! Finds the workspace's benchmarks and runs them.
//!
//! `sources` is one that tests measure, because it needs stand-ins for other people's services and
//! reaches inside the program: how fast sources read, and how soon what they brought is stored.

use crate::run::{self, Failure, Progress, cargo};
use std::path::Path;
use std::process::Command;

/// The benchmark that tests measure.
const SOURCES: &str = "sources";
/// Events each of its figures is over, unless `KEYWATCH_SPEED` says another number.
const SOURCES_EVENTS: &str = "20000";

/// Runs the benchmarks called `names`, or all of them when none is named.
///
/// # Errors
/// [`Failure`] when there is no such benchmark, or one fails.
pub(crate) fn run(root: &Path, names: &[String], progress: &Progress) -> Result<(), Failure> {
    let known = benches(root);
    let chosen = if names.is_empty() { &known } else { names };
    if let Some(unknown) = chosen.iter().find(|name| !known.contains(name)) {
        let text = format!("there is no benchmark `{unknown}`; there are: {}", known.join(", "));
        return Err(Failure { text, code: 2 });
    }
    progress.say(&format!("running the benchmarks {}", chosen.join(", ")));
    let (measured_by_tests, others): (Vec<_>, Vec<_>) = chosen.iter().partition(|name| *name == SOURCES);
    if !others.is_empty() {
        let mut command = cargo(root);
        command.args(["bench", "--workspace", "--locked"]);
        command.args(others.into_iter().flat_map(|name| ["--bench", name]));
        run::must(&mut command, "the benchmarks")?;
    }
    if measured_by_tests.is_empty() {
        return Ok(());
    }
    run::must(&mut sources(root), "the benchmark of sources")
}

/// Optimised without link-time optimisation, which would take longer than the measuring.
fn sources(root: &Path) -> Command {
    let mut command = cargo(root);
    command.env("CARGO_PROFILE_RELEASE_LTO", "off").env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16");
    if std::env::var_os("KEYWATCH_SPEED").is_none() {
        command.env("KEYWATCH_SPEED", SOURCES_EVENTS);
    }
    command.args(["test", "--release", "--workspace", "--locked", "--bin", "keywatch", "--test", "group"]);
    command.args(["--", "--nocapture", "--test-threads", "1", "speed::", "an_alert_is_stored_soon"]);
    command
}

/// Names of the files `benches/*.rs` in the workspace and in the folders directly below it,
/// sorted.
fn benches(root: &Path) -> Vec<String> {
    let below = std::fs::read_dir(root).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut names: Vec<String> = below
        .chain([root.to_path_buf()])
        .filter_map(|folder| std::fs::read_dir(folder.join("benches")).ok())
        .flat_map(|entries| entries.flatten().map(|entry| entry.path()))
        .filter(|file| file.extension().is_some_and(|extension| extension == "rs"))
        .filter_map(|file| file.file_stem().map(|stem| stem.to_string_lossy().into_owned()))
        .chain([SOURCES.to_owned()])
        .collect();
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_benchmark_nobody_has_is_refused_by_name() {
        let names = ["no-such-benchmark".to_owned()];
        let failure = run(Path::new("no-such-folder"), &names, &Progress::start()).unwrap_err();
        assert!(failure.text.contains("`no-such-benchmark`"), "{}", failure.text);
        assert_eq!(failure.code, 2);
    }

    #[test]
    fn benchmarks_are_found_in_member_folders() -> std::io::Result<()> {
        let root = std::env::temp_dir().join(format!("keywatch-xtask-bench-{}", std::process::id()));
        std::fs::create_dir_all(root.join("store/benches"))?;
        std::fs::create_dir_all(root.join("benches"))?;
        for file in ["store/benches/store.rs", "store/benches/notes.md", "benches/scan.rs"] {
            std::fs::write(root.join(file), "")?;
        }
        let found = benches(&root);
        std::fs::remove_dir_all(&root)?;
        assert_eq!(found, ["scan", "sources", "store"]);
        Ok(())
    }
}
