//! How an AWS call ended.
//!
//! CloudTrail says it in `errorCode`; sign-in says it in `responseElements` or
//! `serviceEventDetails` under the event's own name; a few service events have only a message.

use crate::provider::paths;
use keywatch_event::json::Fields;
use keywatch_event::{ErrorInfo, Outcome};

/// Where sign-in events say `Success` or `Failure`. Identity Center moved its answer between
/// `serviceEventDetails` and `responseElements`.
/// <https://docs.aws.amazon.com/singlesignon/latest/userguide/understanding-sign-in-events.html>
const SIGN_IN_ANSWERS: [usize; 9] = [
    paths::ANSWER_CONSOLE_LOGIN,
    paths::ANSWER_CHECK_MFA,
    paths::ANSWER_SWITCH_ROLE,
    paths::ANSWER_DIRECTORY_LOGIN,
    paths::ANSWER_PASSWORD_UPDATED,
    paths::ANSWER_VERIFICATION,
    paths::ANSWER_USER_AUTHENTICATION,
    paths::DETAIL_VERIFICATION,
    paths::DETAIL_USER_AUTHENTICATION,
];

/// How the call ended, from everything the record says about it.
pub(super) fn outcome(fields: &Fields<'_>, service: &str) -> Outcome {
    if fields.raw(paths::ERROR_CODE).is_some_and(|raw| raw != "\"\"") {
        return fields.scalar(paths::ERROR_CODE).map_or(Outcome::Other, |code| of_code(&code));
    }
    let message = fields.text(paths::ERROR_MESSAGE);
    if is_sign_in(service) {
        let failed = SIGN_IN_ANSWERS.into_iter().any(|slot| fields.text(slot).as_deref() == Some("Failure"));
        return if failed || message.is_some() { Outcome::Unauthenticated } else { Outcome::Ok };
    }
    match message {
        Some(message) if message.contains("not authorized to perform") => Outcome::Denied,
        Some(_) => Outcome::Other,
        None => Outcome::Ok,
    }
}

/// The error as the record gives it.
pub(super) fn error<'a>(fields: &Fields<'a>) -> Option<ErrorInfo<'a>> {
    let code = fields.scalar(paths::ERROR_CODE).filter(|code| !code.is_empty());
    let message = fields.text(paths::ERROR_MESSAGE);
    (code.is_some() || message.is_some()).then_some(ErrorInfo { code, message })
}

/// Whether a service, by the first label of its name, records sign-ins of people.
pub(super) fn is_sign_in(service: &str) -> bool {
    matches!(service, "signin" | "sso" | "sso-oauth" | "sso-directory")
}

/// What an error code means. Services prefix (`Client.`) and suffix (`Exception`) the same codes
/// differently, so the comparison is made on the bare word.
fn of_code(code: &str) -> Outcome {
    let bare = bare(code);
    let known = by_word(bare).or_else(|| by_shape(bare));
    known.unwrap_or(if code.starts_with("Server.") { Outcome::ServerError } else { Outcome::Other })
}

fn bare(code: &str) -> &str {
    let word = code.rsplit(['.', '#']).next().unwrap_or(code);
    let endings = ["Exception", "Error", "Fault"];
    let stem = endings.into_iter().find_map(|ending| word.strip_suffix(ending));
    stem.filter(|stem| !stem.is_empty()).unwrap_or(word)
}

fn by_word(word: &str) -> Option<Outcome> {
    Some(match word {
        "AccessDenied"
        | "VpceAccessDenied"
        | "UnauthorizedOperation"
        | "UnauthorizedAccess"
        | "Unauthorized"
        | "NotAuthorized"
        | "Forbidden"
        | "Authorization"
        | "AllAccessDisabled" => Outcome::Denied,
        "ResourceNotFound" | "ParameterNotFound" | "NotFound" => Outcome::NotFound,
        "InvalidRequest" | "DecryptionFailure" | "EncryptionFailure" | "Disabled" | "KMSInvalidState"
        | "InvalidCiphertext" | "IncorrectKey" | "InvalidKeyUsage" | "InvalidKeyId" | "InvalidState" => {
            Outcome::InvalidState
        }
        "Throttling"
        | "Throttled"
        | "RequestThrottled"
        | "TooManyRequests"
        | "RequestLimitExceeded"
        | "ProvisionedThroughputExceeded"
        | "SlowDown"
        | "TooManyUpdates"
        | "BandwidthLimitExceeded"
        | "EC2Throttled" => Outcome::Throttled,
        "ExpiredToken"
        | "InvalidClientTokenId"
        | "UnrecognizedClient"
        | "InvalidIdentityToken"
        | "IDPRejectedClaim"
        | "InvalidToken"
        | "InvalidAccessKeyId"
        | "SignatureDoesNotMatch"
        | "InvalidSignature"
        | "IncompleteSignature"
        | "MissingAuthenticationToken"
        | "RequestExpired"
        | "RequestTimeTooSkewed"
        | "AuthFailure"
        | "InvalidGrant"
        | "NotSignedUp" => Outcome::Unauthenticated,
        "InternalFailure" | "Internal" | "InternalServer" | "InternalService" | "KMSInternal" | "Service"
        | "ServiceUnavailable" | "Unavailable" | "DependencyTimeout" | "KeyUnavailable"
        | "ServiceFailure" | "IDPCommunication" | "RequestTimeout" | "GatewayTimeout" | "BadGateway" => {
            Outcome::ServerError
        }
        _ => return None,
    })
}

