//! Who Keywatch is to AWS: the default chain, a profile, keys kept as secrets, and roles on top.
//!
//! One cache of credentials per source serves every client, so that a refusal can throw away what
//! was refused, and the next request asks for new ones.

use aws_config::{BehaviorVersion, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
use aws_sdk_sqs::config::retry::RetryConfig;
use aws_sdk_sqs::config::timeout::TimeoutConfig;
use aws_sdk_sqs::config::{IdentityCache, Region};
use keywatch_secrets::{SecretManager, SecretRef, SecretValue};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
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
/// What CloudTrail shows as the session's name in Keywatch's own calls.
const SESSION_NAME: &str = "keywatch";

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
    /// A role to take on with those credentials.
    pub role: Option<Role>,
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
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .retry_config(RetryConfig::disabled())
            .timeout_config(
                TimeoutConfig::builder()
                    .connect_timeout(CONNECT_TIMEOUT)
                    .operation_attempt_timeout(REQUEST_TIMEOUT)
                    .build(),
            )
            .identity_cache(IdentityCache::no_cache());
        if let Some(region) = &self.region {
            loader = loader.region(Region::new(region.clone()));
        }
        if let Some(endpoint) = &self.endpoint {
            loader = loader.endpoint_url(endpoint);
        }
        if let Some(profile) = &self.profile {
            loader = loader.profile_name(profile);
        }
        let stored = self.keys.clone().map(|keys| {
            let (secrets, is_refused) = (secrets.clone(), AtomicBool::new(false));
            Arc::new(Stored { keys, secrets, last: Mutex::new(None), is_refused })
        });
        if let Some(stored) = &stored {
            loader = loader.credentials_provider(Handle(Arc::clone(stored)));
        }
        let base = loader.load().await;
        let inner = match &self.role {
            Some(role) => Some(SharedCredentialsProvider::new(taken_on(role, &base).await)),
            None => base.credentials_provider(),
        };
        let wallet = Wallet(Arc::new(Purse { inner, stored, held: Mutex::new(None) }));
        let config =
            base.into_builder().credentials_provider(SharedCredentialsProvider::new(wallet.clone())).build();
        Way { config, wallet }
    }

    /// The same access to another account, region or both.
    #[must_use]
    pub fn elsewhere(&self, role: Option<&Role>, region: &str) -> Self {
        Self {
            region: Some(region.to_owned()),
            role: role.cloned().or_else(|| self.role.clone()),
            ..self.clone()
        }
    }
}

async fn taken_on(role: &Role, base: &SdkConfig) -> aws_config::sts::AssumeRoleProvider {
    let mut builder =
        aws_config::sts::AssumeRoleProvider::builder(&role.arn).session_name(SESSION_NAME).configure(base);
    if let Some(id) = &role.external_id {
        builder = builder.external_id(id);
    }
    builder.build().await
}

/// Keys that lie in a secret store.
struct Stored {
    keys: Keys,
    secrets: SecretManager,
    /// What was handed out last: the id and the secret.
    last: Mutex<Option<(SecretValue, SecretValue)>>,
    is_refused: AtomicBool,
}

impl Stored {
    /// The keys; asked for anew when AWS has refused the last ones.
    async fn fetch(&self) -> Result<Credentials, CredentialsError> {
        let mut last = self.last.lock().await;
        let refused = last.take().filter(|_| self.is_refused.swap(false, Ordering::Relaxed));
        let (id, secret) = match &refused {
            Some((id, secret)) => (
                self.secrets.refused(&self.keys.id, id).await,
                self.secrets.refused(&self.keys.secret, secret).await,
            ),
            None => (self.secrets.get(&self.keys.id).await, self.secrets.get(&self.keys.secret).await),
        };
        let id = id.map_err(CredentialsError::provider_error)?;
        let secret = secret.map_err(CredentialsError::provider_error)?;
        let found = Credentials::new(id.expose(), secret.expose(), None, None, "keywatch secret references");
        *last = Some((id, secret));
        Ok(found)
    }
}

/// [`Stored`] as AWS's clients take it.
#[derive(Clone)]
struct Handle(Arc<Stored>);

impl ProvideCredentials for Handle {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.0.fetch())
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Handle").field("keys", &self.0.keys).finish_non_exhaustive()
    }
}

/// The credentials in use, renewed when their end is near.
#[derive(Clone)]
pub(crate) struct Wallet(Arc<Purse>);

struct Purse {
    inner: Option<SharedCredentialsProvider>,
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
        let inner = self.0.inner.as_ref().ok_or_else(|| {
            CredentialsError::not_loaded("no credentials; give the service a role, a profile or keys")
        })?;
        let credentials = inner.provide_credentials().await?;
        *held = Some((credentials.clone(), Instant::now()));
        Ok(credentials)
    }

    /// Throws away what was refused.
    pub(crate) async fn forget(&self) {
        if let Some(stored) = &self.0.stored {
            stored.is_refused.store(true, Ordering::Relaxed);
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
            source: error.into(),
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
