//! One stream of bytes, plain or compressed, recognised by its first bytes.
//!
//! Never looks at a name. Gzip inside gzip is opened too: CloudWatch Logs compresses what it
//! hands to Firehose, and Firehose may compress again.

use super::inflate::{FILE_CAPS, GZIP_MAGIC, Inflate};
use std::fmt;
use std::io::{self, BufReader, Cursor, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// How many layers of gzip are opened.
const LAYERS_MAX: usize = 2;
/// Bytes read at once beneath a decoder.
const READ_BYTES: usize = 64 * 1024;

/// Formats that are compressed or packed but not read here, with their first bytes.
const FOREIGN: [(&str, &[u8]); 6] = [
    ("a zstd file", &[0x28, 0xb5, 0x2f, 0xfd]),
    ("a zip archive", b"PK\x03\x04"),
    ("a bzip2 file", b"BZh"),
    ("an xz file", &[0xfd, b'7', b'z', b'X', b'Z', 0]),
    ("a Parquet file", b"PAR1"),
    ("a SQLite database", b"SQLite format 3\0"),
];

/// Longest of the magic numbers.
const HEAD_BYTES: usize = 16;

/// Bytes of a source after decompression, with a count of what was read before it.
pub(crate) struct Input {
    reader: Box<dyn Read + Send>,
    taken: Arc<AtomicU64>,
}

impl Input {
    /// Sniffs `reader` and puts decoders on it as needed.
    ///
    /// # Errors
    /// [`io::ErrorKind::Unsupported`] for a format that is not read. What goes wrong with the first
    /// bytes is told when they are read.
    pub(crate) fn open(reader: impl Read + Send + 'static) -> io::Result<Self> {
        let taken = Arc::new(AtomicU64::new(0));
        let mut reader: Box<dyn Read + Send> = Box::new(Counted { reader, taken: Arc::clone(&taken) });
        let mut layers = 0;
        loop {
            let (head, failure) = read_head(&mut reader);
            if failure.is_some() {
                reader = Box::new(Failing(failure));
            }
            if head.starts_with(&GZIP_MAGIC) && layers < LAYERS_MAX {
                let whole = BufReader::with_capacity(READ_BYTES, Cursor::new(head).chain(reader));
                reader = Box::new(Inflate::new(whole, FILE_CAPS, Arc::clone(&taken)));
                layers += 1;
                continue;
            }
            refuse_foreign(&head)?;
            reader = Box::new(Cursor::new(head).chain(reader));
            return Ok(Self { reader, taken });
        }
    }

    /// Bytes taken from the source so far, before decompression.
    pub(crate) fn taken(&self) -> u64 {
        self.taken.load(Ordering::Relaxed)
    }
}

impl Read for Input {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.reader.read(into)
    }
}

impl fmt::Debug for Input {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Input").field("taken", &self.taken()).finish_non_exhaustive()
    }
}

pub(super) fn refuse_foreign(head: &[u8]) -> io::Result<()> {
    match FOREIGN.iter().find(|(_, magic)| head.starts_with(magic)) {
        Some((what, _)) => Err(io::Error::new(io::ErrorKind::Unsupported, *what)),
        None => Ok(()),
    }
}

/// The first bytes, fewer when the stream is shorter, and what went wrong reading them.
fn read_head(reader: &mut dyn Read) -> (Vec<u8>, Option<io::Error>) {
    let mut head = Vec::with_capacity(HEAD_BYTES);
    let failure = reader.take(HEAD_BYTES as u64).read_to_end(&mut head).err();
    (head, failure)
}

/// Fails once, then is at its end.
struct Failing(Option<io::Error>);

impl Read for Failing {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        self.0.take().map_or(Ok(0), Err)
    }
}

/// Counts what passes.
struct Counted<R> {
    reader: R,
    taken: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(into)?;
        self.taken.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::gzip;
    use super::*;

    #[track_caller]
    fn check(data: Vec<u8>, want: &[u8]) {
        let taken = data.len() as u64;
        let mut input = Input::open(Cursor::new(data)).unwrap();
        let mut out = Vec::new();
        input.read_to_end(&mut out).unwrap();
        assert_eq!(out, want);
        assert!(input.taken() == taken, "{}", input.taken());
    }

    #[test]
    fn compression_is_recognised_by_the_first_bytes() {
        check(Vec::new(), b"");
        check(b"{".to_vec(), b"{");
        check(b"\x1f".to_vec(), b"\x1f");
        check(b"{\"a\":1}\n".to_vec(), b"{\"a\":1}\n");
        check(gzip(b""), b"");
        check(gzip(b"{\"a\":1}\n"), b"{\"a\":1}\n");
        check(gzip(&gzip(b"{\"a\":1}\n")), b"{\"a\":1}\n");
    }

    #[test]
    fn damage_in_the_first_bytes_is_told_after_what_came_before_it() {
        let mut data = gzip(b"{\"a\":1}\n");
        data.truncate(data.len() - 8);
        let mut input = Input::open(Cursor::new(data)).unwrap();
        let mut out = Vec::new();
        let error = input.read_to_end(&mut out).unwrap_err();
        assert_eq!(out, b"{\"a\":1}\n");
        assert_eq!(super::super::inflate::damage_of(error).unwrap().kind(), "compression");
    }

    #[test]
    fn a_packed_format_that_is_not_read_is_named() {
        let error = Input::open(Cursor::new(b"PK\x03\x04rest".to_vec())).unwrap_err();
        assert_eq!((error.kind(), error.to_string().as_str()), (io::ErrorKind::Unsupported, "a zip archive"));
    }
}
