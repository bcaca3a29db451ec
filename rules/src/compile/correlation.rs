//! Correlations: detections counted together over a window.

use super::book::{Book, Library};
use super::chain::{self, ROUTES_MAX, Route};
use super::condition::numeric;
use super::detection::{RAISING, log_source};
use super::document::{Document, Shape, Standing};
use super::extension::{Extension, usual_incident};
use super::fields::{field_in, refuse_twice};
use super::scope::{Scope, Use};
use super::{sense, sequence};
use crate::blind::blind_count;
use crate::field::Field;
use crate::problem::suggest;
use crate::rule::{Condition, Count, Counted, Hit, Kind, Op, Rule, Through};
use crate::yaml::{Data, Node, Table, duration_secs};
use keywatch_event::Level;
use std::ops::Range;
use std::sync::Arc;

const KEYS: &[&str] = &["type", "rules", "group-by", "timespan", "condition", "aliases", "generate"];
/// Longest window: what must be kept in memory grows with it.
const TIMESPAN_SECS_MAX: i64 = 31 * 86_400;

/// The types of Sigma's correlations (Sigma correlation rules specification 2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    EventCount,
    ValueCount,
    Temporal,
    Ordered,
    Measure(Measure),
}

/// What is measured of a numeric field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Measure {
    Sum,
    Average,
    Percentile,
    Median,
}

const TYPES: &[(&str, Type)] = &[
    ("event_count", Type::EventCount),
    ("value_count", Type::ValueCount),
    ("temporal", Type::Temporal),
    ("temporal_ordered", Type::Ordered),
    ("value_sum", Type::Measure(Measure::Sum)),
    ("value_avg", Type::Measure(Measure::Average)),
    ("value_percentile", Type::Measure(Measure::Percentile)),
    ("value_median", Type::Measure(Measure::Median)),
];

/// One correlation being read.
pub(super) struct Correlation<'s> {
    pub(super) document: &'s Document<'s>,
    pub(super) table: Table<'s>,
    /// What it counts, in the order written; what cannot be used is left out.
    pub(super) feeds: Vec<Feed<'s>>,
    aliases: Vec<Alias<'s>>,
}

/// What a correlation counts: a detection, or another correlation.
pub(super) struct Feed<'s> {
    pub(super) document: &'s Document<'s>,
    /// The one way to a detection, or the ways a correlation has to detections. Each is a hit.
    routes: Vec<Route<'s>>,
}

impl Feed<'_> {
    fn is_correlation(&self) -> bool {
        matches!(self.document.shape, Shape::Correlation(_))
    }

    /// What it finds, as its title says.
    pub(super) fn title(&self) -> Arc<str> {
        let title = self.document.node.get("title").and_then(Node::text);
        title.map_or_else(|| Arc::clone(&self.document.id), Arc::from)
    }
}

/// A name for fields that are called differently in different detections.
struct Alias<'s> {
    name: String,
    /// Detection, field, and where that stands.
    fields: Vec<(String, String, &'s Node)>,
}

/// The rule a correlation document makes.
pub(super) fn rule<'s>(
    document: &'s Document<'s>,
    node: &'s Node,
    (scope, used): (&Scope<'s>, Use<'_>),
) -> Option<Rule> {
    let here = "it belongs to a detection";
    document.refuse(&["first_seen", "silence"], here, "move it to a detection this correlation uses");
    document.refuse(&["risk"], "a risk rule has no correlation", "give it a document of its own");
    document.refuse(
        &["observed"],
        "a rule about sources has no correlation",
        "give it a document of its own",
    );
    let feeds = used.by.filter(|_| !used.generate);
    match used.elsewhere {
        Some(by) => refuse_shipped(document, by),
        None => refuse_counted(document, used.by, feeds),
    }
    let level = match feeds {
        Some(_) => document.level(false).map(|_| Level::Info).or(Some(Level::Info)),
        None => document.level(true),
    };
    if feeds.is_none() && level == Some(Level::Info) {
        let why = "a correlation of level informational or low raises nothing";
        document.refuse(RAISING, why, "remove it, or raise the level");
    }
    let correlation =
        Table::open(node, KEYS, document.problems).map(|table| Correlation::read(document, table, scope));
    let count = correlation.as_ref().and_then(|correlation| correlation.count(scope));
    if let Some(count) = &count {
        sense::check(document, level.filter(|_| feeds.is_none()), count);
    }
    let reasons = |read: Correlation<'_>| read.routes().map(|route| route.detected.blind()).collect();
    let reasons: Vec<Option<String>> = correlation.map(reasons).unwrap_or_default();
    let blind = count.as_ref().and_then(|count| blind_count(&count.condition.of, reasons));
    let kind = count.map(|count| Kind::Count(Box::new(Count { raises: feeds.is_none(), ..count })));
    document.frame(kind, level.map(|level| Standing { level, blind }))
}

