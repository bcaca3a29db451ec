//! Settings of one receiver as text, and back: what a form shows and what it sends.

use super::Layers;
use super::frame::Problems;
use super::receivers;
use keywatch_alerting::ocsf::without_gaps;
use keywatch_alerting::{Address, Authorization, Kafka, KafkaMode, MailTls, Receiver, ReceiverKind};
use keywatch_brokers::{Mechanism, User};
use keywatch_secrets::SecretRef;
use serde_json::{Map, Value, json};

/// A receiver somebody wrote into a form.
pub(crate) struct EditedReceiver {
    /// The receiver, as far as it can be read.
    pub(crate) receiver: Option<Receiver>,
    /// Every mistake.
    pub(crate) problems: Vec<String>,
}

impl EditedReceiver {
    /// Reads the settings of one receiver: a mapping, as it stands under `receivers`.
    pub(crate) fn read(settings: &str) -> Self {
        let indented: Vec<String> = settings.lines().map(|line| format!("    {line}\n")).collect();
        let text = format!("receivers:\n  -\n{}", indented.concat());
        let problems = Problems::default();
        let reading = Layers::of_text("form", &text).reading(&problems);
        let root = reading.map(|reading| reading.root);
        let written = root.as_ref().map_or(&[][..], |root| &root.receivers);
        let receiver = written.first().and_then(receivers::receiver);
        let mut problems: Vec<String> = problems.into_sorted().iter().map(told).collect();
        if written.len() > 1 {
            problems.push("write one receiver only".to_owned());
        }
        if receiver.is_none() && problems.is_empty() {
            problems.push("no receiver is described; write name and one kind".to_owned());
        }
        Self { receiver, problems }
    }
}

/// A mistake with the line of the form, which begins after the two lines around it.
fn told(problem: &keywatch_rules::Problem) -> String {
    let line = problem.line.saturating_sub(2).max(1);
    let remedy = if problem.remedy.is_empty() { String::new() } else { format!("; {}", problem.remedy) };
    format!("line {line}: {}{remedy}", problem.message)
}

/// The settings of a receiver as the configuration has them, one key a line.
pub(crate) fn settings_of(receiver: &Receiver) -> String {
    let mut lines = vec![
        format!("name: {}", Value::from(receiver.name.as_str())),
        format!("level: {}", receiver.level_min),
        format!("{}:", receiver.kind.as_str()),
    ];
    let Value::Object(kind) = kind_of(&receiver.kind) else { return lines.join("\n") };
    lines.extend(
        kind.into_iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(key, value)| format!("  {key}: {value}")),
    );
    lines.join("\n")
}

/// Stands in the form for what follows the host of an address: that is often a credential.
const HIDDEN: &str = "[hidden]";

/// What a form sent, with the address the receiver has where the form only hints at it. Hints at
/// another host stay hints, so nobody can have the rest sent elsewhere.
pub(crate) fn filled_in(settings: &str, receiver: &Receiver) -> String {
    match address_of(&receiver.kind) {
        Some(Address::Plain(url)) => settings.replace(&hint(url), url),
        Some(Address::Secret(_)) | None => settings.to_owned(),
    }
}

fn hint(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return HIDDEN.to_owned() };
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if rest.trim_end_matches('/') == host {
        return url.to_owned();
    }
    format!("{scheme}://{host}/{HIDDEN}")
}

fn address_of(kind: &ReceiverKind) -> Option<&Address> {
    match kind {
        ReceiverKind::Webhook(one) => Some(&one.address),
        ReceiverKind::Slack(one) => Some(&one.address),
        ReceiverKind::Teams(one) => Some(&one.address),
        ReceiverKind::PagerDuty(one) => Some(&one.address),
        ReceiverKind::Alertmanager(one) => Some(&one.address),
        ReceiverKind::Ocsf(one) => Some(&one.address),
        ReceiverKind::Sns(_) | ReceiverKind::Email(_) | ReceiverKind::Kafka(_) => None,
    }
}

fn secret(reference: &SecretRef) -> Value {
    let mut fields = Map::new();
    fields.insert("source".to_owned(), Value::from(reference.source.as_str()));
    fields.insert("path".to_owned(), Value::from(reference.path.as_str()));
    fields.extend(reference.key.as_deref().map(|key| ("key".to_owned(), Value::from(key))));
    fields.extend(reference.version.as_deref().map(|version| ("version".to_owned(), Value::from(version))));
    Value::from(fields)
}

fn secrets(references: &[SecretRef]) -> Value {
    Value::from(references.iter().map(secret).collect::<Vec<_>>())
}

fn address(address: &Address) -> Value {
    match address {
        Address::Plain(url) => Value::from(hint(url)),
        Address::Secret(reference) => secret(reference),
    }
}

fn auth(auth: Option<&Authorization>) -> Value {
    match auth {
        None => Value::Null,
        Some(Authorization::Bearer(reference)) => json!({"bearer": secret(reference)}),
        Some(Authorization::Basic { user, password }) => {
            json!({"basic": {"user": user, "password": secret(password)}})
        }
    }
}

