//! The engine: events in, classifications and alert changes out.
//!
//! One call takes one batch and judges its events one by one, so that the way a stream is cut
//! into batches changes nothing. Per event: the plan says which matchers hold; rules over windows
//! take it in; baselines judge whether it brings something new; rules that listen to novelty take
//! it in; baselines learn from it, unless it raised something. The engine never reads a clock:
//! the time of an event is its own.

mod ahead;
mod alerts;
mod anchor;
mod asleep;
mod backlog;
mod baseline;
mod bounds;
mod brief;
mod chain;
mod count;
mod entry;
mod explain;
mod familiar;
mod few;
mod group;
mod heard;
mod incident;
mod instant;
mod judge;
mod key;
mod lagged;
mod lives;
mod memo;
mod missing;
mod mixed;
mod parts;
mod quiet;
mod risk;
mod risks;
mod sequence;
mod shelf;
mod silence;
mod stage;
mod verdicts;
mod weight;
mod window;
mod words;

pub(crate) use crate::plan::Found;
use crate::plan::{Plan, Walk};
use crate::record::Spare;
use crate::rule::{Kind, MatcherId, Novel, RuleSet};
use crate::surroundings::Surroundings;
use crate::view::View;
use crate::{Seen, Signal};
use anchor::Anchors;
use baseline::Baselines;
use brief::Shared;
use chain::Chains;
use count::CountState;
use entry::Asks;
use familiar::Familiar;
use heard::Audiences;
pub use incident::alert_id;
use judge::Novelties;
use key::Digests;
use keywatch_event::json::Asked;
use keywatch_event::{Evaluation, EventTime, Learned};
use lagged::Lag;
use mixed::Mixed;
use parts::Parts;
use quiet::Quiet;
use risks::RiskState;
use stage::Stage;
use std::cell::RefCell;
use std::sync::Arc;
use verdicts::Verdicts;
use words::{Combination, Combinations, Joint, Words};

/// What an operator sets.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Lists, planned access and address data.
    pub surroundings: Arc<Surroundings>,
    /// Most entries kept in windows. An entry is about 600 bytes with its group and its brief, up to 1,000
    /// where each event is by somebody else; three in groups that sleep count as one, an incident as
    /// three, and as one more for each event it knows by name.
    pub entries_max: usize,
    /// Most bytes of what is learned, of all rules together: three quarters for baselines, the rest in
    /// equal parts for the rules whose thresholds are learned. Somebody known takes 200 bytes and 90
    /// for each baseline that saw them with two values at most, 12 for a further value; ten thousand with 15
    /// baselines each take 16 MB. Whoever was seen once and whoever was not seen for long
    /// goes first; what somebody is used to is let go for others only who are as well known.
    pub learned_bytes_max: usize,
    /// Seconds of event time after which entries can no longer be revised when memory is short.
    pub lateness_secs: i64,
    /// From how many seconds behind the newest event on an alert is marked late; `None`: never,
    /// as for files that are read one after the other.
    pub late_from_secs: Option<i64>,
    /// After how many events alerts are told of. 1: with every batch, as a service wants it. More
    /// when only the end matters: an incident that grows is then not written out each time.
    pub tell_every: usize,
    /// Whether learned state is handed over to be stored; a scan forgets it at its end.
    pub writes_learned: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            surroundings: Arc::default(),
            entries_max: 150_000,
            learned_bytes_max: 112 << 20,
            lateness_secs: 26 * 3600,
            late_from_secs: Some(900),
            tell_every: 1,
            writes_learned: true,
        }
    }
}

/// How much the engine holds, and what it had to let go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gauges {
    /// Entries in windows, as [`Settings::entries_max`] counts them.
    pub entries: usize,
    /// Principals, secrets and others of whom something is learned.
    pub principals: usize,
    /// Bytes of what is learned, as [`Settings::learned_bytes_max`] counts them.
    pub learned_bytes: usize,
    /// Entries let go because of the limit.
    pub entries_evicted: u64,
    /// Principals and others forgotten because of the limit.
    pub principals_evicted: u64,
    /// Events that came after what they belong to had left memory.
    pub beyond_memory: u64,
    /// Pieces of learned state that could not be read back and are learned anew.
    pub unreadable: u64,
}

