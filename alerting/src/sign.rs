//! Standard Webhooks 1.0 signatures over `id.timestamp.body`: HMAC-SHA256 (`v1`) with a secret
//! that both sides know, or ed25519 (`v1a`) with a key of which the receiver knows the public half.
//!
//! A secret is never printed, neither by `Debug` nor in an error, and is wiped when dropped.
//! <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>

use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose::STANDARD};
use base64::{Engine, alphabet};
use ed25519_dalek::{Signer, SigningKey};
use hmac::{Hmac, Mac};
use sha2::Sha256;
use std::fmt;
use std::ops::RangeInclusive;
use zeroize::Zeroizing;

/// How many bytes a signing secret has: the limits of Standard Webhooks 1.0.
pub const SECRET_BYTES: RangeInclusive<usize> = 24..=64;

const PREFIX: &str = "whsec_";
/// Before a private ed25519 key: its seed of 32 bytes, or seed and public key, 64 bytes.
const PRIVATE_PREFIX: &str = "whsk_";
const PUBLIC_PREFIX: &str = "whpk_";
/// A fresh secret: as many bytes as the hash puts out.
const FRESH_BYTES: usize = 32;

/// Base64 with or without its padding: people lose it when they copy.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What messages to one receiver are signed with.
#[derive(Clone)]
pub struct SigningSecret(Key);

/// Both are wiped when dropped.
#[derive(Clone)]
enum Key {
    Shared(Zeroizing<Vec<u8>>),
    Private(Box<SigningKey>),
}

/// Why a text is no signing secret; never repeats any of it.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
pub enum SecretError {
    /// The prefix is missing.
    #[error(
        "a webhook signing secret starts with `whsec_` (a private ed25519 key with `whsk_`); copy the whole value the receiver shows, or make one with `openssl rand -base64 32` and put `whsec_` in front"
    )]
    Prefix,
    /// What follows the prefix is not base64.
    #[error(
        "what follows the prefix is not base64 (letters, digits, `+`, `/`); copy the value again, without quotes or line breaks"
    )]
    Base64,
    /// Fewer or more bytes than allowed.
    #[error(
        "the webhook signing secret has {0} bytes, the standard asks for 24 to 64; make one with `openssl rand -base64 32` and put `whsec_` in front"
    )]
    Length(usize),
    /// Not 32 or 64 bytes, or the two halves do not belong together.
    #[error(
        "what follows `whsk_` is no private ed25519 key; write its 32 bytes, or those and the 32 of its public key, in base64"
    )]
    Private,
    /// The operating system gave no random bytes.
    #[error("no random bytes for a new webhook signing secret; check that the system's random source works")]
    Random,
}

/// Why a message cannot be signed.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum SignError {
    /// Ids are part of the signed text, where a full stop separates.
    #[error(
        "the message id `{0}` cannot be signed; ids are visible ASCII without a full stop, at most 256 characters"
    )]
    Id(String),
    /// Nothing to sign with.
    #[error("there is no secret to sign with; give the receiver one that starts with `whsec_`")]
    NoSecret,
}

impl SigningSecret {
    /// Reads a secret as receivers show it, `whsec_` and base64, or a private key, `whsk_` and
    /// base64. White space around it is ignored.
    ///
    /// # Errors
    /// [`SecretError`] when it is neither.
    pub fn parse(text: &str) -> Result<Self, SecretError> {
        let text = text.trim();
        if let Some(encoded) = text.strip_prefix(PRIVATE_PREFIX) {
            return private(&decoded(encoded)?).map(|key| Self(Key::Private(Box::new(key))));
        }
        let bytes = decoded(text.strip_prefix(PREFIX).ok_or(SecretError::Prefix)?)?;
        if !SECRET_BYTES.contains(&bytes.len()) {
            return Err(SecretError::Length(bytes.len()));
        }
        Ok(Self(Key::Shared(bytes)))
    }

    /// A fresh secret of 32 random bytes.
    ///
    /// # Errors
    /// [`SecretError::Random`] when the operating system has no randomness to give.
    pub fn generate() -> Result<Self, SecretError> {
        let mut bytes = Zeroizing::new(vec![0; FRESH_BYTES]);
        getrandom::fill(&mut bytes).map_err(|_no_source| SecretError::Random)?;
        Ok(Self(Key::Shared(bytes)))
    }

