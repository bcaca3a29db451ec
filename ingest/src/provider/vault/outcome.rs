//! How a Vault call ended, and what that makes of its class.
//!
//! Vault records no HTTP status. A missing secret is an answer without data, a refused login is
//! an answer without a token, and only errors that passed through the core are written out.

use super::path::{Answer, Target};
use crate::provider::paths;
use keywatch_event::json::Fields;
use keywatch_event::{Class, Outcome};

/// Which half of a call a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Request,
    Response,
    /// A type this version does not know, such as `kmip-request`.
    Foreign,
}

/// Class and outcome of one record.
pub(super) fn verdict(fields: &Fields<'_>, kind: Kind, target: &Target<'_>) -> (Class, Outcome) {
    let error = fields.text(paths::VAULT_ERROR);
    let class = target.class;
    match (error, kind) {
        (Some(error), _) if class == Class::AuthOk => (Class::AuthFail, refused(&error)),
        (Some(error), _) => failed(&error, class, names_caller(fields)),
        (None, Kind::Request) if class == Class::AuthOk => (Class::Other, Outcome::Ok),
        (None, Kind::Request | Kind::Foreign) => (class, Outcome::Ok),
        (None, Kind::Response) => answered(fields, target),
    }
}

/// Whether Vault knew who was calling: a token it does not know leaves nothing but its type.
fn names_caller(fields: &Fields<'_>) -> bool {
    [paths::VAULT_DISPLAY_NAME, paths::VAULT_ENTITY_ID, paths::VAULT_POLICY_RESULTS]
        .into_iter()
        .any(|slot| filled(fields, slot))
}

/// Reads an error text. Several errors stand in one text, so each is looked for inside it.
fn failed(error: &str, class: Class, names_caller: bool) -> (Class, Outcome) {
    let says = |any: &[&str]| any.iter().any(|text| error.contains(text));
    let stranger = ["permission denied", "bad token", "missing client token", "invalid token"];
    if !names_caller && says(&stranger) {
        return (Class::AuthFail, Outcome::Unauthenticated);
    }
    let outcome = if says(&["permission denied"]) {
        Outcome::Denied
    } else if says(&["wrapping token is not valid or does not exist"]) {
        Outcome::InvalidState
    } else if says(THROTTLED) {
        Outcome::Throttled
    } else if says(&["unsupported path", "no handler", "not found"]) {
        Outcome::NotFound
    } else if says(DOWN) {
        Outcome::ServerError
    } else {
        Outcome::Other
    };
    (class, outcome)
}

/// Parts of errors of quotas (`vault/quotas/quotas.go`), and of a server that could not judge the call
/// (`sdk/helper/consts/error.go`, `vault/core.go`, Go's `context`).
const THROTTLED: &[&str] = &["quota exceeded", "rate limit", "too many requests"];
const DOWN: &[&str] = &["internal error", "internal server error", "is sealed", "deadline exceeded"];

/// How a login with an error ended: who could not be judged was not refused.
fn refused(error: &str) -> Outcome {
    let says = |any: &[&str]| any.iter().any(|text| error.contains(text));
    if says(THROTTLED) {
        Outcome::Throttled
    } else if says(DOWN) && !says(&["permission denied", "invalid credentials"]) {
        Outcome::ServerError
    } else {
        Outcome::Unauthenticated
    }
}

fn answered(fields: &Fields<'_>, target: &Target<'_>) -> (Class, Outcome) {
    let wrapped = filled(fields, paths::VAULT_WRAP_INFO);
    if target.class != Class::AuthOk {
        return (target.class, data_outcome(fields, target.answer, wrapped));
    }
    if wrapped || filled(fields, paths::VAULT_NEW_AUTH) {
        return (Class::AuthOk, Outcome::Ok);
    }
    (Class::AuthFail, Outcome::Unauthenticated)
}

fn data_outcome(fields: &Fields<'_>, answer: Answer, wrapped: bool) -> Outcome {
    let status = fields.int(paths::VAULT_STATUS).filter(|_| filled(fields, paths::VAULT_CONTENT_TYPE));
    match status {
        Some(404) => return Outcome::NotFound,
        Some(403) => return Outcome::Denied,
        Some(429) => return Outcome::Throttled,
        Some(500..) => return Outcome::ServerError,
        Some(400..) => return Outcome::Other,
        _ => {}
    }
    if wrapped || answer == Answer::AnyData && filled(fields, paths::VAULT_RESPONSE_DATA) {
        return Outcome::Ok;
    }
    match fields.members(paths::VAULT_RESPONSE_DATA).as_slice() {
        [] if answer != Answer::Any => Outcome::NotFound,
        [(only, _)] if only == "error" => Outcome::Other,
        _ => Outcome::Ok,
    }
}

/// Whether a field holds something: no `null`, and neither an empty text nor an empty object.
pub(super) fn filled(fields: &Fields<'_>, slot: usize) -> bool {
    let Some(raw) = fields.raw(slot) else { return false };
    let inner = raw.strip_prefix(['{', '[', '"']).and_then(|rest| rest.strip_suffix(['}', ']', '"']));
    inner.is_none_or(|inner| !inner.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(error: &str, names_caller: bool, want: (Class, Outcome)) {
        assert_eq!(failed(error, Class::SecretRead, names_caller), want, "{error}");
    }

    #[test]
    fn a_login_that_nobody_could_judge_was_not_refused() {
        for (error, want) in [
            ("invalid credentials", Outcome::Unauthenticated),
            ("1 error occurred:\n\t* permission denied\n\n", Outcome::Unauthenticated),
            ("request path \"auth/userpass/login/ada\": rate limit quota exceeded", Outcome::Throttled),
            ("1 error occurred:\n\t* internal error\n\n", Outcome::ServerError),
            ("Vault is sealed", Outcome::ServerError),
            ("context deadline exceeded", Outcome::ServerError),
        ] {
            assert_eq!(refused(error), want, "{error}");
        }
    }

    #[test]
    fn errors_are_found_inside_the_text() {
        let denied = "1 error occurred:\n\t* permission denied\n\n";
        check(denied, true, (Class::SecretRead, Outcome::Denied));
        check(denied, false, (Class::AuthFail, Outcome::Unauthenticated));
        check("missing client token", false, (Class::AuthFail, Outcome::Unauthenticated));
        check("unsupported path", true, (Class::SecretRead, Outcome::NotFound));
        check("no handler for route \"x/y\"", true, (Class::SecretRead, Outcome::NotFound));
        check("1 error occurred:\n\t* internal error\n\n", true, (Class::SecretRead, Outcome::ServerError));
        check(
            "request path \"kv\": rate limit quota exceeded",
            true,
            (Class::SecretRead, Outcome::Throttled),
        );
        check("invalid request", true, (Class::SecretRead, Outcome::Other));
        let wrapping = "wrapping token is not valid or does not exist";
        check(wrapping, false, (Class::SecretRead, Outcome::InvalidState));
    }
}
