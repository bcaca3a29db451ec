//! What a rule about silence remembers, and the alerts it makes.

use super::brief::Brief;
use super::entry::blanks_combined;
use super::incident::alert_id;
use super::memo::{Memo, Row};
use super::missing::{Incident, Missing, Told};
use super::shelf::{decode, encode};
use super::silence::gaps::{Filled, Gaps};
use super::silence::pairs::Pairs;
use super::silence::rhythm::{Rhythms, Silent};
use super::{Context, Gauges};
use crate::rule::{Hit, Rule, Silence};
use crate::wording::{counted, spoken};
use hashbrown::HashMap;
use keywatch_event::{Alert, AlertChange, AlertSessions, EVIDENCE_MAX, EventTime, Evidence, Learned, Why};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Most streams with a rhythm: one per provider and account, say.
const STREAMS_MAX: usize = 10_000;
/// Most events that wait for their follower, and most followers: all requests of four minutes of a
/// Vault that answers 400 a second. Together at most 60 MB.
const WAITING_MAX: usize = 100_000;
/// Seconds the follower may arrive after it is due: what a log shipper takes.
const FOLLOWER_LATENESS_SECS: i64 = 120;

/// Between the rule and the stream in the key of its last event.
const MARK: &str = "\u{1f}last ";

/// What one rule about silence remembers.
#[derive(Debug)]
pub(crate) struct Quiet {
    rhythms: Rhythms,
    pairs: Pairs<Arc<Brief>>,
    /// The last event of each stream; those to be stored.
    last: HashMap<Box<str>, Arc<Brief>>,
    unwritten: BTreeSet<Box<str>>,
    writes: bool,
    /// Silences that were told.
    gaps: Gaps,
    missing: Missing,
}

impl Quiet {
    /// Nothing yet; `writes` says whether somebody stores what is to survive a restart.
    pub(crate) fn new(writes: bool) -> Self {
        Self {
            rhythms: Rhythms::new(STREAMS_MAX),
            pairs: Pairs::new(WAITING_MAX, FOLLOWER_LATENESS_SECS, writes),
            last: HashMap::new(),
            unwritten: BTreeSet::new(),
            writes,
            gaps: Gaps::new(writes),
            missing: Missing::new(writes),
        }
    }

    /// Takes an event of a stream, or one that follows another.
    pub(crate) fn take(&mut self, spec: &Silence, context: &Context<'_, '_>, brief: &Arc<Brief>) {
        let secs = brief.time.secs();
        if let Some(follower) = &spec.followed_by
            && context.found.has(follower.matcher)
        {
            for key in keys(follower, context) {
                self.pairs.follow(spec, &key, secs);
                self.missing.follow(&key, secs);
            }
        }
        if !context.found.has(spec.hit.matcher) {
            return;
        }
        for key in keys(&spec.hit, context) {
            if spec.followed_by.is_some() {
                self.pairs.expect(spec, &key, secs, Arc::clone(brief));
                continue;
            }
            let resumed = self.rhythms.observe(spec, &key, secs);
            self.gaps.see(&key, secs, resumed.is_some());
            self.keep_last(&key, brief);
        }
    }

    /// Keeps the latest event of a stream: the alert about its silence names it.
    fn keep_last(&mut self, key: &str, brief: &Arc<Brief>) {
        let has_room = self.last.len() < STREAMS_MAX;
        match self.last.get_mut(key) {
            Some(last) if last.time >= brief.time => return,
            Some(last) => *last = Arc::clone(brief),
            None if has_room => _ = self.last.insert(key.into(), Arc::clone(brief)),
            None => return,
        }
        if self.writes && !self.unwritten.contains(key) {
            self.unwritten.insert(key.into());
        }
    }

    /// What has been silent too long by `now`.
    pub(crate) fn tick(&mut self, rule: &Rule, spec: &Silence, now: EventTime) -> Vec<AlertChange> {
        let silent = self.rhythms.tick(spec, now.secs());
        let mut changes = Vec::new();
        for silent in &silent {
            let Some(alert) = self.stopped(rule, silent) else { continue };
            self.gaps.told(&silent.key, (silent.last_secs, silent.limit_secs), &alert.id);
            changes.push(AlertChange::Opened { alert, hold_secs: 0 });
        }
        self.gaps.forget_old(now.secs());
        for unfollowed in self.pairs.tick(spec, now.secs()) {
            self.missing.add(unfollowed, |key, event| alert_id(&rule.id, key, event));
        }
        changes.extend(self.changes(rule, spec));
        self.missing.forget(now.secs());
        changes
    }

