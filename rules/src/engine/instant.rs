//! Entries of one instant, for conditions that more of them can make untrue.

use super::entry::Entry;
use super::window::grows;
use crate::rule::{Condition, Count, Counted, Op, Presence};
use keywatch_event::EventTime;

/// Whether a further entry may make a condition untrue. Such a condition is looked at when an instant is
/// complete: what happened at one time happened in no order.
pub(crate) fn can_end(count: &Count) -> bool {
    let ends = |condition: &Condition| {
        let bounded = condition.bounds.iter().any(|(op, _)| !matches!(op, Op::Gte | Op::Gt));
        bounded
            || !grows(&condition.of)
            || matches!(&condition.of, Counted::All(presence) if excludes(presence))
    };
    ends(&count.condition) || count.any.iter().any(ends)
}

fn excludes(presence: &Presence) -> bool {
    match presence {
        Presence::Hit(_) => false,
        Presence::Not(_) => true,
        Presence::And(all) | Presence::Or(all) | Presence::AtLeast(_, all) => all.iter().any(excludes),
    }
}

/// How many of the entries before one of that time are judged again when it comes or changes.
pub(crate) fn again(before: &[Box<Entry>], time: EventTime, count: &Count) -> usize {
    if !can_end(count) {
        return 0;
    }
    before.iter().rev().take_while(|entry| entry.brief.time == time).count()
}

/// How many of the entries from the one at `from` on are of the instant of the one before it, and are judged
/// with it.
pub(crate) fn rest(entries: &[Box<Entry>], from: usize, count: &Count) -> usize {
    if !can_end(count) {
        return 0;
    }
    let since = from.checked_sub(1).and_then(|before| entries.get(before..));
    let Some((before, rest)) = since.and_then(<[_]>::split_first) else { return 0 };
    rest.iter().take_while(|entry| entry.brief.time == before.brief.time).count()
}

/// Whether more that counts happens at the instant of the entry at `at`, and may make the condition untrue.
pub(crate) fn goes_on(
    entries: &[Box<Entry>],
    at: usize,
    count: &Count,
    counts: impl Fn(&Entry) -> bool,
) -> bool {
    if !can_end(count) {
        return false;
    }
    let Some((entry, rest)) = entries.get(at..).and_then(<[_]>::split_first) else { return false };
    rest.iter().take_while(|other| other.brief.time == entry.brief.time).any(|other| counts(other))
}
