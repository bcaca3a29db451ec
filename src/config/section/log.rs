//! What is logged, and how.

use crate::config::frame::{Origin, Problems, choice, default, section};

choice! {
    /// How log lines are written.
    pub(crate) enum LogFormat {
        /// One line per message, for people.
        Text = "text",
        /// One JSON object per line, for programs.
        Json = "json",
    }
}

section! {
    /// What is logged to standard error, and how.
    pub(crate) struct Log {
        /// Lines for people, or one JSON object per line.
        format: LogFormat = default("text"),
        /// What is logged: a level (`error`, `warn`, `info`, `debug`, `trace`), or levels per part
        /// as in `warn,keywatch_alerting=debug`. A level alone is that of Keywatch itself; libraries
        /// say nothing below `warn` unless they are named.
        level: String = default("info"),
    }
    check: check;
}

fn check(log: &Log, at: &Origin, problems: &Problems) {
    if let Err(error) = tracing_subscriber::EnvFilter::builder().parse(&log.level) {
        let message = format!("`{}` is no log level: {error}", log.level);
        problems.add(at, message, "write error, warn, info, debug or trace, or one per part: info,sqlx=warn");
    }
}
