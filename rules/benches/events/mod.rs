//! CloudTrail-shaped records, the same in every run: about 1.2 KB each; four in five are reads of
//! a secret, one in a hundred of those is denied, one in ten events is of an unrelated service.

use chrono::DateTime;
use keywatch_event::EventTime;
use std::ops::Range;

/// 2026-01-01T00:00:00Z.
const START: i64 = 1_767_225_600;
/// Secrets one principal reads.
const SECRETS_EACH: u64 = 8;
const SECRETS: u64 = 5_000;

/// One record.
pub(crate) struct Made(pub(crate) String);

/// Which records.
#[derive(Clone, Copy)]
pub(crate) struct Workload {
    pub(crate) events: usize,
    pub(crate) principals: u64,
}

/// When all records came: after the last of them happened, or their times would not be believed.
pub(crate) fn received() -> EventTime {
    EventTime::from_secs(START + 1_000_000)
}

impl Workload {
    pub(crate) fn make(self) -> Result<Vec<Made>, std::num::TryFromIntError> {
        (0..self.events as u64).map(|n| Ok(Made(self.record(n)?))).collect()
    }

    fn record(self, n: u64) -> Result<String, std::num::TryFromIntError> {
        let lot = mixed(n);
        let who = lot % self.principals;
        let secret = (who * 13 + (lot >> 20) % SECRETS_EACH) % SECRETS;
        let (service, name, request, error) = call(lot >> 40, who, secret);
        Ok(record(n, START + i64::try_from(n / 6)?, who, (service, name, &request, error)))
    }
}

/// Reads of secrets of one account, one a second twice as often as not, each of another secret;
/// the last hundred are each late by a thousand events.
pub(crate) fn reads(count: u64) -> Result<Vec<Made>, std::num::TryFromIntError> {
    let read = |n: u64| {
        let at = if n < count - 100 { n } else { count - 1_100 + (n % 7) };
        let request = format!("{{\"secretId\":\"{}\"}}", arn(n));
        let call = ("secretsmanager", "GetSecretValue", &*request, "");
        Ok(Made(record(n, START + i64::try_from(at / 2)?, 1, call)))
    };
    (0..count).map(read).collect()
}

/// One principal that is refused again and again, once a second, some of five secrets.
pub(crate) fn siege(count: u64) -> Result<Vec<Made>, std::num::TryFromIntError> {
    let refusal = |n: u64| {
        let request = format!("{{\"secretId\":\"{}\"}}", arn(n % 5));
        let error = ",\"errorCode\":\"AccessDenied\",\"errorMessage\":\"User is not authorized to perform: secretsmanager:GetSecretValue\"";
        let call = ("secretsmanager", "GetSecretValue", &*request, error);
        // Before they were received, so that each has its own time.
        Ok(Made(record(n, START + i64::try_from(n)? - i64::try_from(count)?, 1, call)))
    };
    (0..count).map(refusal).collect()
}

/// One read by each of some principals, all from one network.
pub(crate) fn networks(who: Range<u64>, network: u8) -> Result<Vec<Made>, std::num::TryFromIntError> {
    let read = |who: u64| {
        let request = format!("{{\"secretId\":\"{}\"}}", arn(who % SECRETS));
        let call = ("secretsmanager", "GetSecretValue", &*request, "");
        let made = record(who, START + i64::try_from(who / 6)?, who, call);
        Ok(Made(made.replace("198.51.100.", &format!("198.51.{network}."))))
    };
    who.map(read).collect()
}

fn arn(secret: u64) -> String {
    format!(
        "arn:aws:secretsmanager:eu-west-1:111122223333:secret:prod/service-{secret}/db-password-AbCd{:02}",
        secret % 90 + 10
    )
}

