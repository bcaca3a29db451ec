//! The parts under `keywatch:` that shape how events become incidents.

use super::book::Library;
use super::condition::bounds;
use super::document::level_of;
use super::fields::all_own;
use crate::field::Field;
use crate::rule::{
    Attach, Condition, Count, Counted, Escalate, Hold, Incident, Lagged, LaggedBy, Lower, MatcherId, Mention,
    Op,
};
use crate::yaml::{Data, Node, Problems, Table};
use keywatch_event::Level;

/// Seconds after its last event during which an incident takes more, unless the rule says so.
const KEEP_ALIVE_SECS: i64 = 3600;
/// Longest an incident stays open, unless the rule says so.
const MAX_DURATION_SECS: i64 = 86_400;

/// An incident with these keys and the usual times.
pub(super) fn usual_incident(keys: Vec<Vec<Field>>) -> Incident {
    Incident { keys, keep_alive_secs: KEEP_ALIVE_SECS, max_duration_secs: MAX_DURATION_SECS, repeats_secs: 0 }
}

/// The extension of a rule that counts.
pub(super) struct Extension<'e, 'b, 's> {
    pub(super) table: Table<'e>,
    pub(super) library: &'e Library<'b, 's>,
    /// How many detections the rule listens to.
    pub(super) hits: usize,
}

impl<'e> Extension<'e, '_, '_> {
    /// The rule with everything its extension says.
    pub(super) fn apply(&self, count: Count) -> Count {
        let incident = self.section("incident", &["key", "or", "keep_alive", "max_duration", "repeats"]);
        let hold = self.section("hold", &["when", "cleared_by", "on", "for", "before_too", "unless_count"]);
        let lower = self.section("lower", &["to", "within", "created_by", "read_by"]);
        Count {
            lagged: self.lagged(&count.condition),
            attach: self.each("attach").iter().filter_map(|node| self.attach(node)).collect(),
            any: self.table.list("any").iter().filter_map(|node| self.extra(node)).collect(),
            hold: hold.and_then(|table| self.hold(&table)),
            lower: lower.and_then(|table| self.lower(&table)),
            mention: self.mention(),
            escalate: self.each("escalate").iter().filter_map(|node| self.escalate(node)).collect(),
            incident: match incident {
                Some(table) => self.incident(&table, count.incident, &count.condition.of),
                None => count.incident,
            },
            ..count
        }
    }

