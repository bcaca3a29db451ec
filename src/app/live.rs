//! Sources that are asked over the network, each as a task that feeds the pipeline.
//!
//! Invariant: a source hears of a batch only after its commit, and in the order it yielded them. At
//! most [`AHEAD`] of its batches wait for that.

use super::sources::{AHEAD, Fed};
use crate::clock;
use crate::config::live::{LiveSource, Way};
use keywatch_aws::lookup::{Lookup, Pace};
use keywatch_aws::trail::TrailQueue;
use keywatch_azure::Container;
use keywatch_gcp::{logging, pubsub};
use keywatch_ingest::source::{Clock, Condition, Health, Live, State};
use keywatch_kafka::Group;
use keywatch_objects::Objects;
use keywatch_push::Pushed;
use keywatch_secrets::SecretManager;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use tokio::sync::mpsc;

/// What every live source of the service shares.
#[derive(Clone)]
pub(super) struct Surroundings {
    pub(super) secrets: SecretManager,
    pub(super) positions: Arc<HashMap<String, String>>,
    pub(super) pace: Pace,
    pub(super) logging_pace: logging::Pace,
}

/// Where a source puts its batches, and how it hears that they are stored.
pub(super) struct Line {
    pub(super) number: usize,
    pub(super) feed: mpsc::Sender<Fed>,
    pub(super) stored: mpsc::UnboundedReceiver<()>,
}

/// Starts a source and runs it until nobody takes its batches any more.
pub(super) async fn run(source: LiveSource, health: Health, surroundings: Surroundings, line: Line) {
    let Surroundings { secrets, positions, pace, logging_pace } = surroundings;
    let told: (Clock, Health) = (Arc::new(clock::now), health);
    match source.way {
        Way::Push(settings) => {
            let position = positions.get(&Pushed::position_name(&source.name)).cloned();
            drive(Pushed::start(&source.name, &secrets, settings, position, told).await, line).await;
        }
        Way::Trail(access, settings) => {
            let access = (&access, &secrets);
            drive(TrailQueue::start(&source.name, access, settings, &positions, told).await, line).await;
        }
        Way::Lookup(access, mut settings) => {
            let access = (&access, &secrets);
            settings.pace = pace;
            drive(Lookup::start(&source.name, access, settings, &positions, told).await, line).await;
        }
        Way::Kafka(access, settings) => {
            drive(Group::start(&source.name, (&access, &secrets), settings, &positions, told), line).await;
        }
        Way::Blob(access, settings) => {
            let container = Arc::new(Container::new(&access, &secrets));
            drive(Objects::start(&source.name, container, settings, &positions, told), line).await;
        }
        Way::Logging(access, mut settings) => {
            let access = (&access, &secrets);
            settings.pace = logging_pace;
            drive(logging::Logging::start(&source.name, access, settings, &positions, told), line).await;
        }
        Way::PubSub(access, settings) => {
            drive(pubsub::Subscription::start((&access, &secrets), settings, told), line).await;
        }
    }
}

/// Hands batches over and tells the source which are stored.
pub(super) async fn drive<S: Live>(mut source: S, mut line: Line) {
    let mut receipts: VecDeque<S::Receipt> = VecDeque::with_capacity(AHEAD);
    loop {
        tokio::select! {
            biased;
            stored = line.stored.recv() => {
                if stored.is_none() {
                    return;
                }
                if let Some(receipt) = receipts.pop_front() {
                    source.acknowledge(receipt).await;
                }
            }
            (batch, receipt) = source.next(), if receipts.len() < AHEAD => {
                receipts.push_back(receipt);
                if line.feed.send(Fed::live(line.number, batch)).await.is_err() {
                    return;
                }
            }
        }
    }
}

/// A source's health as the dashboard shows it.
pub(super) fn told(condition: &Condition) -> (State, Vec<String>) {
    let mut lines = Vec::new();
    for failing in condition.errors.values() {
        lines.push(format!("since {}: {}", failing.since.format("%Y-%m-%d %H:%M:%S UTC"), failing.text));
    }
    for (part, reached) in &condition.progress {
        let (whole, tenth) = (reached.permille / 10, reached.permille % 10);
        lines.push(format!("{part}: old records are being read, {whole}.{tenth} % done: {}", reached.text));
    }
    lines.extend(condition.warnings.values().cloned());
    lines.extend(condition.refused.iter().map(|(why, count)| format!("{count} since the start: {why}")));
    if condition.gaps_total > 0 {
        lines.push(format!("{} gap(s) since the start, the latest below", condition.gaps_total));
        lines.extend(condition.gaps.iter().cloned());
    }
    (condition.state(), lines)
}

#[cfg(test)]
mod tests;
