//! What was found out about events so far, as an automaton that grows while events come.
//!
//! A state is what is left open once some aspects of an event are known: which matchers hold, and
//! of the others what must still be found out. From a state one aspect is looked at next, and what
//! its tests say leads to another state, until nothing is open. What a value of that aspect led to
//! is remembered, so that an event like one before costs one look-up for each aspect that tells
//! events apart. Events that differ in what nobody asks take the same way. Looks that follow each other
//! at what varies together, such as who calls from where, are taken in one step (`jump`).
//!
//! Invariant: what is remembered follows from the plan and what the operator supplied alone. A
//! walk serves one plan and one set of surroundings.

use super::aspect::{AspectId, Key, Room, Unsaid};
use super::expr::{Expr, Known};
use super::jump::{JUMPS_MAX, Jump};
use super::{Found, MatcherId, Plan};
use crate::view::View;
use hashbrown::{HashMap, HashTable};
use std::hash::BuildHasher;
use std::sync::Arc;

/// Most memory of states, in expressions of 32 bytes: 6 MB. The whole catalogue takes a tenth of it
/// for the events of one organisation. When there is more, all of it is forgotten.
const SIZE_MAX: usize = 200_000;
/// Most values remembered in one state. A value takes about 100 bytes; one that is longer than
/// [`VALUE_BYTES_MAX`] is not remembered.
const VALUES_MAX: usize = 1_024;
/// Most values remembered in all: 3 MB.
const ALL_VALUES_MAX: usize = 32_768;
const VALUE_BYTES_MAX: usize = 512;

/// States known so far.
#[derive(Debug)]
pub(crate) struct Walk {
    hashing: hashbrown::DefaultHashBuilder,
    /// By the bits of an event: where it begins.
    roots: HashMap<u64, usize>,
    states: Vec<State>,
    /// States by hash of what is open.
    numbers: HashTable<(u64, usize)>,
    size: usize,
    size_max: usize,
    values: usize,
    /// Jumps remembered in all states.
    jumps: usize,
    /// What was looked at in the row under way.
    passed: Vec<AspectId>,
    /// By test: what is known of it of every event, and while a state is made what is known there.
    tests: Vec<Option<bool>>,
}

#[derive(Debug)]
struct State {
    left: Left,
    next: Next,
}

/// What is known and what is left to find out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Left {
    held: Vec<MatcherId>,
    open: Vec<(MatcherId, Arc<Expr>)>,
    unsaid: Unsaid,
}

#[derive(Debug)]
enum Next {
    End(Arc<Found>),
    Look(Box<Look>),
}

/// A look at one aspect.
#[derive(Debug)]
struct Look {
    at: AspectId,
    /// The tests that are asked, ascending.
    asked: Vec<usize>,
    absent: Option<usize>,
    values: HashMap<Box<[u8]>, usize>,
    /// By what the tests said.
    answers: HashMap<Answers, usize>,
    /// Values that were looked up, and those that were found.
    sought: u32,
    found: u32,
    /// Whether values are so many that remembering them is in vain.
    is_varied: bool,
    /// Where this look and those after it led.
    jump: Jump,
}

/// What the tests of one look said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Answers {
    /// What turned out to say nothing.
    unsaid: Unsaid,
    /// Bit n: whether the n-th test that was asked passes.
    first: u64,
    /// The same for those after the first 64.
    more: Box<[u64]>,
}

impl Answers {
    fn to(asked: usize, unsaid: Unsaid) -> Self {
        Self { unsaid, first: 0, more: vec![0; (asked.saturating_sub(1)) / 64].into() }
    }

    fn holds(&self, place: usize) -> bool {
        let word = (place / 64).checked_sub(1).map_or(Some(&self.first), |at| self.more.get(at));
        word.is_some_and(|word| word >> (place % 64) & 1 == 1)
    }

    fn set(&mut self, place: usize) {
        let first = &mut self.first;
        let word = (place / 64).checked_sub(1).map_or(Some(first), |at| self.more.get_mut(at));
        if let Some(word) = word {
            *word |= 1 << (place % 64);
        }
    }
}

impl Default for Walk {
    fn default() -> Self {
        Self::of_size(SIZE_MAX)
    }
}

impl Walk {
    /// One that begins anew when its states take more than `size_max` expressions.
    pub(super) fn of_size(size_max: usize) -> Self {
        Self {
            hashing: hashbrown::DefaultHashBuilder::default(),
            roots: HashMap::new(),
            states: Vec::new(),
            numbers: HashTable::new(),
            size: 0,
            size_max,
            values: 0,
            jumps: 0,
            passed: Vec::new(),
            tests: Vec::new(),
        }
    }

