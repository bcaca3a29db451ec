//! Looks that follow each other, taken in one step.
//!
//! What a row of looks leads to follows from what stands in the event where they look. Once they were
//! taken one by one, their end is remembered by the hash of all of it together: who calls from where with
//! what client is one look-up then, not ten. Ways from one state may differ; what any of them looked at
//! belongs to the hash, so that it says which of them is taken.
//!
//! Marks are hashes of 64 bits under a random key, compared alone. With as many as are kept, two that
//! differ in what stands there meet once in some hundred million million events.

use super::aspect::{AspectId, Aspects};
use crate::view::View;
use hashbrown::{DefaultHashBuilder, HashTable};
use std::hash::{BuildHasher, Hasher};

/// Most jumps remembered in all states: about 4 MB. All are forgotten when there are more.
pub(super) const JUMPS_MAX: usize = 131_072;
/// One event in so many must be like one before, or none are looked for during as many times as many.
const WORTH: u32 = 8;

/// Where a row of looks led.
#[derive(Debug, Default)]
pub(super) struct Jump {
    /// What any way from here looked at.
    over: Vec<AspectId>,
    /// The state that was reached, by the hash of what stood there.
    to: HashTable<(u64, usize)>,
    sought: u32,
    found: u32,
    /// For how many events more nothing is remembered, since they are too varied for that.
    rests: u32,
}

impl Jump {
    /// What stands in the event where the looks look, as one number; `None` when none says it, or
    /// nothing is remembered.
    pub(super) fn mark(
        &mut self,
        aspects: &Aspects,
        view: &View<'_>,
        hashing: &DefaultHashBuilder,
    ) -> Option<u64> {
        if self.over.len() < 2 {
            return None;
        }
        if self.rests > 0 {
            self.rests -= 1;
            return None;
        }
        let mut hash = hashing.build_hasher();
        let told = self.over.iter().all(|aspect| aspects.mark(*aspect, view, &mut hash));
        told.then(|| hash.finish())
    }

    /// Where an event with this mark goes, when one came before.
    pub(super) fn to(&mut self, mark: u64) -> Option<usize> {
        let next = self.to.find(mark, |(known, _)| *known == mark).map(|(_, next)| *next);
        self.sought = self.sought.saturating_add(1);
        self.found = self.found.saturating_add(u32::from(next.is_some()));
        next
    }

    /// Remembers that looks at `passed` led to `next`; `mark` is made of what this jump passes over.
    pub(super) fn note(
        &mut self,
        passed: &[AspectId],
        next: usize,
        mark: impl FnOnce(&mut Self) -> Option<u64>,
    ) {
        if self.rests > 0 {
            return;
        }
        for aspect in passed {
            if !self.over.contains(aspect) {
                self.over.push(*aspect);
                self.to.clear();
            }
        }
        if let Some(mark) = mark(self) {
            self.to.insert_unique(mark, (mark, next), |(mark, _)| *mark);
        }
    }

    /// Forgets what is remembered; it is gathered again only where enough of it was used.
    pub(super) fn forget(&mut self) {
        if self.found < self.sought / WORTH {
            self.rests = self.sought.saturating_mul(WORTH);
        }
        self.to = HashTable::new();
        (self.sought, self.found) = (0, 0);
    }

    /// How many jumps were taken.
    #[cfg(test)]
    pub(super) fn taken(&self) -> usize {
        self.found as usize
    }

    /// How many jumps are remembered.
    pub(super) fn len(&self) -> usize {
        self.to.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matcher::Matcher;
    use crate::plan::tests::matcher;
    use crate::plan::{MatcherId, Plan, Walk};
    use crate::testing::{self, PLACE};
    use crate::{Seen, Surroundings};

    /// Rules whose tests stand in every row, among them one that compares two parts of the record.
    fn rules() -> Vec<Matcher> {
        let asked = [
            "principal.id: role/a",
            "principal.session: s1",
            "region: eu-west-1",
            "source.ip|cidr: 192.0.2.0/24",
            "secrets.id: [x, y]",
            "secrets.name|contains: y",
            "time.hour: '03'",
            "raw.one: a",
            "raw.two|fieldref: raw.three",
            "raw.many: a",
        ];
        asked.map(|item| matcher(&format!("detection:\n  s: {{{item}}}\n  condition: s\n"))).into()
    }

    #[test]
    fn events_that_differ_in_one_thing_alone_go_each_their_way_by_steps_and_by_jumps() {
        let matchers = rules();
        let (plan, mut walk, around) = (Plan::new(&matchers), Walk::default(), Surroundings::default());
        let raws = [
            r#"{"one":"a","two":"a","three":"a"}"#,
            r#"{"one":"a","two":"a","three":"b"}"#,
            r#"{"one":"b","two":"b","many":"b"}"#,
            r#"{"one":"b","many":["a","b"]}"#,
            "{}",
        ];
        // What came before is met again in every further round.
        for _ in 0..3 {
            for n in 0..5 * 64 {
                let bit = |at: usize| (n / 5) >> at & 1 == 1;
                let mut event = testing::event();
                event.principal.id = if bit(0) { "role/a" } else { "role/b" }.into();
                event.principal.session = bit(1).then_some("s1".into());
                event.region = bit(2).then_some("eu-west-1".into());
                event.source.ip = bit(3).then_some([192, 0, 2, 7].into());
                let named = [(bit(4), "x"), (bit(5), "y")].into_iter().filter(|(is, _)| *is);
                event.secrets = named.map(|(_, id)| testing::secret(id)).collect();
                let seen = Seen { event: &event, place: &PLACE, raw: raws[n % 5].as_bytes() };
                let view = View::new(&seen, &around, plan.scope(event.provider));
                let alone = View::alone(&seen);
                let holds = |(id, one): (usize, &Matcher)| one.matches(&alone).then_some(MatcherId(id));
                let want: Vec<MatcherId> = matchers.iter().enumerate().filter_map(holds).collect();
                assert_eq!(plan.matching(&view, &mut walk).ids, want, "{event:?} {}", raws[n % 5]);
            }
        }
        let (jumps, taken) = walk.jumps();
        assert!(jumps > 16, "{jumps} jumps are remembered");
        assert!(taken > 5 * 64, "{taken} jumps were taken");
    }

    #[test]
    fn where_few_events_are_like_one_before_nothing_is_remembered_for_a_while() {
        let ids: Vec<AspectId> = (0..2).map(AspectId::of_number).collect();
        let mut jump = Jump::default();
        let came = |jump: &mut Jump, mark: u64| {
            if jump.to(mark).is_none() {
                jump.note(&ids, 7, |_| Some(mark));
            }
        };
        // Three in four are known.
        (0..400).for_each(|n| came(&mut jump, n / 4));
        assert_eq!(jump.len(), 100);
        jump.forget();
        assert_eq!((jump.len(), jump.rests), (0, 0));
        (0..100).for_each(|n| came(&mut jump, n));
        jump.forget();
        (0..100).for_each(|n| came(&mut jump, n));
        assert_eq!((jump.len(), jump.rests), (0, 800));
    }
}
