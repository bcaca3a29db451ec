//! The short lives of secrets: who made one, and who read it.
//!
//! Answers one question, in any order of arrival: did this principal make this secret a moment before, and
//! had nobody else read it until then? What happens to a secret of the same name later, such as one that is
//! made anew every night, changes no answer about the one before.

use super::words::hashed;
use hashbrown::HashMap;

/// Most secrets, lives of them and groups that deleted one remembered; the longest untouched secrets go first.
/// Each is about 150 bytes.
const HELD_MAX: usize = 100_000;
/// Most groups that deleted one secret: each is looked for one by one. What further ones deleted is not looked
/// at again when it turns out who made the secret.
const GROUPS_MAX: usize = 1_000;
/// Most times a secret was made that are remembered; the earliest go first.
const LIVES_MAX: usize = 128;
/// Most reads of a secret remembered, 16 bytes each, for when it turns out later that it was made among
/// them; the earliest go first, and what they said of lives that were known stands.
const READS_MAX: usize = 64;
/// How many of them take the memory of a life.
const LIGHT: usize = 8;

/// What is known of each secret. Secrets and principals are kept as the hashes by which names are known.
#[derive(Debug, Default)]
pub(crate) struct Lives {
    secrets: HashMap<u64, Secret>,
    /// How many secrets, lives and groups there are.
    held: usize,
}

#[derive(Debug, Default)]
struct Secret {
    /// From one making to the next, in order.
    lives: Vec<Life>,
    /// When it was read and by whom, in order.
    reads: Vec<(i64, u64)>,
    /// Groups with a deletion of it and the earliest such, to be looked at again when its life
    /// turns out otherwise.
    groups: Vec<(Box<str>, i64)>,
    touched: i64,
}

/// A secret from when it was made until one of its name is made again.
#[derive(Clone, Debug, PartialEq)]
struct Life {
    made: i64,
    by: u64,
    /// When somebody else first read it.
    read: Option<i64>,
}

/// Groups to look at again, each from an event second on.
pub(crate) type Again = Vec<(Box<str>, i64)>;

impl Lives {
    fn secret(&mut self, secret: &str, at: i64) -> &mut Secret {
        if self.held >= HELD_MAX {
            self.forget_older_half();
        }
        let held = &mut self.held;
        let secret = self.secrets.entry(hashed(secret)).or_insert_with(|| {
            *held += 1;
            Secret::default()
        });
        secret.touched = secret.touched.max(at);
        secret
    }

    /// Forgets the secrets that were touched before the half of all, and of those left all when they have
    /// too many groups.
    fn forget_older_half(&mut self) {
        let mut times: Vec<i64> = self.secrets.values().map(|secret| secret.touched).collect();
        let middle = times.len() / 2;
        let (_, median, _) = times.select_nth_unstable(middle);
        let median = *median;
        self.secrets.retain(|_, secret| secret.touched > median);
        self.held = self.secrets.values().map(Secret::len).sum();
        if self.held > HELD_MAX / 4 * 3 {
            self.secrets.clear();
            self.held = 0;
        }
    }

    /// A secret was made; names the groups to look at again.
    pub(crate) fn created(&mut self, secret: &str, by: &str, at: i64) -> Again {
        let by = hashed(by);
        let secret = self.secret(secret, at);
        let before = secret.len();
        let again = if secret.make(at, by) { secret.since(at) } else { Vec::new() };
        let now = secret.len();
        self.held = self.held + now - before;
        again
    }

    /// A secret was read; names the groups to look at again.
    pub(crate) fn read(&mut self, secret: &str, by: &str, at: i64) -> Again {
        let by = hashed(by);
        let secret = self.secret(secret, at);
        let before = secret.len();
        secret.note_read(at, by);
        let life = secret.life_mut(at).filter(|life| life.by != by && life.read.is_none_or(|read| at < read));
        let changes = life.is_some();
        if let Some(life) = life {
            life.read = Some(at);
        }
        let again = if changes { secret.since(at) } else { Vec::new() };
        let now = secret.len();
        self.held = self.held + now - before;
        again
    }

    /// Whether it is known who made a secret before that second.
    pub(crate) fn is_made(&self, secret: &str, at: i64) -> bool {
        self.secrets.get(&hashed(secret)).is_some_and(|secret| secret.life(at).is_some())
    }

    /// A secret was deleted by an event of `group`.
    pub(crate) fn deleted(&mut self, secret: &str, at: i64, group: &str) {
        let secret = self.secret(secret, at);
        if let Some((_, earliest)) = secret.groups.iter_mut().find(|(known, _)| **known == *group) {
            *earliest = (*earliest).min(at);
        } else if secret.groups.len() < GROUPS_MAX {
            secret.groups.push((group.into(), at));
            self.held += 1;
        }
    }

    /// Whether `by`, deleting `secret` at `at`, made it within `within` seconds before and
    /// nobody else had read it.
    pub(crate) fn is_own_and_fresh(&self, secret: &str, by: &str, at: i64, within: i64) -> bool {
        let life = self.secrets.get(&hashed(secret)).and_then(|secret| secret.life(at));
        life.is_some_and(|life| {
            let is_read = life.read.is_some_and(|read| read <= at);
            at - life.made <= within && life.by == hashed(by) && !is_read
        })
    }
}

impl Secret {
    fn len(&self) -> usize {
        1 + self.lives.len().saturating_sub(1) + self.groups.len() + self.reads.len() / LIGHT
    }

    /// The life that had begun at `at`.
    fn life(&self, at: i64) -> Option<&Life> {
        self.lives.iter().rev().find(|life| life.made <= at)
    }

