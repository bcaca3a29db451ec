//! Old objects of a trail, listed from its bucket day by day, with progress and from where it ended.
//!
//! A trail lies as `…/CloudTrail/REGION/YYYY/MM/DD/…`. The walk finds every folder that has years in
//! it, then reads each of them day by day in the order of keys. Invariant: the position moves past a
//! key only in the batch that follows everything read up to it.

use super::desk::Desk;
use super::notice::ObjectName;
use super::work;
use crate::failure::{Failure, Trouble};
use chrono::NaiveDate;
use futures_util::TryStreamExt;
use futures_util::future::join_all;
use keywatch_ingest::source::Reached;
use keywatch_ingest::{Advance, Batch};
use object_store::ObjectStore;
use object_store::path::Path;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use tokio::time::sleep;

/// Folders within one another that are walked: `o-org/ACCOUNT/CloudTrail/REGION` has four.
const DEPTH_MAX: usize = 8;
/// Folders with years that one backfill reads: a thousand accounts in seventeen regions.
const FOLDERS_MAX: usize = 20_000;
/// What a backfill is called in the source's health.
const PART: &str = "backfill";

/// Which old objects are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backfill {
    /// The bucket they lie in.
    pub bucket: String,
    /// What their keys begin with, above the year: `AWSLogs/`, or one account's or region's folder.
    pub prefix: String,
    /// First day.
    pub from: NaiveDate,
    /// Last day; today when absent.
    pub to: Option<NaiveDate>,
}

impl Backfill {
    /// Under which name the store keeps how far the backfill of a source has come.
    #[must_use]
    pub fn position_name(source: &str) -> String {
        format!("aws:{source}:backfill")
    }

    /// What a position belongs to: another bucket, prefix or first day begins anew.
    fn range(&self) -> String {
        format!("s3://{}/{} from {}", self.bucket, self.prefix, self.from)
    }
}

/// How far a backfill has come.
#[derive(Debug, Serialize, Deserialize)]
struct Position {
    range: String,
    /// Everything up to this key is read.
    after: String,
    /// The last day that was asked for, once everything is read.
    done: Option<NaiveDate>,
}

struct Walk {
    desk: Arc<Desk>,
    source: String,
    backfill: Backfill,
    to: NaiveDate,
    committed: Option<String>,
    after: String,
}

/// Reads everything there is, and ends.
pub(super) async fn read(desk: Arc<Desk>, name: String, backfill: Backfill, position: Option<String>) {
    let to = backfill.to.unwrap_or_else(|| (desk.clock)().date_naive());
    let known = position.as_deref().and_then(|text| serde_json::from_str::<Position>(text).ok());
    let known = known.filter(|known| known.range == backfill.range());
    if known.as_ref().and_then(|known| known.done).is_some_and(|done| done >= backfill.to.unwrap_or(done)) {
        return;
    }
    let after = known.map(|known| known.after).unwrap_or_default();
    let source = Backfill::position_name(&name);
    let mut walk = Walk { desk, source, backfill, to, committed: position, after };
    walk.tell(0, "looking for folders with years".to_owned());
    let folders = walk.folders().await;
    walk.days(&folders).await;
    walk.desk.health.progresses(PART, None);
}

impl Walk {
    fn tell(&self, permille: usize, text: String) {
        let permille = u16::try_from(permille.min(1000)).unwrap_or(1000);
        self.desk.health.progresses(PART, Some(Reached { permille, text }));
    }

    /// Every folder with years, in the order of keys.
    async fn folders(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut waiting = vec![(self.backfill.prefix.trim_end_matches('/').to_owned(), 0)];
        while let Some((folder, depth)) = waiting.pop() {
            let inside = self.inside(&folder).await;
            if inside.iter().any(|name| is_year(name)) {
                found.push(folder);
            } else if depth < DEPTH_MAX {
                let is_wanted = |name: &String| self.desk.digests.is_some() || name != "CloudTrail-Digest";
                let below = inside.into_iter().filter(is_wanted);
                let join = |name: String| if folder.is_empty() { name } else { format!("{folder}/{name}") };
                waiting.extend(below.map(|name| (join(name), depth + 1)));
            }
            if found.len() >= FOLDERS_MAX {
                let text = format!(
                    "{} holds more than {FOLDERS_MAX} folders with years; the rest is not read: name a longer prefix",
                    self.backfill.range()
                );
                self.desk.health.misses(text);
                break;
            }
        }
        if found.is_empty() {
            let text = format!(
                "{} holds no folder with years; `prefix` ends above the year, as in AWSLogs/111122223333/CloudTrail/",
                self.backfill.range()
            );
            self.desk.health.warns(PART, Some(text));
        }
        found.sort();
        found
    }

