//! Repeatable variety for the sample logs: a small generator and names derived from text.
//!
//! Nothing here is fit for a secret. The same seed gives the same sequence on every machine.

use sha2::{Digest, Sha256};

/// A xorshift64* generator (Vigna, "An experimental exploration of Marsaglia's xorshift
/// generators, scrambled", 2016).
#[derive(Debug)]
pub(super) struct Random(u64);

impl Random {
    /// A generator for `seed`; zero, from which xorshift never leaves, is replaced.
    pub(super) const fn new(seed: u64) -> Self {
        Self(if seed == 0 { 0x9e37_79b9_7f4a_7c15 } else { seed })
    }

    /// The next 64 bits.
    pub(super) const fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number from 0 up to, and without, `bound`; 0 when `bound` is 0.
    pub(super) const fn below(&mut self, bound: u32) -> u32 {
        // The upper half of the product is below `bound`, so it fits.
        (((self.next() >> 32) * bound as u64) >> 32) as u32
    }

    /// Text in the shape of a version 4 UUID.
    pub(super) fn uuid(&mut self) -> String {
        let (high, low) = (self.next(), self.next());
        format!(
            "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
            high >> 32,
            (high >> 16) & 0xffff,
            high & 0xfff,
            0x8000 | ((low >> 48) & 0x3fff),
            low & 0xffff_ffff_ffff,
        )
    }

    /// Lower-case letters and digits, as Google writes an insert id.
    pub(super) fn base36(&mut self, length: usize) -> String {
        (0..length).filter_map(|_| char::from_digit(self.below(36), 36)).collect()
    }
}

/// What Vault writes for a string it does not show: 64 hex digits that are the same wherever the
/// same string stands.
pub(super) fn hashed(text: &str) -> String {
    let digest = Sha256::new().chain_update(b"keywatch sample audit device\0").chain_update(text).finalize();
    format!("hmac-sha256:{digest:x}")
}

/// `prefix` and upper-case letters and digits made from `text`, as AWS writes its unique ids.
pub(super) fn unique_id(prefix: &str, text: &str, length: usize) -> String {
    let digest = Sha256::digest(text);
    let letters = digest.iter().map(|byte| {
        let value = byte & 31;
        char::from(if value < 26 { b'A' + value } else { b'2' + value - 26 })
    });
    prefix.chars().chain(letters.take(length)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stay_below_their_bound_and_reach_all_of_it() {
        let mut random = Random::new(7);
        let mut seen = [false; 6];
        for _ in 0..200 {
            seen[random.below(6) as usize] = true;
        }
        assert_eq!(seen, [true; 6]);
        assert_eq!(random.below(0), 0);
    }

    #[test]
    fn a_uuid_has_the_shape_of_version_4() {
        let uuid = Random::new(0).uuid();
        let lengths: Vec<usize> = uuid.split('-').map(str::len).collect();
        assert_eq!(lengths, [8, 4, 4, 4, 12]);
        assert_eq!(uuid.chars().nth(14), Some('4'));
        assert!("89ab".contains(uuid.chars().nth(19).unwrap()));
    }

    #[test]
    fn one_text_has_one_hash() {
        assert_eq!(hashed("a"), hashed("a"));
        assert_ne!(hashed("a"), hashed("b"));
        assert_eq!(hashed("").len(), "hmac-sha256:".len() + 64);
    }

    #[test]
    fn unique_ids_use_the_letters_aws_uses() {
        let id = unique_id("AROA", "payments-api", 17);
        assert_eq!(id.len(), 21);
        assert!(id.chars().all(|c| c.is_ascii_uppercase() || ('2'..='7').contains(&c)), "{id}");
    }
}
