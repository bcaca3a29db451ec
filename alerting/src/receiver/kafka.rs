//! OCSF findings to a topic of Kafka: a message for each alert, keyed by its principal, so that
//! what one principal did stays in order.
//!
//! CloudEvents' Kafka binding in either mode: attributes as headers and the finding as the value,
//! or the whole event as the value.
//! <https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/kafka-protocol-binding.md>

use super::{Address, Described, Fault};
use crate::egress::EgressPolicy;
use crate::notification::Notification;
use crate::ocsf::cloud_events;
use crate::sender::{Held, Shown, Unsendable};
use crate::text::inert_cut;
use crate::view::AlertView;
use keywatch_brokers::Access;
use keywatch_secrets::SecretRef;
use serde_json::Value;

/// Characters of a key: a principal's id.
const KEY_CHARS: usize = 300;

/// A topic that takes OCSF findings as CloudEvents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kafka {
    /// The cluster, and how it is reached.
    pub access: Access,
    /// The topic.
    pub topic: String,
    /// How a message is laid out.
    pub mode: KafkaMode,
}

/// How CloudEvents lays a message out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KafkaMode {
    /// Attributes are headers, the finding is the value.
    #[default]
    Binary,
    /// The value is the event as JSON, with the finding in it.
    Structured,
}

/// What is sent for one alert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Produced {
    pub(crate) key: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) value: String,
}

impl Kafka {
    /// The addresses of the brokers as the egress policy judges addresses.
    pub(crate) fn urls(&self) -> impl Iterator<Item = String> {
        let scheme = if self.access.tls.is_some() { "https" } else { "http" };
        self.access.brokers.iter().map(move |broker| format!("{scheme}://{broker}/"))
    }

    /// One message for each alert.
    pub(crate) fn messages(&self, notification: &Notification) -> Result<Vec<Produced>, Unsendable> {
        let mut keys = Vec::new();
        for alert in &notification.alerts {
            let alert = AlertView::read(alert)?;
            let principal = alert.principal.map(|principal| principal.id).filter(|id| !id.is_empty());
            keys.push(inert_cut(&principal.unwrap_or(alert.id), KEY_CHARS));
        }
        let events = cloud_events(notification)?;
        // A message about no alert has the key of its id.
        let keys = keys.into_iter().chain(std::iter::repeat(notification.id.clone()));
        Ok(events.into_iter().zip(keys).map(|(event, key)| self.laid_out(&event, key)).collect())
    }

    fn laid_out(&self, event: &Value, key: String) -> Produced {
        let (KafkaMode::Binary, Value::Object(mut attributes)) = (self.mode, event.clone()) else {
            let kind = "application/cloudevents+json; charset=UTF-8".to_owned();
            return Produced {
                key,
                headers: vec![("content-type".to_owned(), kind)],
                value: event.to_string(),
            };
        };
        let data = attributes.remove("data").unwrap_or_default();
        let header = |(name, value): (String, Value)| {
            let name =
                if name == "datacontenttype" { "content-type".to_owned() } else { format!("ce_{name}") };
            Some((name, value.as_str()?.to_owned()))
        };
        let headers = attributes.into_iter().filter_map(header).collect();
        Produced { key, headers, value: data.to_string() }
    }
}

impl Produced {
    /// As people see it before it is sent.
    pub(crate) fn shown(&self, kafka: &Kafka, held: &Held) -> Shown {
        let mut headers = vec![("key".to_owned(), self.key.clone())];
        headers.extend(self.headers.clone());
        let body =
            serde_json::from_str::<Value>(&self.value).and_then(|json| serde_json::to_string_pretty(&json));
        Shown {
            target: format!("Produce to {}", kafka.target()),
            headers,
            body: held.redacted(&body.unwrap_or_default()),
        }
    }
}

impl Described for Kafka {
    fn address(&self) -> Option<&Address> {
        None
    }

    fn target(&self) -> String {
        let brokers = self.access.brokers.join(", ");
        format!("topic {} on {}", inert_cut(&self.topic, 250), inert_cut(&brokers, 200))
    }

    fn credentials(&self) -> Vec<&SecretRef> {
        self.access.secrets()
    }

    fn faults(&self, policy: &EgressPolicy) -> Vec<Fault> {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        let is_topic = (1..=249).contains(&self.topic.len()) && self.topic.chars().all(plain);
        let topic = (!is_topic).then(|| {
            let shown = inert_cut(&self.topic, 250);
            Fault::Setting(format!(
                "`{shown}` is no topic; use letters, digits, dots, dashes and underscores"
            ))
        });
        let brokers = self.urls().flat_map(|url| Address::Plain(url).faults(policy));
        topic.into_iter().chain(brokers).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{check_schema, hostile, telling};
    use serde_json::json;

    pub(crate) fn kafka(mode: KafkaMode) -> Kafka {
        let access = Access { brokers: vec!["k-1.example:9092".to_owned()], tls: None, sasl: None };
        Kafka { access, topic: "findings".to_owned(), mode }
    }

    #[test]
    fn attributes_are_headers_and_the_finding_is_the_value() {
        let messages = kafka(KafkaMode::Binary).messages(&telling()).unwrap();
        let header =
            |name: &str| messages[0].headers.iter().find(|(known, _)| known == name).map(|(_, v)| v.as_str());
        assert_eq!(header("ce_specversion"), Some("1.0"));
        assert_eq!(header("ce_id"), Some("msg_1"));
        assert_eq!(header("ce_type"), Some("io.keywatch.alert.opened"));
        assert_eq!(header("content-type"), Some("application/json"));
        assert!(header("ce_data").is_none() && header("ce_datacontenttype").is_none());
        let finding: Value = serde_json::from_str(&messages[0].value).unwrap();
        assert_eq!(finding["class_uid"], 2004);
        check_schema("ocsf-2004", &[finding]);
    }

    #[test]
    fn a_structured_message_is_the_whole_event_whatever_the_records_say() {
        for told in [telling(), hostile()] {
            let messages = kafka(KafkaMode::Structured).messages(&told).unwrap();
            let events: Vec<Value> =
                messages.iter().map(|message| serde_json::from_str(&message.value).unwrap()).collect();
            check_schema("cloudevents", &events);
            assert!(messages.iter().all(|message| message.headers.len() == 1));
        }
    }

    #[test]
    fn a_message_is_keyed_by_the_principal_then_the_alert_then_the_message() {
        let alerts = vec![
            json!({"id": "a1", "principal": {"id": "arn:role/app", "kind": "role"}}).to_string(),
            json!({"id": "a2"}).to_string(),
        ];
        let keys = |told: &Notification| -> Vec<String> {
            let messages = kafka(KafkaMode::Binary).messages(told).unwrap();
            messages.into_iter().map(|message| message.key).collect()
        };
        assert_eq!(keys(&Notification { alerts, ..telling() }), ["arn:role/app", "a2"]);
        assert_eq!(keys(&Notification { alerts: vec![], ..telling() }), ["msg_1"]);
    }

    #[test]
    fn brokers_pass_the_egress_policy_and_topics_have_plain_names() {
        let wrong = Kafka { topic: "a b".to_owned(), ..kafka(KafkaMode::Binary) };
        let faults: Vec<String> =
            wrong.faults(&EgressPolicy::default()).iter().map(ToString::to_string).collect();
        assert_eq!(faults.len(), 2, "{faults:?}");
        assert!(faults[0].contains("no topic") && faults[1].contains("without encryption"), "{faults:?}");
    }
}
