//! The links of the chain at whose end Keywatch is somebody: the first credentials, and each role
//! that is taken on with those before.
//!
//! Nothing is kept here; the wallet keeps the last link's credentials (`access.rs`). Whoever gives
//! none says why as a [`Refusal`].

use crate::access::{Keys, Role};
use crate::refusal::Refusal;
use aws_config::SdkConfig;
use aws_config::default_provider::credentials::DefaultCredentialsChain;
use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::sts::AssumeRoleProvider;
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, Result as Provided, future};
use aws_sdk_sqs::config::retry::RetryConfig;
use keywatch_secrets::{SecretError, SecretManager, SecretValue};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::Mutex;

/// What CloudTrail shows as the session's name in Keywatch's own calls.
const SESSION_NAME: &str = "keywatch";

/// What the machine has to show: a named profile, or the usual chain.
///
/// Profile and chain are made anew whenever they are asked, because the SDK's read the shared files
/// once: somebody who signs in again is heard without a restart.
#[derive(Clone, Debug)]
pub(crate) struct Own {
    profile: Option<String>,
    config: SdkConfig,
}

impl Own {
    /// `config` says in which region STS and SSO are asked.
    pub(crate) fn new(profile: Option<String>, config: &SdkConfig) -> Self {
        Self { profile, config: config.clone() }
    }

    fn config(&self) -> ProviderConfig {
        let config = ProviderConfig::without_region()
            .with_region(self.config.region().cloned())
            .with_use_fips(self.config.use_fips())
            .with_use_dual_stack(self.config.use_dual_stack())
            .with_retry_config(RetryConfig::disabled());
        match self.config.timeout_config() {
            Some(timeouts) => config.with_timeout_config(timeouts.clone()),
            None => config,
        }
    }

    async fn fetch(&self) -> Provided {
        let Some(profile) = &self.profile else {
            let mut chain = DefaultCredentialsChain::builder().configure(self.config());
            chain.set_region(self.config.region().cloned());
            let found = chain.build().await.provide_credentials().await;
            return found.map_err(|error| Refusal::of_chain(&error).into());
        };
        // Named to the chain alone, a profile would only come after keys in the environment.
        let provider =
            ProfileFileCredentialsProvider::builder().configure(&self.config()).profile_name(profile).build();
        provider.provide_credentials().await.map_err(|error| Refusal::of_profile(profile, &error).into())
    }
}

impl ProvideCredentials for Own {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.fetch())
    }
}

/// A role, taken on with the credentials before it.
#[derive(Debug)]
pub(crate) struct TakenOn {
    role: Role,
    provider: AssumeRoleProvider,
}

impl TakenOn {
    /// `base` signs the request to STS.
    pub(crate) async fn new(role: &Role, base: &SdkConfig) -> Self {
        let mut builder = AssumeRoleProvider::builder(&role.arn).session_name(SESSION_NAME).configure(base);
        if let Some(id) = &role.external_id {
            builder = builder.external_id(id);
        }
        Self { role: role.clone(), provider: builder.build().await }
    }

    async fn fetch(&self) -> Provided {
        let found = self.provider.provide_credentials().await;
        found.map_err(|error| Refusal::of_role(&self.role, &error).into())
    }
}

impl ProvideCredentials for TakenOn {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.fetch())
    }
}

/// Keys that lie in a secret store.
pub(crate) struct Stored {
    keys: Keys,
    secrets: SecretManager,
    /// What was handed out last: the id and the secret.
    last: Mutex<Option<(SecretValue, SecretValue)>>,
    is_refused: AtomicBool,
}

impl Stored {
    pub(crate) fn new(keys: Keys, secrets: SecretManager) -> Self {
        Self { keys, secrets, last: Mutex::new(None), is_refused: AtomicBool::new(false) }
    }

    /// AWS has refused what was handed out last.
    pub(crate) fn refuse(&self) {
        self.is_refused.store(true, Ordering::Relaxed);
    }

    /// The keys; asked for anew when AWS has refused the last ones.
    async fn fetch(&self) -> Provided {
        let mut last = self.last.lock().await;
        let refused = last.take().filter(|_| self.is_refused.swap(false, Ordering::Relaxed));
        let (id, secret) = match &refused {
            Some((id, secret)) => (
                self.secrets.refused(&self.keys.id, id).await,
                self.secrets.refused(&self.keys.secret, secret).await,
            ),
            None => (self.secrets.get(&self.keys.id).await, self.secrets.get(&self.keys.secret).await),
        };
        let missing = |error: SecretError| CredentialsError::from(Refusal::of_secret(&error));
        let (id, secret) = (id.map_err(missing)?, secret.map_err(missing)?);
        let found = Credentials::new(id.expose(), secret.expose(), None, None, "keywatch secret references");
        *last = Some((id, secret));
        Ok(found)
    }
}

/// [`Stored`] as AWS's clients take it.
pub(crate) struct Handle(pub(crate) Arc<Stored>);

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
