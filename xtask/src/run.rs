//! Runs other programs, and says what is going on.

use std::ffi::OsString;
use std::fmt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Why a task stops: what to tell, and the exit code.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) text: String,
    pub(crate) code: u8,
}

impl Failure {
    /// A failure with the usual exit code.
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), code: 1 }
    }
}

/// Speaks to the person at the terminal, with the time since the start.
#[derive(Debug)]
pub(crate) struct Progress {
    started: Instant,
}

impl Progress {
    /// Time starts now.
    pub(crate) fn start() -> Self {
        Self { started: Instant::now() }
    }

    /// One line (or more) about what happens next or has happened.
    #[expect(clippy::print_stderr, reason = "this is how a command-line task speaks")]
    pub(crate) fn say(&self, text: &str) {
        eprintln!("[{}] {text}", Elapsed(self.started.elapsed()));
    }

    /// Text that was asked for.
    #[expect(clippy::print_stdout, reason = "this is what the person asked to read")]
    #[expect(clippy::unused_self, reason = "all speaking goes through one type")]
    pub(crate) fn print(&self, text: &str) {
        println!("{text}");
    }
}

/// Minutes and seconds: `0:07`, `12:40`.
struct Elapsed(Duration);

impl fmt::Display for Elapsed {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let secs = self.0.as_secs();
        write!(out, "{:>2}:{:02}", secs / 60, secs % 60)
    }
}

/// The cargo that runs this, in the workspace.
pub(crate) fn cargo(root: &Path) -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(program);
    command.current_dir(root);
    command
}

/// Whether a command runs and succeeds; shows nothing of it.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}

/// What a command prints, without the white space around it; nothing when it fails.
pub(crate) fn output(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Runs a command in sight of the person.
///
/// # Errors
/// [`Failure`] with the command's own exit code when it fails; `what` names it in the text.
pub(crate) fn must(command: &mut Command, what: &str) -> Result<(), Failure> {
    let status = command.status().map_err(|error| not_started(command, &error))?;
    if status.success() {
        return Ok(());
    }
    let code = status.code().and_then(|code| u8::try_from(code).ok()).filter(|code| *code != 0);
    Err(Failure {
        text: format!("{what}: failed ({status}); the reason stands above"),
        code: code.unwrap_or(1),
    })
}

/// Lets a command take the place of this process, so that signals and the exit code are its own.
///
/// # Errors
/// [`Failure`] when it cannot be started, or, where replacing is not possible, when it fails.
#[cfg(unix)]
pub(crate) fn become_command(mut command: Command) -> Result<(), Failure> {
    use std::os::unix::process::CommandExt;
    let error = command.exec();
    Err(not_started(&command, &error))
}

/// Runs a command to its end.
///
/// # Errors
/// [`Failure`] when it cannot be started or fails.
#[cfg(not(unix))]
pub(crate) fn become_command(mut command: Command) -> Result<(), Failure> {
    must(&mut command, "keywatch")
}

fn not_started(command: &Command, error: &std::io::Error) -> Failure {
    Failure::new(format!("cannot start {}: {error}", command.get_program().display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_shown_in_minutes_and_seconds() {
        let shown = |secs| Elapsed(Duration::from_secs(secs)).to_string();
        assert_eq!([shown(0), shown(67), shown(760)], [" 0:00", " 1:07", "12:40"]);
    }

    #[cfg(unix)]
    #[test]
    fn the_exit_code_of_a_command_that_fails_is_kept() {
        let failure = must(Command::new("sh").args(["-c", "exit 7"]), "a test").unwrap_err();
        assert_eq!(failure.code, 7);
        assert!(failure.text.starts_with("a test: failed"), "{}", failure.text);
        assert!(must(Command::new("sh").args(["-c", "exit 0"]), "a test").is_ok());
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let failure = must(&mut Command::new("keywatch-no-such-program"), "a test").unwrap_err();
        assert!(failure.text.contains("keywatch-no-such-program"), "{}", failure.text);
    }
}