    /// The matchers that hold for an event with these bits.
    pub(super) fn end_of(&mut self, plan: &Plan, view: &View<'_>, cells: u64) -> Arc<Found> {
        if self.size > self.size_max {
            *self = Self::of_size(self.size_max);
        }
        if self.values > ALL_VALUES_MAX {
            self.forget_values();
        }
        if self.jumps > JUMPS_MAX {
            self.forget_jumps();
        }
        let mut at = match self.roots.get(&cells) {
            Some(root) => *root,
            None => self.root(plan, view, cells),
        };
        // Each look decides the tests it asks, so there is an end.
        loop {
            let look = match self.states.get_mut(at).map(|state| &mut state.next) {
                Some(Next::Look(look)) => look,
                Some(Next::End(found)) => return Arc::clone(found),
                None => return Arc::default(),
            };
            let mark = look.jump.mark(&plan.aspects, view, &self.hashing);
            at = match mark.and_then(|mark| look.jump.to(mark)) {
                Some(next) => next,
                None => self.pass(at, plan, view),
            };
        }
    }

    /// Takes the looks of a row one by one; where they lead.
    fn pass(&mut self, from: usize, plan: &Plan, view: &View<'_>) -> usize {
        let (mut at, mut row) = (from, None);
        let mut passed = std::mem::take(&mut self.passed);
        passed.clear();
        while let Some(State { next: Next::Look(look), .. }) = self.states.get_mut(at) {
            let here = plan.aspects.row(look.at);
            if !passed.is_empty() && (here.is_none() || here != row) {
                break;
            }
            row = here;
            passed.push(look.at);
            at = match look.known(plan, view) {
                Some(next) => next,
                None => self.learn(at, plan, view),
            };
        }
        if let (Some(_), Some(State { next: Next::Look(look), .. })) = (row, self.states.get_mut(from)) {
            let before = look.jump.len();
            look.jump.note(&passed, at, |jump| jump.mark(&plan.aspects, view, &self.hashing));
            self.jumps = self.jumps + look.jump.len() - before;
        }
        self.passed = passed;
        at
    }

    fn root(&mut self, plan: &Plan, view: &View<'_>, cells: u64) -> usize {
        if self.tests.is_empty() {
            self.tests = plan.tests.settled(view);
        }
        let all = plan.exprs.iter().enumerate().map(|(id, expr)| (MatcherId(id), Arc::clone(expr)));
        let left = Left { open: all.collect(), ..Left::default() };
        let root = self.state(plan, left.reduced(Known { cells, tests: &self.tests }));
        self.roots.insert(cells, root);
        self.size += 1;
        root
    }

    /// Makes the tests a state asks, and says where they lead.
    fn learn(&mut self, at: usize, plan: &Plan, view: &View<'_>) -> usize {
        let Some(State { next: Next::Look(look), .. }) = self.states.get(at) else { return at };
        let answers = look.ask(plan, view);
        let next = match look.answers.get(&answers) {
            Some(next) => *next,
            None => self.follow(at, plan, answers),
        };
        if let Some(State { next: Next::Look(look), .. }) = self.states.get_mut(at) {
            let before = look.values.len();
            look.remember(plan, view, next);
            self.values = (self.values + look.values.len()).saturating_sub(before);
        }
        next
    }

    /// The state that answers nobody gave before lead to.
    fn follow(&mut self, at: usize, plan: &Plan, answers: Answers) -> usize {
        let Some(State { next: Next::Look(look), left }) = self.states.get(at) else { return at };
        let said = answers.unsaid == 0;
        for (place, test) in look.asked.iter().enumerate() {
            if plan.aspects.decides(look.at, *test, said)
                && let Some(known) = self.tests.get_mut(*test)
            {
                *known = Some(answers.holds(place));
            }
        }
        let mut left = left.reduced(Known { cells: 0, tests: &self.tests });
        left.unsaid |= answers.unsaid;
        for test in &look.asked {
            self.tests.get_mut(*test).into_iter().for_each(|known| *known = None);
        }
        let next = self.state(plan, left);
        if let Some(State { next: Next::Look(look), .. }) = self.states.get_mut(at) {
            self.size += 4 + answers.more.len();
            look.answers.insert(answers, next);
        }
        next
    }

    /// The number of a state, which is made when it is new.
    fn state(&mut self, plan: &Plan, mut left: Left) -> usize {
        left.held.sort_unstable();
        let mut twins = 0;
        for (_, expr) in &left.open {
            expr.each_test(&mut |test| twins |= plan.aspects.twins(test));
        }
        left.unsaid &= twins;
        let hash = self.hashing.hash_one(&left);
        let is = |(known, at): &(u64, usize)| {
            *known == hash && self.states.get(*at).is_some_and(|state| state.left == left)
        };
        if let Some((_, at)) = self.numbers.find(hash, is) {
            return *at;
        }
        let at = self.states.len();
        self.size += left.size();
        let next = match Look::of(plan, &left) {
            Some(look) => Next::Look(Box::new(look)),
            None => Next::End(Arc::new(Found::new(left.held.clone()))),
        };
        self.states.push(State { left, next });
        self.numbers.insert_unique(hash, (hash, at), |(hash, _)| *hash);
        at
    }

