//! Data on standard output: a table for a terminal, NDJSON when piped.
//!
//! What records say is hostile: control characters are made visible before they reach a terminal.

use chrono::{DateTime, Utc};
use clap::ValueEnum;
use keywatch_event::{Alert, EventTime, Level, lateness};
use std::io::{IsTerminal, Write};

/// How alerts are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    Table,
    /// One JSON array
    Json,
    /// One JSON object per line
    Ndjson,
}

impl Format {
    /// What was asked for, else what suits where the output goes.
    pub(crate) fn or_suitable(asked: Option<Self>) -> Self {
        asked.unwrap_or(if std::io::stdout().is_terminal() { Self::Table } else { Self::Ndjson })
    }
}

/// Prints alerts in order of opening.
pub(crate) fn alerts(alerts: &[&Alert], format: Format) -> anyhow::Result<()> {
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    match format {
        Format::Json => {
            serde_json::to_writer_pretty(&mut out, alerts)?;
            writeln!(out)?;
        }
        Format::Ndjson => {
            for alert in alerts {
                serde_json::to_writer(&mut out, alert)?;
                writeln!(out)?;
            }
        }
        Format::Table => table(&mut out, alerts)?,
    }
    out.flush()?;
    Ok(())
}

fn table(out: &mut impl Write, alerts: &[&Alert]) -> std::io::Result<()> {
    for alert in alerts {
        let level = alert.level.as_str().to_uppercase();
        writeln!(out, "{level:<8} {} {:<7} {}", clock(alert.opened_at), alert.rule, visible(&alert.title))?;
        writeln!(out, "         {}", visible(&alert.why.text))?;
        if let Some(principal) = &alert.principal {
            writeln!(out, "         who    {}", visible(&principal.id))?;
        }
        for session in &alert.sessions.first {
            let parts = [&session.name, &session.access_key].map(|part| part.as_deref().unwrap_or_default());
            writeln!(out, "         as     {}", visible(parts.join("  ").trim()))?;
        }
        match alert.sessions.count.saturating_sub(alert.sessions.first.len() as u64) {
            0 => {}
            more => writeln!(out, "         as     {more} more sessions")?,
        }
        if let Some(raw) = alert.source.as_ref().and_then(|source| source.raw.as_ref()) {
            writeln!(out, "         from   {}", visible(raw))?;
        }
        if let Some(first) = alert.evidence.first() {
            write!(out, "         see    {}", visible(&first.place.to_string()))?;
            match alert.events.saturating_sub(1) {
                0 => writeln!(out)?,
                1 => writeln!(out, " and 1 more event")?,
                more => writeln!(out, " and {more} more events")?,
            }
        }
        if let Some(secs) = alert.late_secs {
            writeln!(out, "         {}: newer events had come before it", lateness(secs))?;
        }
        writeln!(out, "         action {}\n", alert.action)?;
    }
    Ok(())
}

pub(super) fn clock(at: EventTime) -> String {
    let at: DateTime<Utc> = at.to_chrono();
    at.format("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// The text with control and direction-changing characters written as escapes.
pub(crate) fn visible(text: &str) -> String {
    let risky = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
    };
    let show = |c: char| if risky(c) { c.escape_unicode().to_string() } else { c.to_string() };
    text.chars().map(show).collect()
}

/// Reads a level as people type it.
pub(crate) fn level(text: &str) -> Result<Level, String> {
    text.parse().map_err(|error: keywatch_event::UnknownName| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::visible;

    #[test]
    fn what_a_record_says_cannot_drive_a_terminal() {
        assert_eq!(visible("a\u{1b}[31mb\r\n\u{202e}c"), "a\\u{1b}[31mb\\u{d}\\u{a}\\u{202e}c");
        assert_eq!(visible("prod/db é"), "prod/db é");
    }
}
