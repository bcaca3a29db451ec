//! What is published to CloudWatch, and the alarm over it.

use crate::config::frame::{At, Origin, Problems, default, mins, need, secs, section};
use std::time::Duration;

section! {
    /// The counts that go to Amazon CloudWatch, and the alarm over them. Credentials are those the
    /// AWS SDK finds: environment, profile, web identity, container or instance role.
    pub(crate) struct CloudWatch {
        /// The namespace of the metrics.
        namespace: String = default("MyApp/Security"),
        /// The region; without it, what `AWS_REGION` or the profile says.
        region: Option<String>,
        /// Another address than AWS's own, such as an interface endpoint.
        endpoint: Option<String>,
        /// Most rules that get a metric of their own; the others share `other`. Every metric costs.
        rules_max: usize [0..=500] = default("50"),
        /// The alarm that `keywatch cloudwatch apply` makes.
        alarm: Option<AlarmSection>,
    }
    check: check;
}

section! {
    /// The alarm over `SecretAccessCount`.
    pub(crate) struct AlarmSection {
        /// Its name.
        name: String = default("SecretAccessAnomaly"),
        /// The SNS topic that is told, as ARN.
        topic: At<String> = need("write the ARN of an SNS topic"),
        /// Over how long accesses are added up: a multiple of a minute.
        period: Duration [secs(60)..=mins(1440)] = default("5m"),
        /// The number of accesses above which it is raised.
        threshold: u64 [1..=1_000_000_000] = default("100"),
    }
    check: check_alarm;
}

/// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricData.html>: 1 to
/// 255 characters, not beginning with `AWS/` or a colon.
fn check(cloudwatch: &CloudWatch, at: &Origin, problems: &Problems) {
    let namespace = &cloudwatch.namespace;
    let is_letter = |c: char| c.is_ascii_alphanumeric() || "._-/#: ".contains(c);
    let is_fine = (1..=255).contains(&namespace.len()) && namespace.chars().all(is_letter);
    if !is_fine || namespace.starts_with("AWS/") || namespace.starts_with(':') {
        let message = format!("`{namespace}` is no namespace of CloudWatch");
        problems.add(at, message, "use up to 255 letters, digits and . _ - / #, and do not begin with AWS/");
    }
}

fn check_alarm(alarm: &AlarmSection, at: &Origin, problems: &Problems) {
    let topic = &alarm.topic;
    if !(topic.value.starts_with("arn:") && topic.value.contains(":sns:")) {
        let message = format!("`{}` is no ARN of an SNS topic", topic.value);
        problems.add(&topic.origin, message, "write it as arn:aws:sns:eu-west-1:111122223333:security");
    }
    if !alarm.period.as_secs().is_multiple_of(60) {
        problems.add(at, "the period is no multiple of a minute", "write 1m, 5m, 1h …");
    }
}