/// Rules and what they remember.
#[derive(Debug)]
pub struct Engine {
    rules: Arc<RuleSet>,
    settings: Settings,
    dispatch: Arc<Dispatch>,
    audiences: Audiences,
    states: Vec<State>,
    /// Rules that others count: where their conditions are met.
    stages: Vec<Stage>,
    /// Which alerts other alerts hold.
    parts: Parts,
    baselines: Baselines,
    familiar: Familiar,
    /// What was new of events that may be told again.
    mixed: Mixed,
    shared: Shared,
    digests: RefCell<Digests>,
    scratch: Scratch,
    /// What the plan found out about events so far.
    walk: Box<Walk>,
    newest: Option<EventTime>,
    floor: Option<EventTime>,
    batch: u64,
    gauges: Gauges,
    /// Entries that came after their window had left memory.
    late_entries: u64,
    /// Events since alerts were last told of.
    untold: usize,
    /// Whether baselines know when what they learn from began.
    has_begun: bool,
}

/// What one rule remembers.
#[derive(Debug)]
enum State {
    None,
    Count(Box<CountState>),
    Silence(Box<Quiet>),
    Risk(Box<RiskState>),
}

/// The plan, and who listens to which of its matchers.
#[derive(Debug)]
struct Dispatch {
    plan: Arc<Plan>,
    /// By matcher: rules to whom it means something.
    rules: Vec<Vec<usize>>,
    /// By matcher: baselines to whom it means something.
    baselines: Vec<Vec<usize>>,
    /// By rule: whether it listens to novelty.
    novel: Vec<bool>,
    combinations: Combinations,
    /// By rule that counts: what it asks of an event.
    asks: Vec<Option<Asks>>,
    /// By baseline: for whom, and of what unless it is the network.
    sights: Vec<(Combination, Option<Combination>)>,
    chains: Chains,
}

/// Room used again for every event.
#[derive(Debug, Default)]
struct Scratch {
    words: Vec<Words>,
    spares: Vec<Spare>,
    novelties: Novelties,
}

/// One event as rules see it.
pub(crate) struct Context<'c, 'v> {
    pub(crate) view: &'c View<'v>,
    pub(crate) found: &'c Found,
    pub(crate) words: &'c Words,
    pub(crate) digests: &'c RefCell<Digests>,
}

impl<'v> Context<'_, 'v> {
    pub(crate) fn seen(&self) -> &Seen<'v> {
        self.view.seen()
    }
}

impl Dispatch {
    fn new(rules: &RuleSet, plan: Arc<Plan>) -> Self {
        let mut dispatch = Self {
            plan,
            rules: vec![Vec::new(); rules.matchers.len()],
            baselines: vec![Vec::new(); rules.matchers.len()],
            novel: Vec::new(),
            combinations: Combinations::default(),
            asks: Vec::new(),
            sights: Vec::new(),
            chains: Chains::of(rules),
        };
        for (at, rule) in rules.rules.iter().enumerate() {
            let heard = if rule.blind.is_some() { Vec::new() } else { rule.kind.matchers() };
            for matcher in heard {
                listen(&mut dispatch.rules, matcher, at);
            }
            dispatch.novel.push(rule.kind.is_novel());
            let combinations = &mut dispatch.combinations;
            dispatch.asks.push(match &rule.kind {
                Kind::Count(count) => Some(Asks::of(count, combinations)),
                Kind::Classify(_) | Kind::Silence(_) | Kind::Risk(_) | Kind::Observed(_) => None,
            });
        }
        for (at, baseline) in rules.baselines.iter().enumerate() {
            let heard = [Some(baseline.events), baseline.taints];
            heard.into_iter().flatten().for_each(|matcher| listen(&mut dispatch.baselines, matcher, at));
            let of = match &baseline.of {
                Novel::Values(fields) => Some(dispatch.combinations.of(fields, Joint::Blank)),
                Novel::Network { .. } => None,
            };
            let per = dispatch.combinations.of(&baseline.per, Joint::Blank);
            dispatch.sights.push((per, of));
        }
        dispatch
    }

