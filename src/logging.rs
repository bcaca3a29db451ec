//! Log lines on standard error: one event, one line, whatever its text holds.

use crate::config::section::{Log, LogFormat};
use std::io::{self, IsTerminal, Stderr, Write};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

/// Logs go to standard error, in colour when that is a terminal. `log` says what and how;
/// `KEYWATCH_LOG` (`info`, `keywatch=debug` …) beats its level, and what cannot be read counts as
/// `info`.
pub(crate) fn start(log: &Log) {
    let asked = crate::config::environment("KEYWATCH_LOG").unwrap_or_else(|| log.level.clone());
    let filter =
        EnvFilter::try_new(directives(&asked)).unwrap_or_else(|_| EnvFilter::new("warn,keywatch=info"));
    let in_colour = io::stderr().is_terminal();
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(in_colour).with_writer(Lines);
    let _already = match log.format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().flatten_event(true).with_ansi(false).try_init(),
    };
}

/// A level alone is that of Keywatch's own parts. Libraries stay at `warn` unless they are named:
/// at `trace` some of them write what they send, credentials included.
fn directives(asked: &str) -> String {
    let is_level = asked.parse::<tracing::Level>().is_ok() || asked == "off";
    if is_level { format!("warn,keywatch={asked}") } else { asked.to_owned() }
}

/// Makes writers of [`OneLine`].
struct Lines;

impl<'w> MakeWriter<'w> for Lines {
    type Writer = OneLine<Stderr>;

    fn make_writer(&'w self) -> Self::Writer {
        OneLine(io::stderr())
    }
}

/// Writes what it is given as one line: control characters are escaped, but for the end of the line
/// and for ESC, which `tracing-subscriber` has escaped in what others wrote and uses for colours.
struct OneLine<W>(W);

impl<W: Write> Write for OneLine<W> {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let (text, end) = match event.split_last() {
            Some((b'\n', text)) => (text, &b"\n"[..]),
            _ => (event, &b""[..]),
        };
        let is_raw = |byte: &u8| byte.is_ascii_control() && *byte != 0x1b;
        let mut line = Vec::with_capacity(event.len());
        for byte in text {
            if is_raw(byte) {
                line.extend(byte.escape_ascii());
            } else {
                line.push(*byte);
            }
        }
        line.extend_from_slice(end);
        self.0.write_all(&line)?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line() {
        let mut out = OneLine(Vec::new());
        out.write_all(b"a\nb\r\x07c \xc3\xa9\n").expect("written");
        assert_eq!(String::from_utf8_lossy(&out.0), "a\\nb\\r\\x07c \u{e9}\n");
    }

    #[test]
    fn a_level_is_that_of_our_own_parts() {
        assert_eq!(directives("trace"), "warn,keywatch=trace");
        assert_eq!(directives("keywatch_store=debug"), "keywatch_store=debug");
    }
}
