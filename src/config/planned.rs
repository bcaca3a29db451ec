//! Access that is announced: a drill, a migration, a test of an emergency account.
//!
//! Every entry ends by itself and says why; one that is over is no mistake and covers nothing.

use keywatch_event::EventTime;
use keywatch_rules::Planned;
use keywatch_rules::pattern::Pattern;
use keywatch_rules::yaml::{Node, Problems, Table};

const KEYS: &[&str] = &["principal", "secret", "from", "to", "reason"];
const TIME: &str = "write it as 2026-01-31T12:00:00Z or 2026-01-31";

/// Which end of a day a date without a time means.
#[derive(Clone, Copy)]
enum Edge {
    Start,
    End,
}

/// Reads `planned_access:`.
pub(super) fn read(table: &Table<'_>, problems: &Problems) -> Vec<Planned> {
    table.list("planned_access").iter().filter_map(|node| entry(node, problems)).collect()
}

fn entry(node: &Node, problems: &Problems) -> Option<Planned> {
    let table = Table::open(node, KEYS, problems)?;
    let to = table.need("to", "say when it ends; access without an end is not planned");
    let reason = table.need("reason", "say why, for whoever asks later");
    let from = table.get("from").map(|node| time(node, Edge::Start, problems));
    let to = time(to?, Edge::End, problems);
    let pattern = |key| table.get(key).and_then(|node| pattern(node, problems));
    let (principal, secret) = (pattern("principal"), pattern("secret"));
    if table.get("principal").or(table.get("secret")).is_none() {
        problems.add(
            node,
            "names neither a principal nor a secret",
            "name one; otherwise it covers every access",
        );
        return None;
    }
    let from = from.unwrap_or(Some(EventTime::from_unix_nanos(i64::MIN, 0)))?;
    let (to, reason) = (to?, reason?.text().filter(|text| !text.trim().is_empty()));
    if from > to {
        problems.add(node, format!("ends at {to}, before it begins at {from}"), "exchange `from` and `to`");
        return None;
    }
    if reason.is_none() {
        problems.add(node, "`reason` is empty", "say why, for whoever asks later");
    }
    Some(Planned { principal, secret, from, to, reason: reason? })
}

fn pattern(node: &Node, problems: &Problems) -> Option<Pattern> {
    let text = node.text().unwrap_or_default();
    let found = Pattern::listed(&text);
    if let Err(error) = &found {
        problems.add(node, format!("`{text}` cannot be matched: {error}"), "write an id or a name; * and ? are wildcards");
    }
    found.ok()
}

fn time(node: &Node, edge: Edge, problems: &Problems) -> Option<EventTime> {
    let text = node.text().unwrap_or_default();
    let whole_day = match edge {
        Edge::Start => format!("{text}T00:00:00Z"),
        Edge::End => format!("{text}T23:59:59.999999999Z"),
    };
    let found = EventTime::parse(&text).or_else(|_| EventTime::parse(&whole_day)).ok();
    if found.is_none() {
        problems.add(node, format!("`{text}` is no time"), TIME);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use keywatch_rules::yaml::parse;

    fn check(text: &str) -> (Vec<Planned>, Vec<String>) {
        let documents = parse("c.yaml", text).unwrap();
        let problems = Problems::new("c.yaml");
        let planned = read(&Table::of(&documents[0], &problems), &problems);
        (planned, problems.into_sorted().iter().map(ToString::to_string).collect())
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
        let (planned, found) = check(
            "planned_access:\n  - {principal: a}\n  - {to: 2026-06-01, reason: x}\n  - {secret: s, from: 2026-06-02, to: 2026-06-01, reason: x}\n  - {secret: s, to: tomorrow, reason: x}\n",
        );
        assert!(planned.is_empty());
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