fn record(n: u64, at: i64, who: u64, (service, name, request, error): (&str, &str, &str, &str)) -> String {
    let time = DateTime::from_timestamp(at, 0).unwrap_or_default().format("%Y-%m-%dT%H:%M:%SZ").to_string();
    let caller = format!(
        "\"type\":\"AssumedRole\",\"principalId\":\"AROAEXAMPLE{who}:i-0{who:016x}\",\"arn\":\"arn:aws:sts::111122223333:assumed-role/svc-{who}/i-0{who:016x}\",\"accountId\":\"111122223333\",\"accessKeyId\":\"ASIAEXAMPLE{who:08}\",\"sessionContext\":{{\"sessionIssuer\":{{\"type\":\"Role\",\"principalId\":\"AROAEXAMPLE{who}\",\"arn\":\"arn:aws:iam::111122223333:role/svc-{who}\",\"accountId\":\"111122223333\",\"userName\":\"svc-{who}\"}},\"attributes\":{{\"creationDate\":\"{time}\",\"mfaAuthenticated\":\"false\"}}}}"
    );
    format!(
        "{{\"eventVersion\":\"1.09\",\"userIdentity\":{{{caller}}},\"eventTime\":\"{time}\",\"eventSource\":\"{service}.amazonaws.com\",\"eventName\":\"{name}\",\"awsRegion\":\"eu-west-1\",\"sourceIPAddress\":\"198.51.100.{}\",\"userAgent\":\"aws-sdk-go-v2/1.26.0 os/linux lang/go#1.22.1 md/GOOS#linux md/GOARCH#amd64 api/secretsmanager#1.28.4\"{error},\"requestParameters\":{request},\"responseElements\":null,\"requestID\":\"{n:08x}-1111-4222-8333-444455556666\",\"eventID\":\"{n:08x}-aaaa-4bbb-8ccc-ddddeeeeffff\",\"readOnly\":true,\"eventType\":\"AwsApiCall\",\"managementEvent\":true,\"recipientAccountId\":\"111122223333\",\"eventCategory\":\"Management\",\"tlsDetails\":{{\"tlsVersion\":\"TLSv1.3\",\"cipherSuite\":\"TLS_AES_128_GCM_SHA256\",\"clientProvidedHostHeader\":\"{service}.eu-west-1.amazonaws.com\"}}}}",
        who % 250
    )
}

fn call(lot: u64, who: u64, secret: u64) -> (&'static str, &'static str, String, &'static str) {
    let named = format!("{{\"secretId\":\"{}\"}}", arn(secret));
    match lot % 1000 {
        0..8 => (
            "secretsmanager",
            "GetSecretValue",
            named,
            ",\"errorCode\":\"AccessDenied\",\"errorMessage\":\"User is not authorized to perform: secretsmanager:GetSecretValue\"",
        ),
        8..845 => ("secretsmanager", "GetSecretValue", named, ""),
        845..870 => (
            "ssm",
            "GetParameter",
            format!("{{\"name\":\"/prod/app-{who}/db-password\",\"withDecryption\":true}}"),
            "",
        ),
        870..895 => ("secretsmanager", "DescribeSecret", named, ""),
        895..900 => ("secretsmanager", "ListSecrets", "{\"maxResults\":100}".to_owned(), ""),
        900..935 => ("ec2", "DescribeInstances", "{\"filterSet\":{}}".to_owned(), ""),
        935..960 => (
            "sts",
            "AssumeRole",
            format!("{{\"roleArn\":\"arn:aws:iam::111122223333:role/app-{}\"}}", who % 300),
            "",
        ),
        960..985 => {
            ("s3", "GetBucketAcl", format!("{{\"bucketName\":\"data-{}\",\"acl\":\"\"}}", who % 500), "")
        }
        _ => ("iam", "GetRole", format!("{{\"roleName\":\"app-{}\"}}", who % 300), ""),
    }
}

/// SplitMix64 (Steele, Lea, Flood, "Fast Splittable Pseudorandom Number Generators").
const fn mixed(n: u64) -> u64 {
    let z = n.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
