//! A store of objects: who opens it, and the three questions that are put to it.

use crate::{Failure, Naming, Trouble};
use async_trait::async_trait;
use chrono::NaiveDate;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{GetOptions, GetRange, ObjectMeta, ObjectStore};
use std::ops::Range;
use std::sync::Arc;

/// Folders within one another that are walked:
/// `resourceId=/SUBSCRIPTIONS/S/RESOURCEGROUPS/G/PROVIDERS/P/TYPE/NAME` has nine, and some resources
/// lie within others.
const DEPTH_MAX: usize = 16;
/// Folders that wait to be walked: names of some 200 bytes, below 20 MiB.
const WAITING_MAX: usize = 100_000;

/// Folders whose newest day is looked for.
const SAMPLED_MAX: usize = 100;

/// Where objects lie, and who Keywatch is there.
#[async_trait]
pub trait Shelf: Send + Sync + 'static {
    /// What people and places call it: `azure://account/container`, `gs://bucket`.
    fn place(&self) -> String;

    /// The client; made when there is none.
    ///
    /// # Errors
    /// When credentials cannot be had, or no client can be made of what is configured.
    async fn store(&self) -> Result<Arc<dyn ObjectStore>, Failure>;

    /// Throws away a client whose credentials were refused.
    async fn refused(&self);

    /// What mends a trouble with it.
    fn remedy(&self, trouble: Trouble) -> &'static str;
}

/// What was attempted, what came of it, and the remedy.
pub(crate) fn explain(shelf: &dyn Shelf, attempt: &str, failure: &Failure) -> String {
    format!("{attempt} failed: {}; {}", failure.said, shelf.remedy(failure.trouble))
}

/// Every folder that has years in it, at most `most` of them, in the order of their names.
pub(crate) async fn folders(
    shelf: &dyn Shelf,
    naming: Naming,
    prefix: &str,
    most: usize,
) -> Result<Vec<String>, Failure> {
    let store = shelf.store().await?;
    let (mut found, mut waiting) = (Vec::new(), vec![(prefix.trim_matches('/').to_owned(), 0)]);
    while let Some((folder, depth)) = waiting.pop() {
        let inside = store.list_with_delimiter(Some(&path(&folder)?)).await;
        let inside = inside.map_err(|error| Failure::of(&error))?.common_prefixes;
        let is_year = |path: &Path| path.filename().is_some_and(|name| naming.is_year(name));
        let (years, others): (Vec<Path>, Vec<Path>) = inside.into_iter().partition(is_year);
        if !years.is_empty() {
            found.push(folder);
        }
        // A resource may lie within another that has years of its own.
        if depth < DEPTH_MAX && waiting.len() + others.len() <= WAITING_MAX {
            waiting.extend(others.into_iter().map(|path| (path.to_string(), depth + 1)));
        }
        if found.len() >= most {
            break;
        }
    }
    found.sort();
    Ok(found)
}

/// The newest day that one of these folders has, by the names of the folders within.
pub(crate) async fn newest_day(
    shelf: &dyn Shelf,
    naming: Naming,
    folders: &[String],
) -> Result<Option<NaiveDate>, Failure> {
    let store = shelf.store().await?;
    let mut newest = None;
    for folder in folders.iter().take(SAMPLED_MAX) {
        let mut name = String::new();
        for _year_month_day in 0..3 {
            let inside = store.list_with_delimiter(Some(&path(&join(folder, &name))?)).await;
            let inside = inside.map_err(|error| Failure::of(&error))?.common_prefixes;
            let names = inside.iter().filter_map(Path::filename);
            let last = names.filter(|last| !name.is_empty() || naming.is_year(last)).max();
            let Some(last) = last else { break };
            name = join(&name, last);
        }
        newest = newest.max(naming.day_of(&format!("{name}/")));
    }
    Ok(newest)
}

/// The objects of `folder`, from those on whose names begin with `first`; a store that does not know
/// how to begin there gives all.
pub(crate) async fn list(
    shelf: &dyn Shelf,
    folder: &str,
    first: Option<&str>,
) -> Result<BoxStream<'static, Result<ObjectMeta, Failure>>, Failure> {
    let store = shelf.store().await?;
    let first = first.map(|first| path(&join(folder, first))).transpose()?;
    let folder = path(folder)?;
    let all = match &first {
        Some(first) => store.list_with_offset(Some(&folder), first),
        None => store.list(Some(&folder)),
    };
    Ok(all.map_err(|error| Failure::of(&error)).boxed())
}

/// Bytes of an object. Fewer than asked for are a failure.
pub(crate) async fn bytes(shelf: &dyn Shelf, object: &Path, range: Range<u64>) -> Result<Vec<u8>, Failure> {
    let wanted = range.end.saturating_sub(range.start);
    if wanted == 0 {
        return Ok(Vec::new());
    }
    let store = shelf.store().await?;
    let options = GetOptions { range: Some(GetRange::Bounded(range)), ..GetOptions::default() };
    let answer = store.get_opts(object, options).await.map_err(|error| Failure::of(&error))?;
    let bytes = answer.bytes().await.map_err(|error| Failure::of(&error))?;
    if bytes.len() as u64 != wanted {
        return Err(Failure::unavailable(&format!("{} of {wanted} bytes came", bytes.len())));
    }
    Ok(bytes.to_vec())
}

/// A name within a folder.
pub(crate) fn join(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
}

fn path(name: &str) -> Result<Path, Failure> {
    Path::parse(name).map_err(|error| Failure::of(&object_store::Error::InvalidPath { source: error }))
}
