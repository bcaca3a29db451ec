//! Whether a certificate that came from SNS's host is one SNS signs with, at the time of a message.
//!
//! AWS's page "Verifying the signatures of Amazon SNS messages" asks for a certificate that is SNS's
//! own, and a chain that is valid. SNS serves its certificate alone, so what it is called and how
//! long it holds is checked here; that it is the one SNS serves is known by the address it came
//! from, over TLS. Where certificates above it come along, they must have signed it.

use std::time::Duration;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use webpki::{ALL_VERIFICATION_ALGS, EndEntityCert, Error as Invalid, KeyUsage, anchor_from_trusted_cert};

/// Most certificates of one address: SNS serves one, the longest public chain has four.
const CHAIN_MAX: usize = 8;

/// A certificate and those above it that came with it, from the lowest up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Chain(Vec<CertificateDer<'static>>);

impl Chain {
    /// Reads certificates in PEM; `None` when there is none, or one too many.
    pub(super) fn read(pem: &[u8]) -> Option<Self> {
        let all = CertificateDer::pem_slice_iter(pem).take(CHAIN_MAX + 1).collect::<Result<Vec<_>, _>>();
        all.ok().filter(|all| (1..=CHAIN_MAX).contains(&all.len())).map(Self)
    }

    /// The public key, as SubjectPublicKeyInfo, when SNS signs with it in this region at this time.
    ///
    /// # Errors
    /// What is wrong with the certificate.
    pub(super) fn key(&self, region: &str, now: u64) -> Result<Vec<u8>, &'static str> {
        let [lowest, above @ ..] = self.0.as_slice() else { return Err(UNREADABLE) };
        let certificate = EndEntityCert::try_from(lowest).map_err(|_unreadable| UNREADABLE)?;
        let is_named = names(region).iter().any(|name| {
            let name = ServerName::try_from(name.as_str());
            name.is_ok_and(|name| certificate.verify_is_valid_for_subject_name(&name).is_ok())
        });
        if !is_named {
            return Err("the certificate is not made out to SNS in the topic's region");
        }
        let (anchor, between) = match above.split_last() {
            None => (None, above),
            Some((highest, between)) => {
                (Some(anchor_from_trusted_cert(highest).map_err(|_unreadable| UNREADABLE)?), between)
            }
        };
        let anchors: Vec<_> = anchor.into_iter().collect();
        let now = UnixTime::since_unix_epoch(Duration::from_secs(now));
        let usage = KeyUsage::server_auth();
        let checked =
            certificate.verify_for_usage(ALL_VERIFICATION_ALGS, &anchors, between, now, usage, None, None);
        match checked.map(drop) {
            Ok(()) => {}
            // Nobody above it came along to ask; all else about it holds.
            Err(Invalid::UnknownIssuer) if above.is_empty() => {}
            Err(Invalid::CertExpired { .. }) => return Err("the certificate has expired"),
            Err(Invalid::CertNotValidYet { .. }) => return Err("the certificate is not valid yet"),
            Err(_) => return Err("the certificate's chain does not hold"),
        }
        Ok(certificate.subject_public_key_info().to_vec())
    }
}

const UNREADABLE: &str = "the certificate cannot be read";

/// What SNS's certificates are made out to, by the region they are served in: one name for the older
/// regions, one of its own for each of the newer ones and for those of other partitions. From AWS's
/// SDK for Java (`sns-message-manager`).
fn names(region: &str) -> Vec<String> {
    if region.starts_with("cn-") {
        return vec![format!("sns-{region}.amazonaws.com.cn"), format!("sns.{region}.amazonaws.com.cn")];
    }
    if region.starts_with("us-gov-") {
        // Both regions share the certificate of the first.
        return vec!["sns-us-gov-west-1.amazonaws.com".to_owned(), format!("sns.{region}.amazonaws.com")];
    }
    vec![
        "sns.amazonaws.com".to_owned(),
        format!("sns-signing.{region}.amazonaws.com"),
        format!("sns.{region}.amazonaws.com"),
    ]
}
