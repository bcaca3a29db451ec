//! What a rule about silence remembers, and the alerts it makes.

use super::alerts::spoken;
use super::brief::Brief;
use super::entry::blanks_combined;
use super::incident::alert_id;
use super::silence::pairs::{Pairs, Unfollowed};
use super::silence::rhythm::{Rhythms, Silent};
use super::silence::unanswered::{Missing, Waiter, Waiting};
use super::{Context, Gauges};
use crate::rule::{Hit, Kind, Rule, Silence};
use hashbrown::HashMap;
use keywatch_event::{Alert, AlertChange, EVIDENCE_MAX, EventTime, Evidence, Kept, Learned, Provider, Why};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Most streams with a rhythm: one per provider and account, say.
const STREAMS_MAX: usize = 10_000;
/// Most events that wait for their follower: a few seconds of the busiest Vault.
const WAITING_MAX: usize = 100_000;
/// Seconds the follower may arrive after it is due: what a log shipper takes.
const FOLLOWER_LATENESS_SECS: i64 = 120;
/// Seconds for which unfollowed events of one provider are one alert.
const ONCE_PER_SECS: i64 = 3600;
/// Seconds after its time from which on an event that waits is remembered across a restart: nearly
/// all are followed at once.
const SETTLING_SECS: i64 = 5;
/// Most of them, and of followers of nothing: 100 KB.
const REMEMBERED_MAX: usize = 1_000;
/// How long after its time an event that was told of may matter to its alert.
const TOLD_SECS: u32 = 7_200;

/// What one rule about silence remembers.
#[derive(Debug)]
pub(crate) struct Quiet {
    rhythms: Rhythms,
    pairs: Pairs<Waiter>,
    /// The last event of each stream.
    last: HashMap<Box<str>, Arc<Brief>>,
    /// The last alert about unfollowed events, by provider.
    missing: HashMap<Provider, Missing>,
    /// Of which providers it has changed since the last tick, and since it was last stored.
    changed: BTreeSet<Provider>,
    unstored: BTreeSet<Provider>,
    /// What waits, as it is stored, and whether that is yet to be done.
    waiting: Waiting,
    is_unstored: bool,
    /// Whether anything has ever waited: where no requests are logged no response is of use.
    has_waited: bool,
}

impl Quiet {
    pub(crate) fn new() -> Self {
        Self {
            rhythms: Rhythms::new(STREAMS_MAX),
            pairs: Pairs::new(WAITING_MAX, FOLLOWER_LATENESS_SECS),
            last: HashMap::new(),
            missing: HashMap::new(),
            changed: BTreeSet::new(),
            unstored: BTreeSet::new(),
            waiting: Waiting::default(),
            is_unstored: false,
            has_waited: false,
        }
    }

    /// Takes an event of a stream, or one that follows another.
    pub(crate) fn take(&mut self, spec: &Silence, context: &Context<'_, '_>, brief: &Arc<Brief>) {
        let secs = brief.time.secs();
        if let Some(follower) = &spec.followed_by
            && context.found.has(follower.matcher)
        {
            for key in keys(follower, context) {
                self.follow(spec, &key, brief);
            }
        }
        if !context.found.has(spec.hit.matcher) {
            return;
        }
        for key in keys(&spec.hit, context) {
            if spec.followed_by.is_some() {
                self.expect(spec, &key, brief);
                continue;
            }
            self.rhythms.observe(spec, &key, secs);
            if self.last.get(&*key).is_none_or(|last| last.time < brief.time) && self.last.len() < STREAMS_MAX
            {
                self.last.insert(key.into(), Arc::clone(brief));
            }
        }
    }

    fn expect(&mut self, spec: &Silence, key: &str, brief: &Arc<Brief>) {
        let secs = brief.time.secs();
        let missing = self.missing.get_mut(&brief.who.provider);
        let is_known = missing.is_some_and(|missing| missing.has_told(key, secs, brief))
            || self.pairs.waiting_mut(key, secs).is_some_and(|waiter| waiter.is(brief));
        if is_known {
            return;
        }
        self.has_waited = true;
        self.pairs.expect(spec, key, secs, Waiter::of(brief));
    }