fn by_shape(word: &str) -> Option<Outcome> {
    if word.ends_with("AccessDenied") || word.starts_with("AccessDenied") {
        return Some(Outcome::Denied);
    }
    if word.ends_with("NotFound") || word.starts_with("NoSuch") {
        return Some(Outcome::NotFound);
    }
    if word.ends_with("Throttling") || word.ends_with("Throttled") {
        return Some(Outcome::Throttled);
    }
    of_status(word)
}

/// Some services give the HTTP status for a code.
fn of_status(word: &str) -> Option<Outcome> {
    match word.parse::<u16>().ok()? {
        401 => Some(Outcome::Unauthenticated),
        403 => Some(Outcome::Denied),
        404 => Some(Outcome::NotFound),
        429 => Some(Outcome::Throttled),
        500..=599 => Some(Outcome::ServerError),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(codes: &[&str], want: Outcome) {
        for code in codes {
            assert_eq!(of_code(code), want, "{code}");
        }
    }

    #[test]
    fn a_refusal_is_denied_whatever_the_service_calls_it() {
        check(&["AccessDenied", "AccessDeniedException", "VpceAccessDenied"], Outcome::Denied);
        check(&["Client.UnauthorizedOperation", "UnauthorizedOperation"], Outcome::Denied);
        check(&["KmsAccessDeniedException", "ForbiddenException", "403"], Outcome::Denied);
        check(&["com.amazonaws.services#AccessDeniedException"], Outcome::Denied);
    }

    #[test]
    fn a_missing_thing_is_not_found() {
        check(&["ResourceNotFoundException", "ParameterNotFound", "NotFoundException"], Outcome::NotFound);
        check(&["ParameterVersionNotFound", "NoSuchKey", "NoSuchEntityException"], Outcome::NotFound);
        check(&["InvalidInstanceID.NotFound", "404"], Outcome::NotFound);
    }

    #[test]
    fn a_thing_in_the_wrong_state_is_an_invalid_state() {
        check(&["InvalidRequestException", "DecryptionFailure", "DisabledException"], Outcome::InvalidState);
        check(&["KMSInvalidStateException", "InvalidCiphertextException"], Outcome::InvalidState);
        check(&["IncorrectKeyException", "InvalidKeyUsageException"], Outcome::InvalidState);
    }

    #[test]
    fn a_refusal_for_its_rate_is_throttled() {
        check(&["ThrottlingException", "Throttling", "TooManyRequestsException"], Outcome::Throttled);
        check(&["RequestLimitExceeded", "Client.RequestLimitExceeded", "429"], Outcome::Throttled);
    }

    #[test]
    fn a_failure_of_the_provider_is_a_server_error() {
        check(&["InternalFailure", "InternalServiceError", "ServiceUnavailable"], Outcome::ServerError);
        check(&["KMSInternalException", "Server.InternalError", "503"], Outcome::ServerError);
        check(&["Server.InsufficientInstanceCapacity", "KeyUnavailableException"], Outcome::ServerError);
    }

    #[test]
    fn an_identity_that_is_not_proven_is_unauthenticated() {
        check(&["ExpiredToken", "ExpiredTokenException", "InvalidClientTokenId"], Outcome::Unauthenticated);
        check(&["UnrecognizedClientException", "InvalidIdentityToken"], Outcome::Unauthenticated);
        check(&["InvalidIdentityTokenException", "IDPRejectedClaim", "401"], Outcome::Unauthenticated);
    }

    #[test]
    fn any_other_code_is_another_outcome() {
        check(&["ValidationException", "LimitExceededException", "Exception", "é"], Outcome::Other);
        check(&["ParameterAlreadyExists", "200", "BucketNotEmpty"], Outcome::Other);
    }
}
