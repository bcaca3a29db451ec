//! `cargo xtask …`: one command each to see Keywatch, to test it, and to measure it.
//!
//! Installs what is missing after saying what and why; never touches anything outside the
//! workspace except through the system's package manager and `cargo install`.

mod bench;
mod docs;
mod host;
mod need;
mod run;
mod score;
mod setup;

use run::{Failure, Progress, cargo};
use setup::Scope;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const HELP: &str = "\
cargo xtask demo [ARGS…]    build Keywatch and run `keywatch demo ARGS…`
cargo xtask test [ARGS…]    run every test; ARGS go to the test runner
                            --no-setup: install nothing, run what can run
cargo xtask setup           install what `demo` and `test` need, and stop
cargo xtask bench [NAMES…]  run the benchmarks, or those named
cargo xtask docs            write docs/configuration.md from the declarations
cargo xtask score           replay labelled attacks and print how good detection is
cargo xtask help            this text

What is missing is installed first: system packages through apt-get (Debian, Ubuntu), test
packages below .setup/ in the workspace. Each step says what it is about to do.";

/// What was asked for on the command line.
#[derive(Debug, PartialEq, Eq)]
enum Task {
    Demo(Vec<String>),
    Test { setup: bool, args: Vec<String> },
    Setup,
    Bench(Vec<String>),
    Docs,
    Score,
    Help,
}

fn main() -> ExitCode {
    let progress = Progress::start();
    let done = match parse(std::env::args().skip(1)) {
        Ok(task) => perform(task, &progress),
        Err(failure) => Err(failure),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            progress.say(&failure.text);
            ExitCode::from(failure.code)
        }
    }
}

fn parse(mut args: impl Iterator<Item = String>) -> Result<Task, Failure> {
    let command = args.next().unwrap_or_else(|| "help".to_owned());
    let mut rest: Vec<String> = args.collect();
    match command.as_str() {
        "demo" => Ok(Task::Demo(rest)),
        "test" => {
            let given = rest.len();
            rest.retain(|arg| arg != "--no-setup");
            Ok(Task::Test { setup: rest.len() == given, args: rest })
        }
        "setup" => Ok(Task::Setup),
        "bench" => Ok(Task::Bench(rest)),
        "docs" => Ok(Task::Docs),
        "score" => Ok(Task::Score),
        "help" | "--help" | "-h" => Ok(Task::Help),
        other => Err(Failure { text: format!("there is no `cargo xtask {other}`\n\n{HELP}"), code: 2 }),
    }
}

fn perform(task: Task, progress: &Progress) -> Result<(), Failure> {
    let root = root();
    match task {
        Task::Demo(args) => demo(&root, &args, progress),
        Task::Test { setup, args } => test(&root, setup, &args, progress),
        Task::Setup => {
            setup::install(&root, Scope::Test, progress)?;
            progress.say("everything is in place; next: cargo xtask demo, or cargo xtask test");
            Ok(())
        }
        Task::Bench(names) => bench::run(&root, &names, progress),
        Task::Docs => docs::run(&root, progress),
        Task::Score => score::run(&root, progress),
        Task::Help => {
            progress.print(HELP);
            Ok(())
        }
    }
}

/// The workspace: the folder above this package.
fn root() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap_or(package).to_path_buf()
}

fn demo(root: &Path, args: &[String], progress: &Progress) -> Result<(), Failure> {
    setup::install(root, Scope::Build, progress)?;
    // Unoptimised, as the tests are: one folder of compiled dependencies serves both commands.
    progress.say("building the program (minutes the first time, seconds after), then the demo");
    let mut command = cargo(root);
    command.args(["run", "--locked", "--package", "keywatch", "--", "demo"]).args(args);
    run::become_command(command)
}

fn test(root: &Path, setup: bool, args: &[String], progress: &Progress) -> Result<(), Failure> {
    if setup {
        setup::install(root, Scope::Test, progress)?;
    }
    progress.say("running the examples in the documentation");
    run::must(cargo(root).args(["test", "--doc", "--workspace"]), "the documentation's examples")?;
    let mut tests = cargo(root);
    if setup {
        // Tests against real peers run where these are, and say so where they are not.
        tests.env("KEYWATCH_SETUP", root.join(".setup"));
    }
    if setup::has_nextest(root) {
        progress.say("running the tests with cargo-nextest");
        tests.args(["nextest", "run", "--workspace"]);
    } else {
        progress.say("running the tests with cargo test, as cargo-nextest is not there");
        tests.args(["test", "--workspace", "--lib", "--bins", "--tests"]);
    }
    run::must(tests.args(args), "the tests")?;
    progress.say("all tests passed");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, want: Task) {
        let got = parse(line.split_whitespace().map(str::to_owned));
        assert_eq!(got.map_err(|failure| failure.text), Ok(want), "{line}");
    }

    #[test]
    fn arguments_after_the_task_are_passed_on() {
        let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        check("demo --port 9000", Task::Demo(words("--port 9000")));
        check("test", Task::Test { setup: true, args: vec![] });
        check("test --no-setup -p rules", Task::Test { setup: false, args: words("-p rules") });
        check("bench scan", Task::Bench(words("scan")));
        check("setup", Task::Setup);
        check("score", Task::Score);
        check("", Task::Help);
        check("--help", Task::Help);
    }

    #[test]
    fn an_unknown_task_is_named_and_answered_with_the_known_ones() {
        let failure = parse(["dmeo".to_owned()].into_iter()).unwrap_err();
        assert_eq!(failure.code, 2);
        assert!(failure.text.starts_with("there is no `cargo xtask dmeo`"), "{}", failure.text);
        assert!(failure.text.contains("cargo xtask demo"), "{}", failure.text);
    }

    #[test]
    fn the_workspace_is_the_folder_above() {
        assert!(root().join("Cargo.lock").is_file());
        assert!(root().join("xtask").is_dir());
    }
}
