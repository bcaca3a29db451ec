//! Google Cloud as a source: Cloud Logging, a sink's subscription, and a sink's bucket.

use super::days::{check_days, day_of};
use crate::config::frame::{At, Origin, Problems, days, default, hours, mins, need, secs, section};
use chrono::TimeDelta;
use keywatch_gcp::{Access, logging, pubsub};
use keywatch_objects::{Naming, Settings};
use keywatch_secrets::SecretRef;
use std::time::Duration;
use url::{Host, Url};

section! {
    /// Who Keywatch is to Google Cloud. Without it: the application default credentials.
    pub(crate) struct GcpAccess {
        /// Where the JSON of a service account's key or of a workload identity federation lies.
        credentials: Option<SecretRef>,
        /// The service account to impersonate with those credentials.
        impersonate: Option<At<String>>,
        /// The project whose quota is used, when it is not that of the credentials.
        quota_project: Option<String>,
        /// Another address for every Google service this source talks to, such as one of Private
        /// Service Connect. Without TLS on this machine only.
        endpoint: Option<At<Url>>,
        /// Whether to send no credentials at all, as servers that only play Google want it.
        anonymous: bool = default("false"),
    }
    check: check_access;
}

section! {
    /// Cloud Logging's `entries.list`: what log buckets keep, without a sink, sixty requests a minute
    /// for everybody. See docs/sources/gcp.md.
    pub(crate) struct GcpLogging {
        /// Whose entries, each asked on its own: projects/P, folders/F, organizations/O,
        /// billingAccounts/B, or a view of a log bucket below one of these.
        resources: Vec<At<String>>,
        /// Which entries, in Logging's query language. Without it: audit logs of Secret Manager, KMS,
        /// IAM, STS, Resource Manager, Logging and sign-ins.
        filter: Option<At<String>>,
        /// How much history is read on the first start.
        backfill: Duration [secs(0)..=days(400)] = default("30d"),
        /// How long to rest between two sweeps.
        poll: Duration [secs(1)..=hours(1)] = default("1m"),
        /// Who Keywatch is to Google Cloud.
        access: GcpAccess,
    }
    check: check_logging;
}

section! {
    /// The Pub/Sub subscription of a log sink. See docs/sources/gcp.md.
    pub(crate) struct GcpPubsub {
        /// The subscription: projects/P/subscriptions/S.
        subscription: At<String> = need("write projects/PROJECT/subscriptions/NAME"),
        /// Messages that wait for their commit at once.
        outstanding: u64 [1..=100_000] = default("10000"),
        /// How far leases of messages are extended at a time. After a crash they come again so much
        /// later.
        lease: Duration [secs(10)..=mins(10)] = default("1m"),
        /// Who Keywatch is to Google Cloud.
        access: GcpAccess,
    }
    check: check_pubsub;
}

section! {
    /// The bucket of Cloud Storage that a log sink writes to. See docs/sources/gcp.md.
    pub(crate) struct GcpObjects {
        /// The bucket.
        bucket: At<String> = need("name the sink's bucket"),
        /// What the objects' names begin with, above the year: everything, or one log.
        prefix: Option<String>,
        /// How much history is read on the first start, when `from` is absent.
        backfill: Duration [hours(0)..=days(3660)] = default("7d"),
        /// The first day that is read. A day earlier than before reads on from there.
        from: Option<At<String>>,
        /// The last day that is read. Without it: no end.
        to: Option<At<String>>,
        /// How long after the end of a day something may still be written into it.
        late: Duration [hours(1)..=days(31)] = default("3d"),
        /// How long to rest between two looks.
        poll: Duration [secs(1)..=hours(1)] = default("5m"),
        /// Who Keywatch is to Google Cloud.
        access: GcpAccess,
    }
    check: check_objects;
}

