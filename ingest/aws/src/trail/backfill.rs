//! Old objects of a trail, listed from its bucket day by day, with progress and from where it ended.
//!
//! A trail lies as `…/CloudTrail/REGION/YYYY/MM/DD/…`. The walk finds every folder that has years in
//! it, then reads day by day what all of them hold of it, in the order of time. Invariant: the position
//! moves past a key only in the batch that follows everything read up to it.

mod day;

use super::desk::Desk;
use crate::failure::{Failure, Trouble};
use chrono::NaiveDate;
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
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Position {
    range: String,
    /// The day that is being read. Without it folder was read after folder once, and what is not done is
    /// read again: the store knows it by its ids.
    day: Option<NaiveDate>,
    /// The first and last folder of those that are being read.
    first: String,
    last: String,
    /// Everything of them up to this key, in the order of time, is read.
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
    /// Where it ended.
    begun: Option<Position>,
}

/// Reads everything there is, and ends.
pub(super) async fn read(desk: Arc<Desk>, name: String, backfill: Backfill, position: Option<String>) {
    let to = backfill.to.unwrap_or_else(|| (desk.clock)().date_naive());
    let known = position.as_deref().and_then(|text| serde_json::from_str::<Position>(text).ok());
    let known = known.filter(|known| known.range == backfill.range());
    if known.as_ref().and_then(|known| known.done).is_some_and(|done| done >= backfill.to.unwrap_or(done)) {
        return;
    }
    let source = Backfill::position_name(&name);
    let mut walk = Walk { desk, source, backfill, to, committed: position, begun: known };
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
        let days = || self.backfill.from.iter_days().take_while(|day| *day <= self.to);
        let total = days().count().max(1);
        let begun = self.begun.as_ref().and_then(|begun| begun.day.or(begun.done));
        let left: Vec<(usize, NaiveDate)> =
            days().enumerate().filter(|(_, day)| begun.is_none_or(|begun| *day >= begun)).collect();
        for (done, day) in left {
            let text =
                format!("{day} of {} to {} in {} folder(s)", self.backfill.from, self.to, folders.len());
            self.tell(done * 1000 / total, text);
            self.day(folders, day).await;
        }
        let position = Position { range: self.backfill.range(), done: Some(self.to), ..Position::default() };
        self.advance(position).await;
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
    async fn advance(&mut self, position: Position) {
        let Ok(to) = serde_json::to_string(&position) else { return };
        let from = self.committed.replace(to.clone());
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
