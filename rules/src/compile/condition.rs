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

/// The bounds in `table`, at least one. What is counted comes to whole numbers from `least` on; a negative one
/// stands for any number.
pub(super) fn bounds(table: &Table<'_>, least: f64, problems: &Problems) -> Option<Vec<(Op, f64)>> {
    let mut found = Vec::new();
    let mut whole = true;
    for (key, op) in OPS {
        if table.get(key).is_some() {
            let bound = table.number(key, least.min(0.0)..=BOUND_MAX);
            whole &= bound.is_some();
            found.extend(bound.map(|bound| (*op, bound)));
        }
    }
    if whole && found.is_empty() {
        problems.add(table.node(), "the condition has no bound", "for example `gte: 5`");
    } else if whole && is_contradiction(&found) {
        problems.add(table.node(), "no number meets all these bounds", "let the lower one be the smaller");
    } else if whole && least >= 0.0 && no_count_meets(&found, least) {
        let (message, remedy) = if no_count_meets(&found, 0.0) {
            ("no whole number meets all these bounds", "let the lower one be the smaller")
        } else {
            (
                "a window ends with an event that counts, so there is never none",
                "for what does not happen write `type: temporal` with `a and not b`, or `keywatch.silence`",
            )
        };
        problems.add(table.node(), message, remedy);
    }
    (whole && !found.is_empty()).then_some(found)
}

/// Whether no number of things from `least` on meets the bounds. The lowest that meets the lower ones may be
/// the one that `neq` leaves out.
fn no_count_meets(bounds: &[(Op, f64)], least: f64) -> bool {
    let lowest = bounds.iter().fold(least, |lowest, (op, bound)| match op {
        Op::Gte | Op::Eq => lowest.max(bound.ceil()),
        Op::Gt => lowest.max(bound.floor() + 1.0),
        Op::Lte | Op::Lt | Op::Neq => lowest,
    });
    let meets = |count: f64| bounds.iter().all(|(op, bound)| op.holds(count, *bound));
    !meets(lowest) && !meets(lowest + 1.0)
}

fn is_contradiction(bounds: &[(Op, f64)]) -> bool {
    let value = |op| bounds.iter().find(|(known, _)| *known == op).map(|(_, bound)| *bound);
    if let Some(exactly) = value(Op::Eq) {
        return !bounds.iter().all(|(op, bound)| op.holds(exactly, *bound));
    }
    let over = |low: Option<f64>, high: Option<f64>, strict: bool| {
        low.zip(high).is_some_and(|(low, high)| if strict { low >= high } else { low > high })
    };
    let (gte, gt, lte, lt) = (value(Op::Gte), value(Op::Gt), value(Op::Lte), value(Op::Lt));
    over(gte, lte, false) || over(gte, lt, true) || over(gt, lte, true) || over(gt, lt, true)
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
    let least = match kind {
        Type::Measure(_) => -BOUND_MAX,
        // An event may lack the field.
        Type::ValueCount => 0.0,
        // The event that the window ends with is one.
        Type::EventCount | Type::Temporal | Type::Ordered => 1.0,
    };
    let bounds = bounds(&table, least, problems);
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
    match measure {
        Measure::Sum => field.map(Counted::Sum),
        Measure::Average => field.map(Counted::Average),
        Measure::Median => field.map(Counted::Median),
        Measure::Percentile => {
            table.need("percentile", "say which, as `percentile: 95`")?;
            let percent = table.number("percentile", 0.0..=100.0)?;
            field.map(|field| Counted::Percentile(field, percent))
        }
    }
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