/// Reports, where somebody counts it, that a shipped correlation cannot be counted.
fn refuse_shipped(document: &Document<'_>, (by, at): (&Document<'_>, &Node)) {
    let has = |key: &&str| document.extension().is_some_and(|extension| extension.get(key).is_some());
    let Some(key) = ["lagged", "hold"].into_iter().find(has) else { return };
    let counted = document.node.get("correlation").and_then(|correlation| correlation.get("rules"));
    let counted: Vec<String> =
        counted.map(Node::items).unwrap_or_default().iter().filter_map(Node::text).collect();
    let message = format!("`{}` has `{key}` and cannot be counted by another rule", document.id);
    by.problems.add(at, message, format!("count what it counts: {}", counted.join(", ")));
}

/// Reports what has no effect on a correlation that another one counts.
fn refuse_counted(document: &Document<'_>, by: Option<&str>, feeds: Option<&str>) {
    if let Some(outer) = by {
        let why =
            format!("`{outer}` counts the events at which this condition is met, and knows of no other");
        document.refuse(&["lagged", "hold"], &why, "give what raises a correlation of its own");
    }
    if let Some(outer) = feeds {
        let why = format!("`{outer}` counts this correlation, which then raises nothing by itself");
        let remedy = "move it to that correlation, or write `generate: true` there";
        document.refuse(
            &["incident", "attach", "lower", "escalate", "part_of", "mention", "tried", "routine"],
            &why,
            remedy,
        );
    }
}

impl<'s> Correlation<'s> {
    fn read(document: &'s Document<'s>, table: Table<'s>, scope: &Scope<'s>) -> Self {
        let feeds = feeds(document, &table, scope);
        let read = Self { aliases: aliases(document, &table), document, table, feeds };
        read.check_aliases();
        read
    }

    fn count(&self, scope: &Scope<'s>) -> Option<Count> {
        let problems = self.document.problems;
        let kind = self.kind();
        let timespan_secs = self.timespan();
        let groups = self.groups(scope);
        let own = self.own_book();
        let mut books: Vec<&Book<'_>> = self.routes().map(|route| &route.detected.book).collect();
        books.extend(&own);
        let library = Library { books, tables: scope.tables, problems };
        let condition = kind.and_then(|kind| match kind {
            Type::Temporal => sequence::temporal(self),
            Type::Ordered => sequence::ordered(self),
            Type::EventCount | Type::ValueCount | Type::Measure(_) => numeric(self, kind),
        });
        if kind != Some(Type::Ordered) {
            let why = "only temporal_ordered has steps";
            self.document.refuse(&["steps"], why, "write `type: temporal_ordered`");
        }
        if self.feeds.iter().any(Feed::is_correlation) {
            let why = "a correlation of correlations learns no threshold";
            self.document.refuse(&["lagged"], why, "count the detections themselves, or remove it");
        }
        let usable = condition.is_some() && timespan_secs.is_some() && groups.is_some();
        let count = self.assembled(
            condition.unwrap_or(Condition { of: Counted::Events, bounds: vec![(Op::Gte, 1.0)] }),
            timespan_secs.unwrap_or(0),
            groups.unwrap_or_default(),
        );
        let count = match self.document.extension() {
            Some(table) => Extension { table, library: &library, hits: self.routes().count() }.apply(count),
            None => count,
        };
        own.iter().for_each(Book::report_unused);
        (usable && !count.hits.is_empty()).then_some(count)
    }

