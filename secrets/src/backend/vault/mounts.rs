//! Where a path's mount ends, and which version of the key-value engine it has.
//!
//! The path does not tell: `secret/app` is asked for at `secret/app` or at `secret/data/app`. Vault
//! tells every token that may do anything below a mount; for tokens it does not tell, the
//! configuration does.

use super::wire::{self, Call, Wire};
use crate::SecretRef;
use crate::SecretValue;
use crate::failure::Failure;
use crate::settings::KvVersion;
use reqwest::Method;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Most mounts remembered; a name and a number each. When they are more, they are asked for anew.
const MOUNTS_MAX: usize = 256;

/// What is known of mounts.
pub(super) struct Mounts {
    told: BTreeMap<String, KvVersion>,
    found: Mutex<BTreeMap<String, KvVersion>>,
}

/// A path, cut where its mount ends.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Mount {
    pub(super) path: String,
    pub(super) rest: String,
    pub(super) version: KvVersion,
}

impl Mount {
    /// What a policy has to allow for a secret to be read.
    pub(super) fn policy_path(&self, reference: &SecretRef) -> String {
        let path = match self.version {
            KvVersion::One => reference.path.clone(),
            KvVersion::Two => format!("{}/data/{}", self.path, self.rest),
        };
        format!("path \"{path}\" {{ capabilities = [\"read\"] }}")
    }
}

impl Mounts {
    pub(super) fn new(told: BTreeMap<String, KvVersion>) -> Self {
        let told = told.into_iter().map(|(path, version)| (path.trim_matches('/').to_owned(), version));
        Self { told: told.collect(), found: Mutex::default() }
    }

    /// The mount a path lies in: told, found before, or asked for now.
    ///
    /// # Errors
    /// When Vault does not say, or says that it is no key-value engine.
    pub(super) async fn of(&self, path: &str, token: &SecretValue, wire: &Wire) -> Result<Mount, Failure> {
        if let Some(mount) = cut(&self.told, path).or_else(|| cut(&self.found(), path)) {
            return Ok(mount);
        }
        let (mount, version) = ask(path, token, wire).await?;
        let mut found = self.found();
        if found.len() >= MOUNTS_MAX {
            found.clear();
        }
        found.insert(mount, version);
        cut(&found, path).ok_or_else(|| unnamed(path))
    }

    pub(super) fn forget(&self) {
        self.found().clear();
    }

    fn found(&self) -> MutexGuard<'_, BTreeMap<String, KvVersion>> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The longest mount a path begins with.
fn cut(mounts: &BTreeMap<String, KvVersion>, path: &str) -> Option<Mount> {
    let rest_below =
        |mount: &str| path.strip_prefix(mount)?.strip_prefix('/').filter(|rest| !rest.is_empty());
    let below = mounts.iter().filter_map(|(mount, version)| Some((mount, rest_below(mount)?, *version)));
    let (mount, rest, version) = below.max_by_key(|(mount, ..)| mount.len())?;
    Some(Mount { path: mount.clone(), rest: rest.to_owned(), version })
}

#[derive(Deserialize)]
struct Told {
    data: TellsOf,
}

#[derive(Deserialize)]
struct TellsOf {
    path: String,
    r#type: String,
    options: Option<BTreeMap<String, serde_json::Value>>,
}

async fn ask(path: &str, token: &SecretValue, wire: &Wire) -> Result<(String, KvVersion), Failure> {
    let answer = wire.send(&Call::new(Method::GET, &["sys/internal/ui/mounts", path])?, Some(token)).await?;
    match answer.status {
        200 => {}
        403 => {
            return Err(wire::forbidden(&format!(
                "path \"{path}\" {{ capabilities = [\"read\"] }}` (key-value version 1) or `path \"{}\" {{ capabilities = [\"read\"] }}",
                with_data(path)
            )));
        }
        404 => return Err(unnamed(path)),
        _ => return Err(wire::trouble(&answer)),
    }
    let Some(Told { data }) = answer.json::<Told>() else { return Err(wire::unread(&answer)) };
    if !matches!(data.r#type.as_str(), "kv" | "generic" | "cubbyhole") {
        let detail = format!("the mount of `{path}` is no key-value engine");
        return Err(Failure::unusable(
            detail,
            "name a secret of a key-value engine; `vault secrets list` shows them",
        ));
    }
    let version = data.options.unwrap_or_default().remove("version");
    let version = match version.as_ref().and_then(serde_json::Value::as_str) {
        Some("2") => KvVersion::Two,
        _ => KvVersion::One,
    };
    Ok((data.path.trim_matches('/').to_owned(), version))
}

/// The path below the first part, as version 2 of the engine calls it: a guess, for a policy's text.
fn with_data(path: &str) -> String {
    match path.split_once('/') {
        Some((mount, rest)) => format!("{mount}/data/{rest}"),
        None => format!("{path}/data"),
    }
}

fn unnamed(path: &str) -> Failure {
    Failure::missing(
        format!("Vault has no mount that `{path}` lies in"),
        "write mount and path, such as `secret/app`; `vault secrets list` shows the mounts",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_mount_that_ends_at_a_slash_counts() {
        let mounts = Mounts::new(
            [("kv/", KvVersion::One), ("kv/team", KvVersion::Two)]
                .map(|(path, kv)| (path.to_owned(), kv))
                .into(),
        );
        let check = |path: &str, expected: Option<(&str, &str)>| {
            let found = cut(&mounts.told, path);
            assert_eq!(
                found.as_ref().map(|mount| (mount.path.as_str(), mount.rest.as_str())),
                expected,
                "{path}"
            );
        };
        check("kv/app", Some(("kv", "app")));
        check("kv/team/app", Some(("kv/team", "app")));
        check("kv/teams/app", Some(("kv", "teams/app")));
        check("kv", None);
        check("kv/", None);
        check("kvx/app", None);
    }
}
