//! Audit records written by the tests.

/// 2026-06-01T00:00:00Z.
pub(crate) const START: i64 = 1_780_272_000;

/// A Vault response line: `who` makes the call, such as `read secret/data/db`; `error` when it was
/// refused.
pub(crate) fn vault_line(n: u64, secs: i64, who: &str, call: &str, error: Option<&str>) -> String {
    let (operation, path) = call.split_once(' ').expect("an operation and a path");
    let time =
        chrono::DateTime::from_timestamp(START + secs, 0).expect("a time").format("%Y-%m-%dT%H:%M:%SZ");
    let (error, data) = match error {
        Some(text) => (format!(",\"error\":\"{text}\""), String::new()),
        None => (String::new(), ",\"data\":{\"data\":{\"k\":\"hmac-sha256:00\"}}".to_owned()),
    };
    format!(
        "{{\"time\":\"{time}\",\"type\":\"response\",\"auth\":{{\"display_name\":\"{who}\",\"entity_id\":\"entity-{who}\",\"policies\":[\"app\"],\"token_type\":\"service\"}},\
         \"request\":{{\"id\":\"req-{n}\",\"operation\":\"{operation}\",\"mount_type\":\"kv\",\"mount_point\":\"secret/\",\"path\":\"{path}\",\"remote_address\":\"10.0.0.{}\"}},\
         \"response\":{{\"mount_type\":\"kv\"{data}}}{error}}}\n",
        n % 200
    )
}

/// A stream of Vault lines in which reads are denied and secrets deleted now and then.
pub(crate) fn vault_stream(from: u64, count: u64) -> String {
    let line = |n: u64| {
        let secs = i64::try_from(n).expect("small") * 97;
        let who = format!("app{}", n % 5);
        match n % 23 {
            3 | 7 | 11 => vault_line(
                n,
                secs,
                "intruder",
                &format!("read secret/data/s{}", n % 40),
                Some("permission denied"),
            ),
            20 => vault_line(n, secs, &who, &format!("delete secret/data/s{}", n % 40), None),
            _ => vault_line(n, secs, &who, &format!("read secret/data/s{}", n % 40), None),
        }
    };
    (from..from + count).map(line).collect()
}

/// A `CloudTrail` record of a secret read.
pub(crate) fn aws_read(n: u64) -> String {
    format!(
        "{{\"eventVersion\":\"1.08\",\"userIdentity\":{{\"type\":\"IAMUser\",\"principalId\":\"AIDAEXAMPLE\",\"arn\":\"arn:aws:iam::111122223333:user/ada\",\"accountId\":\"111122223333\",\"userName\":\"ada\"}},\
         \"eventTime\":\"2026-06-01T00:00:{:02}Z\",\"eventSource\":\"secretsmanager.amazonaws.com\",\"eventName\":\"GetSecretValue\",\"awsRegion\":\"eu-west-1\",\"sourceIPAddress\":\"203.0.113.9\",\
         \"userAgent\":\"aws-cli/2.15\",\"requestParameters\":{{\"secretId\":\"prod/db\"}},\"responseElements\":null,\"eventID\":\"event-{n}\",\"eventType\":\"AwsApiCall\",\"recipientAccountId\":\"111122223333\"}}",
        n % 60
    )
}
