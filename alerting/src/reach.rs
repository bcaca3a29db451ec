//! Whether a receiver can be reached, without telling it anything: its name resolves, the egress
//! policy lets its addresses pass, it accepts a connection, and its certificate is believed.

use crate::receiver::{Address, Receiver, ReceiverKind};
use crate::sender::{Held, Outbound};
use rustls_platform_verifier::Verifier;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use url::Url;

/// Longest wait for a connection, and again for the handshake.
const WAIT: Duration = Duration::from_secs(5);

/// Connects to a receiver and says where it is; sends no message.
///
/// # Errors
/// What stands in the way, with the remedy.
pub async fn reach(receiver: &Receiver, outbound: &Outbound) -> Result<String, String> {
    let Some(address) = address(receiver) else {
        return Ok("its credentials can be had; `keywatch receiver test` connects to it".to_owned());
    };
    let held = Held::fetch(receiver, &outbound.secrets).await?;
    let url = address.url(&held).map_err(|error| error.to_string())?;
    let host = url.host_str().unwrap_or_default().to_owned();
    let addresses = outbound.egress.check(&url).await.map_err(|refusal| refusal.to_string())?;
    let port = url.port_or_known_default().unwrap_or(443);
    let mut last = format!("{host} has no address");
    for ip in addresses {
        match connect(SocketAddr::new(ip, port), &host, &url, receiver).await {
            Ok(said) => return Ok(format!("{host} at {ip}:{port} {said}")),
            Err(error) => last = format!("{host} at {ip}:{port} {error}"),
        }
    }
    Err(last)
}

/// The address of a receiver that is reached over HTTP.
const fn address(receiver: &Receiver) -> Option<&Address> {
    match &receiver.kind {
        ReceiverKind::Webhook(webhook) => Some(&webhook.address),
        ReceiverKind::Slack(slack) => Some(&slack.address),
        ReceiverKind::Teams(teams) => Some(&teams.address),
        ReceiverKind::PagerDuty(pagerduty) => Some(&pagerduty.address),
        ReceiverKind::Alertmanager(alertmanager) => Some(&alertmanager.address),
        ReceiverKind::Ocsf(ocsf) => Some(&ocsf.address),
        ReceiverKind::Sns(_) | ReceiverKind::Email(_) | ReceiverKind::Kafka(_) => None,
    }
}

async fn connect(at: SocketAddr, host: &str, url: &Url, receiver: &Receiver) -> Result<&'static str, String> {
    let stream = timeout(WAIT, TcpStream::connect(at)).await;
    let stream = stream
        .map_err(|_late| "does not answer; check the address and the firewall".to_owned())?
        .map_err(|error| format!("refuses connections ({error}); check the address and the port"))?;
    if url.scheme() == "http" {
        return Ok("accepts connections, without encryption");
    }
    let connector = TlsConnector::from(Arc::new(client(receiver)?));
    let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned())
        .map_err(|error| format!("has a name that no certificate can have: {error}"))?;
    timeout(WAIT, connector.connect(name, stream))
        .await
        .map_err(|_late| "does not finish the TLS handshake; is this the port of HTTPS?".to_owned())?
        .map_err(|error| format!("fails the TLS handshake ({error}); check its certificate"))?;
    Ok("answers with a certificate that is believed")
}

fn client(receiver: &Receiver) -> Result<ClientConfig, String> {
    let provider = Arc::new(default_provider());
    let mut roots = Vec::new();
    if let Some(path) = &receiver.ca_file {
        let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        roots = read.map_err(|error| {
            format!("cannot be judged: {} holds no certificates ({error})", path.display())
        })?;
    }
    let failed = |error: tokio_rustls::rustls::Error| format!("cannot be judged: no TLS here ({error})");
    let verifier = Verifier::new_with_extra_roots(roots, Arc::clone(&provider)).map_err(failed)?;
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(failed)?;
    Ok(builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Endpoint, outbound, receiver, status};

    #[tokio::test]
    async fn a_receiver_is_connected_to_and_told_nothing() {
        let mut endpoint = Endpoint::start(|_| status(200, "")).await;
        let there = reach(&receiver("siem", &endpoint.url()), &outbound()).await.unwrap();
        assert!(there.contains("accepts connections"), "{there}");
        assert!(timeout(Duration::from_millis(200), endpoint.next()).await.is_err(), "a request was sent");
    }

    #[tokio::test]
    async fn what_stands_in_the_way_is_said() {
        let private = reach(&receiver("siem", "https://10.0.0.1/"), &outbound()).await.unwrap_err();
        assert!(private.contains("egress.allow"), "{private}");
        let endpoint = Endpoint::start(|_| status(200, "")).await;
        let url = endpoint.url().replace("http://", "https://");
        let no_tls = reach(&receiver("siem", &url), &outbound()).await.unwrap_err();
        assert!(no_tls.contains("TLS handshake"), "{no_tls}");
    }
}
