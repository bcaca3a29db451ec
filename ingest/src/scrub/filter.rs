//! The question asked of every record: is there anything in it to look at?
//!
//! Every trigger gives a window of four bytes, and every window belongs to one of eight buckets. A
//! bucket accepts four bytes in a row when, at each of their places, one of its windows has the
//! byte's lower half and one the upper. So 64 places are looked at together, with eight shuffles:
//! the search is Teddy of Hyperscan (<https://github.com/intel/hyperscan>), with a window chosen
//! for each trigger, and buckets for the windows, so that records as they usually are have few
//! bytes that any bucket accepts: one place in 80 of CloudTrail's. Only there the whole trigger is
//! compared.
//!
//! Invariant: whatever [`trigger::all`] finds plausible is found here too; a test holds them together.

use super::trigger::{self, Trigger};
use fearless_simd::prelude::{SimdBase as _, SimdMask as _};
use fearless_simd::{Level, Simd, dispatch, u8x64};
use std::sync::LazyLock;

/// Places looked at together.
const BLOCK: usize = 64;
/// Bytes of a window; no trigger has fewer.
const WINDOW: usize = 4;
/// Buckets, a bit of a byte each.
const BUCKETS: usize = 8;
/// Bytes read for a block.
const READ: usize = BLOCK + WINDOW - 1;
/// Kinds of windows, by a hash of their bytes.
const KINDS: usize = 256;

/// By half of a byte the buckets that accept it, four times over: vectors look up within 16 bytes.
type Table = [u8; BLOCK];

/// Part of a trigger.
#[derive(Clone, Copy, Debug)]
struct Window {
    bytes: [u8; WINDOW],
    /// How far into the trigger it stands.
    offset: usize,
    text: &'static str,
    trigger: Trigger,
}

/// The triggers, by a window of each.
#[derive(Debug)]
pub(super) struct Filter {
    /// For each place of a window.
    lower: [Table; WINDOW],
    upper: [Table; WINDOW],
    /// By [`kind`].
    windows: Vec<Vec<Window>>,
}

static FILTER: LazyLock<Filter> = LazyLock::new(|| Filter::of(trigger::texts()));

/// Whether something in `record` is worth a look at the whole of it.
pub(super) fn suspects(record: &[u8]) -> bool {
    FILTER.suspects(Level::new(), record)
}

