//! The engine: events in, classifications and alert changes out.
//!
//! One call takes one batch. Stateless rules classify; counting rules keep entries per group and
//! recompute the incidents of the groups a batch touched; first-seen rules learn in the order of
//! commit. The engine never reads a clock: the time of an event is its own.

mod alerts;
mod brief;
mod explain;
mod group;
mod lives;
mod networks;

use crate::rule::{Count, FirstSeen, Hold, Kind, Rule};
use crate::{RuleSet, Seen};
use brief::{Brief, Entry, Role, groups_of};
use explain::Explanations;
use group::{Change, Group, Sweep};
use hashbrown::{HashMap, HashSet};
use ipnet::IpNet;
use keywatch_event::{AlertChange, Classified, Evaluation, EventTime, Learned, Level, SourceKind};
use lives::Lives;
use networks::{Networks, Read};
use std::sync::Arc;

/// What an operator sets.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Networks that are never unusual: offices, VPNs, NAT gateways.
    pub known_networks: Vec<IpNet>,
    /// Most entries kept in windows. An entry is about 600 bytes with its brief.
    pub entries_max: usize,
    /// Most principals with a baseline. One is about 400 bytes with two networks.
    pub principals_max: usize,
    /// Seconds of event time after which entries can no longer be revised when memory is short.
    pub lateness_secs: i64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            known_networks: Vec::new(),
            entries_max: 100_000,
            principals_max: 200_000,
            lateness_secs: 26 * 3600,
        }
    }
}

/// How much the engine holds, and what it had to let go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gauges {
    /// Entries in windows.
    pub entries: usize,
    /// Principals with a baseline.
    pub principals: usize,
    /// Entries let go because of the limit.
    pub entries_evicted: u64,
    /// Principals forgotten because of the limit.
    pub principals_evicted: u64,
}

/// Rules and what they remember.
#[derive(Debug)]
pub struct Engine {
    rules: Arc<RuleSet>,
    settings: Settings,
    states: Vec<State>,
    newest: Option<EventTime>,
    gauges: Gauges,
}

/// What one rule remembers.
#[derive(Debug)]
enum State {
    None,
    Count(Box<CountState>),
    Networks(Box<Networks>),
}

#[derive(Debug, Default)]
struct CountState {
    groups: HashMap<String, Group>,
    dirty: HashSet<String>,
    explanations: Explanations,
    lives: Lives,
}

/// A batch being judged: what was said of each of its events so far.
struct Verdicts<'b> {
    classified: Vec<Classified>,
    changes: Vec<AlertChange>,
    /// Position in the batch of the events that entered a window.
    entered: HashMap<&'b str, usize>,
}

impl Engine {
    /// An engine that remembers nothing yet.
    #[must_use]
    pub fn new(rules: Arc<RuleSet>, settings: Settings) -> Self {
        let states = rules.rules.iter().map(|rule| match &rule.kind {
            Kind::Classify(_) => State::None,
            Kind::Count(_) => State::Count(Box::default()),
            Kind::FirstSeen(_) => State::Networks(Box::new(Networks::new(&rule.id, settings.principals_max))),
        });
        Self { states: states.collect(), rules, settings, newest: None, gauges: Gauges::default() }
    }

    /// The rules it runs.
    #[must_use]
    pub fn rules(&self) -> &RuleSet {
        &self.rules
    }

