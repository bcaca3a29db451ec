//! Vault and OpenBao entries that were not hashed.
//!
//! An audit device with `log_raw` writes tokens and the data of requests and responses in clear;
//! an ordinary one hashes every string of them, but no number. Names, paths, policies and what
//! administrates Vault itself stay: they say what happened, and rules read them.

use super::bytes;
use super::place::whole;
use super::span::{Span, With};
use super::walk::{Leaf, Path, walk};
use keywatch_event::scrubbed as kind;
use memchr::memmem;

/// Digits a number in a secret has at least to be worth hiding: a PIN, not a port or a switch.
const DIGITS_MIN: usize = 4;

/// What is known of the record before its values are looked at.
#[derive(Debug)]
pub(super) struct Entry {
    /// An entry of Vault in which nothing is hashed.
    is_raw: bool,
    /// Its path is one that administrates Vault, where only credentials are values.
    is_admin: bool,
    is_list: bool,
}

/// Names of credentials in requests that administrate Vault.
const ADMIN_SECRETS: &[&[u8]] = &[
    b"token",
    b"secret_id",
    b"jwt",
    b"key",
    b"keys",
    b"keys_base64",
    b"root_token",
    b"encoded_token",
    b"encoded_root_token",
    b"otp",
    b"bindpass",
    b"value",
];

impl Entry {
    pub(super) fn of(record: &[u8]) -> Self {
        let mut entry = Self { is_raw: false, is_admin: false, is_list: false };
        if memmem::find(record, b"hmac-sha256:").is_some() {
            return entry;
        }
        walk(record, &mut |path, leaf| {
            let value = bytes(record, leaf.range);
            match path {
                [b"type"] => entry.is_raw = matches!(value, b"request" | b"response"),
                [b"request", b"path"] => entry.is_admin = is_admin(value),
                [b"request", b"operation"] => entry.is_list = value == b"list",
                _ => {}
            }
        });
        entry
    }

    /// What takes the place of this value, when it must not stay.
    pub(super) fn span(&self, path: Path<'_, '_>, leaf: &Leaf, value: &[u8]) -> Option<Span> {
        if let [b"request" | b"response", b"data", b"data", ..] = path
            && !leaf.is_string
            && digits(value) >= DIGITS_MIN
        {
            return Some(whole(leaf.clone(), kind::NUMBER));
        }
        if !self.is_raw || !leaf.is_string {
            return None;
        }
        let range = leaf.range.clone();
        let last = path.last().copied().unwrap_or_default();
        match path {
            [b"request" | b"response", b"data", inner @ ..] => {
                let is_name = self.is_list && inner.first() == Some(&b"keys".as_slice());
                let is_value = if self.is_admin { ADMIN_SECRETS.contains(&last) } else { !is_name };
                (is_value && last != b"error").then(|| Span::mark(range, kind::VAULT_VALUE))
            }
            [b"auth" | b"request" | b"response", ..] => match last {
                b"client_token" | b"token" => Some(Span::mark(range, kind::VAULT_TOKEN)),
                b"accessor" | b"client_token_accessor" | b"wrapped_accessor" => {
                    Some(Span { range, with: With::Fingerprint(kind::VAULT_ACCESSOR) })
                }
                _ => None,
            },
            _ => None,
        }
    }
}

fn is_admin(path: &[u8]) -> bool {
    const VALUES: &[&[u8]] = &[b"sys/wrapping/", b"sys/raw", b"sys/tools/", b"sys/storage/"];
    let is_login = memmem::find(path, b"/login").is_some();
    let is_system = path.starts_with(b"sys/") && !VALUES.iter().any(|values| path.starts_with(values));
    is_system || path.starts_with(b"identity/") || (path.starts_with(b"auth/") && !is_login)
}

/// Digits of a number, without sign, point and exponent.
fn digits(value: &[u8]) -> usize {
    value.iter().filter(|byte| byte.is_ascii_digit()).count()
}

/// Whether the objects that `rest` begins with hold a number worth hiding.
pub(super) fn has_number(rest: &[u8]) -> bool {
    // The walk does not see the first key, so what it finds below the second is the secret's.
    let mut found = false;
    walk(rest, &mut |path, leaf| {
        let inside = matches!(path, [b"data", ..]);
        found |= inside && !leaf.is_string && digits(bytes(rest, leaf.range)) >= DIGITS_MIN;
    });
    found
}
