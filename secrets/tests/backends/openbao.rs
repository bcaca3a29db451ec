//! A real OpenBao over TLS: both versions of the engine, logins, leases, namespaces, sealing.

use crate::harness::{Peer, free_port, peers, reference, refusal, settings, until, value};
use keywatch_secrets::{KvVersion, SecretManager, Settings, Told, Trouble, VaultLogin};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use url::Url;

const ROOT: &str = "root-of-the-test";

/// A server in development mode, with a certificate of its own.
pub(crate) struct Bao {
    address: Url,
    ca_file: PathBuf,
    client: reqwest::Client,
    _server: Peer,
    _folder: tempfile::TempDir,
}

impl Bao {
    pub(crate) async fn start() -> Option<Self> {
        let setup = peers()?;
        let folder = tempfile::tempdir().expect("a folder");
        let port = free_port();
        let server = Peer::start(
            Command::new(setup.join("venv/bin/bao"))
                .args(["server", "-dev", "-dev-tls", "-dev-no-store-token"])
                .arg(format!("-dev-root-token-id={ROOT}"))
                .arg(format!("-dev-listen-address=127.0.0.1:{port}"))
                .arg(format!("-dev-tls-cert-dir={}", folder.path().display()))
                .env("HOME", folder.path())
                .stdout(Stdio::null())
                .stderr(Stdio::null()),
        );
        let found = || async { certificate(&folder).is_some() };
        until("OpenBao writes its certificate", found).await;
        let ca_file = certificate(&folder).expect("a certificate");
        let pem = std::fs::read(&ca_file).expect("a certificate");
        let trusted = reqwest::Certificate::from_pem_bundle(&pem).expect("a certificate");
        let client = reqwest::Client::builder().no_proxy().tls_certs_only(trusted).build().expect("a client");
        let address: Url = format!("https://127.0.0.1:{port}").parse().expect("a URL");
        let bao = Self { address, ca_file, client, _server: server, _folder: folder };
        until("OpenBao is ready", || async { bao.asked("GET", "sys/health", None, None).await.0 == 200 })
            .await;
        // A fresh server still makes its first mount ready when it answers already.
        let ready = json!({"data": {"a": "b"}});
        until("the mount is ready", || async {
            bao.asked("POST", "secret/data/ready", None, Some(ready.clone())).await.0 == 200
        })
        .await;
        Some(bao)
    }

    /// Asks as root, in a namespace or none; yields status and body.
    async fn asked(
        &self,
        method: &str,
        path: &str,
        namespace: Option<&str>,
        body: Option<Value>,
    ) -> (u16, Value) {
        let method = method.parse().expect("a method");
        let url = self.address.join(&format!("/v1/{path}")).expect("a URL");
        let mut request = self.client.request(method, url).header("X-Vault-Token", ROOT);
        if let Some(namespace) = namespace {
            request = request.header("X-Vault-Namespace", namespace);
        }
        if let Some(body) = body {
            request = request.body(body.to_string());
        }
        let Ok(answer) = request.send().await else { return (0, Value::Null) };
        let status = answer.status().as_u16();
        let body = answer.bytes().await.unwrap_or_default();
        (status, serde_json::from_slice(&body).unwrap_or_default())
    }

    pub(crate) async fn root(&self, method: &str, path: &str, body: Value) -> Value {
        let (status, answer) = self.asked(method, path, None, Some(body)).await;
        assert!((200..300).contains(&status), "{method} {path}: {status} {answer}");
        answer
    }

    pub(crate) fn settings(&self, environment: &[(&str, &str)], login: VaultLogin) -> Settings {
        let mut settings = settings(environment);
        settings.vault.address = Some(self.address.clone());
        settings.vault.ca_file = Some(self.ca_file.clone());
        settings.vault.login = login;
        settings
    }

    pub(crate) fn certificate(&self) -> String {
        std::fs::read_to_string(&self.ca_file).expect("a certificate")
    }

    fn as_root(&self) -> Settings {
        self.settings(&[("BAO_TOKEN", ROOT)], VaultLogin::Token(reference("env:BAO_TOKEN")))
    }

