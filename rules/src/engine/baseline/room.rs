//! Who is forgotten when there are too many.
//!
//! Two tiers. Whoever has been here for a day and can be judged is settled; the settled have
//! nine tenths of the places, and newcomers can never take one from them: a flood of invented
//! names only pushes out other new names. Within a tier the longest unseen go first. Whoever has
//! an open incident stays. What goes depends on the state alone, not on the order it was
//! restored in.

use super::Known;
use super::days::stamp;
use super::peer::Peer;

impl Known {
    /// The state of a `per`, made when it is new; `None` when there is no place for it, because
    /// every other has an open incident.
    pub(super) fn peer(&mut self, per: &str, now_secs: i64) -> Option<&mut Peer> {
        if self.peers.len() >= self.pers_max && !self.peers.contains_key(per) {
            self.make_room(stamp(now_secs));
            if self.peers.len() >= self.pers_max {
                self.evicted += 1;
                return None;
            }
        }
        Some(self.peers.entry_ref(per).or_default())
    }

    /// Gives somebody a place among the settled, if need be that of the longest unseen of them.
    pub(super) fn settle(&mut self, per: &str, now: u32) {
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
        let mut tier: Vec<(u32, &str)> =
            self.peers.iter().filter(|(_, peer)| may_go(peer)).map(|(per, peer)| (peer.last(), &**per)).collect();
        if count < tier.len() {
            tier.select_nth_unstable(count);
            tier.truncate(count);
        }
        let names: Vec<Box<str>> = tier.into_iter().map(|(_, per)| per.into()).collect();
        for per in names {
            if let Some(peer) = self.peers.remove(&per) {
                self.evicted += 1;
                self.settled -= usize::from(peer.settled);
                if peer.stored {
                    self.gone.push(per);
                }
            }
        }
        // A batch may make and forget any number; what is to be written stays as bounded as
        // what is known.
        let peers = &self.peers;
        self.dirty.retain(|per| peers.get(per).is_some_and(|peer| peer.dirty));
    }
}
