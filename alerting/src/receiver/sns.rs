//! Amazon SNS: publishes to a topic.
//!
//! Subscribers that are people (e-mail, SMS) get text, all others the body of the generic
//! webhook; attributes say what filter policies can choose by. A FIFO topic gets the
//! notification's id for deduplication and keeps the order of each alert.
//! <https://docs.aws.amazon.com/sns/latest/api/API_Publish.html>

use super::{Described, Fault};
use crate::egress::EgressPolicy;
use crate::notification::Notification;
use crate::receiver::Address;
use crate::render;
use crate::sender::{Held, Unsendable};
use crate::story::Story;
use crate::text::{cut, inert_cut};
use crate::view::{AlertView, highest};
use keywatch_event::Level;
use keywatch_secrets::SecretRef;
use serde_json::{Value, json};

/// SNS's limits: a subject, a message with its attributes, ids of FIFO topics, an SMS.
const SUBJECT_CHARS_MAX: usize = 100;
const ID_CHARS_MAX: usize = 128;
const SMS_CHARS_MAX: usize = 140;
/// Longest attribute; a filter policy that matches more than this is unheard of.
const ATTRIBUTE_CHARS: usize = 256;

/// A topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sns {
    /// `arn:aws:sns:<region>:<account>:<name>`; the region is taken from it.
    pub topic_arn: String,
    /// Another address than Amazon's own, as for a VPC endpoint. The egress policy applies to it.
    pub endpoint: Option<String>,
    /// A role to assume first, as for a topic of another account.
    pub role: Option<Role>,
    /// An access key; without one, the credentials of the environment Keywatch runs in.
    pub access_key: Option<AccessKey>,
}

/// A role to assume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Role {
    /// `arn:aws:iam::<account>:role/<name>`
    pub arn: String,
    /// What the role's trust policy asks for.
    pub external_id: Option<String>,
    /// Another address of STS than Amazon's own. The egress policy applies to it.
    pub endpoint: Option<String>,
}

/// An access key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessKey {
    /// Its id.
    pub id: SecretRef,
    /// Its secret.
    pub secret: SecretRef,
}

impl Sns {
    /// The region in the topic's ARN.
    pub(crate) fn region(&self) -> Option<&str> {
        let mut parts = self.topic_arn.split(':');
        let kind = (parts.next()?, parts.next()?, parts.next()?);
        let (region, account, name) = (parts.next()?, parts.next()?, parts.next()?);
        let is_topic =
            kind.0 == "arn" && kind.1.starts_with("aws") && kind.2 == "sns" && parts.next().is_none();
        (is_topic && !region.is_empty() && !account.is_empty() && !name.is_empty()).then_some(region)
    }

    pub(crate) fn is_fifo(&self) -> bool {
        self.topic_arn.strip_suffix(".fifo").is_some()
    }
}

impl Described for Sns {
    fn address(&self) -> Option<&Address> {
        None
    }

    fn target(&self) -> String {
        inert_cut(&self.topic_arn, 200)
    }

    fn credentials(&self) -> Vec<&SecretRef> {
        self.access_key.iter().flat_map(|key| [&key.id, &key.secret]).collect()
    }

    fn faults(&self, policy: &EgressPolicy) -> Vec<Fault> {
        let mut faults = Vec::new();
        if self.region().is_none() {
            faults.push(Fault::Setting(format!(
                "`{}` is no topic; write its ARN, arn:aws:sns:<region>:<account>:<name>",
                inert_cut(&self.topic_arn, 200)
            )));
        }
        let role_endpoint = self.role.as_ref().and_then(|role| role.endpoint.clone());
        for endpoint in self.endpoint.clone().into_iter().chain(role_endpoint) {
            faults.extend(Address::Plain(endpoint).faults(policy));
        }
        faults
    }
}

/// What is published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Publication {
    pub(crate) subject: String,
    /// JSON with one message per protocol.
    pub(crate) message: String,
    /// Name and value.
    pub(crate) attributes: Vec<(&'static str, String)>,
    /// Group and deduplication id, for FIFO topics.
    pub(crate) fifo: Option<(String, String)>,
}

impl Publication {
    pub(crate) fn of(sns: &Sns, notification: &Notification) -> Result<Self, Unsendable> {
        let story = Story::of(notification)?;
        let alerts: Vec<AlertView> =
            notification.alerts.iter().map(|alert| AlertView::read(alert)).collect::<Result<_, _>>()?;
        let body = String::from_utf8(render::body(notification)?).unwrap_or_default();
        let text = story.text();
        let message = json!({"default": body, "email": text, "sms": cut(&story.headline, SMS_CHARS_MAX)});
        let group = alerts.first().map_or("keywatch", |alert| alert.id.as_str());
        let fifo = sns.is_fifo().then(|| (id_of(group), id_of(&notification.id)));
        Ok(Self {
            subject: subject(&story.headline),
            message: message.to_string(),
            attributes: attributes(notification, &alerts),
            fifo,
        })
    }

    /// As people see it before it is sent.
    pub(crate) fn shown(&self, topic_arn: &str, held: &Held) -> crate::sender::Shown {
        let mut headers = vec![("Subject".to_owned(), self.subject.clone())];
        let attributes =
            self.attributes.iter().map(|(name, value)| (format!("attribute {name}"), value.clone()));
        headers.extend(attributes);
        if let Some((group, deduplication)) = &self.fifo {
            headers.push(("MessageGroupId".to_owned(), group.clone()));
            headers.push(("MessageDeduplicationId".to_owned(), deduplication.clone()));
        }
        let body =
            serde_json::from_str::<Value>(&self.message).and_then(|json| serde_json::to_string_pretty(&json));
        let body = held.redacted(&body.unwrap_or_default());
        crate::sender::Shown { target: format!("Publish to {topic_arn}"), headers, body }
    }
}

