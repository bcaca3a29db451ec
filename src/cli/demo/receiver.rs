//! A webhook receiver on loopback for the demo: checks the signature as a real one would, and
//! prints what it was told.

use crate::cli::output::visible;
use crate::cli::say;
use anyhow::Context;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use keywatch_alerting::{Address, Receiver, ReceiverKind, SigningSecret, Webhook, signature};
use keywatch_event::Level;
use keywatch_secrets::{SecretManager, Settings};
use std::sync::Arc;
use tokio::net::TcpListener;

/// The only secret of the demo, which lives in memory.
const SECRET: &str = "DEMO_WEBHOOK_SECRET";

/// A receiver that listens, and how Keywatch reaches it.
pub(super) struct DemoReceiver {
    listener: TcpListener,
    secret: SigningSecret,
    pub(super) receiver: Receiver,
}

impl DemoReceiver {
    pub(super) async fn bind() -> anyhow::Result<Self> {
        let listener =
            TcpListener::bind("127.0.0.1:0").await.context("cannot listen for the demo's webhooks")?;
        let secret = SigningSecret::generate()?;
        let webhook = Webhook {
            address: Address::Plain(format!("http://{}/alerts", listener.local_addr()?)),
            signing: vec![format!("env:{SECRET}").parse()?],
            auth: None,
        };
        let receiver = Receiver {
            level_min: Level::High,
            concurrency: 1,
            ..Receiver::new("demo", ReceiverKind::Webhook(webhook))
        };
        Ok(Self { listener, secret, receiver })
    }

    /// Knows the demo's secret and no other.
    pub(super) fn secrets(&self) -> SecretManager {
        let secret = self.secret.clone();
        let environment = move |name: &str| (name == SECRET).then(|| secret.reveal().to_string());
        SecretManager::new(Settings::new(Arc::new(environment)))
    }

    /// Answers until the demo ends.
    pub(super) async fn serve(self) {
        let app =
            axum::Router::new().route("/alerts", axum::routing::post(take)).with_state(Arc::new(self.secret));
        if let Err(error) = axum::serve(self.listener, app).await {
            say(&format!("keywatch: the demo's webhook receiver stopped: {error}"));
        }
    }
}

async fn take(State(secret): State<Arc<SigningSecret>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    if !is_signed(&secret, &headers, &body) {
        return StatusCode::UNAUTHORIZED;
    }
    let message: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
    let word = |path: &str| visible(message.pointer(path).and_then(|word| word.as_str()).unwrap_or_default());
    let (level, title) = (word("/data/level").to_uppercase(), word("/data/title"));
    say(&format!("webhook, signature verified: {level:<8} {title}"));
    StatusCode::NO_CONTENT
}

fn is_signed(secret: &SigningSecret, headers: &HeaderMap, body: &[u8]) -> bool {
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let Ok(timestamp) = header("webhook-timestamp").parse() else { return false };
    let secrets = std::slice::from_ref(secret);
    signature(secrets, header("webhook-id"), timestamp, body)
        .is_ok_and(|wanted| wanted == header("webhook-signature"))
}
