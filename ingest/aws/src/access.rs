//! Who Keywatch is to AWS: the default chain, a profile, keys kept as secrets, and roles on top.
//!
//! One cache of credentials per source serves every client, so that a refusal can throw away what
//! was refused, and the next request asks for new ones.

use crate::identity::{Handle, Own, Stored, TakenOn};
use crate::refusal::Refusal;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
use aws_sdk_sqs::config::retry::RetryConfig;
use aws_sdk_sqs::config::timeout::TimeoutConfig;
use aws_sdk_sqs::config::{IdentityCache, Region};
use keywatch_secrets::{SecretManager, SecretRef};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::Mutex;

/// Seconds before their end that credentials are renewed, as AWS's own clients do.
const RENEW_BEFORE: Duration = Duration::from_mins(5);
/// How long credentials without an end are used before they are asked for again: a rotated key
/// takes over within this time.
const ASK_AGAIN: Duration = Duration::from_mins(5);
/// A request's time: a long poll takes 20 seconds.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(40);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How a source reaches AWS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// Region of the queue or of the interface; the chain's when absent.
    pub region: Option<String>,
    /// Another address for every service: a compatible one, or a test's.
    pub endpoint: Option<String>,
    /// A profile of the shared configuration files.
    pub profile: Option<String>,
    /// Keys instead of the chain or a profile.
    pub keys: Option<Keys>,
    /// Roles to take on, one after the other: the first with those credentials, each other with the
    /// one before. AWS ends the session of a role taken on with a role after an hour at most.
    pub roles: Vec<Role>,
}

/// Keys of an IAM user, each a reference to a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys {
    /// Where the access key's id lies.
    pub id: SecretRef,
    /// Where the secret access key lies.
    pub secret: SecretRef,
}

/// A role to take on (`sts:AssumeRole`).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Role {
    /// Its ARN.
    pub arn: String,
    /// What the role's trust policy asks for when the role belongs to somebody else.
    pub external_id: Option<String>,
}

impl Role {
    /// The account the role belongs to: the fifth part of its ARN.
    #[must_use]
    pub fn account(&self) -> &str {
        self.arn.split(':').nth(4).filter(|account| !account.is_empty()).unwrap_or(&self.arn)
    }
}

/// An open way to AWS: the configuration of its clients, and the credentials behind it.
#[derive(Clone, Debug)]
pub(crate) struct Way {
    pub(crate) config: SdkConfig,
    pub(crate) wallet: Wallet,
}

impl Access {
    /// Prepares clients. Credentials are asked for when they are needed.
    pub(crate) async fn open(&self, secrets: &SecretManager) -> Way {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .operation_attempt_timeout(REQUEST_TIMEOUT)
            .build();
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .retry_config(RetryConfig::disabled())
            .timeout_config(timeouts)
            .identity_cache(IdentityCache::no_cache())
            .no_credentials();
        if let Some(region) = &self.region {
            loader = loader.region(Region::new(region.clone()));
        }
        if let Some(endpoint) = &self.endpoint {
            loader = loader.endpoint_url(endpoint);
        }
        if let Some(profile) = &self.profile {
            loader = loader.profile_name(profile);
        }
        let mut config = loader.load().await;
        let stored = self.keys.clone().map(|keys| Arc::new(Stored::new(keys, secrets.clone())));
        let mut inner = match &stored {
            Some(stored) => SharedCredentialsProvider::new(Handle(Arc::clone(stored))),
            None => SharedCredentialsProvider::new(Own::new(self.profile.clone(), &config)),
        };
        for role in &self.roles {
            config = config.into_builder().credentials_provider(inner).build();
            inner = SharedCredentialsProvider::new(TakenOn::new(role, &config).await);
        }
        let wallet = Wallet(Arc::new(Purse { inner, stored, held: Mutex::new(None) }));
        let signer = SharedCredentialsProvider::new(wallet.clone());
        Way { config: config.into_builder().credentials_provider(signer).build(), wallet }
    }

