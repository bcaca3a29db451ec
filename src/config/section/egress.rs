//! Where Keywatch may send.

use crate::config::frame::{default, section};
use ipnet::IpNet;
use keywatch_alerting::EgressPolicy;

section! {
    /// Where Keywatch may send.
    pub(crate) struct Egress {
        /// Networks of your own that may be reached although they are not the internet, on any
        /// port.
        allow: Vec<IpNet>,
        /// Whether plain HTTP may be spoken to the networks in `allow`.
        allow_http: bool = default("false"),
    }
}

impl From<&Egress> for EgressPolicy {
    fn from(egress: &Egress) -> Self {
        Self { allow: egress.allow.clone(), allow_http: egress.allow_http }
    }
}