    /// The fields it groups by, for each hit. One that no event of a detection can have is reported: such a
    /// detection would never count.
    fn groups(&self, scope: &Scope<'s>) -> Option<Vec<Vec<Field>>> {
        let names = self.table.texts("group-by");
        refuse_twice(&names, self.document.problems);
        let groups = self.fields(&names)?;
        for (route, fields) in self.routes().zip(&groups) {
            for (field, (name, at)) in fields.iter().zip(&names) {
                if route.detected.matcher.is_some_and(|events| scope.tables.never_has(events, field)) {
                    let rule = &route.detected.document.id;
                    let message =
                        format!("no event of `{rule}` has a value of `{name}`, so none of them counts");
                    self.document.problems.add(at, message, "group by another field, or count other events");
                }
            }
        }
        Some(groups)
    }

    /// The rule before its extension. Every event of a group belongs together; that is written
    /// as the group's fields where these are the same for every detection, and as no field else.
    fn assembled(&self, condition: Condition, timespan_secs: i64, groups: Vec<Vec<Field>>) -> Count {
        let mut each = groups.iter();
        let first = each.next().cloned().unwrap_or_default();
        let key = if each.all(|group| *group == first) { first } else { Vec::new() };
        Count {
            hits: self.hits(groups, &condition.of),
            attach: Vec::new(),
            timespan_secs,
            condition,
            any: Vec::new(),
            lagged: None,
            incident: usual_incident(vec![key]),
            hold: None,
            lower: None,
            escalate: Vec::new(),
            mention: None,
            raises: true,
            feeds_secs: None,
            joined_secs: 0,
        }
    }

