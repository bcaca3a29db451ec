//! The engine at the store's service, for one batch.
//!
//! Events that memory still reaches are evaluated; those older than its floor are judged against
//! the stored history around them. The store commits both answers as one.

use super::past::{self, Past, Stretch};
use crate::brain::{Engine, Signal};
use keywatch_event::{Classified, Evaluation, EventTime, Level};
use keywatch_ingest::provider::Normalizer;
use keywatch_rules::Seen;
use keywatch_store::{Incoming, Judge};

pub(super) struct Bench<'b> {
    pub(super) engine: &'b mut Engine,
    pub(super) normalizer: &'b Normalizer,
    pub(super) incoming: &'b Incoming<'b>,
    /// Events before this are late.
    pub(super) floor: Option<EventTime>,
    pub(super) past: Past,
    /// How many events were.
    pub(super) late: u64,
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
        let is_late = |seen: &Seen<'_>| self.floor.is_some_and(|floor| seen.event.time < floor);
        if !seen.iter().any(is_late) {
            return self.engine.evaluate(&seen);
        }
        let (late, timely): (Vec<usize>, Vec<usize>) =
            (0..seen.len()).partition(|at| seen.get(*at).is_some_and(is_late));
        self.late += late.len() as u64;
        let mut answer = Answer::to(seen.len());
        let batch: Vec<Seen<'_>> = pick(&seen, &timely);
        let said = self.engine.evaluate(&batch);
        let fellows = fellows(&batch, &said);
        answer.take(&timely, said);
        for stretch in &self.past.stretches {
            let here = |at: &usize| {
                seen.get(*at).is_some_and(|one| (stretch.from..=stretch.to).contains(&one.event.time))
            };
            let late: Vec<usize> = late.iter().copied().filter(here).collect();
            if !late.is_empty() {
                answer.take(&late, self.revise(stretch, &pick(&seen, &late), &fellows));
            }
        }
        answer.into_evaluation()
    }
}

impl<'b> Bench<'b> {
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
fn fellows<'s>(seen: &[Seen<'s>], said: &Evaluation) -> Vec<(Seen<'s>, Vec<String>)> {
    let judged = seen.iter().zip(&said.classified).filter(|(_, classified)| classified.matters_secs > 0);
    judged.map(|(seen, said)| (*seen, said.rules.iter().map(ToString::to_string).collect())).collect()
}

/// Several answers as one, each event's in its place.
struct Answer(Evaluation);

impl Answer {
    fn to(events: usize) -> Self {
        let quiet = Classified { level: Level::Info, rules: Vec::new(), matters_secs: 0 };
        Self(Evaluation { classified: vec![quiet; events], ..Evaluation::default() })
    }

    fn take(&mut self, places: &[usize], said: Evaluation) {
        for (at, classified) in places.iter().zip(said.classified) {
            self.0.classified.get_mut(*at).into_iter().for_each(|place| *place = classified.clone());
        }
        self.0.changes.extend(said.changes);
        self.0.learned.extend(said.learned);
    }

    fn into_evaluation(self) -> Evaluation {
        self.0
    }
}
