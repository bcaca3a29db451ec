//! Where Keywatch may send: one policy for every outbound address, checked on the address that
//! is dialled.
//!
//! A name is resolved, every address it gives is checked, and exactly those are dialled
//! ([`Egress::resolver_for`] sits inside the HTTP client), so a name that changes its mind between
//! the check and the connection gains nothing. Hosts written as addresses never reach a resolver;
//! [`EgressPolicy::check_url`] catches them. Nothing here opens a connection.

mod address;
mod lookup;

pub use address::special_use;
pub(crate) use lookup::CheckedResolver;
pub use lookup::{Lookup, Resolved, SystemLookup};

use ipnet::IpNet;
use std::net::IpAddr;
use std::sync::Arc;
use url::{Host, Url};

/// Which addresses may be sent to. The default is the internet over HTTPS on port 443.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EgressPolicy {
    /// Networks of the operator that may be reached although they are not the internet, and on
    /// any port.
    pub allow: Vec<IpNet>,
    /// Whether plain HTTP may be spoken to addresses in `allow`.
    pub allow_http: bool,
}

/// Why an address may not be sent to, with the remedy. Texts name the host only: the rest of a
/// webhook address is often a credential.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum Refusal {
    /// Neither `https` nor `http`.
    #[error("`{0}` addresses are not spoken; use one that starts with https://")]
    Scheme(String),
    /// `http` to a policy that does not have it.
    #[error(
        "{host} would be reached without encryption; use https://, or set allow_http and list its network under egress.allow"
    )]
    Plain {
        /// Who was to be reached.
        host: String,
    },
    /// A user or password before the host.
    #[error("the address of {host} holds a user name or password; remove what stands before the `@`")]
    Userinfo {
        /// Who was to be reached.
        host: String,
    },
    /// Nothing after the scheme.
    #[error("the address has no host; write it as https://host/path")]
    NoHost,
    /// Another port, and no network is listed at all.
    #[error("{host} would be reached on port {port}; use port 443, or list its network under egress.allow")]
    Port {
        /// Who was to be reached.
        host: String,
        /// The port.
        port: u16,
    },
    /// An address that is no place on the internet.
    #[error("{host} is at {address}, a {kind} address; list its network under egress.allow if it is meant")]
    Special {
        /// Who was to be reached.
        host: String,
        /// What the name resolved to.
        address: IpAddr,
        /// What the address is for.
        kind: &'static str,
    },
    /// Unencrypted mail to another machine.
    #[error(
        "{host} would be sent mail without encryption; use tls or starttls, or a mail server on this machine whose network is listed under egress.allow"
    )]
    PlainMail {
        /// Who was to be reached.
        host: String,
    },
    /// A port that mail servers do not have.
    #[error(
        "{host} would be sent mail on port {port}; use 465, 587, 25 or 2525, or list its network under egress.allow"
    )]
    MailPort {
        /// Who was to be reached.
        host: String,
        /// The port.
        port: u16,
    },
    /// An address on the internet, reached in a way that is for listed networks only.
    #[error(
        "{host} is at {address}, which egress.allow does not name; only listed networks are reached on other ports than 443 or without encryption"
    )]
    NotListed {
        /// Who was to be reached.
        host: String,
        /// What the name resolved to.
        address: IpAddr,
    },
    /// The name has no address.
    #[error("{host} has no address; check the spelling and that this machine can resolve it")]
    NoAddress {
        /// Who was to be reached.
        host: String,
    },
    /// The name could not be resolved.
    #[error("could not resolve {host}: {detail}; check the spelling and this machine's name servers")]
    Lookup {
        /// Who was to be reached.
        host: String,
        /// What the resolver said.
        detail: String,
    },
}

/// Where mail servers listen: relay, submission over TLS, submission, and the port of providers
/// whose customers cannot reach the others.
const MAIL_PORTS: [u16; 4] = [25, 465, 587, 2525];

impl EgressPolicy {
    /// Everything about an address that can be judged without resolving it: scheme, user name,
    /// port, and the host when it is written as an address in whatever notation
    /// (`0x7f.1`, `2130706433`; the URL parser makes them all one). Empty when nothing is wrong.
    #[must_use]
    pub fn check_url(&self, url: &Url) -> Vec<Refusal> {
        if !matches!(url.scheme(), "https" | "http") {
            return vec![Refusal::Scheme(url.scheme().to_owned())];
        }
        let Some(host) = url.host_str().map(str::to_owned) else { return vec![Refusal::NoHost] };
        let mut refusals = Vec::new();
        if !url.username().is_empty() || url.password().is_some() {
            refusals.push(Refusal::Userinfo { host: host.clone() });
        }
        let plain_anywhere = self.allow_http && !self.allow.is_empty();
        if url.scheme() == "http" && !plain_anywhere {
            refusals.push(Refusal::Plain { host: host.clone() });
        } else if self.allow.is_empty()
            && let Some(port) = odd_port(url)
        {
            refusals.push(Refusal::Port { host, port });
        }
        if let Some(address) = literal(url) {
            refusals.extend(self.check_address(url, address));
        }
        refusals
    }

    /// Judges what the host of `url` resolved to: every address must do.
    ///
    /// # Errors
    /// The [`Refusal`] of the first address that may not be reached, or
    /// [`Refusal::NoAddress`] when there is none.
    pub fn check_addresses(&self, url: &Url, addresses: &[IpAddr]) -> Result<(), Refusal> {
        if addresses.is_empty() {
            return Err(Refusal::NoAddress { host: host_of(url) });
        }
        let refused = addresses.iter().find_map(|&address| self.check_address(url, address));
        refused.map_or(Ok(()), Err)
    }

