//! Google Cloud as tests need it: Cloud Logging (REST), Pub/Sub (gRPC), Cloud Storage (XML) and the
//! endpoints that issue tokens, all on one port of loopback.
//!
//! It speaks the wire protocols, so Google's own clients and `object_store` are what is tested. What
//! goes wrong is decided by a seed. Never part of the program.
#![expect(clippy::unwrap_used, clippy::missing_panics_doc, reason = "a test that broke must end")]

mod chance;
mod key;
mod logging;
mod manager;
mod pubsub;
mod server;
mod storage;
mod tokens;

pub use chance::Chance;
pub use key::Key;
pub use logging::Entry;
pub use manager::Estate;
pub use pubsub::Message;
pub use server::Server;

use axum::Router;
use axum::http::HeaderMap;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Faults in a hundred requests.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    /// Quota used up.
    pub throttled: u64,
    /// 500 or 503.
    pub failed: u64,
    /// Broken off in the middle of the answer.
    pub reset: u64,
    /// Page tokens that have expired.
    pub expired: u64,
    /// Acknowledgements that are answered and lost.
    pub ack_lost: u64,
    /// Objects that are listed and not there when they are asked for.
    pub missing: u64,
    /// Messages that come twice.
    pub doubled: u64,
}

/// Who is let in.
#[derive(Debug, Default)]
pub enum Door {
    /// Anybody.
    #[default]
    Open,
    /// Who has this token.
    Token(String),
    /// Who signs with this key.
    Key(Key),
    /// Who has this token, which is issued to whoever impersonates the account.
    Account {
        /// The account's e-mail address.
        email: String,
        /// Its token.
        token: String,
    },
}

/// Everything the stand-in knows.
#[derive(Debug)]
pub struct State {
    /// Its clock: seconds since 1970.
    pub now: i64,
    /// What goes wrong.
    pub faults: Faults,
    /// Decides when.
    pub chance: Chance,
    /// Who is let in.
    pub door: Door,
    /// Whether nobody is.
    pub revoked: bool,
    /// Entries of all logs.
    pub entries: Vec<Entry>,
    /// Reads a minute; no limit when absent.
    pub per_minute: Option<u32>,
    /// Requests to `entries.list` that were let in.
    pub lists: usize,
    /// Of these, how many were throttled.
    pub throttled: usize,
    /// Requests that were not let in.
    pub refused: usize,
    /// Requests for the token of an account that is impersonated.
    pub impersonated: usize,
    /// The one subscription there is; `None` when it is not there.
    pub subscription: Option<String>,
    /// Whether it has a dead-letter topic.
    pub has_dead_letters: bool,
    /// Its messages that are not acknowledged.
    pub messages: Vec<Message>,
    /// Acknowledgements, also repeated ones.
    pub acks: usize,
    /// Messages that were handed back.
    pub nacks: usize,
    /// Leases that were extended.
    pub extended: usize,
    /// Most messages that were out at once.
    pub out_max: usize,
    /// Objects by bucket and name: when they were written, and their bytes.
    pub objects: BTreeMap<String, BTreeMap<String, (i64, Vec<u8>)>>,
    /// Requests to buckets that were let in.
    pub fetches: usize,
    /// Of these, how many asked for bytes.
    pub parts: usize,
    /// How entries are logged and routed.
    pub estate: Estate,
    window: Option<(Instant, u32)>,
    tokens: HashMap<String, (String, usize)>,
    next: u64,
}

/// The stand-in. Clones share what it knows.
#[derive(Clone, Debug)]
pub struct Google(Arc<Mutex<State>>);

impl Google {
    /// Nothing in it, at this time.
    #[must_use]
    pub fn new(now: i64, seed: u64) -> Self {
        Self(Arc::new(Mutex::new(State {
            now,
            faults: Faults::default(),
            chance: Chance::new(seed),
            door: Door::Open,
            revoked: false,
            entries: Vec::new(),
            per_minute: None,
            lists: 0,
            throttled: 0,
            refused: 0,
            impersonated: 0,
            subscription: None,
            has_dead_letters: true,
            messages: Vec::new(),
            acks: 0,
            nacks: 0,
            extended: 0,
            out_max: 0,
            objects: BTreeMap::new(),
            fetches: 0,
            parts: 0,
            estate: Estate::default(),
            window: None,
            tokens: HashMap::new(),
            next: 0,
        })))
    }

    /// Looks at what it knows, or changes it.
    pub fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.lock())
    }

    /// Begins to answer.
    #[must_use]
    pub fn serve(&self) -> Server {
        let router = Router::new()
            .merge(logging::routes(self.clone()))
            .merge(manager::routes(self))
            .merge(pubsub::routes(self.clone()))
            .merge(tokens::routes(self.clone()))
            .merge(storage::routes(self.clone()));
        Server::start(router)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Whether the one who sends these headers is let in.
    fn lets_in(&mut self, headers: &HeaderMap) -> bool {
        let said = headers.get("authorization").and_then(|said| said.to_str().ok()).unwrap_or_default();
        let token = said.strip_prefix("Bearer ").unwrap_or_default();
        let is_known = match &self.door {
            Door::Open => true,
            Door::Token(wanted) | Door::Account { token: wanted, .. } => wanted == token,
            Door::Key(key) => key.has_signed(token),
        };
        let is_in = is_known && !self.revoked;
        self.refused += usize::from(!is_in);
        is_in
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }
}
