//! The generic webhook: one signed POST, as Standard Webhooks 1.0 has it.
//!
//! The body is the same at every attempt; the timestamp and with it the signature are fresh.
//! <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>

use super::{Address, Authorization, Described, Fault, SECRETS};
use crate::egress::EgressPolicy;
use crate::notification::Notification;
use crate::render;
use crate::reply::Verdict;
use crate::sender::{Answer, Format, Header, Held, Judgement, Request, Unsendable};
use crate::sign::{self, SigningSecret};
use chrono::{DateTime, Utc};
use keywatch_secrets::SecretRef;

/// An endpoint that takes signed messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Webhook {
    /// Where to POST.
    pub address: Address,
    /// The secrets messages are signed with: one, or several during a rotation.
    pub signing: Vec<SecretRef>,
    /// What the endpoint wants to see besides the signature.
    pub auth: Option<Authorization>,
}

impl Described for Webhook {
    fn address(&self) -> Option<&Address> {
        Some(&self.address)
    }

    fn signing(&self) -> &[SecretRef] {
        &self.signing
    }

    fn auth(&self) -> Option<&Authorization> {
        self.auth.as_ref()
    }

    fn faults(&self, policy: &EgressPolicy) -> Vec<Fault> {
        let count = self.signing.len();
        let miscounted = (!SECRETS.contains(&count)).then_some(Fault::Secrets(count));
        self.address.faults(policy).into_iter().chain(miscounted).collect()
    }
}

/// The keys behind references.
pub(super) fn keys(references: &[SecretRef], held: &Held) -> Result<Vec<SigningSecret>, Unsendable> {
    let key = |reference: &SecretRef| {
        let parsed = SigningSecret::parse(held.text(reference)?);
        parsed.map_err(|error| Unsendable(format!("the secret {reference} cannot be used: {error}")))
    };
    references.iter().map(key).collect()
}

/// The headers of Standard Webhooks 1.0 for `body`.
pub(super) fn signed(
    keys: &[SigningSecret],
    id: &str,
    at: DateTime<Utc>,
    body: &[u8],
) -> Result<Vec<Header>, Unsendable> {
    let timestamp = at.timestamp();
    let signature =
        sign::signature(keys, id, timestamp, body).map_err(|error| Unsendable(error.to_string()))?;
    Ok(vec![
        Header::open("webhook-id", id.to_owned()),
        Header::open("webhook-timestamp", timestamp.to_string()),
        Header::open("webhook-signature", signature),
    ])
}

impl Format for Webhook {
    fn requests(
        &self,
        notification: &Notification,
        at: DateTime<Utc>,
        held: &Held,
    ) -> Result<Vec<Request>, Unsendable> {
        let body = render::body(notification)?;
        let mut headers = signed(&keys(&self.signing, held)?, &notification.id, at, &body)?;
        if let Some(auth) = &self.auth {
            headers.push(Header::secret("authorization", auth.header(held)?));
        }
        Ok(vec![Request { url: self.address.url(held)?, content_type: "application/json", headers, body }])
    }

    /// Standard Webhooks 1.0: 2xx is success, 410 disables the endpoint, everything else is
    /// tried again.
    fn judge(&self, answer: &Answer) -> Judgement {
        let remedy = match answer.status.as_u16() {
            200..=299 => return Judgement::delivered(),
            410 => return Judgement::new(Verdict::Gone, answer.told(": it wants no more messages")),
            401 | 403 => {
                let error = answer.told("; check that the receiver has the same signing secret");
                return Judgement::new(Verdict::TryAgain, error).credentials_refused();
            }
            300..=399 => "; redirects are not followed, so configure the final address",
            // A secret address that leads nowhere may have been replaced.
            404 if self.address.credential().is_some() => {
                let error = answer.told("; check that the url in the secret is the current one");
                return Judgement::new(Verdict::TryAgain, error).credentials_refused();
            }
            404 => "; check the path of its url",
            _ => "",
        };
        Judgement::new(Verdict::TryAgain, answer.told(remedy))
    }
}
