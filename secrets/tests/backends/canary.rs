//! A value that must be seen by nobody is put wherever a value can be, everything a program can
//! write down is collected, down to the finest log of every library, and the value must not be in it.

use crate::harness::{CANARY, reference, settings};
use crate::scripted::{Asked, Reply, Server};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use keywatch_secrets::{AccessKey, AzureIdentity, SecretManager, Settings, Told, VaultLogin};
use serde_json::json;
use std::fmt::Write as _;
use std::io::Write;
use std::sync::{Arc, Mutex};
use tracing::Level;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Everything that was logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("a log").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

const NAMES: [&str; 8] = [
    "env:CANARY",
    "env:CANARY#field",
    "aws-secrets-manager:app",
    "aws-secrets-manager:app#field",
    "gcp-secret-manager:projects/p/secrets/app",
    "azure-key-vault:app",
    "vault:secret/app",
    "vault:secret/app#other",
];

/// Credentials that are canaries, shown to a server that holds canaries.
fn everything_at(server: &Server) -> Settings {
    let mut settings = settings(&[("CANARY", CANARY)]);
    let url = server.url().parse().ok();
    let canary = || reference("env:CANARY");
    settings.aws.region = Some("eu-west-1".to_owned());
    settings.aws.access_key = Some(AccessKey { id: "AKID".to_owned(), secret: canary() });
    (settings.aws.endpoint, settings.gcp.endpoint, settings.vault.address) =
        (url.clone(), url.clone(), url.clone());
    settings.gcp.anonymous = true;
    let mount = "approle".to_owned();
    settings.vault.login =
        VaultLogin::AppRole { mount, role_id: Told::At(canary()), secret_id: Some(canary()) };
    let port = server.address.port();
    settings.azure.vault_url = format!("http://kv.vault.localhost:{port}").parse().ok();
    settings.azure.authority = format!("http://login.localhost:{port}").parse().ok();
    settings.azure.hosts =
        ["kv.vault.localhost", "login.localhost"].map(|host| (host.to_owned(), server.address)).into();
    let (tenant_id, client_id) = ("tenant-1".to_owned(), "client-1".to_owned());
    settings.azure.identity = AzureIdentity::Client { tenant_id, client_id, secret: canary() };
    settings
}

/// Every backend's answer, the canary as value and as token.
fn good(asked: &Asked) -> Reply {
    let path = asked.path.split('?').next().unwrap_or_default();
    let body = match path {
        "/" => json!({"SecretString": CANARY}),
        "/tenant-1/oauth2/v2.0/token" => {
            json!({"access_token": CANARY, "expires_in": 3600, "token_type": "Bearer"})
        }
        "/v1/auth/approle/login" => {
            json!({"auth": {"client_token": CANARY, "lease_duration": 3600, "renewable": true}})
        }
        "/v1/secret/data/app" => json!({"data": {"data": {"field": CANARY}}}),
        _ if path.starts_with("/v1/sys") => {
            json!({"data": {"path": "secret/", "type": "kv", "options": {"version": "2"}}})
        }
        _ if path.starts_with("/v1/projects") => json!({"payload": {"data": STANDARD.encode(CANARY)}}),
        _ if asked.header("authorization").is_empty() => {
            let challenge = r#"Bearer authorization="https://login.localhost/tenant-1", resource="https://vault.localhost""#;
            return Reply::With(401, ("WWW-Authenticate", challenge.to_owned()), String::new());
        }
        _ => json!({"value": CANARY}),
    };
    Reply::Json(200, body.to_string())
}

/// A backend that says what it should not, in every place where it can.
fn talkative(status: u16) -> impl Fn(&Asked) -> Reply {
    move |_| {
        let body = json!({
            "__type": CANARY, "message": CANARY, "errors": [CANARY], "code": CANARY,
            "error": {"code": CANARY, "message": CANARY, "status": CANARY, "innererror": {"code": CANARY}},
            "error_description": CANARY, "data": {"data": CANARY}, "auth": CANARY, "payload": {"data": CANARY},
        });
        Reply::Json(status, body.to_string())
    }
}

/// Everything a program can write down about every reference, with the value's journey.
async fn told_of(server: &Server) -> (String, usize) {
    let (mut said, mut had) = (String::new(), 0);
    let manager = SecretManager::new(everything_at(server));
    for name in NAMES {
        let outcome = manager.get(&reference(name)).await;
        had += usize::from(outcome.as_ref().is_ok_and(|value| value.expose() == CANARY));
        if let Ok(value) = &outcome {
            drop(manager.refused(&reference(name), value).await);
        }
        if let Err(error) = &outcome {
            write!(said, "{error}").expect("written");
        }
        write!(said, "{outcome:?}").expect("written");
    }
    let references: Vec<_> = NAMES.iter().map(|name| reference(name)).collect();
    let required = manager.require_all(&references).await;
    write!(said, "{manager:?}{:?}{required:?}", manager.health()).expect("written");
    manager.clear();
    (said, had)
}

#[track_caller]
fn check(said: &str, log: &Log, words: &str) {
    let logged = String::from_utf8_lossy(&log.0.lock().expect("a log")).into_owned();
    assert!(logged.contains(words), "the log was collected");
    for spelling in [CANARY, &STANDARD.encode(CANARY)] {
        let place = |text: &str| text.lines().find(|line| line.contains(spelling)).map(ToOwned::to_owned);
        assert_eq!(place(said), None);
        assert_eq!(place(&logged), None);
    }
}

#[tokio::test]
async fn a_canary_in_every_credential_and_answer_is_written_down_nowhere() {
    let log = Log::default();
    let everything = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(log.clone());
    let guard = tracing::subscriber::set_default(everything.finish());
    let (said, had) = told_of(&Server::start(good).await).await;
    drop(guard);
    assert!(had >= 5, "the canary reached {had} references: nothing would be proven");
    check(&said, &log, "a credential was refused");
}

#[tokio::test]
async fn a_backend_that_says_what_it_should_not_is_quoted_nowhere() {
    let log = Log::default();
    // AWS's library writes a service's error text into its finest log: that is why the program keeps
    // the logs of libraries above it.
    let layer = tracing_subscriber::fmt::layer().with_writer(log.clone());
    let levels = Targets::new().with_default(Level::DEBUG).with_target("keywatch_secrets", Level::TRACE);
    let guard = tracing_subscriber::registry().with(layer.with_filter(levels)).set_default();
    let mut said = String::new();
    for status in [200, 400, 401, 403, 404, 429, 500] {
        said += &told_of(&Server::start(talkative(status)).await).await.0;
    }
    drop(guard);
    check(&said, &log, "a secret cannot be had");
}
