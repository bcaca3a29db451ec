//! How one event is judged by every rule to whom it means something.

mod learning;
mod new_secrets;

use super::ahead::Ready;
use super::alerts;
use super::asleep::stays_met;
use super::baseline::{Judgement, Raised};
use super::brief::Brief;
use super::count::{CountState, Counting, Effect};
use super::entry::{Part, Plays};
use super::group::Change;
use super::heard::{Heard, Hearing};
use super::verdicts::Verdicts;
use super::{Context, Dispatch, Engine, State};
use crate::Seen;
use crate::rule::{Baseline, Count, Hit, Incident, Kind, Mention, Rule, RuleSet};
use keywatch_event::{AlertChange, Level};
use std::sync::Arc;

/// What was said of an event when it was stored: ids of rules. `None` for an event that is new.
pub(super) type Said<'s> = Option<&'s [String]>;

/// What baselines make of one event: judgements by baseline, in the order of its values.
#[derive(Debug, Default)]
pub(super) struct Novelties(Vec<(usize, Judgement)>);

impl Novelties {
    /// Whether anything is new.
    fn any(&self) -> bool {
        self.0.iter().any(|(_, judgement)| judgement.news().is_some())
    }

    /// What is new for a baseline, in words.
    fn of(&self, baseline: usize) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(of, _)| *of == baseline).filter_map(|(_, judgement)| judgement.news())
    }

    /// What is new for a rule, in words.
    fn note(&self, count: &Count) -> Option<Arc<str>> {
        if self.0.is_empty() {
            return None;
        }
        let new = count.hits.iter().filter_map(|hit| hit.novel).flat_map(|id| self.of(id.0));
        let new: Vec<&str> = new.collect();
        (!new.is_empty()).then(|| Arc::from(new.join(", ")))
    }
}

/// What the event raised so far, and through what.
#[derive(Clone, Copy, Debug, Default)]
struct Raising {
    /// By rules that compare with no past.
    others: Option<Level>,
    /// By being more than the past days explain.
    measure: Option<Level>,
    /// By being new.
    novelty: Option<Level>,
    /// By what is new being many, or in a sequence.
    many: Option<Level>,
}

impl Engine {
    /// Gives an event to those who listen.
    pub(super) fn hear(
        &mut self,
        ready: Ready<'_>,
        dispatch: &Dispatch,
        said: Said<'_>,
        verdicts: &mut Verdicts,
    ) {
        let Ready { at, view, found, heard, words, brief, mark } = ready;
        let rules = Arc::clone(&self.rules);
        let digests = std::mem::take(&mut self.digests);
        let context = Context { view: &view, found: &found, words: &words, digests: &digests };
        let novelties = std::mem::take(&mut self.scratch.novelties);
        let mut case =
            Case { engine: self, dispatch, at, said, context: &context, brief, novelties, verdicts };
        case.run(&rules, &heard, mark);
        let novelties = case.novelties;
        self.digests = digests;
        self.scratch.novelties = novelties;
        self.scratch.words.push(words);
        self.scratch.spares.push(view.into_spare());
    }

    /// What is remembered of the event at `at` of the batch.
    pub(super) fn brief(&mut self, seen: &Seen<'_>, at: usize) -> Arc<Brief> {
        self.shared.brief(seen, (self.batch, u32::try_from(at).unwrap_or(u32::MAX)))
    }

    /// Says what changed about incidents, and joins alerts of different rules.
    pub(super) fn conclude(&mut self, verdicts: &mut Verdicts) {
        let rules = Arc::clone(&self.rules);
        let batch = self.batch;
        for (at, (rule, state)) in rules.rules.iter().zip(&mut self.states).enumerate() {
            match (&rule.kind, state) {
                (Kind::Count(count), State::Count(state)) => {
                    let counting = Counting::of(&rules, &self.dispatch, at, &self.stages);
                    let Some(counting) = counting else { continue };
                    state.changes(counting, &mut |change| verdicts.change(batch, (rule, count), change));
                }
                (Kind::Silence(silence), State::Silence(quiet)) => {
                    verdicts.changes.extend(quiet.changes(rule, silence));
                }
                _ => {}
            }
        }
        verdicts.changes = self.parts.settle(std::mem::take(&mut verdicts.changes), self.newest);
        self.join_risks(verdicts);
        for change in &mut verdicts.changes {
            self.mark_late(change);
        }
    }