    fn follow(&mut self, spec: &Silence, key: &str, brief: &Arc<Brief>) {
        let (provider, secs) = (brief.who.provider, brief.time.secs());
        if self.pairs.follow(spec, key, secs) {
            self.is_unstored |= self.waiting.forget(key);
        }
        if let Some(missing) = self.missing.get_mut(&provider)
            && missing.take_back(key, |told| (0..=spec.secs_min).contains(&(secs - told)))
        {
            self.changed.insert(provider);
            self.unstored.insert(provider);
        }
    }

    /// What has been silent too long by `now`, and which events a restart has to be told.
    pub(crate) fn tick(
        &mut self,
        rule: &Rule,
        spec: &Silence,
        now: EventTime,
    ) -> (Vec<AlertChange>, Vec<Kept>) {
        let silent = self.rhythms.tick(spec, now.secs());
        let mut changes: Vec<AlertChange> =
            silent.iter().filter_map(|silent| self.stopped(rule, silent)).collect();
        let mut opened = BTreeSet::new();
        let unfollowed = self.pairs.tick(spec, now.secs());
        for one in &unfollowed {
            if self.miss(rule, one) {
                opened.insert(one.brief.provider);
            }
        }
        for provider in std::mem::take(&mut self.changed) {
            changes.extend(self.told(rule, spec, (provider, opened.contains(&provider))));
        }
        let mut kept: Vec<Kept> = unfollowed.iter().filter_map(|one| kept(&one.brief)).collect();
        kept.extend(self.remember(now.secs()));
        (changes, kept)
    }

    /// Remembers what waits; the events of which that is news.
    fn remember(&mut self, now: i64) -> Vec<Kept> {
        if !self.has_waited {
            return Vec::new();
        }
        let ends = self.pairs.open_ends(now.saturating_sub(SETTLING_SECS), REMEMBERED_MAX);
        let waiting = Waiting::of(&ends);
        if waiting == self.waiting {
            return Vec::new();
        }
        let known: BTreeSet<&str> = self.waiting.events.iter().map(|(_, _, event, _)| &**event).collect();
        let news = ends.waiting.iter().filter(|(.., waiter)| !known.contains(&*waiter.event));
        let kept = news.filter_map(|(.., waiter)| kept(waiter)).collect();
        (self.waiting, self.is_unstored) = (waiting, true);
        kept
    }

    fn stopped(&self, rule: &Rule, silent: &Silent) -> Option<AlertChange> {
        let last = self.last.get(&*silent.key)?;
        let mut alert = alert(rule, last, &silent.key);
        let stream = silent.key.trim();
        alert.title = format!("{}: {stream}", rule.title);
        alert.opened_at = EventTime::from_secs(silent.last_secs.saturating_add(silent.limit_secs));
        alert.principal = None;
        alert.source = None;
        alert.secrets = Vec::new();
        alert.why = Why {
            text: format!(
                "no event of {stream} for {}; its own rhythm allows {}",
                spoken(silent.quiet_secs),
                spoken(silent.limit_secs)
            ),
            observed: number(silent.quiet_secs),
            threshold: number(silent.limit_secs),
            baseline: Some(format!("silent at most {} before", spoken(silent.limit_secs))),
        };
        Some(AlertChange::Opened { alert, hold_secs: 0 })
    }

    /// Nothing followed an event; whether another alert begins with it.
    fn miss(&mut self, rule: &Rule, one: &Unfollowed<Waiter>) -> bool {
        let provider = one.brief.provider;
        let goes_on = self
            .missing
            .get(&provider)
            .is_some_and(|missing| missing.count() > 0 && one.time_secs - missing.last_secs <= ONCE_PER_SECS);
        if !goes_on {
            let id = alert_id(&rule.id, &one.key, &one.brief.event);
            self.missing.insert(provider, Missing::new(id, one.time_secs));
        }
        if let Some(missing) = self.missing.get_mut(&provider) {
            missing.add(&one.key, one.time_secs, &one.brief);
        }
        self.changed.insert(provider);
        self.unstored.insert(provider);
        !goes_on
    }

