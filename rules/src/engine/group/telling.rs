//! What is new about the incidents of a group since it was last asked. Changes no incident but what
//! was told of it.

use super::{Group, place_of};
use crate::engine::anchor::Anchor;
use crate::engine::brief::Brief;
use crate::engine::incident::{Incident, Member, Told};
use keywatch_event::AlertId;

/// How a group differs from what was last told of it.
pub(crate) enum Change<'i> {
    Opened(&'i Incident),
    Updated {
        incident: &'i Incident,
        was: AlertId,
        news: bool,
    },
    Withdrawn {
        id: AlertId,
        merged_into: Option<AlertId>,
    },
    /// An event matters as long as an incident does.
    Kept(&'i Brief),
    /// What a restart must know of an incident.
    Stands(&'i AlertId, Anchor),
    /// An incident of which that was told is no more.
    Gone(&'i AlertId),
}

impl Group {
    /// Tells what changed since this was last asked.
    ///
    /// `behind` says which events stand behind an incident; `anchored`, whether a restart is prepared for.
    pub(crate) fn changes(
        &mut self,
        behind: &dyn Fn(&Incident) -> Vec<Member>,
        anchored: bool,
        tell: &mut dyn FnMut(Change<'_>),
    ) {
        self.dirty = false;
        self.take_kept().iter().for_each(|brief| tell(Change::Kept(brief)));
        let mut undone = std::mem::take(&mut self.undone);
        for old in &undone {
            tell(Change::Gone(&old.id));
        }
        let mut touched = std::mem::take(&mut self.touched);
        touched.sort_unstable();
        touched.dedup();
        for serial in touched {
            let incident = place_of(serial, self.serial).and_then(|at| self.incidents.get_mut(at));
            let Some(incident) = incident.filter(|one| !one.is_nameless()) else { continue };
            let before = match undone.iter().position(|old| old.id == incident.id) {
                Some(at) => Some(undone.swap_remove(at)),
                None if incident.told.is_some() => None,
                None => undone
                    .iter()
                    .position(|old| incident.has(&old.opened_by))
                    .map(|at| undone.swap_remove(at)),
            };
            if let Some(before) = &before {
                incident.behind.clone_from(&before.behind);
            }
            incident.behind = behind(incident);
            incident.tell(before, tell);
            if let Some(incident) = self.incident(serial).filter(|_| anchored) {
                tell(Change::Stands(&incident.id, self.anchor_of(serial, incident)));
            }
        }
        for old in undone {
            let merged = self.incidents.iter().find(|new| new.has(&old.opened_by));
            tell(Change::Withdrawn { id: old.id, merged_into: merged.map(|new| new.id.clone()) });
        }
    }
}

impl Incident {
    /// What is to be said of it, given what was said before under its own or another id.
    fn tell(&mut self, before: Option<Incident>, tell: &mut dyn FnMut(Change<'_>)) {
        let (was, last) = match before {
            Some(old) => (old.id, old.told),
            None => (self.id.clone(), self.told.take()),
        };
        let now = Told {
            level: self.level,
            secrets: self.secrets(),
            places: self.places().len(),
            events: self.events,
            observed: self.observed,
            print: self.print(),
        };
        let Some(last) = last else {
            self.told = Some(now);
            return tell(Change::Opened(self));
        };
        let news =
            now.level > last.level || now.secrets >= last.secrets.max(1) * 2 || now.places > last.places;
        let same = was == self.id
            && (now.level, now.events, now.print) == (last.level, last.events, last.print)
            && now.observed.to_bits() == last.observed.to_bits();
        let secrets = if news { now.secrets } else { last.secrets };
        self.told = Some(Told { secrets, places: now.places.max(last.places), ..now });
        if !same {
            tell(Change::Updated { incident: self, was, news });
        }
    }
}
