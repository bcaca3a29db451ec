//! One object from its bytes to records, a part at a time: a sink's objects may have gigabytes.
//!
//! Parts end behind a line, so a record is never cut. Places keep the line within the object.

use super::bucket::{Bucket, Listed};
use crate::failure::{Failure, Trouble};
use keywatch_event::{Place, Reject};
use keywatch_ingest::Batch;
use keywatch_ingest::source::Object;

/// Bytes that are fetched at once; sixteen times an entry's largest size.
pub(super) const PART_BYTES: u64 = 8 << 20;
/// Largest object that is read whole because it is packed, as it lies in the bucket. Sinks do not
/// pack; copies of their objects may be.
const PACKED_BYTES_MAX: u64 = 64 << 20;
/// What gzip begins with (RFC 1952).
const GZIP: &[u8] = &[0x1f, 0x8b];

/// How far an object is read.
#[derive(Debug, Default)]
pub(super) struct Progress {
    offset: u64,
    lines: u64,
}

/// What reading on brought.
#[derive(Debug)]
pub(super) enum Step {
    Part(Vec<Batch>),
    /// All is read.
    End,
    /// It cannot be read, another time neither.
    Lost(String),
}

/// Reads the next part.
///
/// # Errors
/// When it could not be fetched now. Asking again goes on where it was.
pub(super) async fn next(bucket: &Bucket, object: &Listed, progress: &mut Progress) -> Result<Step, Failure> {
    if progress.offset >= object.size {
        return Ok(Step::End);
    }
    let end = (progress.offset + PART_BYTES).min(object.size);
    let mut bytes = match bucket.part(&object.key, progress.offset..end).await {
        Err(failure) if failure.trouble == Trouble::Missing => {
            return Ok(Step::Lost("it is no longer there".to_owned()));
        }
        other => other?,
    };
    let is_packed = progress.offset == 0 && bytes.starts_with(GZIP);
    if is_packed && end < object.size {
        if object.size > PACKED_BYTES_MAX {
            return Ok(Step::Lost(format!("it is packed and has more than {PACKED_BYTES_MAX} bytes")));
        }
        bytes.extend(bucket.part(&object.key, end..object.size).await?);
    } else if !is_packed && end < object.size {
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(bytes.len(), |at| at + 1);
        bytes.truncate(whole);
    }
    let (read, name) = (bytes.len() as u64, bucket.place(&object.key));
    let lines = memchr::memchr_iter(b'\n', &bytes).count() as u64;
    let before = progress.lines;
    let cut = tokio::task::spawn_blocking(move || cut(&name, bytes, before)).await;
    let step = cut.unwrap_or_else(|error| Step::Lost(format!("reading it broke: {error}")));
    progress.offset += read;
    progress.lines += lines;
    Ok(step)
}

/// Cuts a part into records. Damage becomes a reject behind what stands before it.
fn cut(name: &str, bytes: Vec<u8>, before: u64) -> Step {
    let mut object = match Object::open(name, bytes) {
        Ok(object) => object,
        Err(error) => return Step::Lost(format!("it is {error}, which is not read")),
    };
    let mut batches = Vec::new();
    while let Some(batch) = object.next_batch(4096, 8 << 20) {
        batches.push(batch);
    }
    if let Some((line, reason)) = object.damage() {
        let place = Place { name: object.name(), line, record: 0 };
        let rejects = vec![Reject { place, reason, bytes: Vec::new() }];
        batches.push(Batch { rejects, ..Batch::default() });
    }
    for batch in &mut batches {
        let places = batch.records.iter_mut().map(|record| &mut record.place);
        places
            .chain(batch.rejects.iter_mut().map(|reject| &mut reject.place))
            .for_each(|place| place.line += before);
    }
    Step::Part(batches)
}
