//! SNS over HTTPS: every message carries a signature, and the first asks for consent.
//!
//! AWS's page "Verifying the signatures of Amazon SNS messages" says what is signed. Certificates
//! are fetched from SNS's own hosts alone, and consent is given there alone: both addresses come
//! with the message, from anybody.

use super::answer::{Answer, Refused};
use super::{Desk, Sns, body, fetch};
use aws_lc_rs::signature::{
    RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey,
};
use axum::extract::{Request, State};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::collections::HashMap;
use std::fmt::Write;
use std::sync::Arc;
use tokio::sync::Mutex;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use url::Url;
use webpki::EndEntityCert;

/// Certificates kept: one per region, and those before them.
const CERTIFICATES_MAX: usize = 64;
/// How old a message may be, seconds. SNS retries for an hour and signs anew; beyond a day it is a
/// replay or a clock.
const AGE_SECS_MAX: i64 = 24 * 3600;

/// Checks messages.
pub(super) struct Checker {
    wanted: Sns,
    client: reqwest::Client,
    /// Public keys by the address of their certificate. A certificate never changes under its
    /// address.
    keys: Mutex<HashMap<String, Vec<u8>>>,
}

#[derive(Debug, serde::Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Posted {
    r#type: String,
    message_id: String,
    topic_arn: String,
    message: String,
    timestamp: String,
    signature_version: String,
    signature: String,
    #[serde(rename = "SigningCertURL", alias = "SigningCertUrl")]
    signing_cert_url: String,
    subject: Option<String>,
    token: Option<String>,
    #[serde(rename = "SubscribeURL", alias = "SubscribeUrl")]
    subscribe_url: Option<String>,
}

/// A notification, or the question whether this address wants them.
pub(super) async fn receive(State(desk): State<Arc<Desk>>, request: Request) -> Result<Answer, Refused> {
    let work = async {
        let _slot = desk.slots.try_acquire().map_err(|_full| Refused::Busy)?;
        let checker = desk
            .sns
            .as_ref()
            .ok_or(Refused::Forbidden("SNS is not configured; write `sns` with `topics` at this source"))?;
        let body = body::read(&desk, request).await?;
        let message: Posted = serde_json::from_slice(&body).map_err(|_error| {
            Refused::Bad(
                "this is no message of SNS; raw message delivery must be off, it leaves out the signature",
            )
        })?;
        checker.check(&message, &desk).await?;
        match message.r#type.as_str() {
            "Notification" => Ok(Answer::Taken(desk.keep(&body).await?)),
            "SubscriptionConfirmation" => checker.confirm(&message, &desk).await,
            // Somebody with the right to do so ended it; a topic that is to go on is subscribed anew.
            "UnsubscribeConfirmation" => {
                let text =
                    format!("the subscription to {} was ended at AWS; subscribe it again", message.topic_arn);
                desk.intake.health.warns("sns", Some(text));
                Ok(Answer::Said("{}".to_owned()))
            }
            _ => Err(Refused::Bad("this type of message is not known")),
        }
    };
    desk.answer(work.await)
}

impl Checker {
    pub(super) fn new(wanted: Sns) -> Self {
        Self { wanted, client: fetch::client(), keys: Mutex::default() }
    }

