//! Watching the sources themselves: which is silent, late, or brings what cannot be read, and what
//! each says of itself; as alerts that are committed like any other.
//!
//! Pure: it is told of batches and of the time, and answers with an [`Evaluation`] to commit. What
//! happened in a source is taken along with its next batch, so a batch is never kept without it.
//!
//! Invariant: Keywatch's own absence is no silence. Only time in which the service ran and its
//! clock went on as it should is counted.

mod book;
mod habits;
mod hours;
mod rejects;

pub(crate) use book::standing;

use crate::clock::spoken;
use crate::pipeline::{Found, Leaks, Stepped};
use book::{About, Book};
use chrono::{DateTime, Utc};
use habits::Habits;
use keywatch_event::{AlertChange, Evaluation, Learned, Observed, Provider};
use keywatch_ingest::source::{Health, Stated, Statement};
use keywatch_rules::RuleSet;
use keywatch_store::AlertRow;
use rejects::Recent;
use std::collections::{BTreeMap, HashMap};

/// Begins the names under which habits are stored.
const LEARNED: &str = "source\u{1f}";
/// Longest time between two ticks that was watched: the service ticks every few seconds, so more is
/// a machine that slept or a clock that was set.
const STEP_SECS_MAX: i64 = 120;

/// What of a source's ways a user may set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Patience {
    /// Least silence that is told, seconds.
    pub(crate) silent_secs: i64,
    /// Least delay that is told, seconds.
    pub(crate) late_secs: i64,
}

impl Default for Patience {
    fn default() -> Self {
        Self { silent_secs: 1800, late_secs: 1800 }
    }
}

/// A source to be watched.
pub(crate) struct Subject {
    /// The number its batches have.
    pub(crate) number: usize,
    pub(crate) name: String,
    /// Whose records it brings; unknown of files before any has come.
    pub(crate) provider: Option<Provider>,
    pub(crate) health: Health,
}

/// All sources under watch.
pub(crate) struct Watch {
    sources: BTreeMap<usize, Watched>,
    /// What was learned of sources that are not watched now, by name: as many as were ever named.
    known: HashMap<String, Habits>,
    book: Book,
    ticked: Option<i64>,
}

/// One source.
struct Watched {
    name: String,
    patience: Patience,
    health: Health,
    provider: Provider,
    habits: Habits,
    has_changed: bool,
    /// Whether anything came since the last look, and since the start.
    spoke: bool,
    has_spoken: bool,
    /// Seconds watched, in hours in which it usually speaks, since it last did.
    silent_secs: i64,
    late: Late,
    recent: Recent,
}

/// A delay beyond what is usual.
#[derive(Clone, Copy, Debug, Default)]
struct Late {
    /// Least delay of the batches since the last tick.
    least_secs: Option<i64>,
    /// When the delay was first beyond the limit, and how large it was then.
    since: Option<(i64, i64)>,
}

impl Watch {
    /// Watches nothing yet. `standing` are the alerts about sources that stand in the store,
    /// `learned` is what it remembers; what is not of a source is ignored.
    pub(crate) fn new(rules: &RuleSet, standing: &[AlertRow], learned: &[Learned]) -> Self {
        let mut known = HashMap::new();
        for one in learned {
            let Some(name) = one.key.strip_prefix(LEARNED) else { continue };
            match serde_json::from_slice(&one.state) {
                Ok(habits) => drop(known.insert(name.to_owned(), habits)),
                Err(error) => {
                    tracing::warn!(source = name, %error, "what was learned of a source cannot be read, and is learned anew");
                }
            }
        }
        Self { sources: BTreeMap::new(), known, book: Book::new(rules, standing), ticked: None }
    }

    /// Other rules say how urgent things are.
    pub(crate) fn reload(&mut self, rules: &RuleSet) {
        self.book.reload(rules);
    }

