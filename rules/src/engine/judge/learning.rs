//! What baselines say of an event, and what they learn from it.
//!
//! Asked is nobody whom the event can teach nothing (`familiar`). It never says what the event raised.

use super::{Case, Novelties, Raising};
use crate::engine::baseline::{Looked, Noted, Of, Print, Raised, Rung, Sight, Value};
use crate::engine::entry::blanks_combined;
use crate::engine::heard::Heard;
use crate::engine::{Context, Dispatch, Engine};
use crate::rule::{Baseline, Count};
use std::net::IpAddr;
use std::sync::Arc;

/// How long a baseline is kept whatever happens after something was raised about it: the longest
/// an incident lives unless its rule says otherwise.
const HOLD_SECS: i64 = 86_400;

impl Case<'_, '_> {
    /// Whether no baseline has anything to say of the event or to learn from it.
    pub(super) fn is_familiar(&mut self, mark: u64, heard: &Heard) -> bool {
        let Engine { familiar, baselines, .. } = &mut *self.engine;
        let now_secs = self.context.seen().event.time.secs();
        familiar.is(mark, heard, (self.context.words, &*baselines), now_secs)
    }

    /// Remembers that the event teaches nothing any more, when that is so.
    pub(super) fn note_familiar(&mut self, mark: u64, specs: &[Baseline], heard: &Heard) {
        let Engine { familiar, baselines, .. } = &mut *self.engine;
        let (baselines, mut looked) = (&*baselines, Looked::default());
        let mut all = Some(Noted::default());
        for at in &heard.baselines {
            let Some(spec) = specs.get(*at).filter(|_| all.is_some()) else { return };
            let of = Of { at: *at, spec };
            let sights = Sights { context: self.context, dispatch: self.dispatch, of };
            sights.each(&mut |sight| {
                let noted = baselines.noted(of, sight, &mut looked);
                all = all.zip(noted).map(|(all, noted)| all.and(noted));
            });
        }
        if let Some(noted) = all {
            familiar.note(mark, heard, (self.context.words, baselines), noted);
        }
    }

    /// Asks every baseline what the event is to it.
    pub(super) fn judge_novelty(&self, specs: &[Baseline], baselines: &[usize], novelties: &mut Novelties) {
        let mut looked = Looked::default();
        let known = &self.engine.baselines;
        for at in baselines {
            let Some(spec) = specs.get(*at) else { continue };
            if self.context.found.has(spec.events) {
                let of = Of { at: *at, spec };
                let sights = Sights { context: self.context, dispatch: self.dispatch, of };
                sights.each(&mut |sight| {
                    novelties.0.push((*at, known.judge(of, sight, &mut looked)));
                });
            }
        }
    }

    /// Lets baselines learn from the event, given what it raised.
    pub(super) fn learn(
        &mut self,
        specs: &[Baseline],
        baselines: &[usize],
        novelties: &Novelties,
        raising: Raising,
    ) {
        let raised = raising.raised();
        if raised == Raised::High {
            self.doubt(specs, baselines);
        }
        let mut rest = novelties.0.as_slice();
        for at in baselines {
            let here = rest.iter().take_while(|(of, _)| of == at).count();
            let (judged, later) = rest.split_at(here);
            rest = later;
            let Some(spec) = specs.get(*at) else { continue };
            let taints = spec.taints.is_some_and(|taints| self.context.found.has(taints));
            if raised == Raised::Nothing
                && !taints
                && judged.iter().all(|(_, judgement)| judgement.is_noted())
            {
                continue;
            }
            let (context, dispatch) = (self.context, self.dispatch);
            let of = Of { at: *at, spec };
            let sights = Sights { context, dispatch, of };
            let known = &mut self.engine.baselines;
            let mut judged = judged.iter();
            if context.found.has(spec.events) {
                sights.each(&mut |sight| {
                    if let Some((_, judgement)) = judged.next() {
                        known.learn(of, sight, judgement, raising.for_baseline(spec));
                    }
                    if raised > Raised::Nothing {
                        let now = sight.now_secs;
                        known.hold(*at, sight.per, (now, now.saturating_add(HOLD_SECS)));
                    }
                });
            }
            if taints {
                sights.each(&mut |sight| known.taint(*at, sight));
            }
        }
    }