impl Filter {
    fn of(triggers: impl Iterator<Item = (&'static str, Trigger)>) -> Self {
        let mut filter = Self {
            lower: [[0; BLOCK]; WINDOW],
            upper: [[0; BLOCK]; WINDOW],
            windows: vec![Vec::new(); KINDS],
        };
        let mut triggers: Vec<_> = triggers.collect();
        // Those that leave little to choose go first.
        triggers.sort_by_key(|(text, _)| text.len());
        let usual = Usual::of(USUAL);
        let mut buckets = [Bucket::default(); BUCKETS];
        for (text, trigger) in triggers {
            let choices = text.as_bytes().windows(WINDOW).enumerate();
            let choices = choices.filter_map(|(offset, bytes)| Some((offset, bytes.first_chunk()?)));
            let grown = choices.flat_map(|(offset, bytes)| {
                let has = usual.has(*bytes);
                let with = (0..).zip(&buckets).map(|(number, bucket)| (number, bucket.with(*bytes, &usual)));
                with.map(move |(number, with)| (with.added + has, offset, *bytes, number, with))
            });
            let Some((_, offset, bytes, number, with)) = grown.min_by_key(|(more, ..)| *more) else {
                continue;
            };
            filter.add(Window { bytes, offset, text, trigger }, number);
            if let Some(bucket) = buckets.get_mut(number) {
                *bucket = with;
            }
        }
        filter
    }

    fn add(&mut self, window: Window, bucket: usize) {
        let places = self.lower.iter_mut().zip(&mut self.upper);
        for ((lower, upper), byte) in places.zip(window.bytes) {
            for start in (0..BLOCK).step_by(16) {
                for (table, half) in [(&mut *lower, byte & 0xf), (&mut *upper, byte >> 4)] {
                    if let Some(buckets) = table.get_mut(start + usize::from(half)) {
                        *buckets |= 1 << bucket;
                    }
                }
            }
        }
        if let Some(windows) = self.windows.get_mut(kind(window.bytes)) {
            windows.push(window);
        }
    }

    fn suspects(&self, level: Level, record: &[u8]) -> bool {
        dispatch!(level, simd => self.search(simd, record))
    }

    #[expect(clippy::inline_always, reason = "only then it is compiled for the instructions of `S`")]
    #[inline(always)]
    fn search<S: Simd>(&self, simd: S, record: &[u8]) -> bool {
        let mut at = 0;
        while let Some(bytes) = record.get(at..).and_then(<[u8]>::first_chunk::<READ>) {
            let places = self.accepted(simd, bytes);
            if places != 0 && self.holds(record, at, places) {
                return true;
            }
            at += BLOCK;
        }
        // What is left is shorter than a block reads; no window has a zero.
        let mut last = [0; READ];
        for (to, byte) in last.iter_mut().zip(record.iter().skip(at)) {
            *to = *byte;
        }
        let places = self.accepted(simd, &last);
        places != 0 && self.holds(record, at, places)
    }

    /// The places of a block, a bit each, from which on a bucket accepts the bytes.
    #[expect(clippy::inline_always, reason = "only then it is compiled for the instructions of `S`")]
    #[inline(always)]
    fn accepted<S: Simd>(&self, simd: S, bytes: &[u8; READ]) -> u64 {
        let mut all = u8x64::splat(simd, u8::MAX);
        for (shift, (lower, upper)) in self.lower.iter().zip(&self.upper).enumerate() {
            let Some(block) = bytes.get(shift..shift + BLOCK) else { continue };
            let block = u8x64::from_slice(simd, block);
            let lower = simd.swizzle_dyn_within_blocks_u8x64(u8x64::from_slice(simd, lower), block & 0xf);
            let upper = simd.swizzle_dyn_within_blocks_u8x64(u8x64::from_slice(simd, upper), block >> 4);
            all = all & lower & upper;
        }
        !all.simd_eq(0).to_bitmask()
    }

    /// Whether a plausible trigger has its window at one of `places`, counted from `at`.
    #[inline(never)]
    fn holds(&self, record: &[u8], at: usize, mut places: u64) -> bool {
        while places != 0 {
            let place = at + places.trailing_zeros() as usize;
            places &= places - 1;
            let Some(bytes) = record.get(place..).and_then(<[u8]>::first_chunk) else { return false };
            let windows = self.windows.get(kind(*bytes)).map(Vec::as_slice).unwrap_or_default();
            if windows.iter().any(|window| window.bytes == *bytes && window.is_plausible(record, place)) {
                return true;
            }
        }
        false
    }
}

impl Window {
    /// Whether the whole trigger stands in `record`, with this window at `place`, and is plausible.
    fn is_plausible(&self, record: &[u8], place: usize) -> bool {
        place.checked_sub(self.offset).is_some_and(|start| {
            let rest = record.get(start..).unwrap_or_default();
            rest.starts_with(self.text.as_bytes()) && self.trigger.is_plausible(record, start)
        })
    }
}

/// What a window is found by: Fibonacci hashing.
const fn kind(bytes: [u8; WINDOW]) -> usize {
    (u32::from_le_bytes(bytes).wrapping_mul(0x9e37_79b1) >> 24) as usize
}

/// Usual records, and how often each byte occurs in them.
struct Usual {
    text: &'static str,
    bytes: Vec<(u8, u64)>,
}

impl Usual {
    fn of(text: &'static str) -> Self {
        let count = |byte: u8| memchr::memchr_iter(byte, text.as_bytes()).count() as u64;
        let bytes = (0..=u8::MAX).map(|byte| (byte, count(byte))).filter(|(_, count)| *count > 0);
        Self { text, bytes: bytes.collect() }
    }

    /// How often a window itself occurs, on the scale of [`Bucket::accepted`]. Text repeats itself,
    /// so what it has is worth less than what bytes in no order would have: a third, measured.
    fn has(&self, window: [u8; WINDOW]) -> u64 {
        let times = memchr::memmem::find_iter(self.text.as_bytes(), &window).count() as u64;
        times * (self.text.len() as u64).pow(3) / 3
    }

