//! The one line an alert is known by: what happened, to which secret, by whom.

use super::notes::Notes;
use super::sessions::Acted;
use crate::rule::Rule;
use keywatch_event::SecretRef;

pub(super) fn of(rule: &Rule, secrets: &[SecretRef<'_>], who: &Acted<'_>, notes: &Notes<'_>) -> String {
    let what = match secrets {
        [] => String::new(),
        [one] => format!(": {}", one.name),
        many => format!(": {} secrets", many.len()),
    };
    let who = who.in_title().map(|who| format!(" {} {who}", if rule.tried { "as" } else { "by" }));
    format!("{}{what}{}{}", rule.title, who.unwrap_or_default(), notes.in_title(secrets.len()))
}