    /// An AppRole that may read below `secret/`; its ids as an environment.
    async fn app_role(&self, role: Value) -> [(String, String); 2] {
        self.root("POST", "sys/auth/approle", json!({"type": "approle"})).await;
        let policy = r#"path "secret/data/app*" { capabilities = ["read"] }"#;
        self.root("PUT", "sys/policies/acl/keywatch", json!({"policy": policy})).await;
        self.root("POST", "auth/approle/role/keywatch", role).await;
        let role_id = self.root("GET", "auth/approle/role/keywatch/role-id", json!({})).await;
        let secret_id = self.root("POST", "auth/approle/role/keywatch/secret-id", json!({})).await;
        let text = |answer: &Value, pointer| {
            answer.pointer(pointer).and_then(Value::as_str).expect("an id").to_owned()
        };
        [
            ("ROLE".to_owned(), text(&role_id, "/data/role_id")),
            ("SECRET".to_owned(), text(&secret_id, "/data/secret_id")),
        ]
    }

    /// What OpenBao knows of every token an AppRole was given.
    async fn tokens(&self) -> Vec<Value> {
        let accessors = self.root("LIST", "auth/token/accessors", json!({})).await;
        let mut tokens = Vec::new();
        for accessor in accessors.pointer("/data/keys").and_then(Value::as_array).expect("a list") {
            let (_, token) = self
                .asked("POST", "auth/token/lookup-accessor", None, Some(json!({"accessor": accessor})))
                .await;
            if token.pointer("/data/display_name").and_then(Value::as_str) == Some("approle") {
                tokens.push(token);
            }
        }
        tokens
    }
}

fn certificate(folder: &tempfile::TempDir) -> Option<PathBuf> {
    let path = folder.path().join("vault-ca.pem");
    std::fs::read_to_string(&path).is_ok_and(|pem| pem.contains("END CERTIFICATE")).then_some(path)
}

fn with_app_role(bao: &Bao, ids: &[(String, String); 2]) -> Settings {
    let environment: Vec<_> = ids.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let login = VaultLogin::AppRole {
        mount: "approle".to_owned(),
        role_id: Told::At(reference("env:ROLE")),
        secret_id: Some(reference("env:SECRET")),
    };
    bao.settings(&environment, login)
}

#[tokio::test]
async fn both_versions_of_the_engine_are_read_and_what_is_gone_is_told_apart() {
    let Some(bao) = Bao::start().await else { return };
    bao.root("POST", "sys/mounts/old/team", json!({"type": "kv", "options": {"version": "1"}})).await;
    bao.root("POST", "old/team/app", json!({"token": "one", "port": 5432})).await;
    bao.root("POST", "secret/data/app", json!({"data": {"token": "first"}})).await;
    bao.root("POST", "secret/data/app", json!({"data": {"token": "second", "user": "kw"}})).await;
    bao.root("POST", "secret/data/caf\u{e9}/a b", json!({"data": {"token": "odd"}})).await;
    let manager = SecretManager::new(bao.as_root());
    assert_eq!(value(&manager, "vault:old/team/app#token").await, "one");
    assert_eq!(value(&manager, "vault:old/team/app#port").await, "5432");
    assert_eq!(value(&manager, "vault:secret/app#token").await, "second");
    assert_eq!(value(&manager, "vault:secret/app@1").await, "first");
    assert_eq!(value(&manager, "vault:secret/caf\u{e9}/a b").await, "odd");
}

