//! What an extension says that changes nothing, or contradicts the rest of its rule.
//!
//! Each part is read where it belongs; here they are held against each other. A rule that says what
//! can never come true is refused, because nobody would hear of it later.

use super::document::Document;
use crate::rule::{Baseline, Condition, Count, Counted, Escalate, Mature, Novel, Op, Rule, Silence};
use crate::yaml::{Data, Node};
use keywatch_event::Level;

const DAY_SECS: i64 = 86_400;
/// Sections that mean nothing without a key of their own.
const SPEAKING: &[&str] = &["incident", "silence", "risk"];

/// Reports sections in which nothing is written.
pub(super) fn refuse_empty(document: &Document<'_>) {
    let Some(extension) = document.extension() else { return };
    let mut sections: Vec<(&str, &Node)> =
        SPEAKING.iter().filter_map(|key| Some((*key, extension.get(key)?))).collect();
    if let Some(baseline) = extension.get("first_seen") {
        sections
            .extend(["mature", "seldom", "mobile"].iter().filter_map(|key| Some((*key, baseline.get(key)?))));
    }
    for (key, node) in sections {
        if matches!(&node.data, Data::Map(entries) if entries.is_empty()) {
            let remedy =
                "write one of its keys, even with its usual value, so that a reader sees what is meant";
            document.problems.add(node, format!("`{key}` says nothing"), remedy);
        }
    }
}

/// Reports what a rule that counts says in vain.
pub(super) fn check(document: &Document<'_>, level: Option<Level>, count: &Count) {
    let Some(extension) = document.extension() else { return };
    let at = |key: &str| extension.get(key);
    if let (Some(lower), Some(level), Some(node)) = (&count.lower, level, at("lower"))
        && lower.to >= level
    {
        let message = "`lower` does not lower: the rule has that level, or a lower one, anyway";
        document.problems.add(node, message, "write a `to` below the rule's `level`");
    }
    let floor = count.lower.as_ref().map_or(level, |lower| level.min(Some(lower.to)));
    let attached = at("attach").map(Node::items).unwrap_or_default();
    for (attach, node) in count.attach.iter().zip(attached) {
        if count.hits.iter().any(|hit| hit.matcher == attach.matcher && hit.novel.is_none()) {
            let remedy = "name a selection that the condition leaves out";
            document.problems.add(node, "`attach` names events that the rule counts anyway", remedy);
        }
        if attach.raise_to.is_some() && attach.raise_to <= floor {
            let remedy = "write a `to` above the rule's `level`, or leave it out";
            document.problems.add(node, "`attach` raises to a level the incident has anyway", remedy);
        }
    }
    if let (Some(hold), Some(node)) = (&count.hold, at("hold")) {
        if hold.when == hold.cleared_by {
            let remedy = "name as `cleared_by` the events that explain those of `when`";
            document.problems.add(node, "`hold` lets every event explain itself", remedy);
        }
        if hold.secs == 0 && node.get("for").is_some() {
            document.problems.add(node, "`hold` waits for no time at all", "write `for: 60s` or longer");
        }
    }
    if let Some(node) = at("incident") {
        check_incident(document, count, node);
    }
    let escalations = at("escalate").map(Node::items).unwrap_or_default();
    if escalations.len() == count.escalate.len() {
        check_escalations(document, (floor, count), escalations);
    }
    if let (Some(lagged), Some(node)) = (&count.lagged, at("lagged"))
        && lagged.by.never_raises()
    {
        document.problems.add(
            node,
            "the learned threshold is never above the fixed one",
            "write a factor above 0",
        );
    }
}

fn check_incident(document: &Document<'_>, count: &Count, node: &Node) {
    let incident = &count.incident;
    if incident.max_duration_secs == 0 {
        document.problems.add(node, "an incident of no length takes no event", "write `max_duration: 24h`");
    }
    if node.get("repeats").is_some() && incident.repeats_secs <= incident.keep_alive_secs {
        let message =
            "`repeats` is no longer than `keep_alive`, and an incident that is open takes more anyway";
        document.problems.add(node, message, "write a `repeats` longer than `keep_alive`, or leave it out");
    }
}

fn check_escalations(document: &Document<'_>, (floor, count): (Option<Level>, &Count), nodes: &[Node]) {
    let least = fewest_events(count);
    for (at, (escalate, node)) in count.escalate.iter().zip(nodes).enumerate() {
        let tell = |message: &str, remedy: &str| document.problems.add(node, message, remedy);
        let within = if escalate.within_secs == 0 { i64::MAX } else { escalate.within_secs };
        if Some(escalate.to) <= floor {
            tell(
                "`escalate` raises to a level the incident has anyway",
                "write a `to` above the rule's `level`",
            );
        } else if matches!(escalate.of, Counted::Events)
            && escalate.at_least <= least
            && within >= count.timespan_secs
        {
            let remedy = format!("write `gte: {}` or more, or give the rule that level", least + 1);
            tell("every incident has so many events when it opens, and so the higher level at once", &remedy);
        } else if count.escalate.iter().any(|other| is_ahead(other, escalate)) {
            let remedy = "let the higher level need more than the lower one";
            tell("another `escalate` that needs no more raises to as high a level or a higher one", remedy);
        } else if count.escalate.iter().take(at).any(|other| is_same(other, escalate)) {
            tell("this `escalate` stands twice", "keep one of them");
        }
        if node.get("within").is_some() && escalate.within_secs == 0 {
            tell("`within` is no time at all", "write a length of time, or leave it out to count all events");
        } else if escalate.within_secs > count.incident.max_duration_secs {
            tell(
                "`within` is longer than an incident lasts",
                "write a longer `max_duration`, or leave `within` out",
            );
        }
    }
}

