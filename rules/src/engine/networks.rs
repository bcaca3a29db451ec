//! The networks each principal reads from, and which of them are new.
//!
//! A baseline follows the order in which events are committed: the same events committed in the
//! same order give the same answers. It learns only from reads that raised nothing; a network
//! that raised waits until it was seen on several days. (Windows, in `group`, do not depend on
//! order; a baseline cannot help it: what is new depends on what came before.)

use crate::rule::FirstSeen;
use hashbrown::{HashMap, HashSet};
use keywatch_event::{EventTime, Learned, Place};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

const DAY_SECS: i64 = 86_400;
/// How far a principal's last sight must move before its state is written again: learned state
/// is committed with the batch, and writing every principal at every read would cost more than
/// the events do. After a crash at most this much of "last seen" is forgotten.
const WRITE_AFTER_SECS: i64 = 3600;
/// Evidence rows kept with an open incident.
const EVIDENCE_MAX: usize = keywatch_event::EVIDENCE_MAX;

/// A network: an address cut to a prefix length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Net {
    ip: IpAddr,
    bits: u8,
}

/// The rung of the generalisation ladder a principal stands on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
enum Rung {
    /// /24 and /48.
    #[default]
    Narrow,
    /// /16 and /32.
    Wide,
    /// Too mobile: not judged.
    Mobile,
}

/// Everything known of the networks of all principals.
#[derive(Debug)]
pub(crate) struct Networks {
    rule: String,
    /// Event second of the earliest read ever seen: history begins here.
    start: Option<i64>,
    principals: HashMap<Box<str>, Principal>,
    principals_max: usize,
    dirty: HashSet<Box<str>>,
    start_dirty: bool,
    pub(crate) evicted: u64,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Principal {
    first: i64,
    last: i64,
    written: i64,
    events: u32,
    days: Vec<i32>,
    rung: Rung,
    known: Vec<(Net, i64)>,
    pending: Vec<(Net, Vec<i32>)>,
    tainted: Vec<(Net, i64)>,
    open: Option<OpenIncident>,
}

/// An open incident of new networks.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct OpenIncident {
    pub(crate) opened_by: String,
    pub(crate) opened_at: (i64, u8),
    pub(crate) first: (i64, u8),
    pub(crate) last: (i64, u8),
    pub(crate) networks: Vec<String>,
    pub(crate) events: u64,
    pub(crate) evidence: Vec<StoredEvidence>,
    pub(crate) secrets: Vec<(String, String)>,
    pub(crate) known: usize,
}

/// One evidence row in a form that can be stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct StoredEvidence {
    pub(crate) event: String,
    pub(crate) time: (i64, u8),
    pub(crate) place: (String, u64, u32),
}

/// A read from a network the principal was never seen in.
pub(crate) struct NewNetwork {
    pub(crate) incident: OpenIncident,
    /// Whether this opened the incident.
    pub(crate) opened: bool,
    /// Whether it adds a network to an open one.
    pub(crate) news: bool,
}

/// One read to judge.
pub(crate) struct Read<'r> {
    pub(crate) principal: &'r str,
    pub(crate) ip: IpAddr,
    pub(crate) time: EventTime,
    pub(crate) event: &'r str,
    pub(crate) place: &'r Place,
    pub(crate) secrets: Vec<(String, String)>,
    /// Whether an operator's list names the address.
    pub(crate) listed: bool,
}

impl Net {
    fn of(ip: IpAddr, rung: Rung) -> Self {
        let ip = ip.to_canonical();
        let bits = match (ip, rung) {
            (IpAddr::V4(_), Rung::Narrow) => 24,
            (IpAddr::V4(_), _) => 16,
            (IpAddr::V6(_), Rung::Narrow) => 48,
            (IpAddr::V6(_), _) => 32,
        };
        let cut = ipnet::IpNet::new(ip, bits).map_or(ip, |net| net.network());
        Self { ip: cut, bits }
    }
}

impl std::fmt::Display for Net {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{}/{}", self.ip, self.bits)
    }
}

impl Networks {
    pub(crate) fn new(rule: &str, principals_max: usize) -> Self {
        Self {
            rule: rule.to_owned(),
            start: None,
            principals: HashMap::new(),
            principals_max,
            dirty: HashSet::new(),
            start_dirty: false,
            evicted: 0,
        }
    }

    /// Principals known.
    pub(crate) fn len(&self) -> usize {
        self.principals.len()
    }

