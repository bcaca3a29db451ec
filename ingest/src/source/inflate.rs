//! The one place where gzip is expanded, and therefore the one place where it is capped.
//!
//! Never reads on after a cap or after damage: what came before is delivered, then one error
//! says why there is no more. Every other decoder of the workspace is refused by clippy.

use keywatch_event::RejectReason;
use std::fmt;
use std::io::{self, BufRead, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

#[expect(clippy::disallowed_types, reason = "this is the capped reader the others are banned for")]
type Member<R> = flate2::bufread::GzDecoder<R>;

/// How far compressed data may expand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caps {
    /// Most bytes that may come out.
    pub bytes_max: u64,
    /// Most bytes out per byte in, once `ratio_from` bytes came out.
    pub ratio_max: u64,
    /// From how many bytes out on the ratio counts.
    pub ratio_from: u64,
}

/// Caps for a file: audit trails expand 8 to 15 times, and the largest seen hold a few GB.
pub const FILE_CAPS: Caps = Caps { bytes_max: 16 << 30, ratio_max: 200, ratio_from: 64 << 20 };

/// Caps for gzip inside an envelope: messages are at most a few MB (Kinesis 10 MiB).
pub const ENVELOPE_CAPS: Caps = Caps { bytes_max: 256 << 20, ratio_max: 200, ratio_from: 16 << 20 };

/// First two bytes of every gzip member (RFC 1952, 2.3.1).
pub(crate) const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// Expands gzip of one or more members, within [`Caps`].
///
/// Reading fails with an [`io::Error`] that holds [`Damage`] when the data ends early, does not
/// check out or passes a cap; with the error of the reader beneath otherwise.
pub struct Inflate<R> {
    state: State<R>,
    caps: Caps,
    came_out: u64,
    went_in: Arc<AtomicU64>,
}

enum State<R> {
    Member(Box<Member<R>>),
    Between(R),
    Ended,
}

/// Why compressed data yields no more.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Damage(pub RejectReason);

impl<R: BufRead> Inflate<R> {
    /// Expands `reader`. `went_in` is the number of compressed bytes taken so far, kept up to
    /// date by whoever owns the bytes; the ratio is measured against it.
    pub fn new(reader: R, caps: Caps, went_in: Arc<AtomicU64>) -> Self {
        Self { state: State::Member(Box::new(Member::new(reader))), caps, came_out: 0, went_in }
    }

    /// Bytes that came out so far.
    #[must_use]
    pub const fn came_out(&self) -> u64 {
        self.came_out
    }

    fn check_caps(&self) -> Result<(), RejectReason> {
        if self.came_out > self.caps.bytes_max {
            return Err(RejectReason::Bomb(format!("{} MiB", self.caps.bytes_max >> 20)));
        }
        let allowed = self.went_in.load(Ordering::Relaxed).saturating_mul(self.caps.ratio_max);
        if self.came_out > self.caps.ratio_from.max(allowed) {
            return Err(RejectReason::Bomb(format!("{} times its size", self.caps.ratio_max)));
        }
        Ok(())
    }

    /// What follows a member: another member, zero padding up to the end, or damage.
    fn next_member(mut reader: R) -> io::Result<State<R>> {
        loop {
            let ahead = reader.fill_buf()?;
            let padding = ahead.iter().take_while(|byte| **byte == 0).count();
            match ahead.get(padding) {
                None if ahead.is_empty() => return Ok(State::Ended),
                None => reader.consume(padding),
                Some(_) if padding > 0 || ahead.first() != GZIP_MAGIC.first() => {
                    return Err(damaged("other data follows the end of the compressed data"));
                }
                Some(_) => return Ok(State::Member(Box::new(Member::new(reader)))),
            }
        }
    }
}

impl<R: BufRead> Read for Inflate<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if into.is_empty() {
            return Ok(0);
        }
        loop {
            match std::mem::replace(&mut self.state, State::Ended) {
                State::Ended => return Ok(0),
                State::Between(reader) => self.state = Self::next_member(reader)?,
                State::Member(mut member) => {
                    let count = match member.read(into) {
                        Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                            self.state = State::Member(member);
                            return Err(error);
                        }
                        other => other.map_err(classify)?,
                    };
                    if count == 0 {
                        self.state = State::Between(member.into_inner());
                        continue;
                    }
                    self.came_out += count as u64;
                    self.check_caps().map_err(|reason| io::Error::other(Damage(reason)))?;
                    self.state = State::Member(member);
                    return Ok(count);
                }
            }
        }
    }
}

