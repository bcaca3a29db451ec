//! Where Prometheus reads the figures.

use crate::config::frame::section;
use std::net::SocketAddr;

section! {
    /// Where `/metrics`, `/healthz` and `/readyz` are answered besides the dashboard's address.
    pub(crate) struct Metrics {
        /// An address of their own, for a network that must not reach the dashboard. Nobody is
        /// asked to sign in there, and the figures name rules, sources and receivers.
        listen: Option<SocketAddr>,
    }
}
