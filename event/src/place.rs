//! Where a record stands, and what is said of one that cannot be read.

use serde::{Serialize, Serializer};
use std::fmt;
use std::sync::Arc;

/// Where a record stands in its source: `trail.json.gz#3` or `audit.log:17`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    /// The file, or the source's name in a service.
    pub name: Arc<str>,
    /// Line of the document within the source, from 1.
    pub line: u64,
    /// Record within that document, from 1; 0 when the document is the record.
    pub record: u32,
}

impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.line, self.record) {
            (line, 0) => write!(out, "{}:{line}", self.name),
            (1, record) => write!(out, "{}#{record}", self.name),
            (line, record) => write!(out, "{}:{line}#{record}", self.name),
        }
    }
}

impl Serialize for Place {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Why bytes were set aside instead of becoming an event. The text names the remedy if one is known.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum RejectReason {
    /// Not JSON, or cut off.
    #[error("not valid JSON: {0}")]
    Syntax(String),
    /// Bytes that are not UTF-8.
    #[error("not UTF-8 at byte {0}; the bytes are kept as they came")]
    Encoding(usize),
    /// Nested deeper than [`crate::json::DEPTH_MAX`].
    #[error("nested deeper than {} levels", crate::json::DEPTH_MAX)]
    Depth,
    /// A key that decides the meaning stands twice: parsers disagree on which one counts.
    #[error("the key `{0}` stands twice, so the record can be read in two ways")]
    DuplicateKey(String),
    /// Larger than a record may be; the rest follows in further rejects.
    #[error("part {part} of a record larger than {limit_bytes} bytes")]
    Oversize {
        /// Which part, from 1.
        part: u32,
        /// The limit that was passed.
        limit_bytes: usize,
    },
    /// JSON, but no record of a provider Keywatch reads.
    #[error("no record of AWS, Google Cloud, Azure or Vault: {0}")]
    UnknownShape(String),
    /// A compressed stream that ends early or does not check out.
    #[error("compressed data is damaged: {0}; what was read before the damage is kept")]
    Compression(String),
    /// A compressed stream that grows beyond reason.
    #[error("compressed data expands beyond {0}; the rest was not read")]
    Bomb(String),
    /// A carrier whose content cannot be decoded.
    #[error("the {carrier} envelope cannot be opened: {detail}")]
    Envelope {
        /// Name of the carrier.
        carrier: &'static str,
        /// What was wrong.
        detail: String,
    },
    /// A record that can be read and could be neither judged nor kept as an event.
    #[error("a defect of Keywatch, not of the record; please report it: {0}")]
    Defect(String),
}

impl RejectReason {
    /// Short stable name for counting: `syntax`, `encoding`, `oversize` …
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Syntax(_) => "syntax",
            Self::Encoding(_) => "encoding",
            Self::Depth => "depth",
            Self::DuplicateKey(_) => "duplicate_key",
            Self::Oversize { .. } => "oversize",
            Self::UnknownShape(_) => "unknown_shape",
            Self::Compression(_) => "compression",
            Self::Bomb(_) => "bomb",
            Self::Envelope { .. } => "envelope",
            Self::Defect(_) => "defect",
        }
    }
}

/// Bytes that could not be read as an event, with the reason and where they stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reject {
    /// Where the bytes stand.
    pub place: Place,
    /// Why they were set aside.
    pub reason: RejectReason,
    /// The bytes, as they came.
    pub bytes: Vec<u8>,
}
