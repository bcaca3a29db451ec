//! CloudTrail's digest files, verified as they arrive: signature, chain, and every log file named.
//!
//! A digest that is the first of its chain is taken as it is, once AWS's signature on it holds. Each
//! after it must follow the last: digests in between are fetched and verified as well. What does not
//! hold is told at once (`integrity`); what cannot be asked is waited for like any other object.
//! One digest of a source is verified at a time.
//!
//! Invariant: what was found is said before the chain goes on, so it is never stored without it.

mod chain;
mod keys;
mod proof;
mod record;

pub(super) use record::is_digest;

use super::bucket::{self, Fetched, Unfetched};
use super::desk::Desk;
use super::notice::ObjectName;
use crate::access::Way;
use crate::failure::Trouble;
use chain::{Chains, Last};
use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::join_all;
use keys::Keys;
use keywatch_event::Observed;
use keywatch_ingest::Batch;
use proof::{content_of, hash_of, is_signed};
use record::{Digest, LogFile, chain_of, region_of};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::Mutex;
use tokio::time::sleep;

/// Digests that are fetched to get from one to the last that is verified: as many hours as a queue
/// keeps a message, two weeks.
const STEPS_MAX: usize = 14 * 24;
/// Two digests are missing when none came for so long: they come hourly, within the next hour.
const OVERDUE: TimeDelta = TimeDelta::hours(3);
/// Attempts after which an object that is not to be had, while others of its bucket are, is missing.
const TRIES: u32 = 3;
/// Files one alert names; the others are counted.
const NAMED_MAX: usize = 5;

/// What a source knows of its digests.
pub(super) struct Digests {
    source: String,
    keys: Keys,
    started_at: DateTime<Utc>,
    live: Mutex<Chains>,
    /// Chains that a backfill follows, from where it begins, apart from what arrives.
    old: Mutex<Chains>,
}

/// A digest whose signature holds.
struct Proven {
    digest: Digest,
    last: Last,
}

impl Digests {
    pub(super) fn new(
        source: &str,
        way: Way,
        positions: &HashMap<String, String>,
        started_at: DateTime<Utc>,
    ) -> Self {
        let live = Mutex::new(Chains::of(source, positions));
        Self { source: source.to_owned(), keys: Keys::new(way), started_at, live, old: Mutex::default() }
    }
}

/// Verifies a digest that was announced, or is read by a backfill when there is no message.
pub(super) async fn verify(
    desk: &Arc<Desk>,
    digests: &Digests,
    message: Option<u64>,
    object: &ObjectName,
) -> Result<(), String> {
    let chains = if message.is_some() { &digests.live } else { &digests.old };
    let mut chains = chains.lock().await;
    let Some(chain) = chain_of(object) else { return Ok(()) };
    let Some(fetched) = fetch(desk, object).await? else {
        tell(desk, "digest missing", format!("the digest {object} is not there any more"));
        return Ok(());
    };
    let Some(proven) = prove(desk, digests, object, &fetched).await else { return Ok(()) };
    let known = chains.last(&chain).cloned();
    if let Some(known) = &known
        && known.object == proven.last.object
    {
        if known.hash != proven.last.hash {
            tell(desk, "digest changed", format!("{object} is not the digest that was verified before"));
        }
        return Ok(());
    }
    verify_files(desk, &proven.digest).await?;
    if let Some(known) = &known {
        if proven.last.end <= known.end {
            return Ok(());
        }
        follow(desk, digests, &proven, known).await?;
    }
    if let Some(advance) = chains.advance(&digests.source, &chain, proven.last)
        && message.is_some()
    {
        desk.hand_over(Batch { advances: vec![advance], ..Batch::default() }, message).await;
    }
    Ok(())
}

