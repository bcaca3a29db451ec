//! The short lives of secrets: who made one, and who read it.
//!
//! Answers one question, exactly and in any order of arrival: did this principal make this
//! secret a moment before, and did nobody else read it since?

use super::words::hashed;
use hashbrown::HashMap;

/// Most secrets and groups that deleted one remembered; the longest untouched secrets go first. Each is about
/// 130 bytes.
const HELD_MAX: usize = 100_000;
/// Most groups that deleted one secret: each is looked for one by one. What further ones deleted is not looked
/// at again when it turns out who made the secret.
const GROUPS_MAX: usize = 1_000;

/// What is known of each secret. Secrets and principals are kept as the hashes by which names are known.
#[derive(Debug, Default)]
pub(crate) struct Lives {
    secrets: HashMap<u64, Life>,
    /// How many secrets and groups there are.
    held: usize,
}

#[derive(Debug, Default)]
struct Life {
    /// Latest creation and by whom.
    created: Option<(i64, u64)>,
    /// The two distinct readers that read last, the latest first, with the time of their last
    /// read: enough to tell whether anybody but one given principal read after a given time.
    readers: [Option<(u64, i64)>; 2],
    /// Groups with a deletion of it and the earliest such, to be looked at again when its life
    /// turns out otherwise.
    groups: Vec<(Box<str>, i64)>,
    touched: i64,
}

/// Groups to look at again, each from an event second on.
pub(crate) type Again = Vec<(Box<str>, i64)>;

impl Lives {
    fn life(&mut self, secret: &str, at: i64) -> &mut Life {
        if self.held >= HELD_MAX {
            self.forget_older_half();
        }
        let held = &mut self.held;
        let life = self.secrets.entry(hashed(secret)).or_insert_with(|| {
            *held += 1;
            Life::default()
        });
        life.touched = life.touched.max(at);
        life
    }

    /// Forgets the secrets that were touched before the half of all, and of those left all when they have
    /// too many groups.
    fn forget_older_half(&mut self) {
        let mut times: Vec<i64> = self.secrets.values().map(|life| life.touched).collect();
        let middle = times.len() / 2;
        let (_, median, _) = times.select_nth_unstable(middle);
        let median = *median;
        self.secrets.retain(|_, life| life.touched > median);
        self.held = self.secrets.values().map(|life| 1 + life.groups.len()).sum();
        if self.held > HELD_MAX / 4 * 3 {
            self.secrets.clear();
            self.held = 0;
        }
    }

    /// A secret was made; names the groups to look at again.
    pub(crate) fn created(&mut self, secret: &str, by: &str, at: i64) -> Again {
        let by = hashed(by);
        let life = self.life(secret, at);
        let before = life.own();
        if life.created.is_none_or(|before| before < (at, by)) {
            life.created = Some((at, by));
        }
        life.again(before)
    }

    /// A secret was read; names the groups to look at again.
    pub(crate) fn read(&mut self, secret: &str, by: &str, at: i64) -> Again {
        let by = hashed(by);
        let life = self.life(secret, at);
        let before = life.own();
        life.readers = match life.readers {
            [Some((reader, last)), other] if reader == by => [Some((by, last.max(at))), other],
            [first, Some((reader, last))] if reader == by => [first, Some((by, last.max(at)))],
            [first, second] if second.is_none_or(|(_, last)| last < at) => [first, Some((by, at))],
            both => both,
        };
        if let [Some((_, first)), Some((_, second))] = life.readers
            && first < second
        {
            life.readers.swap(0, 1);
        }
        if let [None, Some(_)] = life.readers {
            life.readers.swap(0, 1);
        }
        life.again(before)
    }

    /// A secret was deleted by an event of `group`.
    pub(crate) fn deleted(&mut self, secret: &str, at: i64, group: &str) {
        let life = self.life(secret, at);
        if let Some((_, earliest)) = life.groups.iter_mut().find(|(known, _)| **known == *group) {
            *earliest = (*earliest).min(at);
        } else if life.groups.len() < GROUPS_MAX {
            life.groups.push((group.into(), at));
            self.held += 1;
        }
    }

    /// Whether `by`, deleting `secret` at `at`, made it within `within` seconds before and
    /// nobody else read it since.
    pub(crate) fn is_own_and_fresh(&self, secret: &str, by: &str, at: i64, within: i64) -> bool {
        let own = self.secrets.get(&hashed(secret)).and_then(Life::own);
        own.is_some_and(|(created, maker)| (0..=within).contains(&(at - created)) && maker == hashed(by))
    }
}

impl Life {
    /// When it was made and by whom, if nobody else read it since: all that matters to deletions.
    fn own(&self) -> Option<(i64, u64)> {
        let (created, maker) = self.created?;
        let others = self.readers.iter().flatten();
        let read = others.into_iter().any(|(reader, last)| *reader != maker && *last >= created);
        (!read).then_some((created, maker))
    }

    /// Groups whose deletions are judged otherwise than by what it was before: those after it was made.
    fn again(&self, before: Option<(i64, u64)>) -> Again {
        let now = self.own();
        if now == before {
            return Vec::new();
        }
        let since = before.into_iter().chain(now).map(|(created, _)| created).min().unwrap_or(i64::MIN);
        self.groups.iter().map(|(group, earliest)| (group.clone(), since.max(*earliest))).collect()
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
            assert!(lives.held <= HELD_MAX);
        }
        assert_eq!(lives.held, lives.secrets.values().map(|life| 1 + life.groups.len()).sum::<usize>());
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
        assert!(!own(&[
            ("read", "app", 950),
            ("read", "b", 100),
            ("read", "ci", 960),
            ("create", "ci", 900)
        ]));
        assert!(!own(&[("create", "ci", 300)]));
        assert!(!own(&[("create", "eve", 900)]));
        assert!(!own(&[]));
    }
}
