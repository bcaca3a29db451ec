//! CloudTrail-shaped events, the same in every run: key order, fields and sizes as in the files
//! CloudTrail delivers, about 1.3 KB each; four in five are reads of a secret, one in a hundred
//! of those is denied, one in ten events is of an unrelated service.

use std::fmt::Write as _;
use std::io::{self, BufWriter, Write};
use std::path::Path;

/// 2026-01-01T00:00:00Z.
const START: i64 = 1_767_225_600;
const SECRETS: u64 = 5_000;
/// Events per compressed file.
const PER_FILE: u64 = 10_000;
const AGENTS: [&str; 4] = [
    "aws-sdk-java/2.25.11 Linux/5.10.214-202.855.amzn2.x86_64 OpenJDK_64-Bit_Server_VM/17.0.10+7-LTS Java/17.0.10 vendor/Amazon.com_Inc. io/sync http/Apache cfg/retry-mode/legacy",
    "Boto3/1.34.69 md/Botocore#1.34.69 ua/2.0 os/linux#6.1.79 md/arch#x86_64 lang/python#3.11.8 md/pyimpl#CPython cfg/retry-mode#legacy Botocore/1.34.69",
    "aws-sdk-go-v2/1.26.0 os/linux lang/go#1.22.1 md/GOOS#linux md/GOARCH#amd64 api/secretsmanager#1.28.4",
    "external-secrets",
];

/// Which events.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Workload {
    /// How many.
    pub(crate) events: u64,
    /// By how many principals.
    pub(crate) principals: u64,
}

impl Workload {
    /// Writes one event per line.
    pub(crate) fn write_lines(self, path: &Path) -> io::Result<()> {
        let mut out = BufWriter::with_capacity(1 << 20, std::fs::File::create(path)?);
        let mut record = String::new();
        for n in 0..self.events {
            record.clear();
            self.event(&mut record, n);
            record.push('\n');
            out.write_all(record.as_bytes())?;
        }
        out.flush()
    }

    /// Writes gzip files as CloudTrail delivers them into `folder`.
    pub(crate) fn write_files(self, folder: &Path) -> io::Result<()> {
        std::fs::create_dir_all(folder)?;
        for file in 0..self.events.div_ceil(PER_FILE) {
            let path = folder.join(format!("trail-{file:05}.json.gz"));
            let mut gzip =
                flate2::write::GzEncoder::new(std::fs::File::create(path)?, flate2::Compression::new(6));
            let mut list = String::from("{\"Records\":[");
            for n in (file * PER_FILE)..self.events.min((file + 1) * PER_FILE) {
                if n % PER_FILE > 0 {
                    list.push(',');
                }
                self.event(&mut list, n);
            }
            list.push_str("]}");
            gzip.write_all(list.as_bytes())?;
            gzip.finish()?;
        }
        Ok(())
    }

    fn event(self, out: &mut String, n: u64) {
        let lot = mixed(n);
        let (who, secret) = (lot % self.principals, (lot >> 20) % SECRETS);
        let at = chrono::DateTime::from_timestamp(START + i64::try_from(n / 6).unwrap_or(0), 0)
            .unwrap_or_default();
        let time = at.format("%Y-%m-%dT%H:%M:%SZ");
        let arn = format!(
            "arn:aws:secretsmanager:eu-west-1:111122223333:secret:prod/service-{secret}/db-password-AbCd{:02}",
            secret % 90 + 10
        );
        let call = Call::of(lot >> 40, &arn, who);
        let agent = AGENTS.get(usize::try_from(who % 4).unwrap_or(0)).copied().unwrap_or_default();
        let mut put = |text: std::fmt::Arguments<'_>| out.write_fmt(text).unwrap_or_default();
        put(format_args!(
            "{{\"eventVersion\":\"1.09\",\"userIdentity\":{{\"type\":\"AssumedRole\",\"principalId\":\"AROAEXAMPLE{who}:i-0{who:016x}\",\"arn\":\"arn:aws:sts::111122223333:assumed-role/svc-{who}/i-0{who:016x}\",\"accountId\":\"111122223333\",\"accessKeyId\":\"ASIAEXAMPLE{who:08}\",\"sessionContext\":{{\"sessionIssuer\":{{\"type\":\"Role\",\"principalId\":\"AROAEXAMPLE{who}\",\"arn\":\"arn:aws:iam::111122223333:role/svc-{who}\",\"accountId\":\"111122223333\",\"userName\":\"svc-{who}\"}},\"webIdFederationData\":{{}},\"attributes\":{{\"creationDate\":\"{time}\",\"mfaAuthenticated\":\"false\"}}}}{}}},",
            call.invoked_by
        ));
        put(format_args!(
            "\"eventTime\":\"{time}\",\"eventSource\":\"{}.amazonaws.com\",\"eventName\":\"{}\",\"awsRegion\":\"eu-west-1\",\"sourceIPAddress\":\"198.51.100.{}\",\"userAgent\":\"{agent}\"{},",
            call.service,
            call.name,
            who % 250,
            call.error
        ));
        put(format_args!(
            "\"requestParameters\":{},\"responseElements\":{},\"requestID\":\"{n:08x}-1111-4222-8333-444455556666\",\"eventID\":\"{n:08x}-aaaa-4bbb-8ccc-ddddeeeeffff\",\"readOnly\":true,\"eventType\":\"AwsApiCall\",\"managementEvent\":true,",
            call.request, call.response
        ));
        put(format_args!(
            "\"recipientAccountId\":\"111122223333\",\"eventCategory\":\"Management\",\"tlsDetails\":{{\"tlsVersion\":\"TLSv1.3\",\"cipherSuite\":\"TLS_AES_128_GCM_SHA256\",\"clientProvidedHostHeader\":\"{}.eu-west-1.amazonaws.com\"}}}}",
            call.service
        ));
    }
}

