//! Where an HTTP receiver is reached, and how Keywatch shows who it is.

use super::Fault;
use crate::egress::EgressPolicy;
use crate::sender::{Held, Unsendable};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use keywatch_secrets::SecretRef;
use std::fmt;
use url::Url;
use zeroize::Zeroizing;

/// The address of an HTTP receiver: in plain sight, or a credential like any other.
#[derive(Clone, PartialEq, Eq)]
pub enum Address {
    /// A URL that anybody may know.
    Plain(String),
    /// A URL that lets whoever knows it send: kept where secrets are.
    Secret(SecretRef),
}

impl Address {
    /// The reference, when it is one.
    pub(crate) const fn credential(&self) -> Option<&SecretRef> {
        match self {
            Self::Plain(_) => None,
            Self::Secret(reference) => Some(reference),
        }
    }

    /// What is wrong with it, as far as can be told without asking anybody.
    pub(crate) fn faults(&self, policy: &EgressPolicy) -> Vec<Fault> {
        let Self::Plain(text) = self else { return Vec::new() };
        match Url::parse(text) {
            Ok(url) => policy.check_url(&url).into_iter().map(Fault::Refused).collect(),
            Err(error) => vec![Fault::Url(error)],
        }
    }

    /// The URL itself.
    pub(crate) fn url(&self, held: &Held) -> Result<Url, Unsendable> {
        match self {
            Self::Plain(text) => Url::parse(text).map_err(|error| Unsendable(Fault::Url(error).to_string())),
            // The parser's error may repeat a part of the text.
            Self::Secret(reference) => Url::parse(held.text(reference)?.trim()).map_err(|_holds_the_value| {
                Unsendable(format!(
                    "the secret {reference} is no url; store the whole https:// address there"
                ))
            }),
        }
    }
}

impl fmt::Debug for Address {
    /// The host alone: the path often is a credential although it stands in plain sight.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(text) => {
                let host = Url::parse(text).ok().and_then(|url| url.host_str().map(str::to_owned));
                out.write_str(&host.unwrap_or_else(|| "no url".to_owned()))
            }
            Self::Secret(reference) => write!(out, "{reference}"),
        }
    }
}

/// How Keywatch shows who it is, besides what it signs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Authorization {
    /// `Authorization: Bearer …`
    Bearer(SecretRef),
    /// `Authorization: Basic …`
    Basic {
        /// The user's name.
        user: String,
        /// The password.
        password: SecretRef,
    },
}

impl Authorization {
    pub(crate) const fn credential(&self) -> &SecretRef {
        match self {
            Self::Bearer(reference) | Self::Basic { password: reference, .. } => reference,
        }
    }

    /// The header's value.
    pub(crate) fn header(&self, held: &Held) -> Result<Zeroizing<String>, Unsendable> {
        let secret = held.text(self.credential())?;
        Ok(Zeroizing::new(match self {
            Self::Bearer(_) => format!("Bearer {}", secret.trim()),
            Self::Basic { user, .. } => {
                format!("Basic {}", STANDARD.encode(Zeroizing::new(format!("{user}:{secret}")).as_bytes()))
            }
        }))
    }
}
