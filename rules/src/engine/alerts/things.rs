//! What the things an alert names are: secrets, keys, certificates, or whole stores of them.
//!
//! All of them are told of as secrets in the contract; in a sentence a key is a key. What a name does not
//! say is a secret.

use crate::engine::incident::Member;
use crate::wording::{counted, listed};
use hashbrown::HashSet;

/// Kinds of things, one of them and several.
const KINDS: [(&str, &str); 4] =
    [("secret", "secrets"), ("key", "keys"), ("certificate", "certificates"), ("store", "stores")];
const SECRET: usize = 0;
const KEY: usize = 1;
const CERTIFICATE: usize = 2;
/// A secrets engine, a namespace or a vault with everything in it.
const STORE: usize = 3;

/// How many things of each kind the events of an alert name, also those that its list leaves out.
pub(super) struct Things([u64; KINDS.len()]);

impl Things {
    pub(super) fn of(members: &[&Member]) -> Self {
        let (mut seen, mut things) = (HashSet::new(), [0; KINDS.len()]);
        for member in members {
            let store = member.brief.who.store.as_deref();
            for secret in &*member.brief.secrets {
                if seen.insert(&*secret.id) {
                    things.iter_mut().skip(kind(&secret.id, store)).take(1).for_each(|count| *count += 1);
                }
            }
        }
        Self(things)
    }

    /// `1 secret`, `3 keys`, `2 secrets and 1 key`; empty when nothing is named.
    pub(super) fn words(&self) -> String {
        let told = self.0.iter().zip(KINDS).filter(|(count, _)| **count > 0);
        listed(&told.map(|(count, (one, many))| counted(*count, one, many)).collect::<Vec<String>>())
    }
}

/// What an id stands for, in a store.
fn kind(id: &str, store: Option<&str>) -> usize {
    let of_azure = id.strip_prefix("https://").map(|rest| rest.split('/').nth(1).unwrap_or_default());
    match of_azure {
        Some("") => return STORE,
        Some("keys") => return KEY,
        Some("certificates") => return CERTIFICATE,
        _ => {}
    }
    if store == Some(id) {
        return STORE;
    }
    let is_key = matches!(store, Some("kms" | "gkms"))
        || id.starts_with("key/")
        || id.contains(":key/")
        || id.contains("/cryptoKeys/")
        || store == Some("vault:transit") && id.starts_with("vault:transit/");
    if is_key { KEY } else { SECRET }
}

#[cfg(test)]
mod tests {
    use super::{KINDS, kind};

    #[test]
    fn a_key_a_certificate_and_a_store_are_no_secrets() {
        for (id, store, want) in [
            ("aws:111122223333:eu-west-1:secret:prod/db", Some("sm"), "secret"),
            ("aws:111122223333:eu-west-1:key/1", Some("kms"), "key"),
            ("projects/p/locations/eu/keyRings/r/cryptoKeys/k", Some("gkms"), "key"),
            ("projects/p/secrets/db", Some("gsm"), "secret"),
            ("https://shop.vault.azure.net/keys/k", Some("kv:shop"), "key"),
            ("https://shop.vault.azure.net/secrets/db", Some("kv:shop"), "secret"),
            ("https://shop.vault.azure.net/certificates/www", Some("kv:shop"), "certificate"),
            ("https://shop.vault.azure.net", Some("kv:shop"), "store"),
            ("vault:team/kv", Some("vault:team/kv"), "store"),
            ("vault:transit/orders", Some("vault:transit"), "key"),
            ("vault:secret/db", Some("vault:secret"), "secret"),
            ("prod/db", None, "secret"),
        ] {
            assert_eq!(KINDS[kind(id, store)].0, want, "{id}");
        }
    }
}