/// ASCII without control characters, beginning with a letter: what SNS takes as a subject.
fn subject(headline: &str) -> String {
    let ascii: String = headline.chars().map(|c| if c.is_ascii() { c } else { '?' }).collect();
    let subject = if ascii.chars().count() > SUBJECT_CHARS_MAX {
        let start: String = ascii.chars().take(SUBJECT_CHARS_MAX - 3).collect();
        format!("{}...", start.trim_end())
    } else {
        ascii
    };
    if subject.starts_with(|c: char| c.is_ascii_alphanumeric()) { subject } else { "Keywatch".to_owned() }
}

/// Letters, digits and `-` only; an id that has others is told apart by its hash.
fn id_of(text: &str) -> String {
    use sha2::{Digest, Sha256};
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if !text.is_empty() && text.len() <= ID_CHARS_MAX && text.chars().all(plain) {
        return text.to_owned();
    }
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
}

/// What filter policies choose by. Of several alerts, what they have in common.
fn attributes(notification: &Notification, alerts: &[AlertView]) -> Vec<(&'static str, String)> {
    let common = |value: fn(&AlertView) -> Option<&str>| {
        let first = alerts.first().and_then(value).filter(|text| !text.is_empty())?;
        alerts.iter().all(|alert| value(alert) == Some(first)).then(|| inert_cut(first, ATTRIBUTE_CHARS))
    };
    let found = [
        ("kind", Some(notification.kind.to_string())),
        ("level", highest(alerts).map(|level: Level| level.as_str().to_owned())),
        ("rule", common(|alert| Some(&alert.rule))),
        ("provider", common(|alert| Some(&alert.provider))),
        ("account", common(|alert| alert.account.as_deref())),
        ("store", common(|alert| alert.store.as_deref())),
        ("principal", common(|alert| alert.principal.as_ref().map(|principal| principal.id.as_str()))),
    ];
    found.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{hostile, telling};

    fn sns(topic_arn: &str) -> Sns {
        Sns { topic_arn: topic_arn.to_owned(), endpoint: None, role: None, access_key: None }
    }

    #[test]
    fn a_topic_is_an_arn_with_a_region() {
        assert_eq!(sns("arn:aws:sns:eu-west-1:111122223333:alerts").region(), Some("eu-west-1"));
        assert_eq!(sns("arn:aws-us-gov:sns:us-gov-west-1:1:a.fifo").region(), Some("us-gov-west-1"));
        for wrong in
            ["", "alerts", "arn:aws:sqs:eu-west-1:1:a", "arn:aws:sns::1:a", "arn:aws:sns:eu-west-1:1:a:sub"]
        {
            assert_eq!(sns(wrong).faults(&EgressPolicy::default()).len(), 1, "{wrong}");
        }
        let local =
            Sns { endpoint: Some("http://127.0.0.1:4566".to_owned()), ..sns("arn:aws:sns:eu-west-1:1:a") };
        assert_eq!(local.faults(&EgressPolicy::default()).len(), 2, "no encryption, loopback");
    }

    #[test]
    fn a_publication_keeps_the_limits_of_sns_whatever_the_records_say() {
        for told in [telling(), hostile()] {
            let told = Publication::of(&sns("arn:aws:sns:eu-west-1:1:a.fifo"), &told).unwrap();
            assert!((1..=100).contains(&told.subject.len()) && told.subject.is_ascii(), "{}", told.subject);
            assert!(!told.subject.contains(|c: char| c.is_control()), "{}", told.subject);
            let attributes: usize =
                told.attributes.iter().map(|(name, value)| name.len() + value.len() + 6).sum();
            assert!(told.message.len() + attributes < 256 * 1024, "{}", told.message.len());
            assert!(told.attributes.len() <= 10, "raw delivery to SQS takes no more");
            let (group, deduplication) = told.fifo.unwrap();
            assert!(group.len() <= 128 && deduplication.len() <= 128 && group.is_ascii());
            let parts: Value = serde_json::from_str(&told.message).unwrap();
            assert!(serde_json::from_str::<Value>(parts["default"].as_str().unwrap()).is_ok());
            assert!(!parts["email"].as_str().unwrap().contains(['\0', '\u{202e}']));
            assert!(parts["sms"].as_str().unwrap().chars().count() <= SMS_CHARS_MAX);
        }
    }

    #[test]
    fn filter_policies_can_choose_by_what_the_alerts_have_in_common() {
        let told = telling();
        let both = vec![told.alerts[0].clone(), told.alerts[0].replace("KW-004", "KW-005")];
        let topic = sns("arn:aws:sns:eu-west-1:1:a");
        let names = |told: &Notification| -> Vec<_> {
            Publication::of(&topic, told).unwrap().attributes.into_iter().map(|(name, _)| name).collect()
        };
        assert_eq!(names(&told), ["kind", "level", "rule", "provider", "account", "store", "principal"]);
        assert_eq!(
            names(&Notification { alerts: both, ..told }),
            ["kind", "level", "provider", "account", "store", "principal"]
        );
    }

    #[test]
    fn an_id_sns_would_not_take_is_told_apart_by_its_hash() {
        assert_eq!(id_of("msg_1-a"), "msg_1-a");
        assert_ne!(id_of("ü"), id_of("ö"));
        assert_eq!(id_of(&"x".repeat(200)).len(), 64);
    }
}
