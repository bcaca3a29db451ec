//! A test message to one receiver, sent now, with everything shown that a person needs to see
//! why it does or does not arrive. Nothing is stored and nothing is tried again.

use crate::clock::{Clock, Random};
use crate::egress::Egress;
use crate::receiver::webhook::{Message, Sender, Verdict};
use crate::receiver::{Problem, WebhookReceiver, validate};
use crate::render;
use std::time::Duration;

/// The `type` of a test message.
pub const TEST_KIND: &str = "keywatch.test";

/// What was sent, and what came back.
#[derive(Clone, Debug)]
pub struct TestReport {
    /// The `webhook-id`.
    pub message_id: String,
    /// Headers of the request, the signature among them.
    pub headers: Vec<(String, String)>,
    /// Body of the request.
    pub body: String,
    /// Whether the receiver took it.
    pub delivered: bool,
    /// HTTP status, when there was an answer.
    pub status: Option<u16>,
    /// From resolving the name to the end of the answer.
    pub latency: Duration,
    /// Beginning of the answer's body.
    pub excerpt: Option<String>,
    /// What went wrong, with the remedy when one is known.
    pub error: Option<String>,
}

/// Sends a test message to `receiver` and reports. A receiver that does not take it is a report
/// too, not an error.
///
/// # Errors
/// Every [`Problem`] of the receiver's configuration; then nothing was sent.
pub async fn send_test(
    receiver: &WebhookReceiver,
    egress: &Egress,
    clock: &dyn Clock,
    random: &dyn Random,
) -> Result<TestReport, Vec<Problem>> {
    let problems = validate(std::slice::from_ref(receiver), egress.policy());
    if !problems.is_empty() {
        return Err(problems);
    }
    let sender = Sender::new(receiver, egress).map_err(|problem| vec![problem])?;
    let now = clock.now();
    let data = serde_json::json!({
        "message": "This is a test message from Keywatch. If you can read it, alerts will arrive.",
        "receiver": receiver.name,
    });
    let message = Message {
        id: format!("test_{:016x}", random.next_u64()),
        timestamp: now.timestamp(),
        body: render::body(TEST_KIND, now, &data.to_string(), None).unwrap_or_default(),
    };
    let headers = sender.headers(&message).map(Vec::from).unwrap_or_default();
    let reply = sender.send(&message).await;
    Ok(TestReport {
        message_id: message.id,
        headers: headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
        body: String::from_utf8(message.body).unwrap_or_default(),
        delivered: reply.verdict == Verdict::Delivered,
        status: reply.status,
        latency: reply.latency,
        excerpt: reply.excerpt,
        error: reply.error,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::egress::EgressPolicy;
    use crate::testing::{Endpoint, Fixed, TestClock, loopback, receiver, status, verify};

    #[tokio::test]
    async fn a_test_message_shows_what_was_sent_and_what_came_back() {
        let mut endpoint = Endpoint::start(|_| status(503, "try later")).await;
        let target = receiver("siem", &endpoint.url());
        let clock = TestClock::at_real_time();
        let report = send_test(&target, &loopback(), &*clock, &Fixed(0xab)).await.unwrap();
        assert_eq!((report.status, report.delivered), (Some(503), false));
        assert_eq!(report.excerpt.as_deref(), Some("try later"));
        assert!(report.error.unwrap().contains("503"));

        let seen = endpoint.next().await;
        assert_eq!(seen.body, report.body.as_bytes());
        assert_eq!(report.message_id, "test_00000000000000ab");
        for (name, value) in &report.headers {
            assert_eq!(seen.headers[name.as_str()], value.as_str(), "{name}");
        }
        verify(&seen, &target.secrets[0]);
    }

    #[tokio::test]
    async fn a_receiver_that_cannot_be_used_is_not_sent_to() {
        let target = receiver("siem", "http://10.0.0.1/");
        let outcome =
            send_test(&target, &Egress::new(EgressPolicy::default()), &*TestClock::at_real_time(), &Fixed(1))
                .await;
        assert_eq!(outcome.unwrap_err().len(), 2, "no encryption, private address");
    }
}
