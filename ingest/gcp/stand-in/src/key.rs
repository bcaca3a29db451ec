//! A service account's key, and whether a token was signed with it.

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

/// The service account the key belongs to.
const EMAIL: &str = "keywatch@watch.iam.gserviceaccount.com";
/// What every Google client asks for unless told otherwise.
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";

/// A key, made for one test.
#[derive(Debug)]
pub struct Key {
    pair: KeyPair,
    id: String,
}

impl Key {
    /// A new key.
    #[must_use]
    pub fn new(id: &str) -> Self {
        Self { pair: KeyPair::generate(KeySize::Rsa2048).unwrap(), id: id.to_owned() }
    }

    /// The file that `gcloud iam service-accounts keys create` would write.
    #[must_use]
    pub fn json(&self) -> String {
        let der: Pkcs8V1Der<'_> = self.pair.as_der().unwrap();
        let text = STANDARD.encode(der.as_ref());
        let lines: Vec<String> =
            text.as_bytes().chunks(64).map(|line| String::from_utf8_lossy(line).into_owned()).collect();
        let label = "PRIVATE KEY";
        json!({
            "type": "service_account",
            "project_id": "watch",
            "private_key_id": self.id,
            "private_key": format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n")),
            "client_email": EMAIL,
        })
        .to_string()
    }

    /// Whether this is a token that the key's owner signed for Google's interfaces (RFC 7515;
    /// google.aip.dev/auth/4111, self-signed JWT).
    #[must_use]
    pub fn has_signed(&self, token: &str) -> bool {
        let parts: Vec<&str> = token.split('.').collect();
        let [head, claims, signature] = parts.as_slice() else { return false };
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).unwrap_or_default();
        let read = |part: &str| serde_json::from_slice::<Value>(&decode(part)).unwrap_or_default();
        let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, self.pair.public_key().as_ref());
        let is_signed = public.verify(format!("{head}.{claims}").as_bytes(), &decode(signature)).is_ok();
        let (head, claims) = (read(head), read(claims));
        let says = |value: &Value, name: &str, wanted: &str| value.get(name) == Some(&json!(wanted));
        let lasts = claims
            .get("exp")
            .zip(claims.get("iat"))
            .and_then(|(end, begin)| Some(end.as_i64()? - begin.as_i64()?));
        is_signed
            && says(&head, "alg", "RS256")
            && says(&head, "kid", &self.id)
            && says(&claims, "iss", EMAIL)
            && says(&claims, "sub", EMAIL)
            && says(&claims, "scope", SCOPE)
            && lasts.is_some_and(|lasts| lasts > 0 && lasts <= 3700)
    }
}
