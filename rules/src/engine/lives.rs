//! The short lives of secrets: who made one, and who read it.
//!
//! Answers one question, exactly and in any order of arrival: did this principal make this
//! secret a moment before, and did nobody else read it since?

use hashbrown::{HashMap, HashSet};

/// Most secrets remembered; the longest untouched go first.
const SECRETS_MAX: usize = 100_000;

/// What is known of each secret.
#[derive(Debug, Default)]
pub(crate) struct Lives {
    secrets: HashMap<Box<str>, Life>,
}

#[derive(Debug, Default)]
struct Life {
    /// Latest creation and by whom.
    created: Option<(i64, Box<str>)>,
    /// The two distinct readers that read last, with the time of their last read: enough to
    /// tell whether anybody but one given principal read after a given time.
    readers: Vec<(Box<str>, i64)>,
    /// Groups with a deletion of it, to be looked at again when its life turns out otherwise.
    groups: HashSet<String>,
    touched: i64,
}

impl Lives {
    fn life(&mut self, secret: &str, at: i64) -> &mut Life {
        if self.secrets.len() >= SECRETS_MAX && !self.secrets.contains_key(secret) {
            self.forget_older_half();
        }
        let life = self.secrets.entry_ref(secret).or_default();
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
    pub(crate) fn created(&mut self, secret: &str, by: &str, at: i64) -> Vec<String> {
        let life = self.life(secret, at);
        if life.created.as_ref().is_none_or(|(before, _)| *before < at) {
            life.created = Some((at, by.into()));
        }
        life.groups.iter().cloned().collect()
    }

    /// A secret was read; names the groups to look at again.
    pub(crate) fn read(&mut self, secret: &str, by: &str, at: i64) -> Vec<String> {
        let life = self.life(secret, at);
        match life.readers.iter_mut().find(|(reader, _)| **reader == *by) {
            Some((_, last)) => *last = (*last).max(at),
            None => life.readers.push((by.into(), at)),
        }
        life.readers.sort_by(|a, b| (b.1, &a.0).cmp(&(a.1, &b.0)));
        life.readers.truncate(2);
        life.groups.iter().cloned().collect()
    }

    /// A secret was deleted by an event of `group`.
    pub(crate) fn deleted(&mut self, secret: &str, at: i64, group: &str) {
        self.life(secret, at).groups.insert(group.to_owned());
    }

    /// Whether `by`, deleting `secret` at `at`, made it within `within` seconds before and
    /// nobody else read it since.
    pub(crate) fn is_own_and_fresh(&self, secret: &str, by: &str, at: i64, within: i64) -> bool {
        let Some(life) = self.secrets.get(secret) else { return false };
        let Some((created, maker)) = &life.created else { return false };
        let fresh = (0..=within).contains(&(at - created)) && **maker == *by;
        fresh && !life.readers.iter().any(|(reader, last)| **reader != *by && last >= created)
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
        assert!(!own(&[("create", "ci", 300)]));
        assert!(!own(&[("create", "eve", 900)]));
        assert!(!own(&[]));
    }
}