    /// Takes back learned state and the stored events that feed windows, after a restart. Alerts
    /// these events made are known and not raised again.
    pub fn restore(&mut self, learned: &[Learned], signals: &[Seen<'_>]) {
        for state in &mut self.states {
            if let State::Networks(networks) = state {
                for learned in learned {
                    networks.restore(learned);
                }
            }
        }
        let mut verdicts = Verdicts::new(signals);
        let rules = Arc::clone(&self.rules);
        for (at, seen) in signals.iter().enumerate() {
            for (rule, state) in rules.rules.iter().zip(&mut self.states) {
                if let (Kind::Count(count), State::Count(state)) = (&rule.kind, state) {
                    state.take(count, seen, at, &mut verdicts);
                }
            }
        }
        self.refresh(&mut verdicts);
    }

    /// Judges one batch of events nobody has seen before.
    pub fn evaluate(&mut self, events: &[Seen<'_>]) -> Evaluation {
        let mut verdicts = Verdicts::new(events);
        let rules = Arc::clone(&self.rules);
        for (at, seen) in events.iter().enumerate() {
            self.newest = self.newest.max(Some(seen.event.time));
            for (rule, state) in rules.rules.iter().zip(&mut self.states) {
                match (&rule.kind, state) {
                    (Kind::Classify(matcher), _) if matcher.matches(seen) => verdicts.say(at, rule),
                    (Kind::Count(count), State::Count(state)) => state.take(count, seen, at, &mut verdicts),
                    (Kind::FirstSeen(spec), State::Networks(networks)) => {
                        let judge = Judge { rule, spec, known_networks: &self.settings.known_networks };
                        judge.judge(networks, seen, at, &mut verdicts);
                    }
                    _ => {}
                }
            }
        }
        self.refresh(&mut verdicts);
        self.bound();
        let networks = self.states.iter_mut().filter_map(|state| match state {
            State::Networks(networks) => Some(networks.take_learned()),
            State::None | State::Count(_) => None,
        });
        Evaluation {
            learned: networks.flatten().collect(),
            classified: verdicts.finish(),
            changes: verdicts.changes,
        }
    }

    /// How much is held.
    #[must_use]
    pub fn gauges(&self) -> Gauges {
        self.gauges
    }

    fn refresh(&mut self, verdicts: &mut Verdicts<'_>) {
        for (rule, state) in self.rules.rules.iter().zip(&mut self.states) {
            if let (Kind::Count(count), State::Count(state)) = (&rule.kind, state) {
                state.refresh(rule, count, verdicts);
            }
        }
    }

    /// Keeps memory bounded: when there are too many entries, what lies far enough back is
    /// sealed, then more recent entries too, and at last the oldest sealed ones go, which is
    /// counted.
    fn bound(&mut self) {
        self.gauges.entries = self.held();
        if let Some(newest) = self.newest {
            let mut lateness = self.settings.lateness_secs;
            while self.gauges.entries > self.settings.entries_max && lateness > 60 {
                self.seal(newest.plus_secs(-lateness));
                self.gauges.entries = self.held();
                lateness /= 4;
            }
        }
        if self.gauges.entries > self.settings.entries_max {
            self.shed();
        }
        self.gauges.principals = self.states.iter().map(State::principals).sum();
        self.gauges.principals_evicted = self.states.iter().map(State::evicted).sum();
    }

    fn held(&self) -> usize {
        self.states.iter().map(State::entries).sum()
    }

    fn seal(&mut self, floor: EventTime) {
        for (rule, state) in self.rules.rules.iter().zip(&mut self.states) {
            if let (Kind::Count(count), State::Count(state)) = (&rule.kind, state) {
                state.seal(rule, count, floor);
            }
        }
    }

    /// Shrinks every group to its share of three quarters of the limit.
    fn shed(&mut self) {
        let (held, target) = (self.gauges.entries, self.settings.entries_max / 4 * 3);
        let groups = self.states.iter_mut().flat_map(State::groups);
        let shed: usize = groups.map(|group| group.shed(group.len() * target / held.max(1))).sum();
        self.gauges.entries_evicted += shed as u64;
        self.gauges.entries = self.held();
    }
}

impl State {
    fn entries(&self) -> usize {
        match self {
            Self::Count(state) => {
                state.groups.values().map(Group::len).sum::<usize>() + state.explanations.len()
            }
            Self::None | Self::Networks(_) => 0,
        }
    }

    fn groups(&mut self) -> impl Iterator<Item = &mut Group> {
        let count = match self {
            Self::Count(state) => Some(state),
            Self::None | Self::Networks(_) => None,
        };
        count.into_iter().flat_map(|state| state.groups.values_mut())
    }

    fn principals(&self) -> usize {
        if let Self::Networks(networks) = self { networks.len() } else { 0 }
    }

    fn evicted(&self) -> u64 {
        if let Self::Networks(networks) = self { networks.evicted } else { 0 }
    }
}

impl Verdicts<'_> {
    fn new(events: &[Seen<'_>]) -> Self {
        let classified = vec![Classified { level: Level::Info, rules: Vec::new(), matters_secs: 90_000 }; events.len()];
        Self { classified, changes: Vec::new(), entered: HashMap::new() }
    }

    fn say(&mut self, at: usize, rule: &Rule) {
        self.say_level(at, rule, rule.level);
    }

    fn say_level(&mut self, at: usize, rule: &Rule, level: Level) {
        let Some(said) = self.classified.get_mut(at) else { return };
        if !said.rules.contains(&rule.id) {
            let position = if level > said.level { 0 } else { said.rules.len() };
            said.rules.insert(position, Arc::clone(&rule.id));
        }
        said.level = said.level.max(level);
    }

    fn finish(&mut self) -> Vec<Classified> {
        std::mem::take(&mut self.classified)
    }
}

impl CountState {
    fn take<'b>(&mut self, count: &Count, seen: &Seen<'b>, at: usize, verdicts: &mut Verdicts<'b>) {
        self.take_explanation(count, seen);
        self.take_life(count, seen);
        let attached = count.attach.as_ref().is_some_and(|matcher| matcher.matches(seen));
        if !attached && !count.hits.iter().any(|matcher| matcher.matches(seen)) {
            return;
        }
        verdicts.entered.insert(&seen.event.id, at);
        let groups = groups_of(&count.group_by, seen);
        let secs = seen.event.time.secs();
        let role = match &count.hold {
            _ if attached => Role::Attached,
            Some(hold) if hold.when.matches(seen) => {
                let key = hold_key(hold, seen);
                self.explanations.wait(&key, secs, &groups);
                Role::Waiting(key)
            }
            _ => Role::Hit,
        };
        let brief = Arc::new(Brief::of(seen));
        for group in groups {
            if count.lower.is_some() {
                seen.event.secrets.iter().for_each(|secret| self.lives.deleted(&secret.id, secs, &group));
            }
            let entry = Entry::new(Arc::clone(&brief), count, seen, role.clone());
            if self.groups.entry_ref(group.as_str()).or_default().insert(entry) {
                self.dirty.insert(group);
            }
        }
    }

    fn take_explanation(&mut self, count: &Count, seen: &Seen<'_>) {
        let Some(hold) = count.hold.as_ref().filter(|hold| hold.cleared_by.matches(seen)) else { return };
        let groups = self.explanations.explain(hold, &hold_key(hold, seen), seen.event.time.secs());
        self.dirty.extend(groups);
    }

    fn take_life(&mut self, count: &Count, seen: &Seen<'_>) {
        let Some(lower) = &count.lower else { return };
        let (created, read) = (lower.created_by.matches(seen), lower.read_by.matches(seen));
        if !created && !read {
            return;
        }
        let (who, at) = (&*seen.event.principal.id, seen.event.time.secs());
        for secret in &seen.event.secrets {
            let groups = if created {
                self.lives.created(&secret.id, who, at)
            } else {
                self.lives.read(&secret.id, who, at)
            };
            self.dirty.extend(groups);
        }
    }

    fn refresh(&mut self, rule: &Rule, count: &Count, verdicts: &mut Verdicts<'_>) {
        let Self { groups, dirty, explanations, lives } = self;
        let mut touched: Vec<String> = dirty.drain().collect();
        touched.sort_unstable();
        for name in touched {
            let Some(group) = groups.get_mut(&name) else { continue };
            let explained = |entry: &Entry| explained(count, explanations, entry);
            let level = |entry: &Entry| alerts::lowered(rule, count, own(count, lives, entry));
            let sweep = Sweep { rule, count, explained: &explained, level: &level };
            for change in group.refresh(&sweep) {
                verdicts.change(rule, count, change);
            }
        }
    }

    fn seal(&mut self, rule: &Rule, count: &Count, floor: EventTime) {
        let Self { groups, explanations, lives, .. } = self;
        for group in groups.values_mut() {
            let explained = |entry: &Entry| explained(count, explanations, entry);
            let level = |entry: &Entry| alerts::lowered(rule, count, own(count, lives, entry));
            group.seal(&Sweep { rule, count, explained: &explained, level: &level }, floor);
        }
        groups.retain(|_, group| !group.is_empty());
        explanations.forget_before(floor.secs() - count.timespan_secs);
    }
}

fn hold_key(hold: &Hold, seen: &Seen<'_>) -> Box<str> {
    let values = hold.on.iter().map(|field| field.values(seen).join("\u{1e}"));
    values.collect::<Vec<_>>().join("\u{1f}").into()
}

fn explained(count: &Count, explanations: &Explanations, entry: &Entry) -> bool {
    match (&count.hold, &entry.role) {
        (Some(hold), Role::Waiting(key)) => explanations.explains(hold, key, entry.brief.time.secs()),
        _ => false,
    }
}

fn own(count: &Count, lives: &Lives, entry: &Entry) -> bool {
    let Some(lower) = &count.lower else { return false };
    let brief = &entry.brief;
    let own = |secret: &str| {
        lives.is_own_and_fresh(secret, &brief.principal.id, brief.time.secs(), lower.within_secs)
    };
    !brief.secrets.is_empty() && brief.secrets.iter().all(|secret| own(&secret.id))
}

impl Verdicts<'_> {
    fn change(&mut self, rule: &Rule, count: &Count, change: Change) {
        let (incident, change) = match change {
            Change::Withdrawn { id, merged_into } => {
                let reason = match merged_into {
                    Some(other) => format!("earlier evidence joined it to {other}"),
                    None => "later events explain it".to_owned(),
                };
                self.changes.push(AlertChange::Withdrawn { id, reason });
                return;
            }
            Change::Opened(incident) => {
                let alert = alerts::counted(rule, count, &incident);
                let hold = count.hold.as_ref().filter(|_| incident.waits);
                let hold_secs = hold.and_then(|hold| u32::try_from(hold.secs).ok()).unwrap_or(0);
                (incident, AlertChange::Opened { alert, hold_secs })
            }
            Change::Updated { incident, was, news } => {
                let alert = alerts::counted(rule, count, &incident);
                (incident, AlertChange::Updated { alert, was, news })
            }
        };
        for member in &incident.members {
            if let Some(at) = self.entered.get(&*member.id).copied() {
                self.say_level(at, rule, incident.level);
            }
        }
        self.changes.push(change);
    }
}

