//! The plain attacks of the catalogue, each with the rules that should tell of it.

mod aws;
mod azure;
mod every;
mod gcp;
mod vault;

use crate::scenario::{DAY, HOUR, Log, MINUTE};

/// One attack: what it is called, the rules of which at least one should open on it, the level it
/// should reach, and how it goes.
pub(crate) struct Attack {
    pub(crate) name: String,
    pub(crate) rules: &'static [&'static str],
    pub(crate) level: u8,
    play: Play,
}

/// Writes an attack that begins at a time.
type Play = Box<dyn Fn(&mut Log, i64)>;

pub(crate) const WARNING: u8 = 2;
pub(crate) const HIGH: u8 = 3;
pub(crate) const CRITICAL: u8 = 4;

impl Attack {
    fn new(
        name: &str,
        rules: &'static [&'static str],
        level: u8,
        play: impl Fn(&mut Log, i64) + 'static,
    ) -> Self {
        Self { name: name.to_owned(), rules, level, play: Box::new(play) }
    }

    /// Writes the attack, and the past of those it uses, into `log`; it begins `at`.
    pub(crate) fn stage(&self, log: &mut Log, at: i64) {
        (self.play)(log, at);
    }
}

/// Every attack, with the names of its records' labels equal to its own.
pub(crate) fn all() -> Vec<Attack> {
    let mut attacks = every::attacks();
    attacks.extend(aws::attacks());
    attacks.extend(gcp::attacks());
    attacks.extend(azure::attacks());
    attacks.extend(vault::attacks());
    attacks
}

/// When the attack `n` of the list begins: over eight days, each at an hour of its own.
pub(crate) fn begins(n: usize) -> i64 {
    let n = i64::try_from(n).unwrap_or(0);
    (16 + n % 8) * DAY + 5 * HOUR + n / 8 * 57 * MINUTE + n % 7 * 13
}
