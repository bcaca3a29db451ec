//! What goes wrong on the way, alike for every backend: silence, resets, answers cut off, without
//! end, or of something else, throttling, redirects.

use crate::harness::{reference, refusal, settings};
use crate::scripted::{Reply, Server};
use keywatch_secrets::{AccessKey, Clock, SecretManager, Settings, Trouble, VaultLogin};
use std::time::{Duration, Instant};

/// The backends that are spoken to over HTTP without a login first, all at one server.
fn everything_at(server: &Server) -> Settings {
    let mut settings = settings(&[("KEY", "k")]);
    let url = server.url().parse().ok();
    settings.aws.region = Some("eu-west-1".to_owned());
    settings.aws.access_key = Some(AccessKey { id: "AKID".to_owned(), secret: reference("env:KEY") });
    (settings.aws.endpoint, settings.gcp.endpoint, settings.vault.address) =
        (url.clone(), url.clone(), url.clone());
    settings.gcp.anonymous = true;
    settings.vault.login = VaultLogin::Token(reference("env:KEY"));
    settings.azure.vault_url = format!("http://kv.vault.localhost:{}", server.address.port()).parse().ok();
    settings.azure.hosts = vec![("kv.vault.localhost".to_owned(), server.address)];
    settings
}

const ALL: [&str; 4] = [
    "aws-secrets-manager:app",
    "gcp-secret-manager:projects/p/secrets/app",
    "azure-key-vault:app",
    "vault:secret/app",
];

async fn check(reply: Reply, trouble: Trouble, attempts: usize) {
    for name in ALL {
        let reply = reply.clone();
        let server = Server::start(move |_| reply.clone()).await;
        let manager = SecretManager::new(everything_at(&server));
        refusal(&manager, name, trouble, &[name]).await;
        assert_eq!(server.seen().len(), attempts, "{name}");
    }
}

#[tokio::test]
async fn a_connection_that_is_reset_is_tried_three_times() {
    check(Reply::Reset, Trouble::Unavailable, 3).await;
}

#[tokio::test]
async fn an_answer_that_is_cut_off_is_tried_three_times() {
    check(Reply::Cut("{\"data\":{\"sk-canary-7f3a9c\":".to_owned()), Trouble::Unavailable, 3).await;
}

#[tokio::test]
async fn a_backend_in_trouble_is_tried_three_times() {
    check(Reply::Json(503, "sk-canary-7f3a9c".to_owned()), Trouble::Unavailable, 3).await;
}

#[tokio::test]
async fn a_backend_that_throttles_is_tried_three_times() {
    let body = "{\"__type\":\"ThrottlingException\",\"message\":\"sk-canary-7f3a9c\"}".to_owned();
    check(Reply::With(429, ("Retry-After", "1".to_owned()), body), Trouble::Unavailable, 3).await;
}

#[tokio::test]
async fn something_else_than_the_backend_is_told_of() {
    let page = "<html><body>sk-canary-7f3a9c</body></html>".to_owned();
    check(Reply::Json(200, page), Trouble::Unavailable, 3).await;
}

#[tokio::test]
async fn an_answer_without_end_is_not_read_to_it() {
    for name in ALL {
        let server = Server::start(|_| Reply::Flood).await;
        let manager = SecretManager::new(everything_at(&server));
        refusal(&manager, name, Trouble::Unusable, &["larger than"]).await;
        assert_eq!(server.seen().len(), 1, "{name}");
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let other = Server::start(|_| Reply::Json(200, "{}".to_owned())).await;
    let there = other.url();
    for name in ALL {
        let there = there.clone();
        let server =
            Server::start(move |_| Reply::With(307, ("Location", there.clone()), String::new())).await;
        let manager = SecretManager::new(everything_at(&server));
        assert!(manager.get(&reference(name)).await.is_err(), "{name}");
    }
    assert!(other.seen().is_empty(), "nobody was sent on, with a token or without");
}

#[tokio::test]
async fn silence_ends_with_the_timeout() {
    for name in ALL {
        let server = Server::start(|_| Reply::Hang).await;
        let mut settings = everything_at(&server);
        settings.clock = Clock::real();
        settings.timeout = Duration::from_millis(200);
        let began = Instant::now();
        refusal(&SecretManager::new(settings), name, Trouble::Unavailable, &["no answer within 200ms"]).await;
        assert!(began.elapsed() < Duration::from_secs(20), "{name}: {:?}", began.elapsed());
    }
}

#[tokio::test]
async fn nobody_listening_is_told_of() {
    let server = Server::start(|_| Reply::Reset).await;
    let settings = everything_at(&server);
    drop(server);
    for name in ALL {
        refusal(&SecretManager::new(settings.clone()), name, Trouble::Unavailable, &["no connection"]).await;
    }
}

#[tokio::test]
async fn a_setting_no_request_can_carry_is_told_of() {
    let server = Server::start(|_| Reply::Reset).await;
    let mut settings = everything_at(&server);
    settings.vault.namespace = Some("team\nsk-canary-7f3a9c".to_owned());
    let words = ["cannot be written as HTTP", "a namespace"];
    refusal(&SecretManager::new(settings), "vault:secret/app", Trouble::Unusable, &words).await;
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn nothing_told_is_told_of() {
    let manager = SecretManager::new(settings(&[]));
    refusal(
        &manager,
        "vault:secret/app",
        Trouble::Unusable,
        &["not said how Keywatch logs in", "secret_manager.vault"],
    )
    .await;
    refusal(
        &manager,
        "azure-key-vault:app",
        Trouble::Unusable,
        &["in which vault", "secret_manager.azure.vault_url"],
    )
    .await;
    refusal(
        &manager,
        "gcp-secret-manager:app",
        Trouble::Unusable,
        &["in which project", "secret_manager.gcp.project"],
    )
    .await;
}
