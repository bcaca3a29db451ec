//! What every handler shares, and what the program passes in.

use crate::receivers::{NoReceivers, Receivers};
use crate::session::Sessions;
use chrono::{DateTime, Utc};
use keywatch_event::Matcher;
use keywatch_event::{EventTime, Level};
use keywatch_store::{Routing, Store, Subscriber};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Tells the time.
pub type Clock = Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>;

/// Reads a raw record again: the normalised event as pretty JSON, when it can be read.
pub type Normalize = Arc<dyn Fn(&[u8], EventTime) -> Option<String> + Send + Sync>;

/// What is known of the configured sources now.
pub type Sources = Arc<dyn Fn() -> Vec<SourceInfo> + Send + Sync>;

/// Gathers the figures that monitoring asks for, in the text format of Prometheus.
pub type Metrics = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = String> + Send>> + Send + Sync>;

/// A loaded rule as a page shows it.
#[derive(Clone, Debug)]
pub struct RuleInfo {
    /// `KW-004`.
    pub id: String,
    /// What it finds, in one line.
    pub title: String,
    /// How urgent its alerts are.
    pub level: Level,
    /// What to do: the core table's word.
    pub action: String,
    /// What it looks for and why.
    pub description: String,
    /// What a responder does, step by step; may be empty.
    pub runbook: String,
    /// ATT&CK and other tags, as Sigma writes them: `attack.t1555.006`.
    pub tags: Vec<String>,
    /// File and line where it is written.
    pub place: String,
    /// Why it can never find anything here, when that is so.
    pub blind: Option<String>,
}

/// The rules in force and how they fare, at one moment.
#[derive(Clone, Debug, Default)]
pub struct Detection {
    /// The rules.
    pub rules: Arc<Vec<RuleInfo>>,
    /// The last attempt to load others, when it failed.
    pub reload_failed: Option<ReloadFailed>,
    /// Keys of the configuration that changed and take effect at the next start.
    pub waiting: Vec<String>,
    /// What they hold in memory.
    pub memory: Memory,
}

/// A configuration that was not taken over.
#[derive(Clone, Debug)]
pub struct ReloadFailed {
    /// When it was tried.
    pub at: DateTime<Utc>,
    /// Every mistake, one per line.
    pub why: String,
}

/// What the rules hold in memory, and what they had to let go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// Entries in windows, and most there may be.
    pub entries: (u64, u64),
    /// Principals, secrets and others of whom something is learned.
    pub principals: u64,
    /// Bytes of what is learned, and most there may be.
    pub learned_bytes: (u64, u64),
    /// Entries let go because of the limit.
    pub entries_evicted: u64,
    /// Principals and others forgotten because of the limit.
    pub principals_evicted: u64,
    /// By rule: how many of those it had learned something of.
    pub forgotten: Vec<(String, u64)>,
    /// Events that came too late for memory and were judged from the history.
    pub late: u64,
}

/// Tells the rules in force.
pub type Rules = Arc<dyn Fn() -> Detection + Send + Sync>;

/// A configured source as a page shows it.
#[derive(Clone, Debug, Default)]
pub struct SourceInfo {
    /// Unique name, as its position is stored under.
    pub name: String,
    /// What it is, in words: `CloudTrail through SQS`.
    pub kind: String,
    /// Records taken from it since the start.
    pub records: u64,
    /// Rejects among them.
    pub rejects: u64,
    /// When something last came from it.
    pub last_at: Option<DateTime<Utc>>,
    /// `starting`, `catching up`, `following` or `failing`; empty when the source does not say.
    pub state: &'static str,
    /// Events of the last whole minute.
    pub per_minute: u64,
    /// Seconds from the newest event of the last batch to its commit.
    pub lag_secs: Option<u64>,
    /// What somebody should know: an error, a gap, a retry.
    pub notices: Vec<String>,
    /// What was sent and not taken.
    pub refused: u64,
    /// Records that were dropped and nobody could be told of.
    pub dropped: u64,
}

/// One of Keywatch's own secrets as a page shows it. Never its value.
#[derive(Clone, Debug, Default)]
pub struct CredentialInfo {
    /// Where it lies, as `source:path`.
    pub reference: String,
    /// How long ago its value was fetched, seconds; `None` when there is no value.
    pub fetched_secs: Option<u64>,
    /// Whether the value is used beyond its time because its backend cannot be asked.
    pub stale: bool,
    /// Why the last fetch failed, with the remedy; empty when it did not.
    pub error: String,
}