    /// The alert about a provider as it is now; withdrawn when everything was followed after all.
    fn told(&self, rule: &Rule, spec: &Silence, (provider, opens): (Provider, bool)) -> Option<AlertChange> {
        let missing = self.missing.get(&provider)?;
        if missing.count() == 0 {
            let reason = "everything was followed after all; it came late".to_owned();
            return (!opens).then(|| AlertChange::Withdrawn { id: missing.id.clone(), reason });
        }
        let briefs = missing.briefs();
        let (key, first) = briefs.first()?;
        let count = missing.count();
        let mut alert = alert(rule, first, key);
        alert.id = missing.id.clone();
        alert.opened_at = EventTime::from_secs(missing.opened_secs).min(first.time);
        alert.last_event_at = EventTime::from_secs(missing.last_secs).max(first.time);
        alert.events = count;
        alert.evidence = briefs.iter().take(EVIDENCE_MAX).map(|(_, brief)| row(brief)).collect();
        alert.why = Why {
            text: format!("{count} event(s) were not followed within {}", spoken(spec.secs_min)),
            observed: number(i64::try_from(count).unwrap_or(i64::MAX)),
            threshold: 1.0,
            baseline: None,
        };
        let was = alert.id.clone();
        Some(if opens {
            AlertChange::Opened { alert, hold_secs: 0 }
        } else {
            AlertChange::Updated { alert, was, news: false }
        })
    }

    /// How much is held, and what had to go.
    pub(crate) fn gauges(&self) -> Gauges {
        Gauges {
            principals: self.rhythms.len() + self.pairs.len(),
            principals_evicted: self.rhythms.evicted() + self.pairs.evicted(),
            beyond_memory: self.pairs.late(),
            unreadable: self.rhythms.unreadable(),
            ..Gauges::default()
        }
    }

    pub(crate) fn take_learned(&mut self, rule: &str) -> Vec<Learned> {
        let mut learned = self.rhythms.take_learned(rule);
        if std::mem::take(&mut self.is_unstored) {
            learned.extend(self.waiting.learned(rule));
        }
        for provider in std::mem::take(&mut self.unstored) {
            learned.extend(self.missing.get(&provider).and_then(|missing| missing.learned(rule, provider)));
        }
        learned
    }

    pub(crate) fn restore(&mut self, rule: &Rule, learned: &Learned) {
        self.rhythms.restore(&rule.id, learned);
        self.missing.extend(Missing::restored(&rule.id, learned));
        let Kind::Silence(spec) = &rule.kind else { return };
        let Some(waiting) = Waiting::restored(&rule.id, learned) else { return };
        self.has_waited = true;
        for (secs, key, event, provider) in &waiting.events {
            let Ok(provider) = provider.parse() else { continue };
            let waiter = Waiter { event: event.as_str().into(), provider, brief: None };
            self.pairs.expect(spec, key, *secs, waiter);
        }
        for (secs, key) in &waiting.followers {
            self.pairs.follow(spec, key, *secs);
        }
        self.waiting = waiting;
    }
}

fn keys(hit: &Hit, context: &Context<'_, '_>) -> Vec<String> {
    blanks_combined(&hit.group_by, context.view)
}

/// An event that a restart has to be told.
fn kept(waiter: &Waiter) -> Option<Kept> {
    let brief = waiter.brief.as_ref()?;
    Some(Kept { event: brief.id.to_string(), time: brief.time, matters_secs: TOLD_SECS })
}

fn row(brief: &Brief) -> Evidence {
    Evidence { event: brief.id.to_string(), time: brief.time, place: brief.place.clone() }
}

/// An alert about one event, to be told in the rule's own words.
fn alert(rule: &Rule, brief: &Arc<Brief>, key: &str) -> Alert {
    let who = &brief.who;
    Alert {
        id: alert_id(&rule.id, key, &brief.id),
        rule: rule.id.to_string(),
        title: rule.title.clone(),
        level: rule.level,
        action: rule.action.clone(),
        opened_at: brief.time,
        first_event_at: brief.time,
        last_event_at: brief.time,
        principal: Some(who.principal.clone()),
        source: Some(who.source.clone()),
        secrets: brief.secrets.iter().map(|secret| (**secret).clone()).collect(),
        provider: who.provider,
        account: who.account.clone().map(String::from),
        store: who.store.clone().map(String::from),
        events: 1,
        evidence: vec![row(brief)],
        why: Why { text: String::new(), observed: 1.0, threshold: 1.0, baseline: None },
        tags: rule.tags.clone(),
        late_secs: None,
    }
}

/// Seconds or counts as the number the contract shows.
#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn number(count: i64) -> f64 {
    count as f64
}