    /// The secret as text, for showing it once to the person who sets up the receiver.
    #[must_use]
    pub fn reveal(&self) -> Zeroizing<String> {
        match &self.0 {
            Key::Shared(bytes) => encoded(PREFIX, bytes),
            Key::Private(key) => encoded(PRIVATE_PREFIX, &*Zeroizing::new(key.to_keypair_bytes())),
        }
    }

    /// The key a receiver verifies with, when it is not the secret itself: `whpk_` and base64.
    #[must_use]
    pub fn public(&self) -> Option<String> {
        match &self.0 {
            Key::Shared(_) => None,
            Key::Private(key) => Some(encoded(PUBLIC_PREFIX, key.verifying_key().as_bytes()).to_string()),
        }
    }
}

fn decoded(encoded: &str) -> Result<Zeroizing<Vec<u8>>, SecretError> {
    LENIENT.decode(encoded).map(Zeroizing::new).map_err(|_holds_the_value| SecretError::Base64)
}

fn encoded(prefix: &str, bytes: &[u8]) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(prefix.len() + bytes.len().div_ceil(3) * 4));
    text.push_str(prefix);
    STANDARD.encode_string(bytes, &mut text);
    text
}

fn private(bytes: &[u8]) -> Result<SigningKey, SecretError> {
    let key = match bytes.len() {
        32 => bytes.try_into().ok().map(SigningKey::from_bytes),
        64 => bytes.try_into().ok().and_then(|pair| SigningKey::from_keypair_bytes(pair).ok()),
        _ => None,
    };
    key.ok_or(SecretError::Private)
}

impl fmt::Debug for SigningSecret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("SigningSecret(redacted)")
    }
}

/// The `webhook-signature` header: one `v1,…` or `v1a,…` per secret, separated by spaces, so that a receiver
/// accepts the message during a rotation whichever of the secrets it knows.
///
/// `timestamp` is in seconds since 1970 and must be the one sent along.
///
/// # Errors
/// [`SignError`] when the id cannot be part of a signed text, or there is no secret.
pub fn signature(
    secrets: &[SigningSecret],
    id: &str,
    timestamp: i64,
    body: &[u8],
) -> Result<String, SignError> {
    let plain = |byte: u8| byte.is_ascii_graphic() && byte != b'.';
    if id.is_empty() || id.len() > 256 || !id.bytes().all(plain) {
        return Err(SignError::Id(id.chars().take(64).flat_map(char::escape_default).collect()));
    }
    if secrets.is_empty() {
        return Err(SignError::NoSecret);
    }
    let stem = format!("{id}.{timestamp}.");
    let signatures = secrets.iter().filter_map(|secret| sign_once(secret, stem.as_bytes(), body));
    Ok(signatures.collect::<Vec<_>>().join(" "))
}

