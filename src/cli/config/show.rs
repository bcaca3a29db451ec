//! `keywatch config show`: what holds, and where it was written.

use super::super::output::{Format, visible};
use super::super::say;
use crate::config::{self, Layers, Shown};
use std::io::Write;
use std::process::ExitCode;

/// Widest column of keys and values in a table; longer ones push the rest to the right.
const WIDTH_MAX: usize = 48;

/// Prints every value of the configuration.
///
/// # Errors
/// Every mistake in it.
pub(super) fn run(layers: &Layers, format: Format) -> anyhow::Result<ExitCode> {
    let (values, notices) = config::values(layers)?;
    for notice in &notices {
        say(notice);
    }
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    match format {
        Format::Json => writeln!(out, "{}", serde_json::to_string_pretty(&values)?)?,
        Format::Ndjson => {
            for value in &values {
                writeln!(out, "{}", serde_json::to_string(value)?)?;
            }
        }
        Format::Table => table(&mut out, &values)?,
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

fn table(out: &mut impl Write, values: &[Shown]) -> std::io::Result<()> {
    let width = |of: &dyn Fn(&Shown) -> usize| values.iter().map(of).max().unwrap_or(0).min(WIDTH_MAX);
    let keys = width(&|shown| shown.key.chars().count());
    let texts = width(&|shown| shown.value.chars().count());
    for shown in values {
        let (key, value) = (visible(&shown.key), visible(&shown.value));
        writeln!(out, "{key:<keys$}  {value:<texts$}  {}", visible(&shown.from))?;
    }
    Ok(())
}
