//! What several tests need.

use std::io::Write;

/// Compresses `plain` into one member of gzip.
pub(crate) fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    writer.write_all(plain).unwrap();
    writer.finish().unwrap()
}