    /// What a rule that counts asks of an event.
    fn asks(&self, rule: usize) -> Option<&Asks> {
        self.asks.get(rule)?.as_ref()
    }
}

fn listen(table: &mut [Vec<usize>], matcher: MatcherId, who: usize) {
    if let Some(listeners) = table.get_mut(matcher.0)
        && listeners.last() != Some(&who)
    {
        listeners.push(who);
    }
}

impl Engine {
    /// An engine that remembers nothing yet.
    #[must_use]
    pub fn new(rules: Arc<RuleSet>, settings: Settings) -> Self {
        let plan = Arc::new(Plan::reading(&rules.matchers, rules.fields().iter()));
        Self::planned(rules, settings, plan)
    }

    /// As [`Self::new`], with a plan that was made of the same matchers before.
    pub(crate) fn planned(rules: Arc<RuleSet>, settings: Settings, plan: Arc<Plan>) -> Self {
        let (baseline_bytes, lag_bytes) = bounds::shares(&rules, settings.learned_bytes_max);
        let states = rules.rules.iter().map(|rule| match &rule.kind {
            Kind::Classify(_) | Kind::Observed(_) => State::None,
            Kind::Count(count) => {
                let lag = Lag::new(lag_bytes);
                let lag = if settings.writes_learned { lag } else { lag.unwritten() };
                let anchors = Anchors::new(settings.writes_learned);
                State::Count(Box::new(CountState::new(count, lag, anchors)))
            }
            Kind::Silence(_) => State::Silence(Box::new(Quiet::new(settings.writes_learned))),
            Kind::Risk(_) => State::Risk(Box::new(RiskState::new(settings.writes_learned))),
        });
        let states = states.collect();
        let dispatch = Arc::new(Dispatch::new(&rules, plan));
        Self {
            states,
            stages: (0..dispatch.chains.len()).map(|_| Stage::default()).collect(),
            parts: Parts::new(&rules),
            baselines: Baselines::new(&rules.baselines, baseline_bytes, settings.writes_learned),
            familiar: Familiar::default(),
            mixed: Mixed::new(settings.writes_learned),
            dispatch,
            audiences: Audiences::default(),
            rules,
            settings,
            shared: Shared::default(),
            digests: RefCell::default(),
            scratch: Scratch::default(),
            walk: Box::default(),
            newest: None,
            floor: None,
            batch: 0,
            gauges: Gauges::default(),
            late_entries: 0,
            untold: 0,
            has_begun: false,
        }
    }

    /// The rules it runs.
    #[must_use]
    pub fn rules(&self) -> &RuleSet {
        &self.rules
    }

    /// The paths of raw records that the rules ask for: what a normaliser is given to find them in its own
    /// pass.
    #[must_use]
    pub fn asked(&self) -> &Asked {
        self.dispatch.plan.asked()
    }

    /// Says, before [`Self::restore`], when the newest event happened that is stored. What lies
    /// [`Settings::lateness_secs`] further back is before [`Self::floor`] from the restart on: not all of it
    /// is given back.
    pub fn reached(&mut self, newest: EventTime) {
        self.newest = Some(newest);
    }