/// Looks whether digests still come. To be asked every minute.
pub(super) fn look(desk: &Desk, digests: &Digests) {
    // While one is being verified there is nothing to miss.
    let Ok(chains) = digests.live.try_lock() else { return };
    let now = (desk.clock)();
    for (chain, last) in chains.iter() {
        let since = last.end.max(digests.started_at);
        let text = (now - since > OVERDUE).then(|| {
            format!(
                "no digest of {chain} came since the one that ends {}: two in a row are missing; is the trail still on, with \
                 validation, and does the queue hear of CloudTrail-Digest/?",
                last.end
            )
        });
        desk.health.stands(Observed::Integrity, &format!("digests missing, {chain}"), text);
    }
}

/// The digest in an object, when AWS signed it for this place; what is wrong is told.
async fn prove(
    desk: &Arc<Desk>,
    digests: &Digests,
    object: &ObjectName,
    fetched: &Fetched,
) -> Option<Proven> {
    let refuse = |why: &str| tell(desk, "digest changed", format!("the digest {object} {why}"));
    let content = content_of(&fetched.bytes).ok();
    let read = content.as_deref().and_then(|content| serde_json::from_slice::<Digest>(content).ok());
    let (Some(content), Some(digest)) = (content, read) else {
        refuse("is damaged: it is no digest any more");
        return None;
    };
    if digest.object() != *object {
        refuse(&format!("was made for another place, {}", digest.object()));
        return None;
    }
    let (Some(end), Some(region), Ok(hash)) = (digest.end(), region_of(&object.key), hash_of(&content))
    else {
        refuse("names no time or no region");
        return None;
    };
    let Some(signature) = fetched.signature.clone() else {
        refuse("bears no signature (the object's metadata `signature` is gone)");
        return None;
    };
    let Some(key) = key_of(desk, digests, &digest, region).await? else {
        refuse(&format!("is signed with a key AWS does not list: {}", digest.digest_public_key_fingerprint));
        return None;
    };
    if !is_signed(&digest, &hash, &signature, &key) {
        refuse("is not as AWS signed it");
        return None;
    }
    Some(Proven { digest, last: Last { end, object: object.to_string(), hash, signature } })
}

/// The key of a digest, however long that takes; `None` without the right to ask.
async fn key_of(
    desk: &Arc<Desk>,
    digests: &Digests,
    digest: &Digest,
    region: &str,
) -> Option<Option<Vec<u8>>> {
    let mut backoff = desk.backoff();
    loop {
        let failure = match digests.keys.of(digest, region).await {
            Ok(key) => {
                desk.health.works("public keys");
                desk.health.warns("public keys", None);
                return Some(key);
            }
            Err(failure) => failure,
        };
        let text = keys::explain(region, &failure);
        if failure.trouble == Trouble::Denied {
            desk.health.warns("public keys", Some(text));
            return None;
        }
        desk.health.fails("public keys", text, (desk.clock)());
        sleep(backoff.wait()).await;
    }
}

/// Goes back from a digest to the last of its chain that is verified, and verifies what lies between.
async fn follow(desk: &Arc<Desk>, digests: &Digests, proven: &Proven, known: &Last) -> Result<(), String> {
    let broken = |text: String| tell(desk, "chain broken", text);
    let mut after = proven.digest.clone();
    for _ in 0..STEPS_MAX {
        let Some(object) = after.previous() else {
            broken(format!(
                "{} begins a new chain, and {} was there before it",
                after.object(),
                known.object
            ));
            return Ok(());
        };
        if object.to_string() == known.object {
            let same = after.previous_digest_hash_value.as_ref() == Some(&known.hash)
                && after.previous_digest_signature.as_ref() == Some(&known.signature);
            if !same {
                broken(format!("{} does not follow {object} as it was verified", after.object()));
            }
            return Ok(());
        }
        let Some(fetched) = fetch(desk, &object).await? else {
            let text = format!("the digest {object} is not there, and {} follows it", after.object());
            tell(desk, "digest missing", text);
            return Ok(());
        };
        let Some(between) = prove(desk, digests, &object, &fetched).await else { return Ok(()) };
        if after.previous_digest_hash_value.as_ref() != Some(&between.last.hash) {
            broken(format!("{} does not follow {object}: its hash is another", after.object()));
        }
        verify_files(desk, &between.digest).await?;
        if between.last.end <= known.end {
            broken(format!("{object} is as old as {}, and another chain", known.object));
            return Ok(());
        }
        after = between.digest;
    }
    broken(format!("{} is more than {STEPS_MAX} digests after {}", proven.last.object, known.object));
    Ok(())
}