/// A first-seen rule with what the operator lists.
struct Judge<'j> {
    rule: &'j Rule,
    spec: &'j FirstSeen,
    known_networks: &'j [IpNet],
}

impl Judge<'_> {
    fn judge(&self, networks: &mut Networks, seen: &Seen<'_>, at: usize, verdicts: &mut Verdicts<'_>) {
        let event = seen.event;
        let Some(ip) = event.source.ip.filter(|_| event.source.kind == SourceKind::Addr) else { return };
        if self.spec.taints.matches(seen) {
            networks.taint(&event.principal.id, ip, event.time.secs());
            return;
        }
        if !self.spec.reads.matches(seen) {
            return;
        }
        let read = Read {
            principal: &event.principal.id,
            ip,
            time: event.time,
            event: &event.id,
            place: seen.place,
            secrets: event.secrets.iter().map(|s| (s.id.to_string(), s.name.to_string())).collect(),
            listed: self.known_networks.iter().any(|net| net.contains(&ip)),
        };
        let Some(found) = networks.read(self.spec, &read) else { return };
        verdicts.say(at, self.rule);
        let alert = alerts::first_seen(self.rule, seen, &found.incident);
        verdicts.changes.push(if found.opened {
            AlertChange::Opened { alert, hold_secs: 0 }
        } else {
            AlertChange::Updated { was: alert.id.clone(), alert, news: found.news }
        });
    }
}
