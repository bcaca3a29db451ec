//! One message from its body to the records it stands for.
//!
//! What concerns one message alone (an object that is not there, damage, a body nobody understands)
//! is the queue's to count and in the end to set aside. What concerns all of them (credentials, a
//! bucket that answers nobody) is waited for with the messages in hand, so that an outage never
//! fills the dead-letter queue.

use super::bucket::{self, Unfetched};
use super::desk::{Desk, Outcome};
use super::digest;
use super::notice::{self, Notice, ObjectName};
use super::queue::Received;
use crate::failure::Trouble;
use keywatch_event::{Observed, Place, Reject, RejectReason};
use keywatch_ingest::Batch;
use keywatch_ingest::carrier;
use keywatch_ingest::source::Object;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;
use tokio::runtime::Handle;
use tokio::sync::SemaphorePermit;

/// Records and bytes of one piece: no larger than a batch of the pipeline.
pub(super) const PIECE: (usize, usize) = (4096, 8 << 20);
/// Attempts after which trouble with one object, while others of its bucket come, is its own.
const OWN_TRIES: u32 = 3;

/// Reads a message that is in hand under `number`.
pub(super) async fn process(desk: Arc<Desk>, number: u64, received: Received) {
    let failed = match notice::read(&received.body) {
        Notice::Nothing => None,
        Notice::Objects(objects) => read_all(&desk, number, &objects).await,
        Notice::Other(text) => read_events(&desk, number, &text).await,
    };
    let Some(why) = failed else {
        if received.tries > 1 {
            desk.health.warns("messages that failed", None);
        }
        return desk.end(number, Outcome::Read);
    };
    if received.tries >= desk.tries_max() {
        give_up(&desk, number, &received, &why).await;
    } else {
        let tries = (received.tries, desk.tries_max());
        let text = format!(
            "a message of {} failed and is tried again (try {} of {}): {why}",
            desk.queue.name, tries.0, tries.1
        );
        desk.health.warns("messages that failed", Some(text));
    }
    desk.end(number, Outcome::Failed);
}

/// Reads every object, also after one that failed; why the last one that failed did.
async fn read_all(desk: &Arc<Desk>, number: u64, objects: &[ObjectName]) -> Option<String> {
    let mut failed = None;
    for object in objects {
        if let Err(why) = read_object(desk, Some(number), object).await {
            failed = Some(why);
        }
    }
    failed
}

/// Reads one object. Waits as long as its bucket answers nobody.
pub(super) async fn read_object(
    desk: &Arc<Desk>,
    message: Option<u64>,
    object: &ObjectName,
) -> Result<(), String> {
    let fetched = fetch(desk, object).await?;
    read_fetched(desk, message, object, fetched).await
}

/// An object in memory, with its place among those that may be.
pub(super) struct Fetched<'d> {
    bytes: Vec<u8>,
    _place: SemaphorePermit<'d>,
}

/// Fetches one object, `None` of a digest, which is fetched when it is verified. Waits as long as its bucket
/// answers nobody.
pub(super) async fn fetch<'d>(desk: &'d Desk, object: &ObjectName) -> Result<Option<Fetched<'d>>, String> {
    if digest::is_digest(&object.key) {
        return Ok(None);
    }
    let (began, part) = (Instant::now(), format!("bucket {}", object.bucket));
    let mut backoff = desk.backoff();
    loop {
        let place = desk.fetches.acquire().await.map_err(|_closed| "the source has ended".to_owned())?;
        let failure = match desk.buckets.fetch(object).await {
            Ok(fetched) => {
                desk.health.works(&part);
                return Ok(Some(Fetched { bytes: fetched.bytes, _place: place }));
            }
            Err(Unfetched::Lost(why)) => return Err(format!("{object}: {why}")),
            Err(Unfetched::Failed(failure)) => failure,
        };
        drop(place);
        let text = bucket::explain(&object.to_string(), &failure);
        if failure.trouble == Trouble::Missing {
            return Err(text);
        }
        if failure.trouble == Trouble::Credentials {
            desk.buckets.refused().await;
        }
        if backoff.tries() >= OWN_TRIES && desk.buckets.has_worked_since(&object.bucket, began) {
            return Err(text);
        }
        desk.health.fails(&part, text, (desk.clock)());
        tokio::time::sleep(backoff.wait()).await;
    }
}

