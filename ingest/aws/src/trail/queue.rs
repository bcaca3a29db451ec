//! The queue: receiving, keeping messages invisible, handing them back, deleting them.

use crate::access::Way;
use crate::failure::{Failure, Trouble};
use aws_sdk_sqs::types::{
    ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry, MessageSystemAttributeName,
    QueueAttributeName,
};
use std::time::Duration;

/// Messages of one request, SQS's limit.
pub(super) const BATCH: usize = 10;

/// One queue.
#[derive(Clone, Debug)]
pub(super) struct Queue {
    client: aws_sdk_sqs::Client,
    pub(super) url: String,
    pub(super) name: String,
}

/// A message that was received.
#[derive(Debug)]
pub(super) struct Received {
    pub(super) body: String,
    pub(super) handle: String,
    /// How often it has been received, this time included.
    pub(super) tries: u32,
}

/// What a queue is set up like.
#[derive(Clone, Debug, Default)]
pub(super) struct Setup {
    /// After how many tries it moves a message to its dead-letter queue; `None` without one.
    pub(super) tries_max: Option<u32>,
}

impl Queue {
    pub(super) fn new(way: &Way, url: &str) -> Self {
        let name = url.rsplit('/').next().unwrap_or(url).to_owned();
        Self { client: aws_sdk_sqs::Client::new(&way.config), url: url.to_owned(), name }
    }

    /// Messages, as soon as there are some; none after `wait`.
    pub(super) async fn receive(
        &self,
        wait: Duration,
        visibility: Duration,
    ) -> Result<Vec<Received>, Failure> {
        let answer = self
            .client
            .receive_message()
            .queue_url(&self.url)
            .max_number_of_messages(i32::try_from(BATCH).unwrap_or(10))
            .wait_time_seconds(secs(wait))
            .visibility_timeout(secs(visibility))
            .message_system_attribute_names(MessageSystemAttributeName::ApproximateReceiveCount)
            .send()
            .await
            .map_err(|error| Failure::of(&error))?;
        let count = MessageSystemAttributeName::ApproximateReceiveCount;
        let received = answer.messages.unwrap_or_default().into_iter().filter_map(|message| {
            let tries = message.attributes.as_ref().and_then(|all| all.get(&count)?.parse().ok());
            Some(Received {
                body: message.body.unwrap_or_default(),
                handle: message.receipt_handle?,
                tries: tries.unwrap_or(1),
            })
        });
        Ok(received.collect())
    }

    /// Deletes messages, at most [`BATCH`]; those that could not be, by their handles.
    pub(super) async fn delete(&self, handles: &[String]) -> Result<Vec<String>, Failure> {
        let entry = |(at, handle): (usize, &String)| {
            DeleteMessageBatchRequestEntry::builder().id(at.to_string()).receipt_handle(handle).build()
        };
        let entries = handles.iter().enumerate().map(entry).collect::<Result<Vec<_>, _>>();
        let answer = self
            .client
            .delete_message_batch()
            .queue_url(&self.url)
            .set_entries(Some(entries.map_err(unbuilt)?))
            .send()
            .await
            .map_err(|error| Failure::of(&error))?;
        let left = answer.failed.iter().filter(|one| !one.sender_fault);
        Ok(left.filter_map(|one| handles.get(one.id.parse::<usize>().ok()?).cloned()).collect())
    }

    /// Sets for how long messages stay invisible from now, at most [`BATCH`]. A message that is no
    /// longer ours to keep is passed over: it comes again.
    pub(super) async fn hide(&self, handles: &[String], visibility: Duration) -> Result<(), Failure> {
        let entry = |(at, handle): (usize, &String)| {
            ChangeMessageVisibilityBatchRequestEntry::builder()
                .id(at.to_string())
                .receipt_handle(handle)
                .visibility_timeout(secs(visibility))
                .build()
        };
        let entries = handles.iter().enumerate().map(entry).collect::<Result<Vec<_>, _>>();
        self.client
            .change_message_visibility_batch()
            .queue_url(&self.url)
            .set_entries(Some(entries.map_err(unbuilt)?))
            .send()
            .await
            .map(|_| ())
            .map_err(|error| Failure::of(&error))
    }

    /// How the queue is set up.
    pub(super) async fn setup(&self) -> Result<Setup, Failure> {
        let answer = self
            .client
            .get_queue_attributes()
            .queue_url(&self.url)
            .attribute_names(QueueAttributeName::RedrivePolicy)
            .send()
            .await
            .map_err(|error| Failure::of(&error))?;
        let all = answer.attributes.unwrap_or_default();
        let redrive = all.get(&QueueAttributeName::RedrivePolicy);
        Ok(Setup { tries_max: redrive.and_then(|policy| tries_max(policy)) })
    }

    /// What failed and how to mend it.
    pub(super) fn explain(&self, failure: &Failure, action: &str) -> String {
        let remedy = match failure.trouble {
            Trouble::Credentials => {
                "give Keywatch credentials that AWS accepts (role, profile or keys)".to_owned()
            }
            Trouble::Denied => format!("grant {action} on the queue to the identity Keywatch has"),
            Trouble::Missing => "name a queue that exists, by its URL".to_owned(),
            Trouble::Throttled => "it is tried again, more slowly".to_owned(),
            Trouble::Unavailable => "it is tried again; check the network and the endpoint".to_owned(),
        };
        format!("{action} failed on {}: {}; {}", self.url, failure.said, failure.remedy_or(&remedy))
    }
}

/// The receive count of a redrive policy, which SQS writes as a number or as a string.
fn tries_max(policy: &str) -> Option<u32> {
    let policy: serde_json::Value = serde_json::from_str(policy).ok()?;
    let count = policy.get("maxReceiveCount")?;
    count.as_u64().or_else(|| count.as_str()?.parse().ok()).and_then(|count| u32::try_from(count).ok())
}

fn secs(duration: Duration) -> i32 {
    i32::try_from(duration.as_secs()).unwrap_or(i32::MAX)
}

fn unbuilt(error: impl std::fmt::Display) -> Failure {
    Failure::new(Trouble::Unavailable, error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redrive_policy_says_after_how_many_tries() {
        assert_eq!(tries_max(r#"{"deadLetterTargetArn":"arn","maxReceiveCount":5}"#), Some(5));
        assert_eq!(tries_max(r#"{"maxReceiveCount":"3"}"#), Some(3));
        assert_eq!(tries_max("{}"), None);
    }
}