    /// Takes back learned state and the stored events that feed windows, after a restart, oldest
    /// first: those that may still matter to anything after [`Self::floor`]. Alerts
    /// these events made are known and not raised again; whether an event brought something new
    /// is what was said of it then.
    pub fn restore(&mut self, learned: &[Learned], signals: &[Signal<'_>]) {
        let floor = self.newest.map(|newest| newest.plus_secs(-self.settings.lateness_secs));
        for learned in learned {
            self.restore_learned(learned);
        }
        self.baselines.restored();
        self.familiar.forget();
        self.expect_past(floor);
        let mut verdicts = Verdicts::new(signals.len());
        self.batch += 1;
        for (at, signal) in signals.iter().enumerate() {
            self.judge(at, &signal.seen, Some(&signal.rules), &mut verdicts);
        }
        self.conclude(&mut verdicts);
        self.expect_past(None);
        if let Some(floor) = floor {
            self.close(floor);
        }
    }

    /// Judges one batch of events nobody has seen before.
    pub fn evaluate(&mut self, events: &[Seen<'_>]) -> Evaluation {
        let mut verdicts = Verdicts::new(events.len());
        self.batch += 1;
        if let Some(first) = events.first().filter(|_| !self.has_begun) {
            self.has_begun = true;
            self.baselines.began(first.event.time.secs());
        }
        self.newest = self.newest.max(events.iter().map(|seen| seen.event.time).max());
        self.judge_all(events, &mut verdicts);
        self.untold += events.len();
        // What is told of must be told before it is forgotten.
        if self.untold >= self.settings.tell_every || self.is_full() {
            self.untold = 0;
            self.conclude(&mut verdicts);
        }
        self.bound();
        verdicts.finish(self.take_learned())
    }

    /// Tells of what [`Settings::tell_every`] has held back.
    pub fn tell(&mut self) -> Evaluation {
        let mut verdicts = Verdicts::new(0);
        self.untold = 0;
        self.conclude(&mut verdicts);
        verdicts.finish(Vec::new())
    }

    /// Says what has been silent too long by `now`.
    pub fn tick(&mut self, now: EventTime) -> Evaluation {
        let mut verdicts = Verdicts::new(0);
        let rules = Arc::clone(&self.rules);
        for (rule, state) in rules.rules.iter().zip(&mut self.states) {
            if let (Kind::Silence(silence), State::Silence(quiet)) = (&rule.kind, state) {
                verdicts.changes.extend(quiet.tick(rule, silence, now));
            }
        }
        self.join_risks(&mut verdicts);
        verdicts.finish(self.take_learned())
    }

    /// Events older than this can no longer be judged by windows from memory; `None` as long as
    /// everything can.
    #[must_use]
    pub fn floor(&self) -> Option<EventTime> {
        self.floor
    }

    /// How long, in seconds, one event may matter to another: the longest window and the longest
    /// incident.
    #[must_use]
    pub fn span_secs(&self) -> i64 {
        let spans = self.rules.rules.iter().map(|rule| rule.kind.span_secs());
        spans.max().unwrap_or(0)
    }

    /// Judges events from before [`Self::floor`] with the stored events around them: what the
    /// windows would have said had they come in time. What is new about them was judged when
    /// they were evaluated.
    #[must_use]
    pub fn revise(&self, late: &[Seen<'_>], history: &[Signal<'_>]) -> Evaluation {
        let settings = Settings {
            entries_max: usize::MAX,
            late_from_secs: None,
            writes_learned: false,
            ..self.settings.clone()
        };
        let mut past = Self::planned(Arc::clone(&self.rules), settings, Arc::clone(&self.dispatch.plan));
        past.mixed = self.mixed.of(history);
        past.restore(&[], history);
        let mut verdicts = Verdicts::new(late.len());
        past.batch += 1;
        for (at, seen) in late.iter().enumerate() {
            past.judge(at, seen, Some(&[]), &mut verdicts);
        }
        past.conclude(&mut verdicts);
        let mut evaluation = verdicts.finish(Vec::new());
        evaluation.changes.iter_mut().for_each(|change| self.mark_late(change));
        evaluation
    }

    /// By rule with a baseline or a learned threshold: how many of whom it had learned were forgotten
    /// because of the limit. Rules that forgot nobody are left out.
    pub fn forgotten(&self) -> impl Iterator<Item = (&str, u64)> {
        bounds::forgotten(&self.rules, &self.baselines, &self.states)
    }

    /// The same, in which baselines are asked about every event.
    #[cfg(test)]
    fn strange(mut self) -> Self {
        self.familiar = Familiar::never();
        self
    }

    /// The same, in which every group is awake.
    #[cfg(test)]
    fn sleepless(mut self) -> Self {
        for state in &mut self.states {
            if let State::Count(state) = state {
                state.never_sleep();
            }
        }
        self
    }

    /// How much is held.
    #[must_use]
    pub fn gauges(&self) -> Gauges {
        self.gauges
    }
}
