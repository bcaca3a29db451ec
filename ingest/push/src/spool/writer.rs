//! Writes what waits: one write and one fsync for all of it.

use super::segment::{self, MAGIC, Segment};
use super::state::{Refusal, Shared, Waiting};
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::sync::{Arc, PoisonError};

/// Largest buffer kept between two writes.
const BUFFER_BYTES_KEPT: usize = 8 << 20;

pub(super) struct Writer {
    shared: Arc<Shared>,
    /// Held as long as anything may be written.
    _lock: File,
    open: Option<(File, Segment)>,
    buffer: Vec<u8>,
}

impl Writer {
    pub(super) const fn new(shared: Arc<Shared>, lock: File) -> Self {
        Self { shared, _lock: lock, open: None, buffer: Vec::new() }
    }

    /// Writes until the spool is closed and nothing waits.
    pub(super) fn run(mut self) {
        while let Some((group, end)) = self.wait() {
            let outcome = self.write(&group, end);
            if let Err(error) = &outcome {
                tracing::error!(%error, folder = %self.shared.folder.display(), "cannot write to the spool");
                self.give_up();
            }
            self.shared.written(group, outcome.map_err(|error| Refusal::Disk(error.to_string())));
        }
    }

    fn wait(&self) -> Option<(Vec<Waiting>, u64)> {
        let mut state = self.shared.lock();
        while state.queue.is_empty() {
            if state.closed {
                return None;
            }
            state = self.shared.work.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let end = state.end;
        Some((state.take_queue(), end))
    }

    /// The files that changed, as they are now.
    fn write(&mut self, group: &[Waiting], end: u64) -> io::Result<Vec<Segment>> {
        if self.open.is_none() {
            self.open = Some(self.begin(end)?);
        }
        let Some((file, segment)) = &mut self.open else { return Ok(Vec::new()) };
        self.buffer.clear();
        for waiting in group {
            self.buffer.extend_from_slice(waiting.parcel.bytes());
        }
        file.write_all(&self.buffer)?;
        file.sync_data()?;
        segment.count += group.iter().map(|waiting| waiting.parcel.count()).sum::<u64>();
        segment.bytes += self.buffer.len() as u64;
        let changed = vec![segment.clone()];
        if segment.bytes >= self.shared.segment_bytes {
            self.open = None;
        }
        if self.buffer.capacity() > BUFFER_BYTES_KEPT {
            self.buffer = Vec::new();
        }
        Ok(changed)
    }

    /// A file is found after a power cut only when its folder was synced too.
    fn begin(&self, first: u64) -> io::Result<(File, Segment)> {
        let path = segment::path(&self.shared.folder, first);
        // One of this name holds no whole record: a write that failed, or damage, which somebody may want to
        // look at.
        if std::fs::metadata(&path).is_ok_and(|there| there.is_file() && there.len() > MAGIC.len() as u64) {
            segment::set_aside(&path, "torn")?;
        }
        let mut file = File::options().create(true).write(true).truncate(true).mode(0o600).open(path)?;
        file.write_all(MAGIC)?;
        File::open(&self.shared.folder)?.sync_all()?;
        Ok((file, Segment { first, count: 0, bytes: MAGIC.len() as u64, torn: 0, is_foreign: false }))
    }

    /// After an error nobody knows what is on disk: what was written whole before stays, and the
    /// next write begins another file.
    fn give_up(&mut self) {
        if let Some((file, segment)) = self.open.take() {
            // Gives back the room, if that works; what is left is not read either way.
            let _kept = file.set_len(segment.bytes);
        }
    }
}