/// An error of the disk or the network stays one; everything else is said of the data.
fn classify(error: io::Error) -> io::Error {
    let is_damage = matches!(error.get_ref(), Some(inner) if inner.is::<Damage>());
    if error.raw_os_error().is_some() || is_damage {
        return error;
    }
    let is_end = error.kind() == io::ErrorKind::UnexpectedEof;
    damaged(&if is_end { CUT_SHORT.to_owned() } else { error.to_string() })
}

const CUT_SHORT: &str = "it ends early";

fn damaged(detail: &str) -> io::Error {
    io::Error::other(Damage(RejectReason::Compression(detail.to_owned())))
}

/// What an error of [`Inflate`] says of the data; the error itself when it is one of I/O.
///
/// # Errors
/// The error given, when the reader beneath failed.
pub fn damage_of(error: io::Error) -> Result<RejectReason, io::Error> {
    match error.downcast::<Damage>() {
        Ok(Damage(reason)) => Ok(reason),
        Err(error) => Err(error),
    }
}

/// Whether the data merely ended early, as a file does while it is still being written.
#[must_use]
pub fn is_cut_short(reason: &RejectReason) -> bool {
    matches!(reason, RejectReason::Compression(detail) if detail == CUT_SHORT)
}

impl<R> fmt::Debug for Inflate<R> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Inflate")
            .field("caps", &self.caps)
            .field("came_out", &self.came_out)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::gzip;
    use super::*;

    fn expand(data: &[u8], caps: Caps) -> (Vec<u8>, Option<RejectReason>) {
        let mut reader = Inflate::new(data, caps, Arc::new(AtomicU64::new(data.len() as u64)));
        let mut out = Vec::new();
        let ended = io::copy(&mut reader, &mut out);
        (out, ended.err().map(|error| damage_of(error).unwrap()))
    }

    #[test]
    fn members_follow_one_another_and_zero_padding_is_ignored() {
        let mut data = gzip(b"one\n");
        data.extend(gzip(b""));
        data.extend(gzip(b"two\n"));
        data.extend([0; 700]);
        assert_eq!(expand(&data, FILE_CAPS), (b"one\ntwo\n".to_vec(), None));
    }

    #[test]
    fn what_comes_before_the_cut_is_delivered() {
        let plain: Vec<u8> = (0..200_000_u32).flat_map(u32::to_le_bytes).collect();
        let whole = gzip(&plain);
        let (out, reason) = expand(&whole[..whole.len() / 2], FILE_CAPS);
        assert!(out.len() > 100_000 && plain.starts_with(&out), "{}", out.len());
        assert!(is_cut_short(&reason.unwrap()));
        let (out, reason) = expand(&whole[..whole.len() - 3], FILE_CAPS);
        assert_eq!(out.len(), plain.len());
        assert!(is_cut_short(&reason.unwrap()));
    }

    #[test]
    fn a_flipped_bit_and_foreign_data_are_damage_and_not_a_cut() {
        let mut data = gzip(b"some text that is long enough to be damaged");
        let at = data.len() - 6;
        data[at] ^= 1;
        let reason = expand(&data, FILE_CAPS).1.unwrap();
        assert!(reason.kind() == "compression" && !is_cut_short(&reason), "{reason}");
        let mut data = gzip(b"one");
        data.extend(b"{\"a\":1}");
        let (out, reason) = expand(&data, FILE_CAPS);
        assert_eq!((out.as_slice(), reason.unwrap().kind()), (&b"one"[..], "compression"));
    }

    #[test]
    fn a_bomb_stops_at_the_ratio_and_at_the_size() {
        let bomb = gzip(&vec![b' '; 8 << 20]);
        let caps = Caps { bytes_max: 1 << 30, ratio_max: 20, ratio_from: 1 << 20 };
        let (out, reason) = expand(&bomb, caps);
        assert_eq!(reason.unwrap().kind(), "bomb");
        assert!(out.len() as u64 <= caps.ratio_from.max(20 * bomb.len() as u64));
        let caps = Caps { bytes_max: 2 << 20, ratio_max: 100_000, ratio_from: 1 << 20 };
        let (out, reason) = expand(&bomb, caps);
        assert_eq!(reason.unwrap().kind(), "bomb");
        assert!(out.len() as u64 <= caps.bytes_max);
    }

    #[test]
    fn ordinary_compression_stays_under_the_ratio() {
        let line = br#"{"eventVersion":"1.08","eventName":"GetSecretValue","sourceIPAddress":"192.0.2.1"}"#;
        let mut plain = Vec::new();
        for number in 0..20_000_u32 {
            plain.extend_from_slice(line);
            plain.extend_from_slice(number.to_string().as_bytes());
        }
        let caps = Caps { ratio_from: 1 << 16, ..FILE_CAPS };
        assert_eq!(expand(&gzip(&plain), caps), (plain, None));
    }
}
