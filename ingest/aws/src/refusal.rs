//! Why Keywatch is nobody to AWS: what was asked of whom, and what mends it.
//!
//! The SDK tells of this as causes within causes; here they become one sentence with a remedy, and
//! travel as one cause of the request that could not be signed.

use crate::access::Role;
use crate::failure::{Trouble, causes, chain, trouble_of};
use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_sts::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sts::operation::assume_role::AssumeRoleError;
use keywatch_secrets::SecretError;
use std::error::Error;

const NETWORK: &str = "it is tried again; check the network, the region and the endpoint";
const SHARED_FILES: &str = "in ~/.aws/config or ~/.aws/credentials of the user Keywatch runs as, or where AWS_CONFIG_FILE and \
                            AWS_SHARED_CREDENTIALS_FILE point";

/// No credentials, and why.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{said}")]
pub(crate) struct Refusal {
    pub(crate) trouble: Trouble,
    pub(crate) said: String,
    pub(crate) remedy: String,
}

impl From<Refusal> for CredentialsError {
    fn from(refusal: Refusal) -> Self {
        Self::provider_error(refusal)
    }
}

impl Refusal {
    /// The refusal among the causes of an error.
    pub(crate) fn among<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e Self> {
        causes(error).find_map(|cause| cause.downcast_ref())
    }

    fn new(said: String, remedy: impl Into<String>) -> Self {
        Self { trouble: Trouble::Credentials, said, remedy: remedy.into() }
    }

    /// The usual chain gives none.
    pub(crate) fn of_chain(error: &CredentialsError) -> Self {
        let said = format!("Keywatch finds no AWS credentials of its own ({})", chain(error));
        Self::new(
            said,
            "give it an instance profile, a role for its pod or task, or AWS_PROFILE, or write `profile` or `access_key`",
        )
    }

    /// A named profile gives none.
    pub(crate) fn of_profile(name: &str, error: &CredentialsError) -> Self {
        let said = format!("the profile `{name}` gives no credentials ({})", chain(error));
        if let Some(refused) = refused_by_sts(error) {
            return Self::of_sts(&format!("the role of the profile `{name}`"), None, refused);
        }
        let remedy = if matches!(error, CredentialsError::CredentialsNotLoaded(_)) {
            format!("define it with credentials {SHARED_FILES}")
        } else {
            format!("sign in again: `aws sso login --profile {name}`, or correct it {SHARED_FILES}")
        };
        Self::new(said, remedy)
    }

    /// A role was not to be had.
    pub(crate) fn of_role(role: &Role, error: &CredentialsError) -> Self {
        if let Some(before) = Self::among(error) {
            return before.clone();
        }
        if let Some(refused) = refused_by_sts(error) {
            return Self::of_sts(&role.arn, Some(role), refused);
        }
        let said = format!("{} could not be taken on ({})", role.arn, chain(error));
        Self { trouble: Trouble::Unavailable, ..Self::new(said, NETWORK) }
    }

    /// What STS answered who asked for a role.
    fn of_sts(whom: &str, role: Option<&Role>, refused: &SdkError<AssumeRoleError>) -> Self {
        let Some(code) = refused.code() else {
            let said = format!("STS did not answer, asked for {whom} ({})", chain(refused));
            return Self { trouble: Trouble::Unavailable, ..Self::new(said, NETWORK) };
        };
        let said = format!(
            "STS does not let Keywatch take on {whom}: {code}: {}",
            refused.message().unwrap_or_default()
        );
        let remedy = match code {
            "AccessDenied" | "AccessDeniedException" => not_assumable(whom, role),
            "RegionDisabledException" => {
                "activate STS for this region in the IAM settings of Keywatch's own account, or ask in another region".to_owned()
            }
            "ValidationError" => "correct the ARN of the role, or its external id".to_owned(),
            code => match (remedy_for(code), trouble_of(code)) {
                (Some(remedy), _) => remedy.to_owned(),
                (None, Trouble::Throttled) => "it is tried again, more slowly".to_owned(),
                (None, _) => NETWORK.to_owned(),
            },
        };
        let trouble = match trouble_of(code) {
            other @ (Trouble::Throttled | Trouble::Unavailable) => other,
            Trouble::Credentials | Trouble::Denied | Trouble::Missing => Trouble::Credentials,
        };
        Self { trouble, said, remedy }
    }

    /// A key that lies in a secret store is not to be had.
    pub(crate) fn of_secret(error: &SecretError) -> Self {
        Self::new(format!("the access key {}: {}", error.reference, error.detail), error.remedy.clone())
    }
}

/// What STS answered, among the causes of an error.
fn refused_by_sts(error: &CredentialsError) -> Option<&SdkError<AssumeRoleError>> {
    causes(error).find_map(|cause| cause.downcast_ref())
}

/// STS says the same of a permission that is missing, of a trust that is, and of a wrong external id.
fn not_assumable(whom: &str, role: Option<&Role>) -> String {
    let id = match role.map(|role| role.external_id.is_some()) {
        Some(true) => "see that `external_id` is the one it asks for in sts:ExternalId",
        Some(false) => "write `external_id` if it asks for sts:ExternalId",
        None => "set external_id in the profile if it asks for sts:ExternalId",
    };
    format!(
        "grant sts:AssumeRole on {whom} to the identity Keywatch has, name that identity in the role's trust policy, and {id}; \
         AWS does not say which of the three it is"
    )
}

/// What mends credentials that AWS answers with this code.
pub(crate) fn remedy_for(code: &str) -> Option<&'static str> {
    Some(match code {
        "ExpiredToken" | "ExpiredTokenException" | "RequestExpired" => {
            "the session has ended: sign in again (`aws sso login`) or put new keys into the profile, which is read again by \
             itself; keys in variables need a restart. Give Keywatch a role, and sessions renew themselves"
        }
        "InvalidClientTokenId" | "UnrecognizedClientException" | "InvalidAccessKeyId" => {
            "AWS does not know the access key: it was deleted or deactivated, belongs to another partition, or lacks its session \
             token; give Keywatch credentials that AWS accepts, or see that the region is enabled for the account"
        }
        "SignatureDoesNotMatch" | "InvalidSignatureException" => {
            "the secret access key is not the one of its id, or this machine's clock is wrong; give Keywatch credentials that AWS accepts"
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_role_is_told_with_every_remedy_there_can_be() {
        let role = |external_id: Option<&str>| Role {
            arn: "arn:aws:iam::1:role/r".to_owned(),
            external_id: external_id.map(str::to_owned),
        };
        let with = not_assumable("arn:aws:iam::1:role/r", Some(&role(Some("secret-id"))));
        assert!(
            with.contains("grant sts:AssumeRole on arn:aws:iam::1:role/r") && with.contains("trust policy"),
            "{with}"
        );
        assert!(with.contains("see that `external_id`") && !with.contains("secret-id"), "{with}");
        assert!(not_assumable("r", Some(&role(None))).contains("write `external_id` if"));
    }

    #[test]
    fn who_has_no_identity_is_found_below_any_number_of_errors() {
        let refusal = Refusal::new("no".to_owned(), "give one");
        let deep = CredentialsError::provider_error(CredentialsError::from(refusal));
        assert_eq!(Refusal::among(&deep).map(|refusal| refusal.remedy.as_str()), Some("give one"));
        assert!(Refusal::among(&CredentialsError::not_loaded("none")).is_none());
    }
}
