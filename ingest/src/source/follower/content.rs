//! An open file: its content from any place on, and whether it is the content a mark speaks of.
//!
//! Reads by offset, so that several readers of one open file do not disturb each other, and a
//! file that was renamed or deleted is still read.

use super::super::inflate::GZIP_MAGIC;
use super::super::input::{Input, refuse_foreign};
use super::super::walk::{FileId, id_of};
use super::mark::{Mark, SAMPLE_BYTES, digest};
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::sync::Arc;

/// A file held open.
#[derive(Clone, Debug)]
pub(super) struct Content {
    file: Arc<File>,
    pub(super) id: FileId,
    pub(super) is_gzip: bool,
}

/// Reads an open file from an offset of its own.
#[derive(Debug)]
struct ReadAt {
    file: Arc<File>,
    at: u64,
}

impl Read for ReadAt {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read_at(into, self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}

/// Passes over what was read before. Compression that is damaged fails as it does when read.
#[derive(Debug)]
struct Skipping {
    input: Input,
    skip: u64,
}

impl Read for Skipping {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.skip > 0 {
            let passed = io::copy(&mut self.input.by_ref().take(self.skip), &mut io::sink())?;
            self.skip = if passed == 0 { 0 } else { self.skip - passed };
        }
        self.input.read(into)
    }
}

impl Content {
    /// Opens a regular file.
    ///
    /// # Errors
    /// When it cannot be opened or read, and [`io::ErrorKind::Unsupported`] for a packed format
    /// that is not read.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::other("it is no regular file"));
        }
        let content = Self { file: Arc::new(file), id: id_of(&metadata), is_gzip: false };
        let start = content.plain(0, 16)?;
        refuse_foreign(&start)?;
        Ok(Self { is_gzip: start.starts_with(&GZIP_MAGIC), ..content })
    }

    /// Size on disk and time of the last change.
    pub(super) fn state(&self) -> io::Result<(u64, i64)> {
        self.file.metadata().map(|metadata| (metadata.len(), modified(&metadata)))
    }

    /// Content from `offset` on.
    pub(super) fn reader(&self, offset: u64) -> io::Result<Box<dyn Read + Send>> {
        let raw = |at| ReadAt { file: Arc::clone(&self.file), at };
        if !self.is_gzip {
            return Ok(Box::new(raw(offset)));
        }
        Ok(Box::new(Skipping { input: Input::open(raw(0))?, skip: offset }))
    }

    /// The first bytes of the content.
    pub(super) fn head(&self) -> io::Result<Vec<u8>> {
        self.sample(0, SAMPLE_BYTES)
    }

    /// Up to [`SAMPLE_BYTES`] before `offset`.
    pub(super) fn before(&self, offset: u64) -> io::Result<Vec<u8>> {
        let bytes = offset.min(SAMPLE_BYTES as u64);
        self.sample(offset - bytes, usize::try_from(bytes).unwrap_or(SAMPLE_BYTES))
    }

    fn plain(&self, from: u64, bytes: usize) -> io::Result<Vec<u8>> {
        let mut sample = Vec::new();
        ReadAt { file: Arc::clone(&self.file), at: from }.take(bytes as u64).read_to_end(&mut sample)?;
        Ok(sample)
    }

    /// Fewer bytes than asked for where the content ends, or is damaged.
    fn sample(&self, from: u64, bytes: usize) -> io::Result<Vec<u8>> {
        if !self.is_gzip {
            return self.plain(from, bytes);
        }
        let mut sample = Vec::new();
        if let Ok(reader) = self.reader(from) {
            // What came before damage stays in the sample.
            let _damage = reader.take(bytes as u64).read_to_end(&mut sample);
        }
        Ok(sample)
    }

    /// Whether this is the content `mark` was put on: it begins like it, and at the place
    /// reached it reads as it did. A mark on nothing yet matches nothing.
    pub(super) fn matches(&self, mark: &Mark) -> io::Result<bool> {
        let same = |from, bytes: usize, want: &str| {
            let sample = self.sample(from, bytes)?;
            Ok::<_, io::Error>(sample.len() == bytes && digest(&sample) == want)
        };
        Ok(mark.head_len > 0
            && same(0, mark.head_len, &mark.head)?
            && (mark.tail_len == 0 || same(mark.offset - mark.tail_len as u64, mark.tail_len, &mark.tail)?))
    }
}

/// Time of a file's last change, in nanoseconds since the epoch.
pub(super) fn modified(metadata: &Metadata) -> i64 {
    metadata.mtime().saturating_mul(1_000_000_000).saturating_add(metadata.mtime_nsec())
}
