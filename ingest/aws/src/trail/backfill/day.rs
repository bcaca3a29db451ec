//! A day of all folders, in the order its objects were written.
//!
//! The regions and accounts of a trail are one history: what is usual is learned in the order it is read.
//! When a day has more objects than fit in memory its folders are read in groups, one after the other.

use super::{PART, Position, Walk, path};
use crate::failure::Failure;
use crate::trail::notice::ObjectName;
use crate::trail::work;
use chrono::NaiveDate;
use futures_util::TryStreamExt;
use futures_util::future::join_all;
use object_store::ObjectStore;
use tokio::time::sleep;

/// Keys that are held at once, some 200 bytes each: 20 MiB, and what the last folders asked for bring.
const KEYS_MAX: usize = 100_000;
/// Folders that are listed at once.
const LISTED_AT_ONCE: usize = 8;

/// Folders whose objects of a day are read as one.
struct Group {
    /// Index of the folder behind the last one.
    end: usize,
    keys: Vec<String>,
}

impl Walk {
    /// Reads what of a day is not yet read.
    pub(super) async fn day(&mut self, folders: &[String], day: NaiveDate) {
        let mut at = 0;
        let mut begun = self.begun.take().filter(|begun| begun.day == Some(day));
        if let Some(begun) = &begun {
            at = folders.partition_point(|folder| *folder < begun.first);
        }
        while at < folders.len() {
            let last = begun.as_ref().map(|begun| begun.last.as_str());
            let mut group = self.group(folders, at, last, day).await;
            if let Some(begun) = begun.take() {
                group.keys.retain(|key| rank(key) > rank(&begun.after));
            }
            let of = |at: usize| folders.get(at).cloned().unwrap_or_default();
            let position = Position {
                range: self.backfill.range(),
                day: Some(day),
                first: of(at),
                last: of(group.end - 1),
                after: String::new(),
                done: None,
            };
            self.read_group(&group.keys, &position).await;
            at = group.end;
        }
    }

    /// Lists folders from `at` on: up to `last` where a group was begun, and else as many as fit.
    async fn group(&self, folders: &[String], at: usize, last: Option<&str>, day: NaiveDate) -> Group {
        let mut group = Group { end: at, keys: Vec::new() };
        loop {
            let rest = folders.get(group.end..).unwrap_or_default();
            let is_wanted = |folder: &&String| last.is_none_or(|last| folder.as_str() <= last);
            let some = rest.iter().take_while(is_wanted).take(LISTED_AT_ONCE);
            let some: Vec<String> =
                some.map(|folder| format!("{folder}/{}", day.format("%Y/%m/%d"))).collect();
            if some.is_empty() || (last.is_none() && group.keys.len() >= KEYS_MAX) {
                break;
            }
            let listed = join_all(some.iter().map(|folder| self.keys(folder))).await;
            group.keys.extend(listed.into_iter().flatten());
            group.end += some.len();
        }
        // A group that was begun with a folder that is gone has no other.
        group.end = group.end.max(at + 1);
        group.keys.sort_by_cached_key(|key| (rank(key).0.to_owned(), key.clone()));
        group
    }

    /// Reads objects in this order, of which some are fetched at once: one fewer than may be, so that what
    /// is tried again, and what the queue brings, always finds a place.
    async fn read_group(&mut self, keys: &[String], position: &Position) {
        let bucket = self.backfill.bucket.clone();
        let some = self.desk.settings.fetches.saturating_sub(1).max(1);
        for keys in keys.chunks(some) {
            let objects: Vec<ObjectName> =
                keys.iter().map(|key| ObjectName { bucket: bucket.clone(), key: key.clone() }).collect();
            let fetched = join_all(objects.iter().map(|object| work::fetch(&self.desk, object))).await;
            for (object, fetched) in objects.iter().zip(fetched) {
                let read = match fetched {
                    Ok(fetched) => work::read_fetched(&self.desk, None, object, fetched).await,
                    Err(why) => Err(why),
                };
                if let Err(why) = read {
                    self.desk.health.misses(format!("the backfill passed over an object: {why}"));
                }
            }
            if let Some(last) = keys.last() {
                self.advance(Position { after: last.clone(), ..position.clone() }).await;
            }
        }
    }

    /// Keys of a folder.
    async fn keys(&self, folder: &str) -> Vec<String> {
        let mut backoff = self.desk.backoff();
        loop {
            match self.try_keys(folder).await {
                Ok(keys) => {
                    self.desk.health.works(PART);
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
        all.try_collect().await.map_err(|error| Failure::of_object(&error))
    }
}

/// What objects of a day are ordered by: when they were written, by their names, then their keys. A trail's
/// objects are called `111122223333_CloudTrail_eu-central-1_20260601T0005Z_….json.gz`
/// (docs.aws.amazon.com/awscloudtrail/latest/userguide/get-and-view-cloudtrail-log-files.html).
fn rank(key: &str) -> (&str, &str) {
    let name = key.rsplit('/').next().unwrap_or_default();
    let written = name.split(['_', '.']).find(|part| is_time(part));
    (written.unwrap_or_default(), key)
}

fn is_time(part: &str) -> bool {
    let Some((day, time)) = part.strip_suffix('Z').and_then(|part| part.split_once('T')) else {
        return false;
    };
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    day.len() == 8 && matches!(time.len(), 4 | 6) && is_number(day) && is_number(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_ordered_by_when_they_were_written_whatever_their_region() {
        let folder = |region| format!("AWSLogs/1/CloudTrail/{region}/2026/06/01");
        let key = |region, time| format!("{}/1_CloudTrail_{region}_{time}_x.json.gz", folder(region));
        let digest =
            "AWSLogs/1/CloudTrail-Digest/eu/2026/06/01/1_CloudTrail-Digest_eu_t_eu_20260601T000500Z.json.gz";
        let mut keys = [
            key("eu", "20260601T0010Z"),
            key("us", "20260601T0000Z"),
            key("eu", "20260601T0005Z"),
            digest.to_owned(),
            format!("{}/other.json.gz", folder("us")),
        ];
        keys.sort_by(|a, b| rank(a).cmp(&rank(b)));
        let written: Vec<&str> = keys.iter().map(|key| rank(key).0).collect();
        assert_eq!(written, ["", "20260601T0000Z", "20260601T000500Z", "20260601T0005Z", "20260601T0010Z"]);
    }
}
