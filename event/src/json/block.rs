//! Where bytes of a kind stand in a block of 64, one bit each, lowest bit first.
//!
//! Uses the widest vector instructions that this processor has, found out when the program starts
//! (`fearless_simd`). Knows nothing of JSON.

use fearless_simd::prelude::{SimdBase as _, SimdMask as _};
use fearless_simd::{Level, Simd, dispatch, u8x64};

/// Bytes looked at together.
pub const BLOCK: usize = 64;

/// Where the bytes that matter to cutting a text into values stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// `"`
    pub quote: u64,
    /// `{`, `[`, `}` and `]`
    pub bracket: u64,
    /// `\`
    pub backslash: u64,
    /// Line feed.
    pub newline: u64,
    /// Bytes below 0x20.
    pub control: u64,
}

impl Marks {
    /// Looks at a block.
    #[must_use]
    pub fn of(block: &[u8; BLOCK]) -> Self {
        dispatch!(Level::new(), simd => Self::with(simd, block))
    }

    #[expect(clippy::inline_always, reason = "only then it is compiled for the instructions of `S`")]
    #[inline(always)]
    fn with<S: Simd>(simd: S, block: &[u8; BLOCK]) -> Self {
        let bytes = u8x64::from_slice(simd, block);
        // `[` and `{`, `]` and `}` differ in this bit alone.
        let folded = bytes | 0x20;
        Self {
            quote: bytes.simd_eq(b'"').to_bitmask(),
            bracket: (folded.simd_eq(b'{') | folded.simd_eq(b'}')).to_bitmask(),
            backslash: bytes.simd_eq(b'\\').to_bitmask(),
            newline: bytes.simd_eq(b'\n').to_bitmask(),
            control: bytes.simd_lt(0x20).to_bitmask(),
        }
    }
}

/// The quotes of `block`, and whether it holds a backslash or a byte below 0x20.
#[must_use]
#[expect(clippy::inline_always, reason = "only then it is compiled for the instructions of `S`")]
#[inline(always)]
pub(super) fn quotes<S: Simd>(simd: S, block: &[u8; BLOCK]) -> (u64, bool) {
    let bytes = u8x64::from_slice(simd, block);
    let rare = bytes.simd_lt(0x20) | bytes.simd_eq(b'\\');
    (bytes.simd_eq(b'"').to_bitmask(), rare.to_bitmask() != 0)
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What this processor can do, from the most to the least.
    fn levels() -> Vec<Level> {
        let best = Level::new();
        let mut all = vec![best];
        #[cfg(target_arch = "x86_64")]
        all.extend(
            [best.as_avx2().map(Level::Avx2), best.as_sse4_2().map(Level::Sse4_2)].into_iter().flatten(),
        );
        all.push(Level::baseline());
        all
    }

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
            prop_assert_eq!(len, bytes.len());
            let marks = Marks::of(&block);
            for level in levels() {
                let (quotes, rare, seen) = dispatch!(level, simd => {
                    let (quotes, rare) = quotes(simd, &block);
                    (quotes, rare, Marks::with(simd, &block))
                });
                prop_assert_eq!((seen, quotes), (marks, marks.quote), "{:?}", level);
                prop_assert_eq!(rare, bytes.iter().any(|byte| *byte < 0x20 || *byte == b'\\'));
            }
            for (at, byte) in bytes.iter().enumerate() {
                let has = |mask: u64| mask >> at & 1 == 1;
                prop_assert_eq!(has(marks.quote), *byte == b'"');
                prop_assert_eq!(has(marks.bracket), b"{}[]".contains(byte));
                prop_assert_eq!(has(marks.backslash), *byte == b'\\');
                prop_assert_eq!(has(marks.newline), *byte == b'\n');
                prop_assert_eq!(has(marks.control), *byte < 0x20);
            }
            let (mut fast, mut slow) = (carry, carry);
            let real = u64::MAX >> (BLOCK - len);
            let want = naive_escaped(&bytes, &mut slow);
            prop_assert_eq!(escaped(marks.backslash, &mut fast, len) & real, want);
            prop_assert_eq!(fast, slow);
        }
    }

    #[test]
    fn parity_marks_the_inside_of_strings() {
        assert_eq!(parity(0b100_1000), 0b011_1000);
        assert_eq!(parity(1), u64::MAX);
    }
}
