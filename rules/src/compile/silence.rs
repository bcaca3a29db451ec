//! `keywatch.silence`: a stream that stops, or an event whose follower never comes.

use super::book::Library;
use super::detection::{Detected, RAISING};
use super::fields::all_own;
use super::sense;
use crate::rule::{Hit, Silence};
use crate::yaml::Table;
use keywatch_event::Level;
use std::sync::Arc;

const KEYS: &[&str] = &["for_at_least", "times_p99", "gaps_min", "per", "followed_by"];

/// What the silence of a detection means.
pub(super) fn read(
    detected: &Detected<'_>,
    level: Option<Level>,
    library: &Library<'_, '_>,
) -> Option<Silence> {
    let document = detected.document;
    let problems = document.problems;
    let extension = document.extension()?;
    let node = extension.get("silence")?;
    document.refuse(RAISING, "the alert of a silence has no events", "remove it");
    document.refuse(&["first_seen"], "a silence brings nothing new", "write a rule of its own for it");
    if level == Some(Level::Info) {
        problems.add(node, "a silence of level informational or low tells nobody", "raise the level");
    }
    let table = Table::open(node, KEYS, problems)?;
    let group_by = all_own(&table.texts("per"), problems);
    let followed_by = table.get("followed_by").map(|node| {
        for key in ["times_p99", "gaps_min"] {
            if let Some(at) = table.get(key) {
                problems.add(at, format!("`{key}` is about a rhythm, not about a follower"), "remove it");
            }
        }
        let rule = Arc::clone(&document.id);
        let matcher = library.matcher(node)?;
        Some(Hit { rule, matcher, novel: None, through: None, group_by: group_by.clone() })
    });
    if followed_by.is_some() && group_by.is_empty() {
        let remedy = "name what the two events share, as `per: [raw.request.id]`";
        problems.add(node, "`per` is missing", remedy);
    }
    let followed_by = match followed_by {
        None => None,
        Some(hit) => Some(hit?),
    };
    let gaps = table.int("gaps_min", 2..=1_000_000).and_then(|number| u32::try_from(number).ok());
    let silence = Silence {
        hit: detected.hit(group_by)?,
        secs_min: table.secs("for_at_least").unwrap_or(if followed_by.is_some() { 60 } else { 1800 }),
        times_p99: table.number("times_p99", 1.0..=1000.0).unwrap_or(6.0),
        gaps_min: gaps.unwrap_or(100),
        followed_by,
    };
    sense::check_silence(document, &silence, node);
    Some(silence)
}
