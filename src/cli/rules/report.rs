//! What a backtest found, for people and for programs.

use super::super::output::{Format, clock, visible};
use crate::backtest::{Changed, Difference, Raised, day};
use serde::Serialize;
use std::io::Write;

/// Evidence rows shown of each alert; the JSON forms have all of them.
const EVIDENCE_SHOWN: usize = 3;

/// What was tried, against what.
#[derive(Debug, Serialize)]
pub(super) struct Subject {
    pub(super) rules: Vec<String>,
    pub(super) against: String,
}

/// One day with a difference.
#[derive(Serialize)]
struct Day {
    #[serde(rename = "day")]
    date: String,
    gained: u64,
    lost: u64,
    changed: u64,
}

/// The whole report as one object.
#[derive(Serialize)]
struct Whole<'w> {
    #[serde(flatten)]
    subject: &'w Subject,
    days: Vec<Day>,
    #[serde(flatten)]
    difference: &'w Difference,
}

/// One difference, for NDJSON.
#[derive(Serialize)]
#[serde(tag = "what", rename_all = "snake_case")]
enum Line<'l> {
    Gained {
        day: String,
        alert: &'l Raised,
    },
    Lost {
        day: String,
        alert: &'l Raised,
    },
    Changed {
        day: String,
        #[serde(flatten)]
        changed: &'l Changed,
    },
    Summary {
        #[serde(flatten)]
        subject: &'l Subject,
        events: u64,
        same: u64,
        gained: usize,
        lost: usize,
        changed: usize,
    },
}

/// Prints the report on standard output.
pub(super) fn print(subject: &Subject, difference: &Difference, format: Format) -> anyhow::Result<()> {
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    match format {
        Format::Table => table(&mut out, subject, difference)?,
        Format::Json => {
            serde_json::to_writer_pretty(&mut out, &Whole { subject, days: days(difference), difference })?;
            writeln!(out)?;
        }
        Format::Ndjson => {
            for line in lines(subject, difference) {
                serde_json::to_writer(&mut out, &line)?;
                writeln!(out)?;
            }
        }
    }
    out.flush()?;
    Ok(())
}

fn days(difference: &Difference) -> Vec<Day> {
    let days = difference.days().into_iter();
    days.map(|(date, [gained, lost, changed])| Day { date, gained, lost, changed }).collect()
}

fn lines<'l>(subject: &'l Subject, difference: &'l Difference) -> impl Iterator<Item = Line<'l>> {
    let gained = difference.gained.iter().map(|alert| Line::Gained { day: day(alert.opened_at), alert });
    let lost = difference.lost.iter().map(|alert| Line::Lost { day: day(alert.opened_at), alert });
    let changed = difference.changed.iter();
    let changed = changed.map(|changed| Line::Changed { day: day(changed.after.opened_at), changed });
    let summary = Line::Summary {
        subject,
        events: difference.events,
        same: difference.same,
        gained: difference.gained.len(),
        lost: difference.lost.len(),
        changed: difference.changed.len(),
    };
    gained.chain(lost).chain(changed).chain([summary])
}

fn table(out: &mut impl Write, subject: &Subject, difference: &Difference) -> std::io::Result<()> {
    let Difference { events, from, to, same, gained, lost, changed } = difference;
    let rules = visible(&subject.rules.join(", "));
    writeln!(out, "{rules} against {}, on {events} events", visible(&subject.against))?;
    if let (Some(from), Some(to)) = (from, to) {
        writeln!(out, "from {} to {}", clock(*from), clock(*to))?;
    }
    writeln!(out)?;
    for raised in gained {
        alert(out, "gained ", raised)?;
    }
    for raised in lost {
        alert(out, "lost   ", raised)?;
    }
    for Changed { before, after } in changed {
        alert(out, "changed", after)?;
        let (level, opened) = (before.level, clock(before.opened_at));
        writeln!(out, "        was {level}, {} event(s), opened {opened}", before.events)?;
    }
    let days = days(difference);
    if !days.is_empty() {
        writeln!(out, "{:<12} {:>8} {:>8} {:>8}", "day", "gained", "lost", "changed")?;
    }
    for Day { date, gained, lost, changed } in days {
        writeln!(out, "{date:<12} {gained:>8} {lost:>8} {changed:>8}")?;
    }
    let (gained, lost, changed) = (gained.len(), lost.len(), changed.len());
    writeln!(out, "{:<12} {gained:>8} {lost:>8} {changed:>8}   {same} the same", "in all")
}

fn alert(out: &mut impl Write, what: &str, raised: &Raised) -> std::io::Result<()> {
    let level = raised.level.as_str().to_uppercase();
    let (opened, rule) = (clock(raised.opened_at), visible(&raised.rule));
    writeln!(out, "{what} {level:<8} {opened} {rule:<7} {}", visible(&raised.title))?;
    for evidence in raised.evidence.iter().take(EVIDENCE_SHOWN) {
        let (event, place) = (visible(&evidence.event), visible(&evidence.place.to_string()));
        writeln!(out, "        see {event} at {place}")?;
    }
    let more = raised.events.saturating_sub(EVIDENCE_SHOWN as u64);
    if more > 0 { writeln!(out, "        and {more} more event(s)") } else { Ok(()) }
}
