//! What was taken and is not committed yet, on disk.
//!
//! Files of records, each named for the number of its first; see [`segment`]. One thread writes:
//! all that waits goes into one write and one fsync. One thread reads what is on disk, in order. A
//! file goes once the database holds all of it.
//!
//! The position of the source is the number of the record that comes next, so records keep their
//! numbers across restarts.
//!
//! Invariants: nothing is acknowledged before its fsync; a number names one record for ever; a
//! write that failed is not read in this process.

mod reader;
mod segment;
mod state;
#[cfg(test)]
mod tests;
mod writer;

use keywatch_ingest::Batch;
pub(crate) use reader::position_name;
pub(crate) use segment::{Kind, Parcel};
pub(crate) use state::{Lost, Refusal};
use state::{Shared, State};
use std::fs::{File, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use tokio::sync::{mpsc, oneshot};

/// Where a source keeps what is not committed, and how much of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Storage {
    /// A folder of the source's own. Made when it is not there.
    pub folder: PathBuf,
    /// Most bytes on disk. When that many wait, what comes is refused, or dropped and counted where
    /// nobody can be told.
    pub bytes_max: u64,
}

/// An open spool: its threads, and what comes out of it.
pub(crate) struct Spool {
    shared: Arc<Shared>,
    batches: mpsc::Receiver<(Batch, u64)>,
    threads: Vec<JoinHandle<()>>,
}

/// Through which records get in. Clones share it.
#[derive(Clone)]
pub(crate) struct Door(Arc<Shared>);

impl Spool {
    /// Opens or makes the spool of the source `name`, of which `position` is committed. Looks at
    /// every byte that is there; what is damaged is told in the second value.
    pub(crate) fn open(
        name: &str,
        storage: &Storage,
        position: Option<String>,
    ) -> io::Result<(Self, Vec<String>)> {
        make_folder(&storage.folder)?;
        let lock = lock(&storage.folder)?;
        let committed = position.as_deref().and_then(|text| text.parse().ok());
        let (found, foreign) = segment::find(&storage.folder, committed.unwrap_or(0))?;
        let (state, mut damage) = State::resume(found, committed);
        damage.extend(foreign.iter().map(|path| {
            format!(
                "a file of the spool is damaged or of another version of Keywatch; it was set aside as {} and not read: let \
                 the version that wrote it read it",
                path.display()
            )
        }));
        let start = state.start;
        let shared = Arc::new(Shared::new(storage, state));
        let (into, batches) = mpsc::channel(1);
        let mut spool = Self { shared: Arc::clone(&shared), batches, threads: Vec::new() };
        let writer = writer::Writer::new(Arc::clone(&shared), lock);
        spool.run(format!("spool {name}"), move || writer.run())?;
        let reader = reader::Reader::new(shared, name, (start, position), into);
        spool.run(format!("unspool {name}"), move || reader.run())?;
        Ok((spool, damage))
    }

    fn run(&mut self, name: String, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
        self.threads.push(std::thread::Builder::new().name(name).spawn(work)?);
        Ok(())
    }

    pub(crate) fn door(&self) -> Door {
        Door(Arc::clone(&self.shared))
    }

    /// The next records, and the number behind the last of them; `None` when the reading has ended.
    pub(crate) async fn next(&mut self) -> Option<(Batch, u64)> {
        self.batches.recv().await
    }

    /// All records before `number` are committed.
    pub(crate) fn committed(&self, number: u64) {
        self.shared.committed(number);
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        self.shared.close();
        self.batches.close();
        // The reader may wait for a place: taking what is there lets it notice.
        while self.batches.try_recv().is_ok() {}
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a thread of a spool panicked; report this");
            }
        }
    }
}

impl Door {
    /// Writes records; done when they are on disk.
    pub(crate) async fn write(&self, parcel: Parcel) -> Result<(), Refusal> {
        if parcel.is_empty() {
            return Ok(());
        }
        let (tell, told) = oneshot::channel();
        self.0.accept(parcel, Some(tell))?;
        told.await.unwrap_or(Err(Refusal::Closed))
    }

    /// Has records written and waits for nothing. What cannot be kept is dropped and counted.
    pub(crate) fn post(&self, parcel: Parcel) {
        let count = parcel.count();
        if !parcel.is_empty()
            && let Err(why) = self.0.accept(parcel, None)
        {
            self.0.lose(count, why);
        }
    }

    /// Counts records that were dropped before they got here.
    pub(crate) fn lose(&self, count: u64, why: Refusal) {
        self.0.lose(count, why);
    }

    /// What was dropped since this was last asked, by reason.
    pub(crate) fn take_lost(&self) -> Vec<Lost> {
        self.0.take_lost()
    }

    /// Why something was refused since this was last asked, or would be now.
    pub(crate) fn take_refusal(&self) -> Option<Refusal> {
        self.0.take_refusal()
    }

    /// Why the last write was refused; `None` when it was not.
    pub(crate) fn trouble(&self) -> Option<Refusal> {
        self.0.trouble()
    }
}

/// Audit records are for nobody else's eyes.
fn make_folder(folder: &Path) -> io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700))
}

/// Whether a process has the spool in this folder open. Takes nothing away from it, and makes nothing.
pub(crate) fn is_held(folder: &Path) -> bool {
    let Ok(file) = File::open(folder.join("lock")) else { return false };
    // A shared lock is refused as long as somebody has it alone, and is given back at once.
    matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))
}

/// Two processes in one spool would give one number to two records.
fn lock(folder: &Path) -> io::Result<File> {
    let file = File::options().create(true).truncate(false).write(true).open(folder.join("lock"))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(io::Error::new(
            io::ErrorKind::ResourceBusy,
            "another process has it open; end that one, or give each source a folder of its own",
        )),
        Err(TryLockError::Error(error)) => Err(error),
    }
}