    /// Marks an alert that opens long after newer events were seen.
    pub(super) fn mark_late(&self, change: &mut AlertChange) {
        let (Some(from), Some(newest)) = (self.settings.late_from_secs, self.newest) else { return };
        if let AlertChange::Opened { alert, .. } = change {
            let behind = newest.secs() - alert.opened_at.secs();
            alert.late_secs = u64::try_from(behind).ok().filter(|_| behind > from);
        }
    }
}

/// One event before every rule.
struct Case<'c, 'v> {
    engine: &'c mut Engine,
    dispatch: &'c Dispatch,
    at: usize,
    said: Said<'c>,
    context: &'c Context<'c, 'v>,
    brief: Option<Arc<Brief>>,
    /// Empty but while the event is before the rules.
    novelties: Novelties,
    verdicts: &'c mut Verdicts,
}

impl Case<'_, '_> {
    fn run(&mut self, set: &RuleSet, heard: &Heard, mark: Option<u64>) {
        let mut raising = Raising::default();
        let nothing = Novelties::default();
        self.verdicts.expect(self.at, heard.says);
        for hearing in heard.rules.iter().filter(|hearing| !hearing.is_novel) {
            let Some(rule) = set.rules.get(hearing.rule) else { continue };
            let level = self.apply(hearing, rule, &nothing).filter(|_| !rule.routine);
            if has_own_past(rule) {
                raising.measure = raising.measure.max(level);
            } else {
                raising.others = raising.others.max(level);
            }
        }
        let baselines = &heard.baselines;
        // In memory that is used again: most events bring nothing new.
        let mut novelties = std::mem::take(&mut self.novelties);
        novelties.0.clear();
        let mark = mark.filter(|_| self.said.is_none());
        let is_familiar = mark.is_some_and(|mark| self.is_familiar(mark, heard));
        if self.said.is_none() && !is_familiar {
            self.judge_novelty(&set.baselines, baselines, &mut novelties);
            self.keep_new_secrets(&set.baselines, &novelties);
        }
        let news = self.said.is_some() || novelties.any();
        let listens = |hearing: &&Hearing| hearing.is_novel && (news || !hearing.is_only_novel);
        for hearing in heard.rules.iter().filter(listens) {
            let Some(rule) = set.rules.get(hearing.rule) else { continue };
            let level = self.apply(hearing, rule, &novelties);
            if rule.kind.is_for_novelty_alone() {
                raising.novelty = raising.novelty.max(level);
            } else {
                raising.many = raising.many.max(level);
            }
        }
        if self.said.is_none() && !(is_familiar && raising.raised() == Raised::Nothing) {
            if is_familiar {
                self.judge_novelty(&set.baselines, baselines, &mut novelties);
            }
            self.learn(&set.baselines, baselines, &novelties, raising);
            if let Some(mark) = mark.filter(|_| raising.raised() == Raised::Nothing) {
                self.note_familiar(mark, &set.baselines, heard);
            }
        }
        self.novelties = novelties;
    }

