//! How Vault or OpenBao is reached.

use crate::config::frame::{Credential, Origin, Problems, default, need, section};
use keywatch_secrets::{KvVersion, SecretRef, Told, VaultLogin, VaultSettings};
use std::path::PathBuf;
use url::Url;

section! {
    /// How Vault or OpenBao is reached. One of `token`, `app_role` and `kubernetes` says how
    /// Keywatch logs in.
    pub(crate) struct Vault {
        /// Its address, such as `https://vault.example.com:8200`.
        address: Option<Url>,
        /// The namespace everything happens in.
        namespace: Option<String>,
        /// Certificates to trust besides the system's.
        ca_file: Option<PathBuf>,
        /// Whether plain HTTP is allowed to an address that is not this machine.
        allow_http: bool = default("false"),
        /// A token, in a variable or a file. A file that is replaced is read anew.
        token: Option<SecretRef>,
        /// A login with AppRole.
        app_role: Option<AppRole>,
        /// A login with a Kubernetes service account.
        kubernetes: Option<Kubernetes>,
        /// Mounts and the version of their key-value engine, for a login that may not ask Vault.
        mounts: Vec<Mount>,
    }
    check: check;
}

section! {
    /// A login with AppRole.
    pub(crate) struct AppRole {
        /// Where the method is mounted.
        mount: String = default("approle"),
        /// The role id, or where it lies.
        role_id: Credential = need("write the role id, or a reference to it"),
        /// Where the secret id lies, in a variable or a file.
        secret_id: Option<SecretRef>,
    }
}

section! {
    /// A login with a Kubernetes service account.
    pub(crate) struct Kubernetes {
        /// Where the method is mounted.
        mount: String = default("kubernetes"),
        /// The role.
        role: String = need("name the role of Vault's Kubernetes login"),
        /// The file with the service account's token.
        token_file: PathBuf = default("/var/run/secrets/kubernetes.io/serviceaccount/token"),
    }
}

section! {
    /// A mount of a key-value engine.
    pub(crate) struct Mount {
        /// Its path.
        path: String = need("write the mount's path, such as secret"),
        /// The engine's version.
        version: u64 [1..=2] = need("write 1 or 2"),
    }
}

fn check(vault: &Vault, at: &Origin, problems: &Problems) {
    let logins = [vault.token.is_some(), vault.app_role.is_some(), vault.kubernetes.is_some()];
    let told = logins.into_iter().filter(|told| *told).count();
    if told > 1 {
        problems.add(at, "Vault has more than one login", "keep one of `token`, `app_role` and `kubernetes`");
    }
    if told == 0 && vault.address.is_some() {
        let remedy = "write one of `token`, `app_role` and `kubernetes`";
        problems.add(at, "it is not said how Keywatch logs in to Vault", remedy);
    }
    if told > 0 && vault.address.is_none() {
        problems.add(at, "it is not said where Vault is", "write `address: https://host:8200`");
    }
}

impl Vault {
    pub(in crate::config::section) fn settings(&self) -> VaultSettings {
        let version = |mount: &Mount| if mount.version == 1 { KvVersion::One } else { KvVersion::Two };
        VaultSettings {
            address: self.address.clone(),
            namespace: self.namespace.clone(),
            ca_file: self.ca_file.clone(),
            allow_http: self.allow_http,
            login: self.login(),
            mounts: self.mounts.iter().map(|mount| (mount.path.clone(), version(mount))).collect(),
        }
    }

    fn login(&self) -> VaultLogin {
        match (&self.token, &self.app_role, &self.kubernetes) {
            (Some(token), ..) => VaultLogin::Token(token.clone()),
            (None, Some(AppRole { mount, role_id, secret_id }), _) => VaultLogin::AppRole {
                mount: mount.clone(),
                role_id: match role_id {
                    Credential::Reference(reference) => Told::At(reference.clone()),
                    Credential::Value(value) => Told::Plain(value.clone()),
                },
                secret_id: secret_id.clone(),
            },
            (None, None, Some(Kubernetes { mount, role, token_file })) => VaultLogin::Kubernetes {
                mount: mount.clone(),
                role: role.clone(),
                token_file: token_file.clone(),
            },
            (None, None, None) => VaultLogin::None,
        }
    }
}
