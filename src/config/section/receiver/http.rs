//! Receivers that are reached over HTTPS.

use crate::config::frame::{At, CredentialUrl, Origin, Problems, default, need, section};
use keywatch_secrets::SecretRef;

section! {
    /// A signed webhook (Standard Webhooks 1.0).
    pub(crate) struct Webhook {
        /// Where to POST.
        url: At<CredentialUrl> = need("write the https:// address to POST to"),
        /// What messages are signed with: `whsec_` and 24 to 64 random bytes in base64, or a private
        /// ed25519 key, `whsk_` and its bytes in base64.
        secret: Option<At<SecretRef>>,
        /// Several of them while secrets are exchanged.
        secrets: Vec<At<SecretRef>>,
        /// What the endpoint wants to see besides the signature.
        auth: Option<Auth>,
    }
    check: check;
}

fn check(webhook: &Webhook, at: &Origin, problems: &Problems) {
    if webhook.secret.is_none() && webhook.secrets.is_empty() {
        let remedy =
            "write `secret: {source: file, path: …}` or `{source: env, path: NAME}`; every message is signed";
        problems.add(at, "`secret` is missing", remedy);
    }
}

section! {
    /// How Keywatch shows who it is: one of the two.
    pub(crate) struct Auth {
        /// A bearer token.
        bearer: Option<SecretRef>,
        /// A user and a password.
        basic: Option<Basic>,
    }
    one_of: [bearer, basic];
}

section! {
    /// A user and a password.
    pub(crate) struct Basic {
        /// The user's name.
        user: String = need("name the user"),
        /// The password.
        password: SecretRef = need("write `{source: …, path: …}`"),
    }
}

section! {
    /// A Slack channel, through an incoming webhook.
    pub(crate) struct Slack {
        /// Where the webhook's address lies: whoever knows it can post.
        url: SecretRef = need("store the webhook's address as a secret and write `{source: …, path: …}`"),
    }
}

section! {
    /// A channel or chat of Microsoft Teams, through a workflow.
    pub(crate) struct Teams {
        /// Where the workflow's address lies: whoever knows it can post.
        url: SecretRef = need("store the workflow's address as a secret and write `{source: …, path: …}`"),
    }
}

section! {
    /// A PagerDuty service, through Events API v2.
    pub(crate) struct PagerDuty {
        /// Where the integration key lies.
        routing_key: SecretRef = need("store the integration key as a secret and write `{source: …, path: …}`"),
        /// Where events go; the European service region has `https://events.eu.pagerduty.com/v2/enqueue`.
        url: At<CredentialUrl> = default("https://events.pagerduty.com/v2/enqueue"),
    }
}

section! {
    /// A Prometheus Alertmanager, through its API v2. Several instances are several receivers.
    pub(crate) struct Alertmanager {
        /// Its base address, without `/api/v2`.
        url: At<CredentialUrl> = need("write its https:// address, without /api/v2"),
        /// What a proxy in front of it wants to see.
        auth: Option<Auth>,
    }
}

section! {
    /// A data lake or SIEM: OCSF 1.8 findings as CloudEvents.
    pub(crate) struct Ocsf {
        /// Where to POST.
        url: At<CredentialUrl> = need("write the https:// address to POST to"),
        /// What messages are signed with, as for a webhook; not signed without.
        secrets: Vec<SecretRef>,
        /// How Keywatch shows who it is.
        auth: Option<Auth>,
    }
}
