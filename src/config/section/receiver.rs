//! Who is told about alerts.

use crate::config::frame::{At, CredentialUrl, Origin, Problems, default, need, section};
use keywatch_event::Level;
use keywatch_secrets::SecretRef;

section! {
    /// One receiver of alerts.
    pub(crate) struct Receiver {
        /// Its name, under which its deliveries are kept.
        name: At<String> = need("give the receiver a name of its own"),
        /// The least urgent alerts it wants: warning, high or critical.
        level: Level = default("warning"),
        /// How many messages may be under way to it at a time.
        concurrency: usize [1..=64] = default("4"),
        /// A signed webhook (Standard Webhooks 1.0).
        webhook: Option<Webhook>,
    }
    one_of: [webhook];
}

section! {
    /// A signed webhook (Standard Webhooks 1.0).
    pub(crate) struct Webhook {
        /// Where to POST.
        url: At<CredentialUrl> = need("write the https:// address to POST to"),
        /// What messages are signed with: `whsec_` and 24 to 64 random bytes in base64.
        secret: Option<At<SecretRef>>,
        /// Several of them while secrets are exchanged.
        secrets: Vec<At<SecretRef>>,
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