/// How a log file is, beside what its digest says.
enum Found {
    Whole,
    Missing,
    /// It holds something else, with this hash when it can be read.
    Other(Option<String>),
}

/// Compares every log file of a digest with its hash.
async fn verify_files(desk: &Arc<Desk>, digest: &Digest) -> Result<(), String> {
    let (mut missing, mut swapped, mut changed) = (Vec::new(), Vec::new(), Vec::new());
    for some in digest.log_files.chunks(desk.settings.fetches.max(1)) {
        let found = join_all(some.iter().map(|file| check(desk, file))).await;
        for (file, found) in some.iter().zip(found) {
            let name = file.object().to_string();
            let others = |hash: &str| digest.log_files.iter().any(|other| other.hash_value == hash);
            match found? {
                Found::Whole => {}
                Found::Missing => missing.push(name),
                Found::Other(Some(hash)) if others(&hash) => swapped.push(name),
                Found::Other(_) => changed.push(name),
            }
        }
    }
    for (subject, what, mut names) in [
        ("log file missing", "are not there any more", missing),
        ("log file swapped", "hold what belongs in another of them", swapped),
        ("log file changed", "do not hold what CloudTrail wrote", changed),
    ] {
        if names.is_empty() {
            continue;
        }
        names.sort();
        let count = names.len();
        names.truncate(NAMED_MAX);
        let text = format!(
            "{count} of the {} log files of {} {what}: {}",
            digest.log_files.len(),
            digest.object(),
            names.join(", ")
        );
        tell(desk, subject, text);
    }
    Ok(())
}

async fn check(desk: &Arc<Desk>, file: &LogFile) -> Result<Found, String> {
    let Some(fetched) = fetch(desk, &file.object()).await? else { return Ok(Found::Missing) };
    let hashed = tokio::task::spawn_blocking(move || hash_of(&fetched.bytes)).await;
    let hash = hashed.ok().and_then(Result::ok);
    Ok(if hash.as_deref() == Some(file.hash_value.as_str()) { Found::Whole } else { Found::Other(hash) })
}

/// Fetches an object, however long its bucket answers nobody; `None` when it is not there.
async fn fetch(desk: &Arc<Desk>, object: &ObjectName) -> Result<Option<Fetched>, String> {
    let (began, part) = (Instant::now(), format!("bucket {}", object.bucket));
    let mut backoff = desk.backoff();
    loop {
        let permit = desk.fetches.acquire().await.map_err(|_closed| "the source has ended".to_owned())?;
        let failure = match desk.buckets.fetch(object).await {
            Ok(fetched) => {
                desk.health.works(&part);
                return Ok(Some(fetched));
            }
            Err(Unfetched::Lost(why)) => return Err(format!("{object}: {why}")),
            Err(Unfetched::Failed(failure)) => failure,
        };
        drop(permit);
        let is_missing = failure.trouble == Trouble::Missing;
        // Without the right to list, S3 says "forbidden" of what is not there.
        let is_alone = desk.buckets.has_worked_since(&object.bucket, began);
        if backoff.tries() + 1 >= TRIES && (is_missing || is_alone && failure.trouble == Trouble::Denied) {
            return Ok(None);
        }
        if failure.trouble == Trouble::Credentials {
            desk.buckets.refused().await;
        }
        if !is_missing {
            desk.health.fails(&part, bucket::explain(&object.to_string(), &failure), (desk.clock)());
        }
        sleep(backoff.wait()).await;
    }
}

fn tell(desk: &Desk, subject: &str, text: String) {
    desk.health.happened(Observed::Integrity, subject, text);
}