    /// Every way to a detection, in the order of what is counted.
    fn routes(&self) -> impl Iterator<Item = &Route<'s>> {
        self.feeds.iter().flat_map(|feed| &feed.routes)
    }

    /// The hits that what stands at `place` among its `rules` is met by.
    pub(super) fn hits_of(&self, place: usize) -> Range<usize> {
        let before = self.feeds.iter().take(place).map(|feed| feed.routes.len()).sum();
        let own = self.feeds.get(place).map_or(0, |feed| feed.routes.len());
        before..before + own
    }

    /// A hit for each way to a detection.
    fn hits(&self, groups: Vec<Vec<Field>>, of: &Counted) -> Vec<Hit> {
        let mut groups = groups.into_iter();
        let mut hits = Vec::new();
        for feed in &self.feeds {
            for route in &feed.routes {
                let Some(hit) = route.detected.hit(groups.next().unwrap_or_default()) else { continue };
                let beginning = counts_one_by_one(of, hits.len());
                let through = Through { rule: Arc::clone(&feed.document.id), beginning };
                let through = feed.is_correlation().then_some(through);
                hits.push(Hit { through, ..hit });
            }
        }
        hits
    }

    fn kind(&self) -> Option<Type> {
        let names: Vec<&str> = TYPES.iter().map(|(name, _)| *name).collect();
        let node = self.table.need("type", &format!("write one of {}", names.join(", ")))?;
        let written = node.text().unwrap_or_default();
        let found = TYPES.iter().find(|(name, _)| *name == written).map(|(_, kind)| *kind);
        if found.is_none() {
            let message = format!("`{written}` is no type of correlation");
            self.document.problems.add(node, message, suggest(&written, &names));
        }
        found
    }

    fn timespan(&self) -> Option<i64> {
        let written = self.table.text("timespan");
        let secs = written.as_deref().and_then(duration_secs);
        let secs = secs.filter(|secs| (1..=TIMESPAN_SECS_MAX).contains(secs));
        if secs.is_none() {
            let at = self.table.get("timespan").unwrap_or(self.table.node());
            let message = match &written {
                Some(written) => format!("`timespan` is `{written}`"),
                None => "`timespan` is missing".to_owned(),
            };
            self.document.problems.add(
                at,
                message,
                "write a length of time such as 10m, 24h or 7d; at most 31d",
            );
        }
        secs
    }

    /// The fields with these names, for each hit; nothing when one of them is wrong.
    pub(super) fn fields(&self, names: &[(String, &Node)]) -> Option<Vec<Vec<Field>>> {
        let ways = self.feeds.iter().flat_map(|feed| feed.routes.iter().map(move |route| (feed, route)));
        let each = ways.map(|way| {
            let found: Vec<Field> = names.iter().filter_map(|(name, at)| self.field(name, at, way)).collect();
            (found.len() == names.len()).then_some(found)
        });
        // Collected before it is judged, so that every wrong name is reported.
        let each: Vec<Option<Vec<Field>>> = each.collect();
        each.into_iter().collect()
    }

    /// The field with this name, or this alias, for one way to a detection.
    fn field(&self, name: &str, at: &Node, (feed, route): (&Feed<'s>, &Route<'s>)) -> Option<Field> {
        let alias = self.aliases.iter().find(|alias| alias.name == name);
        let of_feed = |alias: &Alias<'s>| {
            let mut fields = alias.fields.iter();
            fields.find(|(rule, ..)| feed.document.is_called(rule)).map(|(_, field, at)| (field.clone(), *at))
        };
        let (name, at) = match alias {
            None => (name.to_owned(), at),
            // An alias without this detection is reported where it stands.
            Some(alias) => of_feed(alias)?,
        };
        match field_in(&route.resolved(&name), &route.detected.source) {
            Ok(field) => Some(field),
            Err(remedy) => {
                self.document.problems.add(at, format!("unknown field `{name}`"), remedy);
                None
            }
        }
    }

    /// Reports aliases that leave out a detection, name another, or are not used.
    fn check_aliases(&self) {
        let problems = self.document.problems;
        let Some(node) = self.table.get("aliases") else { return };
        let condition = self.table.get("condition").map(|node| Table::of(node, problems));
        let mut used = self.table.texts("group-by");
        used.extend(condition.into_iter().flat_map(|condition| condition.texts("field")));
        for alias in &self.aliases {
            let name = &alias.name;
            let at = node.get(name).unwrap_or(node);
            for (rule, _, at) in &alias.fields {
                if !self.feeds.iter().any(|feed| feed.document.is_called(rule)) {
                    let message = format!("`{rule}` is not among the `rules` of this correlation");
                    problems.add(at, message, "add it there, or take it out of the alias");
                }
            }
            for feed in &self.feeds {
                if !alias.fields.iter().any(|(rule, ..)| feed.document.is_called(rule)) {
                    let message = format!("the alias `{name}` names no field of `{}`", feed.document.id);
                    problems.add(at, message, format!("add `{}: <field>` to it", feed.document.id));
                }
            }
            if !used.iter().any(|(other, _)| other == name) {
                let message = format!("nothing uses the alias `{name}`");
                problems.add(at, message, "name it in `group-by` or in the condition's `field`");
            }
        }
    }

    /// The selections a correlation brings itself, for its extension.
    fn own_book(&self) -> Option<Book<'s>> {
        let detection = self.document.node.get("detection")?;
        if let Some(condition) = detection.get("condition") {
            let message = "the `detection` of a correlation holds selections only";
            self.document.problems.add(condition, message, "remove the condition");
        }
        let source = log_source(self.document);
        Some(Book::read(detection, &source, self.document.problems))
    }
}

/// Whether what a hit stands for is counted, so that an event at which it only goes on is none more.
fn counts_one_by_one(of: &Counted, hit: usize) -> bool {
    match of {
        Counted::Events => true,
        Counted::Ordered(steps) => {
            steps.iter().any(|step| step.hits >> hit & 1 == 1 && step.of.is_none() && step.at_least > 1)
        }
        Counted::Matching(_)
        | Counted::Distinct(_)
        | Counted::All(_)
        | Counted::Sum(_)
        | Counted::Average(_)
        | Counted::Median(_)
        | Counted::Percentile(..) => false,
    }
}