fn check_access(access: &GcpAccess, at: &Origin, problems: &Problems) {
    if access.anonymous && (access.credentials.is_some() || access.impersonate.is_some()) {
        problems.add(at, "`anonymous` stands beside credentials", "keep one of them");
    }
    if let Some(principal) = access.impersonate.as_ref().filter(|principal| !principal.value.contains('@')) {
        let message = format!("`{}` is no service account", principal.value);
        problems.add(&principal.origin, message, "write NAME@PROJECT.iam.gserviceaccount.com");
    }
    if let Some(endpoint) = access.endpoint.as_ref().filter(|endpoint| !is_private(&endpoint.value)) {
        let message = format!("`{}` would send credentials and records in clear", endpoint.value);
        problems.add(&endpoint.origin, message, "write https://…");
    }
}

/// Whether nobody on the way can read along.
pub(super) fn is_private(url: &Url) -> bool {
    let is_here = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    url.scheme() == "https" || (url.scheme() == "http" && is_here)
}

fn check_logging(logging: &GcpLogging, at: &Origin, problems: &Problems) {
    if logging.resources.is_empty() {
        problems.add(at, "`resources` is empty", "list them, such as [projects/my-project]");
    }
    for resource in logging.resources.iter().filter(|resource| !is_resource(&resource.value)) {
        let message = format!("`{}` is no resource with logs", resource.value);
        let remedy = "write projects/ID, folders/NUMBER, organizations/NUMBER, billingAccounts/ID, or one of them with /locations/L/buckets/B/views/V";
        problems.add(&resource.origin, message, remedy);
    }
    if let Some(filter) = logging.filter.as_ref().filter(|filter| filter.value.len() > 15_000) {
        problems.add(
            &filter.origin,
            "the filter is longer than Logging takes",
            "write at most 15000 characters",
        );
    }
}

fn is_resource(text: &str) -> bool {
    let parts: Vec<&str> = text.split('/').collect();
    let is_whole = parts.iter().all(|part| !part.is_empty());
    let is_place = matches!(parts.as_slice(), [_, _] | [_, _, "locations", _, "buckets", _, "views", _]);
    let kind = parts.first().copied().unwrap_or_default();
    is_whole && is_place && matches!(kind, "projects" | "folders" | "organizations" | "billingAccounts")
}

fn check_pubsub(pubsub: &GcpPubsub, _at: &Origin, problems: &Problems) {
    let parts: Vec<&str> = pubsub.subscription.value.split('/').collect();
    let is_name = matches!(parts.as_slice(), ["projects", project, "subscriptions", name]
        if !project.is_empty() && !name.is_empty());
    if !is_name {
        let message = format!("`{}` is no subscription", pubsub.subscription.value);
        problems.add(&pubsub.subscription.origin, message, "write projects/PROJECT/subscriptions/NAME");
    }
}

fn check_objects(objects: &GcpObjects, _at: &Origin, problems: &Problems) {
    if !is_bucket(&objects.bucket.value) {
        let message = format!("`{}` is no bucket", objects.bucket.value);
        problems.add(&objects.bucket.origin, message, "write its name alone, without gs:// and folders");
    }
    check_days(objects.from.as_ref(), objects.to.as_ref(), problems);
}

/// <https://cloud.google.com/storage/docs/buckets#naming>
fn is_bucket(name: &str) -> bool {
    let is_fine = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_.".contains(&byte);
    (3..=222).contains(&name.len()) && name.bytes().all(is_fine)
}

impl GcpAccess {
    fn meaning(&self) -> Access {
        let endpoint = self.endpoint.as_ref();
        Access {
            credentials: self.credentials.clone(),
            impersonate: self.impersonate.as_ref().map(|principal| principal.value.clone()),
            quota_project: self.quota_project.clone(),
            endpoint: endpoint.map(|url| url.value.as_str().trim_end_matches('/').to_owned()),
            anonymous: self.anonymous,
            issuer: None,
        }
    }
}

