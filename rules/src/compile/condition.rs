//! Numeric conditions of correlations: what is counted, and its bounds.

use super::correlation::{Correlation, Measure, Type};
use crate::field::Field;
use crate::rule::{Condition, Counted, Op};
use crate::yaml::{Data, Node, Problems, Table};

/// The comparisons of a condition.
const OPS: &[(&str, Op)] =
    &[("gte", Op::Gte), ("gt", Op::Gt), ("lte", Op::Lte), ("lt", Op::Lt), ("eq", Op::Eq), ("neq", Op::Neq)];
const KEYS: &[&str] = &["gte", "gt", "lte", "lt", "eq", "neq", "field", "percentile"];
/// Largest bound: above it a float no longer counts by ones.
const BOUND_MAX: f64 = 9_007_199_254_740_992.0;

/// What bounds are about.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Numbers {
    /// What is counted: whole numbers from this on.
    Counts {
        /// The least there ever is: a window ends with an event that counts, so none is empty, but nothing
        /// in it need meet a further condition.
        least: f64,
    },
    /// What is measured: any number.
    Measures,
}

/// The bounds in `table`, at least one, none below zero where something is counted.
pub(super) fn bounds(table: &Table<'_>, numbers: Numbers, problems: &Problems) -> Option<Vec<(Op, f64)>> {
    let least = if numbers == Numbers::Measures { -BOUND_MAX } else { 0.0 };
    let mut found = Vec::new();
    let mut whole = true;
    for (key, op) in OPS {
        if table.get(key).is_some() {
            let bound = table.number(key, least..=BOUND_MAX);
            whole &= bound.is_some();
            found.extend(bound.map(|bound| (*op, bound)));
        }
    }
    if whole && found.is_empty() {
        problems.add(table.node(), "the condition has no bound", "for example `gte: 5`");
    } else if whole && is_contradiction(&found, numbers) {
        problems.add(table.node(), "no number meets all these bounds", remedy(&found));
    }
    (whole && !found.is_empty()).then_some(found)
}

fn remedy(bounds: &[(Op, f64)]) -> &'static str {
    if bounds.len() > 1 {
        return "let the lower one be the smaller, with a whole number between them where something is counted";
    }
    "what is counted comes in whole numbers from 1 on; what does not happen is told by `keywatch.silence`"
}

/// Whether no number, or no number of things, meets all the bounds.
fn is_contradiction(bounds: &[(Op, f64)], numbers: Numbers) -> bool {
    let meets = |number: f64| bounds.iter().all(|(op, bound)| op.holds(number, *bound));
    let near = |of: &(Op, f64)| match numbers {
        Numbers::Counts { .. } => [of.1.floor() - 1.0, of.1.floor(), of.1.ceil(), of.1.ceil() + 1.0],
        Numbers::Measures => [of.1 - 1.0, of.1, of.1, of.1 + 1.0],
    };
    // Between two bounds that are not met there may be a number that meets both.
    let between = bounds.iter().flat_map(|one| bounds.iter().map(move |other| f64::midpoint(one.1, other.1)));
    let mut candidates: Vec<f64> = bounds.iter().flat_map(near).collect();
    match numbers {
        Numbers::Measures => candidates.extend(between),
        Numbers::Counts { least } => {
            candidates.push(least);
            candidates.retain(|number| *number >= least);
        }
    }
    !candidates.into_iter().any(meets)
}

/// The condition of a correlation that counts or measures.
pub(super) fn numeric(correlation: &Correlation<'_>, kind: Type) -> Option<Condition> {
    let problems = correlation.document.problems;
    let example = match kind {
        Type::ValueCount => "for example `condition: {field: secrets.id, gte: 5}`",
        Type::Measure(_) => "for example `condition: {field: secrets.count, gte: 100}`",
        Type::EventCount | Type::Temporal | Type::Ordered => "for example `condition: {gte: 5}`",
    };
    let table = Table::open(correlation.table.need("condition", example)?, KEYS, problems)?;
    if kind != Type::Measure(Measure::Percentile)
        && let Some(at) = table.get("percentile")
    {
        let remedy = "write `type: value_percentile`, or remove it";
        problems.add(at, "`percentile` belongs to value_percentile", remedy);
    }
    let of = match kind {
        Type::ValueCount => values(correlation, &table, example),
        Type::Measure(measure) => measured(correlation, measure, &table, example),
        Type::EventCount | Type::Temporal | Type::Ordered => Some(events(&table, problems)),
    };
    let numbers =
        if matches!(kind, Type::Measure(_)) { Numbers::Measures } else { Numbers::Counts { least: 1.0 } };
    let bounds = bounds(&table, numbers, problems);
    Some(Condition { of: of?, bounds: bounds? })
}

fn events(table: &Table<'_>, problems: &Problems) -> Counted {
    if let Some(at) = table.get("field") {
        let remedy = "write `type: value_count` to count distinct values";
        problems.add(at, "event_count counts events, whatever their fields", remedy);
    }
    Counted::Events
}

fn values(correlation: &Correlation<'_>, table: &Table<'_>, example: &str) -> Option<Counted> {
    table.need("field", example)?;
    let names = table.texts("field");
    refuse_grouped(correlation, &names);
    correlation.fields(&names).map(Counted::Distinct)
}

fn measured(
    correlation: &Correlation<'_>,
    measure: Measure,
    table: &Table<'_>,
    example: &str,
) -> Option<Counted> {
    let at = table.need("field", example)?;
    if matches!(at.data, Data::List(_)) {
        correlation.document.problems.add(at, "only value_count takes several fields", "name one field");
        return None;
    }
    let field = the_one(correlation, &table.texts("field"), at);
    let rank = match measure {
        Measure::Sum => return field.map(Counted::Sum),
        Measure::Average => return field.map(Counted::Average),
        Measure::Median => 50.0,
        Measure::Percentile => {
            table.need("percentile", "say which, as `percentile: 95`")?;
            table.number("percentile", 0.0..=100.0)?
        }
    };
    field.map(|field| Counted::Percentile(field, rank))
}

/// A group has one value of each field it is grouped by: counting those counts to one.
fn refuse_grouped(correlation: &Correlation<'_>, names: &[(String, &Node)]) {
    let grouped = correlation.table.texts("group-by");
    for (name, at) in names {
        if grouped.iter().any(|(group, _)| group == name) {
            let message = format!("`{name}` is also in `group-by`, so there is never more than one value");
            correlation.document.problems.add(
                at,
                message,
                "take it out of `group-by`, or count another field",
            );
        }
    }
}

/// The field a measure is taken of: the same one for every detection.
fn the_one(correlation: &Correlation<'_>, names: &[(String, &Node)], at: &Node) -> Option<Field> {
    let per_hit = correlation.fields(names)?;
    let mut fields = per_hit.into_iter().flatten();
    let first = fields.next()?;
    if fields.any(|other| other != first) {
        let message = "the field means something else in each of the detections";
        let remedy = "use detections of one log source, and no alias";
        correlation.document.problems.add(at, message, remedy);
    }
    Some(first)
}