#[tokio::test]
async fn what_cannot_be_had_says_why_and_what_to_do() {
    let Some(bao) = Bao::start().await else { return };
    bao.root("POST", "sys/mounts/old", json!({"type": "kv", "options": {"version": "1"}})).await;
    bao.root("POST", "old/app", json!({"token": "one"})).await;
    bao.root("POST", "sys/mounts/transit", json!({"type": "transit"})).await;
    for token in ["first", "second", "third"] {
        bao.root("POST", "secret/data/app", json!({"data": {"token": token, "user": "kw"}})).await;
    }
    bao.root("POST", "secret/delete/app", json!({"versions": [1]})).await;
    bao.root("POST", "secret/destroy/app", json!({"versions": [2]})).await;
    let manager = SecretManager::new(bao.as_root());
    let (missing, unusable) = (Trouble::Missing, Trouble::Unusable);
    refusal(
        &manager,
        "vault:secret/app@1",
        missing,
        &["version 1 was deleted", "vault kv undelete -versions=1 secret/app"],
    )
    .await;
    refusal(&manager, "vault:secret/app@2", missing, &["version 2 was destroyed"]).await;
    refusal(&manager, "vault:secret/app@9", missing, &["no such secret or version"]).await;
    refusal(&manager, "vault:secret/app@new", unusable, &["is no number"]).await;
    refusal(&manager, "vault:secret/app", unusable, &["it holds 2 fields", "#field"]).await;
    refusal(&manager, "vault:secret/app#pin", missing, &["no field `pin`"]).await;
    refusal(
        &manager,
        "vault:secret/none#k",
        missing,
        &["vault:secret/none#k", "vault kv put secret/none k=-"],
    )
    .await;
    refusal(&manager, "vault:secret/data/app#token", missing, &["leave `data/` out"]).await;
    refusal(&manager, "vault:old/none", missing, &["no such secret in the mount `old`"]).await;
    refusal(&manager, "vault:old/app@1", unusable, &["`old` keeps none"]).await;
    refusal(&manager, "vault:transit/app", unusable, &["no key-value engine"]).await;
    refusal(&manager, "vault:secret/../sys/raw", unusable, &["is no path"]).await;
    // OpenBao answers 403 for a path that no mount has, to root too.
    let error = manager.get(&reference("vault:nowhere/app")).await.expect_err("no mount");
    assert!(matches!(error.trouble, Trouble::Denied | Trouble::Missing), "{error}");
    bao.root("PUT", "sys/seal", json!({})).await;
    manager.clear();
    refusal(&manager, "vault:secret/app#token", Trouble::Unavailable, &["sealed", "vault operator unseal"])
        .await;
}

#[tokio::test]
async fn a_login_is_kept_renewed_and_had_anew_when_it_was_revoked() {
    let Some(bao) = Bao::start().await else { return };
    bao.root("POST", "secret/data/app", json!({"data": {"token": "first"}})).await;
    bao.root("POST", "secret/data/other", json!({"data": {"token": "hidden"}})).await;
    let ids = bao.app_role(json!({"token_policies": ["keywatch"], "token_ttl": "1h"})).await;
    let settings = with_app_role(&bao, &ids);
    let clock = settings.clock.clone();
    let manager = SecretManager::new(settings);
    assert_eq!(value(&manager, "vault:secret/app").await, "first");
    refusal(
        &manager,
        "vault:secret/other",
        Trouble::Denied,
        &["status 403", "login say: `path \"secret/data/other\" { capabilities = [\"read\"] }`"],
    )
    .await;
    // The refusal led to one more login: the policy might have been newer than the token.
    assert_eq!(bao.tokens().await.len(), 2);

    clock.advance(std::time::Duration::from_mins(41));
    assert_eq!(value(&manager, "vault:secret/app").await, "first");
    let tokens = bao.tokens().await;
    let renewed =
        tokens.iter().filter(|token| token.pointer("/data/last_renewal").is_some_and(Value::is_string));
    assert_eq!((tokens.len(), renewed.count()), (2, 1), "{tokens:?}");

    for token in tokens {
        let accessor = token.pointer("/data/accessor").expect("an accessor");
        bao.root("POST", "auth/token/revoke-accessor", json!({"accessor": accessor})).await;
    }
    bao.root("POST", "secret/data/app", json!({"data": {"token": "second"}})).await;
    clock.advance(Settings::TTL);
    assert_eq!(value(&manager, "vault:secret/app").await, "second", "a revoked token is nobody's concern");
}

