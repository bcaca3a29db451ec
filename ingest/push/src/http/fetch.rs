//! Fetches what signatures are checked with: Google's keys, SNS's certificates.
//!
//! Only from addresses that the callers have checked; redirects are not followed, and an answer is
//! bounded in time and size.

use reqwest::redirect::Policy;
use std::time::Duration;
use url::Url;

/// Longest a fetch may take: SNS waits 15 seconds for its answer.
const FETCH_MAX: Duration = Duration::from_secs(8);
/// Largest answer: Google's keys are 2 KB, a certificate is 3 KB.
const ANSWER_BYTES_MAX: usize = 256 << 10;

/// A client for these fetches.
pub(super) fn client() -> reqwest::Client {
    let builder = reqwest::Client::builder().redirect(Policy::none()).timeout(FETCH_MAX);
    // Fails only when the system's certificates cannot be read; then every fetch does.
    builder.build().unwrap_or_default()
}

/// The body of what is at `url`.
pub(super) async fn get(client: &reqwest::Client, url: &Url) -> Result<Vec<u8>, String> {
    let told = |error: reqwest::Error| format!("cannot fetch {}: {}", shown(url), error.without_url());
    let mut answer = client.get(url.clone()).send().await.map_err(told)?;
    if !answer.status().is_success() {
        return Err(format!("cannot fetch {}: it answers {}", shown(url), answer.status()));
    }
    let mut body = Vec::new();
    while let Some(piece) = answer.chunk().await.map_err(told)? {
        if body.len() + piece.len() > ANSWER_BYTES_MAX {
            return Err(format!("cannot fetch {}: the answer is too large", shown(url)));
        }
        body.extend_from_slice(&piece);
    }
    Ok(body)
}

/// Without its query: a SubscribeURL holds a token there.
fn shown(url: &Url) -> String {
    format!("{}://{}{}", url.scheme(), url.host_str().unwrap_or_default(), url.path())
}

/// Whether an address that may stand in for a cloud's is one of this machine.
pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    }
}
