//! Threads that turn pieces of the input into events, and hand them over in the order of the
//! input: what comes of it does not depend on how many there are.
//!
//! Each thread takes the next piece, works on it alone, and waits for its turn to hand over.
//! Never holds more than a piece and its events per thread.

use crate::known::Keys;
use keywatch_event::EventTime;
use keywatch_ingest::provider::Normalizer;
use keywatch_ingest::source::Pieces;
use keywatch_ingest::{Run, Worker};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Events handed over at once by a lone thread: few enough to stay in the processor's cache.
const ALONE: usize = 512;
/// Events handed over at once by one of several, which should not wait for its turn before its
/// piece is done.
const AMONG_OTHERS: usize = 16_384;

/// Takes what came of some records, with the keys of their ids.
pub(crate) type Take<'t> = dyn FnMut(&Run<'_>, &[u64]) + Send + 't;

/// What the work needs beside the input.
pub(crate) struct Crew<'c> {
    /// How many threads work.
    pub(crate) threads: usize,
    /// What turns records into events.
    pub(crate) normalizer: &'c Normalizer,
    /// The time at which something is read.
    pub(crate) now: fn() -> EventTime,
    /// Hears how many bytes were read.
    pub(crate) progress: &'c (dyn Fn(u64) + Sync),
}

/// What the threads share.
struct Shared<'s, 't> {
    source: Mutex<Source<'s>>,
    turn: Mutex<Turn<'s, 't>>,
    turned: Condvar,
    keys: Keys,
}

struct Source<'s> {
    pieces: &'s mut Pieces,
    /// Number of the next piece.
    next: u64,
}

struct Turn<'s, 't> {
    take: &'s mut Take<'t>,
    /// Number of the piece whose turn it is.
    next: u64,
    /// Whether a thread ended before its piece did.
    broken: bool,
}

impl Crew<'_> {
    /// Reads all of `pieces` and hands it to `take`, in order.
    pub(crate) fn work(&self, pieces: &mut Pieces, take: &mut Take<'_>) {
        let shared = Shared {
            source: Mutex::new(Source { pieces, next: 0 }),
            turn: Mutex::new(Turn { take, next: 0, broken: false }),
            turned: Condvar::new(),
            keys: Keys::default(),
        };
        if self.threads <= 1 {
            return self.one(&shared, ALONE);
        }
        std::thread::scope(|scope| {
            for _ in 0..self.threads {
                scope.spawn(|| self.one(&shared, AMONG_OTHERS));
            }
        });
    }

    /// The work of one thread.
    fn one(&self, shared: &Shared<'_, '_>, events_max: usize) {
        let _alarm = Alarm(shared);
        let mut worker = Worker::new(self.normalizer, events_max);
        let mut keys = Vec::new();
        let mut spare = Vec::new();
        loop {
            let mut source = shared.source.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(piece) = source.pieces.next_piece(spare) else { return };
            let number = source.next;
            source.next += 1;
            (self.progress)(source.pieces.progress().bytes_read);
            drop(source);

            let mut turn = None;
            worker.open(&piece, (self.now)(), &mut |run| {
                keys.clear();
                keys.extend(run.events.iter().map(|one| shared.keys.key(&one.event.id)));
                if let Some(turn) = turn.get_or_insert_with(|| shared.turn_of(number)) {
                    (turn.take)(run, &keys);
                }
            });
            let Some(mut turn) = turn.unwrap_or_else(|| shared.turn_of(number)) else { return };
            turn.next += 1;
            drop(turn);
            shared.turned.notify_all();
            spare = piece.into_buffer();
        }
    }
}

impl<'s, 't> Shared<'s, 't> {
    /// Waits until it is the turn of piece `number`; `None` when that will never be.
    fn turn_of(&self, number: u64) -> Option<MutexGuard<'_, Turn<'s, 't>>> {
        let turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let others = |turn: &mut Turn<'s, 't>| turn.next != number && !turn.broken;
        let turn = self.turned.wait_while(turn, others).unwrap_or_else(PoisonError::into_inner);
        (!turn.broken).then_some(turn)
    }
}

/// Tells the others when a thread ends by a panic, so that none waits for it for ever.
struct Alarm<'a, 's, 't>(&'a Shared<'s, 't>);

impl Drop for Alarm<'_, '_, '_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.turn.lock().unwrap_or_else(PoisonError::into_inner).broken = true;
            self.0.turned.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::path::{Path, PathBuf};

    fn record(n: usize) -> String {
        format!(
            "{{\"eventVersion\":\"1.09\",\"eventTime\":\"2026-01-01T00:00:00Z\",\"eventSource\":\"kms.amazonaws.com\",\
             \"eventName\":\"Decrypt\",\"awsRegion\":\"eu-west-1\",\"eventID\":\"e-{n}\",\"padding\":\"{}\"}}",
            "x".repeat(n % 900)
        )
    }

    fn inputs(folder: &Path) -> Vec<PathBuf> {
        let lines: String =
            (0..1500).map(|n| record(n) + if n % 700 == 13 { "\ntorn {\n" } else { "\n" }).collect();
        let list = |from: usize| (from..from + 200).map(record).collect::<Vec<_>>().join(",");
        let plain = folder.join("a.ndjson");
        std::fs::write(&plain, lines).expect("written");
        let mut paths = vec![plain];
        for file in 0..3 {
            let path = folder.join(format!("b{file}.gz"));
            let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            write!(gzip, "{{\"Records\":[{}]}}", list(10_000 + 1000 * file)).expect("compressed");
            std::fs::write(&path, gzip.finish().expect("compressed")).expect("written");
            paths.push(path);
        }
        paths
    }

    /// Everything that is handed over, in order.
    fn handed_over(paths: &[PathBuf], threads: usize) -> Vec<String> {
        let mut all = Vec::new();
        let normalizer = &Normalizer::new();
        let crew =
            Crew { threads, normalizer, now: || EventTime::from_secs(1_800_000_000), progress: &|_| {} };
        crew.work(&mut Pieces::new(paths.to_vec()), &mut |run: &Run<'_>, keys: &[u64]| {
            assert_eq!(run.events.len(), keys.len());
            all.extend(run.rejects.iter().map(|reject| format!("{} {}", reject.place, reject.reason)));
            all.extend(run.events.iter().map(|one| format!("{} {}", one.place, one.event.id)));
        });
        all
    }

    #[test]
    fn any_number_of_threads_hands_over_the_same_in_the_same_order() {
        let folder = tempfile::tempdir().expect("a folder");
        let paths = inputs(folder.path());
        let alone = handed_over(&paths, 1);
        assert_eq!(alone.iter().filter(|line| line.contains(" aws:")).count(), 1500 + 3 * 200);
        assert_eq!(alone.len(), 1500 + 3 * 200 + 3);
        for threads in [2, 5] {
            assert!(handed_over(&paths, threads) == alone, "{threads} threads");
        }
    }

    #[test]
    fn a_thread_that_fails_stops_the_others() {
        let folder = tempfile::tempdir().expect("a folder");
        let paths = inputs(folder.path());
        let failed = std::panic::catch_unwind(|| {
            let normalizer = &Normalizer::new();
            let crew = Crew {
                threads: 4,
                normalizer,
                now: || EventTime::from_secs(1_800_000_000),
                progress: &|_| {},
            };
            let mut runs = 0;
            crew.work(&mut Pieces::new(paths), &mut |_: &Run<'_>, _: &[u64]| {
                runs += 1;
                assert!(runs < 4, "on purpose");
            });
        });
        assert!(failed.is_err());
    }
}
