//! What a sweep of a group asks of all that its rule remembers.

use super::{Context, Counting};
use crate::engine::alerts;
use crate::engine::brief::Brief;
use crate::engine::entry::{Entry, Role};
use crate::engine::explain::Explanations;
use crate::engine::group::Sweep;
use crate::engine::key::values_hash;
use crate::engine::lagged::{Lag, Measured};
use crate::engine::lives::Lives;
use crate::engine::words::Name;
use crate::rule::{Count, Hold, Op};
use keywatch_event::EventTime;
use std::cell::RefCell;

/// Runs `work` with what a sweep of the group needs to know.
pub(super) fn swept<T>(
    counting: Counting<'_>,
    group: Name<'_>,
    (explanations, lives, lag): (&Explanations, &Lives, &RefCell<Lag>),
    work: impl FnOnce(&Sweep<'_>) -> T,
) -> T {
    let Counting { rule, count, chained, .. } = counting;
    let live = |entry: &Entry| chained.live(entry.hits, &entry.brief);
    let explained = |entry: &Entry| match (&count.hold, &entry.role) {
        (Some(hold), Role::Waiting(key)) => explanations.explains(hold, *key, entry.brief.time.secs()),
        _ => false,
    };
    let level = |entry: &Entry| alerts::lowered(rule, count, own(count, lives, &entry.brief));
    let bound = |time: EventTime| learned_bound(count, &lag.borrow(), group, time);
    let observe = |time: EventTime, value: f64, alerted: bool| {
        if let Some(lagged) = &count.lagged {
            lag.borrow_mut().observe(lagged, group, day_of(time), Measured { value, alerted });
        }
    };
    work(&Sweep {
        rule,
        count,
        live: &live,
        explained: &explained,
        level: &level,
        bound: &bound,
        observe: &observe,
    })
}

/// What the group's past says must be met on that day; `None` when the rule's own bound is all
/// there is.
fn learned_bound(count: &Count, lag: &Lag, group: Name<'_>, time: EventTime) -> Option<(f64, String)> {
    let lagged = count.lagged.as_ref()?;
    let fixed = count.condition.bounds.first().map_or(0.0, |(_, bound)| *bound);
    match lag.bound(lagged, group, day_of(time), fixed) {
        (bound, Some(words)) => Some((bound, words)),
        (_, None) if lagged.silent => Some((f64::INFINITY, "too few days are known".to_owned())),
        (_, None) => None,
    }
}

/// Whether a window that comes to so much at that time meets the rule's bounds, and the learned one.
pub(super) fn is_enough(
    count: &Count,
    lag: &Lag,
    group: Name<'_>,
    (time, observed): (EventTime, f64),
) -> bool {
    let is_over = |(bound, _): (f64, String)| Op::Gte.holds(observed, bound);
    count.condition.bounds.iter().all(|(op, bound)| op.holds(observed, *bound))
        && learned_bound(count, lag, group, time).is_none_or(is_over)
}

/// Days since 1970 in UTC.
pub(super) fn day_of(time: EventTime) -> i32 {
    i32::try_from(time.secs().div_euclid(86_400)).unwrap_or(i32::MAX)
}

pub(super) fn hold_key(hold: &Hold, context: &Context<'_, '_>) -> u64 {
    values_hash(hold.on.iter(), context.view)
}

fn own(count: &Count, lives: &Lives, brief: &Brief) -> bool {
    let Some(lower) = &count.lower else { return false };
    let own = |secret: &str| {
        lives.is_own_and_fresh(secret, &brief.who.principal.id, brief.time.secs(), lower.within_secs)
    };
    !brief.secrets.is_empty() && brief.secrets.iter().all(|secret| own(&secret.id))
}
