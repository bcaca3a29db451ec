//! Reads files, directories and standard input; cuts bytes into documents.

mod cutter;
mod inflate;
mod input;
mod list;
mod mask;
mod scan;
mod splitter;

pub(crate) use inflate::GZIP_MAGIC;
pub use inflate::{Caps, Damage, ENVELOPE_CAPS, FILE_CAPS, Inflate, damage_of, is_cut_short};
pub use splitter::{Cut, PART_BYTES_MAX, RECORD_BYTES_MAX, Splitter, What};
