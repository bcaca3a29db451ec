//! Questions to a container: which folders, which blobs, which bytes.

use crate::access::Door;
use crate::failure::Failure;
use futures_util::TryStreamExt;
use object_store::path::Path;
use object_store::{GetOptions, GetRange, ObjectMeta, ObjectStore};
use std::ops::Range;

/// Folders within one another that are walked:
/// `resourceId=/SUBSCRIPTIONS/S/RESOURCEGROUPS/G/PROVIDERS/P/TYPE/NAME` has nine, and some resources
/// lie within others.
const DEPTH_MAX: usize = 14;

/// A container.
#[derive(Debug)]
pub(super) struct Container(Door);

impl Container {
    pub(super) const fn new(door: Door) -> Self {
        Self(door)
    }

    pub(super) fn place(&self) -> String {
        self.0.place()
    }

    pub(super) async fn refused(&self) {
        self.0.refused().await;
    }

    /// Every folder that has years in it, each of a resource.
    pub(super) async fn folders_with_years(&self, prefix: &str) -> Result<Vec<String>, Failure> {
        let (mut found, mut waiting) = (Vec::new(), vec![(prefix.trim_matches('/').to_owned(), 0)]);
        while let Some((folder, depth)) = waiting.pop() {
            let inside = self.inside(&folder).await?;
            if inside.iter().any(|path| path.filename().is_some_and(is_year)) {
                found.push(folder);
            } else if depth < DEPTH_MAX {
                waiting.extend(inside.into_iter().map(|path| (path.to_string(), depth + 1)));
            }
        }
        found.sort();
        Ok(found)
    }

    async fn inside(&self, folder: &str) -> Result<Vec<Path>, Failure> {
        let folder = path(folder)?;
        let store = self.0.store().await?;
        let listing = store.list_with_delimiter(Some(&folder)).await.map_err(|error| Failure::of(&error))?;
        Ok(listing.common_prefixes)
    }

    /// The blobs of a folder, in the order of their names: hours one after another.
    pub(super) async fn blobs(&self, folder: &str) -> Result<Vec<ObjectMeta>, Failure> {
        let folder = path(folder)?;
        let store = self.0.store().await?;
        let all: Vec<ObjectMeta> =
            store.list(Some(&folder)).try_collect().await.map_err(|error| Failure::of(&error))?;
        let mut all = all;
        all.sort_by(|one, other| one.location.cmp(&other.location));
        Ok(all)
    }

    /// Bytes of a blob. Fewer than asked for count as a failure.
    pub(super) async fn bytes(&self, blob: &Path, range: Range<u64>) -> Result<Vec<u8>, Failure> {
        let wanted = range.end - range.start;
        let store = self.0.store().await?;
        let options = GetOptions { range: Some(GetRange::Bounded(range)), ..GetOptions::default() };
        let answer = store.get_opts(blob, options).await.map_err(|error| Failure::of(&error))?;
        let bytes = answer.bytes().await.map_err(|error| Failure::of(&error))?;
        if bytes.len() as u64 != wanted {
            return Err(Failure::unavailable(format!("{} of {wanted} bytes came", bytes.len())));
        }
        Ok(bytes.to_vec())
    }
}

fn path(folder: &str) -> Result<Path, Failure> {
    Path::parse(folder).map_err(|error| Failure::of(&object_store::Error::InvalidPath { source: error }))
}

fn is_year(name: &str) -> bool {
    name.strip_prefix("y=")
        .is_some_and(|year| year.len() == 4 && year.bytes().all(|byte| byte.is_ascii_digit()))
}
