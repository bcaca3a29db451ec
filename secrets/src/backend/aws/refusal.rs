//! What AWS's errors mean. Codes are repeated, messages are only read.

use crate::SecretRef;
use crate::failure::{Failure, code};
use crate::settings::AssumeRole;
use aws_sdk_secretsmanager::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_secretsmanager::operation::get_secret_value::GetSecretValueError;
use std::error::Error;

type Answer = SdkError<GetSecretValueError>;

/// What an error means, and whether the credentials are to be had anew.
pub(super) fn failure(error: &Answer, reference: &SecretRef, role: Option<&AssumeRole>) -> (Failure, bool) {
    match error {
        SdkError::ServiceError(refused) => {
            let status = refused.raw().status().as_u16();
            let (answered, message) = (refused.err().code().unwrap_or_default(), refused.err().message());
            of_service(status, answered, message.unwrap_or_default(), reference)
        }
        SdkError::ResponseError(_) => (unread(error), false),
        SdkError::TimeoutError(_) => (unanswered("no answer in time"), false),
        // The library may add kinds; what was not answered was not answered.
        SdkError::ConstructionFailure(_) | SdkError::DispatchFailure(_) | _ => unsent(error, role),
    }
}

fn of_service(status: u16, answered: &str, message: &str, reference: &SecretRef) -> (Failure, bool) {
    let path = &reference.path;
    let said = format!("Secrets Manager answered {} (status {status})", code(answered));
    let failure = match answered {
        "ResourceNotFoundException" => absent(message, reference),
        "InvalidRequestException" if message.contains("delet") => {
            let remedy = format!("`aws secretsmanager restore-secret --secret-id {path}`, or name another");
            Failure::missing("it is marked for deletion", remedy)
        }
        "DecryptionFailure" => Failure::denied(said, decrypt()),
        "AccessDeniedException" if message.to_ascii_lowercase().contains("kms") => {
            Failure::denied(said, decrypt())
        }
        "AccessDeniedException" => {
            let remedy = format!(
                "grant secretsmanager:GetSecretValue on {path} to Keywatch's role; in another account also \
                 by the secret's resource policy"
            );
            Failure::denied(said, remedy)
        }
        "UnrecognizedClientException"
        | "InvalidClientTokenId"
        | "InvalidSignatureException"
        | "ExpiredTokenException"
        | "MissingAuthenticationTokenException"
        | "IncompleteSignature" => {
            let remedy = "see which credentials Keywatch runs with: `aws sts get-caller-identity`, and whether the machine's clock is right";
            let mut failure = Failure::denied(said, remedy);
            failure.again = true;
            return (failure, true);
        }
        "ThrottlingException" | "TooManyRequestsException" | "RequestLimitExceeded" => {
            Failure::unavailable(said, "wait; when it lasts, see who else asks in this account")
        }
        _ if status < 300 => unanswered("Secrets Manager's answer is none of its answers"),
        _ if status >= 500 || status == 429 => {
            Failure::unavailable(said, "see https://health.aws.amazon.com")
        }
        _ => {
            Failure::unusable(said, "see whether the name and the version are ones Secrets Manager can have")
        }
    };
    (failure, false)
}

fn absent(message: &str, reference: &SecretRef) -> Failure {
    let path = &reference.path;
    match &reference.version {
        Some(version) => {
            let remedy = format!(
                "see which there are: `aws secretsmanager list-secret-version-ids --secret-id {path}`"
            );
            Failure::missing(
                format!("Secrets Manager has no such secret, or no version `{version}` of it"),
                remedy,
            )
        }
        None if message.contains("staging label") => {
            let remedy = format!(
                "store one: `aws secretsmanager put-secret-value --secret-id {path} --secret-string file://…`"
            );
            Failure::missing("there is a secret of this name without a value", remedy)
        }
        None => {
            let remedy = format!(
                "create it in the region asked: `aws secretsmanager create-secret --name {path} --secret-string file://…`"
            );
            Failure::missing("Secrets Manager has no such secret", remedy)
        }
    }
}

fn decrypt() -> &'static str {
    "grant kms:Decrypt on the key the secret is encrypted with to Keywatch's role, in the key's policy too"
}

fn unanswered(what: &str) -> Failure {
    Failure::unavailable(
        what,
        "see whether Secrets Manager is reachable from here: a proxy, a VPC endpoint, DNS",
    )
}

fn unread(error: &Answer) -> Failure {
    if chain(error).any(<dyn Error>::is::<http_body_util::LengthLimitError>) {
        return Failure::unusable(
            "the answer is larger than any of Secrets Manager",
            "see whether secret_manager.aws.endpoint is Secrets Manager's",
        );
    }
    unanswered("Secrets Manager's answer broke off or is none of its answers")
}

/// The question was not sent, or could not be: no credentials, or no way.
fn unsent(error: &Answer, role: Option<&AssumeRole>) -> (Failure, bool) {
    let said: Vec<String> = chain(error).map(ToString::to_string).collect();
    let holds = |words: &[&str]| said.iter().any(|text| words.iter().any(|word| text.contains(word)));
    if let Some(role) = role.filter(|_| holds(&["AccessDenied", "not authorized"])) {
        let remedy = format!(
            "grant sts:AssumeRole on {} to Keywatch, and trust it in the role, with the external id if one is asked for",
            role.arn
        );
        return (Failure::denied(format!("AWS refuses to let Keywatch take on {}", role.arn), remedy), false);
    }
    if holds(&["ExpiredToken"]) {
        let remedy = "sign in again (`aws sso login`) or put new keys into the profile; give Keywatch a role, and sessions \
                      renew themselves";
        return (Failure::denied("the AWS session Keywatch runs with has ended", remedy), true);
    }
    if holds(&["was not defined", "No profiles were defined", "did not contain credential information"]) {
        let remedy = "define it with credentials in ~/.aws/config or ~/.aws/credentials of the user Keywatch runs as, or where \
                      AWS_CONFIG_FILE and AWS_SHARED_CREDENTIALS_FILE point";
        return (Failure::denied("the AWS profile gives no credentials", remedy), true);
    }
    if holds(&["InvalidClientTokenId", "SignatureDoesNotMatch"]) {
        let remedy = "see which credentials Keywatch runs with: `aws sts get-caller-identity`";
        return (Failure::denied("AWS refuses the credentials Keywatch runs with", remedy), true);
    }
    if holds(&[
        "no providers in chain provided credentials",
        "credentials provider was not enabled",
        "no credentials",
    ]) {
        let remedy = "give Keywatch an instance profile, a role for its pod, AWS_PROFILE, or secret_manager.aws.access_key";
        return (Failure::denied("Keywatch has no AWS credentials", remedy), true);
    }
    (unanswered("no connection to AWS"), false)
}

fn chain(error: &Answer) -> impl Iterator<Item = &(dyn Error + 'static)> {
    std::iter::successors(Some(error as &(dyn Error + 'static)), |cause| (*cause).source())
}
