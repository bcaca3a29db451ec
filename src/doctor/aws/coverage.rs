//! Which kinds of events a selector, a trail or a rule lets through.

use crate::doctor::kinds::Kind;
use keywatch_aws::survey::{Advanced, Basic, Condition, Selectors};
use serde_json::Value;

/// How much of a kind comes through. In ascending order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Taken {
    Nothing,
    Some,
    All,
}

impl From<bool> for Taken {
    fn from(taken: bool) -> Self {
        if taken { Self::All } else { Self::Nothing }
    }
}

/// What the selectors of a trail take of a kind.
pub(super) fn by_selectors(selectors: &Selectors, kind: &Kind) -> Taken {
    let basic = selectors.basic.iter().map(|one| Taken::from(takes_basic(one, kind)));
    let advanced = selectors.advanced.iter().map(|one| takes_advanced(one, kind));
    basic.chain(advanced).max().unwrap_or(Taken::Nothing)
}

fn takes_basic(selector: &Basic, kind: &Kind) -> bool {
    let is_excluded = |service| selector.exclude_management_event_sources.iter().any(|one| one == service);
    let fits = match selector.read_write_type.as_str() {
        "ReadOnly" => kind.log == "read",
        "WriteOnly" => kind.log == "write",
        _ => true,
    };
    selector.include_management_events && fits && !kind.service.is_some_and(is_excluded)
}

fn takes_advanced(selector: &Advanced, kind: &Kind) -> Taken {
    let conditions = selector.field_selectors.iter().map(|one| takes(one, kind));
    conditions.min().unwrap_or(Taken::Nothing)
}

fn takes(condition: &Condition, kind: &Kind) -> Taken {
    let of = |value: Option<&str>| match value {
        Some(value) => Taken::from(condition.takes(value)),
        None => unnamed(condition),
    };
    match condition.field.as_str() {
        "eventCategory" => of(Some("Management")),
        "readOnly" => of(Some(if kind.log == "read" { "true" } else { "false" })),
        "eventSource" => of(kind.service),
        "eventName" => of(kind.operation),
        // About who calls, from where, in what session: that no kind says.
        _ => Taken::Some,
    }
}

/// Of values nobody named: what refuses a few takes nearly all, what wants a few takes some at most.
fn unnamed(condition: &Condition) -> Taken {
    let wants = [&condition.equals, &condition.starts_with, &condition.ends_with];
    if wants.iter().all(|list| list.is_empty()) { Taken::All } else { Taken::Some }
}

/// What a pattern of EventBridge takes of a kind.
/// <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-event-patterns.html>
pub(super) fn by_pattern(pattern: &Value, kind: &Kind) -> Taken {
    let Value::Object(keys) = pattern else { return Taken::Nothing };
    let each = keys.iter().map(|(key, wanted)| match (key.as_str(), wanted) {
        ("source", wanted) => fits(wanted, kind.service.and_then(source_of).as_deref()),
        ("detail-type", wanted) => fits(wanted, Some(detail_type_of(kind))),
        ("detail", Value::Object(detail)) => {
            detail.iter().map(|(key, wanted)| by_detail(key, wanted, kind)).min().unwrap_or(Taken::All)
        }
        _ => Taken::Some,
    });
    each.min().unwrap_or(Taken::Nothing)
}

fn by_detail(key: &str, wanted: &Value, kind: &Kind) -> Taken {
    match key {
        "eventSource" => fits(wanted, kind.service),
        "eventName" => fits(wanted, kind.operation),
        "readOnly" => fits(wanted, Some(if kind.log == "read" { "true" } else { "false" })),
        _ => Taken::Some,
    }
}

/// The `source` of a service's events: `aws.` and the beginning of its name.
pub(super) fn source_of(service: &str) -> Option<String> {
    service.strip_suffix(".amazonaws.com").map(|name| format!("aws.{name}"))
}

/// Sign-ins have a type of their own.
pub(super) fn detail_type_of(kind: &Kind) -> &'static str {
    if kind.service == Some("signin.amazonaws.com") {
        "AWS Console Sign In via CloudTrail"
    } else {
        "AWS API Call via CloudTrail"
    }
}

/// Whether a list of a pattern takes a value; `None` is one of those nobody named.
fn fits(wanted: &Value, value: Option<&str>) -> Taken {
    let Value::Array(wanted) = wanted else { return Taken::Some };
    let of = |one: &Value| match (one, value) {
        (Value::String(text), Some(value)) => Taken::from(text == value),
        (Value::Bool(truth), Some(value)) => Taken::from(truth.to_string() == value),
        (Value::Object(filter), Some(value)) => by_filter(filter, value),
        _ => Taken::Some,
    };
    wanted.iter().map(of).max().unwrap_or(Taken::Nothing)
}

fn by_filter(filter: &serde_json::Map<String, Value>, value: &str) -> Taken {
    let each = filter.iter().map(|(how, wanted)| match (how.as_str(), wanted) {
        ("prefix", Value::String(text)) => Taken::from(value.starts_with(text.as_str())),
        ("suffix", Value::String(text)) => Taken::from(value.ends_with(text.as_str())),
        ("anything-but", Value::String(text)) => Taken::from(value != text),
        ("anything-but", Value::Array(texts)) => Taken::from(!texts.iter().any(|text| text == value)),
        ("exists", Value::Bool(wanted)) => Taken::from(*wanted),
        _ => Taken::Some,
    });
    each.min().unwrap_or(Taken::Some)
}
