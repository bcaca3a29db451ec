//! HashiCorp Vault and OpenBao: the key-value engine, versions 1 and 2.
//!
//! Spoken directly over HTTP: six calls are needed, with answers of bounded size, the standby's
//! redirects refused, and the text of errors kept out of ours. The `vaultrs` crate offers none of
//! the three, and brings a second HTTP abstraction with it.
//!
//! Facts: <https://developer.hashicorp.com/vault/api-docs/secret/kv/kv-v2>,
//! <https://developer.hashicorp.com/vault/api-docs/secret/kv/kv-v1>, <https://openbao.org/api-docs/>.

mod login;
mod mounts;
mod wire;

use super::Backend;
use super::http::Answer;
use super::own::OwnCredentials;
use crate::document::Document;
use crate::failure::Failure;
use crate::settings::{KvVersion, VaultSettings};
use crate::{Clock, SecretRef, SecretValue};
use async_trait::async_trait;
use login::Login;
use mounts::{Mount, Mounts};
use reqwest::Method;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::time::Duration;
use wire::{Call, Wire};

/// One Vault.
pub(crate) struct Vault {
    wire: Wire,
    login: Login,
    mounts: Mounts,
}

impl Vault {
    pub(super) fn new(settings: VaultSettings, own: OwnCredentials, clock: Clock) -> Self {
        Self {
            login: Login::new(settings.login.clone(), own, clock),
            mounts: Mounts::new(settings.mounts.clone()),
            wire: Wire::new(settings),
        }
    }

    /// What stands at a path, whatever engine it belongs to.
    pub(crate) async fn look(&self, path: &str) -> Result<serde_json::Value, Failure> {
        let token = self.login.token(&self.wire).await?;
        let answer = self.wire.send(&Call::new(Method::GET, &[path])?, Some(&token)).await?;
        match answer.status {
            200 => answer.json().ok_or_else(|| wire::unread(&answer)),
            403 => {
                Err(wire::forbidden(&format!("path \"{path}\" {{ capabilities = [\"read\", \"sudo\"] }}")))
            }
            404 => Err(Failure::missing(
                format!("there is nothing at `{path}`"),
                "see whether the address and the namespace are right",
            )),
            _ => Err(wire::trouble(&answer)),
        }
    }

    async fn read(&self, reference: &SecretRef, token: &SecretValue) -> Result<Document, Failure> {
        let mount = self.mounts.of(&reference.path, token, &self.wire).await?;
        let answer = self.wire.send(&call(&mount, reference)?, Some(token)).await?;
        match (answer.status, mount.version) {
            (200, KvVersion::One) => data_of_one(&answer),
            (200, KvVersion::Two) => data_of_two(&answer, reference),
            (404, _) => Err(absent(&answer, &mount, reference)),
            (403, _) => Err(wire::forbidden(&mount.policy_path(reference))),
            _ => Err(wire::trouble(&answer)),
        }
    }
}

#[async_trait]
impl Backend for Vault {
    async fn fetch(&self, reference: &SecretRef) -> Result<Document, Failure> {
        let token = self.login.token(&self.wire).await?;
        let outcome = self.read(reference, &token).await;
        let Err(failure) = &outcome else { return outcome };
        if failure.trouble != crate::Trouble::Denied || !self.login.forget_token(&token).await {
            return outcome;
        }
        // The token may have been revoked, or be older than a policy that now grants this.
        let token = self.login.token(&self.wire).await?;
        self.read(reference, &token).await
    }

    async fn tend(&self) -> Option<Duration> {
        self.login.tend(&self.wire).await
    }

    fn forget(&self) {
        self.login.forget();
        self.mounts.forget();
    }
}

fn call(mount: &Mount, reference: &SecretRef) -> Result<Call, Failure> {
    let call = match mount.version {
        KvVersion::One => Call::new(Method::GET, &[&mount.path, &mount.rest])?,
        KvVersion::Two => Call::new(Method::GET, &[&mount.path, "data", &mount.rest])?,
    };
    match (&reference.version, mount.version) {
        (None, _) => Ok(call),
        (Some(version), KvVersion::One) => {
            let detail = format!(
                "version `{version}` is asked for, and `{}` keeps none (key-value version 1)",
                mount.path
            );
            Err(Failure::unusable(detail, "leave the version out of the reference"))
        }
        (Some(version), KvVersion::Two) if version.parse::<u32>().is_ok() => {
            Ok(call.with_query("version", version))
        }
        (Some(version), KvVersion::Two) => {
            let detail = format!("the version `{version}` is no number");
            Err(Failure::unusable(
                detail,
                "Vault counts versions 1, 2, 3; `vault kv metadata get` shows them",
            ))
        }
    }
}

#[derive(Deserialize)]
struct One<'a> {
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Two<'a> {
    #[serde(borrow)]
    data: Option<Versioned<'a>>,
}

#[derive(Deserialize)]
struct Versioned<'a> {
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    metadata: Option<Metadata>,
}

#[derive(Deserialize)]
struct Metadata {
    version: Option<u64>,
    #[serde(default)]
    deletion_time: String,
    #[serde(default)]
    destroyed: bool,
}

fn data_of_one(answer: &Answer) -> Result<Document, Failure> {
    let data = answer.json::<One<'_>>().and_then(|body| body.data).ok_or_else(|| wire::unread(answer))?;
    Ok(Document::fields(data.get().to_owned()))
}

fn data_of_two(answer: &Answer, reference: &SecretRef) -> Result<Document, Failure> {
    let body = answer.json::<Two<'_>>().and_then(|body| body.data).ok_or_else(|| wire::unread(answer))?;
    match body.data.filter(|data| data.get() != "null") {
        Some(data) => Ok(Document::fields(data.get().to_owned())),
        None => Err(deleted(body.metadata.as_ref(), reference).unwrap_or_else(|| wire::unread(answer))),
    }
}

/// What a version that is gone leaves behind: Vault answers 404 with its metadata.
fn deleted(metadata: Option<&Metadata>, reference: &SecretRef) -> Option<Failure> {
    let Metadata { version, deletion_time, destroyed } = metadata?;
    let version = version.map_or_else(|| "its version".to_owned(), |version| format!("version {version}"));
    let path = &reference.path;
    if *destroyed {
        let remedy = format!("write it anew: `vault kv put {path} …`, or name a version that is left");
        return Some(Failure::missing(format!("{version} was destroyed"), remedy));
    }
    let number = version.trim_start_matches(|letter: char| !letter.is_ascii_digit());
    let remedy = format!("`vault kv undelete -versions={number} {path}`, or write it anew");
    (!deletion_time.is_empty()).then(|| Failure::missing(format!("{version} was deleted"), remedy))
}

fn absent(answer: &Answer, mount: &Mount, reference: &SecretRef) -> Failure {
    let metadata = answer.json::<Two<'_>>().and_then(|body| body.data).and_then(|data| data.metadata);
    if let Some(gone) = deleted(metadata.as_ref(), reference) {
        return gone;
    }
    let key = reference.key.as_deref().unwrap_or("value");
    let what = if reference.version.is_some() { "no such secret or version" } else { "no such secret" };
    let remedy = if mount.version == KvVersion::Two && mount.rest.starts_with("data/") {
        "leave `data/` out of the path: Keywatch knows that this mount keeps versions".to_owned()
    } else {
        format!("create it: `vault kv put {} {key}=-`", reference.path)
    };
    Failure::missing(format!("there is {what} in the mount `{}`", mount.path), remedy)
}
