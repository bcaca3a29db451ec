//! Silences of the configuration: once, or every week as a maintenance window.

use super::route::{Matching, Weekly};
use crate::config::frame::{At, Key, Kind, Node, Origin, Problems, Setting, need, section};
use keywatch_event::EventTime;

section! {
    /// One silence. Alerts it means are stored and shown, and nobody is told while it lasts; what
    /// is still open when it ends is told then.
    pub(crate) struct Silence {
        /// Its name, which stands in the reason why somebody was not told.
        name: At<String> = need("give the silence a name of its own"),
        /// Which alerts: all of these hold, as in a route's `match`.
        matches: Vec<Matching> as "match",
        /// From when, for one that comes once.
        from: Option<Moment>,
        /// Until when, for one that comes once.
        to: Option<Moment>,
        /// During which hours, for one that comes every week: `sun 02:00-04:00 Europe/Berlin`.
        weekly: Vec<Weekly>,
        /// Who asks for it.
        author: String = need("say who asks for it"),
        /// Why, for whoever asks later.
        reason: String = need("say why, for whoever asks later"),
    }
    check: check;
}

fn check(silence: &Silence, at: &Origin, problems: &Problems) {
    if silence.matches.is_empty() {
        problems.add(at, "`match` is missing", "say which alerts, such as `match: [rule=KW-002]`");
    }
    match (silence.from, silence.to, silence.weekly.is_empty()) {
        (Some(Moment(from)), Some(Moment(to)), true) if from < to => {}
        (Some(_), Some(_), true) => problems.add(at, "it ends before it begins", "exchange `from` and `to`"),
        (None, None, false) => {}
        _ => problems.add(
            at,
            "it does not say when",
            "write `from` and `to` for one that comes once, or `weekly` for a maintenance window",
        ),
    }
}

/// A point in time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Moment(pub(crate) EventTime);

impl Setting for Moment {
    const KIND: Kind = Kind::Time;

    fn read(node: &Node, _key: &Key, problems: &Problems) -> Option<Self> {
        let text = node.written();
        let found = EventTime::parse(&text).or_else(|_| EventTime::parse(&format!("{text}T00:00:00Z"))).ok();
        if found.is_none() {
            let remedy = "write it as 2026-01-31T12:00:00Z or 2026-01-31";
            problems.add(&node.origin, format!("`{text}` is no time"), remedy);
        }
        found.map(Self)
    }
}
