//! How secrets are resolved: how long they are kept, and how each backend is reached.
//!
//! What a backend needs to be asked (a Vault token, a client secret) is itself a reference, but only
//! to the environment or a file: a backend that needed another to be asked could end in a circle,
//! and would put two outages between Keywatch and one secret.

use crate::{Clock, SecretRef, SecretValue, Source};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// Looks a variable of the environment up; `None` when it is not set.
pub type Environment = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// How secrets are resolved.
#[derive(Clone)]
pub struct Settings {
    /// How variables are looked up.
    pub environment: Environment,
    /// How long a value is used without asking again, from [`Self::TTL_MIN`] to [`Self::TTL_MAX`].
    pub ttl: Duration,
    /// How much longer a value is used while its backend cannot be asked, at most
    /// [`Self::STALE_MAX`]. A backend that answers "no" ends it at once.
    pub stale_for: Duration,
    /// How long one question to a backend may take, login included; at most [`Self::TIMEOUT_MAX`].
    pub timeout: Duration,
    /// The clock ages and waits are measured with.
    pub clock: Clock,
    /// AWS Secrets Manager.
    pub aws: AwsSettings,
    /// Google Secret Manager.
    pub gcp: GcpSettings,
    /// Azure Key Vault.
    pub azure: AzureSettings,
    /// Vault or OpenBao.
    pub vault: VaultSettings,
}

/// How AWS Secrets Manager is reached. Without anything told, as every AWS program does: from the
/// environment, the profile, the container or the machine.
#[derive(Clone, Default)]
pub struct AwsSettings {
    /// Region of names without one; an ARN names its own.
    pub region: Option<String>,
    /// Profile of the shared configuration.
    pub profile: Option<String>,
    /// Another address of Secrets Manager, such as a VPC endpoint.
    pub endpoint: Option<Url>,
    /// Another address of STS.
    pub sts_endpoint: Option<Url>,
    /// An access key instead of what the machine has.
    pub access_key: Option<AccessKey>,
    /// The role to take on before anything is read.
    pub role: Option<AssumeRole>,
    /// Roles to take on for the secrets of other accounts, by account id. The account of an ARN
    /// chooses.
    pub accounts: BTreeMap<String, AssumeRole>,
}

/// An access key of AWS.
#[derive(Clone)]
pub struct AccessKey {
    /// The key's id; no secret.
    pub id: String,
    /// Where its secret lies.
    pub secret: SecretRef,
}

/// A role to take on.
#[derive(Clone)]
pub struct AssumeRole {
    /// The role.
    pub arn: String,
    /// The external id its trust policy asks for.
    pub external_id: Option<String>,
}

/// How Google Secret Manager is reached.
#[derive(Clone, Default)]
pub struct GcpSettings {
    /// Project of names without one.
    pub project: Option<String>,
    /// Another address of Secret Manager.
    pub endpoint: Option<Url>,
    /// Where the JSON of a service account's key or of a workload identity federation lies; the
    /// application default credentials unless told.
    pub credentials: Option<SecretRef>,
    /// Whether to ask without credentials, for an emulator.
    pub anonymous: bool,
}

/// How Azure Key Vault is reached.
#[derive(Clone, Default)]
pub struct AzureSettings {
    /// Vault of names without one, such as `https://keywatch.vault.azure.net`.
    pub vault_url: Option<Url>,
    /// Who Keywatch is there.
    pub identity: AzureIdentity,
    /// Where tokens are issued, for a sovereign cloud; the public cloud unless told.
    pub authority: Option<Url>,
    /// Where the machine's metadata service is, when it is not where Azure puts it.
    pub metadata: Option<Url>,
    /// A file with certificates to trust besides the system's.
    pub ca_file: Option<PathBuf>,
    /// Addresses of hosts that no name server knows, such as private endpoints.
    pub hosts: Vec<(String, SocketAddr)>,
}

/// Who Keywatch is in Azure.
#[derive(Clone, Default)]
pub enum AzureIdentity {
    /// The identity of the machine or the app service.
    #[default]
    Machine,
    /// One of the machine's identities, by its client id.
    MachineNamed {
        /// The identity's client id.
        client_id: String,
    },
    /// The identity of a Kubernetes service account; what is not told comes from the pod.
    Workload {
        /// The tenant.
        tenant_id: Option<String>,
        /// The application.
        client_id: Option<String>,
        /// The file with the service account's token.
        token_file: Option<PathBuf>,
    },
    /// An application with a secret.
    Client {
        /// The tenant.
        tenant_id: String,
        /// The application.
        client_id: String,
        /// Where its secret lies.
        secret: SecretRef,
    },
}

