//! Where bytes of a kind stand in a block of 64, one bit each, lowest bit first.
//!
//! Uses the vector instructions that every processor of an architecture has. Knows nothing of
//! JSON.

use wide::u8x16;

/// Bytes looked at together.
pub const BLOCK: usize = 64;

/// The bytes of `block` that equal `byte`.
#[must_use]
#[inline]
pub fn equal(block: &[u8; BLOCK], byte: u8) -> u64 {
    mask(vectors(block).map(|vector| vector.simd_eq(u8x16::splat(byte))))
}

/// The bytes of `block` that are opening or closing brackets of objects or arrays: `{ [ } ]`.
#[must_use]
#[inline]
pub fn brackets(block: &[u8; BLOCK]) -> u64 {
    // `[` and `{`, `]` and `}` differ in this bit alone.
    let fold = u8x16::splat(0x20);
    mask(vectors(block).map(|vector| {
        let folded = vector | fold;
        folded.simd_eq(u8x16::splat(b'{')) | folded.simd_eq(u8x16::splat(b'}'))
    }))
}

/// The quotes of `block`, and whether it holds a backslash or a byte below 0x20.
#[must_use]
#[inline]
pub(super) fn quotes(block: &[u8; BLOCK]) -> (u64, bool) {
    let vectors = vectors(block);
    let highest = u8x16::splat(0x1f);
    let [a, b, c, d] =
        vectors.map(|vector| vector.min(highest).simd_eq(vector) | vector.simd_eq(u8x16::splat(b'\\')));
    let quotes = mask(vectors.map(|vector| vector.simd_eq(u8x16::splat(b'"'))));
    (quotes, (a | b | c | d).to_bitmask() != 0)
}

/// The bytes of `block` below 0x20.
#[must_use]
#[inline]
pub(super) fn controls(block: &[u8; BLOCK]) -> u64 {
    let highest = u8x16::splat(0x1f);
    mask(vectors(block).map(|vector| vector.min(highest).simd_eq(vector)))
}

/// The block at `from`, filled up with spaces, and how many of its bytes are real.
#[must_use]
#[inline]
pub fn block_at(bytes: &[u8], from: usize) -> ([u8; BLOCK], usize) {
    let rest = bytes.get(from..).unwrap_or_default();
    match rest.first_chunk::<BLOCK>() {
        Some(block) => (*block, BLOCK),
        None => (filled_up(rest), rest.len()),
    }
}

#[inline(never)]
fn filled_up(rest: &[u8]) -> [u8; BLOCK] {
    let mut block = [b' '; BLOCK];
    for (to, byte) in block.iter_mut().zip(rest) {
        *to = *byte;
    }
    block
}

/// Bit i of the result is the parity of the bits up to and including i: inside of strings, given
/// their quotes.
#[must_use]
#[inline]
pub const fn parity(mut bits: u64) -> u64 {
    bits ^= bits << 1;
    bits ^= bits << 2;
    bits ^= bits << 4;
    bits ^= bits << 8;
    bits ^= bits << 16;
    bits ^ (bits << 32)
}

/// Which bytes stand after an odd run of backslashes and so are taken literally. `carry` says
/// whether the first byte is, and afterwards whether the byte after the first `len` is.
///
/// The subtraction runs through each run of backslashes at once (simdjson, `json_escape_scanner`).
#[must_use]
#[inline]
pub const fn escaped(backslash: u64, carry: &mut bool, len: usize) -> u64 {
    const ODD: u64 = 0xaaaa_aaaa_aaaa_aaaa;
    let first = *carry as u64;
    if backslash == 0 {
        *carry = false;
        return first;
    }
    let starts = backslash & !first;
    let runs = ((starts << 1) | ODD).wrapping_sub(starts) ^ ODD;
    let escapes = runs & backslash;
    *carry = (escapes >> (len - 1)) & 1 == 1;
    runs ^ (backslash | first)
}

/// The four vectors of a block.
#[inline]
fn vectors(block: &[u8; BLOCK]) -> [u8x16; 4] {
    let (parts, _) = block.as_chunks::<16>();
    let part = |at: usize| u8x16::from(parts.get(at).copied().unwrap_or_default());
    [part(0), part(1), part(2), part(3)]
}

#[inline]
fn mask(found: [u8x16; 4]) -> u64 {
    let [a, b, c, d] = found.map(|vector| u64::from(vector.to_bitmask()));
    a | b << 16 | c << 32 | d << 48
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn naive_escaped(bytes: &[u8], carry: &mut bool) -> u64 {
        let mut mask = 0;
        for (at, byte) in bytes.iter().enumerate() {
            mask |= u64::from(*carry) << at;
            *carry = !*carry && *byte == b'\\';
        }
        mask
    }

    fn json_bytes() -> impl Strategy<Value = Vec<u8>> {
        let byte = prop::sample::select(b"\\\\\\\"{}[]\n a\x1f\x20\xff;|\x7f\x80".to_vec());
        prop::collection::vec(byte, 1..=BLOCK)
    }

    proptest! {
        #[test]
        fn masks_agree_with_looking_at_each_byte(bytes in json_bytes(), carry in any::<bool>()) {
            let (block, len) = block_at(&bytes, 0);
            let (quotes, rare) = quotes(&block);
            prop_assert_eq!(len, bytes.len());
            prop_assert_eq!(rare, bytes.iter().any(|byte| *byte < 0x20 || *byte == b'\\'));
            for (at, byte) in bytes.iter().enumerate() {
                let has = |mask: u64| mask >> at & 1 == 1;
                prop_assert_eq!(has(quotes), *byte == b'"');
                prop_assert_eq!(has(equal(&block, b'\n')), *byte == b'\n');
                prop_assert_eq!(has(brackets(&block)), b"{}[]".contains(byte));
                prop_assert_eq!(has(controls(&block)), *byte < 0x20);
            }
            let (mut fast, mut slow) = (carry, carry);
            let real = u64::MAX >> (BLOCK - len);
            let want = naive_escaped(&bytes, &mut slow);
            prop_assert_eq!(escaped(equal(&block, b'\\'), &mut fast, len) & real, want);
            prop_assert_eq!(fast, slow);
        }
    }

    #[test]
    fn parity_marks_the_inside_of_strings() {
        assert_eq!(parity(0b100_1000), 0b011_1000);
        assert_eq!(parity(1), u64::MAX);
    }
}