    /// Watches these sources and no others. One that was watched under the same number goes on; one
    /// that takes the place of another of its name has the habits of that.
    pub(crate) fn attend(&mut self, subjects: Vec<Subject>, patience: &HashMap<String, Patience>) {
        let mut before = std::mem::take(&mut self.sources);
        let (kept, new): (Vec<Subject>, Vec<Subject>) =
            subjects.into_iter().partition(|subject| before.contains_key(&subject.number));
        for subject in kept {
            self.sources.extend(before.remove_entry(&subject.number));
        }
        self.known.extend(before.into_values().map(|source| (source.name, source.habits)));
        for subject in new {
            let habits = self.known.remove(&subject.name).unwrap_or_default();
            self.sources.insert(subject.number, Watched::new(subject, habits));
        }
        for source in self.sources.values_mut() {
            source.patience = patience.get(&source.name).copied().unwrap_or_default();
        }
    }

    /// What a source said of itself since it was last asked, to be committed with its next batch.
    pub(crate) fn take(&mut self, number: usize, now: DateTime<Utc>) -> Evaluation {
        let mut said = Evaluation::default();
        if let Some(source) = self.sources.get(&number) {
            for statement in source.health.take_statements() {
                said.changes.extend(self.book.tell(source.about(), &statement, now));
            }
        }
        said
    }

    /// What stands out in a batch of a source, to be committed with it: secret values in what is no record
    /// (those in records raise KW-138), and what was not judged.
    pub(crate) fn found(&mut self, number: usize, found: &Found, now: DateTime<Utc>) -> Vec<AlertChange> {
        let Some(source) = self.sources.get(&number) else { return Vec::new() };
        let leaks = leaks(&source.name, &found.leaks).map(|text| (Observed::Leak, 1, text));
        let defects = defects(&source.name, &found.defects)
            .map(|text| (Observed::Defect, found.defects.len() as u64, text));
        let said = leaks.into_iter().chain(defects);
        said.filter_map(|(observed, count, text)| {
            let stated = Stated::Happened(count);
            let statement = Statement { observed, subject: String::new(), text, stated };
            self.book.tell(source.about(), &statement, now)
        })
        .collect()
    }

    /// A batch of a source was stored.
    pub(crate) fn heard(&mut self, number: usize, stepped: &Stepped, now: DateTime<Utc>) {
        if let Some(source) = self.sources.get_mut(&number) {
            source.heard(stepped, now.timestamp());
        }
    }

    /// Looks at every source; to be asked every few seconds.
    pub(crate) fn tick(&mut self, now: DateTime<Utc>) -> Evaluation {
        let secs = now.timestamp();
        let passed = self.ticked.replace(secs).map_or(0, |last| secs - last);
        let watched = if (0..=STEP_SECS_MAX).contains(&passed) { passed } else { 0 };
        let mut said = Evaluation::default();
        for source in self.sources.values_mut() {
            source.look(secs, watched);
            for statement in source.health.take_statements() {
                said.changes.extend(self.book.tell(source.about(), &statement, now));
            }
            said.learned.extend(source.take_learned());
        }
        said
    }
}

impl Watched {
    fn new(subject: Subject, habits: Habits) -> Self {
        Self {
            name: subject.name,
            patience: Patience::default(),
            health: subject.health,
            provider: subject.provider.unwrap_or(Provider::Aws),
            habits,
            has_changed: false,
            spoke: false,
            has_spoken: false,
            silent_secs: 0,
            late: Late::default(),
            recent: Recent::default(),
        }
    }

