//! What was handed out of one source and what the store has confirmed of it.

use super::mark::{Mark, Position};
use crate::Advance;
use std::collections::VecDeque;

/// The book of one source.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    committed: Option<String>,
    sent: Option<String>,
    sent_marks: Vec<Mark>,
    in_flight: VecDeque<InFlight>,
}

#[derive(Debug)]
struct InFlight {
    to: String,
    marks: Vec<(u64, Mark)>,
}

impl Ledger {
    /// With what the store holds.
    pub(super) fn committed(position: String, marks: Vec<Mark>) -> Self {
        Self {
            sent: Some(position.clone()),
            committed: Some(position),
            sent_marks: marks,
            in_flight: VecDeque::new(),
        }
    }

    /// The step from what was handed out before to `marks`, if that is one.
    pub(super) fn advance(&mut self, source: &str, marks: Vec<(u64, Mark)>) -> Option<Advance> {
        let same = self.sent_marks.len() == marks.len()
            && self.sent_marks.iter().zip(&marks).all(|(sent, (_, mark))| sent.same_progress(mark));
        if same {
            return None;
        }
        let files: Vec<Mark> = marks.iter().map(|(_, mark)| mark.clone()).collect();
        let position = Position { files };
        let to = serde_json::to_string(&position).ok()?;
        self.sent_marks = position.files;
        let from = self.sent.replace(to.clone());
        self.in_flight.push_back(InFlight { to: to.clone(), marks });
        Some(Advance { source: source.to_owned(), from, to })
    }

    /// The marks that are stored now that `to` is; empty when it was never handed out.
    pub(super) fn acknowledge(&mut self, to: &str) -> Vec<(u64, Mark)> {
        let Some(at) = self.in_flight.iter().position(|sent| sent.to == to) else { return Vec::new() };
        self.in_flight.drain(..at);
        let marks = self.in_flight.pop_front().map(|sent| sent.marks);
        self.committed = Some(to.to_owned());
        marks.unwrap_or_default()
    }

    /// Forgets what was handed out and not stored; `marks` are those that are.
    pub(super) fn reset(&mut self, marks: Vec<Mark>) {
        self.sent.clone_from(&self.committed);
        self.sent_marks = marks;
        self.in_flight.clear();
    }
}
