//! Who is forgotten when there are too many.
//!
//! Two tiers. Whoever has been here for a day and can be judged is settled; the settled have
//! nine tenths of the places, and newcomers can never take one from them: a flood of invented
//! names only pushes out other new names. Within a tier those seen at one moment only go first, then
//! the longest unseen. Whoever has
//! an open incident stays. What goes depends on the state alone, not on the order it was
//! restored in.

use super::Known;
use super::days::stamp;
use super::peer::Peer;
use crate::engine::words::Name;

impl Known {
    /// The state of a `per`, made when it is new; `None` when there is no place for it, because
    /// every other has an open incident.
    pub(super) fn peer(&mut self, per: Name<'_>, now_secs: i64) -> Option<&mut Peer> {
        if self.peers.len() >= self.pers_max && !self.peers.contains(per) {
            self.make_room(stamp(now_secs));
            if self.peers.len() >= self.pers_max {
                self.peers.refused();
                return None;
            }
        }
        Some(self.peers.entry(per))
    }

    /// Gives somebody a place among the settled, if need be that of the longest unseen of them.
    pub(super) fn settle(&mut self, per: Name<'_>, now: u32) {
        let places = self.pers_max - self.newcomers_min();
        if self.settled >= places {
            self.evict(true, self.settled - places + (self.settled / 10).max(1), now);
        }
        if self.settled < places
            && let Some(peer) = self.peers.get_mut(per)
        {
            peer.settled = true;
            self.settled += 1;
        }
    }

    /// Places the settled never fill.
    fn newcomers_min(&self) -> usize {
        (self.pers_max / 10).max(1)
    }

    fn make_room(&mut self, now: u32) {
        let newcomers = self.peers.len() - self.settled;
        let over = self.peers.len() + 1 - self.pers_max;
        self.evict(false, over.max(newcomers / 10).max(self.newcomers_min() / 2), now);
        if self.peers.len() >= self.pers_max {
            self.evict(true, over.max(self.settled / 10), now);
        }
    }

    /// Forgets the longest unseen of a tier.
    fn evict(&mut self, settled: bool, count: usize, now: u32) {
        let may_go = |peer: &Peer| peer.settled == settled && !peer.is_held(now);
        let gone = self.peers.evict(count, |peer| may_go(peer).then(|| (!peer.is_single(), peer.last())));
        if settled {
            self.settled -= gone;
        }
    }
}
