//! Hashes and signatures of digest files. Pure.
//!
//! What is signed, and by which algorithm:
//! docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-log-file-custom-validation.html

use super::record::Digest;
use aws_lc_rs::digest::{Context, SHA256};
use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use keywatch_ingest::source::{Caps, Inflate};
use std::fmt::Write as _;
use std::io::{self, Cursor, Read};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

/// How far a file may expand while it is hashed: nothing of a log file is kept, and one of 32 MiB
/// that expands further than CloudTrail's ever do is no such file.
const CAPS: Caps = Caps { bytes_max: 2 << 30, ratio_max: 200, ratio_from: 64 << 20 };
/// Largest digest: 350 bytes for each of the hour's files, with room for 90,000 of them.
const DIGEST_BYTES_MAX: u64 = 32 << 20;

/// SHA-256 of what a file holds once it is expanded, hexadecimal.
pub(super) fn hash_of(bytes: &[u8]) -> io::Result<String> {
    let mut context = Context::new(&SHA256);
    let mut reader = expanded(bytes);
    let mut part = vec![0; 64 << 10];
    loop {
        match reader.read(&mut part)? {
            0 => return Ok(hex(context.finish().as_ref())),
            count => context.update(part.get(..count).unwrap_or_default()),
        }
    }
}

/// A digest file's content.
pub(super) fn content_of(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    expanded(bytes).take(DIGEST_BYTES_MAX + 1).read_to_end(&mut content)?;
    if content.len() as u64 > DIGEST_BYTES_MAX {
        return Err(io::Error::other(format!("it holds more than {DIGEST_BYTES_MAX} bytes")));
    }
    Ok(content)
}

fn expanded(bytes: &[u8]) -> Box<dyn Read + '_> {
    if bytes.starts_with(&[0x1f, 0x8b]) {
        let went_in = Arc::new(AtomicU64::new(bytes.len() as u64));
        return Box::new(Inflate::new(Cursor::new(bytes), CAPS, went_in));
    }
    Box::new(bytes)
}

/// Whether AWS signed this content. `key` is RSA, DER in PKCS#1, as `ListPublicKeys` gives it.
pub(super) fn is_signed(digest: &Digest, content_hash: &str, signature: &str, key: &[u8]) -> bool {
    let Some(signature) = unhex(signature) else { return false };
    let signed = signed_text(digest, content_hash);
    UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key).verify(signed.as_bytes(), &signature).is_ok()
}

/// The text AWS signs. The first digest of a chain has the word `null` for what came before.
pub(super) fn signed_text(digest: &Digest, content_hash: &str) -> String {
    format!(
        "{}\n{}/{}\n{content_hash}\n{}",
        digest.digest_end_time,
        digest.digest_s3_bucket,
        digest.digest_s3_object,
        digest.previous_digest_signature.as_deref().unwrap_or("null")
    )
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string cannot fail.
        let _infallible = write!(text, "{byte:02x}");
        text
    })
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u32>> = text.trim().chars().map(|digit| digit.to_digit(16)).collect();
    let digits = digits.filter(|digits| digits.len().is_multiple_of(2))?;
    let byte = |pair: &[u32]| match pair {
        [high, low] => u8::try_from(high * 16 + low).ok(),
        _ => None,
    };
    digits.chunks(2).map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::rsa::{KeyPair, KeySize};
    use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256};

    fn digest(previous: Option<&str>) -> Digest {
        let text = serde_json::json!({
            "digestStartTime": "2015-08-17T14:01:31Z", "digestEndTime": "2015-08-17T15:01:31Z",
            "digestS3Bucket": "b", "digestS3Object": "k.json.gz", "digestPublicKeyFingerprint": "f",
            "previousDigestSignature": previous,
        });
        serde_json::from_value(text).unwrap()
    }

    #[test]
    fn what_is_signed_is_end_place_hash_and_the_signature_before() {
        assert_eq!(
            signed_text(&digest(Some("50ab")), "97fb"),
            "2015-08-17T15:01:31Z\nb/k.json.gz\n97fb\n50ab"
        );
        assert_eq!(signed_text(&digest(None), "97fb"), "2015-08-17T15:01:31Z\nb/k.json.gz\n97fb\nnull");
    }

    #[test]
    fn a_signature_holds_for_its_text_and_key_alone() {
        let sign = |pair: &KeyPair, text: &str| {
            let mut signature = vec![0; pair.public_modulus_len()];
            pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signature).unwrap();
            hex(&signature)
        };
        let (pair, other) =
            (KeyPair::generate(KeySize::Rsa2048).unwrap(), KeyPair::generate(KeySize::Rsa2048).unwrap());
        let digest = digest(None);
        let signature = sign(&pair, &signed_text(&digest, "97fb"));
        assert!(is_signed(&digest, "97fb", &signature, pair.public_key().as_ref()));
        assert!(!is_signed(&digest, "97fc", &signature, pair.public_key().as_ref()));
        assert!(!is_signed(&digest, "97fb", &signature, other.public_key().as_ref()));
        let half = signature.split_at(signature.len() / 2).0.to_owned();
        for broken in ["", "zz", "0", half.as_str()] {
            assert!(!is_signed(&digest, "97fb", broken, pair.public_key().as_ref()), "{broken}");
        }
    }

    #[test]
    fn a_hash_is_that_of_the_expanded_content() {
        // echo -n hello | sha256sum
        let wanted = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
        assert_eq!(hash_of(b"hello").unwrap(), wanted);
        // printf hello | gzip -n | xxd -p
        let packed = unhex("1f8b0800000000000003cb48cdc9c9070086a6103605000000").unwrap();
        assert_eq!(hash_of(&packed).unwrap(), wanted);
        assert!(hash_of(&packed[..packed.len() - 6]).is_err());
    }
}
