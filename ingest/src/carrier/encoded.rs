//! Base64 in an envelope, with gzip inside or not.
//!
//! Never expands gzip beyond what is left of the document's budget.

use super::unreadable;
use crate::source::{Caps, ENVELOPE_CAPS, Inflate, Splitter, damage_of};
use base64::Engine;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use keywatch_event::RejectReason;
use keywatch_event::json::as_text;
use std::io::Cursor;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

const FORGIVING: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const PLAIN: GeneralPurpose = GeneralPurpose::new(&STANDARD, FORGIVING);
const URL: GeneralPurpose = GeneralPurpose::new(&URL_SAFE, FORGIVING);

/// What an envelope holds, being read.
pub(super) enum Content {
    Plain(Cursor<Vec<u8>>),
    Gzip(Box<Inflate<Cursor<Vec<u8>>>>),
}

impl Content {
    /// Decodes `raw`, a JSON string of base64.
    pub(super) fn of(carrier: &'static str, raw: &str, budget: u64) -> Result<Self, RejectReason> {
        let text = as_text(raw).ok_or_else(|| unreadable(carrier, "its content is no string"))?;
        let bytes = PLAIN.decode(&*text).or_else(|_| URL.decode(&*text));
        let bytes =
            bytes.map_err(|error| unreadable(carrier, &format!("its content is no base64: {error}")))?;
        if !bytes.starts_with(&[0x1f, 0x8b]) {
            return Ok(Self::Plain(Cursor::new(bytes)));
        }
        let caps = Caps { bytes_max: budget, ..ENVELOPE_CAPS };
        let went_in = Arc::new(AtomicU64::new(bytes.len() as u64));
        Ok(Self::Gzip(Box::new(Inflate::new(Cursor::new(bytes), caps, went_in))))
    }

    /// Reads on; false at the end.
    pub(super) fn fill(&mut self, splitter: &mut Splitter) -> Result<bool, RejectReason> {
        let read = match self {
            Self::Plain(reader) => splitter.fill_from(reader),
            Self::Gzip(reader) => splitter.fill_from(reader),
        };
        let read = read.map_err(|error| {
            damage_of(error).unwrap_or_else(|error| RejectReason::Compression(error.to_string()))
        });
        read.map(|count| count > 0)
    }

    /// Bytes that came out of gzip.
    pub(super) fn expanded(&self) -> u64 {
        match self {
            Self::Plain(_) => 0,
            Self::Gzip(reader) => reader.came_out(),
        }
    }
}
