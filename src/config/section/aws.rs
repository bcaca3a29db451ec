//! AWS as a source: queues that tell of a trail's objects or carry events, and LookupEvents.

use super::days::{check_days, day_of};
use crate::config::frame::{At, Origin, Problems, choice, days, default, hours, need, secs, section};
use keywatch_aws::{Access, Keys, Role, lookup, trail};
use keywatch_secrets::SecretRef;
use std::time::Duration;
use url::Url;

section! {
    /// Who Keywatch is to AWS. Without it: the usual chain of the environment, the shared files,
    /// the container and the instance.
    pub(crate) struct AwsAccess {
        /// A profile of the shared configuration files.
        profile: Option<String>,
        /// Keys of an IAM user, each a reference to a secret.
        access_key: Option<AwsKey>,
        /// A role to take on with those credentials.
        role: Option<AwsRole>,
        /// Another address for every AWS service this source talks to: a compatible service.
        endpoint: Option<Url>,
    }
    check: check_access;
}

section! {
    /// Keys of an IAM user.
    pub(crate) struct AwsKey {
        /// Where the access key's id lies.
        id: SecretRef = need("write `{source: env, path: NAME}` or `{source: file, path: …}`"),
        /// Where the secret access key lies.
        secret: SecretRef = need("write `{source: env, path: NAME}` or `{source: file, path: …}`"),
    }
}

section! {
    /// A role to take on (`sts:AssumeRole`).
    pub(crate) struct AwsRole {
        /// Its ARN.
        arn: At<String> = need("write arn:aws:iam::ACCOUNT:role/NAME"),
        /// What the role's trust policy asks for when the role belongs to somebody else.
        external_id: Option<String>,
    }
    check: check_role;
}

choice! {
    /// What the messages of a queue are.
    pub(crate) enum AwsCarries {
        /// Notices of objects in a bucket.
        Objects = "objects",
        /// Events themselves, from EventBridge.
        Events = "events",
    }
}

choice! {
    /// What becomes of CloudTrail's digest files.
    pub(crate) enum AwsDigests {
        /// Each is verified: signature, chain, and the log files it names.
        Verify = "verify",
        /// They are passed over.
        Ignore = "ignore",
    }
}

section! {
    /// An SQS queue that hears of a trail's objects in S3 (through SNS, S3 notifications or
    /// EventBridge), or carries events itself. See docs/sources/aws.md.
    pub(crate) struct AwsQueue {
        /// The queue's URL.
        url: At<Url> = need("write the queue's URL: https://sqs.REGION.amazonaws.com/ACCOUNT/NAME"),
        /// The queue's region; read from its URL unless told.
        region: Option<String>,
        /// What its messages are: `objects` to fetch from a bucket, or `events` from EventBridge.
        carries: AwsCarries = default("objects"),
        /// The only buckets that are read from. Without it: any bucket a message names and the
        /// credentials open.
        buckets: Vec<String>,
        /// The buckets' region, when it is not the queue's.
        bucket_region: Option<String>,
        /// What becomes of CloudTrail's digest files, when the queue hears of them or a backfill
        /// meets them.
        digests: AwsDigests = default("verify"),
        /// Tries after which a message is left to the queue's dead-letter queue.
        tries: u64 [1..=100] = default("5"),
        /// How long messages in hand stay invisible before that is renewed.
        visibility: Duration [secs(30)..=hours(11)] = default("5m"),
        /// Old objects to read from the bucket.
        backfill: Option<AwsBackfill>,
        /// Who Keywatch is to AWS.
        access: AwsAccess,
    }
    check: check_queue;
}

section! {
    /// Old objects of a trail, read once, day by day.
    pub(crate) struct AwsBackfill {
        /// The bucket they lie in.
        bucket: String = need("name the trail's bucket"),
        /// What their keys begin with, above the year.
        prefix: String = default("AWSLogs/"),
        /// First day.
        from: At<String> = need("write the first day: 2026-09-01"),
        /// Last day; today unless told.
        to: Option<At<String>>,
    }
    check: check_backfill;
}

section! {
    /// CloudTrail's LookupEvents: management events of the last 90 days, without a trail of one's
    /// own, at most 100 events per second, account and region. See docs/sources/aws.md.
    pub(crate) struct AwsLookup {
        /// Regions to ask. Global services (IAM, STS without a region) are told of in us-east-1.
        regions: Vec<At<String>> = need("list the regions, such as [eu-central-1, us-east-1]"),
        /// Accounts to ask, each by a role there, taken on with what `access` gives: its role included.
        /// Without it: the account of the credentials.
        accounts: Vec<AwsRole>,
        /// Event sources to ask for, one query each, when all events are too many.
        event_sources: Vec<String>,
        /// How much history is read on the first start.
        backfill: Duration [secs(0)..=days(90)] = default("90d"),
        /// How long to rest between two sweeps.
        poll: Duration [secs(1)..=hours(1)] = default("1m"),
        /// Who Keywatch is to AWS.
        access: AwsAccess,
    }
    check: check_lookup;
}

fn check_access(access: &AwsAccess, at: &Origin, problems: &Problems) {
    if access.profile.is_some() && access.access_key.is_some() {
        problems.add(at, "`profile` and `access_key` stand side by side", "keep one of them");
    }
}

fn check_role(role: &AwsRole, _at: &Origin, problems: &Problems) {
    let parts: Vec<&str> = role.arn.value.splitn(6, ':').collect();
    let is_role = matches!(parts.as_slice(), ["arn", _, "iam", "", account, name]
        if account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit()) && name.starts_with("role/"));
    if !is_role {
        let message = format!("`{}` is no ARN of a role", role.arn.value);
        problems.add(&role.arn.origin, message, "write arn:aws:iam::ACCOUNT:role/NAME");
    }
}

