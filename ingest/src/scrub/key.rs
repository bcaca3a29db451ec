//! Names behind which a secret value stands, and values that only say that one stood there.

use keywatch_event::scrubbed as kind;

/// Names in lower case without `_` and `-`, what stands behind them, and whether everything below
/// counts too. CloudTrail hides most of these itself; what AWS forgot, other services of it, other
/// clouds and request bodies do not.
const NAMES: &[(&str, &str, bool)] = &[
    ("accesstoken", kind::CREDENTIAL, false),
    ("accountkey", kind::AZURE_KEY, false),
    ("adminpassword", kind::PASSWORD, false),
    ("authtoken", kind::CREDENTIAL, false),
    ("clientsecret", kind::CREDENTIAL, false),
    ("connectionstring", kind::CREDENTIAL, false),
    ("masterpassword", kind::PASSWORD, false),
    ("masteruserpassword", kind::PASSWORD, false),
    ("newpassword", kind::PASSWORD, false),
    ("oldpassword", kind::PASSWORD, false),
    ("passphrase", kind::PASSWORD, false),
    ("password", kind::PASSWORD, false),
    ("plaintext", kind::PLAINTEXT, true),
    ("primaryaccountkey", kind::AZURE_KEY, false),
    ("privatekey", kind::PRIVATE_KEY, false),
    ("privatekeydata", kind::PRIVATE_KEY, false),
    ("privatekeyplaintext", kind::PRIVATE_KEY, false),
    ("proposedpassword", kind::PASSWORD, false),
    ("refreshtoken", kind::CREDENTIAL, false),
    ("secondaryaccountkey", kind::AZURE_KEY, false),
    ("secretaccesskey", kind::AWS_SECRET_KEY, false),
    ("secretbinary", kind::SECRET_VALUE, true),
    ("secretkey", kind::CREDENTIAL, false),
    ("secretstring", kind::SECRET_VALUE, true),
    ("secrettext", kind::CREDENTIAL, false),
    ("temporarypassword", kind::PASSWORD, false),
    ("userpassword", kind::PASSWORD, false),
];

/// Longest of [`NAMES`] with separators.
const NAME_BYTES_MAX: usize = 32;

/// What stands behind `name`, and whether that holds for everything below it.
pub(super) fn kind_of(name: &[u8]) -> Option<(&'static str, bool)> {
    if name.len() > NAME_BYTES_MAX {
        return None;
    }
    let is = |known: &str| {
        let letters = name.iter().filter(|byte| !matches!(byte, b'_' | b'-')).map(u8::to_ascii_lowercase);
        letters.eq(known.bytes())
    };
    NAMES.iter().find(|(known, ..)| is(known)).map(|(_, kind, below)| (*kind, *below))
}

/// Whether `value` says that a value was hidden, or where one is kept, instead of being one.
pub(super) fn is_placeholder(value: &[u8]) -> bool {
    const BEGINNINGS: &[&[u8]] = &[b"hmac-sha256:", b"[scrubbed:", b"arn:", b"projects/", b"HIDDEN"];
    const WORDS: &[&[u8]] = &[b"redacted", b"sensitivedataremoved", b"hidden_due_to", b"suppressed"];
    const WHOLE: &[&[u8]] = &[b"", b"true", b"false", b"null", b"none"];
    let lower = || value.iter().take(64).map(u8::to_ascii_lowercase).collect::<Vec<u8>>();
    value.iter().all(|byte| b"*xX.-".contains(byte))
        || BEGINNINGS.iter().any(|beginning| value.starts_with(beginning))
        || WHOLE.iter().any(|whole| value.eq_ignore_ascii_case(whole))
        || (value.len() <= 64
            && WORDS.iter().any(|word| lower().windows(word.len()).any(|part| part == *word)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_known_in_every_spelling() {
        for name in ["secretString", "SecretString", "secret_string", "SECRET-STRING", "masterUserPassword"] {
            assert!(kind_of(name.as_bytes()).is_some(), "{name}");
        }
        for name in
            ["secretId", "passwordLastUsed", "clientToken", "sessionToken", "plaintextKey", "keyId", ""]
        {
            assert!(kind_of(name.as_bytes()).is_none(), "{name}");
        }
    }

    #[test]
    fn placeholders_are_no_values() {
        for value in
            ["", "***", "****", "HIDDEN_DUE_TO_SECURITY_REASONS", "<sensitiveDataRemoved>", "[REDACTED]"]
        {
            assert!(is_placeholder(value.as_bytes()), "{value}");
        }
        for value in ["hunter2", "swordfish", "1", "correct horse redacted"] {
            assert_eq!(is_placeholder(value.as_bytes()), value.contains("redacted"), "{value}");
        }
    }
}
