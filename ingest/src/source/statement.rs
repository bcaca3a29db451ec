//! What a source states about itself that must raise an alert, until the service has taken it.
//!
//! Invariant: bounded. Statements about the same subject become one; of too many subjects the rest
//! is told of the source as a whole.

use keywatch_event::Observed;

/// Subjects that wait at once. The service takes them every second or with each batch; one is at
/// most a few hundred bytes.
const WAITING_MAX: usize = 100;

/// Something a source states about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// What is noticed.
    pub observed: Observed,
    /// What part of the source it is about; empty for all of it.
    pub subject: String,
    /// What happened, and the remedy.
    pub text: String,
    /// Whether it happened or stands.
    pub stated: Stated,
}

impl Statement {
    fn is_about(&self, other: &Self) -> bool {
        self.observed == other.observed && self.subject == other.subject
    }
}

/// How a statement is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stated {
    /// It happened, so often.
    Happened(u64),
    /// It is so, until it is said to be over.
    Stands,
    /// It is so no longer.
    Over,
}

/// Statements nobody has taken yet.
#[derive(Clone, Debug, Default)]
pub(super) struct Statements(Vec<Statement>);

impl Statements {
    /// Adds one; the latest text about a subject stands.
    pub(super) fn add(&mut self, mut statement: Statement) {
        let is_full = self.0.len() >= WAITING_MAX;
        if is_full && !self.0.iter().any(|one| one.is_about(&statement)) {
            statement.subject.clear();
        }
        match self.0.iter_mut().find(|one| one.is_about(&statement)) {
            Some(known) => {
                known.stated = match (known.stated, statement.stated) {
                    (Stated::Happened(before), Stated::Happened(more)) => Stated::Happened(before + more),
                    (_, stated) => stated,
                };
                known.text = statement.text;
            }
            None => self.0.push(statement),
        }
    }

    /// Everything, in the order it was first said.
    pub(super) fn take(&mut self) -> Vec<Statement> {
        std::mem::take(&mut self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn happened(subject: &str, text: &str) -> Statement {
        let (subject, text) = (subject.to_owned(), text.to_owned());
        Statement { observed: Observed::Gap, subject, text, stated: Stated::Happened(1) }
    }

    #[test]
    fn what_is_said_again_of_a_subject_is_counted_and_its_latest_words_stand() {
        let mut statements = Statements::default();
        statements.add(happened("a", "first"));
        statements.add(happened("b", "other"));
        statements.add(happened("a", "second"));
        let stood = Statement { stated: Stated::Happened(2), ..happened("a", "second") };
        assert_eq!(statements.take(), [stood, happened("b", "other")]);
        assert!(statements.take().is_empty());
    }

    #[test]
    fn a_flood_of_subjects_is_told_of_the_source_as_a_whole() {
        let mut statements = Statements::default();
        for number in 0..WAITING_MAX + 50 {
            statements.add(happened(&number.to_string(), "x"));
        }
        let taken = statements.take();
        assert_eq!(taken.len(), WAITING_MAX + 1);
        assert_eq!(taken[WAITING_MAX].stated, Stated::Happened(50));
    }
}
