//! The question asked of every record: is there anything in it to look at?
//!
//! Every trigger has four bytes in a row that are rare in records. Wherever they stand, three of them begin at an
//! even place, so the filter looks at three bytes from every second place, and at the whole trigger
//! only where they are of a kind with some trigger's. Measured on CloudTrail records: a third of what
//! the search for all triggers costs, which verifies a hundred texts in sixteen buckets.
//!
//! Invariant: whatever [`trigger::all`] finds plausible is found here too; a test holds them together.

use super::trigger::{self, Trigger};
use std::sync::LazyLock;

/// Bits of the table, of which each trigger sets two: 190 of them. 8 KiB stay in the processor's
/// nearest cache, and three bytes of no trigger fall on a set bit once in 340 places.
const BITS: usize = 1 << 16;
/// Bytes looked at together: three times three bytes that begin two apart.
const STEP: usize = 6;
/// Bytes read for one step.
const READ: usize = 8;

/// Three bytes of a trigger.
#[derive(Clone, Copy, Debug)]
struct Gram {
    bytes: u32,
    /// How far into the trigger they stand.
    offset: usize,
    text: &'static str,
    trigger: Trigger,
}

/// The triggers, by three bytes of each.
#[derive(Debug)]
pub(super) struct Filter {
    bits: [u64; BITS / 64],
    /// Ordered by their bytes.
    grams: Vec<Gram>,
}

static FILTER: LazyLock<Filter> = LazyLock::new(|| Filter::of(trigger::texts()));

/// Whether something in `record` is worth a look at the whole of it.
pub(super) fn suspects(record: &[u8]) -> bool {
    FILTER.suspects(record)
}

impl Filter {
    fn of(triggers: impl Iterator<Item = (&'static str, Trigger)>) -> Self {
        let mut filter = Self { bits: [0; BITS / 64], grams: Vec::new() };
        for (text, trigger) in triggers {
            let window = rarest(text);
            for offset in [window, window + 1] {
                let bytes = three(text.as_bytes(), offset);
                let place = place(bytes);
                if let Some(word) = filter.bits.get_mut(place / 64) {
                    *word |= 1 << (place % 64);
                }
                filter.grams.push(Gram { bytes, offset, text, trigger });
            }
        }
        filter.grams.sort_by_key(|gram| gram.bytes);
        filter
    }

    fn suspects(&self, record: &[u8]) -> bool {
        let mut at = 0;
        while let Some(bytes) = record.get(at..at + READ).and_then(|bytes| <[u8; READ]>::try_from(bytes).ok())
        {
            if self.may(u64::from_le_bytes(bytes)) && self.looks(record, at) {
                return true;
            }
            at += STEP;
        }
        // What is left is shorter than a step reads.
        let mut last = [0; READ];
        let rest = record.get(at..).unwrap_or_default();
        if let Some(place) = last.get_mut(..rest.len()) {
            place.copy_from_slice(rest);
        }
        self.may(u64::from_le_bytes(last)) && self.looks(record, at)
    }

    /// Whether three bytes at one of the three places may be a trigger's.
    fn may(&self, bytes: u64) -> bool {
        let one = |shift: u32| {
            #[expect(clippy::cast_possible_truncation, reason = "three bytes are taken of what is left")]
            let place = place((bytes >> shift) as u32 & 0xff_ffff);
            self.bits.get(place / 64).map_or(0, |word| word >> (place % 64) & 1)
        };
        one(0) | one(16) | one(32) != 0
    }

    /// Whether a plausible trigger covers one of the three places from `at` on.
    fn looks(&self, record: &[u8], at: usize) -> bool {
        (at..at + STEP).step_by(2).any(|at| {
            let bytes = three(record, at);
            let from = self.grams.partition_point(|gram| gram.bytes < bytes);
            let same = self.grams.iter().skip(from).take_while(|gram| gram.bytes == bytes);
            same.filter_map(|gram| Some((gram, at.checked_sub(gram.offset)?))).any(|(gram, start)| {
                let rest = record.get(start..).unwrap_or_default();
                rest.starts_with(gram.text.as_bytes()) && gram.trigger.is_plausible(record, start)
            })
        })
    }
}

/// Where in the table three bytes have their bit: Fibonacci hashing.
const fn place(bytes: u32) -> usize {
    (bytes.wrapping_mul(0x9e37_79b1) >> 16) as usize
}

/// Three bytes from `at` on as a number; those that are not there are zero.
fn three(text: &[u8], at: usize) -> u32 {
    let byte = |n: usize| u32::from(text.get(at + n).copied().unwrap_or(0));
    byte(0) | byte(1) << 8 | byte(2) << 16
}

/// Where the four bytes of a trigger begin that are rarest in records. Only speed depends on it.
fn rarest(text: &str) -> usize {
    let common = |offset: usize| {
        let bytes = text.as_bytes().get(offset..offset + 3).unwrap_or_default();
        memchr::memmem::find_iter(USUAL.as_bytes(), bytes).count()
    };
    let windows = 0..text.len().saturating_sub(3).max(1);
    windows.min_by_key(|offset| common(*offset) + common(*offset + 1)).unwrap_or(0)
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
            for before in 0..14 {
                for after in [0, 1, 2, 3, 7, 30] {
                    let record = format!("{}{text}{}", "-".repeat(before), ".".repeat(after));
                    assert!(filter.suspects(record.as_bytes()), "{record}");
                }
            }
        }
        assert!(!filter.suspects(b"") && !filter.suspects(b"{\"a\":1}"));
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
