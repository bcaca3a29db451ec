//! Which stored events a restart needs.

use keywatch_event::{AuditEvent, Class, Classified, Level, Outcome};

/// Classes of everyday traffic: a success among them feeds no window.
const QUIET: &[Class] = &[
    Class::SecretRead,
    Class::SecretBatchRead,
    Class::SecretList,
    Class::SecretMeta,
    Class::KeyUse,
    Class::AuthOk,
    Class::AuthChallenge,
    Class::Other,
];

/// Whether windows and incidents are rebuilt from this event after a restart: every failure,
/// every change, everything a rule found worth more than `info`, and every assumed role.
pub(crate) fn is_signal(event: &AuditEvent<'_>, classified: &Classified) -> bool {
    let assumed = event.class == Class::AuthOk && event.operation == "AssumeRole";
    let quiet = event.outcome == Outcome::Ok && QUIET.contains(&event.class);
    !quiet || assumed || classified.level > Level::Info
}
