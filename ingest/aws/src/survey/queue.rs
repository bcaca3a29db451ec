//! How a queue is set up.

use super::untold;
use crate::access::Way;
use crate::failure::Failure;
use aws_sdk_sqs::types::QueueAttributeName;
use keywatch_ingest::survey::Answer;

/// What is known of a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueFacts {
    /// Its ARN.
    pub arn: String,
    /// Whether messages that nobody can read move to another queue.
    pub has_dead_letter_queue: bool,
    /// Seconds after which a message is forgotten; SQS's own default when it does not say.
    pub retention_secs: u64,
}

/// SQS keeps messages for four days unless told:
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SetQueueAttributes.html>.
const RETENTION_SECS: u64 = 4 * 24 * 3600;

pub(super) async fn facts(way: &Way, url: &str) -> Answer<QueueFacts> {
    let answer = aws_sdk_sqs::Client::new(&way.config)
        .get_queue_attributes()
        .queue_url(url)
        .attribute_names(QueueAttributeName::All)
        .send()
        .await
        .map_err(|error| untold("sqs:GetQueueAttributes", &Failure::of(&error)))?;
    let all = answer.attributes.unwrap_or_default();
    let text = |name: QueueAttributeName| all.get(&name).map(String::as_str);
    let redrive = text(QueueAttributeName::RedrivePolicy).unwrap_or_default();
    Ok(QueueFacts {
        arn: text(QueueAttributeName::QueueArn).unwrap_or_default().to_owned(),
        has_dead_letter_queue: redrive.contains("deadLetterTargetArn"),
        retention_secs: text(QueueAttributeName::MessageRetentionPeriod)
            .and_then(|secs| secs.parse().ok())
            .unwrap_or(RETENTION_SECS),
    })
}
