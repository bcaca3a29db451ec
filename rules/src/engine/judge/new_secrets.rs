//! What counts new secrets is given an event as if it named no others.

use super::{Case, Hearing, Novelties};
use crate::Seen;
use crate::engine::brief::Brief;
use crate::engine::mixed::{NewSecrets, is_of_secrets};
use crate::engine::words::Words;
use crate::engine::{Context, Engine};
use crate::rule::{Baseline, Count};
use crate::view::View;
use keywatch_event::AuditEvent;
use std::sync::Arc;

impl Novelties {
    /// The new secrets for a baseline of them, when the event names others besides.
    fn secrets(&self, baseline: usize, event: &AuditEvent<'_>) -> Option<NewSecrets> {
        let mut judged = self.0.iter().filter(|(of, _)| *of == baseline);
        let is_mixed = judged.any(|(_, judgement)| judgement.news().is_none());
        let new = is_mixed && self.of(baseline).next().is_some();
        new.then(|| NewSecrets::of(event.time, self.of(baseline)))
    }
}

impl Case<'_, '_> {
    /// Keeps which secrets are new, for baselines to which others of the event are not.
    pub(super) fn keep_new_secrets(&mut self, specs: &[Baseline], novelties: &Novelties) {
        let event = self.context.seen().event;
        if event.secrets.len() < 2 || !novelties.any() {
            return;
        }
        for (at, spec) in specs.iter().enumerate().filter(|(_, spec)| is_of_secrets(spec)) {
            if let Some(new) = novelties.secrets(at, event) {
                self.engine.mixed.put(&spec.rule, &event.id, new);
            }
        }
    }

    /// Does something with the event as the rule is to see it, and what is remembered of that.
    pub(super) fn with_counted<T>(
        &mut self,
        (hearing, count): (&Hearing, &Count),
        hits: u64,
        novelties: &Novelties,
        work: impl FnOnce(&mut Engine, &Context<'_, '_>, &Arc<Brief>) -> T,
    ) -> T {
        let (context, dispatch) = (self.context, self.dispatch);
        let Some(new) = self.new_secrets(count, hits, novelties) else {
            return self.with_brief(|case, brief| work(case.engine, context, brief));
        };
        let Seen { event, place, raw } = *context.seen();
        let secrets = event.secrets.iter().filter(|secret| new.has(&secret.id)).cloned().collect();
        let event = AuditEvent { secrets, ..event.clone() };
        let seen = Seen { event: &event, place, raw };
        let view = View::new(&seen, context.view.around(), context.view.scope());
        let mut words = Words::default();
        words.begin(&dispatch.combinations);
        if let Some(asks) = dispatch.asks(hearing.rule) {
            let mut make = |which| words.make(which, &dispatch.combinations, &view);
            asks.each(count, context.found, &mut make);
        }
        let brief = self.engine.brief(&seen, self.at);
        let context = Context { view: &view, found: context.found, words: &words, digests: context.digests };
        work(self.engine, &context, &brief)
    }

    /// The secrets for which alone the event counts with these hits: those that are new, when every hit is
    /// one for new secrets and the event names others.
    fn new_secrets(&self, count: &Count, hits: u64, novelties: &Novelties) -> Option<NewSecrets> {
        let event = self.context.seen().event;
        if event.secrets.len() < 2 {
            return None;
        }
        let mut all: Option<NewSecrets> = None;
        for (_, hit) in count.hits.iter().enumerate().filter(|(at, _)| hits >> at.min(&63) & 1 == 1) {
            let baseline = hit.novel?;
            let spec = self.engine.rules.baselines.get(baseline.0).filter(|spec| is_of_secrets(spec))?;
            let new = match self.said {
                Some(_) => self.engine.mixed.get(&spec.rule, &event.id)?.clone(),
                None => novelties.secrets(baseline.0, event)?,
            };
            all = Some(match all {
                Some(all) => all.and(new),
                None => new,
            });
        }
        all
    }
}
