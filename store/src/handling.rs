//! What people do with alerts: acknowledge, resolve, reopen.
//!
//! Invariant: nobody buries what nobody has seen. A person acts on the revision of the alert they
//! were shown, and an alert that has changed since is not resolved; an acknowledgement, which hides
//! nothing, still holds when only evidence was added. Every action is in the alert's history with
//! who did it, in the transaction that does it.

use crate::alerts::{Known, News, Telling};
use crate::codes::Coded;
use crate::commit::nanos;
use crate::tell::{Cancels, Following};
use crate::{AlertStatus, DeliveryKind, Routing, Store, StoreError, UNDO_SECS};
use chrono::{DateTime, Utc};

/// Most alerts one call acts on: as many as a page lists.
pub const HANDLED_MAX: usize = 200;
/// Longest name of a person and longest note, in characters; longer ones are cut.
pub const WHO_CHARS_MAX: usize = 100;
/// Longest note, in characters.
pub const NOTE_CHARS_MAX: usize = 2000;

/// Why somebody is done with an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Resolution {
    /// The rule was wrong.
    FalsePositive,
    /// It was an attack, and has been dealt with.
    Malicious,
    /// Somebody was testing.
    Testing,
    /// It happened, and is harmless.
    Benign,
    /// Another alert says the same.
    Duplicate,
    /// Something else; the note says what.
    Other,
}

impl Resolution {
    /// Every reason.
    pub const ALL: &'static [Self] =
        &[Self::FalsePositive, Self::Malicious, Self::Testing, Self::Benign, Self::Duplicate, Self::Other];

    /// The word used in forms and messages.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::FalsePositive => "false_positive",
            Self::Malicious => "malicious",
            Self::Testing => "testing",
            Self::Benign => "benign",
            Self::Duplicate => "duplicate",
            Self::Other => "other",
        }
    }
}

/// What a person does with an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Looks after it.
    Acknowledge,
    /// Is done with it.
    Resolve(Resolution),
    /// Takes it up again.
    Reopen,
}

/// An action with who does it.
#[derive(Clone, Copy, Debug)]
pub struct Handling<'h> {
    /// What is done.
    pub action: Action,
    /// The person.
    pub who: &'h str,
    /// What they have to say; may be empty.
    pub note: &'h str,
    /// When.
    pub now: DateTime<Utc>,
    /// The number [`Store::begin_action`] gave, when it can be undone: then receivers are told
    /// [`UNDO_SECS`] later.
    pub undoable: Option<i64>,
}

/// What became of an action on one alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handled {
    /// It was done.
    Done,
    /// The alert was in that state already.
    Already,
    /// The alert has changed since it was shown: look again.
    Changed,
    /// An alert in this status cannot be handled so.
    Impossible(AlertStatus),
    /// There is no such alert.
    Unknown,
}

impl Store {
    /// Does the same with several alerts, each given as its id and the revision a person saw; one
    /// transaction, one answer each, in order. At most [`HANDLED_MAX`]; what comes after them is
    /// not looked at.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be written; then nothing was done.
    pub async fn handle(
        &self,
        alerts: &[(String, u32)],
        handling: &Handling<'_>,
        routing: &dyn Routing,
    ) -> Result<Vec<Handled>, StoreError> {
        let failed = |source| self.failed("act on an alert", source);
        let mut work = self.begin().await?;
        let now = nanos(handling.now);
        let mut answers = Vec::with_capacity(alerts.len());
        for (id, revision) in alerts.iter().take(HANDLED_MAX) {
            let mut telling = Telling { conn: &mut work.desk.conn, routing, now, decided_at: now };
            let found = telling.find_named(id).await.map_err(failed)?;
            answers.push(match found {
                None => Handled::Unknown,
                Some(known) => telling.handle(&known, *revision, handling).await.map_err(failed)?,
            });
        }
        work.commit().await.map_err(failed)?;
        Ok(answers)
    }
}

