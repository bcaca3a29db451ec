//! AWS Secrets Manager, through its SDK.
//!
//! The SDK finds credentials where every AWS program does, unless the settings name an access key.
//! Retries are ours alone (`patience.rs`), and answers are bounded (`aws/bound.rs`).
//!
//! Facts: <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html>.

mod bound;
mod name;
mod refusal;

use super::Backend;
use super::kept::Kept;
use super::own::OwnCredentials;
use crate::SecretRef;
use crate::document::Document;
use crate::failure::Failure;
use crate::settings::{AssumeRole, AwsSettings, is_private, shown};
use async_trait::async_trait;
use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::retry::RetryConfig;
use aws_config::sts::AssumeRoleProvider;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::config::{Credentials, SharedCredentialsProvider};
use aws_sdk_secretsmanager::operation::get_secret_value::GetSecretValueOutput;
use name::{Name, Version};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Most clients kept, one per region and role; a real configuration has a handful. When they are
/// more, all are made anew.
const CLIENTS_MAX: usize = 64;

/// Secrets Manager, in every region and account the references name.
pub(super) struct SecretsManager {
    settings: AwsSettings,
    own: OwnCredentials,
    base: Kept<Arc<Base>>,
}

/// Who Keywatch is in AWS, and the clients that follow from it.
struct Base {
    config: SdkConfig,
    clients: Mutex<BTreeMap<Purpose, Client>>,
}

/// What a client is for: a region and the role it takes on.
type Purpose = (String, Option<String>);

impl SecretsManager {
    pub(super) fn new(settings: AwsSettings, own: OwnCredentials) -> Self {
        Self { settings, own, base: Kept::default() }
    }

    async fn base(&self) -> Result<Arc<Base>, Failure> {
        self.base.get_or_make(async || self.loaded().await.map(Arc::new)).await
    }

    async fn loaded(&self) -> Result<Base, Failure> {
        let endpoints = [&self.settings.endpoint, &self.settings.sts_endpoint];
        if let Some(open) = endpoints.into_iter().flatten().find(|url| !is_private(url)) {
            let detail = format!("{} would send secrets in clear", shown(open));
            return Err(Failure::unusable(detail, "write https in secret_manager.aws"));
        }
        let mut loader =
            aws_config::defaults(BehaviorVersion::latest()).retry_config(RetryConfig::disabled());
        if let Some(region) = &self.settings.region {
            loader = loader.region(Region::new(region.clone()));
        }
        if let Some(profile) = &self.settings.profile {
            loader = loader.profile_name(profile);
        }
        if let Some(key) = &self.settings.access_key {
            let secret = self.own.read(&key.secret).await?;
            loader = loader.credentials_provider(Credentials::new(
                &key.id,
                secret.expose(),
                None,
                None,
                "keywatch",
            ));
        }
        let mut config = loader.load().await;
        if let Some(profile) = self.settings.profile.as_ref().filter(|_| self.settings.access_key.is_none()) {
            let provider = of_profile(profile, &config);
            config = config.into_builder().credentials_provider(provider).build();
        }
        Ok(Base { config, clients: Mutex::default() })
    }

    async fn client(&self, base: &Base, name: &Name) -> Result<Client, Failure> {
        let told = base.config.region().map(ToString::to_string);
        let Some(region) = name.region.clone().or(told) else {
            let remedy = "set secret_manager.aws.region, or AWS_REGION, or name the secret by its ARN";
            return Err(Failure::unusable("no region is known", remedy));
        };
        let role = self.role(name);
        let key = (region.clone(), role.map(|role| role.arn.clone()));
        let known = base.clients.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
        if let Some(client) = known {
            return Ok(client);
        }
        let client = self.built(base, Region::new(region), role).await;
        let mut clients = base.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if clients.len() >= CLIENTS_MAX {
            clients.clear();
        }
        Ok(clients.entry(key).or_insert(client).clone())
    }

    /// The role an account's secrets are read with, or the one for everything.
    fn role(&self, name: &Name) -> Option<&AssumeRole> {
        let of_account = name.account.as_ref().and_then(|account| self.settings.accounts.get(account));
        of_account.or(self.settings.role.as_ref())
    }

    async fn built(&self, base: &Base, region: Region, role: Option<&AssumeRole>) -> Client {
        let mut config = base.config.to_builder().region(region.clone()).build();
        if let Some(role) = role {
            config = config.to_builder().credentials_provider(self.assumed(&config, role).await).build();
        }
        let mut builder = aws_sdk_secretsmanager::config::Builder::from(&config).interceptor(bound::Bound);
        if let Some(endpoint) = &self.settings.endpoint {
            builder = builder.endpoint_url(endpoint.as_str());
        }
        Client::from_conf(builder.build())
    }

    async fn assumed(&self, config: &SdkConfig, role: &AssumeRole) -> SharedCredentialsProvider {
        let mut config = config.to_builder();
        if let Some(endpoint) = &self.settings.sts_endpoint {
            config = config.endpoint_url(endpoint.as_str());
        }
        let mut builder =
            AssumeRoleProvider::builder(&role.arn).session_name("keywatch").configure(&config.build());
        if let Some(external_id) = &role.external_id {
            builder = builder.external_id(external_id);
        }
        SharedCredentialsProvider::new(builder.build().await)
    }
}

/// The profile and nothing else: named to the SDK's chain alone, it would only come after keys in
/// the environment.
fn of_profile(name: &str, config: &SdkConfig) -> SharedCredentialsProvider {
    let provider = ProviderConfig::without_region()
        .with_region(config.region().cloned())
        .with_use_fips(config.use_fips())
        .with_use_dual_stack(config.use_dual_stack())
        .with_retry_config(RetryConfig::disabled());
    let profile = ProfileFileCredentialsProvider::builder().configure(&provider).profile_name(name);
    SharedCredentialsProvider::new(profile.build())
}

#[async_trait]
impl Backend for SecretsManager {
    async fn fetch(&self, reference: &SecretRef) -> Result<Document, Failure> {
        let name = Name::of(&reference.path)?;
        let base = self.base().await?;
        let mut call = self.client(&base, &name).await?.get_secret_value().secret_id(&reference.path);
        call = match Version::of(reference.version.as_deref()) {
            Version::Current => call,
            Version::Id(id) => call.version_id(id),
            Version::Stage(stage) => call.version_stage(stage),
        };
        match call.send().await {
            Ok(answer) => document(answer),
            Err(error) => {
                let (failure, login_is_over) = refusal::failure(&error, reference, self.role(&name));
                if login_is_over {
                    // A key that was replaced, or a session that ended: the next question makes it anew.
                    self.base.forget();
                }
                Err(failure)
            }
        }
    }

    fn forget(&self) {
        self.base.forget();
    }
}

fn document(answer: GetSecretValueOutput) -> Result<Document, Failure> {
    if let Some(text) = answer.secret_string {
        return Document::text(text);
    }
    let bytes = answer.secret_binary.map(aws_sdk_secretsmanager::primitives::Blob::into_inner);
    match bytes.map(String::from_utf8) {
        Some(Ok(text)) => Document::text(text),
        Some(Err(_)) => Err(Failure::unusable("it is binary and no UTF-8 text", "store it as a text")),
        None => Err(Failure::unavailable("Secrets Manager answered without a value", "ask again")),
    }
}
