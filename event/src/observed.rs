//! What is noticed about a source of events, rather than about an event.

use crate::UnknownName;
use std::fmt;
use std::str::FromStr;

/// Something about a source that somebody must know. Rules with `keywatch.observed` say how urgent
/// each is and what to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Observed {
    /// A source that spoke steadily stopped.
    Silence,
    /// What a source brings is older than it usually is, and not catching up.
    Lag,
    /// A source brings more records that cannot be read than it usually does.
    Rejects,
    /// Records are lost to a source: it was away for too long, or a file was truncated.
    Gap,
    /// A message could not be read in all the tries it has.
    GivenUp,
    /// What proves that a log is whole proves the opposite: a digest, a signature, a hash.
    Integrity,
    /// There is no room for what is pushed to a source: it is refused, or dropped and counted.
    Full,
    /// What a source brought and could not be read held secret values; they were replaced.
    Leak,
    /// A record could be neither judged nor kept as an event, for a defect of Keywatch's own.
    Defect,
}

impl Observed {
    /// Every one, in the order of their declaration.
    pub const ALL: &'static [Self] = &[
        Self::Silence,
        Self::Lag,
        Self::Rejects,
        Self::Gap,
        Self::GivenUp,
        Self::Integrity,
        Self::Full,
        Self::Leak,
        Self::Defect,
    ];
    /// Their names, in the same order.
    pub const NAMES: &'static [&'static str] =
        &["silence", "lag", "rejects", "gap", "given_up", "integrity", "full", "leak", "defect"];

    /// Its name, as rules write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Silence => "silence",
            Self::Lag => "lag",
            Self::Rejects => "rejects",
            Self::Gap => "gap",
            Self::GivenUp => "given_up",
            Self::Integrity => "integrity",
            Self::Full => "full",
            Self::Leak => "leak",
            Self::Defect => "defect",
        }
    }
}

impl fmt::Display for Observed {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(self.as_str())
    }
}

impl FromStr for Observed {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, UnknownName> {
        let found = Self::ALL.iter().find(|one| one.as_str() == name).copied();
        found.ok_or_else(|| UnknownName { name: name.to_owned(), known: Self::NAMES })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_reads_back() {
        for (one, name) in Observed::ALL.iter().zip(Observed::NAMES) {
            assert_eq!(one.as_str(), *name);
            assert_eq!(name.parse(), Ok(*one));
        }
        assert_eq!(Observed::ALL.len(), Observed::NAMES.len());
    }
}
