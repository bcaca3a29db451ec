//! The server's part of a login: PLAIN (RFC 4616) and SCRAM (RFC 5802, RFC 7677).

use crate::door::Login;
use aws_lc_rs::hmac::{self, Key};
use aws_lc_rs::{constant_time, digest, pbkdf2};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use keywatch_brokers::Mechanism;
use std::num::NonZeroU32;

const SALT: &[u8] = b"salt-of-the-test";
const ITERATIONS: NonZeroU32 = NonZeroU32::new(4096).expect("many");
const NONCE: &str = "nonce-of-the-door";

/// A login under way.
pub(super) struct Exchange {
    login: Login,
    /// The client's first message without its head, and what it was answered.
    said: Option<(String, String)>,
}

impl Exchange {
    pub(super) fn new(login: Login) -> Self {
        Self { login, said: None }
    }

    /// What a message is answered, and, when that was the last one, whether the password was right.
    pub(super) fn answer(&mut self, message: &[u8]) -> (Vec<u8>, Option<bool>) {
        let text = String::from_utf8_lossy(message).into_owned();
        match (self.login.mechanism, self.said.take()) {
            (Mechanism::Plain, _) => {
                let is_right = text.rsplit('\0').next() == Some(self.login.password);
                (Vec::new(), Some(is_right))
            }
            (_, None) => {
                let bare = text.strip_prefix("n,,").expect("no channel is bound").to_owned();
                let nonce = bare.rsplit("r=").next().expect("a nonce");
                let salt = STANDARD.encode(SALT);
                let first = format!("r={nonce}{NONCE},s={salt},i={ITERATIONS}");
                self.said = Some((bare, first.clone()));
                (first.into_bytes(), None)
            }
            (_, Some((bare, first))) => self.verify(&bare, &first, &text),
        }
    }

    fn verify(&self, bare: &str, first: &str, last: &str) -> (Vec<u8>, Option<bool>) {
        let (without, proof) = last.rsplit_once(",p=").expect("a proof");
        let proof = STANDARD.decode(proof).expect("base64");
        let (hash, mac, derived) = match self.login.mechanism {
            Mechanism::ScramSha512 => (&digest::SHA512, hmac::HMAC_SHA512, pbkdf2::PBKDF2_HMAC_SHA512),
            Mechanism::Plain | Mechanism::ScramSha256 => {
                (&digest::SHA256, hmac::HMAC_SHA256, pbkdf2::PBKDF2_HMAC_SHA256)
            }
        };
        let mut salted = vec![0; hash.output_len()];
        pbkdf2::derive(derived, ITERATIONS, SALT, self.login.password.as_bytes(), &mut salted);
        let signed = |key: &[u8], text: &[u8]| hmac::sign(&Key::new(mac, key), text).as_ref().to_vec();
        let client = signed(&salted, b"Client Key");
        let stored = digest::digest(hash, &client);
        let all = format!("{bare},{first},{without}");
        let signature = signed(stored.as_ref(), all.as_bytes());
        let wanted: Vec<u8> = client.iter().zip(&signature).map(|(one, other)| one ^ other).collect();
        if constant_time::verify_slices_are_equal(&wanted, &proof).is_err() {
            return (Vec::new(), Some(false));
        }
        let server = signed(&signed(&salted, b"Server Key"), all.as_bytes());
        (format!("v={}", STANDARD.encode(server)).into_bytes(), Some(true))
    }
}
