//! What a digest file says, and to which chain it belongs.
//!
//! docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-log-file-validation-digest-file-structure.html

use crate::trail::notice::ObjectName;
use chrono::{DateTime, Utc};
use serde::Deserialize;

/// CloudTrail's record of the files it delivered within an hour.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_field_names, reason = "CloudTrail's own names")]
pub(super) struct Digest {
    pub(super) digest_start_time: DateTime<Utc>,
    /// As it is written: it is signed.
    pub(super) digest_end_time: String,
    pub(super) digest_s3_bucket: String,
    pub(super) digest_s3_object: String,
    pub(super) digest_public_key_fingerprint: String,
    previous_digest_s3_bucket: Option<String>,
    previous_digest_s3_object: Option<String>,
    pub(super) previous_digest_hash_value: Option<String>,
    pub(super) previous_digest_signature: Option<String>,
    #[serde(default)]
    pub(super) log_files: Vec<LogFile>,
}

/// One file among them.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct LogFile {
    s3_bucket: String,
    s3_object: String,
    /// SHA-256 of its uncompressed content, hexadecimal.
    pub(super) hash_value: String,
}

impl LogFile {
    pub(super) fn object(&self) -> ObjectName {
        ObjectName { bucket: self.s3_bucket.clone(), key: self.s3_object.clone() }
    }
}

impl Digest {
    pub(super) fn object(&self) -> ObjectName {
        ObjectName { bucket: self.digest_s3_bucket.clone(), key: self.digest_s3_object.clone() }
    }

    /// The digest before it; none when a chain begins here.
    pub(super) fn previous(&self) -> Option<ObjectName> {
        let (bucket, key) =
            (self.previous_digest_s3_bucket.clone()?, self.previous_digest_s3_object.clone()?);
        Some(ObjectName { bucket, key })
    }

    /// The end of its hour.
    pub(super) fn end(&self) -> Option<DateTime<Utc>> {
        DateTime::parse_from_rfc3339(&self.digest_end_time).ok().map(|end| end.to_utc())
    }
}

/// Whether a key is that of a digest file.
pub(in crate::trail) fn is_digest(key: &str) -> bool {
    key.contains("/CloudTrail-Digest/")
}

/// The chain a digest belongs to: account, region and trail, as its name has them, and its bucket.
pub(super) fn chain_of(object: &ObjectName) -> Option<String> {
    let name = object.key.rsplit('/').next()?;
    let (chain, _time) = name.rsplit_once('_')?;
    Some(format!("{}/{chain}", object.bucket))
}

/// The region whose key signed it.
pub(super) fn region_of(key: &str) -> Option<&str> {
    key.split("/CloudTrail-Digest/").nth(1)?.split('/').next().filter(|region| !region.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_chain_and_region() {
        let key = "AWSLogs/111122223333/CloudTrail-Digest/us-east-2/2015/08/17/111122223333_CloudTrail-Digest_us-east-2_my_trail_us-east-1_20150817T150131Z.json.gz";
        let object = ObjectName { bucket: "b".to_owned(), key: key.to_owned() };
        assert!(is_digest(key));
        assert_eq!(region_of(key), Some("us-east-2"));
        assert_eq!(
            chain_of(&object).as_deref(),
            Some("b/111122223333_CloudTrail-Digest_us-east-2_my_trail_us-east-1")
        );
    }
}
