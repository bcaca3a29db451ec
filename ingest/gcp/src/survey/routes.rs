//! Where entries go: sinks, what they leave out, the log bucket, the subscription.
//! <https://cloud.google.com/logging/docs/routing/overview>

use super::client::{Client, Service};
use keywatch_ingest::survey::Answer;
use serde::Deserialize;

/// Most pages of sinks that are read: a resource may have 200 sinks
/// (<https://cloud.google.com/logging/quotas>), a page has at least 50.
const PAGES_MAX: usize = 8;

/// A sink.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Sink {
    /// Its name.
    pub name: String,
    /// Where it sends to: `pubsub.googleapis.com/projects/P/topics/T`.
    pub destination: String,
    /// Which entries, in Logging's query language; all when empty.
    pub filter: String,
    /// Which of those not.
    pub exclusions: Vec<Exclusion>,
    /// Whether it is switched off.
    pub disabled: bool,
    /// Whether it takes the entries of what is below its folder or organisation.
    pub include_children: bool,
}

/// What a sink leaves out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Exclusion {
    /// Its name.
    pub name: String,
    /// Which entries.
    pub filter: String,
    /// Whether it is switched off.
    pub disabled: bool,
}

/// A subscription.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubscriptionFacts {
    /// Its topic: `projects/P/topics/T`.
    pub topic: String,
    /// Seconds a message is kept that nobody acknowledges.
    pub retention_secs: u64,
    /// Whether it goes when nobody pulls it for a while.
    pub expires: bool,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Sinks {
    sinks: Vec<Sink>,
    next_page_token: String,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Bucket {
    retention_days: u32,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Subscription {
    topic: String,
    message_retention_duration: String,
    expiration_policy: Option<Expiration>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Expiration {
    ttl: String,
}

/// A subscription keeps messages for seven days unless told.
const RETENTION_SECS: u64 = 7 * 24 * 3600;

/// The sinks of one resource.
pub(super) async fn sinks(client: &Client, resource: &str) -> Answer<Vec<Sink>> {
    let mut sinks = Vec::new();
    let mut token = String::new();
    for _page in 0..PAGES_MAX {
        let path = format!("v2/{resource}/sinks?pageSize=100&pageToken={}", escaped(&token));
        let needs = format!("logging.sinks.list on {resource}");
        let page: Sinks = client.get(Service::Logging, &path, &needs).await?;
        sinks.extend(page.sinks);
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    Ok(sinks)
}

/// Days the log bucket `_Default` keeps entries; 30 unless told.
pub(super) async fn retention(client: &Client, resource: &str) -> Answer<u32> {
    let path = format!("v2/{resource}/locations/global/buckets/_Default");
    let needs = format!("logging.buckets.get on {resource}");
    let bucket: Bucket = client.get(Service::Logging, &path, &needs).await?;
    Ok(if bucket.retention_days == 0 { 30 } else { bucket.retention_days })
}

/// A subscription, by its whole name.
pub(super) async fn subscription(client: &Client, name: &str) -> Answer<SubscriptionFacts> {
    let needs = format!("pubsub.subscriptions.get on {name}");
    let found: Subscription = client.get(Service::PubSub, &format!("v1/{name}"), &needs).await?;
    let retention = found
        .message_retention_duration
        .trim_end_matches('s')
        .split('.')
        .next()
        .and_then(|secs| secs.parse().ok());
    Ok(SubscriptionFacts {
        topic: found.topic,
        retention_secs: retention.unwrap_or(RETENTION_SECS),
        // Without a policy it goes after 31 days; with an empty one never.
        expires: found.expiration_policy.is_none_or(|policy| !policy.ttl.is_empty()),
    })
}

/// A token as part of a query: what is neither letter nor digit as `%XX`.
fn escaped(token: &str) -> String {
    let one = |byte: u8| {
        if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") }
    };
    token.bytes().map(one).collect()
}