/// `None` never happens: HMAC takes keys of any length (RFC 2104).
fn sign_once(secret: &SigningSecret, stem: &[u8], body: &[u8]) -> Option<String> {
    match &secret.0 {
        Key::Shared(bytes) => {
            let mut mac = Hmac::<Sha256>::new_from_slice(bytes).ok()?;
            mac.update(stem);
            mac.update(body);
            Some(format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())))
        }
        Key::Private(key) => {
            let signature = key.sign(&[stem, body].concat());
            Some(format!("v1a,{}", STANDARD.encode(signature.to_bytes())))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret_of(bytes: &[u8]) -> String {
        format!("whsec_{}", STANDARD.encode(bytes))
    }

    #[track_caller]
    fn check_refused(text: &str, want: SecretError) {
        let error = SigningSecret::parse(text).unwrap_err();
        assert_eq!(error, want);
        let body = text.trim_start_matches("whsec_");
        assert!(body.is_empty() || !error.to_string().contains(body), "{error}");
    }

    #[test]
    fn the_reference_implementation_makes_the_same_signature() {
        let text = secret_of(&[7; 32]);
        let secret = SigningSecret::parse(&text).unwrap();
        let oracle = standardwebhooks::Webhook::new(&text).unwrap();
        for body in ["", "{}", r#"{"text":"grüß dich\n"}"#] {
            let ours = signature(std::slice::from_ref(&secret), "msg_1", 1_769_860_800, body.as_bytes());
            let theirs = oracle.sign("msg_1", 1_769_860_800, body.as_bytes()).unwrap();
            assert_eq!(ours, Ok(theirs));
        }
    }

    #[test]
    fn a_rotation_signs_with_every_secret() {
        let texts = [secret_of(&[1; 24]), secret_of(&[2; 64])];
        let secrets: Vec<_> = texts.iter().map(|text| SigningSecret::parse(text).unwrap()).collect();
        let header = signature(&secrets, "msg_1", 5, b"{}").unwrap();
        let parts: Vec<_> = header.split(' ').collect();
        assert_eq!(parts.len(), 2);
        for (part, text) in parts.iter().zip(&texts) {
            let oracle = standardwebhooks::Webhook::new(text).unwrap();
            assert_eq!(*part, oracle.sign("msg_1", 5, b"{}").unwrap());
        }
    }

    #[test]
    fn a_text_that_is_no_secret_is_refused_without_repeating_it() {
        check_refused("hunter2-hunter2-hunter2", SecretError::Prefix);
        check_refused("", SecretError::Prefix);
        check_refused("whsec_", SecretError::Length(0));
        check_refused("whsec_not base64 at all", SecretError::Base64);
        check_refused(&secret_of(&[3; 23]), SecretError::Length(23));
        check_refused(&secret_of(&[3; 65]), SecretError::Length(65));
    }

    #[test]
    fn a_private_key_signs_what_its_public_half_verifies() {
        use ed25519_dalek::{Signature, VerifyingKey};
        let seed = [5; 32];
        let text = format!("whsk_{}", STANDARD.encode(seed));
        let secret = SigningSecret::parse(&text).unwrap();
        assert_eq!(SigningSecret::parse(&secret.reveal()).unwrap().public(), secret.public(), "both lengths");
        let public = secret.public().unwrap();
        let bytes = STANDARD.decode(public.strip_prefix("whpk_").unwrap()).unwrap();
        let key = VerifyingKey::from_bytes(&bytes.try_into().unwrap()).unwrap();
        let header = signature(&[secret], "msg_1", 5, b"{}").unwrap();
        let raw = STANDARD.decode(header.strip_prefix("v1a,").unwrap()).unwrap();
        let signed = Signature::from_slice(&raw).unwrap();
        assert!(key.verify_strict(b"msg_1.5.{}", &signed).is_ok());
        assert!(key.verify_strict(b"msg_1.6.{}", &signed).is_err());
    }

    #[test]
    fn a_text_that_is_no_private_key_is_refused() {
        for bytes in [31, 33, 64, 65] {
            let text = format!("whsk_{}", STANDARD.encode(vec![9; bytes]));
            assert_eq!(SigningSecret::parse(&text).unwrap_err(), SecretError::Private, "{bytes}");
        }
    }

    #[test]
    fn white_space_around_and_missing_padding_do_no_harm() {
        let text = secret_of(&[9; 32]);
        let bare = text.trim_end_matches('=');
        assert_ne!(bare, text);
        for variant in [format!(" {text}\n"), bare.to_owned()] {
            assert_eq!(SigningSecret::parse(&variant).unwrap().reveal().as_str(), text);
        }
    }

    #[test]
    fn a_fresh_secret_reads_back_and_differs_from_the_next() {
        let first = SigningSecret::generate().unwrap();
        let second = SigningSecret::generate().unwrap();
        assert_eq!(SigningSecret::parse(&first.reveal()).unwrap().reveal(), first.reveal());
        assert_ne!(first.reveal(), second.reveal());
    }

    #[test]
    fn a_secret_is_not_in_its_debug_output() {
        let secret = SigningSecret::parse(&secret_of(b"correct horse battery staple")).unwrap();
        assert_eq!(format!("{secret:?}"), "SigningSecret(redacted)");
    }

    #[test]
    fn an_id_that_would_blur_the_signed_text_is_refused() {
        let secrets = [SigningSecret::generate().unwrap()];
        for id in ["", "a.b", "a b", "a\r\nb", "é", &"x".repeat(257)] {
            assert!(matches!(signature(&secrets, id, 1, b""), Err(SignError::Id(_))), "{id:?}");
        }
        assert_eq!(signature(&[], "msg_1", 1, b""), Err(SignError::NoSecret));
    }
}