    /// Names of the folders in a folder.
    async fn inside(&self, folder: &str) -> Vec<String> {
        let mut backoff = self.desk.backoff();
        loop {
            match self.try_inside(folder).await {
                Ok(names) => {
                    self.desk.health.works(PART);
                    return names;
                }
                Err(failure) => self.failed(&failure).await,
            }
            sleep(backoff.wait()).await;
        }
    }

    async fn try_inside(&self, folder: &str) -> Result<Vec<String>, Failure> {
        let store = self.desk.buckets.store(&self.backfill.bucket)?;
        let listing = store.list_with_delimiter(Some(&path(folder)?)).await;
        let listing = listing.map_err(|error| Failure::of_object(&error))?;
        Ok(listing.common_prefixes.iter().filter_map(|path| path.filename().map(str::to_owned)).collect())
    }

    async fn days(&mut self, folders: &[String]) {
        let days: Vec<NaiveDate> = self.backfill.from.iter_days().take_while(|day| *day <= self.to).collect();
        let total = (folders.len() * days.len()).max(1);
        let mut done = 0;
        for folder in folders {
            for day in &days {
                self.tell(
                    done * 1000 / total,
                    format!("{day} of {} to {} in {folder}", self.backfill.from, self.to),
                );
                self.day(&format!("{folder}/{}", day.format("%Y/%m/%d"))).await;
                done += 1;
            }
        }
        self.advance(self.after.clone(), Some(self.to)).await;
    }

    /// Reads a day's objects that are not yet read.
    async fn day(&mut self, folder: &str) {
        // Keys of a day that lies wholly before `after` are smaller than it.
        if format!("{folder}/\u{10ffff}") <= self.after {
            return;
        }
        let keys = self.keys(folder).await;
        let bucket = self.backfill.bucket.clone();
        let some = self.desk.settings.fetches.max(1) * 4;
        for keys in keys.chunks(some) {
            let objects: Vec<ObjectName> =
                keys.iter().map(|key| ObjectName { bucket: bucket.clone(), key: key.clone() }).collect();
            let reading = objects.iter().map(|object| work::read_object(&self.desk, None, object));
            for failed in join_all(reading).await.into_iter().filter_map(Result::err) {
                self.desk.health.misses(format!("the backfill passed over an object: {failed}"));
            }
            if let Some(last) = keys.last() {
                self.advance(last.clone(), None).await;
            }
        }
    }

    /// Keys of a folder that are not yet read, in order.
    async fn keys(&self, folder: &str) -> Vec<String> {
        let mut backoff = self.desk.backoff();
        loop {
            match self.try_keys(folder).await {
                Ok(mut keys) => {
                    self.desk.health.works(PART);
                    keys.sort();
                    return keys;
                }
                Err(failure) => self.failed(&failure).await,
            }
            sleep(backoff.wait()).await;
        }
    }

    async fn try_keys(&self, folder: &str) -> Result<Vec<String>, Failure> {
        let store = self.desk.buckets.store(&self.backfill.bucket)?;
        let all = store.list(Some(&path(folder)?)).map_ok(|meta| meta.location.to_string());
        let keys: Vec<String> = all.try_collect().await.map_err(|error| Failure::of_object(&error))?;
        Ok(keys.into_iter().filter(|key| *key > self.after).collect())
    }

    async fn failed(&self, failure: &Failure) {
        if failure.trouble == Trouble::Credentials {
            self.desk.buckets.refused().await;
        }
        let text = format!(
            "s3:ListBucket failed on {}: {}; {}",
            self.backfill.bucket,
            failure.said,
            failure.remedy_or("grant it on the bucket to the identity Keywatch has")
        );
        self.desk.health.fails(PART, text, (self.desk.clock)());
    }

    /// Hands over how far everything before is read.
    async fn advance(&mut self, after: String, done: Option<NaiveDate>) {
        let position = Position { range: self.backfill.range(), after: after.clone(), done };
        let Ok(to) = serde_json::to_string(&position) else { return };
        let from = self.committed.replace(to.clone());
        self.after = after;
        let advances = vec![Advance { source: self.source.clone(), from, to }];
        self.desk.hand_over(Batch { advances, ..Batch::default() }, None).await;
    }
}

fn path(folder: &str) -> Result<Path, Failure> {
    let unusable = |error: object_store::path::Error| Failure::new(Trouble::Missing, error.to_string());
    Path::parse(folder).map_err(unusable)
}

fn is_year(name: &str) -> bool {
    name.len() == 4 && name.starts_with("20") && name.bytes().all(|byte| byte.is_ascii_digit())
}
