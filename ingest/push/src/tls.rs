//! TLS towards those who push: rustls with aws-lc-rs, TLS 1.2 and 1.3.

use chrono::{DateTime, Utc};
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};
use webpki::{ALL_VERIFICATION_ALGS, EndEntityCert, Error as Invalid, KeyUsage};

/// How old what was read from the files may be when a connection comes: a renewed certificate
/// takes over by itself.
const AGE_MAX: Duration = Duration::from_mins(1);

/// How a listener shows who it is. PEM files, read again while the service runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// Its certificate, and those between it and the root.
    pub certificate: PathBuf,
    /// The certificate's private key.
    pub key: PathBuf,
    /// Who signs the certificates that senders must show; without it they need none.
    pub client_ca: Option<PathBuf>,
}

/// Takes TLS connections.
pub(crate) struct Acceptor {
    tls: Tls,
    read: Mutex<(Instant, TlsAcceptor)>,
}

impl Acceptor {
    pub(crate) fn new(tls: Tls) -> Result<Self, String> {
        let acceptor = open(&tls)?;
        Ok(Self { tls, read: Mutex::new((Instant::now(), acceptor)) })
    }

    /// For the next connection. Files that cannot be read any more leave what there was in force.
    pub(crate) fn current(&self) -> (TlsAcceptor, Option<String>) {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let mut wrong = None;
        if read.0.elapsed() > AGE_MAX {
            read.0 = Instant::now();
            match open(&self.tls) {
                Ok(acceptor) => read.1 = acceptor,
                Err(text) => wrong = Some(text),
            }
        }
        (read.1.clone(), wrong)
    }
}

fn open(tls: &Tls) -> Result<TlsAcceptor, String> {
    let told = |path: &PathBuf, error: String| {
        format!("cannot use {}: {error}; it must be a PEM file that Keywatch may read", path.display())
    };
    let certificates = certificates(&tls.certificate).map_err(|error| told(&tls.certificate, error))?;
    let key = PrivateKeyDer::from_pem_file(&tls.key).map_err(|error| told(&tls.key, error.to_string()))?;
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let builder = match &tls.client_ca {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let mut roots = RootCertStore::empty();
            for root in self::certificates(path).map_err(|error| told(path, error))? {
                roots.add(root).map_err(|error| told(path, error.to_string()))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.map_err(|error| told(path, error.to_string()))?)
        }
    };
    let config = builder.with_single_cert(certificates, key);
    Ok(TlsAcceptor::from(Arc::new(config.map_err(|error| told(&tls.key, error.to_string()))?)))
}

