//! Expands a small gzip file in one go, several times faster than as a stream.
//!
//! Says nothing of files that are large, damaged or made of several members: those are read as
//! streams by [`Inflate`](super::Inflate), which has the last word. What comes out is at most
//! [`EXPANDED_BYTES_MAX`], below every cap of a file.

/// Largest compressed file that is tried.
pub(super) const PACKED_BYTES_MAX: u64 = 8 << 20;
/// Largest content that is tried: CloudTrail's own files hold up to 50 MB, nearly all far less.
/// One such buffer is kept per thread, of which only what files filled takes memory.
const EXPANDED_BYTES_MAX: usize = 32 << 20;

#[expect(clippy::disallowed_types, reason = "the size is checked against a bound before")]
type Decoder = libdeflater::Decompressor;

/// A decoder and the buffer it fills.
pub(crate) struct OneShot {
    decoder: Decoder,
    text: Vec<u8>,
}

impl OneShot {
    pub(crate) fn new() -> Self {
        Self { decoder: Decoder::new(), text: Vec::new() }
    }

    /// The content of `packed`, when it is one gzip member in order (RFC 1952).
    pub(crate) fn expand(&mut self, packed: &[u8]) -> Option<&[u8]> {
        let (body, trailer) = packed.split_last_chunk::<8>()?;
        let [crc @ .., _, _, _, _] = *trailer;
        let [_, _, _, _, size @ ..] = *trailer;
        let size = usize::try_from(u32::from_le_bytes(size)).ok()?;
        if size > EXPANDED_BYTES_MAX {
            return None;
        }
        if self.text.is_empty() {
            // Its pages come when they are written. One that grows would leave the smaller ones behind.
            self.text = vec![0; EXPANDED_BYTES_MAX];
        }
        let text = self.text.get_mut(..size)?;
        let written = self.decoder.deflate_decompress(deflated(body)?, text).ok()?;
        let is_whole = written == size && libdeflater::crc32(text) == u32::from_le_bytes(crc);
        (is_whole && !repeats_header(packed)).then_some(&*text)
    }
}

/// Whether a second member follows that begins as the first does. Any other second member shows
/// in the checksum, which would be its own.
fn repeats_header(packed: &[u8]) -> bool {
    const HEADER_BYTES: usize = 10;
    packed
        .split_first_chunk::<HEADER_BYTES>()
        .is_none_or(|(header, rest)| memchr::memmem::find(rest, header).is_some())
}

/// What follows the header of the first member.
fn deflated(packed: &[u8]) -> Option<&[u8]> {
    const CHECKED: u8 = 2;
    const EXTRA: u8 = 4;
    const NAME: u8 = 8;
    const COMMENT: u8 = 16;
    let ([0x1f, 0x8b, 8, flags, ..], mut rest) = packed.split_first_chunk::<10>()? else { return None };
    if flags & 0xe0 != 0 {
        return None;
    }
    if flags & EXTRA != 0 {
        let (bytes, after) = rest.split_first_chunk::<2>()?;
        rest = after.get(usize::from(u16::from_le_bytes(*bytes))..)?;
    }
    for text in [NAME, COMMENT] {
        if flags & text != 0 {
            rest = rest.get(memchr::memchr(0, rest)? + 1..)?;
        }
    }
    if flags & CHECKED != 0 {
        rest = rest.get(2..)?;
    }
    Some(rest)
}

#[cfg(test)]
mod tests {
    use super::super::testing::gzip;
    use super::*;

    #[test]
    fn one_member_in_order_is_expanded() {
        for text in [&b""[..], b"x", &b"some text ".repeat(10_000)] {
            assert_eq!(OneShot::new().expand(&gzip(text)), Some(text));
        }
        let mut named = gzip(b"text");
        named[3] = 8 | 4 | 16 | 2;
        named.splice(10..10, [3, 0, 1, 2, 3].into_iter().chain(*b"name\0comment\0ch"));
        assert_eq!(OneShot::new().expand(&named), Some(&b"text"[..]));
    }

    #[test]
    fn what_needs_a_closer_look_is_left() {
        let one = gzip(b"one");
        let mut damaged = one.clone();
        damaged[12] ^= 1;
        let twice = [one.clone(), one.clone()].concat();
        let padded = [&one[..], &[0; 8]].concat();
        let bomb = gzip(&vec![0; EXPANDED_BYTES_MAX + 1]);
        let followed = [one.clone(), gzip(b"two")].concat();
        let mut sized = one.clone();
        sized[17] ^= 1;
        for data in
            [&damaged[..], &one[..one.len() - 1], &one[..9], b"", &twice, &padded, &bomb, &followed, &sized]
        {
            assert_eq!(OneShot::new().expand(data), None);
        }
    }

    #[test]
    fn a_buffer_that_is_used_again_shows_nothing_of_before() {
        let mut decoder = OneShot::new();
        assert_eq!(decoder.expand(&gzip(b"a long text")), Some(&b"a long text"[..]));
        assert_eq!(decoder.expand(&gzip(b"short")), Some(&b"short"[..]));
    }
}
