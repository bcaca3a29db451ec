//! Detections: events that match a condition over selections. Alone they classify or raise; a
//! correlation may use them instead.

use super::book::{Book, Library};
use super::document::{Document, Shape, Standing};
use super::extension::{Extension, usual_incident};
use super::filter::Filters;
use super::scope::{Scope, Tables, Use};
use super::{fields, first_seen, sense, silence};
use crate::field::Field;
use crate::log_source::LogSource;
use crate::rule::{BaselineId, Condition, Count, Counted, Hit, Kind, MatcherId, Op, Rule};
use crate::yaml::Table;
use keywatch_event::Level;
use std::sync::Arc;

/// Extension keys that shape incidents: without effect on a rule that raises none.
pub(super) const RAISING: &[&str] =
    &["incident", "attach", "any", "hold", "lower", "escalate", "part_of", "mention", "tried", "routine"];

/// One detection, ready for its own rule and for correlations.
#[derive(Debug)]
pub(super) struct Detected<'s> {
    pub(super) document: &'s Document<'s>,
    pub(super) source: LogSource,
    pub(super) book: Book<'s>,
    /// `None` when the condition cannot be used, which is reported.
    pub(super) matcher: Option<MatcherId>,
    pub(super) novel: Option<BaselineId>,
}

impl<'s> Detected<'s> {
    pub(super) fn read(document: &'s Document<'s>, tables: &Tables, filters: &Filters<'s>) -> Option<Self> {
        let Shape::Detection = document.shape else { return None };
        let detection = document.node.get("detection")?;
        let source = log_source(document);
        let book = Book::read(detection, &source, document.problems);
        let condition = detection.get("condition");
        if condition.is_none() {
            let remedy = "add `condition:` with the names of the selections";
            document.problems.add(detection, "`condition` is missing", remedy);
        }
        let filters = filters.of(document, &source);
        let matcher = condition.and_then(|condition| book.filtered(condition, filters, tables));
        let library = Library { books: vec![&book], tables, problems: document.problems };
        let novel = matcher.and_then(|events| first_seen::read(document, events, &library));
        Some(Self { document, source, book, matcher, novel })
    }

    /// Why it can never match; `None` when its log source is ingested.
    pub(super) fn blind(&self) -> Option<String> {
        self.source.blindness()
    }

    /// Its events, counted apart by `group_by`.
    pub(super) fn hit(&self, group_by: Vec<Field>) -> Option<Hit> {
        Some(Hit {
            rule: Arc::clone(&self.document.id),
            matcher: self.matcher?,
            novel: self.novel,
            through: None,
            group_by,
        })
    }

    pub(super) fn rule(&self, used: Use<'_>, scope: &Scope<'_>) -> Option<Rule> {
        let document = self.document;
        document.refuse(
            &["lagged", "steps"],
            "it belongs to a correlation",
            "move it to the correlation that uses this detection",
        );
        document.refuse(
            &["risk"],
            "a risk rule has no detection",
            "give it a document of its own, with a title and a level",
        );
        document.refuse(&["observed"], "a rule about sources has no detection", "remove the detection");
        let silent = document.extension().is_some_and(|extension| extension.get("silence").is_some());
        let feeds = used.by.filter(|_| !used.generate && !silent);
        let level = match feeds {
            Some(_) => document.level(false).map(|_| Level::Info).or(Some(Level::Info)),
            None => document.level(true),
        };
        let library = Library { books: vec![&self.book], tables: scope.tables, problems: document.problems };
        let kind = if silent {
            silence::read(self, level, &library).map(|silence| Kind::Silence(Box::new(silence)))
        } else if level == Some(Level::Info) {
            match used.elsewhere.filter(|_| feeds.is_some()) {
                // Whoever counts it does without its alerts, and cannot edit it. What its extension says of
                // them is read all the same: it uses selections.
                Some(_) => drop(self.single(None, &library)),
                None => self.refuse_raising(feeds),
            }
            self.hit(Vec::new()).map(Kind::Classify)
        } else {
            self.single(level, &library).map(|count| Kind::Count(Box::new(count)))
        };
        document.frame(kind, level.map(|level| Standing { level, blind: self.blind() }))
    }

    fn refuse_raising(&self, feeds: Option<&str>) {
        match feeds {
            Some(correlation) => self.document.refuse(
                RAISING,
                &format!("`{correlation}` uses this rule, which then raises nothing by itself"),
                "move it to the correlation, or write `generate: true` there",
            ),
            None => self.document.refuse(
                RAISING,
                "a rule of level informational or low raises nothing",
                "remove it, or raise the level",
            ),
        }
    }

    /// A detection on its own: every match is an incident or joins one.
    fn single(&self, level: Option<Level>, library: &Library<'_, '_>) -> Option<Count> {
        let principal = Field::parse("principal.id", &fields::normalised()).into_iter().collect();
        let count = Count {
            hits: self.hit(Vec::new()).into_iter().collect(),
            attach: Vec::new(),
            timespan_secs: 0,
            condition: Condition { of: Counted::Events, bounds: vec![(Op::Gte, 1.0)] },
            any: Vec::new(),
            lagged: None,
            incident: usual_incident(vec![principal]),
            hold: None,
            lower: None,
            escalate: Vec::new(),
            mention: None,
            raises: true,
            feeds_secs: None,
            joined_secs: 0,
        };
        let count = match self.document.extension() {
            Some(table) => Extension { table, library, hits: 1 }.apply(count),
            None => count,
        };
        sense::check(self.document, level, &count);
        (!count.hits.is_empty()).then_some(count)
    }
}

/// The log source of a document; none is Keywatch's own, whose field names are all known, so a
/// published rule that lost its log source does not pass unnoticed.
pub(super) fn log_source(document: &Document<'_>) -> LogSource {
    let Some(node) = document.table().get("logsource") else { return fields::normalised() };
    let table = Table::of(node, document.problems);
    let [product, service, category] = ["product", "service", "category"].map(|key| table.text(key));
    if product.is_none() && service.is_none() && category.is_none() {
        let remedy = "for Keywatch's own fields write `logsource: {product: keywatch, category: audit}`";
        document.problems.add(node, "the log source names no product, service or category", remedy);
    }
    LogSource::parse(product.as_deref(), service.as_deref(), category.as_deref())
}