/// How many events an incident has when it opens, at least.
fn fewest_events(count: &Count) -> u64 {
    let bound = |(op, bound): &(Op, f64)| match op {
        Op::Gte | Op::Eq => bound.ceil(),
        Op::Gt => bound.floor() + 1.0,
        Op::Lte | Op::Lt | Op::Neq => 1.0,
    };
    let Condition { of: Counted::Events, bounds } = &count.condition else { return 1 };
    let most = bounds.iter().map(bound).fold(1.0, f64::max);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a bound from 1 to 2^53")]
    let most = most as u64;
    most
}

/// Whether one always comes before the other, at as high a level.
fn is_ahead(one: &Escalate, other: &Escalate) -> bool {
    let as_long = one.within_secs == other.within_secs;
    let less = one.at_least < other.at_least || one.at_least == other.at_least && one.to > other.to;
    as_long && less && one.to >= other.to && counts_same(&one.of, &other.of)
}

fn is_same(one: &Escalate, other: &Escalate) -> bool {
    let numbers = |it: &Escalate| (it.to, it.at_least, it.within_secs);
    numbers(one) == numbers(other) && counts_same(&one.of, &other.of)
}

fn counts_same(one: &Counted, other: &Counted) -> bool {
    match (one, other) {
        (Counted::Events, Counted::Events) => true,
        (Counted::Matching(one), Counted::Matching(other)) => one == other,
        (Counted::Distinct(one), Counted::Distinct(other)) => one == other,
        _ => false,
    }
}

/// Reports what a baseline says in vain; `node` is its section.
pub(super) fn check_baseline(document: &Document<'_>, baseline: &Baseline, node: &Node) {
    let tell = |key: &str, message: &str, remedy: &str| {
        document.problems.add(node.get(key).unwrap_or(node), message, remedy);
    };
    for (key, matcher) in [("unless", baseline.unless), ("taints", baseline.taints)] {
        if matcher == Some(baseline.events) {
            let message = format!("`{key}` names all the events the rule is about, so nothing is ever new");
            tell(key, &message, "name a selection that fits some of them");
        }
    }
    if baseline.returns_after_secs == Some(0) {
        tell(
            "returns_after",
            "every value returns after no time at all",
            "write a length of time such as 90d",
        );
    }
    if baseline.returns_after_secs.is_none() && baseline.decay_secs < baseline.learn_secs {
        tell("decay", "a value is forgotten while it is still learned", "write `decay` longer than `learn`");
    }
    let days = i64::try_from(baseline.accept_days).unwrap_or(i64::MAX);
    if days > 1 && (days - 1).saturating_mul(DAY_SECS) > baseline.decay_secs {
        tell(
            "accept_days",
            "a value is forgotten before it can be accepted",
            "write `decay` longer than that many days",
        );
    }
    if let Novel::Network { mobile_networks, .. } = baseline.of
        && mobile_networks > baseline.values_max
    {
        let message = "fewer networks are kept than make a principal climb";
        tell("values_max", message, "write `values_max` no smaller than `mobile.networks`");
    }
    if let Novel::Network { mobile_days, mobile_of_days, .. } = baseline.of
        && mobile_days > mobile_of_days
    {
        let message = "nobody moves on more days than there are";
        tell("mobile", message, "write `days` no larger than `of_days`");
    }
    if let Some(Mature { age_secs, events, days }) = baseline.seldom
        && let Mature { age_secs: age, events: most, days: often } = baseline.mature
        && age_secs >= age
        && events >= most
        && days >= often
    {
        let message = "`seldom` asks for no less than `mature` does";
        tell("seldom", message, "write fewer `events`, or leave it out");
    }
}

/// Reports what a silence says in vain; `node` is its section.
pub(super) fn check_silence(document: &Document<'_>, silence: &Silence, node: &Node) {
    let tell = |key: &str, message: &str, remedy: &str| {
        document.problems.add(node.get(key).unwrap_or(node), message, remedy);
    };
    if silence.secs_min == 0 {
        tell("for_at_least", "a silence of no length is always there", "write `for_at_least: 30m` or longer");
    }
    if silence.followed_by.as_ref().is_some_and(|hit| hit.matcher == silence.hit.matcher) {
        let message = "`followed_by` names the events themselves, and each follows itself";
        tell("followed_by", message, "name the selection of the events that must come after");
    }
}

/// Reports alerts that can never be part of those they are said to be part of: these weigh less.
pub(super) fn check_parts(rules: &[Rule], (part, whole): (&str, &str), document: &Document<'_>, at: &Node) {
    let find = |id: &str| rules.iter().find(|rule| *rule.id == *id);
    let (Some(part), Some(whole)) = (find(part), find(whole)) else { return };
    if part.level_min() > whole.level_max() {
        let message = format!("no alert of `{}` is of as high a level as those of this rule", whole.id);
        document.problems.add(at, message, "take it out, or raise the level of that rule");
    }
}
