//! SNS over HTTPS: every message carries a signature, and the first asks for consent.
//!
//! AWS's page "Verifying the signatures of Amazon SNS messages" says what is signed. Certificates
//! are fetched from SNS's own host in the topic's region alone, and consent is given there alone:
//! both addresses come with the message, from anybody. What a certificate must be is checked for
//! every message (`certificate.rs`), so one that expires while it is kept ends with its time.

use super::answer::{Answer, Refused};
use super::certificate::Chain;
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
use url::Url;

/// Certificates kept: one per region, and those before them.
const CERTIFICATES_MAX: usize = 64;
/// How old a message may be, seconds. SNS retries for an hour and signs anew; beyond a day it is a
/// replay or a clock.
const AGE_SECS_MAX: i64 = 24 * 3600;

/// Checks messages.
pub(super) struct Checker {
    wanted: Sns,
    client: reqwest::Client,
    /// Certificates by their address. One never changes under its address, so one that is no good
    /// is kept as well: nobody makes Keywatch fetch it again and again.
    chains: Mutex<HashMap<String, Chain>>,
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
        Self { wanted, client: fetch::client(), chains: Mutex::default() }
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
        let region = region_of(&message.topic_arn);
        let chain = self.chain(&message.signing_cert_url, region, desk).await?;
        let key = chain.key(region, u64::try_from(now).unwrap_or(0)).map_err(Refused::Unknown)?;
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

    async fn chain(&self, address: &str, region: &str, desk: &Desk) -> Result<Chain, Refused> {
        let url = self.own(address, region).filter(|url| url.path().strip_suffix(".pem").is_some());
        let url =
            url.ok_or(Refused::Forbidden("`SigningCertURL` is no address of SNS in the topic's region"))?;
        let mut chains = self.chains.lock().await;
        if let Some(chain) = chains.get(address) {
            return Ok(chain.clone());
        }
        let pem = match fetch::get(&self.client, &url).await {
            Ok(pem) => pem,
            Err(text) => {
                desk.intake.health.fails("SNS's certificate", text, (desk.intake.clock)());
                return Err(Refused::NoKeys);
            }
        };
        let chain = Chain::read(&pem).ok_or(Refused::Unknown("the certificate cannot be read"))?;
        desk.intake.health.works("SNS's certificate");
        if chains.len() >= CERTIFICATES_MAX {
            chains.clear();
        }
        chains.insert(address.to_owned(), chain.clone());
        Ok(chain)
    }

    /// Visits the address that confirms the subscription.
    async fn confirm(&self, message: &Posted, desk: &Desk) -> Result<Answer, Refused> {
        let address = message.subscribe_url.as_deref().unwrap_or_default();
        let url = self.own(address, region_of(&message.topic_arn));
        let url =
            url.ok_or(Refused::Forbidden("`SubscribeURL` is no address of SNS in the topic's region"))?;
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

    /// The address, when it is SNS's own in this region, or of what stands in for it on this machine.
    fn own(&self, address: &str, region: &str) -> Option<Url> {
        let url = Url::parse(address).ok()?;
        if let Some(endpoint) = self.wanted.endpoint.as_ref().filter(|endpoint| fetch::is_loopback(endpoint))
            && url.origin() == endpoint.origin()
        {
            return Some(url);
        }
        let is_plain = url.username().is_empty() && url.password().is_none() && url.port().is_none();
        let ending = if region.starts_with("cn-") { ".cn" } else { "" };
        let is_sns =
            !region.is_empty() && url.host_str() == Some(&format!("sns.{region}.amazonaws.com{ending}"));
        (url.scheme() == "https" && is_plain && is_sns).then_some(url)
    }
}

/// The region of a topic: the fourth part of its ARN.
fn region_of(topic: &str) -> &str {
    let region = topic.split(':').nth(3).unwrap_or_default();
    let is_region =
        region.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    if is_region { region } else { "" }
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