    fn about(&self) -> About<'_> {
        About { source: &self.name, provider: self.provider }
    }

    fn heard(&mut self, stepped: &Stepped, now: i64) {
        let committed = stepped.committed;
        let events = committed.fresh + committed.duplicates;
        self.recent.count(now, events + committed.rejects, committed.rejects);
        if let Some(((provider, _), _)) = stepped.levels.iter().max_by_key(|(_, count)| **count) {
            self.provider = *provider;
        }
        self.spoke |= events + committed.rejects > 0;
        let Some(newest) = stepped.newest else { return };
        let delay = now - newest.secs();
        self.late.least_secs = Some(self.late.least_secs.map_or(delay, |least| least.min(delay)));
        if self.habits.heard(now, delay, self.patience) {
            self.has_changed = true;
        }
    }

    fn look(&mut self, now: i64, watched: i64) {
        self.look_at_silence(now, watched);
        self.look_at_delay(now);
        // Of an alert of an earlier run nothing is known before something comes.
        if self.has_spoken {
            self.look_at_rejects(now);
        }
    }

    fn look_at_silence(&mut self, now: i64, watched: i64) {
        if std::mem::take(&mut self.spoke) {
            (self.silent_secs, self.has_spoken) = (0, true);
            return self.stands(Observed::Silence, None);
        }
        if self.habits.usually_speaks(now) {
            self.silent_secs += watched;
        }
        let limit = self.habits.silence_secs(self.patience).filter(|limit| self.silent_secs > *limit);
        if let Some(limit) = limit {
            let errors = self.health.read().errors;
            let why = errors
                .values()
                .next()
                .map_or("the source itself works as far as it can tell".to_owned(), |failing| {
                    failing.text.clone()
                });
            let text = format!(
                "nothing came from {} for more than {} of the time in which it usually speaks; {why}",
                self.name,
                spoken(limit)
            );
            self.stands(Observed::Silence, Some(text));
        }
    }

    fn look_at_delay(&mut self, now: i64) {
        let (Some(least), Some(limit)) = (self.late.least_secs.take(), self.habits.delay_secs(self.patience))
        else {
            return;
        };
        if least <= limit {
            self.late.since = None;
            return self.stands(Observed::Lag, None);
        }
        let (since, first) = *self.late.since.get_or_insert((now, least));
        // A tenth of the least delay, three minutes for half an hour: long enough to see whether
        // the source is catching up.
        let has_lasted = now - since >= (self.patience.late_secs / 10).max(1);
        if least < first {
            self.late.since = Some((now, least));
        } else if has_lasted {
            let text = format!(
                "what {} brings is {} old, does not become more recent, and was at most {} old before",
                self.name,
                spoken(least),
                spoken(limit)
            );
            self.stands(Observed::Lag, Some(text));
        }
    }

    fn look_at_rejects(&mut self, now: i64) {
        match self.recent.burst(now, &mut self.habits) {
            Some((rejects, records)) => {
                let text = format!(
                    "{rejects} of the {records} records {} brought within five minutes cannot be read; the page of rejects \
                     has them with their reasons",
                    self.name
                );
                self.stands(Observed::Rejects, Some(text));
            }
            None => self.stands(Observed::Rejects, None),
        }
    }

    fn stands(&self, observed: Observed, text: Option<String>) {
        self.health.stands(observed, "", text);
    }

    fn take_learned(&mut self) -> Option<Learned> {
        if !std::mem::take(&mut self.has_changed) {
            return None;
        }
        let state = serde_json::to_vec(&self.habits).ok()?;
        Some(Learned { key: format!("{LEARNED}{}", self.name), state })
    }
}

fn leaks(source: &str, (count, kinds): &Leaks) -> Option<String> {
    let kinds: Vec<&str> = kinds.iter().copied().collect();
    (*count > 0).then(|| {
        format!(
            "{count} record(s) of {source} that cannot be read held secret values ({}), which were replaced; the page of rejects \
             has them",
            kinds.join(", ")
        )
    })
}

fn defects(source: &str, defects: &[String]) -> Option<String> {
    let first = defects.first()?;
    let count = defects.len();
    Some(format!(
        "{count} record(s) of {source} were not judged, for a defect of Keywatch's own; the page of rejects has them. The first: {first}"
    ))
}

/// A statement that is no news: said on every tick as long as it holds.
const fn is_repeated(stated: Stated) -> bool {
    matches!(stated, Stated::Stands | Stated::Over)
}

#[cfg(test)]
mod tests;
