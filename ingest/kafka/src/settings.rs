//! What is read, and from where.

use std::time::Duration;

/// Where reading begins in a partition of which nothing was read yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Start {
    /// With the oldest message the cluster still has.
    #[default]
    Beginning,
    /// With what comes from now on.
    End,
}

/// How a group is read. The defaults are those for a cluster somewhere else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Topics; one that begins with `^` is a pattern (POSIX extended regular expression).
    pub topics: Vec<String>,
    /// The consumer group.
    pub group: String,
    /// Where reading begins in a new partition.
    pub start: Start,
    /// After how long without a sign of life the cluster gives the partitions to another member.
    pub session_timeout: Duration,
    /// First wait after a login that was refused; doubles up to a minute.
    pub retry_first: Duration,
    /// How often the client's own figures are looked at.
    pub look_every: Duration,
    /// How long a full batch waits to be taken before the cluster is asked for nothing more. The
    /// cluster gives up on a client that does not poll for five minutes.
    pub pause_after: Duration,
    /// Records of one batch: large enough that one fsync serves thousands of events.
    pub batch_records: usize,
}

impl Settings {
    /// The usual settings.
    #[must_use]
    pub fn new(topics: Vec<String>, group: &str) -> Self {
        Self {
            topics,
            group: group.to_owned(),
            start: Start::Beginning,
            session_timeout: Duration::from_secs(45),
            retry_first: Duration::from_secs(1),
            look_every: Duration::from_secs(5),
            pause_after: Duration::from_secs(20),
            batch_records: 4096,
        }
    }
}