    /// One rule's part; the level of what it raised.
    fn apply(&mut self, hearing: &Hearing, rule: &Rule, novelties: &Novelties) -> Option<Level> {
        match &rule.kind {
            Kind::Classify(hit) => {
                if hearing.hits != 0 || hearing.novel_hits != 0 && self.is_new(hit, novelties) {
                    self.verdicts.say(self.at, rule, rule.level);
                }
                None
            }
            Kind::Count(count) if count.feeds_secs.is_none() => self.count(hearing, (rule, count), novelties),
            Kind::Count(count) => {
                self.feed(hearing, (rule, count), novelties);
                count.raises.then(|| self.count(hearing, (rule, count), novelties)).flatten()
            }
            // What waited was stored as such; of an event that is told again it is not known whether
            // its follower is told again too.
            Kind::Silence(silence) if self.said.is_some() && silence.followed_by.is_some() => None,
            Kind::Silence(silence) => {
                self.with_brief(|case, brief| {
                    if let Some(State::Silence(quiet)) = case.engine.states.get_mut(hearing.rule) {
                        quiet.take(silence, case.context, brief);
                    }
                });
                None
            }
            Kind::Risk(_) | Kind::Observed(_) => None,
        }
    }

    fn count(
        &mut self,
        hearing: &Hearing,
        (rule, count): (&Rule, &Count),
        novelties: &Novelties,
    ) -> Option<Level> {
        if let Some(secs) = hearing.witnessed_secs {
            let engine = &mut *self.engine;
            let counting = Counting::of(&engine.rules, self.dispatch, hearing.rule, &engine.stages)?;
            if let Some(State::Count(state)) = engine.states.get_mut(hearing.rule) {
                // What it changes may belong to an incident, and is then needed for as long.
                let changes = state.witness(counting, self.context);
                let more = if changes { count.matters_secs(true) - count.matters_secs(false) } else { 0 };
                self.verdicts.matters(self.at, secs + more.max(0));
            }
        }
        let hits = hearing.hits | self.novel_hits(hearing, count, novelties);
        let plays = CountState::plays(count, self.context, hits)?;
        let part = Part { hits, plays, note: self.note(count, novelties), adds: hearing.adds };
        let dispatch = self.dispatch;
        let effect = self.with_counted((hearing, count), hits, novelties, |engine, context, brief| {
            let counting = Counting::of(&engine.rules, dispatch, hearing.rule, &engine.stages)?;
            let Some(State::Count(state)) = engine.states.get_mut(hearing.rule) else { return None };
            Some(state.take(counting, context, &part, brief))
        });
        let Effect { entered, raised, beyond } = effect?;
        self.engine.late_entries += u64::from(beyond);
        if entered {
            self.verdicts.matters(self.at, count.matters_secs(raised.is_some()));
        }
        if let Some(level) = raised {
            self.verdicts.say(self.at, rule, level);
        }
        raised
    }

    /// Gives the event to a rule that others count.
    fn feed(&mut self, hearing: &Hearing, (rule, count): (&Rule, &Count), novelties: &Novelties) {
        let hits = hearing.hits | self.novel_hits(hearing, count, novelties);
        if hits == 0 {
            return;
        }
        let part = Part { hits, plays: Plays::Hit, note: self.note(count, novelties), adds: hearing.adds };
        let met = self.with_counted((hearing, count), hits, novelties, |engine, context, brief| {
            engine.take_stage(hearing.rule, context, &part, brief)
        });
        self.verdicts.matters(self.at, count.timespan_secs + count.feeds_secs.unwrap_or(0));
        if met && !count.raises {
            self.verdicts.say(self.at, rule, rule.level);
        }
    }

    /// What an alert of the rule names of the event.
    fn note(&self, count: &Count, novelties: &Novelties) -> Option<Arc<str>> {
        match &count.mention {
            Some(Mention::Fields(fields)) => Mention::of(fields, self.context.view),
            Some(Mention::Listed(list)) => Mention::listed(list, self.context.view),
            Some(Mention::News(_)) | None if self.said.is_some() => self.note_again(count, novelties),
            Some(Mention::News(_)) | None => novelties.note(count),
        }
    }

    /// Does something with what is remembered of the event, which is made when the first rule keeps it.
    fn with_brief<T>(&mut self, work: impl FnOnce(&mut Self, &Arc<Brief>) -> T) -> T {
        let made = self.brief.take();
        let brief = made.unwrap_or_else(|| self.engine.brief(self.context.seen(), self.at));
        let done = work(self, &brief);
        self.brief = Some(brief);
        done
    }

