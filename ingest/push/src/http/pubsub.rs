//! Pub/Sub's push: a token that Google signs for the subscription's service account.
//!
//! Google's page "Authenticate push subscriptions" says what is in it: issuer, audience, email.
//! RS256 (RFC 7518, 3.3) and nothing else is taken, whatever the token asks for.

use super::answer::{Answer, Refused};
use super::fetch;
use super::{Desk, PubSub, body};
use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
use axum::extract::{Request, State};
use axum::http::header;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

/// How old Google's keys may be: they are exchanged every few days, and known a day before.
const KEYS_AGE_MAX: Duration = Duration::from_hours(1);
/// How soon an unknown key is asked for again: whoever invents keys makes no traffic.
const KEYS_AGE_MIN: Duration = Duration::from_mins(1);
/// How far clocks may differ, seconds.
const LEEWAY_SECS: i64 = 60;
/// Largest token. Google's have about 1 KB.
const TOKEN_BYTES_MAX: usize = 8 << 10;
const ISSUERS: [&str; 2] = ["https://accounts.google.com", "accounts.google.com"];

/// Checks tokens.
pub(super) struct Checker {
    wanted: PubSub,
    client: reqwest::Client,
    keys: Mutex<Option<(Instant, HashMap<String, Key>)>>,
}

#[derive(Clone, serde::Deserialize)]
struct Key {
    #[serde(default)]
    kid: String,
    #[serde(default)]
    kty: String,
    #[serde(default)]
    n: String,
    #[serde(default)]
    e: String,
}

#[derive(serde::Deserialize)]
struct KeySet {
    keys: Vec<Key>,
}

#[derive(serde::Deserialize)]
struct Header {
    alg: String,
    #[serde(default)]
    kid: String,
}

#[derive(serde::Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    exp: i64,
    #[serde(default)]
    iat: i64,
    #[serde(default)]
    email: String,
    #[serde(default)]
    email_verified: bool,
}

/// One message of a subscription.
pub(super) async fn receive(State(desk): State<Arc<Desk>>, request: Request) -> Result<Answer, Refused> {
    let work = async {
        let _slot = desk.slots.try_acquire().map_err(|_full| Refused::Busy)?;
        let checker = desk.pub_sub.as_ref().ok_or(Refused::Forbidden(
            "Pub/Sub is not configured; write `pub_sub` with audience and email at this source",
        ))?;
        let token = request
            .headers()
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "))
            .ok_or(Refused::Unknown(
                "the subscription sends no token; give it --push-auth-service-account",
            ))?;
        checker.check(token, &desk).await?;
        let body = body::read(&desk, request).await?;
        Ok(Answer::Taken(desk.keep(&body).await?))
    };
    desk.answer(work.await)
}

impl Checker {
    pub(super) fn new(wanted: PubSub) -> Self {
        Self { wanted, client: fetch::client(), keys: Mutex::new(None) }
    }

    async fn check(&self, token: &str, desk: &Desk) -> Result<(), Refused> {
        let broken = Refused::Unknown("this is no token of Google's");
        let parts: Vec<&str> = token.split('.').collect();
        let &[head, claims, signature] = parts.as_slice() else { return Err(broken) };
        let part = |text: &str| URL_SAFE_NO_PAD.decode(text).ok();
        let header: Option<Header> = part(head).and_then(|json| serde_json::from_slice(&json).ok());
        let (Some(header), Some(signature)) = (header, part(signature)) else { return Err(broken) };
        if header.alg != "RS256" || token.len() > TOKEN_BYTES_MAX {
            return Err(broken);
        }
        let key = self.key(&header.kid, desk).await?;
        let (Some(n), Some(e)) = (part(&key.n), part(&key.e)) else { return Err(Refused::NoKeys) };
        let signed = token.get(..head.len() + 1 + claims.len()).unwrap_or_default();
        RsaPublicKeyComponents { n, e }
            .verify(&RSA_PKCS1_2048_8192_SHA256, signed.as_bytes(), &signature)
            .map_err(|_wrong| Refused::Unknown("the token's signature does not check out"))?;
        let claims: Claims =
            part(claims).and_then(|json| serde_json::from_slice(&json).ok()).ok_or(broken)?;
        self.check_claims(&claims, (desk.intake.clock)().timestamp())
    }

    fn check_claims(&self, claims: &Claims, now: i64) -> Result<(), Refused> {
        if !ISSUERS.contains(&claims.iss.as_str()) {
            return Err(Refused::Unknown("the token's issuer is not Google"));
        }
        if claims.exp.saturating_add(LEEWAY_SECS) < now || claims.iat > now.saturating_add(LEEWAY_SECS) {
            return Err(Refused::Unknown("the token has expired, or is not valid yet"));
        }
        if claims.aud != self.wanted.audience {
            return Err(Refused::Forbidden("the token is for another audience than `pub_sub.audience`"));
        }
        if claims.email != self.wanted.email || !claims.email_verified {
            return Err(Refused::Forbidden("the token is of another account than `pub_sub.email`"));
        }
        Ok(())
    }

    /// The key of that id. One request at a time fetches; the others wait for it.
    async fn key(&self, id: &str, desk: &Desk) -> Result<Key, Refused> {
        let mut keys = self.keys.lock().await;
        let age_max = match &*keys {
            Some((_, known)) if known.contains_key(id) => KEYS_AGE_MAX,
            _ => KEYS_AGE_MIN,
        };
        let is_fresh = keys.as_ref().is_some_and(|(at, _)| at.elapsed() < age_max);
        if !is_fresh {
            match self.fetch().await {
                Ok(found) => {
                    desk.intake.health.works("Google's keys");
                    *keys = Some((Instant::now(), found));
                }
                Err(text) => {
                    desk.intake.health.fails("Google's keys", text, (desk.intake.clock)());
                }
            }
        }
        let Some((_, known)) = &*keys else { return Err(Refused::NoKeys) };
        known
            .get(id)
            .cloned()
            .ok_or(Refused::Unknown("the token is signed with a key that Google does not have"))
    }

    async fn fetch(&self) -> Result<HashMap<String, Key>, String> {
        let body = fetch::get(&self.client, &self.wanted.keys).await?;
        let set: KeySet = serde_json::from_slice(&body)
            .map_err(|error| format!("Google's keys cannot be read: {error}"))?;
        Ok(set.keys.into_iter().filter(|key| key.kty == "RSA").map(|key| (key.kid.clone(), key)).collect())
    }
}