#[tokio::test]
async fn a_login_that_ran_out_is_had_anew() {
    let Some(bao) = Bao::start().await else { return };
    bao.root("POST", "secret/data/app", json!({"data": {"token": "first"}})).await;
    let ids =
        bao.app_role(json!({"token_policies": ["keywatch"], "token_ttl": "1s", "token_max_ttl": "1s"})).await;
    let settings = with_app_role(&bao, &ids);
    let clock = settings.clock.clone();
    let manager = SecretManager::new(settings);
    assert_eq!(value(&manager, "vault:secret/app").await, "first");
    until("the token runs out", || async { bao.tokens().await.is_empty() }).await;
    bao.root("POST", "secret/data/app", json!({"data": {"token": "second"}})).await;
    clock.advance(Settings::TTL);
    assert_eq!(value(&manager, "vault:secret/app").await, "second");
}

#[tokio::test]
async fn a_refused_login_says_what_to_see_to() {
    let Some(bao) = Bao::start().await else { return };
    let [role, _] = bao.app_role(json!({"token_policies": ["keywatch"]})).await;
    let wrong = [role.clone(), ("SECRET".to_owned(), crate::harness::CANARY.to_owned())];
    let manager = SecretManager::new(with_app_role(&bao, &wrong));
    refusal(
        &manager,
        "vault:secret/app",
        Trouble::Denied,
        &["refuses the login with AppRole", "secret id has not run out"],
    )
    .await;
    let manager =
        SecretManager::new(with_app_role(&bao, &[role.clone(), ("OTHER".to_owned(), String::new())]));
    refusal(
        &manager,
        "vault:secret/app",
        Trouble::Missing,
        &["`env:SECRET`, which is needed to ask", "set SECRET"],
    )
    .await;
    let token =
        bao.settings(&[("BAO_TOKEN", crate::harness::CANARY)], VaultLogin::Token(reference("env:BAO_TOKEN")));
    refusal(&SecretManager::new(token), "vault:secret/app", Trouble::Denied, &["status 403"]).await;
    let circle = bao.settings(&[], VaultLogin::Token(reference("vault:secret/own#token")));
    refusal(&SecretManager::new(circle), "vault:secret/app", Trouble::Unusable, &["end in a circle"]).await;
    let stranger = Settings {
        vault: keywatch_secrets::VaultSettings { ca_file: None, ..bao.as_root().vault },
        ..bao.as_root()
    };
    refusal(
        &SecretManager::new(stranger),
        "vault:secret/app",
        Trouble::Unavailable,
        &["certificate is not trusted", "ca_file"],
    )
    .await;
}

#[tokio::test]
async fn everything_happens_in_the_namespace_told() {
    let Some(bao) = Bao::start().await else { return };
    bao.root("POST", "sys/namespaces/team", json!({})).await;
    let team = Some("team");
    let options = json!({"type": "kv", "options": {"version": "2"}});
    assert_eq!(bao.asked("POST", "sys/mounts/secret", team, Some(options)).await.0, 204);
    bao.root("POST", "secret/data/app", json!({"data": {"token": "of the root"}})).await;
    let body = json!({"data": {"token": "of the team"}});
    until("the mount is ready", || async {
        bao.asked("POST", "secret/data/app", team, Some(body.clone())).await.0 == 200
    })
    .await;
    let mut settings = bao.as_root();
    settings.vault.namespace = Some("team".to_owned());
    assert_eq!(value(&SecretManager::new(settings), "vault:secret/app").await, "of the team");
    assert_eq!(value(&SecretManager::new(bao.as_root()), "vault:secret/app").await, "of the root");
}

#[tokio::test]
async fn a_token_that_may_not_ask_for_mounts_is_told_of_them() {
    let Some(bao) = Bao::start().await else { return };
    bao.root("POST", "secret/data/app", json!({"data": {"token": "t"}})).await;
    let mut settings = bao.as_root();
    settings.vault.mounts = [("secret/".to_owned(), KvVersion::Two)].into();
    assert_eq!(value(&SecretManager::new(settings.clone()), "vault:secret/app").await, "t");
    // Told wrongly, the wrong path is asked for: that the right one was not asked for shows that the
    // configuration counts.
    settings.vault.mounts = [("secret".to_owned(), KvVersion::One)].into();
    assert!(SecretManager::new(settings).get(&reference("vault:secret/app")).await.is_err());
}
