//! How far a file has been read, in the words the store keeps.
//!
//! Knows a file by what it is, not by what it is called: device and inode, and the bytes at its
//! beginning and just before the place reached.

use super::super::walk::FileId;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt::Write;

/// Bytes of the beginning, and before the place reached, that identify content.
pub(super) const SAMPLE_BYTES: usize = 1024;

/// One file's mark. Offsets count bytes after decompression.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Mark {
    pub(super) dev: u64,
    pub(super) inode: u64,
    /// SHA-256 of the first `head_len` bytes.
    pub(super) head: String,
    pub(super) head_len: usize,
    /// SHA-256 of the `tail_len` bytes before `offset`.
    pub(super) tail: String,
    pub(super) tail_len: usize,
    pub(super) offset: u64,
    pub(super) line: u64,
    /// Whether nothing was left when the file had `size` bytes on disk.
    pub(super) done: bool,
    pub(super) size: u64,
    /// Time of the last change seen, in nanoseconds.
    pub(super) modified: i64,
}

/// What the store keeps of one source: the file at its path, and those that were there before.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Position {
    pub(super) files: Vec<Mark>,
}

impl Mark {
    pub(super) fn at_start(id: FileId) -> Self {
        Self { dev: id.0, inode: id.1, line: 1, ..Self::default() }
    }

    pub(super) const fn id(&self) -> FileId {
        (self.dev, self.inode)
    }

    /// Back to the beginning of the same file.
    pub(super) fn rewound(&self) -> Self {
        Self { head: self.head.clone(), head_len: self.head_len, ..Self::at_start(self.id()) }
    }

    /// Puts down more of the beginning, if it goes on from what is known of it.
    pub(super) fn extend_head(&mut self, head: &[u8]) {
        let goes_on =
            head.get(..self.head_len).is_some_and(|known| self.head_len == 0 || digest(known) == self.head);
        if goes_on && head.len() > self.head_len {
            (self.head, self.head_len) = (digest(head), head.len());
        }
    }

    pub(super) fn set_tail(&mut self, tail: &[u8]) {
        (self.tail, self.tail_len) = (digest(tail), tail.len());
    }

    /// Whether both say the same of the same file: nothing new to commit.
    pub(super) fn same_progress(&self, other: &Self) -> bool {
        (self.id(), self.offset, self.done) == (other.id(), other.offset, other.done)
    }
}

pub(super) fn digest(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(64);
    for byte in Sha256::digest(bytes) {
        // Writing to a string does not fail.
        let _infallible = write!(text, "{byte:02x}");
    }
    text
}
