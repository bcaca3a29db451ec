//! The short lives of secrets: who made one, and who read it.
//!
//! Answers one question, exactly and in any order of arrival: did this principal make this
//! secret a moment before, and did nobody else read it since?

use super::words::hashed;
use hashbrown::HashMap;

/// Most secrets remembered; the longest untouched go first. One is about 130 bytes.
const SECRETS_MAX: usize = 100_000;

/// What is known of each secret. Secrets and principals are kept as the hashes by which names are known.
#[derive(Debug, Default)]
pub(crate) struct Lives {
    secrets: HashMap<u64, Life>,
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
        let secret = hashed(secret);
        if self.secrets.len() >= SECRETS_MAX && !self.secrets.contains_key(&secret) {
            self.forget_older_half();
        }
        let life = self.secrets.entry(secret).or_default();
        life.touched = life.touched.max(at);
        life
    }

    fn forget_older_half(&mut self) {
        let mut times: Vec<i64> = self.secrets.values().map(|life| life.touched).collect();
        let middle = times.len() / 2;
        let (_, median, _) = times.select_nth_unstable(middle);
        let median = *median;
        self.secrets.retain(|_, life| life.touched > median);
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
        match life.groups.iter_mut().find(|(known, _)| **known == *group) {
            Some((_, earliest)) => *earliest = (*earliest).min(at),
            None => life.groups.push((group.into(), at)),
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
