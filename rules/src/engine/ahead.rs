//! Events are made ready some at a time, and then judged one by one.
//!
//! What an event matches, who hears of it and by what words it is told apart follow from the event alone.
//! With several of them ready, all that they will touch in far memory is looked at in a row: looks that do
//! not wait for each other take the time of a few. Judging then finds it near.
//!
//! Decides nothing: what is judged, and in which order, is the same however many are made ready at once.

use super::brief::Brief;
use super::heard::Heard;
use super::judge::Said;
use super::verdicts::Verdicts;
use super::words::Words;
use super::{Dispatch, Engine, Found, State};
use crate::view::View;
use crate::{Seen, Surroundings};
use std::sync::Arc;

/// Events made ready at once. What they touch, some 20 lines of memory each, fits the nearest cache, and more
/// looks than these are never under way at once.
const TOGETHER: usize = 16;

/// An event that means something to somebody, ready to be judged.
#[derive(Debug)]
pub(super) struct Ready<'v> {
    /// Its place in the batch.
    pub(super) at: usize,
    pub(super) view: View<'v>,
    pub(super) found: Arc<Found>,
    pub(super) heard: Arc<Heard>,
    pub(super) words: Words,
    /// What is remembered of it, where it enters a window for certain.
    pub(super) brief: Option<Arc<Brief>>,
    /// What baselines ask of it, as one number.
    pub(super) mark: Option<u64>,
}

impl Engine {
    /// Judges new events in order.
    pub(super) fn judge_all(&mut self, events: &[Seen<'_>], verdicts: &mut Verdicts) {
        let (around, dispatch) = (Arc::clone(&self.settings.surroundings), Arc::clone(&self.dispatch));
        let mut ready = Vec::with_capacity(TOGETHER);
        for (n, some) in events.chunks(TOGETHER).enumerate() {
            for (at, seen) in (n * TOGETHER..).zip(some) {
                ready.extend(self.prepare(at, seen, &around, &dispatch));
            }
            self.look_ahead(&ready);
            for one in ready.drain(..) {
                self.hear(one, &dispatch, None, verdicts);
            }
        }
    }

    /// Judges one event, of which `said` was said before.
    pub(super) fn judge(&mut self, at: usize, seen: &Seen<'_>, said: Said<'_>, verdicts: &mut Verdicts) {
        let (around, dispatch) = (Arc::clone(&self.settings.surroundings), Arc::clone(&self.dispatch));
        if let Some(ready) = self.prepare(at, seen, &around, &dispatch) {
            self.hear(ready, &dispatch, said, verdicts);
        }
    }

    /// Makes an event ready; `None` when it means nothing to anybody.
    fn prepare<'v>(
        &mut self,
        at: usize,
        seen: &'v Seen<'v>,
        around: &'v Surroundings,
        dispatch: &'v Dispatch,
    ) -> Option<Ready<'v>> {
        let spare = self.scratch.spares.pop().unwrap_or_default();
        let view = View::new(seen, around, dispatch.plan.scope(seen.event.provider)).with(spare);
        let found = dispatch.plan.matching(&view, &mut self.walk);
        if found.ids.is_empty() {
            self.scratch.spares.push(view.into_spare());
            return None;
        }
        let heard = self.audiences.of(dispatch, &self.rules, &found);
        let brief = heard.enters.then(|| {
            let brief = self.brief(seen, at);
            brief.who.tell(&view);
            brief
        });
        let mut words = self.scratch.words.pop().unwrap_or_default();
        words.begin(&dispatch.combinations);
        heard.words.iter().for_each(|which| words.make(*which, &dispatch.combinations, &view));
        let mark = self.familiar.mark(&heard, &view, &words);
        Some(Ready { at, view, found, heard, words, brief, mark })
    }

    /// Looks at what judging these events will touch.
    fn look_ahead(&self, ready: &[Ready<'_>]) {
        let mut all = 0;
        for Ready { heard, words, mark, .. } in ready {
            for (rule, which) in &heard.groups {
                let Some(State::Count(state)) = self.states.get(*rule) else { continue };
                words.of(*which).into_iter().flatten().for_each(|said| all ^= state.look(said.name.hash));
            }
            if mark.is_some_and(|mark| self.familiar.knows(mark)) {
                continue;
            }
            let names = heard.about.iter().filter_map(|which| words.of(*which)).flatten();
            names.for_each(|said| all ^= self.baselines.look(said.name));
        }
        // Or it would be left out as of no use.
        std::hint::black_box(all);
    }
}
