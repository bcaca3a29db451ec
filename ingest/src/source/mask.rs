//! Where the bytes that matter stand in a block of 64, one bit each.
//!
//! Plain loops over fixed arrays, which the compiler turns into vector instructions. Knows
//! nothing of JSON beyond its seven characters.

/// Bytes looked at together.
pub(super) const BLOCK: usize = 64;

/// One bit per byte of a block, lowest bit first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Masks {
    /// `"`
    pub(super) quote: u64,
    /// `{`, `[`, `}` and `]`
    pub(super) bracket: u64,
    /// `\`
    pub(super) backslash: u64,
    /// Line feed.
    pub(super) newline: u64,
}

impl Masks {
    pub(super) fn of(block: &[u8; BLOCK]) -> Self {
        // `[` and `{`, `]` and `}` differ in this bit alone.
        const FOLD: u8 = 0x20;
        let is_bracket = |byte: u8| matches!(byte | FOLD, b'{' | b'}');
        let mut masks = Self {
            quote: bits(block, |byte| byte == b'"'),
            bracket: bits(block, is_bracket),
            ..Self::default()
        };
        // Most blocks have neither; a fold without an early end is one pass of vector code.
        let is_rare = |byte: u8| matches!(byte, b'\\' | b'\n');
        if block.iter().fold(0, |any, byte| any | u8::from(is_rare(*byte))) != 0 {
            masks.backslash = bits(block, |byte| byte == b'\\');
            masks.newline = bits(block, |byte| byte == b'\n');
        }
        masks
    }
}

/// The block at `from`, filled up with spaces, and how many of its bytes are real.
pub(super) fn block_at(window: &[u8], from: usize) -> ([u8; BLOCK], usize) {
    let rest = window.get(from..).unwrap_or_default();
    if let Some(block) = rest.first_chunk::<BLOCK>() {
        return (*block, BLOCK);
    }
    let mut block = [b' '; BLOCK];
    for (to, byte) in block.iter_mut().zip(rest) {
        *to = *byte;
    }
    (block, rest.len())
}

#[inline]
fn bits(block: &[u8; BLOCK], is: impl Fn(u8) -> bool) -> u64 {
    let mut flags = [0_u8; BLOCK];
    for (flag, byte) in flags.iter_mut().zip(block) {
        *flag = u8::from(is(*byte));
    }
    let (words, _) = flags.as_chunks::<8>();
    let mut mask = 0;
    for (word, shift) in words.iter().zip((0_u32..).step_by(8)) {
        mask |= gather(u64::from_le_bytes(*word)) << shift;
    }
    mask
}

/// Eight bytes of 0 or 1 become eight bits: the product moves byte i's bit to bit 56 + i, and no
/// two terms meet.
const fn gather(flags: u64) -> u64 {
    flags.wrapping_mul(0x0102_0408_1020_4080) >> 56
}

/// Bit i of the result is the parity of the bits up to and including i: inside of strings, given
/// their quotes.
pub(super) const fn parity(mut bits: u64) -> u64 {
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
pub(super) const fn escaped(backslash: u64, carry: &mut bool, len: usize) -> u64 {
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

    fn naive_escaped(bytes: &[u8], carry: &mut bool) -> u64 {
        let mut mask = 0;
        for (at, byte) in bytes.iter().enumerate() {
            mask |= u64::from(*carry) << at;
            *carry = !*carry && *byte == b'\\';
        }
        mask
    }

    fn json_bytes() -> impl Strategy<Value = Vec<u8>> {
        let byte = prop::sample::select(b"\\\\\\\"{}[]\n a\xff;|".to_vec());
        prop::collection::vec(byte, 1..=BLOCK)
    }

    proptest! {
        #[test]
        fn masks_agree_with_looking_at_each_byte(bytes in json_bytes(), carry in any::<bool>()) {
            let (block, len) = block_at(&bytes, 0);
            let masks = Masks::of(&block);
            prop_assert_eq!(len, bytes.len());
            for (at, byte) in bytes.iter().enumerate() {
                let has = |mask: u64| mask >> at & 1 == 1;
                prop_assert_eq!(has(masks.quote), *byte == b'"');
                prop_assert_eq!(has(masks.bracket), b"{}[]".contains(byte));
                prop_assert_eq!(has(masks.newline), *byte == b'\n');
                prop_assert_eq!(has(masks.backslash), *byte == b'\\');
            }
            let (mut fast, mut slow) = (carry, carry);
            let real = u64::MAX >> (BLOCK - len);
            let want = naive_escaped(&bytes, &mut slow);
            prop_assert_eq!(escaped(masks.backslash, &mut fast, len) & real, want);
            prop_assert_eq!(fast, slow);
        }
    }

    #[test]
    fn parity_marks_the_inside_of_strings() {
        assert_eq!(parity(0b100_1000), 0b011_1000);
        assert_eq!(parity(1), u64::MAX);
    }
}