    /// How many bytes have one of these lower and one of these upper halves.
    fn with(&self, halves: Halves) -> u64 {
        let has = |byte: u8| halves.lower >> (byte & 0xf) & halves.upper >> (byte >> 4) & 1 == 1;
        self.bytes.iter().filter(|(byte, _)| has(*byte)).map(|(_, count)| count).sum()
    }
}

/// Halves of bytes, a bit each.
#[derive(Clone, Copy, Debug, Default)]
struct Halves {
    lower: u16,
    upper: u16,
}

/// A bucket while windows are being given to it.
#[derive(Clone, Copy, Debug, Default)]
struct Bucket {
    halves: [Halves; WINDOW],
    /// How many four bytes of usual records it accepts, if bytes came in no order.
    accepted: u64,
    /// How many more those are than before the last window.
    added: u64,
}

impl Bucket {
    fn with(&self, window: [u8; WINDOW], usual: &Usual) -> Self {
        let mut with = Self { accepted: 1, ..*self };
        for (halves, byte) in with.halves.iter_mut().zip(window) {
            halves.lower |= 1 << (byte & 0xf);
            halves.upper |= 1 << (byte >> 4);
            with.accepted *= usual.with(*halves);
        }
        with.added = with.accepted - self.accepted;
        with
    }
}

/// Names and values that most records have.
const USUAL: &str = r#"{"eventVersion":"1.09","userIdentity":{"type":"AssumedRole","principalId":"AROAEXAMPLE:session","arn":"arn:aws:sts::111122223333:assumed-role/service/session","accountId":"111122223333","accessKeyId":"ASIAEXAMPLE","sessionContext":{"sessionIssuer":{"type":"Role","principalId":"AROAEXAMPLE","arn":"arn:aws:iam::111122223333:role/service","accountId":"111122223333","userName":"service"},"webIdFederationData":{},"attributes":{"creationDate":"2026-01-01T00:00:00Z","mfaAuthenticated":"false"}},"invokedBy":"secretsmanager.amazonaws.com"},"eventTime":"2026-01-01T00:00:00Z","eventSource":"kms.amazonaws.com","eventName":"GetSecretValue","awsRegion":"eu-central-1","sourceIPAddress":"203.0.113.9","userAgent":"aws-sdk-java/2.25.11 Linux/5.10.214 vendor/Amazon.com_Inc. http/Apache cfg/retry-mode/legacy","errorCode":"AccessDenied","errorMessage":"User is not authorized to perform: secretsmanager:GetSecretValue on resource because no identity-based policy allows the action","requestParameters":{"secretId":"prod/db-password","encryptionContext":{"SecretARN":"arn:aws:secretsmanager:eu-central-1:111122223333:secret:prod/db","SecretVersionId":"00325cf6"},"encryptionAlgorithm":"SYMMETRIC_DEFAULT"},"responseElements":null,"requestID":"c4012e68","eventID":"4ee643e0","readOnly":true,"resources":[{"accountId":"111122223333","type":"AWS::KMS::Key","ARN":"arn:aws:kms:eu-central-1:111122223333:key/85cfe41b"}],"eventType":"AwsApiCall","managementEvent":true,"recipientAccountId":"111122223333","eventCategory":"Management","tlsDetails":{"tlsVersion":"TLSv1.3","cipherSuite":"TLS_AES_128_GCM_SHA256","clientProvidedHostHeader":"secretsmanager.eu-central-1.amazonaws.com"},"sharedEventID":"a","vpcEndpointId":"vpce-1","additionalEventData":{}}{"protoPayload":{"@type":"type.googleapis.com/google.cloud.audit.AuditLog","authenticationInfo":{"principalEmail":"app@shop.iam.gserviceaccount.com"},"authorizationInfo":[{"permission":"secretmanager.versions.access","granted":true,"resource":"projects/1/secrets/db/versions/1"}],"callerIp":"203.0.113.9"},"insertId":"a","severity":"INFO"}{"time":"2026-01-01T00:00:00Z","category":"AuditEvent","operationName":"SecretGet","resultType":"Success","correlationId":"a","callerIpAddress":"203.0.113.9","identity":{"claim":{"oid":"a","appid":"b"}},"properties":{"id":"https://shop.vault.azure.net/secrets/db","clientInfo":"azsdk","httpStatusCode":200,"requestUri":"https://shop.vault.azure.net"}}{"request":{"id":"a","operation":"read","path":"secret/data/db","client_token":"hmac-sha256:a","client_token_accessor":"hmac-sha256:b","mount_type":"kv","remote_address":"203.0.113.9"},"auth":{"policies":["default"],"token_type":"service","entity_id":"e"}}"#;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn plausible(record: &[u8]) -> bool {
        trigger::all(record).any(|(trigger, at)| trigger.is_plausible(record, at))
    }

    #[test]
    fn every_trigger_is_found_at_every_place() {
        let filter = Filter::of(trigger::texts().map(|(text, _)| (text, Trigger::Mark)));
        for (text, _) in trigger::texts() {
            for before in (0..14).chain(58..70) {
                for after in [0, 1, 2, 3, 7, 30] {
                    let record = format!("{}{text}{}", "-".repeat(before), ".".repeat(after));
                    for level in [Level::new(), Level::baseline()] {
                        assert!(filter.suspects(level, record.as_bytes()), "{record} {level:?}");
                    }
                }
            }
        }
        assert!(!filter.suspects(Level::new(), b"") && !filter.suspects(Level::new(), b"{\"a\":1}"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn what_the_search_finds_plausible_is_suspected(
            text in r#"[ -~]{0,40}(hvs\.|ghp_|"password":"x1|"secretString":\{"a|AKIA|sig=|eyJh|PRIVATE KEY-----|\\"|"type":"request"|://u:p@|PutParameter|"data":\{"data":\{"a":1)[ -~]{0,80}"#,
        ) {
            let record = text.as_bytes();
            prop_assert!(!plausible(record) || suspects(record), "{text}");
        }
    }
}
