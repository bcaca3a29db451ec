//! From what is written under `receivers` to receivers that can be told.

use super::frame::{At, Credential, CredentialUrl};
use super::section;
use keywatch_alerting::{
    AccessKey, Address, Alertmanager, Authorization, Email, Kafka, KafkaMode, MailTls, Ocsf, PagerDuty,
    Receiver, ReceiverKind, Role, Slack, Sns, Teams, Webhook,
};
use section::MailSecurity;
use std::num::NonZeroU32;

/// The receiver a section describes; `None` when it has no kind, which is told already.
pub(super) fn receiver(written: &At<section::Receiver>) -> Option<Receiver> {
    let written = &written.value;
    let rate = written.rate_per_minute.and_then(|rate| u32::try_from(rate).ok());
    Some(Receiver {
        name: written.name.value.clone(),
        level_min: written.level,
        concurrency: written.concurrency,
        rate_per_minute: rate.and_then(NonZeroU32::new),
        ca_file: written.ca_file.clone(),
        kind: kind(written)?,
    })
}

fn kind(written: &section::Receiver) -> Option<ReceiverKind> {
    let kinds = [
        written.webhook.as_ref().map(webhook),
        written.sns.as_ref().map(sns),
        written
            .slack
            .as_ref()
            .map(|slack| ReceiverKind::Slack(Slack { address: Address::Secret(slack.url.clone()) })),
        written
            .teams
            .as_ref()
            .map(|teams| ReceiverKind::Teams(Teams { address: Address::Secret(teams.url.clone()) })),
        written.pagerduty.as_ref().map(|pagerduty| {
            let address = address(&pagerduty.url.value);
            ReceiverKind::PagerDuty(PagerDuty { address, routing_key: pagerduty.routing_key.clone() })
        }),
        written.alertmanager.as_ref().map(|alertmanager| {
            let auth = auth(alertmanager.auth.as_ref());
            ReceiverKind::Alertmanager(Alertmanager { address: address(&alertmanager.url.value), auth })
        }),
        written.email.as_ref().map(email),
        written.kafka.as_ref().map(kafka),
        written.ocsf.as_ref().map(|ocsf| {
            let (address, auth) = (address(&ocsf.url.value), auth(ocsf.auth.as_ref()));
            ReceiverKind::Ocsf(Ocsf { address, signing: ocsf.secrets.clone(), auth })
        }),
    ];
    kinds.into_iter().flatten().next()
}

fn webhook(written: &section::Webhook) -> ReceiverKind {
    let references = written.secret.iter().chain(&written.secrets);
    ReceiverKind::Webhook(Webhook {
        address: address(&written.url.value),
        signing: references.map(|reference| reference.value.clone()).collect(),
        auth: auth(written.auth.as_ref()),
    })
}

fn sns(written: &section::Sns) -> ReceiverKind {
    let role = written.role.as_ref().map(|role| Role {
        arn: role.arn.clone(),
        external_id: role.external_id.clone(),
        endpoint: role.endpoint.clone(),
    });
    let key = |key: &section::SnsKey| AccessKey { id: key.id.clone(), secret: key.secret.clone() };
    ReceiverKind::Sns(Sns {
        topic_arn: written.topic.clone(),
        endpoint: written.endpoint.clone(),
        role,
        access_key: written.access_key.as_ref().map(key),
    })
}

fn kafka(written: &section::KafkaTopic) -> ReceiverKind {
    let mode = match written.mode {
        section::KafkaLayout::Binary => KafkaMode::Binary,
        section::KafkaLayout::Structured => KafkaMode::Structured,
    };
    let access = section::kafka_access(&written.brokers, written.tls.as_ref(), written.sasl.as_ref());
    ReceiverKind::Kafka(Kafka { access, topic: written.topic.clone(), mode })
}

