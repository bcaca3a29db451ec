//! Who Keywatch is to Google Cloud: what every Google program finds by itself, a key or a federation
//! kept as a secret, and a service account impersonated on top.
//!
//! One set of credentials per source serves every client, so that a refusal can throw away what was
//! refused, and the next request builds new ones.

use crate::failure::{Failure, Trouble};
use google_cloud_auth::credentials::{
    Builder, CacheableResource, Credentials, anonymous, external_account, impersonated, service_account,
    user_account,
};
use http::{Extensions, HeaderMap};
use keywatch_secrets::{SecretManager, SecretRef, SecretValue};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::Mutex;

/// How a source reaches Google Cloud.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// Where the JSON of a service account's key or of a federation lies. Without it: the
    /// application default credentials.
    pub credentials: Option<SecretRef>,
    /// The service account to impersonate with those credentials, by its e-mail address.
    pub impersonate: Option<String>,
    /// The project whose quota is used and billed, when it is not that of the credentials.
    pub quota_project: Option<String>,
    /// Another address for every service: a private endpoint, or a test's.
    pub endpoint: Option<String>,
    /// Another address than Google's where an account impersonated with `credentials` gets its
    /// tokens.
    pub issuer: Option<String>,
    /// Whether to send no credentials at all, as servers that only play Google want it.
    pub anonymous: bool,
}

impl Access {
    pub(crate) fn open(&self, secrets: &SecretManager) -> Wallet {
        Wallet(Arc::new(Purse {
            access: self.clone(),
            secrets: secrets.clone(),
            held: Mutex::new(None),
            last: Mutex::new(None),
            is_refused: AtomicBool::new(false),
        }))
    }
}

/// The credentials in use. Clones share them.
#[derive(Clone)]
pub(crate) struct Wallet(Arc<Purse>);

struct Purse {
    access: Access,
    secrets: SecretManager,
    held: Mutex<Option<Credentials>>,
    /// The secret that was used last.
    last: Mutex<Option<SecretValue>>,
    is_refused: AtomicBool,
}

impl Wallet {
    /// The credentials, built once.
    pub(crate) async fn credentials(&self) -> Result<Credentials, Failure> {
        let mut held = self.0.held.lock().await;
        if let Some(credentials) = &*held {
            return Ok(credentials.clone());
        }
        let credentials = self.0.build().await?;
        *held = Some(credentials.clone());
        Ok(credentials)
    }

    /// The headers that say who asks.
    pub(crate) async fn headers(&self) -> Result<HeaderMap, Failure> {
        let asked = self.credentials().await?.headers(Extensions::new()).await;
        match asked.map_err(|error| Failure::of_credentials(&error))? {
            CacheableResource::New { data, .. } => Ok(data),
            // Only what was asked for with a tag of an earlier answer is not modified.
            CacheableResource::NotModified => Ok(HeaderMap::new()),
        }
    }

    /// Throws away what was refused.
    pub(crate) async fn forget(&self) {
        self.0.is_refused.store(true, Ordering::Relaxed);
        *self.0.held.lock().await = None;
    }
}

impl Purse {
    async fn build(&self) -> Result<Credentials, Failure> {
        if self.access.anonymous {
            return Ok(anonymous::Builder::new().build());
        }
        // What is stored impersonates by itself, see `impersonating`.
        if let Some(reference) = &self.access.credentials {
            return self.stored(reference).await;
        }
        let own = self.default()?;
        let Some(principal) = &self.access.impersonate else { return Ok(own) };
        let mut builder =
            impersonated::Builder::from_source_credentials(own).with_target_principal(principal.clone());
        if let Some(project) = &self.access.quota_project {
            builder = builder.with_quota_project_id(project.clone());
        }
        builder.build().map_err(|_unsaid| unusable(&format!("cannot impersonate {principal}")))
    }

    fn default(&self) -> Result<Credentials, Failure> {
        let mut builder = Builder::default();
        if let Some(project) = &self.access.quota_project {
            builder = builder.with_quota_project_id(project.clone());
        }
        builder.build().map_err(|_unsaid| {
            unusable("there are no application default credentials: give the machine or pod a service account, set GOOGLE_APPLICATION_CREDENTIALS, or name `credentials`")
        })
    }

    /// What lies in a secret store; asked for anew when Google has refused the last value.
    async fn stored(&self, reference: &SecretRef) -> Result<Credentials, Failure> {
        let mut last = self.last.lock().await;
        let refused = last.take().filter(|_| self.is_refused.swap(false, Ordering::Relaxed));
        let found = match &refused {
            Some(value) => self.secrets.refused(reference, value).await,
            None => self.secrets.get(reference).await,
        };
        let value = found.map_err(|error| unusable(&error.to_string()))?;
        let credentials = self.parse(reference, value.expose())?;
        *last = Some(value);
        Ok(credentials)
    }

    /// The stored credentials as those of the account they impersonate.
    fn impersonating(&self, json: serde_json::Value) -> serde_json::Value {
        let Some(principal) = &self.access.impersonate else { return json };
        let universe = json.get("universe_domain").and_then(serde_json::Value::as_str);
        let usual = || format!("https://iamcredentials.{}", universe.unwrap_or("googleapis.com"));
        let issuer = self.access.issuer.clone().unwrap_or_else(usual);
        serde_json::json!({
            "type": "impersonated_service_account",
            "service_account_impersonation_url":
                format!("{issuer}/v1/projects/-/serviceAccounts/{principal}:generateAccessToken"),
            "source_credentials": json,
        })
    }

    fn parse(&self, reference: &SecretRef, text: &str) -> Result<Credentials, Failure> {
        let unread = || {
            unusable(&format!(
                "`{reference}` holds no credentials Google's libraries know; store the JSON of a service account's key or of a federation"
            ))
        };
        let json: serde_json::Value = serde_json::from_str(text).map_err(|_quotes_the_secret| unread())?;
        let json = self.impersonating(json);
        let kind = json.get("type").and_then(serde_json::Value::as_str).unwrap_or_default().to_owned();
        let quota = self.access.quota_project.clone();
        macro_rules! built {
            ($kind:ident) => {{
                let builder = $kind::Builder::new(json);
                match quota {
                    Some(project) => builder.with_quota_project_id(project).build(),
                    None => builder.build(),
                }
            }};
        }
        let built = match kind.as_str() {
            "service_account" => built!(service_account),
            "external_account" => built!(external_account),
            "impersonated_service_account" => built!(impersonated),
            "authorized_user" => built!(user_account),
            _ => return Err(unread()),
        };
        // The error may quote the key.
        built.map_err(|_quotes_the_secret| unread())
    }
}

fn unusable(said: &str) -> Failure {
    Failure { trouble: Trouble::Credentials, said: said.to_owned(), remedy: None }
}

impl fmt::Debug for Wallet {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Wallet([redacted])")
    }
}
