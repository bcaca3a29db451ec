//! The engine at the store's service, for one batch.
//!
//! Every event is evaluated. Those older than what memory reaches are then looked at once more,
//! against the stored history around them. The store commits both answers as one.

use super::past::{self, Past, Stretch};
use super::{Found, Notice};
use keywatch_event::{Classified, Evaluation, EventTime, Level, Provider};
use keywatch_ingest::provider::Normalizer;
use keywatch_rules::{Engine, Seen, Signal};
use keywatch_store::{Incoming, Judge};
use std::collections::HashMap;

pub(super) struct Bench<'b> {
    pub(super) engine: &'b mut Engine,
    pub(super) normalizer: &'b Normalizer,
    pub(super) incoming: &'b Incoming<'b>,
    /// Events before this are late.
    pub(super) floor: Option<EventTime>,
    pub(super) past: Past,
    /// What is committed with it whatever the rules say.
    pub(super) alongside: Evaluation,
    /// What stands out, and who says something of it.
    pub(super) found: Found,
    pub(super) notice: Notice<'b>,
    /// What came of it.
    pub(super) said: Tally,
}

/// Counts over one batch.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Events that were late.
    pub(super) late: u64,
    /// New events, by provider and level.
    pub(super) levels: HashMap<(Provider, Level), u64>,
}

/// An answer that was given before the question.
pub(super) struct Said(pub(super) Evaluation);

impl Judge for Said {
    fn judge(&mut self, _fresh: &[usize]) -> Evaluation {
        std::mem::take(&mut self.0)
    }
}

impl Judge for Bench<'_> {
    fn judge(&mut self, fresh: &[usize]) -> Evaluation {
        let seen: Vec<Seen<'_>> = fresh.iter().filter_map(|at| self.seen(*at)).collect();
        let mut said = self.evaluate(&seen);
        said.changes.append(&mut self.alongside.changes);
        said.changes.extend((self.notice)(&self.found));
        said.learned.append(&mut self.alongside.learned);
        for (seen, classified) in seen.iter().zip(&said.classified) {
            *self.said.levels.entry((seen.event.provider, classified.level)).or_insert(0) += 1;
        }
        said
    }
}

impl<'b> Bench<'b> {
    /// What the rules say, of late events after a second look.
    fn evaluate(&mut self, seen: &[Seen<'_>]) -> Evaluation {
        let mut said = self.engine.evaluate(seen);
        let is_late = |seen: &Seen<'_>| self.floor.is_some_and(|floor| seen.event.time < floor);
        if !seen.iter().any(is_late) {
            return said;
        }
        let fellows = fellows(seen.iter().zip(&said.classified).filter(|(seen, _)| !is_late(seen)));
        for stretch in &self.past.stretches {
            let here = |seen: &Seen<'_>| (stretch.from..=stretch.to).contains(&seen.event.time);
            let late: Vec<usize> = (0..seen.len())
                .filter(|at| seen.get(*at).is_some_and(|one| is_late(one) && here(one)))
                .collect();
            if !late.is_empty() {
                let revised = self.revise(stretch, &pick(seen, &late), &fellows);
                self.said.late += late.len() as u64;
                join(&mut said, &late, revised);
            }
        }
        said
    }

    fn seen(&self, at: usize) -> Option<Seen<'b>> {
        let one = self.incoming.events.get(at)?;
        let raw = self.incoming.bytes.get(one.raw.clone())?;
        Some(Seen { event: &one.event, place: &one.place, raw })
    }

    /// Judges late events against the history around them and what the same batch has near them.
    fn revise(
        &self,
        stretch: &Stretch,
        late: &[Seen<'_>],
        fellows: &[(Seen<'_>, Vec<String>)],
    ) -> Evaluation {
        let events = past::read(self.normalizer, &stretch.history);
        let mut history = past::signals(&events);
        let latest = stretch.to.plus_secs(self.engine.span_secs());
        let near = fellows.iter().filter(|(seen, _)| seen.event.time <= latest);
        history.extend(near.map(|(seen, rules)| Signal { seen: *seen, rules: rules.clone() }));
        self.engine.revise(late, &history)
    }
}

fn pick<'s>(seen: &[Seen<'s>], places: &[usize]) -> Vec<Seen<'s>> {
    places.iter().filter_map(|at| seen.get(*at).copied()).collect()
}

/// The events that matter beyond themselves, with the rules they were classified with.
fn fellows<'s: 'a, 'a>(
    judged: impl Iterator<Item = (&'a Seen<'s>, &'a Classified)>,
) -> Vec<(Seen<'s>, Vec<String>)> {
    let matter = judged.filter(|(_, classified)| classified.matters_secs > 0);
    matter.map(|(seen, said)| (*seen, said.rules.iter().map(ToString::to_string).collect())).collect()
}

/// Adds what a second look at the events at `places` found.
fn join(said: &mut Evaluation, places: &[usize], revised: Evaluation) {
    for (at, more) in places.iter().zip(revised.classified) {
        let Some(first) = said.classified.get_mut(*at) else { continue };
        let known = std::mem::take(&mut first.rules);
        let (above, below) = if more.level > first.level { (more.rules, known) } else { (known, more.rules) };
        first.rules = above;
        for rule in below {
            if !first.rules.contains(&rule) {
                first.rules.push(rule);
            }
        }
        first.level = first.level.max(more.level);
        first.matters_secs = first.matters_secs.max(more.matters_secs);
    }
    said.changes.extend(revised.changes);
    said.kept.extend(revised.kept);
}
