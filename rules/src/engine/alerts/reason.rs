//! Why an alert exists, in one sentence a responder can check, and the numbers behind it.

use super::notes::Notes;
use super::things::Things;
use crate::engine::incident::Incident;
use crate::field::joint;
use crate::rule::{Count, Counted, Op, Step};
use crate::wording::{counted, listed, spoken};
use keywatch_event::Why;

pub(super) fn of(count: &Count, incident: &Incident, (things, notes): (&Things, &Notes<'_>)) -> Why {
    let events = incident.events + incident.behind.len() as u64;
    let (bound, learned) = &incident.bound;
    let named = things.words();
    let naming = if named.is_empty() { named } else { format!(" naming {named}") };
    let whole = format!("{}{naming}", counted(events, "event", "events"));
    let are_counted =
        matches!(count.condition.of, Counted::Events) && incident.observed.to_string() == events.to_string();
    let places = elsewhere(incident, notes);
    let text = match measured(count, incident.observed, *bound) {
        Some(measured) if are_counted => format!("{measured}{naming}{}{places}", notes.in_reasons()),
        Some(measured) => format!("{measured}; {whole} in all{}{places}", notes.in_reasons()),
        // What one event is enough for stands in the title.
        None => format!("{whole}{}{places}", notes.in_reasons()),
    };
    Why { text, observed: incident.observed, threshold: *bound, baseline: learned.clone() }
}

/// From which networks it was, when there are several and what it names does not say so already.
fn elsewhere(incident: &Incident, notes: &Notes<'_>) -> String {
    let networks = incident.networks();
    if networks.iter().all(|network| notes.has(network)) {
        return String::new();
    }
    format!("; from {}", listed(&networks))
}

/// What was counted within which time; `None` where one event is enough.
fn measured(count: &Count, observed: f64, bound: f64) -> Option<String> {
    let within = spoken(count.timespan_secs);
    let is_count = !matches!(count.condition.of, Counted::All(_) | Counted::Ordered(_));
    let one_is_enough = is_count && matches!(count.condition.bounds[..], [(Op::Gte, least)] if least <= 1.0);
    if count.timespan_secs == 0 || one_is_enough && bound <= 1.0 {
        return None;
    }
    let limit = limit(count, bound);
    Some(match &count.condition.of {
        Counted::Events | Counted::Matching(_) => {
            format!("{} within {within} ({limit})", number(observed, "event", "events"))
        }
        Counted::Distinct(fields) => {
            let (one, many) = joint(fields.first().map_or(&[], Vec::as_slice));
            format!("{} within {within} ({limit})", number(observed, &one, &format!("different {many}")))
        }
        Counted::All(_) => format!("all the events this rule looks for came within {within}"),
        Counted::Ordered(steps) => format!("{} within {within}", sequence(steps)),
        Counted::Sum(field) => {
            format!("the sum of {} is {observed} within {within} ({limit})", field.noun().1)
        }
        Counted::Average(field) => {
            format!("the average of {} is {observed} within {within} ({limit})", field.noun().1)
        }
        Counted::Median(field) => {
            format!("the median of {} is {observed} within {within} ({limit})", field.noun().1)
        }
        Counted::Percentile(field, percent) => {
            format!("percentile {percent} of {} is {observed} within {within} ({limit})", field.noun().1)
        }
    })
}

/// A count with the word for what was counted.
fn number(observed: f64, one: &str, many: &str) -> String {
    let is_one = (observed - 1.0).abs() < f64::EPSILON;
    format!("{observed} {}", if is_one { one } else { many })
}

/// The steps by the titles of their rules: `“Listed”, then 3 × “Read”`.
fn sequence(steps: &[Step]) -> String {
    let step = |step: &Step| match (step.at_least, &step.of) {
        (1, _) => format!("“{}”", step.title),
        (least, None) => format!("at least {least} × “{}”", step.title),
        (least, Some(field)) => {
            format!("“{}” for at least {}", step.title, counted(least, &field.noun().0, &field.noun().1))
        }
    };
    steps.iter().map(step).collect::<Vec<String>>().join(", then ")
}

/// From which count on the rule speaks.
fn limit(count: &Count, bound: f64) -> String {
    let told = |(op, bound): &(Op, f64)| match op {
        Op::Gte => format!("from {bound} on"),
        Op::Gt => format!("above {bound}"),
        Op::Lte => format!("up to {bound}"),
        Op::Lt => format!("below {bound}"),
        Op::Eq => format!("at {bound}"),
        Op::Neq => format!("at anything but {bound}"),
    };
    let bounds = match &count.condition.bounds[..] {
        // A learned bound stands in the place of the rule's own.
        [(Op::Gte, _)] => told(&(Op::Gte, bound)),
        several => several.iter().map(told).collect::<Vec<String>>().join(" and "),
    };
    format!("{bounds} this is an alert")
}