    /// What became of alerts about events nothing followed.
    pub(crate) fn changes(&mut self, rule: &Rule, spec: &Silence) -> Vec<AlertChange> {
        let filled = self.gaps.take_filled().into_iter();
        let mut changes: Vec<AlertChange> = filled.map(|filled| withdrawn(&filled)).collect();
        self.missing.tell(spec, |told| {
            changes.push(match told {
                Told::Opened(incident) => {
                    AlertChange::Opened { alert: unfollowed(rule, spec, incident), hold_secs: 0 }
                }
                Told::Grown(incident) => {
                    let alert = unfollowed(rule, spec, incident);
                    AlertChange::Updated { was: alert.id.clone(), alert, news: false }
                }
                Told::Over(id, reason) => AlertChange::Withdrawn { id, reason },
            });
        });
        changes
    }

    fn stopped(&self, rule: &Rule, silent: &Silent) -> Option<Alert> {
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
            baseline: Some(format!("up to {} is usual for it", spoken(silent.limit_secs))),
        };
        Some(alert)
    }

    /// How much is held, and what had to go.
    pub(crate) fn gauges(&self) -> Gauges {
        Gauges {
            principals: self.rhythms.len() + self.pairs.len(),
            principals_evicted: self.rhythms.evicted() + self.pairs.evicted(),
            beyond_memory: self.pairs.late(),
            unreadable: self.rhythms.unreadable()
                + self.pairs.unreadable()
                + self.missing.unreadable()
                + self.gaps.unreadable(),
            ..Gauges::default()
        }
    }

    pub(crate) fn take_learned(&mut self, rule: &str) -> Vec<Learned> {
        let mut learned = self.rhythms.take_learned(rule);
        learned.extend(self.pairs.take_learned(rule, |brief| Memo::of(brief)));
        learned.extend(self.missing.take_learned(rule));
        learned.extend(self.gaps.take_learned(rule));
        for stream in std::mem::take(&mut self.unwritten) {
            let Some(brief) = self.last.get(&stream) else { continue };
            learned.push(Learned { key: format!("{rule}{MARK}{stream}"), state: encode(&Memo::of(brief)) });
        }
        learned
    }

    pub(crate) fn restore(&mut self, rule: &str, learned: &Learned) {
        self.rhythms.restore(rule, learned);
        self.pairs.restore(rule, learned, Memo::brief);
        self.missing.restore(rule, learned);
        self.gaps.restore(rule, learned);
        let rest = learned.key.strip_prefix(rule).and_then(|rest| rest.strip_prefix(MARK));
        if let (Some(stream), Some(memo)) = (rest, decode::<Memo>(&learned.state)) {
            self.last.insert(stream.into(), memo.brief());
        }
    }
}

/// A silence that was none.
fn withdrawn(filled: &Filled) -> AlertChange {
    let reason = format!(
        "records of that time came after all: it was not silent for longer than {}",
        spoken(filled.limit_secs)
    );
    AlertChange::Withdrawn { id: filled.alert.clone(), reason }
}

fn keys(hit: &Hit, context: &Context<'_, '_>) -> Vec<String> {
    blanks_combined(&hit.group_by, context.view)
}

fn row(brief: &Brief) -> Evidence {
    Evidence { event: brief.id.to_string(), time: brief.time, place: brief.place.clone() }
}

/// The alert about events nothing followed.
fn unfollowed(rule: &Rule, spec: &Silence, incident: &Incident) -> Alert {
    let mut alert = alert(rule, &incident.first, &incident.key);
    let times = || incident.rows().map(Row::time);
    alert.first_event_at = times().next().unwrap_or(alert.opened_at);
    alert.last_event_at = times().next_back().unwrap_or(alert.opened_at);
    alert.events = incident.events();
    alert.evidence = incident.rows().take(EVIDENCE_MAX).map(Row::evidence).collect();
    let but = match incident.followed() {
        0 => String::new(),
        1 => "; 1 more was followed after all".to_owned(),
        count => format!("; {count} more were followed after all"),
    };
    let what = counted(alert.events, "event was", "events were");
    alert.why = Why {
        text: format!("{what} not followed within {}{but}", spoken(spec.secs_min)),
        observed: number(i64::try_from(alert.events).unwrap_or(i64::MAX)),
        threshold: 1.0,
        baseline: None,
    };
    alert
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
        // What is stored of a waiting event does not have them.
        sessions: AlertSessions::default(),
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