    /// Hits that are met because the event brings something new.
    fn novel_hits(&self, hearing: &Hearing, count: &Count, novelties: &Novelties) -> u64 {
        if hearing.novel_hits == 0 {
            return 0;
        }
        let met = |(at, hit): &(usize, &Hit)| {
            hearing.novel_hits >> at.min(&63) & 1 == 1 && self.is_new(hit, novelties)
        };
        let met = count.hits.iter().enumerate().filter(met);
        met.fold(0, |mask, (at, _)| mask | 1 << at.min(63))
    }

    /// Whether the event brings the novelty a hit listens to.
    fn is_new(&self, hit: &Hit, novelties: &Novelties) -> bool {
        match (hit.novel, self.said) {
            (None, _) => false,
            (Some(_), Some(said)) => said.iter().any(|rule| **rule == *hit.rule),
            (Some(baseline), None) => novelties.of(baseline.0).next().is_some(),
        }
    }
}

/// Whether a rule's bound is learned from what was usual.
fn has_own_past(rule: &Rule) -> bool {
    matches!(&rule.kind, Kind::Count(count) if count.lagged.is_some())
}

impl Raising {
    /// What keeps a baseline from learning. To one that accepts at once, everything that rules
    /// with a past of their own raise is news: it was told, and is not told again tomorrow.
    fn for_baseline(self, spec: &Baseline) -> Raised {
        if spec.accept_days > 0 {
            return self.raised();
        }
        let novelty = self.novelty.max(self.many).max(self.measure);
        Self { others: self.others, novelty, many: None, measure: None }.raised()
    }

    fn raised(self) -> Raised {
        let Self { others, measure, novelty, many } = self;
        let grave = |level: &Option<Level>| *level >= Some(Level::High);
        let warned = |level: &Option<Level>| *level >= Some(Level::Warning);
        if [others, measure, many].iter().any(grave) {
            Raised::High
        } else if [others, measure].iter().any(warned) {
            Raised::Other
        } else if [novelty, many].iter().any(warned) {
            Raised::Novelty
        } else {
            Raised::Nothing
        }
    }
}

impl Verdicts {
    fn change(&mut self, batch: u64, (rule, count): (&Rule, &Count), change: Change<'_>) {
        let (incident, change) = match change {
            Change::Kept(brief) => return self.keep(batch, brief, count.matters_secs(true)),
            Change::Stands(..) | Change::Gone(_) => return,
            Change::Withdrawn { id, merged_into } => {
                let reason = match merged_into {
                    Some(other) => format!("earlier evidence joined it to {other}"),
                    None => "later events explain it".to_owned(),
                };
                self.changes.push(AlertChange::Withdrawn { id, reason });
                return;
            }
            Change::Opened(incident) => {
                let alert = alerts::counted(rule, count, incident);
                let hold = count.hold.as_ref().filter(|_| incident.waits);
                let hold_secs = hold.and_then(|hold| u32::try_from(hold.secs).ok()).unwrap_or(0);
                (incident, AlertChange::Opened { alert, hold_secs })
            }
            Change::Updated { incident, was, news } => {
                let alert = alerts::counted(rule, count, incident);
                (incident, AlertChange::Updated { alert, was, news })
            }
        };
        self.say_members(batch, rule, incident);
        self.changes.push(change);
    }
}

impl Count {
    /// How long after its time an event that entered a window may matter: to the window, and,
    /// when it belongs to an incident, as long as that may live. An event that kept a condition from
    /// being met says when the incident began just as well.
    pub(super) fn matters_secs(&self, in_incident: bool) -> i64 {
        let Incident { keep_alive_secs, max_duration_secs, repeats_secs, .. } = self.incident;
        let lives = (max_duration_secs + repeats_secs).max(self.joined_secs);
        let lives = if in_incident || !stays_met(self) { lives } else { 0 };
        self.timespan_secs.max(keep_alive_secs) + lives
    }
}

#[cfg(test)]
#[path = "judge_tests.rs"]
mod tests;