    /// Judges a read and learns from it.
    pub(crate) fn read(&mut self, spec: &FirstSeen, read: &Read<'_>) -> Option<NewNetwork> {
        let now = read.time.secs();
        if self.start.is_none_or(|start| now < start) {
            self.start = Some(now);
            self.start_dirty = true;
        }
        let learning = self.start.is_none_or(|start| now < start + spec.learn_secs);
        self.make_room(read.principal);
        let principal = self.principals.entry_ref(read.principal).or_insert_with(|| Principal::since(now));
        let judged = !learning && principal.is_mature(spec, now);
        let (found, changed) = principal.sight(spec, read, judged);
        let changed = principal.count(now) || changed || now - principal.written >= WRITE_AFTER_SECS;
        if changed {
            principal.written = now;
            self.dirty.insert(read.principal.into());
        }
        found
    }

    /// A failed event of the principal: its network is not learned from for a day.
    pub(crate) fn taint(&mut self, principal: &str, ip: IpAddr, now: i64) {
        let Some(known) = self.principals.get_mut(principal) else { return };
        let net = Net::of(ip, known.rung);
        known.tainted.retain(|(other, at)| *other != net && now - at < DAY_SECS);
        known.tainted.push((net, now));
        known.tainted.truncate(8);
        self.dirty.insert(principal.into());
    }

    fn make_room(&mut self, newcomer: &str) {
        if self.principals.len() < self.principals_max || self.principals.contains_key(newcomer) {
            return;
        }
        let mut lasts: Vec<i64> = self.principals.values().map(|p| p.last).collect();
        let tenth = lasts.len() / 10;
        let (_, bound, _) = lasts.select_nth_unstable(tenth);
        let bound = *bound;
        let before = self.principals.len();
        let dirty = &mut self.dirty;
        self.principals.retain(|id, principal| {
            let keep = principal.last > bound
                || principal.open.as_ref().is_some_and(|open| open.last.0 / 1_000_000_000 > bound);
            if !keep {
                dirty.insert(id.clone());
            }
            keep
        });
        self.evicted += (before - self.principals.len()) as u64;
    }

    /// State that changed since the last call, to be committed.
    pub(crate) fn take_learned(&mut self) -> Vec<Learned> {
        let mut learned = Vec::new();
        if std::mem::take(&mut self.start_dirty)
            && let Some(start) = self.start
        {
            learned.push(Learned { key: self.rule.clone(), state: start.to_be_bytes().to_vec() });
        }
        let mut dirty: Vec<Box<str>> = self.dirty.drain().collect();
        dirty.sort_unstable();
        for id in dirty {
            let state = self.principals.get(&id).and_then(|p| postcard::to_stdvec(p).ok());
            learned.push(Learned { key: format!("{} {id}", self.rule), state: state.unwrap_or_default() });
        }
        learned
    }

    /// Takes back what [`Self::take_learned`] gave; state of other rules or formats is ignored.
    pub(crate) fn restore(&mut self, learned: &Learned) {
        let Some(rest) = learned.key.strip_prefix(&self.rule) else { return };
        if rest.is_empty() {
            self.start = learned.state.as_slice().try_into().ok().map(i64::from_be_bytes);
        } else if let (Some(id), Ok(principal)) =
            (rest.strip_prefix(' '), postcard::from_bytes(&learned.state))
        {
            self.principals.insert(id.into(), principal);
        }
    }
}

impl Principal {
    fn since(now: i64) -> Self {
        Self { first: now, last: now, written: now, ..Self::default() }
    }

    fn is_mature(&self, spec: &FirstSeen, now: i64) -> bool {
        let mature = &spec.mature;
        now - self.first >= mature.age_secs && self.events >= mature.events && self.days.len() >= mature.days
    }

    /// Counts the event towards maturity; whether that is worth writing.
    fn count(&mut self, now: i64) -> bool {
        let day = day_of(now);
        let new_day = self.days.len() < 8 && !self.days.contains(&day);
        if new_day {
            self.days.push(day);
        }
        let young = self.events < 16;
        self.events = self.events.saturating_add(1);
        self.first = self.first.min(now);
        self.last = self.last.max(now);
        new_day || young
    }

    fn sight(&mut self, spec: &FirstSeen, read: &Read<'_>, judged: bool) -> (Option<NewNetwork>, bool) {
        let now = read.time.secs();
        let net = Net::of(read.ip, self.rung);
        if let Some((_, last)) =
            self.known.iter_mut().find(|(known, last)| *known == net && now - last <= spec.decay_secs)
        {
            *last = now.max(*last);
            return (None, false);
        }
        if self.rung == Rung::Mobile {
            return (None, false);
        }
        let trusted =
            read.listed || (!judged && !self.is_tainted(net, now)) || self.accept(spec, net, now, judged);
        if trusted {
            self.learn(spec, net, now);
            return (None, true);
        }
        if !judged {
            return (None, false);
        }
        (Some(self.raise(spec, read, net)), true)
    }

