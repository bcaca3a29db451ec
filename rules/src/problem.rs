//! What is wrong with a file people write, where, and what to write instead.

use serde::Serialize;
use std::fmt;

/// One mistake in a rule or configuration file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The file.
    pub file: String,
    /// Line, from 1; 0 when `file` is no file but a variable or a flag.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What is wrong.
    pub message: String,
    /// What to write instead; empty when the message says it.
    pub remedy: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(out, "{}: {}", self.file, self.message)?,
            line => write!(out, "{}:{line}:{}: {}", self.file, self.column, self.message)?,
        }
        if self.remedy.is_empty() { Ok(()) } else { write!(out, "; {}", self.remedy) }
    }
}

impl std::error::Error for Problem {}

/// The word of `known` nearest to `written`, when it is near enough to be a slip of the hand.
#[must_use]
pub fn nearest<'k>(written: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let scored = known.into_iter().map(|word| (strsim::damerau_levenshtein(written, word), word));
    let (distance, word) = scored.min_by_key(|(distance, _)| *distance)?;
    (distance <= 2.max(word.chars().count() / 3)).then_some(word)
}

/// The remedy for an unknown word: the near spelling, or the whole list.
#[must_use]
pub fn suggest(written: &str, known: &[&str]) -> String {
    match nearest(written, known.iter().copied()) {
        Some(word) => format!("did you mean `{word}`?"),
        None => format!("known here: {}", known.join(", ")),
    }
}