/// What a correlation names; what cannot be used is reported.
fn feeds<'s>(document: &Document<'s>, table: &Table<'s>, scope: &Scope<'s>) -> Vec<Feed<'s>> {
    let mut places: Vec<usize> = Vec::new();
    let names = table.texts("rules");
    if names.is_empty() {
        let at = table.get("rules").unwrap_or(table.node());
        document.problems.add(
            at,
            "`rules` names no detection",
            "name what is counted, as `rules: [failed_read]`",
        );
    }
    for (name, at) in names {
        let Some(place) = scope.find(&name, at, document) else { continue };
        if places.contains(&place) {
            document.problems.add(at, format!("`{name}` stands twice"), "name each detection once");
        } else if is_usable(scope, place, at, document) {
            places.push(place);
        }
    }
    let feed = |place| {
        let document = scope.documents.get(place)?;
        Some(Feed { document, routes: chain::routes(place, scope) })
    };
    let feeds: Vec<Feed<'s>> = places.into_iter().filter_map(feed).collect();
    if feeds.iter().map(|feed| feed.routes.len()).sum::<usize>() > ROUTES_MAX {
        let at = table.get("rules").unwrap_or(table.node());
        let message =
            format!("more than {ROUTES_MAX} detections are counted here, each way to one by itself");
        document.problems.add(at, message, "count fewer in one correlation");
        return Vec::new();
    }
    feeds
}

fn is_usable(scope: &Scope<'_>, place: usize, at: &Node, document: &Document<'_>) -> bool {
    let Some(used) = scope.documents.get(place) else { return false };
    let (message, remedy) = match used.shape {
        Shape::Correlation(_) => {
            let Some(broken) = chain::broken(place, document, scope) else {
                let mut routes = chain::routes(place, scope).into_iter().peekable();
                return routes.peek().is_some() && routes.all(|route| route.detected.matcher.is_some());
            };
            let (message, remedy) = broken.said();
            document.problems.add(at, message, remedy);
            return false;
        }
        Shape::Risk(_) => ("a risk rule cannot be counted", "name the detections themselves"),
        Shape::Observed(_) => {
            ("a rule about sources has no events to count", "name the detections themselves")
        }
        Shape::Filter(_) => ("a filter matches no events", "name the detections themselves"),
        Shape::Detection if used.extension().is_some_and(|e| e.get("silence").is_some()) => {
            ("a rule about silence has no events to count", "name a detection without `keywatch.silence`")
        }
        Shape::Detection => return scope.detected(place).is_some_and(|detected| detected.matcher.is_some()),
        Shape::Unknown => return false,
    };
    document.problems.add(at, message, remedy);
    false
}

/// What the alias `name` of the correlation `document` stands for in `of`; none where it has no such
/// alias. What is wrong with it is reported where the correlation is read.
pub(super) fn aliased(document: &Document<'_>, name: &str, of: &Document<'_>) -> Option<String> {
    let Shape::Correlation(correlation) = document.shape else { return None };
    let Data::Map(entries) = &correlation.get("aliases")?.get(name)?.data else { return None };
    entries.iter().find(|(rule, _)| rule.text().is_some_and(|rule| of.is_called(&rule)))?.1.text()
}

fn aliases<'s>(document: &Document<'s>, table: &Table<'s>) -> Vec<Alias<'s>> {
    let Some(node) = table.get("aliases") else { return Vec::new() };
    let Data::Map(entries) = &node.data else {
        let message = format!("`aliases` must be a mapping, not {}", node.kind());
        document.problems.add(node, message, "write `aliases: {name: {rule: field}}`");
        return Vec::new();
    };
    let alias = |(key, body): &'s (Node, Node)| {
        let Data::Map(entries) = &body.data else {
            let message = format!("an alias is a mapping of rules to fields, not {}", body.kind());
            document.problems.add(body, message, "write `{rule: field}`");
            return None;
        };
        let fields = entries.iter().filter_map(|(rule, field)| Some((rule.text()?, field.text()?, field)));
        Some(Alias { name: key.text()?, fields: fields.collect() })
    };
    entries.iter().filter_map(alias).collect()
}
