//! OCSF findings to a data lake or a SIEM: POSTs of CloudEvents, one for each alert, signed like
//! webhooks when secrets are given.
//!
//! <https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md>

use super::{Described, Fault, SECRETS, webhook};
use crate::egress::EgressPolicy;
use crate::notification::Notification;
use crate::ocsf::cloud_events;
use crate::receiver::{Address, Authorization};
use crate::reply::Verdict;
use crate::sender::{Answer, Format, Header, Held, Judgement, Request, Unsendable};
use chrono::{DateTime, Utc};
use keywatch_secrets::SecretRef;
use serde_json::Value;

/// An endpoint that takes CloudEvents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ocsf {
    /// Where to POST.
    pub address: Address,
    /// The secrets messages are signed with; none when the endpoint does not check signatures.
    pub signing: Vec<SecretRef>,
    /// How Keywatch shows who it is.
    pub auth: Option<Authorization>,
}

impl Described for Ocsf {
    fn address(&self) -> Option<&Address> {
        Some(&self.address)
    }

    fn signing(&self) -> &[SecretRef] {
        &self.signing
    }

    fn auth(&self) -> Option<&Authorization> {
        self.auth.as_ref()
    }

    fn faults(&self, policy: &EgressPolicy) -> Vec<Fault> {
        let too_many = self.signing.len() > *SECRETS.end();
        let too_many = too_many.then_some(Fault::Secrets(self.signing.len()));
        self.address.faults(policy).into_iter().chain(too_many).collect()
    }
}

impl Format for Ocsf {
    fn requests(
        &self,
        notification: &Notification,
        at: DateTime<Utc>,
        held: &Held,
    ) -> Result<Vec<Request>, Unsendable> {
        let url = self.address.url(held)?;
        let keys = webhook::keys(&self.signing, held)?;
        let mut requests = Vec::new();
        for event in cloud_events(notification)? {
            let mut request = Request::json(url.clone(), &event);
            request.content_type = "application/cloudevents+json";
            if !keys.is_empty() {
                let id = event.get("id").and_then(Value::as_str).unwrap_or_default();
                request.headers = webhook::signed(&keys, id, at, &request.body)?;
            }
            if let Some(auth) = &self.auth {
                request.headers.push(Header::secret("authorization", auth.header(held)?));
            }
            requests.push(request);
        }
        Ok(requests)
    }

    /// The HTTP binding of CloudEvents has no rules of its own: everything but success is tried
    /// again, and 410 is a goodbye as it is for webhooks.
    fn judge(&self, answer: &Answer) -> Judgement {
        match answer.status.as_u16() {
            200..=299 => Judgement::delivered(),
            410 => Judgement::new(Verdict::Gone, answer.told(": it wants no more messages")),
            413 => Judgement::new(Verdict::GiveUp, answer.told(": the finding is too large for it")),
            401 | 403 => Judgement::new(Verdict::TryAgain, answer.told("; check its credentials"))
                .credentials_refused(),
            300..=399 => Judgement::new(Verdict::TryAgain, answer.told("; redirects are not followed")),
            _ => Judgement::new(Verdict::TryAgain, answer.told("")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{answer, held, secret_of, telling, variable};

    #[test]
    fn every_alert_is_a_cloud_event_of_its_own_and_signed_when_there_are_secrets() {
        let address = Address::Plain("https://lake.example/events".to_owned());
        let auth = Some(Authorization::Bearer(variable("TOKEN")));
        let signed = Ocsf { address, signing: vec![variable("SECRET")], auth };
        let alerts = vec![r#"{"id":"a1"}"#.to_owned(), r#"{"id":"a2"}"#.to_owned()];
        let told = Notification { alerts, ..telling() };
        let secret = secret_of("lake").reveal();
        let held = held(&[("SECRET", &secret), ("TOKEN", "token-1")]);
        let requests = signed.requests(&told, told.created_at, &held).unwrap();
        assert_eq!(requests.len(), 2);
        for request in &requests {
            assert_eq!(request.content_type, "application/cloudevents+json");
            let shown = format!("{:?}", request.shown(&held));
            assert!(
                shown.contains("v1,") && shown.contains("authorization") && !shown.contains("token-1"),
                "{shown}"
            );
        }
        let unsigned = Ocsf { signing: vec![], auth: None, ..signed };
        assert!(unsigned.requests(&told, told.created_at, &held).unwrap()[0].headers.is_empty());
        assert_eq!(unsigned.judge(&answer(410, "")).verdict, Verdict::Gone);
        assert_eq!(unsigned.judge(&answer(400, "")).verdict, Verdict::TryAgain);
        assert!(unsigned.judge(&answer(401, "")).credentials_refused);
    }
}
