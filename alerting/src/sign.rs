//! Standard Webhooks 1.0 signatures: HMAC-SHA256 over `id.timestamp.body`.
//!
//! A secret is never printed, neither by `Debug` nor in an error, and is wiped when dropped.
//! <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>

use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose::STANDARD};
use base64::{Engine, alphabet};
use hmac::{Hmac, Mac};
use sha2::Sha256;
use std::fmt;
use std::ops::RangeInclusive;
use zeroize::Zeroizing;

/// How many bytes a signing secret has: the limits of Standard Webhooks 1.0.
pub const SECRET_BYTES: RangeInclusive<usize> = 24..=64;

const PREFIX: &str = "whsec_";
/// A fresh secret: as many bytes as the hash puts out.
const FRESH_BYTES: usize = 32;

/// Base64 with or without its padding: people lose it when they copy.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A secret shared with one receiver.
#[derive(Clone)]
pub struct SigningSecret(Zeroizing<Vec<u8>>);

/// Why a text is no signing secret; never repeats any of it.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
pub enum SecretError {
    /// The prefix is missing.
    #[error(
        "a webhook signing secret starts with `whsec_`; copy the whole value the receiver shows, or make one with `openssl rand -base64 32` and put `whsec_` in front"
    )]
    Prefix,
    /// What follows the prefix is not base64.
    #[error(
        "what follows `whsec_` is not base64 (letters, digits, `+`, `/`); copy the value again, without quotes or line breaks"
    )]
    Base64,
    /// Fewer or more bytes than allowed.
    #[error(
        "the webhook signing secret has {0} bytes, the standard asks for 24 to 64; make one with `openssl rand -base64 32` and put `whsec_` in front"
    )]
    Length(usize),
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
    /// Reads a secret as receivers show it: `whsec_` and base64. White space around it is ignored.
    ///
    /// # Errors
    /// [`SecretError`] when it is not of that form or not 24 to 64 bytes long.
    pub fn parse(text: &str) -> Result<Self, SecretError> {
        let encoded = text.trim().strip_prefix(PREFIX).ok_or(SecretError::Prefix)?;
        let decoded = LENIENT.decode(encoded).map(Zeroizing::new);
        let Ok(bytes) = decoded else { return Err(SecretError::Base64) };
        if !SECRET_BYTES.contains(&bytes.len()) {
            return Err(SecretError::Length(bytes.len()));
        }
        Ok(Self(bytes))
    }

    /// A fresh secret of 32 random bytes.
    ///
    /// # Errors
    /// [`SecretError::Random`] when the operating system has no randomness to give.
    pub fn generate() -> Result<Self, SecretError> {
        let mut bytes = Zeroizing::new(vec![0; FRESH_BYTES]);
        getrandom::fill(&mut bytes).map_err(|_no_source| SecretError::Random)?;
        Ok(Self(bytes))
    }

    /// The secret as text, for showing it once to the person who sets up the receiver.
    #[must_use]
    pub fn reveal(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(PREFIX.len() + self.0.len().div_ceil(3) * 4));
        text.push_str(PREFIX);
        STANDARD.encode_string(&*self.0, &mut text);
        text
    }
}

impl fmt::Debug for SigningSecret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("SigningSecret(redacted)")
    }
}

/// The `webhook-signature` header: one `v1,…` per secret, separated by spaces, so that a receiver
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
    let mut mac = Hmac::<Sha256>::new_from_slice(&secret.0).ok()?;
    mac.update(stem);
    mac.update(body);
    Some(format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())))
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
