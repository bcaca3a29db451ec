//! Reads files, folders and standard input once, from beginning to end.
//!
//! Never fails as a whole: what cannot be read is told in [`Reader::failures`], what cannot be
//! understood becomes a reject of the batch.

use super::inflate::damage_of;
use super::input::Input;
use super::pump::{Fill, Pump, Pumped};
use super::splitter::Splitter;
use super::walk::{ReadFailure, files_below, id_of};
use crate::Batch;
use keywatch_event::RejectReason;
use std::collections::{HashSet, VecDeque};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Reads inputs into batches.
#[derive(Debug)]
pub struct Reader {
    pub(super) waiting: VecDeque<Waiting>,
    current: Option<Current>,
    pub(super) failures: Vec<ReadFailure>,
    progress: Progress,
}

/// How far a [`Reader`] has come. Bytes are those on disk, before decompression.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Bytes read so far.
    pub bytes_read: u64,
    /// Bytes of all inputs; `None` when one of them is a stream.
    pub bytes_total: Option<u64>,
    /// Inputs read to their end or given up.
    pub files_done: u64,
    /// Inputs found.
    pub files_total: u64,
}

#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) path: PathBuf,
    pub(super) bytes: Option<u64>,
}

#[derive(Debug)]
struct Current {
    path: PathBuf,
    name: Arc<str>,
    input: Input,
    pump: Pump,
    ended: bool,
    damage: Option<RejectReason>,
}

impl Reader {
    /// Reads `inputs` in the order given: files, folders (searched, in the order of paths), or
    /// `-` for standard input. A file named twice, or reached by two ways, is read once.
    #[must_use]
    pub fn new(inputs: Vec<PathBuf>) -> Self {
        let mut reader = Self {
            waiting: VecDeque::new(),
            current: None,
            failures: Vec::new(),
            progress: Progress { bytes_total: Some(0), ..Progress::default() },
        };
        let mut seen = HashSet::new();
        for path in inputs {
            if is_stdin(&path) {
                reader.wait_for(path, None);
                continue;
            }
            match fs::metadata(&path) {
                Ok(metadata) if metadata.is_dir() => {
                    let listing = files_below(&path);
                    reader.failures.extend(listing.failures);
                    for file in listing.files {
                        if seen.insert(id_of(&file.metadata)) {
                            reader.wait_for(file.path, Some(file.metadata.len()));
                        }
                    }
                }
                Ok(metadata) if !metadata.is_file() => reader.wait_for(path, None),
                Ok(metadata) if seen.insert(id_of(&metadata)) => reader.wait_for(path, Some(metadata.len())),
                Ok(_) => {}
                Err(error) => reader.failures.push(ReadFailure::new(&path, &error)),
            }
        }
        reader
    }

    fn wait_for(&mut self, path: PathBuf, bytes: Option<u64>) {
        let total = &mut self.progress.bytes_total;
        *total = total.zip(bytes).map(|(total, bytes)| total + bytes);
        self.progress.files_total += 1;
        self.waiting.push_back(Waiting { path, bytes });
    }

    /// The next records, at most about `max_records` and `max_bytes`: a document is not divided,
    /// so one that holds many records may pass both. `None` when all inputs are read.
    pub fn next_batch(&mut self, max_records: usize, max_bytes: usize) -> Option<Batch> {
        let mut fill = Fill::new(max_records.max(1), max_bytes.max(1));
        while !fill.is_full() {
            let Some(mut current) = self.current.take().or_else(|| self.open_next()) else { break };
            if current.read(&mut fill, &mut self.failures) {
                self.done(current.input.taken());
            } else {
                self.current = Some(current);
            }
        }
        (!fill.batch.is_empty()).then_some(fill.batch)
    }

    fn open_next(&mut self) -> Option<Current> {
        while let Some(Waiting { path, bytes }) = self.waiting.pop_front() {
            let input = if is_stdin(&path) {
                Input::open(std::io::stdin())
            } else {
                File::open(&path).and_then(Input::open)
            };
            match input {
                Ok(input) => return Some(Current::new(path, input)),
                Err(error) => {
                    self.failures.push(ReadFailure::new(&path, &error));
                    self.done(bytes.unwrap_or(0));
                }
            }
        }
        None
    }

    /// Counts an input of `bytes` as read.
    pub(super) const fn done(&mut self, bytes: u64) {
        self.progress.files_done += 1;
        self.progress.bytes_read += bytes;
    }

    /// How far reading has come.
    #[must_use]
    pub fn progress(&self) -> Progress {
        let current = self.current.as_ref().map_or(0, |current| current.input.taken());
        Progress { bytes_read: self.progress.bytes_read + current, ..self.progress }
    }

    /// What could not be read so far, with the remedy where one is known.
    #[must_use]
    pub fn failures(&self) -> &[ReadFailure] {
        &self.failures
    }
}

pub(super) fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == "-"
}

impl Current {
    fn new(path: PathBuf, input: Input) -> Self {
        let name: Arc<str> = path.display().to_string().into();
        let pump = Pump::new(Splitter::new(), Arc::clone(&name));
        Self { path, name, input, pump, ended: false, damage: None }
    }

    /// Reads until the batch is full or the input at its end; whether it is.
    fn read(&mut self, fill: &mut Fill, failures: &mut Vec<ReadFailure>) -> bool {
        if !self.ended {
            match self.pump.run(&mut self.input, fill) {
                Pumped::Full => return false,
                Pumped::Dry => {}
                Pumped::Broke(error) => match damage_of(error) {
                    Ok(reason) => self.damage = Some(reason),
                    Err(error) => failures.push(ReadFailure::new(&self.path, &error)),
                },
            }
            self.ended = true;
        }
        if !self.pump.flush(fill) {
            return false;
        }
        if let Some(reason) = self.damage.take() {
            fill.damaged(&self.name, self.pump.splitter.safe().1, reason);
        }
        true
    }
}

#[cfg(test)]
mod tests;