    /// What can be judged of a mail server without resolving it: its port, and its host when that
    /// is an address. `plain` when the connection is not encrypted.
    #[must_use]
    pub fn check_mail(&self, host: &str, port: u16, plain: bool) -> Vec<Refusal> {
        if host.is_empty() {
            return vec![Refusal::NoHost];
        }
        let mut refusals = Vec::new();
        if plain && self.allow.is_empty() {
            refusals.push(Refusal::PlainMail { host: host.to_owned() });
        } else if self.allow.is_empty() && !MAIL_PORTS.contains(&port) {
            refusals.push(Refusal::MailPort { host: host.to_owned(), port });
        }
        if let Ok(address) = host.parse() {
            refusals.extend(self.check_mail_address(host, address, port, plain));
        }
        refusals
    }

    /// Unencrypted mail stays on this machine.
    fn check_mail_address(&self, host: &str, address: IpAddr, port: u16, plain: bool) -> Option<Refusal> {
        let host = || host.to_owned();
        if plain && !address.to_canonical().is_loopback() {
            return Some(Refusal::PlainMail { host: host() });
        }
        if self.lists(address) {
            return None;
        }
        if let Some(kind) = special_use(address) {
            return Some(Refusal::Special { host: host(), address, kind });
        }
        (!MAIL_PORTS.contains(&port)).then(|| Refusal::NotListed { host: host(), address })
    }

    fn check_address(&self, url: &Url, address: IpAddr) -> Option<Refusal> {
        if self.lists(address) {
            return None;
        }
        let host = host_of(url);
        if let Some(kind) = special_use(address) {
            return Some(Refusal::Special { host, address, kind });
        }
        let ordinary = url.scheme() == "https" && odd_port(url).is_none();
        (!ordinary).then_some(Refusal::NotListed { host, address })
    }

    /// A mapped address is dialled as the IPv4 address it carries, so either may be listed.
    fn lists(&self, address: IpAddr) -> bool {
        let canonical = address.to_canonical();
        self.allow.iter().any(|network| network.contains(&address) || network.contains(&canonical))
    }
}

/// The port when it is not the one of HTTPS. Plain HTTP's own port counts as odd.
fn odd_port(url: &Url) -> Option<u16> {
    url.port_or_known_default().filter(|&port| port != 443)
}

fn literal(url: &Url) -> Option<IpAddr> {
    match url.host()? {
        Host::Domain(_) => None,
        Host::Ipv4(address) => Some(IpAddr::V4(address)),
        Host::Ipv6(address) => Some(IpAddr::V6(address)),
    }
}

fn host_of(url: &Url) -> String {
    url.host_str().unwrap_or("an address without host").to_owned()
}

/// The policy together with the way names are resolved.
#[derive(Clone)]
pub struct Egress {
    policy: EgressPolicy,
    lookup: Arc<dyn Lookup>,
}

impl Egress {
    /// The policy, with the machine's own resolver.
    #[must_use]
    pub fn new(policy: EgressPolicy) -> Self {
        Self::with_lookup(policy, Arc::new(SystemLookup))
    }

    /// The policy, with a resolver of the caller's.
    #[must_use]
    pub fn with_lookup(policy: EgressPolicy, lookup: Arc<dyn Lookup>) -> Self {
        Self { policy, lookup }
    }

    /// The policy.
    #[must_use]
    pub const fn policy(&self) -> &EgressPolicy {
        &self.policy
    }

    /// Resolves the host of `url` now and yields its addresses when all of them may be reached.
    /// For a check when a receiver is configured; sending checks again.
    ///
    /// # Errors
    /// The first [`Refusal`].
    pub async fn check(&self, url: &Url) -> Result<Vec<IpAddr>, Refusal> {
        if let Some(refusal) = self.policy.check_url(url).into_iter().next() {
            return Err(refusal);
        }
        let addresses = match literal(url) {
            Some(address) => vec![address],
            None => self.resolve(url).await?,
        };
        self.policy.check_addresses(url, &addresses)?;
        Ok(addresses)
    }

    /// Resolves a mail server now and yields its addresses when all of them may be reached; these
    /// are to be dialled.
    ///
    /// # Errors
    /// The first [`Refusal`].
    pub async fn check_mail(&self, host: &str, port: u16, plain: bool) -> Result<Vec<IpAddr>, Refusal> {
        if let Some(refusal) = self.policy.check_mail(host, port, plain).into_iter().next() {
            return Err(refusal);
        }
        let addresses = match host.parse() {
            Ok(address) => vec![address],
            Err(_name) => {
                let found = self.lookup.lookup(host.to_owned()).await;
                found.map_err(|error| Refusal::Lookup { host: host.to_owned(), detail: error.to_string() })?
            }
        };
        if addresses.is_empty() {
            return Err(Refusal::NoAddress { host: host.to_owned() });
        }
        let refused = |&address| self.policy.check_mail_address(host, address, port, plain);
        addresses.iter().find_map(refused).map_or(Ok(addresses.clone()), Err)
    }

    async fn resolve(&self, url: &Url) -> Result<Vec<IpAddr>, Refusal> {
        let host = host_of(url);
        let found = self.lookup.lookup(host.clone()).await;
        found.map_err(|error| Refusal::Lookup { host, detail: error.to_string() })
    }

    /// The resolver for an HTTP client that sends to `url` only.
    pub(crate) fn resolver_for(&self, url: &Url) -> CheckedResolver {
        CheckedResolver::new(self.clone(), url.clone())
    }
}

impl std::fmt::Debug for Egress {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Egress").field("policy", &self.policy).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