impl GcpLogging {
    /// What was written, as the source takes it.
    pub(crate) fn meaning(&self) -> (Access, logging::Settings) {
        let resources = self.resources.iter().map(|resource| resource.value.clone()).collect();
        let usual = logging::Settings::new(resources);
        let settings = logging::Settings {
            filter: self.filter.as_ref().map_or(usual.filter, |filter| filter.value.clone()),
            backfill: chrono::TimeDelta::from_std(self.backfill).unwrap_or(usual.backfill),
            poll: self.poll,
            ..usual
        };
        (self.access.meaning(), settings)
    }
}

impl GcpObjects {
    /// What was written, as the source takes it: the bucket, and how it is read.
    pub(crate) fn meaning(&self) -> (String, Access, Settings) {
        let usual = Settings::new(Naming::LogSink);
        let settings = Settings {
            prefix: self.prefix.clone().unwrap_or_default(),
            backfill: TimeDelta::from_std(self.backfill).unwrap_or(usual.backfill),
            from: self.from.as_ref().and_then(day_of),
            to: self.to.as_ref().and_then(day_of),
            late: TimeDelta::from_std(self.late).unwrap_or(usual.late),
            poll: self.poll,
            ..usual
        };
        (self.bucket.value.clone(), self.access.meaning(), settings)
    }
}

impl GcpPubsub {
    /// What was written, as the source takes it.
    pub(crate) fn meaning(&self) -> (Access, pubsub::Settings) {
        let settings = pubsub::Settings {
            outstanding: u32::try_from(self.outstanding).unwrap_or(u32::MAX),
            lease: self.lease,
            ..pubsub::Settings::new(&self.subscription.value)
        };
        (self.access.meaning(), settings)
    }
}

#[cfg(test)]
mod tests {
    use crate::config::testing::check_source as check;

    #[test]
    fn google_sources_are_read_and_their_mistakes_named() {
        check(
            "gcp_logging: {resources: [projects/p, organizations/1/locations/global/buckets/b/views/v]}",
            &[],
        );
        check("gcp_pubsub: {subscription: projects/p/subscriptions/keywatch}", &[]);
        check("gcp_logging: {}", &["`resources` is empty; list them, such as [projects/my-project]"]);
        check(
            "gcp_logging: {resources: [my-project]}",
            &[
                "`my-project` is no resource with logs; write projects/ID, folders/NUMBER, organizations/NUMBER, billingAccounts/ID, or one of them with /locations/L/buckets/B/views/V",
            ],
        );
        check("gcp_objects: {bucket: my-logs, from: \"2026-09-01\", to: \"2026-09-30\", late: 2d}", &[]);
        check(
            "gcp_objects: {bucket: \"gs://my-logs\", from: \"yesterday\"}",
            &[
                "`gs://my-logs` is no bucket; write its name alone, without gs:// and folders",
                "`yesterday` is no day; write it as 2026-09-01",
            ],
        );
        check(
            "gcp_pubsub: {subscription: keywatch}",
            &["`keywatch` is no subscription; write projects/PROJECT/subscriptions/NAME"],
        );
    }

    #[test]
    fn nothing_is_sent_in_clear_but_to_this_machine() {
        let with = |access: &str| {
            format!("gcp_pubsub: {{subscription: projects/p/subscriptions/s, access: {access}}}")
        };
        check(&with("{endpoint: \"http://127.0.0.1:8085\", anonymous: true}"), &[]);
        check(&with("{endpoint: \"https://pubsub.example.com\"}"), &[]);
        check(
            &with("{endpoint: \"http://10.0.0.1:8085\"}"),
            &["`http://10.0.0.1:8085/` would send credentials and records in clear; write https://…"],
        );
        check(
            &with("{impersonate: keywatch}"),
            &["`keywatch` is no service account; write NAME@PROJECT.iam.gserviceaccount.com"],
        );
        check(
            &with("{anonymous: true, credentials: \"env:KEY\"}"),
            &["`anonymous` stands beside credentials; keep one of them"],
        );
    }
}
