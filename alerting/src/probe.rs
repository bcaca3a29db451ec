//! Trying receivers out: a test message, sent now, with everything shown that a person needs to
//! see why it does or does not arrive; and whether credentials can be had and used.
//!
//! Nothing is stored and nothing is tried again.

use crate::clock::{Clock, Random};
use crate::notification::{Notification, NotificationKind};
use crate::receiver::{Fault, Problem, Receiver, validate};
use crate::reply::Reply;
use crate::sender::{Held, Outbound, Sender, Shown};

/// What was sent, and what came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestReport {
    /// The id of the message.
    pub message_id: String,
    /// The requests, without credentials.
    pub sent: Vec<Shown>,
    /// What became of them.
    pub reply: Reply,
}

/// Sends a test message to `receiver` and reports. A receiver that does not take it is a report
/// too, not an error.
///
/// # Errors
/// Every [`Problem`] of the receiver's configuration; then nothing was sent.
pub async fn send_test(
    receiver: &Receiver,
    outbound: &Outbound,
    clock: &dyn Clock,
    random: &dyn Random,
) -> Result<TestReport, Vec<Problem>> {
    let problems = validate(std::slice::from_ref(receiver), outbound.egress.policy());
    if !problems.is_empty() {
        return Err(problems);
    }
    let sender = Sender::new(receiver, outbound).map_err(|problem| vec![problem])?;
    let now = clock.now();
    let notification = Notification {
        id: format!("test_{:016x}", random.next_u64()),
        kind: NotificationKind::Test,
        created_at: now,
        alerts: Vec::new(),
        group: Vec::new(),
        note: Some(format!(
            "This is a test message from Keywatch to the receiver {}. If you can read it, alerts will arrive.",
            receiver.name
        )),
        link: None,
    };
    let (reply, sent) = sender.rehearse(&notification, now).await;
    Ok(TestReport { message_id: notification.id, sent, reply })
}

/// Fetches every credential of `receivers` and tells which cannot be had. Sends nothing.
pub async fn check_credentials(receivers: &[Receiver], outbound: &Outbound) -> Vec<Problem> {
    let mut problems = Vec::new();
    for receiver in receivers {
        let fault = match Held::fetch(receiver, &outbound.secrets).await {
            Ok(held) => receiver.unusable(&held),
            Err(error) => Some(error),
        };
        let problem = |text| Problem { receiver: receiver.name.clone(), fault: Fault::Credential(text) };
        problems.extend(fault.map(problem));
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::egress::{Egress, EgressPolicy};
    use crate::reply::Verdict;
    use crate::testing::{
        Endpoint, Fixed, TestClock, outbound, receiver, secret_of, secrets, status, verify,
    };

    #[tokio::test]
    async fn a_test_message_shows_what_was_sent_and_what_came_back() {
        let mut endpoint = Endpoint::start(|_| status(503, "try later")).await;
        let target = receiver("siem", &endpoint.url());
        let clock = TestClock::at_real_time();
        let report = send_test(&target, &outbound(), &*clock, &Fixed(0xab)).await.unwrap();
        assert_eq!((report.reply.status, report.reply.verdict), (Some(503), Verdict::TryAgain));
        assert_eq!(report.reply.excerpt.as_deref(), Some("try later"));
        assert!(report.reply.error.unwrap().contains("503"));

        let seen = endpoint.next().await;
        let [shown] = report.sent.as_slice() else { panic!("one request: {:?}", report.sent) };
        assert_eq!(seen.body, shown.body.as_bytes());
        assert_eq!(report.message_id, "test_00000000000000ab");
        for (name, value) in &shown.headers {
            assert_eq!(seen.headers[name.as_str()], value.as_str(), "{name}");
        }
        verify(&seen, &secret_of("siem"));
    }

    #[tokio::test]
    async fn a_receiver_that_cannot_be_used_is_not_sent_to() {
        let target = receiver("siem", "http://10.0.0.1/");
        let strict = Outbound { egress: Egress::new(EgressPolicy::default()), secrets: secrets() };
        let outcome = send_test(&target, &strict, &*TestClock::at_real_time(), &Fixed(1)).await;
        assert_eq!(outcome.unwrap_err().len(), 2, "no encryption, private address");
    }

    #[tokio::test]
    async fn credentials_that_are_missing_or_of_the_wrong_form_are_told_without_sending() {
        let receivers = ["siem", "unset", "wrong"].map(|name| receiver(name, "https://siem.example/hook"));
        let texts: Vec<String> =
            check_credentials(&receivers, &outbound()).await.iter().map(ToString::to_string).collect();
        assert_eq!(texts.len(), 2, "{texts:?}");
        assert!(texts[0].contains("`unset`") && texts[0].contains("SECRET_unset"), "{texts:?}");
        assert!(texts[1].contains("`wrong`") && texts[1].contains("whsec_"), "{texts:?}");
    }
}
