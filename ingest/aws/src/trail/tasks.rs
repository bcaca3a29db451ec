//! The tasks that keep a queue going: receiving, keeping messages invisible, and errands.

use super::desk::{Desk, Errand};
use super::digest;
use super::queue::{BATCH, Queue};
use super::work;
use super::{Carries, Settings};
use crate::failure::{Failure, Trouble};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

/// Slots that must be free before messages are asked for: as many as one answer may hold.
const ROOM: u32 = 10;
/// How long a deletion waits for others to share a request with.
const GATHER: Duration = Duration::from_millis(50);
/// How often an errand is tried. A message that is not deleted comes again, and its events are
/// known by then; one that is not released comes again as well, only later.
const ERRAND_TRIES: u32 = 6;
/// How often the queue's set-up is looked at again.
const SETUP_EVERY: Duration = Duration::from_mins(10);

/// How soon, when it was not to be had.
const SETUP_AGAIN: Duration = Duration::from_secs(30);

/// Receives messages as long as there is room for them.
pub(super) async fn receive(desk: Arc<Desk>, slots: Arc<Semaphore>) {
    let mut running = JoinSet::new();
    let mut backoff = desk.backoff();
    let part = format!("queue {}", desk.queue.name);
    loop {
        while running.try_join_next().is_some() {}
        let Ok(mut room) = Arc::clone(&slots).acquire_many_owned(ROOM).await else { return };
        let Settings { wait, visibility, .. } = desk.settings;
        match desk.queue.receive(wait, visibility).await {
            Ok(messages) => {
                backoff.reset();
                desk.health.works(&part);
                for received in messages {
                    let Some(slot) = room.split(1) else { break };
                    let number = desk.take(&received, slot);
                    running.spawn(work::process(Arc::clone(&desk), number, received));
                }
            }
            Err(failure) => {
                drop(room);
                refused(&desk, &failure).await;
                let text = desk.queue.explain(&failure, "sqs:ReceiveMessage");
                desk.health.fails(&part, text, (desk.clock)());
                sleep(backoff.wait()).await;
            }
        }
    }
}

async fn refused(desk: &Desk, failure: &Failure) {
    if failure.trouble == Trouble::Credentials {
        desk.buckets.refused().await;
    }
}

/// Keeps the messages in hand invisible to others, and looks after the queue's set-up.
pub(super) async fn keep(desk: Arc<Desk>) {
    let mut beat = interval(desk.settings.visibility / 3);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut setup = interval(SETUP_EVERY);
    setup.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut digests = interval(desk.settings.digests_every);
    digests.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = beat.tick() => hide_all(&desk).await,
            _ = setup.tick() => if !look(&desk).await {
                setup.reset_after(SETUP_AGAIN);
            },
            _ = digests.tick() => desk.digests.iter().for_each(|digests| digest::look(&desk, digests)),
        }
    }
}

async fn hide_all(desk: &Desk) {
    let handles = desk.in_hand();
    for some in handles.chunks(BATCH) {
        if let Err(failure) = desk.queue.hide(some, desk.settings.visibility).await {
            refused(desk, &failure).await;
            let text = desk.queue.explain(&failure, "sqs:ChangeMessageVisibility");
            desk.health.fails("visibility", text, (desk.clock)());
            return;
        }
        desk.health.works("visibility");
    }
}

/// Looks at the queue's set-up; whether it was to be had. What keeps everything from the queue is
/// told by those who receive, for as long as it lasts.
async fn look(desk: &Desk) -> bool {
    let text = match desk.queue.setup().await {
        Ok(setup) => {
            desk.redrive_tries.store(setup.tries_max.unwrap_or(0), Ordering::Relaxed);
            setup.tries_max.is_none().then(|| no_dead_letters(&desk.queue))
        }
        Err(failure) if matches!(failure.trouble, Trouble::Credentials | Trouble::Unavailable) => {
            return false;
        }
        Err(failure) => Some(desk.queue.explain(&failure, "sqs:GetQueueAttributes")),
    };
    desk.health.warns("dead-letter queue", text);
    let is_blind = desk.settings.carries == Carries::Events && !desk.has_seen_read.load(Ordering::Relaxed);
    desk.health.warns("reads", is_blind.then(|| NO_READS.to_owned()));
    true
}

const NO_READS: &str = "no read has come through this queue yet: an EventBridge rule in state ENABLED delivers none, so \
    reads of secrets go unseen; set it to ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS (aws events put-rule --name NAME \
    --state ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS --event-pattern …), or read the trail from S3";

fn no_dead_letters(queue: &Queue) -> String {
    format!(
        "{} has no dead-letter queue: a message that cannot be read comes back until its retention ends, and is then gone; \
         give it one with maxReceiveCount 5 (aws sqs set-queue-attributes --queue-url {} --attributes RedrivePolicy=…)",
        queue.name, queue.url
    )
}

/// Deletes and releases messages.
pub(super) async fn run_errands(desk: Arc<Desk>, mut errands: UnboundedReceiver<Errand>) {
    let mut running = JoinSet::new();
    let mut done: Vec<(String, OwnedSemaphorePermit)> = Vec::new();
    loop {
        while running.try_join_next().is_some() {}
        let next = if done.is_empty() {
            errands.recv().await.map(Some)
        } else {
            timeout(GATHER, errands.recv()).await.map_or(Some(None), |errand| errand.map(Some))
        };
        match next {
            None => return,
            Some(Some(Errand::Release(handle, rest, slot))) => {
                running.spawn(release(Arc::clone(&desk), handle, rest, slot));
            }
            Some(Some(Errand::Delete(handle, slot))) if done.len() + 1 < BATCH => done.push((handle, slot)),
            Some(last) => {
                if let Some(Errand::Delete(handle, slot)) = last {
                    done.push((handle, slot));
                }
                running.spawn(delete(Arc::clone(&desk), std::mem::take(&mut done)));
            }
        }
    }
}

async fn release(desk: Arc<Desk>, handle: String, rest: Duration, _slot: OwnedSemaphorePermit) {
    let mut backoff = desk.backoff();
    while backoff.tries() < ERRAND_TRIES {
        let Err(failure) = desk.queue.hide(std::slice::from_ref(&handle), rest).await else { return };
        refused(&desk, &failure).await;
        tracing::debug!("{}", desk.queue.explain(&failure, "sqs:ChangeMessageVisibility"));
        sleep(backoff.wait()).await;
    }
}

async fn delete(desk: Arc<Desk>, messages: Vec<(String, OwnedSemaphorePermit)>) {
    let (mut handles, _slots): (Vec<String>, Vec<OwnedSemaphorePermit>) = messages.into_iter().unzip();
    let mut backoff = desk.backoff();
    while backoff.tries() < ERRAND_TRIES {
        match desk.queue.delete(&handles).await {
            Ok(left) if left.is_empty() => return desk.health.works("deletion"),
            Ok(left) => handles = left,
            Err(failure) => {
                refused(&desk, &failure).await;
                let text = desk.queue.explain(&failure, "sqs:DeleteMessage");
                desk.health.fails("deletion", text, (desk.clock)());
            }
        }
        sleep(backoff.wait()).await;
    }
}
