//! The shared vocabulary: what an audit event, a principal, a secret and an alert are.
//!
//! Everything another crate says about an event it says with these types. Nothing here performs
//! I/O, reads a clock or knows a provider's wire format.

mod alert;
mod class;
mod evaluation;
mod event;
pub mod json;
mod level;
mod matching;
mod observed;
mod place;
pub mod scrubbed;
mod time;

pub use alert::{
    Alert, AlertChange, AlertId, AlertPrincipal, AlertSession, AlertSessions, AlertSource, EVIDENCE_MAX,
    Evidence, SECRETS_MAX, SESSIONS_MAX, Why, lateness,
};
pub use class::{Class, Outcome, Provider, UnknownName};
pub use evaluation::{Classified, Evaluation, Kept, Learned};
pub use event::{
    AuditEvent, ErrorInfo, FUTURE_MAX_SECS, Principal, PrincipalKind, SecretRef, Source, SourceKind,
    agent_family, network_of,
};
pub use level::Level;
pub use matching::{
    AlertField, MATCHERS_MAX, Matcher, MatcherError, PATTERN_BYTES_MAX, Subject, all_match, fits,
    matchers_from, matchers_text,
};
pub use observed::Observed;
pub use place::{Place, Reject, RejectReason};
pub use time::{EventTime, TimeError};
