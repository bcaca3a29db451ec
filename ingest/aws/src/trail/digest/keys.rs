//! The public keys AWS signs digests with, by region and fingerprint.

use super::record::Digest;
use crate::access::Way;
use crate::failure::{Failure, Trouble};
use aws_sdk_cloudtrail::config::Region;
use aws_sdk_cloudtrail::primitives::DateTime as Moment;
use std::collections::HashMap;
use tokio::sync::Mutex;

/// Keys that are kept: AWS has one per region and changes it seldom.
const KEYS_MAX: usize = 1_000;
/// Pages that are asked for: one holds every key of an hour.
const PAGES_MAX: usize = 10;

/// Keys that were asked for.
pub(super) struct Keys {
    way: Way,
    known: Mutex<HashMap<(String, String), Vec<u8>>>,
}

impl Keys {
    pub(super) fn new(way: Way) -> Self {
        Self { way, known: Mutex::default() }
    }

    /// The key that signed a digest; `None` when AWS lists no key of that fingerprint for its hour.
    pub(super) async fn of(&self, digest: &Digest, region: &str) -> Result<Option<Vec<u8>>, Failure> {
        let name = (region.to_owned(), digest.digest_public_key_fingerprint.clone());
        let mut known = self.known.lock().await;
        if let Some(key) = known.get(&name) {
            return Ok(Some(key.clone()));
        }
        let found = self.ask(digest, region).await;
        if let Err(failure) = &found
            && failure.trouble == Trouble::Credentials
        {
            self.way.wallet.forget().await;
        }
        if known.len() >= KEYS_MAX {
            known.clear();
        }
        known.extend(found?.into_iter().map(|(fingerprint, key)| ((region.to_owned(), fingerprint), key)));
        Ok(known.get(&name).cloned())
    }

    async fn ask(&self, digest: &Digest, region: &str) -> Result<Vec<(String, Vec<u8>)>, Failure> {
        let config = aws_sdk_cloudtrail::config::Builder::from(&self.way.config)
            .region(Region::new(region.to_owned()))
            .build();
        let client = aws_sdk_cloudtrail::Client::from_conf(config);
        let from = digest.digest_start_time.timestamp();
        let to = digest.end().map_or(from, |end| end.timestamp());
        let (mut found, mut token) = (Vec::new(), None);
        for _ in 0..PAGES_MAX {
            let answer = client
                .list_public_keys()
                .start_time(Moment::from_secs(from))
                .end_time(Moment::from_secs(to))
                .set_next_token(token)
                .send()
                .await
                .map_err(|error| Failure::of(&error))?;
            let keys = answer.public_key_list.unwrap_or_default().into_iter();
            found.extend(keys.filter_map(|key| Some((key.fingerprint?, key.value?.into_inner()))));
            token = answer.next_token.filter(|token| !token.is_empty());
            if token.is_none() {
                break;
            }
        }
        Ok(found)
    }
}

/// What failed and how to mend it.
pub(super) fn explain(region: &str, failure: &Failure) -> String {
    let remedy = match failure.trouble {
        Trouble::Credentials => "give Keywatch credentials that AWS accepts (role, profile or keys)",
        Trouble::Denied => {
            "grant cloudtrail:ListPublicKeys to the identity Keywatch has, or write `digests: ignore`; until then nobody \
             notices when log files are changed"
        }
        Trouble::Missing | Trouble::Throttled | Trouble::Unavailable => {
            "it is tried again; check the network and the endpoint"
        }
    };
    format!("cloudtrail:ListPublicKeys failed in {region}: {}; {}", failure.said, failure.remedy_or(remedy))
}