/// How Vault or OpenBao is reached.
#[derive(Clone, Default)]
pub struct VaultSettings {
    /// Its address, such as `https://vault.example.org:8200`.
    pub address: Option<Url>,
    /// The namespace everything happens in.
    pub namespace: Option<String>,
    /// A file with certificates to trust besides the system's.
    pub ca_file: Option<PathBuf>,
    /// Whether `http` is allowed to an address that is not this machine.
    pub allow_http: bool,
    /// How Keywatch logs in.
    pub login: VaultLogin,
    /// Mounts and the version of their key-value engine, for tokens that may not ask.
    pub mounts: BTreeMap<String, KvVersion>,
}

/// How Keywatch logs in to Vault.
#[derive(Clone, Default)]
pub enum VaultLogin {
    /// Nothing was told.
    #[default]
    None,
    /// A token.
    Token(SecretRef),
    /// AppRole.
    AppRole {
        /// Where the method is mounted; `approle` is usual.
        mount: String,
        /// The role id.
        role_id: Told,
        /// Where the secret id lies, for a role that needs one.
        secret_id: Option<SecretRef>,
    },
    /// The token of a Kubernetes service account.
    Kubernetes {
        /// Where the method is mounted; `kubernetes` is usual.
        mount: String,
        /// The role.
        role: String,
        /// The file with the service account's token.
        token_file: PathBuf,
    },
}

/// What may be told itself or by reference, as it is no secret on its own.
#[derive(Clone)]
pub enum Told {
    /// The value.
    Plain(SecretValue),
    /// Where it lies.
    At(SecretRef),
}

/// Versions of Vault's key-value engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KvVersion {
    /// Without versions of secrets.
    One,
    /// With versions of secrets.
    Two,
}

/// A setting that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {problem}")]
pub struct BadSetting {
    /// Which setting, as it is called in a configuration.
    pub key: &'static str,
    /// What is wrong with it, and what would do.
    pub problem: String,
}

impl Settings {
    /// Shortest time a value is used without asking again: less would be asking each time.
    pub const TTL_MIN: Duration = Duration::from_secs(10);
    /// Longest time: a rotated secret that nobody refuses is noticed within an hour.
    pub const TTL_MAX: Duration = Duration::from_hours(1);
    /// How long a value is used unless told.
    pub const TTL: Duration = Duration::from_mins(5);
    /// Longest time a value outlives its TTL while the backend cannot be asked.
    pub const STALE_MAX: Duration = Duration::from_hours(24);
    /// How long it does unless told.
    pub const STALE: Duration = Duration::from_hours(1);
    /// How long one question may take unless told.
    pub const TIMEOUT: Duration = Duration::from_secs(10);
    /// Longest time one question may take.
    pub const TIMEOUT_MAX: Duration = Duration::from_mins(1);

    /// The settings of a program nobody told anything.
    #[must_use]
    pub fn new(environment: Environment) -> Self {
        Self {
            environment,
            ttl: Self::TTL,
            stale_for: Self::STALE,
            timeout: Self::TIMEOUT,
            clock: Clock::real(),
            aws: AwsSettings::default(),
            gcp: GcpSettings::default(),
            azure: AzureSettings::default(),
            vault: VaultSettings::default(),
        }
    }

    /// Everything that is wrong with them, all at once.
    #[must_use]
    pub fn problems(&self) -> Vec<BadSetting> {
        let mut bad = Vec::new();
        let mut say = |key, problem: String| bad.push(BadSetting { key, problem });
        if self.ttl < Self::TTL_MIN || self.ttl > Self::TTL_MAX {
            say("ttl", format!("{:?} is not between 10s and 1h; 5 to 15 minutes are sensible", self.ttl));
        }
        if self.stale_for > Self::STALE_MAX {
            say(
                "stale_for",
                format!("{:?} is more than 24h; a value that old is no longer a secret's", self.stale_for),
            );
        }
        if self.timeout.is_zero() || self.timeout > Self::TIMEOUT_MAX {
            say("timeout", format!("{:?} is not between 1s and 60s", self.timeout));
        }
        for (key, reference) in self.own_credentials() {
            if !matches!(reference.source, Source::Env | Source::File) {
                say(
                    key,
                    format!(
                        "`{reference}` is in a backend itself; only `env` and `file` cannot end in a circle"
                    ),
                );
            }
        }
        for (key, url, allowed) in self.addresses() {
            if !allowed && !is_private(url) {
                say(key, format!("`{}` would send secrets in clear; write https", shown(url)));
            }
        }
        bad
    }

