//! The one line an alert is known by: what happened, to which secret, by whom.

use super::notes::Notes;
use super::sessions::Acted;
use super::things::Things;
use crate::rule::{Count, Counted, Rule};
use keywatch_event::SecretRef;

pub(super) fn of(
    rule: &Rule,
    count: &Count,
    (secrets, things): (&[SecretRef<'_>], &Things),
    (who, notes): (&Acted<'_>, &Notes<'_>),
) -> String {
    let what = match secrets {
        [] => String::new(),
        [one] => format!(": {}", one.name),
        _ => format!(": {}", things.words()),
    };
    // Of two in a sequence the first did what comes first.
    let in_turn = matches!(count.condition.of, Counted::Ordered(_)) && !rule.tried;
    let who = who.in_title(in_turn).unwrap_or_default();
    let notes = notes.in_title(secrets.len(), &who);
    let acted = match (who.as_str(), rule.tried) {
        ("", _) => who,
        (_, true) => format!(" as {who}"),
        (_, false) => format!(" by {who}"),
    };
    format!("{}{what}{acted}{notes}", rule.title)
}
