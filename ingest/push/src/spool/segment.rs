//! One file of a spool.
//!
//! Eight bytes that say what it is, then records: length (u32), CRC-32 over all that follows it
//! and the length, what it is (u8), and the bytes. Numbers are little endian. Whatever does not
//! check out ends the file: a write that was cut off stands at its end and nowhere else.

use keywatch_ingest::source::RECORD_BYTES_MAX;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

/// Begins every file; the last byte is the version.
pub(super) const MAGIC: &[u8; 8] = b"KWSPOOL1";
const HEAD_BYTES: usize = 9;
/// A reject may be a whole message, envelope included.
const PAYLOAD_BYTES_MAX: usize = RECORD_BYTES_MAX + (1 << 20);
const EXTENSION: &str = "seg";

/// What a record of the spool is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The record of a provider, out of whatever brought it.
    Record = 1,
    /// What could not be opened: it is tried again when it is read, and becomes a reject.
    Document = 2,
}

impl Kind {
    const fn of(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Self::Record),
            2 => Some(Self::Document),
            _ => None,
        }
    }
}

/// Records as they will stand in a file.
#[derive(Clone, Debug, Default)]
pub(crate) struct Parcel {
    bytes: Vec<u8>,
    count: u64,
}

impl Parcel {
    /// Adds a record. Bytes beyond what a record may have are left out.
    pub(crate) fn push(&mut self, kind: Kind, payload: &[u8]) {
        let payload = payload.get(..PAYLOAD_BYTES_MAX).unwrap_or(payload);
        // At most 65 MiB.
        let length = u32::try_from(payload.len()).unwrap_or(u32::MAX).to_le_bytes();
        let kind = [kind as u8];
        self.bytes.extend_from_slice(&length);
        self.bytes.extend_from_slice(&sum(length, kind, payload).to_le_bytes());
        self.bytes.extend_from_slice(&kind);
        self.bytes.extend_from_slice(payload);
        self.count += 1;
    }

    pub(crate) const fn count(&self) -> u64 {
        self.count
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) const fn len(&self) -> u64 {
        self.bytes.len() as u64
    }
}

fn sum(length: [u8; 4], kind: [u8; 1], payload: &[u8]) -> u32 {
    let mut crc = libdeflater::Crc::new();
    crc.update(&length);
    crc.update(&kind);
    crc.update(payload);
    crc.sum()
}

/// A file as it was found, or as it has become.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    /// The number of its first record.
    pub(super) first: u64,
    /// Records that are whole.
    pub(super) count: u64,
    /// Its size.
    pub(super) bytes: u64,
    /// Bytes at its end that are no whole record.
    pub(super) torn: u64,
    /// Whether something else than a file of this format stands there.
    pub(super) is_foreign: bool,
}

impl Segment {
    pub(super) const fn end(&self) -> u64 {
        self.first + self.count
    }
}

pub(super) fn path(folder: &Path, first: u64) -> PathBuf {
    folder.join(format!("{first:020}.{EXTENSION}"))
}

/// All files of a spool in order, each looked through. Those that lie wholly before `committed` are
/// removed. Those of another format are set aside, and named in the second value.
pub(super) fn find(folder: &Path, committed: u64) -> io::Result<(Vec<Segment>, Vec<PathBuf>)> {
    let mut firsts = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == EXTENSION)
            && let Some(first) = path.file_stem().and_then(|stem| stem.to_str()?.parse().ok())
        {
            firsts.push(first);
        }
    }
    firsts.sort_unstable();
    let (mut found, mut foreign) = (Vec::with_capacity(firsts.len()), Vec::new());
    for (at, &first) in firsts.iter().enumerate() {
        let next = firsts.get(at + 1).copied();
        if next.is_some_and(|next| next <= committed) {
            std::fs::remove_file(path(folder, first))?;
            continue;
        }
        let segment = look_through(folder, first, next)?;
        if segment.is_foreign {
            foreign.push(set_aside(&path(folder, first), "foreign")?);
        } else {
            found.push(segment);
        }
    }
    Ok((found, foreign))
}

/// Gives a file another ending, under which nobody reads it or writes over it. An older one of that name
/// is replaced.
pub(super) fn set_aside(path: &Path, ending: &str) -> io::Result<PathBuf> {
    let aside = path.with_extension(ending);
    std::fs::rename(path, &aside)?;
    Ok(aside)
}

/// Records that would have the number of one in the next file were never acknowledged.
fn look_through(folder: &Path, first: u64, next: Option<u64>) -> io::Result<Segment> {
    let mut records = Records::open(folder, first)?;
    let count_max = next.map_or(u64::MAX, |next| next - first);
    let (mut count, mut good) = (0, MAGIC.len() as u64);
    while count < count_max
        && let Some((_, payload)) = records.next()?
    {
        good += (HEAD_BYTES + payload.len()) as u64;
        count += 1;
    }
    let bytes = std::fs::metadata(path(folder, first))?.len();
    // One that is shorter was cut off before it said what it is.
    let is_foreign = !records.is_spool && bytes >= MAGIC.len() as u64;
    Ok(Segment { first, count, bytes, torn: bytes.saturating_sub(good), is_foreign })
}

/// Reads a file record by record.
pub(super) struct Records {
    file: BufReader<File>,
    payload: Vec<u8>,
    is_spool: bool,
}

impl Records {
    pub(super) fn open(folder: &Path, first: u64) -> io::Result<Self> {
        let mut file = BufReader::with_capacity(256 << 10, File::open(path(folder, first))?);
        let mut magic = [0; MAGIC.len()];
        let is_spool = is_whole(file.read_exact(&mut magic))? && magic == *MAGIC;
        Ok(Self { file, payload: Vec::new(), is_spool })
    }

    /// The next record; `None` at the end, or at what is no whole record.
    pub(super) fn next(&mut self) -> io::Result<Option<(Kind, &[u8])>> {
        let mut head = [0; HEAD_BYTES];
        if !self.is_spool || !is_whole(self.file.read_exact(&mut head))? {
            return Ok(None);
        }
        let [l0, l1, l2, l3, c0, c1, c2, c3, kind] = head;
        let (length, wanted) = ([l0, l1, l2, l3], u32::from_le_bytes([c0, c1, c2, c3]));
        let bytes = usize::try_from(u32::from_le_bytes(length)).unwrap_or(usize::MAX);
        let Some(what) = Kind::of(kind).filter(|_| bytes <= PAYLOAD_BYTES_MAX) else { return Ok(None) };
        if self.payload.capacity() > 4 << 20 && bytes < 1 << 20 {
            self.payload = Vec::new();
        }
        self.payload.resize(bytes, 0);
        if !is_whole(self.file.read_exact(&mut self.payload))? {
            return Ok(None);
        }
        let is_right = sum(length, [kind], &self.payload) == wanted;
        Ok(is_right.then_some((what, &self.payload)))
    }
}

fn is_whole(read: io::Result<()>) -> io::Result<bool> {
    match read {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}