impl Telling<'_> {
    async fn handle(
        &mut self,
        known: &Known,
        seen: u32,
        handling: &Handling<'_>,
    ) -> Result<Handled, sqlx::Error> {
        let status = AlertStatus::from_code(known.status)?;
        let answer = answer_to(handling.action, status, known.revision == i64::from(seen));
        if answer == Handled::Done {
            self.carry_out(known, handling).await?;
        }
        Ok(answer)
    }

    async fn carry_out(&mut self, known: &Known, handling: &Handling<'_>) -> Result<(), sqlx::Error> {
        let who: String = handling.who.chars().take(WHO_CHARS_MAX).collect();
        let said: String = handling.note.trim().chars().take(NOTE_CHARS_MAX).collect();
        if let Some(action) = handling.undoable {
            self.remember(action, known.seq).await?;
        }
        self.store_status(known, handling, &who).await?;
        let news = News { revision: known.revision + 1, ..known.news()? };
        let words = words_of(handling.action, &who, &said);
        match handling.action {
            Action::Acknowledge => {
                self.note_by(known.seq, "acknowledged", &said, Some(&who)).await?;
                let kind = DeliveryKind::AlertAcknowledged;
                let (cancels, action) = (Cancels::Urging, handling.undoable);
                self.follow(&news, &Following { kind, note: &words, cancels, action }).await
            }
            Action::Resolve(why) => {
                let detail = if said.is_empty() {
                    why.as_str().to_owned()
                } else {
                    format!("{}: {said}", why.as_str())
                };
                self.note_by(known.seq, "resolved", &detail, Some(&who)).await?;
                let kind = DeliveryKind::AlertResolved;
                let cancels = Cancels::Everything;
                let action = handling.undoable;
                self.follow(&news, &Following { kind, note: &words, cancels, action }).await
            }
            Action::Reopen => {
                self.note_by(known.seq, "reopened", &said, Some(&who)).await?;
                let wait_secs = handling.undoable.map_or(0, |_| UNDO_SECS);
                self.tell(&news, DeliveryKind::AlertOpened, wait_secs, Some(&words)).await?;
                self.mark(handling.undoable, known.seq).await
            }
        }
    }

    /// Marks the messages of a reopening as those of an action.
    async fn mark(&mut self, action: Option<i64>, seq: i64) -> Result<(), sqlx::Error> {
        sqlx::query("UPDATE outbox SET action = ?1 WHERE ?1 IS NOT NULL AND alert = ?2 AND created_at = ?3")
            .bind(action)
            .bind(seq)
            .bind(self.now)
            .execute(&mut *self.conn)
            .await?;
        Ok(())
    }

    async fn store_status(
        &mut self,
        known: &Known,
        handling: &Handling<'_>,
        who: &str,
    ) -> Result<(), sqlx::Error> {
        let (set, status, resolution) = match handling.action {
            Action::Acknowledge => {
                ("acknowledged_by = ?5, acknowledged_at = ?3", AlertStatus::Acknowledged, None)
            }
            Action::Resolve(why) => {
                ("resolved_by = ?5, resolved_at = ?3, resolution = ?4", AlertStatus::Resolved, Some(why))
            }
            Action::Reopen => (
                "regressed = 0, acknowledged_by = NULL, acknowledged_at = NULL, open_since = ?3",
                AlertStatus::Open,
                None,
            ),
        };
        let update = format!(
            "UPDATE alerts SET status = ?1, revision = revision + 1, changed_at = ?3, {set} WHERE seq = ?2"
        );
        sqlx::query(sqlx::AssertSqlSafe(update))
            .bind(status.code())
            .bind(known.seq)
            .bind(self.now)
            .bind(resolution.map(Coded::code))
            .bind(who)
            .execute(&mut *self.conn)
            .await?;
        Ok(())
    }
}

/// Whether an action may be done. Pure.
const fn answer_to(action: Action, status: AlertStatus, unchanged: bool) -> Handled {
    match (action, status) {
        (_, AlertStatus::Withdrawn) | (Action::Acknowledge, AlertStatus::Resolved) => {
            Handled::Impossible(status)
        }
        (Action::Acknowledge, AlertStatus::Acknowledged)
        | (Action::Resolve(_), AlertStatus::Resolved)
        | (Action::Reopen, AlertStatus::Open) => Handled::Already,
        (Action::Acknowledge, AlertStatus::Open) => Handled::Done,
        (Action::Resolve(_) | Action::Reopen, _) if unchanged => Handled::Done,
        (Action::Resolve(_) | Action::Reopen, _) => Handled::Changed,
    }
}

/// What receivers are told beside the alert.
fn words_of(action: Action, who: &str, said: &str) -> String {
    let what = match action {
        Action::Acknowledge => format!("acknowledged by {who}"),
        Action::Resolve(why) => format!("resolved by {who} as {}", why.as_str()),
        Action::Reopen => format!("reopened by {who}"),
    };
    if said.is_empty() { what } else { format!("{what}: {said}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(action: Action, status: AlertStatus, unchanged: bool, want: Handled) {
        assert_eq!(answer_to(action, status, unchanged), want, "{action:?} {status:?} {unchanged}");
    }

    #[test]
    fn nobody_resolves_what_has_changed_since_they_looked() {
        let resolve = Action::Resolve(Resolution::Benign);
        check(resolve, AlertStatus::Open, true, Handled::Done);
        check(resolve, AlertStatus::Acknowledged, true, Handled::Done);
        check(resolve, AlertStatus::Open, false, Handled::Changed);
        check(resolve, AlertStatus::Resolved, false, Handled::Already);
        check(Action::Reopen, AlertStatus::Resolved, false, Handled::Changed);
    }

    #[test]
    fn an_acknowledgement_holds_whatever_evidence_was_added_meanwhile() {
        check(Action::Acknowledge, AlertStatus::Open, false, Handled::Done);
        check(Action::Acknowledge, AlertStatus::Acknowledged, true, Handled::Already);
        check(Action::Acknowledge, AlertStatus::Resolved, true, Handled::Impossible(AlertStatus::Resolved));
    }

    #[test]
    fn what_was_explained_is_nobodys_any_more() {
        for action in [Action::Acknowledge, Action::Resolve(Resolution::Other), Action::Reopen] {
            check(action, AlertStatus::Withdrawn, true, Handled::Impossible(AlertStatus::Withdrawn));
        }
    }
}