    /// What was new for a rule when an event came that is given back after a restart, in words: that
    /// something was new is all that is known. Which of several values it was nobody knows any more, and
    /// none of those is named. Of networks the narrowest is.
    pub(super) fn note_again(&self, count: &Count, novelties: &Novelties) -> Option<Arc<str>> {
        let new = count.hits.iter().filter(|hit| self.is_new(hit, novelties)).filter_map(|hit| hit.novel);
        let new: Vec<String> = new.filter_map(|id| self.only_value(id.0)).collect();
        (!new.is_empty()).then(|| Arc::from(new.join(", ")))
    }

    /// What the event is to a baseline, when it is one thing.
    fn only_value(&self, at: usize) -> Option<String> {
        let spec = self.engine.rules.baselines.get(at).filter(|spec| self.context.found.has(spec.events))?;
        let sights = Sights { context: self.context, dispatch: self.dispatch, of: Of { at, spec } };
        let mut values = Vec::new();
        sights.each(&mut |sight| {
            let value = match sight.value {
                Value::Text(text, _) => Some(text.to_owned()),
                Value::Address { .. } => {
                    Print::of(sight.value, Rung::Narrow).map(|print| print.network().to_string())
                }
            };
            values.extend(value);
        });
        values.dedup();
        values.pop().filter(|_| values.is_empty())
    }

    /// Something high was raised: baselines that do not judge this event doubt what waits to be
    /// accepted for whom it is about.
    fn doubt(&mut self, specs: &[Baseline], judging: &[usize]) {
        let known = &mut self.engine.baselines;
        for (at, (spec, (per, _))) in specs.iter().zip(&self.dispatch.sights).enumerate() {
            // Few baselines have anything that waits, and few kinds of `per` are not made already.
            if spec.accept_days == 0 || !known.may_wait(at) || judging.contains(&at) {
                continue;
            }
            if let Some(words) = self.context.words.of(*per) {
                words.for_each(|said| known.raised_high(at, said.name));
                continue;
            }
            for per in blanks_combined(&spec.per, self.context.view) {
                known.raised_high(at, (&*per).into());
            }
        }
    }
}

/// What a baseline may learn from the event.
struct Sights<'s, 'v> {
    context: &'s Context<'s, 'v>,
    dispatch: &'s Dispatch,
    of: Of<'s>,
}

impl Sights<'_, '_> {
    /// Calls `visit` with each: one per combination of for whom and of what. Who is not told is
    /// nobody, one and the same; what is not told is never new, but the event still counts for
    /// how well its `per` is known.
    fn each(&self, visit: &mut dyn FnMut(&Sight<'_>)) {
        let Self { context, dispatch, of: Of { at, spec } } = self;
        let now_secs = context.seen().event.time.secs();
        let exempt = spec.unless.is_some_and(|unless| context.found.has(unless));
        let Some((per, of)) = dispatch.sights.get(*at) else { return };
        for per in context.words.of(*per).into_iter().flatten() {
            let per = per.name;
            let Some(of) = of else {
                if let Some(ip) = context.seen().event.source.ip {
                    let value = Value::Address { ip, asn: autonomous_system(context, ip) };
                    visit(&Sight { per, value, now_secs, exempt });
                }
                continue;
            };
            let exempt = exempt || !context.words.is_whole(*of);
            for value in context.words.of(*of).into_iter().flatten() {
                visit(&Sight { per, value: Value::Text(value.name.text, value.print()), now_secs, exempt });
            }
        }
    }
}

fn autonomous_system(context: &Context<'_, '_>, ip: IpAddr) -> Option<u32> {
    context.view.around().asn.as_ref()?.asn(ip)?.parse().ok()
}
