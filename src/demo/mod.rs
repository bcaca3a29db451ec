//! Sample audit logs of all four providers, for a first look without an account anywhere.
//!
//! A fortnight of an invented company's ordinary days, and a few minutes of an attack on it.
//! Nothing here touches a disk or reads a clock: the logs are a function of `now`, and are read
//! by the same file source as everybody's logs.

mod attack;
mod aws;
mod azure;
mod company;
mod gcp;
mod history;
mod log;
mod random;
mod vault;

use chrono::{DateTime, Utc};
use std::time::Duration;

/// One file of the sample history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DemoFile {
    /// Where it stands below the folder of samples, with `/` between its parts.
    pub(crate) path: String,
    /// Its content.
    pub(crate) bytes: Vec<u8>,
}

/// One delivery of the sample attack: bytes to append to a file, which is created when missing.
///
/// Deliveries that the provider makes as objects of their own (CloudTrail, Cloud Storage) each
/// have a path that nothing else has; a reader must see such a file whole or not at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LiveChunk {
    /// Where the file stands below the folder of samples.
    pub(crate) path: String,
    /// When it arrives, counted from the start.
    pub(crate) after: Duration,
    /// What is appended.
    pub(crate) bytes: Vec<u8>,
}

/// The fortnight up to `now`, in the order of the paths.
pub(crate) fn history(now: DateTime<Utc>) -> Vec<DemoFile> {
    history::log(now).files(0)
}

/// The attack of the minutes up to `now`, in the order of arrival.
pub(crate) fn attack(now: DateTime<Utc>) -> Vec<LiveChunk> {
    let scenes = attack::scenes(now).into_iter().enumerate();
    scenes
        .flat_map(|(index, scene)| {
            let after = Duration::from_secs(scene.after_secs);
            let files = scene.log.files(index + 1);
            files.into_iter().map(move |file| LiveChunk { path: file.path, after, bytes: file.bytes })
        })
        .collect()
}

#[cfg(test)]
mod tests;