    /// The same access to another region, with one more role when another account is meant.
    #[must_use]
    pub fn elsewhere(&self, role: Option<&Role>, region: &str) -> Self {
        let roles = self.roles.iter().chain(role).cloned().collect();
        Self { region: Some(region.to_owned()), roles, ..self.clone() }
    }
}

/// The credentials in use, renewed when their end is near.
#[derive(Clone)]
pub(crate) struct Wallet(Arc<Purse>);

struct Purse {
    inner: SharedCredentialsProvider,
    stored: Option<Arc<Stored>>,
    held: Mutex<Option<(Credentials, Instant)>>,
}

impl Wallet {
    /// The credentials to sign with. One caller asks for new ones, the others wait for it.
    pub(crate) async fn credentials(&self) -> Result<Credentials, CredentialsError> {
        let mut held = self.0.held.lock().await;
        if let Some((credentials, since)) = &*held
            && is_fresh(credentials, *since)
        {
            return Ok(credentials.clone());
        }
        let credentials = self.0.inner.provide_credentials().await?;
        *held = Some((credentials.clone(), Instant::now()));
        Ok(credentials)
    }

    /// Throws away what was refused.
    pub(crate) async fn forget(&self) {
        if let Some(stored) = &self.0.stored {
            stored.refuse();
        }
        *self.0.held.lock().await = None;
    }
}

fn is_fresh(credentials: &Credentials, since: Instant) -> bool {
    match credentials.expiry() {
        Some(end) => is_ahead(end),
        None => since.elapsed() < ASK_AGAIN,
    }
}

#[expect(clippy::disallowed_methods, reason = "AWS dates the end of credentials by the real clock")]
fn is_ahead(end: SystemTime) -> bool {
    end.duration_since(SystemTime::now()).is_ok_and(|left| left > RENEW_BEFORE)
}

impl ProvideCredentials for Wallet {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.credentials())
    }
}

#[async_trait::async_trait]
impl object_store::CredentialProvider for Wallet {
    type Credential = object_store::aws::AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<Self::Credential>> {
        let found = self.credentials().await.map_err(|error| object_store::Error::Unauthenticated {
            path: "credentials".to_owned(),
            // The cause alone, so that whoever reads the error finds it.
            source: Refusal::among(&error).cloned().map_or_else(|| error.into(), Into::into),
        })?;
        Ok(Arc::new(object_store::aws::AwsCredential {
            key_id: found.access_key_id().to_owned(),
            secret_key: found.secret_access_key().to_owned(),
            token: found.session_token().map(str::to_owned),
        }))
    }
}

impl fmt::Debug for Wallet {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Wallet([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn keys_are_kept_until_they_are_refused_and_then_asked_for_anew() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        let named = |name: &str| format!("file:{}", folder.path().join(name).display()).parse().unwrap();
        file("id", "AKIAOLD");
        file("secret", "old");
        let secrets = SecretManager::new(keywatch_secrets::Settings::new(Arc::new(|_| None)));
        let keys = Keys { id: named("id"), secret: named("secret") };
        let access =
            Access { region: Some("eu-central-1".to_owned()), keys: Some(keys), ..Access::default() };
        let wallet = access.open(&secrets).await.wallet;
        assert_eq!(wallet.credentials().await.unwrap().access_key_id(), "AKIAOLD");
        file("id", "AKIANEW");
        assert_eq!(wallet.credentials().await.unwrap().access_key_id(), "AKIAOLD");
        wallet.forget().await;
        assert_eq!(wallet.credentials().await.unwrap().access_key_id(), "AKIANEW");
        assert!(!format!("{:?}", access.open(&secrets).await).contains("old"));
    }

    #[test]
    fn a_role_names_its_account() {
        let role = |arn: &str| Role { arn: arn.to_owned(), external_id: None };
        assert_eq!(role("arn:aws:iam::111122223333:role/keywatch").account(), "111122223333");
        assert_eq!(role("nonsense").account(), "nonsense");
    }
}