/// Whether the files can be used, and the certificate is valid at this time.
pub(crate) fn check(tls: &Tls, now: DateTime<Utc>) -> Result<(), String> {
    open(tls)?;
    let shown = tls.certificate.display();
    let certificates = certificates(&tls.certificate)?;
    let Some(own) = certificates.first() else { return Ok(()) };
    let own = EndEntityCert::try_from(own).map_err(|error| format!("cannot use {shown}: {error}"))?;
    let secs = u64::try_from(now.timestamp()).unwrap_or(0);
    let now = UnixTime::since_unix_epoch(Duration::from_secs(secs));
    let usage = KeyUsage::server_auth();
    // Its times are looked at first; that nobody here knows who signed it is the senders' concern.
    match own.verify_for_usage(ALL_VERIFICATION_ALGS, &[], &[], now, usage, None, None).map(drop) {
        Err(Invalid::CertExpired { .. }) => Err(format!("the certificate in {shown} has expired; renew it")),
        Err(Invalid::CertNotValidYet { .. }) => Err(format!(
            "the certificate in {shown} is not valid yet; see whether this machine's clock is right"
        )),
        Err(Invalid::RequiredEkuNotFoundContext(_)) => {
            Err(format!("the certificate in {shown} is not one for a server; have one made with serverAuth"))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

fn certificates(path: &PathBuf) -> Result<Vec<CertificateDer<'static>>, String> {
    let found = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match found {
        Ok(found) if found.is_empty() => Err("it holds no certificate".to_owned()),
        Ok(found) => Ok(found),
        Err(error) => Err(error.to_string()),
    }
}

/// Whether an error only says that the peer has gone.
pub(crate) fn is_departure(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe
    )
}
#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};
    use tokio_rustls::TlsConnector;
    use tokio_rustls::rustls::ClientConfig;
    use tokio_rustls::rustls::pki_types::ServerName;

    const CERTIFICATE: &[u8] = include_bytes!("tls/fixtures/listener.pem");
    const KEY: &[u8] = include_bytes!("tls/fixtures/listener.key");

    /// A connector that trusts the listener, with a certificate to show or without.
    fn connector(shows: bool) -> TlsConnector {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(CERTIFICATE).unwrap()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let config = if shows {
            let own = CertificateDer::from_pem_slice(CERTIFICATE).unwrap();
            builder.with_client_auth_cert(vec![own], PrivateKeyDer::from_pem_slice(KEY).unwrap()).unwrap()
        } else {
            builder.with_no_client_auth()
        };
        TlsConnector::from(Arc::new(config))
    }

    /// What arrives when a client writes a word.
    async fn heard(tls: Tls, shows: bool) -> Option<String> {
        let acceptor = Acceptor::new(tls).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let client = async {
            let stream = TcpStream::connect(address).await.unwrap();
            let name = ServerName::try_from("localhost").unwrap();
            let mut stream = connector(shows).connect(name, stream).await.ok()?;
            stream.write_all(b"word").await.ok()?;
            stream.shutdown().await.ok()
        };
        let server = async {
            let (stream, _) = listener.accept().await.unwrap();
            let mut stream = acceptor.current().0.accept(stream).await.ok()?;
            let mut text = String::new();
            stream.read_to_string(&mut text).await.ok()?;
            Some(text)
        };
        tokio::join!(client, server).1
    }

    fn files(folder: &std::path::Path) -> Tls {
        std::fs::write(folder.join("c.pem"), CERTIFICATE).unwrap();
        std::fs::write(folder.join("k.pem"), KEY).unwrap();
        Tls { certificate: folder.join("c.pem"), key: folder.join("k.pem"), client_ca: None }
    }

    #[tokio::test]
    async fn a_client_that_must_show_a_certificate_is_heard_only_with_one() {
        let folder = tempfile::tempdir().unwrap();
        let tls = files(folder.path());
        assert_eq!(heard(tls.clone(), false).await.as_deref(), Some("word"));
        let strict = Tls { client_ca: Some(tls.certificate.clone()), ..tls };
        assert_eq!(heard(strict.clone(), false).await, None);
        assert_eq!(heard(strict, true).await.as_deref(), Some("word"));
    }

    #[test]
    fn a_certificate_that_is_not_valid_now_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let tls = files(folder.path());
        let at = |secs| DateTime::from_timestamp(secs, 0).unwrap();
        assert_eq!(check(&tls, at(1_800_000_000)), Ok(()));
        assert!(check(&tls, at(0)).unwrap_err().contains("is not valid yet"));
        assert!(check(&tls, at(100_000_000_000)).unwrap_err().contains("has expired; renew it"));
    }

    #[test]
    fn files_that_cannot_be_used_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let tls = files(folder.path());
        let swapped = Tls { certificate: tls.key.clone(), key: tls.certificate.clone(), client_ca: None };
        let text = Acceptor::new(swapped).err().unwrap();
        assert!(text.contains("k.pem") && text.contains("it holds no certificate"), "{text}");
        let text = Acceptor::new(Tls { key: folder.path().join("none"), ..tls }).err().unwrap();
        assert!(text.contains("none") && text.contains("PEM"), "{text}");
    }
}
