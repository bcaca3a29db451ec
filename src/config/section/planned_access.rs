//! Access that is announced: a drill, a migration, a test of an emergency account.
//!
//! Every entry ends by itself and says why; one that is over is no mistake and covers nothing.

use crate::config::frame::{Key, Kind, Node, Origin, Problems, Setting, need, section};
use keywatch_event::EventTime;
use keywatch_rules::Planned;
use keywatch_rules::pattern::Pattern;

const TIME: &str = "write it as 2026-01-31T12:00:00Z or 2026-01-31";

section! {
    /// One announcement. It covers what fits both `principal` and `secret`.
    pub(crate) struct PlannedAccess {
        /// Whose access: an id or a name; `*` and `?` are wildcards.
        principal: Option<Subject>,
        /// To which secrets: an id or a name; `*` and `?` are wildcards.
        secret: Option<Subject>,
        /// When it begins: a day or a time. Without it: long ago.
        from: Option<Start>,
        /// When it ends: a day, to its end, or a time.
        to: End = need("say when it ends; access without an end is not planned"),
        /// Why, for whoever asks later.
        reason: String = need("say why, for whoever asks later"),
    }
    check: check;
}

fn check(planned: &PlannedAccess, at: &Origin, problems: &Problems) {
    if planned.principal.is_none() && planned.secret.is_none() {
        problems.add(
            at,
            "names neither a principal nor a secret",
            "name one; otherwise it covers every access",
        );
    }
    if let Some(Start(from)) = planned.from
        && from > planned.to.0
    {
        let message = format!("ends at {}, before it begins at {from}", planned.to.0);
        problems.add(at, message, "exchange `from` and `to`");
    }
}

impl From<&PlannedAccess> for Planned {
    fn from(planned: &PlannedAccess) -> Self {
        let pattern =
            |subject: &Option<Subject>| subject.as_ref().and_then(|text| Pattern::listed(&text.0).ok());
        Self {
            principal: pattern(&planned.principal),
            secret: pattern(&planned.secret),
            from: planned.from.map_or(EventTime::from_unix_nanos(i64::MIN, 0), |start| start.0),
            to: planned.to.0,
            reason: planned.reason.clone(),
        }
    }
}

/// An id or a name with wildcards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Subject(String);

impl Setting for Subject {
    const KIND: Kind = Kind::Text;

    fn read(node: &Node, _key: &Key, problems: &Problems) -> Option<Self> {
        let text = node.written();
        match Pattern::listed(&text) {
            Ok(_) => Some(Self(text)),
            Err(error) => {
                let remedy = "write an id or a name; * and ? are wildcards";
                problems.add(&node.origin, format!("`{text}` cannot be matched: {error}"), remedy);
                None
            }
        }
    }
}

/// A time; of a day, its beginning.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Start(EventTime);

/// A time; of a day, its end.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct End(EventTime);

impl Setting for Start {
    const KIND: Kind = Kind::Time;

    fn read(node: &Node, _key: &Key, problems: &Problems) -> Option<Self> {
        time(node, "T00:00:00Z", problems).map(Self)
    }
}

impl Setting for End {
    const KIND: Kind = Kind::Time;

    fn read(node: &Node, _key: &Key, problems: &Problems) -> Option<Self> {
        time(node, "T23:59:59.999999999Z", problems).map(Self)
    }
}

fn time(node: &Node, of_day: &str, problems: &Problems) -> Option<EventTime> {
    let text = node.written();
    let found = EventTime::parse(&text).or_else(|_| EventTime::parse(&format!("{text}{of_day}"))).ok();
    if found.is_none() {
        problems.add(&node.origin, format!("`{text}` is no time"), TIME);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::testing::read_root;

    fn check(text: &str) -> (Vec<Planned>, Vec<String>) {
        let (root, found) = read_root(text);
        let planned = root.map(|root| root.planned_access.iter().map(Into::into).collect());
        (planned.unwrap_or_default(), found)
    }

    #[test]
    fn an_entry_covers_whole_days_when_it_names_days() {
        let (planned, found) = check(
            "planned_access:\n  - {principal: role/dr-*, from: 2026-06-01, to: 2026-06-02, reason: restore drill}\n  - {secret: prod/db, to: \"2026-06-01T12:00:00Z\", reason: migration}\n",
        );
        assert_eq!(found, Vec::<String>::new());
        assert_eq!(planned[0].from.to_string(), "2026-06-01T00:00:00Z");
        assert_eq!(planned[0].to.secs(), EventTime::parse("2026-06-03T00:00:00Z").unwrap().secs() - 1);
        assert!(planned[1].from < EventTime::from_secs(0));
    }

    #[test]
    fn an_entry_without_end_reason_or_subject_is_refused() {
        let (_, found) = check(
            "planned_access:\n  - {principal: a}\n  - {to: 2026-06-01, reason: x}\n  - {secret: s, from: 2026-06-02, to: 2026-06-01, reason: x}\n  - {secret: s, to: tomorrow, reason: x}\n",
        );
        let parts = [
            "2:5: `to` is missing; say when it ends",
            "2:5: `reason` is missing",
            "3:5: names neither a principal nor a secret",
            "4:5: ends at 2026-06-01T23:59:59.999999999Z, before it begins",
            "5:21: `tomorrow` is no time",
        ];
        assert_eq!(found.len(), parts.len(), "{found:#?}");
        for (found, part) in found.iter().zip(parts) {
            assert!(found.contains(part), "{part} in {found}");
        }
    }
}