/// What differs between the kinds of calls.
struct Call {
    service: &'static str,
    name: &'static str,
    request: String,
    response: String,
    error: &'static str,
    invoked_by: &'static str,
}

impl Call {
    fn of(lot: u64, arn: &str, who: u64) -> Self {
        let plain = |service, name, request| Self {
            service,
            name,
            request,
            response: "null".to_owned(),
            error: "",
            invoked_by: "",
        };
        let secret = format!("{{\"secretId\":\"{arn}\"}}");
        match lot % 1000 {
            0..10 => Self {
                error: ",\"errorCode\":\"AccessDenied\",\"errorMessage\":\"User is not authorized to perform: secretsmanager:GetSecretValue because no identity-based policy allows the action\"",
                ..plain("secretsmanager", "GetSecretValue", secret)
            },
            10..810 => plain("secretsmanager", "GetSecretValue", secret),
            810..845 => Self {
                invoked_by: ",\"invokedBy\":\"secretsmanager.amazonaws.com\"",
                ..plain(
                    "kms",
                    "Decrypt",
                    format!(
                        "{{\"encryptionContext\":{{\"SecretARN\":\"{arn}\"}},\"encryptionAlgorithm\":\"SYMMETRIC_DEFAULT\"}}"
                    ),
                )
            },
            845..870 => plain(
                "ssm",
                "GetParameter",
                format!("{{\"name\":\"/prod/app-{who}/db-password\",\"withDecryption\":true}}"),
            ),
            870..895 => plain("secretsmanager", "DescribeSecret", secret),
            895..900 => plain("secretsmanager", "ListSecrets", "{\"maxResults\":100}".to_owned()),
            900..935 => plain(
                "ec2",
                "DescribeInstances",
                format!(
                    "{{\"instancesSet\":{{\"items\":[{{\"instanceId\":\"i-0{who:016x}\"}}]}},\"filterSet\":{{}}}}"
                ),
            ),
            935..960 => Self {
                response: format!(
                    "{{\"credentials\":{{\"accessKeyId\":\"ASIAEXAMPLE{who}\",\"sessionToken\":\"{}==\"}}}}",
                    "IQoJb3JpZ2luX2Vj".repeat(48)
                ),
                ..plain(
                    "sts",
                    "AssumeRole",
                    format!(
                        "{{\"roleArn\":\"arn:aws:iam::111122223333:role/app-{}\",\"durationSeconds\":3600}}",
                        who % 300
                    ),
                )
            },
            960..985 => {
                plain("s3", "GetBucketAcl", format!("{{\"bucketName\":\"data-{}\",\"acl\":\"\"}}", who % 500))
            }
            _ => plain("iam", "GetRole", format!("{{\"roleName\":\"app-{}\"}}", who % 300)),
        }
    }
}

/// SplitMix64 (Steele, Lea, Flood, "Fast Splittable Pseudorandom Number Generators").
const fn mixed(n: u64) -> u64 {
    let z = n.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