    fn forget_values(&mut self) {
        self.values = 0;
        for state in &mut self.states {
            if let Next::Look(look) = &mut state.next {
                look.forget();
            }
        }
    }

    fn forget_jumps(&mut self) {
        self.jumps = 0;
        for state in &mut self.states {
            if let Next::Look(look) = &mut state.next {
                look.jump.forget();
            }
        }
    }

    /// How many jumps are remembered, and how many were taken.
    #[cfg(test)]
    pub(super) fn jumps(&self) -> (usize, usize) {
        let looks = self.states.iter().filter_map(|state| match &state.next {
            Next::Look(look) => Some(look.jump.taken()),
            Next::End(_) => None,
        });
        (self.jumps, looks.sum())
    }

    /// How many states there are, and values remembered.
    #[cfg(test)]
    pub(super) fn held(&self) -> (usize, usize) {
        (self.states.len(), self.values)
    }
}

impl Left {
    fn reduced(&self, known: Known<'_>) -> Self {
        let mut left = Self { held: self.held.clone(), open: Vec::new(), unsaid: self.unsaid };
        for (id, expr) in &self.open {
            match expr.reduced(known) {
                Some(Expr::Const(true)) => left.held.push(*id),
                Some(Expr::Const(false)) => {}
                Some(rest) => left.open.push((*id, Arc::new(rest))),
                None if **expr == Expr::Const(true) => left.held.push(*id),
                None if **expr == Expr::Const(false) => {}
                None => left.open.push((*id, Arc::clone(expr))),
            }
        }
        left
    }

    fn size(&self) -> usize {
        let open: usize = self.open.iter().map(|(_, expr)| 2 + expr.size()).sum();
        8 + self.held.len() + open
    }
}

impl Look {
    /// What is looked at next: what costs least, and of that what most of the open matchers ask.
    fn of(plan: &Plan, left: &Left) -> Option<Self> {
        let mut asked: HashMap<AspectId, Vec<usize>> = HashMap::new();
        for (_, expr) in &left.open {
            expr.each_test(&mut |test| {
                if let Some(aspect) = plan.aspects.of(test, left.unsaid) {
                    asked.entry(aspect).or_default().push(test);
                }
            });
        }
        let key = |(at, asked): &(AspectId, Vec<usize>)| {
            (plan.aspects.cost(*at), std::cmp::Reverse(asked.len()), *at)
        };
        let (at, mut asked) = asked.into_iter().min_by_key(key)?;
        asked.sort_unstable();
        asked.dedup();
        Some(Self {
            at,
            asked,
            absent: None,
            values: HashMap::new(),
            answers: HashMap::new(),
            sought: 0,
            found: 0,
            is_varied: false,
            jump: Jump::default(),
        })
    }

    /// Where an event goes from here, when one like it came before.
    fn known(&mut self, plan: &Plan, view: &View<'_>) -> Option<usize> {
        if self.is_varied && self.absent.is_none() {
            return None;
        }
        match plan.aspects.key(self.at, view, &mut Room::default()) {
            Key::Absent => self.absent,
            Key::Bytes(bytes) if !self.is_varied && bytes.len() <= VALUE_BYTES_MAX => {
                let next = self.values.get(bytes).copied();
                self.sought += 1;
                self.found += u32::from(next.is_some());
                next
            }
            Key::Bytes(_) | Key::Several => None,
        }
    }

    /// Makes the tests.
    fn ask(&self, plan: &Plan, view: &View<'_>) -> Answers {
        let unsaid = plan.aspects.unsaid(self.at, view);
        let mut answers = Answers::to(self.asked.len(), unsaid);
        let mut ask = |place: usize, test: usize| {
            if plan.aspects.decides(self.at, test, unsaid == 0) && plan.tests.holds(test, view) {
                answers.set(place);
            }
        };
        match plan.aspects.sieve(self.at) {
            Some(sieve) if self.asked.len() >= plan.sieve_min => sieve.each(view, &mut |test| {
                if let Ok(place) = self.asked.binary_search(&test) {
                    ask(place, test);
                }
            }),
            _ => self.asked.iter().enumerate().for_each(|(place, test)| ask(place, *test)),
        }
        answers
    }

    /// Remembers where an event led.
    fn remember(&mut self, plan: &Plan, view: &View<'_>, next: usize) {
        match plan.aspects.key(self.at, view, &mut Room::default()) {
            Key::Absent => self.absent = Some(next),
            Key::Bytes(bytes) if !self.is_varied && bytes.len() <= VALUE_BYTES_MAX => {
                if self.values.len() >= VALUES_MAX {
                    self.forget();
                }
                if !self.is_varied {
                    self.values.insert(bytes.into(), next);
                }
            }
            Key::Bytes(_) | Key::Several => {}
        }
    }

    /// Forgets its values; they are gathered again only where most were found.
    fn forget(&mut self) {
        self.is_varied |= self.found < self.sought / 2;
        self.values = HashMap::new();
        (self.sought, self.found) = (0, 0);
    }
}
