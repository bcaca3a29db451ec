//! Which of its events an incident forgets by name, when they are sealed and memory is short: those that
//! its alert neither shows nor is made of. The alert is the same to the letter as with all of them,
//! and so is what further events make of it.

use super::{Incident, Member};
use crate::engine::brief::{Brief, Who};
use crate::engine::entry::Fact;
use crate::rule::{Count, Escalate};
use hashbrown::HashSet;
use keywatch_event::EVIDENCE_MAX;

impl Incident {
    /// Forgets by name what is sealed and says nothing that others do not say. All that happened to the
    /// incident must have been told, and its opening must be sealed.
    pub(crate) fn forget_names(&mut self, is_sealed: impl Fn(&Brief) -> bool, count: &Count) {
        let sealed = self.members.partition_point(|member| is_sealed(&member.brief));
        if sealed <= self.looked_through.max(EVIDENCE_MAX) {
            return;
        }
        let mut keeps = self.worth(sealed, count).into_iter();
        let before = self.members.len();
        self.members.retain(|_| keeps.next().unwrap_or(true));
        let forgotten = before - self.members.len();
        self.forgotten += forgotten;
        self.looked_through = sealed - forgotten;
        if forgotten > 0 {
            self.members.shrink_to_fit();
            let print = self.print();
            self.told.iter_mut().for_each(|told| told.print = print);
        }
    }

    /// Of each of the first `sealed` events, whether it must stay: the evidence, the first with each secret,
    /// note and value that may be attached to, the first by somebody or from somewhere else, and
    /// the latest that weigh for an escalation.
    fn worth(&self, sealed: usize, count: &Count) -> Vec<bool> {
        let members = self.members.get(..sealed).unwrap_or_default();
        let mut said = Said::default();
        let first = members.first().map(|member| &*member.brief.who);
        let mut keeps = Vec::with_capacity(sealed);
        for (at, member) in members.iter().enumerate() {
            let is_new = said.is_new(member, first);
            keeps.push(is_new || at < EVIDENCE_MAX || member.brief.id == self.opened_by.id);
        }
        for (at, escalate) in count.escalate.iter().enumerate() {
            keep_weighing(&mut keeps, members, (at, escalate));
        }
        keeps
    }
}

/// What the members looked at so far say.
#[derive(Default)]
struct Said<'m> {
    secrets: HashSet<&'m str>,
    notes: HashSet<&'m str>,
    /// By number of the attachment.
    shares: HashSet<(usize, u64)>,
    /// Whether they differ in principal, source, account and store.
    differ: [bool; 4],
}

impl<'m> Said<'m> {
    /// Whether a member says something new; `first` is who the first is by.
    fn is_new(&mut self, member: &'m Member, first: Option<&Who>) -> bool {
        let mut is_new = member.note.as_deref().is_some_and(|note| self.notes.insert(note));
        for secret in &*member.brief.secrets {
            is_new |= self.secrets.insert(&secret.id);
        }
        for (at, values) in member.shares.iter().enumerate() {
            for value in values.iter() {
                is_new |= self.shares.insert((at, *value));
            }
        }
        let (who, Some(first)) = (&*member.brief.who, first) else { return is_new };
        let differs = [
            who.principal != first.principal,
            who.source != first.source,
            who.account != first.account,
            who.store != first.store,
        ];
        for (known, differs) in self.differ.iter_mut().zip(differs) {
            is_new |= differs && !*known;
            *known |= differs;
        }
        is_new
    }
}

/// Keeps the latest members that weigh enough for an escalation: however little of the past it looks
/// at, in that they come to as much as all, or to enough.
fn keep_weighing(keeps: &mut [bool], members: &[Member], (at, escalate): (usize, &Escalate)) {
    let (mut values, mut adding) = (HashSet::new(), 0);
    for (keep, member) in keeps.iter_mut().zip(members).rev() {
        match member.weighs.get(at) {
            Some(Fact::Adds(true)) if adding < escalate.at_least => {
                adding += 1;
                *keep = true;
            }
            Some(Fact::Values(all)) if (values.len() as u64) < escalate.at_least => {
                for value in all.iter() {
                    *keep |= values.insert(*value);
                }
            }
            Some(Fact::Adds(_) | Fact::Values(_) | Fact::Numbers(_) | Fact::ByHit(_)) | None => {}
        }
    }
}
