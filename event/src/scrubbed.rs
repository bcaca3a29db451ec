//! The marks that stand where a secret value was taken out of a record, and their kinds.

use memchr::memmem::Finder;
use std::sync::LazyLock;

/// Begins every mark.
pub const MARK: &str = "[scrubbed:";

static FINDER: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(MARK));

macro_rules! kinds {
    ($($(#[$doc:meta])* $constant:ident = $name:literal,)+) => {
        $($(#[$doc])* pub const $constant: &str = $name;)+
        /// Every kind of secret value that is recognised.
        pub const KINDS: &[&str] = &[$($name,)+];
    };
}

kinds! {
    /// The content of a secret: SecretString, payload.data, a parameter's value.
    SECRET_VALUE = "secret-value",
    /// What a key service decrypted.
    PLAINTEXT = "plaintext",
    /// A password behind a name that says so.
    PASSWORD = "password",
    /// Any other credential behind a name that says so.
    CREDENTIAL = "credential",
    /// A string in a Vault request or response that Vault was told not to hash.
    VAULT_VALUE = "vault-value",
    /// A Vault or OpenBao token.
    VAULT_TOKEN = "vault-token",
    /// The accessor of a token; a fingerprint follows, so that one token stays one principal.
    VAULT_ACCESSOR = "vault-accessor",
    /// A number in a secret of Vault's KV engine: Vault hashes strings only.
    NUMBER = "number",
    /// The secret half of an AWS access key.
    AWS_SECRET_KEY = "aws-secret-key",
    /// GitHub.
    GITHUB_TOKEN = "github-token",
    /// GitLab.
    GITLAB_TOKEN = "gitlab-token",
    /// Slack tokens.
    SLACK_TOKEN = "slack-token",
    /// The address of a Slack webhook, which is its credential.
    SLACK_WEBHOOK = "slack-webhook",
    /// OAuth access token of Google.
    GOOGLE_TOKEN = "google-token",
    /// API key of Google.
    GOOGLE_API_KEY = "google-api-key",
    /// OAuth client secret of Google.
    GOOGLE_CLIENT_SECRET = "google-client-secret",
    /// A signed JSON web token.
    JWT = "jwt",
    /// A private key in PEM.
    PRIVATE_KEY = "private-key",
    /// Stripe.
    STRIPE_KEY = "stripe-key",
    /// SendGrid.
    SENDGRID_KEY = "sendgrid-key",
    /// npm.
    NPM_TOKEN = "npm-token",
    /// PyPI.
    PYPI_TOKEN = "pypi-token",
    /// The signing secret of a webhook.
    WEBHOOK_SECRET = "webhook-secret",
    /// DigitalOcean.
    DIGITALOCEAN_TOKEN = "digitalocean-token",
    /// Anthropic or OpenAI.
    AI_API_KEY = "ai-api-key",
    /// Shopify.
    SHOPIFY_TOKEN = "shopify-token",
    /// Grafana.
    GRAFANA_TOKEN = "grafana-token",
    /// The signature in a signed URL of Azure or AWS.
    URL_SIGNATURE = "url-signature",
    /// The password in a URL.
    URL_PASSWORD = "url-password",
    /// The key in a connection string of Azure.
    AZURE_KEY = "azure-key",
}

/// The kinds of the marks in `record`, each once, in the order they first stand there.
///
/// A mark of another kind is somebody's text, not ours.
#[must_use]
pub fn marks(record: &[u8]) -> Vec<&'static str> {
    let mut found = Vec::new();
    for at in FINDER.find_iter(record) {
        let rest = record.get(at + MARK.len()..).unwrap_or_default();
        let end = rest.iter().take(40).position(|byte| matches!(byte, b']' | b'~'));
        let word = rest.get(..end.unwrap_or(0)).unwrap_or_default();
        let kind = KINDS.iter().find(|kind| kind.as_bytes() == word);
        found.extend(kind.filter(|kind| !found.contains(*kind)));
    }
    found
}
