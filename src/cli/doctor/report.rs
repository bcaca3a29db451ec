//! What the doctor found, for people and for machines.
//!
//! Names come from providers: control characters are made visible before they reach a terminal.

use super::super::output::visible;
use crate::doctor::{Checkup, Cost, cost};
use keywatch_rules::RuleSet;
use serde::Serialize;
use std::io::Write;

/// Rules named one by one on a terminal: own rules may be thousands. JSON has all of them.
const RULES_SHOWN: usize = 24;

/// Everything that was found. Its JSON is a public contract: keys are added, never changed.
#[derive(Debug, Serialize)]
pub(super) struct Report<'c> {
    pub(super) blind_spots: usize,
    pub(super) unknown: usize,
    sources: Vec<Source<'c>>,
}

#[derive(Debug, Serialize)]
struct Source<'c> {
    #[serde(rename = "source")]
    name: &'c str,
    kind: &'c str,
    #[serde(skip_serializing_if = "Option::is_none")]
    provider: Option<&'static str>,
    blind_spots: Vec<Spot<'c>>,
    unknown: Vec<Unknown<'c>>,
    sound: &'c [String],
}

#[derive(Debug, Serialize)]
struct Spot<'c> {
    id: &'static str,
    what: &'c str,
    why: &'c str,
    mend: &'c [String],
    rules: Cost,
}

#[derive(Debug, Serialize)]
struct Unknown<'c> {
    what: &'c str,
    needs: &'c str,
    said: &'c str,
}

impl<'c> Report<'c> {
    pub(super) fn of(checkups: &'c [Checkup], set: &RuleSet) -> Self {
        let sources: Vec<Source<'c>> = checkups.iter().map(|checkup| Source::of(checkup, set)).collect();
        Self {
            blind_spots: sources.iter().map(|source| source.blind_spots.len()).sum(),
            unknown: sources.iter().map(|source| source.unknown.len()).sum(),
            sources,
        }
    }

    pub(super) fn print_json(&self) -> anyhow::Result<()> {
        let mut out = std::io::stdout().lock();
        serde_json::to_writer_pretty(&mut out, self)?;
        writeln!(out)?;
        Ok(())
    }

    /// One line for a source that is well; the rest in paragraphs.
    pub(super) fn print(&self) -> std::io::Result<()> {
        let mut out = std::io::BufWriter::new(std::io::stdout().lock());
        if self.sources.is_empty() {
            writeln!(out, "the configuration names no sources: nothing is seen at all")?;
        }
        for source in &self.sources {
            source.print(&mut out)?;
        }
        writeln!(out, "{} blind spot(s), {} question(s) without an answer", self.blind_spots, self.unknown)?;
        out.flush()
    }
}

impl<'c> Source<'c> {
    fn of(checkup: &'c Checkup, set: &RuleSet) -> Self {
        let findings = &checkup.findings;
        let spot = |spot: &'c crate::doctor::Spot| Spot {
            id: spot.id,
            what: &spot.what,
            why: &spot.why,
            mend: &spot.mend,
            rules: checkup.provider.map(|provider| cost(set, provider, &spot.lost)).unwrap_or_default(),
        };
        let unknown = findings.unknown.iter();
        Self {
            name: &checkup.source,
            kind: &checkup.kind,
            provider: checkup.provider.map(keywatch_event::Provider::as_str),
            blind_spots: findings.spots.iter().map(spot).collect(),
            unknown: unknown
                .map(|one| Unknown { what: &one.what, needs: &one.needs, said: &one.said })
                .collect(),
            sound: &findings.sound,
        }
    }

    fn print(&self, out: &mut impl Write) -> std::io::Result<()> {
        writeln!(out, "{} ({})", visible(self.name), visible(self.kind))?;
        for spot in &self.blind_spots {
            spot.print(out)?;
        }
        for unknown in &self.unknown {
            writeln!(out, "  CANNOT TELL  {}", visible(unknown.what))?;
            writeln!(out, "    needs  {}", visible(unknown.needs))?;
            writeln!(out, "    said   {}", visible(unknown.said))?;
        }
        if !self.sound.is_empty() {
            writeln!(out, "  ok  {}", visible(&self.sound.join("; ")))?;
        } else if self.blind_spots.is_empty() && self.unknown.is_empty() {
            writeln!(out, "  nothing of this kind of source is looked at")?;
        }
        writeln!(out)
    }
}

impl Spot<'_> {
    fn print(&self, out: &mut impl Write) -> std::io::Result<()> {
        writeln!(out, "  BLIND  {} [{}]", visible(self.what), self.id)?;
        writeln!(out, "    why    {}", visible(self.why))?;
        for command in self.mend {
            writeln!(out, "    mend   {}", visible(command))?;
        }
        for (word, rules) in [("blind  ", &self.rules.blind), ("weaker ", &self.rules.see_less)] {
            if !rules.is_empty() {
                writeln!(out, "    {word}{}", visible(&listed(rules)))?;
            }
        }
        Ok(())
    }
}

fn listed(rules: &[String]) -> String {
    let shown = rules.iter().take(RULES_SHOWN).map(String::as_str).collect::<Vec<_>>().join(" ");
    match rules.len().checked_sub(RULES_SHOWN) {
        Some(more) if more > 0 => format!("{shown} and {more} more"),
        _ => shown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::{Findings, Lost};

    #[test]
    fn what_a_provider_calls_itself_cannot_drive_a_terminal() {
        let spot = crate::doctor::Spot {
            id: "aws.no-digests",
            what: "w\u{1b}[2J".to_owned(),
            why: "y\u{202e}".to_owned(),
            mend: vec!["m\r".to_owned()],
            lost: Lost::nothing(),
        };
        let mut findings = Findings { spots: vec![spot], ..Findings::default() };
        findings.unknown.push(crate::doctor::Unknown {
            what: "u".to_owned(),
            needs: "n\u{7}".to_owned(),
            said: "s\n".to_owned(),
        });
        let checkup =
            Checkup { source: "a\u{9b}".to_owned(), kind: "k".to_owned(), provider: None, findings };
        let mut out = Vec::new();
        Source::of(&checkup, &RuleSet::default()).print(&mut out).expect("memory takes everything");
        let text = String::from_utf8(out).expect("text");
        assert!(text.chars().all(|c| c == '\n' || (!c.is_control() && c != '\u{202e}')), "{text:?}");
    }

    #[test]
    fn many_rules_are_counted_and_few_are_named() {
        let rules = |count: usize| (0..count).map(|n| format!("r{n}")).collect::<Vec<String>>();
        assert_eq!(listed(&rules(2)), "r0 r1");
        assert!(listed(&rules(RULES_SHOWN)).ends_with("r23"));
        assert!(listed(&rules(RULES_SHOWN + 3)).ends_with("r23 and 3 more"));
    }
}