fn kind_of(kind: &ReceiverKind) -> Value {
    match kind {
        ReceiverKind::Webhook(one) => json!({
            "url": address(&one.address), "secrets": secrets(&one.signing), "auth": auth(one.auth.as_ref()),
        }),
        ReceiverKind::Slack(one) => json!({"url": address(&one.address)}),
        ReceiverKind::Teams(one) => json!({"url": address(&one.address)}),
        ReceiverKind::PagerDuty(one) => {
            json!({"url": address(&one.address), "routing_key": secret(&one.routing_key)})
        }
        ReceiverKind::Alertmanager(one) => {
            json!({"url": address(&one.address), "auth": auth(one.auth.as_ref())})
        }
        ReceiverKind::Ocsf(one) => json!({
            "url": address(&one.address), "secrets": secrets(&one.signing), "auth": auth(one.auth.as_ref()),
        }),
        ReceiverKind::Sns(one) => json!({
            "topic": one.topic_arn, "endpoint": one.endpoint,
            "role": one.role.as_ref().map(|role| without_gaps(json!({
                "arn": role.arn, "external_id": role.external_id, "endpoint": role.endpoint,
            }))),
            "access_key": one.access_key.as_ref().map(|key| json!({"id": secret(&key.id), "secret": secret(&key.secret)})),
        }),
        ReceiverKind::Email(one) => json!({
            "host": one.host, "port": one.port,
            "tls": match one.tls { MailTls::Tls => "tls", MailTls::StartTls => "starttls", MailTls::None => "none" },
            "user": one.login.as_ref().map(|(user, _)| user),
            "password": one.login.as_ref().map(|(_, password)| secret(password)),
            "from": one.from, "to": one.to,
        }),
        ReceiverKind::Kafka(one) => kafka(one),
    }
}

fn kafka(one: &Kafka) -> Value {
    let tls = one.access.tls.as_ref().map(|tls| {
        let client = tls.client.as_ref();
        without_gaps(json!({
            "ca_file": tls.ca_file,
            "certificate_file": client.map(|client| &client.certificate_file),
            "key": client.map(|client| secret(&client.key)),
        }))
    });
    let sasl = one.access.sasl.as_ref().map(|sasl| {
        let mechanism = match sasl.mechanism {
            Mechanism::Plain => "plain",
            Mechanism::ScramSha256 => "scram-sha-256",
            Mechanism::ScramSha512 => "scram-sha-512",
        };
        let user = match &sasl.user {
            User::Plain(user) => Value::from(user.as_str()),
            User::Secret(reference) => secret(reference),
        };
        json!({"mechanism": mechanism, "user": user, "password": secret(&sasl.password)})
    });
    let mode = match one.mode {
        KafkaMode::Binary => "binary",
        KafkaMode::Structured => "structured",
    };
    json!({"brokers": one.access.brokers, "topic": one.topic, "mode": mode, "tls": tls, "sasl": sasl})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::testing::read_root;

    #[test]
    fn what_a_form_shows_reads_back_as_the_same_receiver() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/receivers.md");
        let text = std::fs::read_to_string(path).expect("docs/receivers.md");
        let blocks = text.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap_or_default());
        let mut seen = 0;
        for block in blocks {
            let root = read_root(block).0.expect("a configuration");
            for one in root.receivers.iter().filter_map(receivers::receiver) {
                let settings = filled_in(&settings_of(&one), &one);
                let EditedReceiver { receiver, problems } = EditedReceiver::read(&settings);
                assert_eq!(problems, Vec::<String>::new(), "{}", settings_of(&one));
                assert_eq!(receiver, Some(one));
                seen += 1;
            }
        }
        assert_eq!(seen, 9);
    }

    #[test]
    fn a_form_shows_no_more_of_an_address_than_its_host() {
        let text = "receivers: [{name: a, webhook: {url: \"https://h.example.com/k?token=T0KEN\", secret: {source: env, path: S}}}]";
        let root = read_root(text).0.expect("a configuration");
        let one = receivers::receiver(&root.receivers[0]).expect("a receiver");
        let shown = settings_of(&one);
        assert!(shown.contains("https://h.example.com/[hidden]") && !shown.contains("T0KEN"), "{shown}");
        let elsewhere = shown.replace("h.example.com", "evil.example.com");
        assert!(!filled_in(&elsewhere, &one).contains("T0KEN"));
    }

    #[test]
    fn mistakes_in_a_form_are_told_with_their_line() {
        let told = |text: &str| EditedReceiver::read(text).problems;
        assert_eq!(told("name: a\nslack:\n  ulr: {source: env, path: A}\n").len(), 2);
        let misspelt = told("name: a\nslack:\n  ulr: {source: env, path: A}\n");
        let is_meant = |problem: &String| problem.starts_with("line 3: ") && problem.contains("`ulr`");
        assert!(misspelt.iter().any(is_meant), "{misspelt:?}");
        assert_eq!(told("").len(), 1);
        assert!(!told("name: a\n- b: {").is_empty());
        assert!(
            !told("name: a\nslack: {url: {source: env, path: A}}\nteams: {url: {source: env, path: A}}")
                .is_empty()
        );
    }
}