    async fn check(&self, message: &Posted, desk: &Desk) -> Result<(), Refused> {
        if !self.wanted.topics.contains(&message.topic_arn) {
            return Err(Refused::Forbidden("the topic is none of `sns.topics`"));
        }
        let now = (desk.intake.clock)().timestamp();
        let sent = chrono::DateTime::parse_from_rfc3339(&message.timestamp).map(|at| at.timestamp());
        if !sent.is_ok_and(|sent| (now - sent).abs() <= AGE_SECS_MAX) {
            return Err(Refused::Unknown("the message is more than a day old"));
        }
        let signature = STANDARD.decode(&message.signature).unwrap_or_default();
        let key = self.key(&message.signing_cert_url, desk).await?;
        let text = signed_text(message);
        let checked = match message.signature_version.as_str() {
            "1" => UnparsedPublicKey::new(&RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY, &key)
                .verify(text.as_bytes(), &signature),
            "2" => {
                UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &key).verify(text.as_bytes(), &signature)
            }
            _ => return Err(Refused::Unknown("this version of signatures is not known")),
        };
        checked.map_err(|_wrong| Refused::Unknown("the message's signature does not check out"))
    }

    async fn key(&self, address: &str, desk: &Desk) -> Result<Vec<u8>, Refused> {
        let url =
            self.own(address, ".pem").ok_or(Refused::Forbidden("`SigningCertURL` is no address of SNS"))?;
        let mut keys = self.keys.lock().await;
        if let Some(key) = keys.get(address) {
            return Ok(key.clone());
        }
        let pem = match fetch::get(&self.client, &url).await {
            Ok(pem) => pem,
            Err(text) => {
                desk.intake.health.fails("SNS's certificate", text, (desk.intake.clock)());
                return Err(Refused::NoKeys);
            }
        };
        let key = public_key(&pem).ok_or(Refused::Unknown("the certificate cannot be read"))?;
        desk.intake.health.works("SNS's certificate");
        if keys.len() >= CERTIFICATES_MAX {
            keys.clear();
        }
        keys.insert(address.to_owned(), key.clone());
        Ok(key)
    }

    /// Visits the address that confirms the subscription.
    async fn confirm(&self, message: &Posted, desk: &Desk) -> Result<Answer, Refused> {
        let address = message.subscribe_url.as_deref().unwrap_or_default();
        let url = self.own(address, "").ok_or(Refused::Forbidden("`SubscribeURL` is no address of SNS"))?;
        match fetch::get(&self.client, &url).await {
            Ok(_) => {
                tracing::info!(topic = message.topic_arn, "subscription confirmed");
                desk.intake.health.warns("sns", None);
                desk.intake.health.works("subscription");
                Ok(Answer::Said("{}".to_owned()))
            }
            Err(text) => {
                desk.intake.health.fails("subscription", text, (desk.intake.clock)());
                Err(Refused::Bad("the subscription could not be confirmed"))
            }
        }
    }

    /// The address, when it is one of SNS's own, or of what stands in for it on this machine.
    fn own(&self, address: &str, ending: &str) -> Option<Url> {
        let url = Url::parse(address).ok()?;
        if let Some(endpoint) = self.wanted.endpoint.as_ref().filter(|endpoint| fetch::is_loopback(endpoint))
            && url.origin() == endpoint.origin()
        {
            return Some(url);
        }
        let is_plain = url.username().is_empty() && url.password().is_none() && url.port().is_none();
        let host = url.host_str()?.to_ascii_lowercase();
        let labels: Vec<&str> = host.split('.').collect();
        let is_region = |label: &str| {
            label.len() >= 3 && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        };
        let is_sns = match labels.as_slice() {
            ["sns", region, "amazonaws", "com"] | ["sns", region, "amazonaws", "com", "cn"] => {
                is_region(region)
            }
            _ => false,
        };
        (url.scheme() == "https" && is_plain && is_sns && url.path().ends_with(ending)).then_some(url)
    }
}

/// What was signed: keys and values in this order, a line each.
fn signed_text(message: &Posted) -> String {
    let is_notification = message.r#type == "Notification";
    let (subscribe, token, subject) = if is_notification {
        (None, None, message.subject.as_deref())
    } else {
        (message.subscribe_url.as_deref(), message.token.as_deref(), None)
    };
    let parts = [
        ("Message", Some(message.message.as_str())),
        ("MessageId", Some(message.message_id.as_str())),
        ("Subject", subject),
        ("SubscribeURL", subscribe),
        ("Timestamp", Some(message.timestamp.as_str())),
        ("Token", token),
        ("TopicArn", Some(message.topic_arn.as_str())),
        ("Type", Some(message.r#type.as_str())),
    ];
    let mut text = String::new();
    for (key, value) in parts.into_iter().filter_map(|(key, value)| Some((key, value?))) {
        // Writing to a string does not fail.
        let _written = write!(text, "{key}\n{value}\n");
    }
    text
}

/// The public key of a certificate in PEM, as SubjectPublicKeyInfo. That it is SNS's own is known
/// by where it was fetched, over TLS.
fn public_key(pem: &[u8]) -> Option<Vec<u8>> {
    let certificate = CertificateDer::from_pem_slice(pem).ok()?;
    let certificate = EndEntityCert::try_from(&certificate).ok()?;
    Some(certificate.subject_public_key_info().to_vec())
}