/// Tells how Keywatch's own secrets are.
pub type Credentials = Arc<dyn Fn() -> Vec<CredentialInfo> + Send + Sync>;

/// Has the service read its configuration again; done when that was tried.
pub type Reload = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;
/// A silence of the configuration as a page shows it.
#[derive(Clone, Debug, Default)]
pub struct ConfiguredSilence {
    /// Its name.
    pub name: String,
    /// Which alerts.
    pub matchers: Vec<Matcher>,
    /// From when, unless it comes every week.
    pub starts_at: Option<DateTime<Utc>>,
    /// Until when, unless it comes every week.
    pub ends_at: Option<DateTime<Utc>>,
    /// When it comes every week, in words.
    pub window: String,
    /// Who wrote it.
    pub author: String,
    /// Why.
    pub reason: String,
    /// Whether it is in force now.
    pub active: bool,
}

/// The silences of the configuration, as they stand now.
pub type Silences = Arc<dyn Fn() -> Vec<ConfiguredSilence> + Send + Sync>;

/// Told when something was changed that somebody may have to be told of.
pub type Changed = Arc<dyn Fn() + Send + Sync>;

/// What the dashboard is told beyond store, rules and clock.
#[derive(Clone)]
pub struct Options {
    /// Host names it answers to, without port, besides 127.0.0.1, localhost and `[::1]`.
    pub hosts: Vec<String>,
    /// Whether people reach it over HTTPS: the cookie is then `Secure` with the `__Host-` prefix.
    pub https: bool,
    /// Reads a raw record again.
    pub normalize: Normalize,
    /// What is known of the configured sources.
    pub sources: Sources,
    /// How Keywatch's own secrets are.
    pub credentials: Credentials,
    /// Has the configuration read again.
    pub reload: Reload,
    /// Gathers the figures.
    pub metrics: Metrics,
    /// Who is told when somebody handles an alert.
    pub routing: Arc<dyn Routing + Send>,
    /// Silences of the configuration.
    pub silences: Silences,
    /// Who is told, and a way to try them out.
    pub receivers: Arc<dyn Receivers>,
    /// Told after every change.
    pub changed: Changed,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            hosts: Vec::new(),
            https: false,
            normalize: Arc::new(|_, _| None),
            sources: Arc::new(Vec::new),
            credentials: Arc::new(Vec::new),
            reload: Arc::new(|| Box::pin(async {})),
            metrics: Arc::new(|| Box::pin(std::future::ready(String::new()))),
            routing: Arc::new(Vec::<Subscriber>::new()),
            silences: Arc::new(Vec::new),
            receivers: Arc::new(NoReceivers),
            changed: Arc::new(|| ()),
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Options")
            .field("hosts", &self.hosts)
            .field("https", &self.https)
            .finish_non_exhaustive()
    }
}

/// Everything a handler reads. Nothing in it changes but sessions and,
/// through the store, what people do with alerts.
pub(crate) struct App {
    pub(crate) store: Store,
    pub(crate) rules: Rules,
    pub(crate) clock: Clock,
    pub(crate) options: Options,
    pub(crate) sessions: Mutex<Sessions>,
}

pub(crate) type Shared = Arc<App>;

impl App {
    /// The time now.
    pub(crate) fn now(&self) -> DateTime<Utc> {
        (self.clock)()
    }

    /// The sessions. Every change to them is complete when it panics, so a poisoned lock is fine.
    pub(crate) fn sessions(&self) -> MutexGuard<'_, Sessions> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The rules in force now.
    pub(crate) fn detection(&self) -> Detection {
        (self.rules)()
    }

    /// The rule with this id.
    pub(crate) fn rule(&self, id: &str) -> Option<RuleInfo> {
        self.detection().rules.iter().find(|rule| rule.id == id).cloned()
    }

    /// Name of the session cookie. The `__Host-` prefix makes browsers refuse it from anywhere
    /// but this host over HTTPS (RFC 6265bis, section 4.1.3.2).
    pub(crate) const fn cookie_name(&self) -> &'static str {
        if self.options.https { "__Host-keywatch_session" } else { "keywatch_session" }
    }
}
