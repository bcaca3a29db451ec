//! Pages over the store: who touched which secret, what was alerted, and why.
//!
//! What a person can change here: their own session, what becomes of an alert, silences, and
//! whether a message is sent again. Every page is made on
//! the server and works without JavaScript. Each page is one file under `routes`: its handler, its
//! filters, what its template prints.

mod app;
mod chart;
mod failure;
mod form;
mod guard;
mod lines;
mod page;
mod params;
mod receivers;
mod routes;
mod serve;
mod session;
#[cfg(test)]
mod testing;
mod text;

pub use app::{
    Changed, Clock, ConfiguredSilence, CredentialInfo, Credentials, Detection, Memory, Metrics, Normalize,
    Options, Reload, ReloadFailed, RuleInfo, Rules, Silences, SourceInfo, Sources,
};
pub use receivers::{NoReceivers, ReceiverInfo, Receivers, SentInfo, Trial, TrialInfo};
pub use serve::{CONNECTIONS_MAX, HEADER_READ_MAX, serve};
pub use session::{IDLE_MINUTES, LINK_MINUTES, RandomError, SESSION_HOURS};

use app::{App, Shared};
use keywatch_store::Store;
use session::Sessions;
use std::fmt;
use std::sync::{Arc, Mutex};

/// The dashboard: its pages and its sessions. Clones share both.
#[derive(Clone)]
pub struct Dashboard {
    app: Shared,
}

impl Dashboard {
    /// A dashboard over `store`, with nobody signed in.
    #[must_use]
    pub fn new(store: Store, rules: Rules, clock: Clock, options: Options) -> Self {
        let sessions = Mutex::new(Sessions::default());
        Self { app: Arc::new(App { store, rules, clock, options, sessions }) }
    }

    /// Every page, behind host check, origin check and session.
    pub fn router(&self) -> axum::Router {
        routes::router(Arc::clone(&self.app))
    }

    /// What machines ask, for a listener of their own.
    pub fn probes(&self) -> axum::Router {
        routes::probes().with_state(Arc::clone(&self.app))
    }

    /// Makes a link that signs in whoever opens it first, within [`LINK_MINUTES`]. `base` is the
    /// address people reach the dashboard at, such as `http://127.0.0.1:8080`.
    ///
    /// # Errors
    /// [`RandomError`] when the system's random source fails.
    pub fn login_link(&self, base: &str) -> Result<String, RandomError> {
        let token = self.app.sessions().mint(self.app.now())?;
        Ok(format!("{}/login?token={token}", base.trim_end_matches('/')))
    }
}

impl fmt::Debug for Dashboard {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Dashboard").field("options", &self.app.options).finish_non_exhaustive()
    }
}