    fn own_credentials(&self) -> Vec<(&'static str, &SecretRef)> {
        let mut all = Vec::new();
        all.extend(self.aws.access_key.as_ref().map(|key| ("aws.secret_access_key", &key.secret)));
        all.extend(self.gcp.credentials.as_ref().map(|reference| ("gcp.credentials", reference)));
        if let AzureIdentity::Client { secret, .. } = &self.azure.identity {
            all.push(("azure.client_secret", secret));
        }
        match &self.vault.login {
            VaultLogin::Token(token) => all.push(("vault.token", token)),
            VaultLogin::AppRole { role_id, secret_id, .. } => {
                if let Told::At(reference) = role_id {
                    all.push(("vault.app_role.role_id", reference));
                }
                all.extend(secret_id.as_ref().map(|secret| ("vault.app_role.secret_id", secret)));
            }
            VaultLogin::None | VaultLogin::Kubernetes { .. } => {}
        }
        all
    }

    fn addresses(&self) -> Vec<(&'static str, &Url, bool)> {
        let told = [
            ("aws.endpoint", &self.aws.endpoint, false),
            ("aws.sts_endpoint", &self.aws.sts_endpoint, false),
            ("gcp.endpoint", &self.gcp.endpoint, false),
            ("azure.vault_url", &self.azure.vault_url, false),
            ("azure.authority", &self.azure.authority, false),
            ("vault.address", &self.vault.address, self.vault.allow_http),
        ];
        told.into_iter().filter_map(|(key, url, allowed)| Some((key, url.as_ref()?, allowed))).collect()
    }
}

/// Whether what is sent to an address is read by nobody on the way: https, or this machine.
pub(crate) fn is_private(url: &Url) -> bool {
    let here = match url.host() {
        // RFC 6761, 6.3: names below localhost are this machine too.
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    url.scheme() == "https" || (url.scheme() == "http" && here)
}

/// An address without a user name, a password or a query, for a message.
pub(crate) fn shown(url: &Url) -> String {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{}{port}", url.scheme(), url.host_str().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain() -> Settings {
        Settings::new(Arc::new(|_: &str| None))
    }

    #[test]
    fn settings_nobody_told_anything_are_good() {
        assert_eq!(plain().problems(), Vec::new());
    }

    #[test]
    fn every_problem_is_told_at_once() {
        let mut settings = plain();
        settings.ttl = Duration::from_secs(9);
        settings.stale_for = Duration::from_hours(25);
        settings.timeout = Duration::ZERO;
        settings.gcp.endpoint = Url::parse("http://user:pw@secrets.example.org/?a=b").ok();
        settings.vault.address = Url::parse("http://vault.example.org:8200").ok();
        settings.vault.login = VaultLogin::Token("vault:secret/own#token".parse().expect("a reference"));
        let keys: Vec<_> = settings.problems().iter().map(|bad| bad.key).collect();
        assert_eq!(keys, ["ttl", "stale_for", "timeout", "vault.token", "gcp.endpoint", "vault.address"]);
        let said = settings.problems().iter().map(ToString::to_string).collect::<String>();
        assert!(!said.contains("pw"), "{said}");
        settings.vault.allow_http = true;
        assert!(!settings.problems().iter().any(|bad| bad.key == "vault.address"));
    }

    #[test]
    fn only_this_machine_is_spoken_to_in_clear() {
        for (url, expected) in [
            ("https://vault.example.org", true),
            ("http://127.0.0.1:8200", true),
            ("http://[::1]:8200", true),
            ("http://localhost:8200", true),
            ("http://vault.localhost:8200", true),
            ("http://localhost.example.org", false),
            ("http://10.0.0.1:8200", false),
            ("ftp://127.0.0.1", false),
        ] {
            assert_eq!(is_private(&Url::parse(url).expect("a URL")), expected, "{url}");
        }
    }
}
