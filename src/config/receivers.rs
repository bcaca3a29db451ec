//! From what is written under `receivers` to receivers that can be told.

use super::frame::{At, Credential, CredentialUrl};
use super::section;
use keywatch_alerting::{Address, Receiver, ReceiverKind, Webhook};

/// The receiver a section describes; `None` when it has no kind, which is told already.
pub(super) fn receiver(written: &At<section::Receiver>) -> Option<Receiver> {
    let section::Receiver { name, level, concurrency, webhook } = &written.value;
    let kind = webhook.as_ref().map(|webhook| ReceiverKind::Webhook(webhook_of(webhook)))?;
    Some(Receiver { level_min: *level, concurrency: *concurrency, ..Receiver::new(name.value.clone(), kind) })
}

fn webhook_of(written: &section::Webhook) -> Webhook {
    let references = written.secret.iter().chain(&written.secrets);
    Webhook {
        address: address(&written.url.value),
        signing: references.map(|reference| reference.value.clone()).collect(),
        auth: None,
    }
}

fn address(written: &CredentialUrl) -> Address {
    match &written.0 {
        Credential::Value(value) => Address::Plain(value.expose().to_owned()),
        Credential::Reference(reference) => Address::Secret(reference.clone()),
    }
}