fn email(written: &section::Email) -> ReceiverKind {
    let tls = match written.tls {
        MailSecurity::Tls => MailTls::Tls,
        MailSecurity::StartTls => MailTls::StartTls,
        MailSecurity::None => MailTls::None,
    };
    ReceiverKind::Email(Email {
        host: written.host.clone(),
        port: u16::try_from(written.port).unwrap_or(587),
        tls,
        login: written.user.clone().zip(written.password.clone()),
        from: written.from.clone(),
        to: written.to.clone(),
    })
}

fn auth(written: Option<&section::Auth>) -> Option<Authorization> {
    let section::Auth { bearer, basic } = written?;
    let basic = basic
        .as_ref()
        .map(|basic| Authorization::Basic { user: basic.user.clone(), password: basic.password.clone() });
    bearer.clone().map(Authorization::Bearer).or(basic)
}

fn address(written: &CredentialUrl) -> Address {
    match &written.0 {
        Credential::Value(value) => Address::Plain(value.expose().to_owned()),
        Credential::Reference(reference) => Address::Secret(reference.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::testing::{problems, read_root};

    /// The `yaml` blocks of `docs/receivers.md`.
    fn blocks() -> Vec<String> {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/receivers.md");
        let text = std::fs::read_to_string(path).expect("docs/receivers.md");
        let found = text.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap_or_default());
        found.map(str::to_owned).collect()
    }

    #[test]
    fn every_block_of_the_guide_is_a_configuration_and_every_kind_has_one() {
        let mut kinds = Vec::new();
        for block in blocks() {
            assert_eq!(problems(&block), Vec::<String>::new(), "{block}");
            let root = read_root(&block).0.expect("a configuration");
            kinds.extend(root.receivers.iter().filter_map(receiver).map(|one| one.kind.as_str()));
        }
        kinds.sort_unstable();
        assert_eq!(
            kinds,
            ["alertmanager", "email", "kafka", "ocsf", "pagerduty", "slack", "sns", "teams", "webhook"]
        );
    }

    #[test]
    fn what_is_written_is_what_is_used() {
        let text = "receivers:\n  - name: mail\n    rate_per_minute: 30\n    ca_file: /etc/ca.pem\n    email: {host: mail.example.org, port: 465, tls: tls, user: u, password: {source: env, path: P}, from: a@b.example, to: [c@d.example]}\n";
        let root = read_root(text).0.expect("a configuration");
        let one = receiver(&root.receivers[0]).expect("a receiver");
        assert_eq!(one.rate_per_minute.map(NonZeroU32::get), Some(30));
        let ReceiverKind::Email(email) = one.kind else { panic!("another kind") };
        assert_eq!((email.port, email.tls), (465, MailTls::Tls));
        assert_eq!(
            email.login.map(|(user, password)| format!("{user} {password}")),
            Some("u env:P".to_owned())
        );
    }

    #[test]
    fn two_kinds_half_a_login_and_an_address_in_clear_are_mistakes() {
        for (written, part) in [
            ("slack: {url: https://hooks.slack.com/services/T0/B0/hunter2}", "no reference to a secret"),
            ("email: {host: h, user: u, from: a@b.example, to: [c@d.example]}", "belong together"),
            ("sns: {topic: alerts}", "is no topic"),
            ("email: {host: h, from: nobody, to: [c@d.example]}", "is no address"),
            ("email: {host: h, from: a@b.example, to: []}", "0 recipients"),
            ("ocsf: {url: http://127.0.0.1/}", "without encryption"),
        ] {
            let found = problems(&format!("receivers:\n  - name: one\n    {written}\n"));
            assert!(found.iter().any(|problem| problem.contains(part)), "{written}: {found:?}");
            assert!(!found.concat().contains("hunter2"), "{found:?}");
        }
        let both = "receivers:\n  - name: one\n    teams: {url: {source: env, path: T}}\n    slack: {url: {source: env, path: S}}\n";
        assert_eq!(problems(both).len(), 1, "{:?}", problems(both));
    }
}
