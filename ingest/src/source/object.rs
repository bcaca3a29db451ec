//! Reads an object that is whole in memory, such as one fetched from a bucket.
//!
//! Recognised by content as files are, expanded within the same caps, and read piece by piece:
//! what is held at once is the object as it came and one piece.

use super::inflate::damage_of;
use super::input::Input;
use super::oneshot::OneShot;
use super::pump::{Fill, Pump, Pumped};
use super::splitter::Splitter;
use crate::Batch;
use keywatch_event::RejectReason;
use std::io::{self, Cursor};
use std::sync::Arc;

/// An object being read.
#[derive(Debug)]
pub struct Object {
    name: Arc<str>,
    input: Input,
    pump: Pump,
    ended: bool,
    damage: Option<RejectReason>,
}

impl Object {
    /// Reads `bytes`, plain or gzip; `name` is what places and rejects call it.
    ///
    /// # Errors
    /// [`io::ErrorKind::Unsupported`] for a format that is not read, such as Parquet.
    pub fn open(name: &str, bytes: Vec<u8>) -> io::Result<Self> {
        let expanded = OneShot::new().expand(&bytes).map(<[u8]>::to_vec);
        let input = Input::open(Cursor::new(expanded.unwrap_or(bytes)))?;
        let name: Arc<str> = name.into();
        let pump = Pump::new(Splitter::new(), Arc::clone(&name));
        Ok(Self { name, input, pump, ended: false, damage: None })
    }

    /// The next records, at most about `max_records` and `max_bytes`. `None` when all are read.
    pub fn next_batch(&mut self, max_records: usize, max_bytes: usize) -> Option<Batch> {
        let mut fill = Fill::new(max_records.max(1), max_bytes.max(1));
        if !self.ended {
            match self.pump.run(&mut self.input, &mut fill) {
                Pumped::Full => return Some(fill.batch),
                Pumped::Dry => {}
                Pumped::Broke(error) => {
                    self.damage = Some(damage_of(error).unwrap_or_else(|error| unexpected(&error)));
                }
            }
            self.ended = true;
        }
        self.pump.flush(&mut fill);
        (!fill.batch.is_empty()).then_some(fill.batch)
    }

    /// Where and why the bytes could not be read on, once all others are read.
    #[must_use]
    pub fn damage(&self) -> Option<(u64, RejectReason)> {
        self.damage.clone().map(|reason| (self.pump.line(), reason))
    }

    /// What places and rejects call it.
    #[must_use]
    pub fn name(&self) -> Arc<str> {
        Arc::clone(&self.name)
    }
}

/// Reading from memory fails for no other reason than damage.
fn unexpected(error: &io::Error) -> RejectReason {
    RejectReason::Compression(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::super::testing::gzip;
    use super::*;

    fn read(bytes: Vec<u8>) -> (usize, Option<RejectReason>) {
        let mut object = Object::open("s3://b/k", bytes).unwrap();
        let mut records = 0;
        while let Some(batch) = object.next_batch(2, 1 << 20) {
            records += batch.records.len();
        }
        (records, object.damage().map(|(_, reason)| reason))
    }

    #[test]
    fn an_object_is_read_piece_by_piece_to_its_end() {
        let text = br#"{"Records":[{"eventID":"1"},{"eventID":"2"},{"eventID":"3"}]}"#;
        assert_eq!(read(text.to_vec()), (3, None));
        assert_eq!(read(gzip(text)), (3, None));
        assert_eq!(read(Vec::new()), (0, None));
    }

    #[test]
    fn what_stands_before_the_damage_is_read_and_the_damage_is_told() {
        let line = |n: u32| format!("{{\"eventID\":\"{n}\",\"x\":\"{}\"}}\n", n * 7919);
        let lines: Vec<String> = (0..2000).map(line).collect();
        let lines = lines.concat();
        let mut packed = gzip(lines.as_bytes());
        packed.truncate(packed.len() / 2);
        let (records, damage) = read(packed);
        assert!(records > 100 && records < 2000, "{records}");
        assert_eq!(damage.unwrap().kind(), "compression");
    }

    #[test]
    fn a_format_that_is_not_read_is_named() {
        assert_eq!(Object::open("k", b"PAR1....".to_vec()).unwrap_err().to_string(), "a Parquet file");
    }
}