/// Reads what was fetched; a digest is verified, or passed over.
pub(super) async fn read_fetched(
    desk: &Arc<Desk>,
    message: Option<u64>,
    object: &ObjectName,
    fetched: Option<Fetched<'_>>,
) -> Result<(), String> {
    match (fetched, &desk.digests) {
        // Its place is given back when it is read.
        (Some(Fetched { bytes, _place }), _) => read_bytes(desk, message, object, bytes).await,
        (None, Some(digests)) => digest::verify(desk, digests, message, object).await,
        (None, None) => Ok(()),
    }
}

/// Cuts an object into records on a thread that may be kept busy.
async fn read_bytes(
    desk: &Arc<Desk>,
    message: Option<u64>,
    object: &ObjectName,
    bytes: Vec<u8>,
) -> Result<(), String> {
    let (desk, name) = (Arc::clone(desk), object.to_string());
    let cut = tokio::task::spawn_blocking(move || cut(&desk, message, &name, bytes));
    cut.await.unwrap_or_else(|error| Err(format!("{object} could not be read: {error}")))
}

fn cut(desk: &Desk, message: Option<u64>, name: &str, bytes: Vec<u8>) -> Result<(), String> {
    let opened = Object::open(name, bytes);
    let mut object = opened.map_err(|error| format!("{name} is {error}, which is not read"))?;
    let runtime = Handle::current();
    while let Some(batch) = object.next_batch(PIECE.0, PIECE.1) {
        if !runtime.block_on(desk.hand_over(batch, message)) {
            return Err("the source has ended".to_owned());
        }
    }
    match object.damage() {
        Some((line, reason)) => Err(format!("{name}, line {line}: {reason}")),
        None => Ok(()),
    }
}

/// Reads a message that carries events itself; why it could not be read when it is no such thing.
async fn read_events(desk: &Arc<Desk>, number: u64, text: &str) -> Option<String> {
    let mut batch = Batch::default();
    carrier::open(text.as_bytes(), &place(&desk.queue.name), &mut batch);
    let refused = batch.rejects.first().map(|reject| reject.reason.to_string());
    let is_poison = batch.records.is_empty() && refused.is_some();
    if is_poison {
        return refused;
    }
    if memchr::memmem::find(&batch.bytes, br#""readOnly":true"#).is_some()
        && !desk.has_seen_read.swap(true, Ordering::Relaxed)
    {
        desk.health.warns("reads", None);
    }
    if !batch.is_empty() {
        desk.hand_over(batch, Some(number)).await;
    }
    None
}

/// Leaves a message to the dead-letter queue. What it announced is put down as a reject.
async fn give_up(desk: &Arc<Desk>, number: u64, received: &Received, why: &str) {
    let reason = RejectReason::Envelope {
        carrier: "SQS",
        detail: format!("{why}; given up after {} tries", received.tries),
    };
    let reject = Reject { place: place(&desk.queue.name), reason, bytes: received.body.clone().into_bytes() };
    let what_next = if desk.redrive_tries.load(Ordering::Relaxed) == 0 {
        "the queue has no dead-letter queue, so it comes back until its retention ends"
    } else {
        "it is left to the dead-letter queue; once the cause is mended, `aws sqs start-message-move-task` brings it back"
    };
    let text = format!(
        "a message of {} could not be read in {} tries: {why}; {what_next}",
        desk.queue.name, received.tries
    );
    // First said, then handed over: the reject is never kept without the alert.
    desk.health.happened(Observed::GivenUp, "", text);
    desk.hand_over(Batch { rejects: vec![reject], ..Batch::default() }, Some(number)).await;
}

fn place(queue: &str) -> Place {
    Place { name: format!("sqs:{queue}").into(), line: 1, record: 0 }
}
