//! What a store keeps of events for a restart.

use keywatch_event::{AuditEvent, Evaluation, Place};
use keywatch_rules::{Seen, Signal};

/// How long each event may matter, and what was said of it.
#[derive(Default)]
pub(crate) struct Stored<'e>(pub(crate) Vec<(&'e AuditEvent<'static>, u32, Vec<String>)>);

impl<'e> Stored<'e> {
    pub(crate) fn commit(&mut self, batch: &[&'e AuditEvent<'static>], evaluation: &Evaluation) {
        for (event, said) in batch.iter().zip(&evaluation.classified) {
            let rules = said.rules.iter().map(ToString::to_string).collect();
            self.0.push((event, said.matters_secs, rules));
        }
        for kept in &evaluation.kept {
            let stored = self.0.iter_mut().filter(|(event, ..)| event.id == kept.event);
            stored.for_each(|(_, secs, _)| *secs = (*secs).max(kept.matters_secs));
        }
    }

    /// Those that still matter, as `matters` says of each and its seconds.
    pub(crate) fn signals<'p>(
        &self,
        place: &'p Place,
        matters: impl Fn(&AuditEvent<'static>, u32) -> bool,
    ) -> Vec<Signal<'p>>
    where
        'e: 'p,
    {
        let matter = self.0.iter().filter(|(event, secs, _)| matters(event, *secs));
        matter
            .map(|(event, _, rules)| Signal { seen: Seen { event, place, raw: b"{}" }, rules: rules.clone() })
            .collect()
    }
}
