//! Who is to be told of an alert, as the store asks it within the transaction that writes it.
//!
//! Decides nothing itself: whoever commits brings a [`Routing`]. Every answer carries its reason,
//! which is kept with the alert.

use chrono::{DateTime, Utc};
use keywatch_event::{Level, Subject};

/// Somebody who is told about alerts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscriber {
    /// The receiver's unique name.
    pub name: String,
    /// The least urgent alerts it is told about.
    pub level_min: Level,
}

impl Subscriber {
    /// A subscriber to every alert of `level_min` or above.
    #[must_use]
    pub fn new(name: &str, level_min: Level) -> Self {
        Self { name: name.to_owned(), level_min }
    }
}

/// One receiver's share in an alert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Routed {
    /// The receiver.
    pub receiver: String,
    /// Whether it is told.
    pub told: bool,
    /// Why, in words.
    pub reason: String,
    /// With which other alerts it is told, when they are gathered.
    pub group: Option<Gathering>,
}

/// How alerts are gathered into one message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gathering {
    /// What they have in common: `rule=KW-002, account=111122223333`.
    pub key: String,
    /// How long the first of them waits for others, seconds.
    pub wait_secs: u32,
    /// Least time between two messages of the group, seconds.
    pub interval_secs: u32,
}

/// Answers who is to be told.
pub trait Routing: Sync {
    /// Every receiver that comes into question, each once, at this time of the wall clock.
    fn routes(&self, subject: &Subject, at: DateTime<Utc>) -> Vec<Routed>;

    /// Whether there is a receiver of this name at all.
    fn knows(&self, receiver: &str) -> bool;

    /// The time at which it is decided, for measuring; the batch was taken in at `received_at`.
    fn decided_at(&self, received_at: DateTime<Utc>) -> DateTime<Utc> {
        received_at
    }
}

impl Routing for [Subscriber] {
    fn routes(&self, subject: &Subject, _at: DateTime<Utc>) -> Vec<Routed> {
        self.iter().map(|subscriber| subscriber.routed(subject.level)).collect()
    }

    fn knows(&self, receiver: &str) -> bool {
        self.iter().any(|known| known.name == receiver)
    }
}

impl<const N: usize> Routing for [Subscriber; N] {
    fn routes(&self, subject: &Subject, at: DateTime<Utc>) -> Vec<Routed> {
        self.as_slice().routes(subject, at)
    }

    fn knows(&self, receiver: &str) -> bool {
        self.as_slice().knows(receiver)
    }
}

impl Routing for Vec<Subscriber> {
    fn routes(&self, subject: &Subject, at: DateTime<Utc>) -> Vec<Routed> {
        self.as_slice().routes(subject, at)
    }

    fn knows(&self, receiver: &str) -> bool {
        self.as_slice().knows(receiver)
    }
}

impl Subscriber {
    /// Whether it is told of alerts of `level`, and why.
    #[must_use]
    pub fn routed(&self, level: Level) -> Routed {
        let told = self.level_min <= level;
        let reason = if told {
            format!("it is told of everything from {} on", self.level_min)
        } else {
            format!("{level} is below {}, from which on it is told", self.level_min)
        };
        Routed { receiver: self.name.clone(), told, reason, group: None }
    }
}

/// What was decided about one alert and one receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Choice {
    /// It is told.
    Told,
    /// It is not.
    NotTold,
    /// Not yet.
    Held,
    /// Not while a silence lasts.
    Muted,
    /// It was to be told, and need not be any more.
    TakenBack,
}

impl Choice {
    /// Every choice.
    pub const ALL: &'static [Self] = &[Self::Told, Self::NotTold, Self::Held, Self::Muted, Self::TakenBack];

    /// The words used on pages.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Told => "told",
            Self::NotTold => "not told",
            Self::Held => "held back",
            Self::Muted => "muted",
            Self::TakenBack => "taken back",
        }
    }
}
