//! Which receivers are told of which alerts, and how alerts are gathered.

use crate::config::frame::{
    At, Key, Kind, Node, Problems, Setting, days, default, mins, need, secs, section,
};
use keywatch_alerting::policy::Hours;
use keywatch_event::{AlertField, Level, Matcher};
use std::time::Duration;

section! {
    /// One route. The first that fits decides, unless it says `continue`.
    pub(crate) struct Route {
        /// Its name, which stands in the reason why somebody was told.
        name: At<String> = need("give the route a name; it stands in the reason why somebody was told"),
        /// Which alerts: all of these hold. `field=pattern` or `field!=pattern`, where `*` stands
        /// for any text and `a|b` for either. Fields: rule, level, provider, store, account,
        /// principal, secret, source, tag. Without any: every alert.
        matches: Vec<Matching> as "match",
        /// From which level on.
        level: Level = default("info"),
        /// During which hours. Without any: always.
        hours: Vec<Weekly>,
        /// Who is told. An empty list: nobody, the alerts are only shown.
        receivers: Vec<At<String>>,
        /// How alerts of this route are gathered into one message.
        group: Option<Grouping>,
        /// Whether later routes are asked too.
        go_on: bool as "continue" = default("false"),
    }
}

section! {
    /// How alerts are gathered into one message.
    ///
    /// ```yaml
    /// grouping: {by: [rule, account], wait: 30s, interval: 5m}
    /// ```
    pub(crate) struct Grouping {
        /// What the alerts of one message have in common. Without any: nothing, all go together.
        by: Vec<Field>,
        /// How long the first alert waits for others.
        wait: Duration [0..=mins(60)] = default("30s"),
        /// Least time between two messages of one group.
        interval: Duration [secs(0)..=days(1)] = default("5m"),
    }
}

/// A matcher as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Matching(pub(crate) Matcher);

/// Hours of the week as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Weekly(pub(crate) Hours);

/// A field alerts are gathered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Field(pub(crate) AlertField);

impl Setting for Matching {
    const KIND: Kind = Kind::Text;

    fn read(node: &Node, _key: &Key, problems: &Problems) -> Option<Self> {
        spelled(node, problems).map(Self)
    }
}

impl Setting for Weekly {
    const KIND: Kind = Kind::Text;

    fn read(node: &Node, _key: &Key, problems: &Problems) -> Option<Self> {
        spelled(node, problems).map(Self)
    }
}

impl Setting for Field {
    const KIND: Kind = Kind::Choice(AlertField::NAMES);

    fn read(node: &Node, _key: &Key, problems: &Problems) -> Option<Self> {
        spelled(node, problems).map(Self)
    }
}

/// A value that knows its own spelling, and says what is wrong with another.
fn spelled<T: std::str::FromStr>(node: &Node, problems: &Problems) -> Option<T>
where
    T::Err: std::fmt::Display,
{
    match node.written().parse() {
        Ok(value) => Some(value),
        Err(error) => {
            problems.add(&node.origin, error.to_string(), "");
            None
        }
    }
}