    fn life_mut(&mut self, at: i64) -> Option<&mut Life> {
        self.lives.iter_mut().rev().find(|life| life.made <= at)
    }

    /// It was made; whether that was not known. Of two who made it in one second it is the one whose name
    /// has the higher hash.
    fn make(&mut self, made: i64, by: u64) -> bool {
        let at = self.lives.partition_point(|life| life.made < made);
        let until = |next: Option<&Life>| next.map_or(i64::MAX, |life| life.made);
        if let Some(known) = self.lives.get(at).filter(|life| life.made == made) {
            let (changes, by) = (known.by < by, known.by.max(by));
            let read = self.other_read((made, until(self.lives.get(at + 1))), by);
            if let Some(known) = self.lives.get_mut(at).filter(|_| changes) {
                (known.by, known.read) = (by, read);
            }
            return changes;
        }
        let read = self.other_read((made, until(self.lives.get(at))), by);
        let earlier = at.checked_sub(1).and_then(|at| self.lives.get(at));
        let left = earlier.filter(|life| life.read.is_some_and(|read| read >= made));
        let left = left.map(|life| self.other_read((life.made, made), life.by));
        if let (Some(left), Some(life)) = (left, at.checked_sub(1).and_then(|at| self.lives.get_mut(at))) {
            life.read = left;
        }
        self.lives.insert(at, Life { made, by, read });
        if self.lives.len() > LIVES_MAX {
            self.lives.remove(0);
        }
        true
    }

    fn note_read(&mut self, at: i64, by: u64) {
        if let Err(place) = self.reads.binary_search(&(at, by)) {
            self.reads.insert(place, (at, by));
            if self.reads.len() > READS_MAX {
                self.reads.remove(0);
            }
        }
    }

    /// When somebody else than `by` first read it from one second on until before another.
    fn other_read(&self, (from, until): (i64, i64), by: u64) -> Option<i64> {
        let since = self.reads.partition_point(|(at, _)| *at < from);
        let mut reads = self.reads.iter().skip(since).take_while(|(at, _)| *at < until);
        reads.find(|(_, reader)| *reader != by).map(|(at, _)| *at)
    }

    /// Groups whose deletions are judged otherwise, of those at that second or after it.
    fn since(&self, at: i64) -> Again {
        self.groups.iter().map(|(group, earliest)| (group.clone(), at.max(*earliest))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(events: &[(&str, &str, i64)]) -> bool {
        let mut lives = Lives::default();
        for (what, who, at) in events {
            match *what {
                "create" => drop(lives.created("s", who, *at)),
                _ => drop(lives.read("s", who, *at)),
            }
        }
        lives.is_own_and_fresh("s", "ci", 1000, 600)
    }

    #[test]
    fn secrets_and_those_who_delete_them_are_bounded_and_the_latest_stay() {
        let mut lives = Lives::default();
        for n in 0..250_000_i64 {
            lives.created(&format!("s{n}"), "ci", n);
            assert!(lives.held <= HELD_MAX);
        }
        assert!(lives.is_own_and_fresh("s249999", "ci", 250_000, 60));
        for n in 0..110_000_i64 {
            lives.deleted(&format!("d{}", n / 400), 250_000 + n, &format!("g{n}"));
            if n % 100 == 0 {
                lives.created(&format!("d{}", n / 400), "ci", n);
            }
            assert!(lives.held <= HELD_MAX);
        }
        assert_eq!(lives.held, lives.secrets.values().map(Secret::len).sum::<usize>());
        assert!(lives.secrets.values().all(|secret| secret.lives.len() <= LIVES_MAX));
    }

    #[test]
    fn only_a_fresh_secret_nobody_else_read_is_ones_own() {
        assert!(own(&[("create", "ci", 900)]));
        assert!(own(&[("create", "ci", 900), ("read", "ci", 950)]));
        assert!(own(&[("read", "old", 100), ("create", "ci", 900)]));
        assert!(!own(&[("create", "ci", 900), ("read", "app", 950)]));
        assert!(!own(&[
            ("read", "app", 950),
            ("read", "ci", 960),
            ("create", "ci", 900),
            ("read", "ci", 990)
        ]));
        assert!(!own(&[("read", "app", 950), ("read", "b", 100), ("create", "ci", 900)]));
        assert!(!own(&[("create", "ci", 300)]));
        assert!(!own(&[("create", "eve", 900)]));
        assert!(!own(&[]));
    }

    #[test]
    fn that_a_secret_was_made_may_be_told_when_it_was_read_already() {
        let reads = [("read", "app", 100), ("read", "app", 950), ("read", "app", 1200)];
        assert!(!own(&[&reads[..], &[("create", "ci", 900)]].concat()));
        assert!(own(&[&reads[..], &[("create", "ci", 960)]].concat()));
        assert!(!own(&[&reads[..], &[("create", "ci", 900), ("create", "ci", 1100)]].concat()));
        assert!(!own(&[&reads[..], &[("create", "ci", 1100), ("create", "ci", 900)]].concat()));
    }

    #[test]
    fn what_happens_to_a_secret_of_the_same_name_later_changes_nothing() {
        assert!(own(&[("create", "ci", 900), ("create", "ci", 1500)]));
        assert!(own(&[("create", "ci", 900), ("create", "eve", 1500), ("read", "app", 1600)]));
        assert!(own(&[("create", "ci", 900), ("read", "app", 1001)]));
        assert!(own(&[("create", "eve", 300), ("read", "app", 400), ("create", "ci", 900)]));
        assert!(!own(&[("create", "ci", 900), ("create", "eve", 950)]));
        assert!(!own(&[("create", "ci", 900), ("create", "ci", 1500), ("read", "app", 950)]));
    }
}