fn check_queue(queue: &AwsQueue, _at: &Origin, problems: &Problems) {
    if queue.region.is_none() && queue.access.endpoint.is_none() && region_of(&queue.url.value).is_none() {
        let remedy = "write `region`, or the URL as https://sqs.REGION.amazonaws.com/ACCOUNT/NAME";
        problems.add(&queue.url.origin, "the URL does not say in which region the queue is", remedy);
    }
}

fn check_backfill(backfill: &AwsBackfill, _at: &Origin, problems: &Problems) {
    check_days(Some(&backfill.from), backfill.to.as_ref(), problems);
}

fn check_lookup(lookup: &AwsLookup, at: &Origin, problems: &Problems) {
    if lookup.regions.is_empty() {
        problems.add(at, "`regions` is empty", "list the regions, such as [eu-central-1, us-east-1]");
    }
    let is_region = |text: &str| {
        text.contains('-')
            && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    };
    for region in lookup.regions.iter().filter(|region| !is_region(&region.value)) {
        problems.add(&region.origin, format!("`{}` is no region", region.value), "write it as eu-central-1");
    }
}

/// `https://sqs.REGION.amazonaws.com/…`, or the older `https://REGION.queue.amazonaws.com/…`.
fn region_of(url: &Url) -> Option<String> {
    let labels: Vec<&str> = url.host_str()?.split('.').collect();
    match labels.as_slice() {
        ["sqs", region, "amazonaws", ..] | [region, "queue", "amazonaws", ..] => Some((*region).to_owned()),
        _ => None,
    }
}

impl AwsAccess {
    fn meaning(&self, region: Option<String>) -> Access {
        let endpoint = self.endpoint.as_ref().map(|url| url.as_str().trim_end_matches('/').to_owned());
        let keys = self.access_key.clone().map(|key| Keys { id: key.id, secret: key.secret });
        Access {
            region,
            endpoint,
            profile: self.profile.clone(),
            keys,
            roles: self.role.iter().map(AwsRole::meaning).collect(),
        }
    }
}

impl AwsRole {
    fn meaning(&self) -> Role {
        Role { arn: self.arn.value.clone(), external_id: self.external_id.clone() }
    }
}

impl AwsQueue {
    /// What was written, as the source takes it.
    pub(crate) fn meaning(&self) -> (Access, trail::Settings) {
        let own = self.access.endpoint.as_ref().map(|_| "us-east-1".to_owned());
        let region = self.region.clone().or_else(|| region_of(&self.url.value)).or(own);
        let backfill = self.backfill.as_ref().and_then(|backfill| {
            Some(trail::Backfill {
                bucket: backfill.bucket.clone(),
                prefix: backfill.prefix.clone(),
                from: day_of(&backfill.from)?,
                to: backfill.to.as_ref().and_then(day_of),
            })
        });
        let settings = trail::Settings {
            carries: match self.carries {
                AwsCarries::Objects => trail::Carries::Objects,
                AwsCarries::Events => trail::Carries::Events,
            },
            buckets: self.buckets.clone(),
            digests: match self.digests {
                AwsDigests::Verify => true,
                AwsDigests::Ignore => false,
            },
            bucket_region: self.bucket_region.clone(),
            tries_max: u32::try_from(self.tries).unwrap_or(u32::MAX),
            visibility: self.visibility,
            backfill,
            ..trail::Settings::new(self.url.value.as_str())
        };
        (self.access.meaning(region), settings)
    }
}

impl AwsLookup {
    /// What was written, as the source takes it.
    pub(crate) fn meaning(&self) -> (Access, lookup::Settings) {
        let regions: Vec<String> = self.regions.iter().map(|region| region.value.clone()).collect();
        let settings = lookup::Settings {
            roles: self.accounts.iter().map(AwsRole::meaning).collect(),
            event_sources: self.event_sources.clone(),
            backfill: chrono::TimeDelta::from_std(self.backfill)
                .unwrap_or(chrono::TimeDelta::days(lookup::DAYS_MAX)),
            poll: self.poll,
            ..lookup::Settings::new(regions.clone())
        };
        (self.access.meaning(regions.into_iter().next()), settings)
    }
}

#[cfg(test)]
mod tests {
    use crate::config::testing::check_source as check;

    #[test]
    fn aws_sources_are_read_and_their_mistakes_named() {
        check("aws_queue: {url: \"https://sqs.eu-central-1.amazonaws.com/1/k\"}", &[]);
        check("aws_lookup: {regions: [eu-central-1, us-gov-west-1], backfill: 30d}", &[]);
        check(
            "aws_queue: {url: \"https://queue.example.com/1/k\"}",
            &[
                "the URL does not say in which region the queue is; write `region`, or the URL as https://sqs.REGION.amazonaws.com/ACCOUNT/NAME",
            ],
        );
        check("aws_lookup: {regions: [Frankfurt]}", &["`Frankfurt` is no region; write it as eu-central-1"]);
        check(
            "aws_lookup: {regions: [eu-central-1], accounts: [{arn: \"arn:aws:iam::1:user/x\"}]}",
            &["`arn:aws:iam::1:user/x` is no ARN of a role; write arn:aws:iam::ACCOUNT:role/NAME"],
        );
        check(
            "aws_queue: {url: \"https://sqs.eu-central-1.amazonaws.com/1/k\", backfill: {bucket: b, from: \"2026-09-02\", to: \"2026-09-01\"}}",
            &["`from` is after `to`; exchange them"],
        );
    }
}