    fn problems(&self) -> &'e Problems {
        self.library.problems
    }

    fn section(&self, key: &str, known: &[&str]) -> Option<Table<'e>> {
        Table::open(self.table.get(key)?, known, self.problems())
    }

    /// The items of a key that takes one thing or a list of them.
    fn each(&self, key: &str) -> &'e [Node] {
        self.table.get(key).map(Node::items).unwrap_or_default()
    }

    fn matcher(&self, table: &Table<'_>, key: &str) -> Option<MatcherId> {
        self.library.matcher(table.need(key, "name a selection of the detection")?)
    }

    fn fields(&self, table: &Table<'_>, key: &str) -> Vec<Field> {
        all_own(&table.texts(key), self.problems())
    }

    fn incident(&self, table: &Table<'_>, usual: Incident, of: &Counted) -> Incident {
        let keys = ["key", "or"].map(|key| self.fields(table, key));
        let keys: Vec<Vec<Field>> = keys.into_iter().filter(|fields| !fields.is_empty()).collect();
        if table.get("or").is_some() && table.get("key").is_none() {
            let remedy = "write the first set of fields as `key`";
            self.problems().add(table.node(), "`or` stands without `key`", remedy);
        }
        if let Some(node) = table.get("repeats")
            && !matches!(of, Counted::Distinct(_))
        {
            let remedy = "write `type: value_count`, or remove it";
            self.problems().add(node, "`repeats` compares the values a correlation counts", remedy);
        }
        if let (Some(keep_alive), Some(longest)) = (table.secs("keep_alive"), table.secs("max_duration"))
            && keep_alive > longest
            && let Some(node) = table.get("keep_alive")
        {
            let remedy = "write a `keep_alive` no longer than `max_duration`";
            self.problems().add(node, "`keep_alive` is longer than `max_duration`", remedy);
        }
        let keep_alive_secs = table.secs("keep_alive").unwrap_or(usual.keep_alive_secs);
        Incident {
            repeats_secs: table.secs("repeats").unwrap_or(0),
            keys: if keys.is_empty() { usual.keys } else { keys },
            keep_alive_secs,
            max_duration_secs: table
                .secs("max_duration")
                .unwrap_or_else(|| usual.max_duration_secs.max(keep_alive_secs)),
        }
    }

    /// What alerts name: values of fields, or the secrets on a list.
    fn mention(&self) -> Option<Mention> {
        let node = self.table.get("mention")?;
        if let Data::Map(_) = node.data {
            let table = Table::open(node, &["secrets_on"], self.problems())?;
            table.need("secrets_on", "name a list, as `mention: {secrets_on: canaries}`")?;
            return table.text("secrets_on").map(|list| Mention::Listed(list.into()));
        }
        let fields = self.fields(&self.table, "mention");
        if node.items().is_empty() {
            self.problems().add(node, "`mention` names no field", "for example `mention: [operation]`");
        }
        (!fields.is_empty()).then_some(Mention::Fields(fields))
    }

    fn attach(&self, node: &Node) -> Option<Attach> {
        if let Data::Text(_) = node.data {
            let at = [("secrets.id".to_owned(), node)];
            let on = all_own(&at, self.problems());
            return Some(Attach { matcher: self.library.matcher(node)?, on, raise_to: None });
        }
        let table = Table::open(node, &["when", "on", "to"], self.problems())?;
        let remedy = "name the fields the event shares with the incident, as `on: [secrets.id]`";
        let on = table.need("on", remedy).map(|_| self.fields(&table, "on"));
        let raise_to = table.get("to").and_then(|_| level_of(&table, "to", self.problems()));
        let matcher = self.matcher(&table, "when");
        Some(Attach { matcher: matcher?, on: on?, raise_to })
    }

    /// A further condition on the window.
    fn extra(&self, node: &Node) -> Option<Condition> {
        let known = &["distinct", "matching", "gte", "gt", "lte", "lt", "eq", "neq"];
        let table = Table::open(node, known, self.problems())?;
        let of = self.counted(&table);
        if of.is_none() && table.get("distinct").is_none() && table.get("matching").is_none() {
            let remedy = "for example `{distinct: secrets.id, gte: 2}`";
            self.problems().add(node, "needs `distinct` or `matching`", remedy);
        }
        let bounds = bounds(&table, 0.0, self.problems());
        Some(Condition { of: of?, bounds: bounds? })
    }

    /// What `distinct` or `matching` count; nothing when neither is there or it is wrong.
    fn counted(&self, table: &Table<'_>) -> Option<Counted> {
        if let (Some(_), Some(second)) = (table.get("distinct"), table.get("matching")) {
            let remedy = "write two conditions, one for each";
            self.problems().add(second, "`distinct` and `matching` stand together", remedy);
        }
        if table.get("distinct").is_some() {
            let fields = self.fields(table, "distinct");
            return (!fields.is_empty()).then(|| Counted::Distinct(vec![fields; self.hits]));
        }
        table.get("matching").and_then(|node| self.library.matcher(node)).map(Counted::Matching)
    }

    fn hold(&self, table: &Table<'_>) -> Option<Hold> {
        let (when, cleared_by) = (self.matcher(table, "when"), self.matcher(table, "cleared_by"));
        let remedy = "name the fields that agree between the two, as `on: [principal.id]`";
        let on = table.need("on", remedy).map(|_| self.fields(table, "on"));
        Some(Hold {
            on: on?,
            secs: table.secs("for").unwrap_or(60),
            before_too: table.truth("before_too").unwrap_or(false),
            unless_count: count(table, "unless_count", 2).unwrap_or(u64::MAX),
            when: when?,
            cleared_by: cleared_by?,
        })
    }

    fn lower(&self, table: &Table<'_>) -> Option<Lower> {
        let (created_by, read_by) = (self.matcher(table, "created_by"), self.matcher(table, "read_by"));
        let to = level_of(table, "to", self.problems());
        let within_secs = table.secs("within").unwrap_or(3600);
        Some(Lower { to: to?, within_secs, created_by: created_by?, read_by: read_by? })
    }

    fn escalate(&self, node: &Node) -> Option<Escalate> {
        let table = Table::open(node, &["to", "gte", "within", "distinct", "matching"], self.problems())?;
        let to = level_of(&table, "to", self.problems());
        if to == Some(Level::Info) {
            self.problems().add(node, "an incident is never informational", "write medium, high or critical");
        }
        let filtered = table.get("distinct").is_some() || table.get("matching").is_some();
        let of = if filtered { self.counted(&table) } else { Some(Counted::Events) };
        let at_least = count(&table, "gte", 1);
        if table.get("gte").is_none() {
            let remedy = "say from how many on, as `gte: 3`";
            self.problems().add(node, "`gte` is missing", remedy);
        }
        let within_secs = table.secs("within").unwrap_or(0);
        Some(Escalate { to: to?, of: of?, at_least: at_least?, within_secs })
    }

    fn lagged(&self, condition: &Condition) -> Option<Lagged> {
        let known = &["highest", "plus", "spread", "days", "days_min", "growth_weekly_max", "silent"];
        let table = self.section("lagged", known)?;
        if !matches!(condition.bounds.as_slice(), [(Op::Gte, _)]) || is_sequence(&condition.of) {
            let message = "a learned threshold needs a count with one `gte` bound to start from";
            self.problems().add(table.node(), message, "write `condition: {gte: 10}` in the correlation");
        }
        let by = self.lagged_by(&table);
        let days_usual = if table.get("spread").is_some() { 7 } else { 3 };
        let days = table.int("days", 1..=90).unwrap_or(14);
        let days_min = table.int("days_min", 1..=90).unwrap_or(days_usual);
        if days_min > days {
            let message = format!("`days_min` is {days_min}, and only {days} days count");
            self.problems().add(table.node(), message, "write `days_min` no larger than `days`");
        }
        Some(Lagged {
            by: by?,
            days: usize::try_from(days).unwrap_or(14),
            days_min: usize::try_from(days_min).unwrap_or(7),
            growth_weekly_max: table.number("growth_weekly_max", 1.0..=100.0).unwrap_or(1.5),
            silent: table.truth("silent").unwrap_or(false),
        })
    }

    fn lagged_by(&self, table: &Table<'_>) -> Option<LaggedBy> {
        let refuse = |message: &str| {
            let remedy = "write `{highest: 1.5, plus: 1}` or `{spread: 6}`";
            self.problems().add(table.node(), message, remedy);
            None
        };
        let factor = table.number("highest", 0.0..=1000.0);
        let plus = table.number("plus", 0.0..=1e9);
        let times = table.number("spread", 0.0..=1000.0);
        match (table.get("highest").is_some(), table.get("spread").is_some()) {
            (true, false) => Some(LaggedBy::Highest { factor: factor?, plus: plus.unwrap_or(0.0) }),
            (false, true) if table.get("plus").is_some() => refuse("`plus` goes with `highest`"),
            (false, true) => Some(LaggedBy::Spread { times: times? }),
            (true, true) => refuse("`highest` and `spread` stand together"),
            (false, false) => refuse("`highest` or `spread` is missing"),
        }
    }
}

fn is_sequence(of: &Counted) -> bool {
    matches!(of, Counted::All(_) | Counted::Ordered(_))
}

fn count(table: &Table<'_>, key: &str, least: i64) -> Option<u64> {
    table.int(key, least..=1_000_000).and_then(|number| u64::try_from(number).ok())
}
