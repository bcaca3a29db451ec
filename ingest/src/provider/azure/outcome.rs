//! How an Azure operation ended.
//!
//! Key Vault writes `resultType` `Success` beside every kind of failure, and single records
//! contradict themselves. So success is never concluded from one field: a record that shows any
//! sign of failure is a failure, and the most exact sign names it.

use super::super::paths as p;
use keywatch_event::Outcome;
use keywatch_event::json::Fields;
use std::borrow::Cow;

/// An outcome, and the word or number of the record that tells it.
#[derive(Debug)]
pub(super) struct Ending<'a> {
    pub(super) outcome: Outcome,
    pub(super) code: Option<Cow<'a, str>>,
}

/// Where failure shows, the most exact first.
const SIGNS: [usize; 7] = [
    p::HTTP_STATUS,
    p::PROPERTIES_STATUS,
    p::RESULT_SIGNATURE,
    p::ACTIVITY_SUB_STATUS,
    p::ACTIVITY_STATUS,
    p::STATUS,
    p::RESULT_TYPE,
];

/// Reads the first sign of failure.
pub(super) fn of<'a>(fields: &Fields<'a>) -> Ending<'a> {
    let mut signs = SIGNS.into_iter().filter_map(|slot| fields.scalar(slot));
    let failed = signs.find_map(|sign| Some(Ending { outcome: failure(&sign)?, code: Some(sign) }));
    failed.unwrap_or(Ending { outcome: Outcome::Ok, code: None })
}

/// The failure a status or its words stand for; `None` when it is none.
fn failure(sign: &str) -> Option<Outcome> {
    if let Ok(status) = sign.trim().parse::<u16>() {
        return of_status(status);
    }
    let word: String = sign.chars().filter(char::is_ascii_alphanumeric).collect();
    let word = word.to_ascii_lowercase();
    // The Activity log writes `Failed.Forbidden`.
    match word.strip_prefix("failed") {
        Some(reason) => Some(of_word(reason).unwrap_or(Outcome::Other)),
        None => of_word(&word),
    }
}

fn of_status(status: u16) -> Option<Outcome> {
    match status {
        401 => Some(Outcome::Unauthenticated),
        403 => Some(Outcome::Denied),
        404 => Some(Outcome::NotFound),
        409 => Some(Outcome::InvalidState),
        429 => Some(Outcome::Throttled),
        500..=599 => Some(Outcome::ServerError),
        400..=499 => Some(Outcome::Other),
        _ => None,
    }
}

/// By the reason phrase of an HTTP status, without its spaces, or an Azure error code.
fn of_word(word: &str) -> Option<Outcome> {
    match word {
        "unauthorized" | "authenticationfailed" => Some(Outcome::Unauthenticated),
        "authorizationfailed" | "accessdenied" | "linkedauthorizationfailed" => Some(Outcome::Denied),
        "notfound" | "resourcenotfound" => Some(Outcome::NotFound),
        "conflict" => Some(Outcome::InvalidState),
        "toomanyrequests" | "throttled" => Some(Outcome::Throttled),
        "internalservererror" | "serviceunavailable" | "badgateway" | "gatewaytimeout" => {
            Some(Outcome::ServerError)
        }
        "badrequest" | "failure" | "error" | "canceled" | "preconditionfailed" => Some(Outcome::Other),
        _ if word.starts_with("forbidden") => Some(Outcome::Denied),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sign_of_failure_is_read_from_numbers_and_from_words() {
        for (sign, outcome) in [
            ("401", Outcome::Unauthenticated),
            ("403", Outcome::Denied),
            ("404", Outcome::NotFound),
            ("409", Outcome::InvalidState),
            ("400", Outcome::Other),
            ("412", Outcome::Other),
            ("429", Outcome::Throttled),
            ("500", Outcome::ServerError),
            ("503", Outcome::ServerError),
            ("Unauthorized", Outcome::Unauthenticated),
            ("Forbidden", Outcome::Denied),
            ("ForbiddenByRbac", Outcome::Denied),
            ("Not Found", Outcome::NotFound),
            ("Conflict", Outcome::InvalidState),
            ("Bad Request", Outcome::Other),
            ("Too Many Requests", Outcome::Throttled),
            ("Internal Server Error", Outcome::ServerError),
            ("Failed.Forbidden", Outcome::Denied),
            ("Failed", Outcome::Other),
            ("Failure", Outcome::Other),
        ] {
            assert_eq!(failure(sign), Some(outcome), "{sign}");
        }
    }

    #[test]
    fn what_is_no_failure_is_none() {
        for sign in ["200", "202", "OK", "Accepted", "Created", "Success", "Succeeded.OK", "Started", "", "0"]
        {
            assert_eq!(failure(sign), None, "{sign}");
        }
    }
}