    fn is_tainted(&self, net: Net, now: i64) -> bool {
        self.tainted.iter().any(|(tainted, at)| *tainted == net && now - at < DAY_SECS)
    }

    /// Notes a day on which a network that raised was seen; whether it has been seen on enough.
    fn accept(&mut self, spec: &FirstSeen, net: Net, now: i64, judged: bool) -> bool {
        if !judged {
            return false;
        }
        let day = day_of(now);
        let Some(at) = self.pending.iter().position(|(pending, _)| *pending == net) else {
            self.pending.push((net, vec![day]));
            if self.pending.len() > spec.networks_max {
                self.pending.remove(0);
            }
            return false;
        };
        let days = self.pending.get_mut(at).map(|(_, days)| {
            if !days.contains(&day) {
                days.push(day);
            }
            days.len()
        });
        let enough = days.is_some_and(|days| days >= spec.accept_days);
        if enough {
            self.pending.remove(at);
        }
        enough
    }

    fn learn(&mut self, spec: &FirstSeen, net: Net, now: i64) {
        self.known.retain(|(known, last)| *known != net && now - last <= spec.decay_secs);
        self.known.push((net, now));
        if self.known.len() > spec.networks_max {
            let oldest = self.known.iter().enumerate().min_by_key(|(_, (_, last))| *last).map(|(at, _)| at);
            self.known.remove(oldest.unwrap_or(0));
        }
        let recent = self.known.iter().filter(|(_, last)| now - last <= spec.mobile_within_secs).count();
        if recent >= spec.mobile_networks {
            self.climb();
        }
    }

    /// One rung up: wider networks, and at the top none at all.
    fn climb(&mut self) {
        self.rung = match self.rung {
            Rung::Narrow => Rung::Wide,
            Rung::Wide | Rung::Mobile => Rung::Mobile,
        };
        let widened = self.known.drain(..).map(|(net, last)| (Net::of(net.ip, self.rung), last));
        let mut wide: HashMap<Net, i64> = HashMap::new();
        for (net, last) in widened {
            let known = wide.entry(net).or_insert(last);
            *known = last.max(*known);
        }
        self.known = wide.into_iter().collect();
        self.known.sort_by_key(|(net, last)| (*last, net.ip));
        self.pending.clear();
    }

    fn raise(&mut self, spec: &FirstSeen, read: &Read<'_>, net: Net) -> NewNetwork {
        let time = (read.time.unix_nanos(), read.time.digits());
        let now = read.time.secs();
        let joins = |open: &OpenIncident| {
            (now - open.opened_at.0.div_euclid(1_000_000_000)).abs() <= spec.once_per_secs
        };
        let known = self.known.len();
        let current = self.open.take().filter(joins);
        let opened = current.is_none();
        let mut open = current.unwrap_or_else(|| OpenIncident {
            opened_by: read.event.to_owned(),
            opened_at: time,
            first: time,
            last: time,
            networks: Vec::new(),
            events: 0,
            evidence: Vec::new(),
            secrets: Vec::new(),
            known,
        });
        let news = open.add(read, &net.to_string(), time);
        self.open = Some(open.clone());
        NewNetwork { incident: open, opened, news: news && !opened }
    }
}

impl OpenIncident {
    /// Adds a read; whether its network was not in the incident yet.
    fn add(&mut self, read: &Read<'_>, net: &str, time: (i64, u8)) -> bool {
        self.first = self.first.min(time);
        self.last = self.last.max(time);
        self.events += 1;
        if self.evidence.len() < EVIDENCE_MAX {
            let place = (read.place.name.to_string(), read.place.line, read.place.record);
            self.evidence.push(StoredEvidence { event: read.event.to_owned(), time, place });
        }
        for secret in &read.secrets {
            if self.secrets.len() < keywatch_event::SECRETS_MAX && !self.secrets.contains(secret) {
                self.secrets.push(secret.clone());
            }
        }
        let new = !self.networks.iter().any(|known| known == net);
        if new {
            self.networks.push(net.to_owned());
        }
        new
    }
}

fn day_of(secs: i64) -> i32 {
    i32::try_from(secs.div_euclid(DAY_SECS)).unwrap_or(i32::MAX)
}
