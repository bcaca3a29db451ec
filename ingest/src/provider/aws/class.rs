//! What an AWS call does, by service and name of the call.
//!
//! Names of calls are those of the services' API references. A service that keeps no secrets is
//! [`Class::Other`], unless the call is about the audit trail or about who may reach what.

use super::{Call, trail};
use crate::provider::paths;
use keywatch_event::json::Fields;
use keywatch_event::{Class, Outcome, SecretRef};

/// What the call does.
pub(super) fn class(
    fields: &Fields<'_>,
    call: &Call<'_>,
    outcome: Outcome,
    secrets: &[SecretRef<'_>],
) -> Class {
    let operation = &*call.operation;
    match call.label() {
        "secretsmanager" => secrets_manager(fields, operation, secrets),
        "ssm" => parameter_store(fields, operation, secrets),
        "kms" => key_management(operation, call.invoked_by.is_some()),
        "sts" => token_service(operation, outcome),
        "signin" | "sso" | "sso-oauth" | "sso-directory" | "identitystore" => sign_in(operation, outcome),
        "rolesanywhere" => roles_anywhere(operation, outcome),
        "eks-auth" if operation == "AssumeRoleForPodIdentity" => authentication(outcome),
        "iam" => identity_management(operation),
        service => trail::class(fields, service, operation),
    }
}

/// What a record of a background worker repeats, if it does: the call that set it off.
pub(super) fn repeats(service: &str, operation: &str) -> Option<&'static str> {
    match (service, operation) {
        ("secretsmanager", "StartSecretVersionDelete" | "EndSecretVersionDelete") => Some("DeleteSecret"),
        ("secretsmanager", "CancelSecretVersionDelete") => Some("RestoreSecret"),
        ("kms", "DeleteKey") => Some("ScheduleKeyDeletion"),
        _ => None,
    }
}

/// Whether a call to KMS uses key material; through a service such a call repeats an access.
pub(super) fn uses_key(operation: &str) -> bool {
    matches!(
        operation,
        "Decrypt"
            | "ReEncrypt"
            | "Encrypt"
            | "GenerateDataKey"
            | "GenerateDataKeyWithoutPlaintext"
            | "GenerateDataKeyPair"
            | "GenerateDataKeyPairWithoutPlaintext"
            | "Sign"
            | "Verify"
            | "GenerateMac"
            | "VerifyMac"
            | "DeriveSharedSecret"
    )
}

/// Whether a call to Systems Manager is about parameters.
pub(super) fn is_about_parameters(fields: &Fields<'_>, operation: &str) -> bool {
    match operation {
        "AddTagsToResource" | "RemoveTagsFromResource" => {
            fields.text(paths::ASKED_RESOURCE_TYPE).as_deref() == Some("Parameter")
        }
        "PutResourcePolicy" | "DeleteResourcePolicy" => {
            fields.text(paths::ASKED_RESOURCE_ARN).is_some_and(|arn| super::arn::is_parameter(&arn))
        }
        _ => operation.contains("Parameter"),
    }
}

/// <https://docs.aws.amazon.com/secretsmanager/latest/userguide/cloudtrail_log_entries.html>
fn secrets_manager(fields: &Fields<'_>, operation: &str, secrets: &[SecretRef<'_>]) -> Class {
    match operation {
        "BatchGetSecretValue" if secrets.is_empty() => Class::SecretBatchRead,
        "GetSecretValue" | "BatchGetSecretValue" => Class::SecretRead,
        "ListSecrets" | "ListSecretVersionIds" => Class::SecretList,
        "DescribeSecret" | "GetResourcePolicy" | "ValidateResourcePolicy" => Class::SecretMeta,
        "DeleteSecret" if fields.truth(paths::ASKED_FORCE_DELETE) == Some(true) => Class::SecretPurge,
        "DeleteSecret" => Class::SecretDelete,
        "StartSecretVersionDelete" | "EndSecretVersionDelete" => Class::SecretPurge,
        "PutResourcePolicy" | "DeleteResourcePolicy" | "ReplicateSecretToRegions" => Class::PolicyChange,
        "CreateSecret"
        | "UpdateSecret"
        | "PutSecretValue"
        | "UpdateSecretVersionStage"
        | "RestoreSecret"
        | "RotateSecret"
        | "CancelRotateSecret"
        | "TagResource"
        | "UntagResource"
        | "StopReplicationToReplica"
        | "RemoveRegionsFromReplication"
        | "CancelSecretVersionDelete" => Class::SecretWrite,
        _ if operation.starts_with("Rotation") => Class::SecretWrite,
        _ => Class::Other,
    }
}

/// Parameter Store has no recovery window: a deleted parameter is gone.
/// <https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_DeleteParameter.html>
fn parameter_store(fields: &Fields<'_>, operation: &str, secrets: &[SecretRef<'_>]) -> Class {
    match operation {
        "GetParameter" | "GetParameters" | "GetParameterHistory" | "GetParametersByPath"
            if !reveals(fields, secrets) =>
        {
            Class::SecretMeta
        }
        "GetParametersByPath" if secrets.is_empty() => Class::SecretBatchRead,
        "GetParameter" | "GetParameters" | "GetParameterHistory" | "GetParametersByPath" => Class::SecretRead,
        "DescribeParameters" => Class::SecretList,
        "DeleteParameter" | "DeleteParameters" => Class::SecretPurge,
        "PutParameter" | "LabelParameterVersion" | "UnlabelParameterVersion" => Class::SecretWrite,
        _ if !is_about_parameters(fields, operation) => Class::Other,
        "AddTagsToResource" | "RemoveTagsFromResource" => Class::SecretWrite,
        "PutResourcePolicy" | "DeleteResourcePolicy" => Class::PolicyChange,
        _ => Class::Other,
    }
}

/// Whether a read of parameters asks for secret values. A record without any request (a refused
/// or throttled call) does not say, and is taken for one that does.
fn reveals(fields: &Fields<'_>, secrets: &[SecretRef<'_>]) -> bool {
    let asked = [paths::ASKED_NAME, paths::ASKED_NAMES, paths::ASKED_PATH, paths::ASKED_DECRYPTION];
    let silent = asked.into_iter().all(|slot| fields.raw(slot).is_none());
    let decrypted = silent || fields.truth(paths::ASKED_DECRYPTION) == Some(true);
    let public = !secrets.is_empty() && secrets.iter().all(super::arn::is_public);
    decrypted && !public
}

/// <https://docs.aws.amazon.com/kms/latest/developerguide/logging-using-cloudtrail.html>
fn key_management(operation: &str, through_service: bool) -> Class {
    match operation {
        "Decrypt" | "ReEncrypt" | "GenerateDataKeyPair" | "Sign" | "GenerateMac" | "DeriveSharedSecret" => {
            Class::KeyUse
        }
        _ if uses_key(operation) => {
            if through_service {
                Class::KeyUse
            } else {
                Class::Other
            }
        }
        "ScheduleKeyDeletion"
        | "DisableKey"
        | "DeleteImportedKeyMaterial"
        | "DeleteExpiredKeyMaterial"
        | "DeleteKey"
        | "DisconnectCustomKeyStore" => Class::KeyDestroy,
        "PutKeyPolicy" | "CreateGrant" | "RetireGrant" | "RevokeGrant" | "ReplicateKey" => {
            Class::PolicyChange
        }
        "ListKeys" | "ListAliases" => Class::SecretList,
        "GenerateRandom" => Class::Other,
        _ if ["Describe", "Get", "List"].into_iter().any(|verb| operation.starts_with(verb)) => {
            Class::SecretMeta
        }
        _ => key_change(operation),
    }
}

fn key_change(operation: &str) -> Class {
    const CHANGES: [&str; 11] = [
        "Create",
        "Update",
        "Enable",
        "Disable",
        "Cancel",
        "Import",
        "Rotate",
        "Tag",
        "Untag",
        "Synchronize",
        "Delete",
    ];
    let changes = CHANGES.into_iter().any(|verb| operation.starts_with(verb));
    if changes { Class::SecretWrite } else { Class::Other }
}

/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/cloudtrail-integration.html>
fn token_service(operation: &str, outcome: Outcome) -> Class {
    match operation {
        "GetSessionToken" | "GetFederationToken" => authentication(outcome),
        _ if operation.starts_with("Assume") => authentication(outcome),
        _ => Class::Other,
    }
}

/// Console sign-in and IAM Identity Center.
/// <https://docs.aws.amazon.com/singlesignon/latest/userguide/understanding-sign-in-events.html>
fn sign_in(operation: &str, outcome: Outcome) -> Class {
    match operation {
        "ConsoleLogin"
        | "CheckMfa"
        | "SwitchRole"
        | "ExternalIdPDirectoryLogin"
        | "CredentialVerification"
        | "UserAuthentication"
        | "Authenticate"
        | "Federate"
        | "CreateToken"
        | "CreateTokenWithIAM"
        | "GetRoleCredentials" => authentication(outcome),
        "CreateAccountAssignment"
        | "DeleteAccountAssignment"
        | "CreatePermissionSet"
        | "UpdatePermissionSet"
        | "PutInlinePolicyToPermissionSet"
        | "AttachManagedPolicyToPermissionSet"
        | "AttachCustomerManagedPolicyReferenceToPermissionSet"
        | "PutPermissionsBoundaryToPermissionSet"
        | "CreateGroupMembership"
        | "AddMemberToGroup" => Class::PolicyChange,
        _ => Class::Other,
    }
}

fn roles_anywhere(operation: &str, outcome: Outcome) -> Class {
    match operation {
        "CreateSession" => authentication(outcome),
        "CreateTrustAnchor" | "UpdateTrustAnchor" | "CreateProfile" | "UpdateProfile" => Class::PolicyChange,
        _ => Class::Other,
    }
}

fn authentication(outcome: Outcome) -> Class {
    if outcome == Outcome::Ok { Class::AuthOk } else { Class::AuthFail }
}

/// Credentials that outlive the call, and who may do what.
fn identity_management(operation: &str) -> Class {
    match operation {
        "CreateAccessKey"
        | "CreateLoginProfile"
        | "UpdateLoginProfile"
        | "CreateServiceSpecificCredential"
        | "ResetServiceSpecificCredential"
        | "UploadSigningCertificate"
        | "UploadSSHPublicKey" => Class::TokenCreate,
        "UpdateAssumeRolePolicy"
        | "CreatePolicyVersion"
        | "SetDefaultPolicyVersion"
        | "AddUserToGroup"
        | "RemoveUserFromGroup"
        | "AddRoleToInstanceProfile"
        | "CreateSAMLProvider"
        | "UpdateSAMLProvider"
        | "CreateOpenIDConnectProvider"
        | "UpdateOpenIDConnectProviderThumbprint"
        | "AddClientIDToOpenIDConnectProvider" => Class::PolicyChange,
        _ if is_policy_of_identity(operation) => Class::PolicyChange,
        _ => Class::Other,
    }
}

/// `AttachRolePolicy`, `PutUserPolicy`, `DeleteGroupPolicy`, `PutRolePermissionsBoundary` …
fn is_policy_of_identity(operation: &str) -> bool {
    let verbs = ["Attach", "Detach", "Put", "Delete"];
    let rest = verbs.into_iter().find_map(|verb| operation.strip_prefix(verb));
    let kinds = ["User", "Role", "Group"];
    let what = rest.and_then(|rest| kinds.into_iter().find_map(|kind| rest.strip_prefix(kind)));
    matches!(what, Some("Policy" | "PermissionsBoundary"))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{normalized, record};
    use super::*;
    use serde_json::{Value, json};

    #[track_caller]
    fn check(service: &str, operation: &str, asked: &Value, want: Class) {
        let record = record(service, operation, &json!({"requestParameters": asked}));
        assert_eq!(normalized(&record).class, want, "{service} {operation} {asked}");
    }

    #[test]
    fn secrets_manager_calls_have_the_class_of_what_they_do() {
        for (operation, asked, class) in [
            ("GetSecretValue", json!({"secretId": "db"}), Class::SecretRead),
            ("GetSecretValue", json!(null), Class::SecretRead),
            ("BatchGetSecretValue", json!({"secretIdList": ["db"]}), Class::SecretRead),
            ("BatchGetSecretValue", json!({"filters": [{"key": "all"}]}), Class::SecretBatchRead),
            ("BatchGetSecretValue", json!({"secretIdList": []}), Class::SecretBatchRead),
            ("ListSecrets", json!(null), Class::SecretList),
            ("DescribeSecret", json!({"secretId": "db"}), Class::SecretMeta),
            ("PutSecretValue", json!({"secretId": "db"}), Class::SecretWrite),
            ("RestoreSecret", json!({"secretId": "db"}), Class::SecretWrite),
            ("RemoveRegionsFromReplication", json!({"secretId": "db"}), Class::SecretWrite),
            ("DeleteSecret", json!({"secretId": "db"}), Class::SecretDelete),
            ("DeleteSecret", json!({"forceDeleteWithoutRecovery": false}), Class::SecretDelete),
            ("DeleteSecret", json!({"forceDeleteWithoutRecovery": true}), Class::SecretPurge),
            ("PutResourcePolicy", json!({"secretId": "db"}), Class::PolicyChange),
            ("GetRandomPassword", json!(null), Class::Other),
        ] {
            check("secretsmanager", operation, &asked, class);
        }
    }

    #[test]
    fn a_parameter_is_a_secret_only_when_it_is_decrypted() {
        let decrypted = |asked: Value, class| {
            check("ssm", "GetParameter", &asked, class);
        };
        decrypted(json!({"name": "a", "withDecryption": true}), Class::SecretRead);
        decrypted(json!({"name": "a", "withDecryption": "true"}), Class::SecretRead);
        decrypted(json!({"name": "a", "withDecryption": false}), Class::SecretMeta);
        decrypted(json!({"name": "a"}), Class::SecretMeta);
        decrypted(json!(null), Class::SecretRead);
        decrypted(json!({"name": "/aws/service/ami", "withDecryption": true}), Class::SecretMeta);
        let path = json!({"path": "/", "withDecryption": true, "recursive": true});
        check("ssm", "GetParametersByPath", &path, Class::SecretBatchRead);
        check("ssm", "GetParametersByPath", &json!({"path": "/"}), Class::SecretMeta);
    }

    #[test]
    fn parameter_store_calls_have_the_class_of_what_they_do() {
        check("ssm", "DescribeParameters", &json!(null), Class::SecretList);
        check("ssm", "PutParameter", &json!({"name": "a"}), Class::SecretWrite);
        check("ssm", "DeleteParameter", &json!({"name": "a"}), Class::SecretPurge);
        check("ssm", "DeleteParameters", &json!({"names": ["a"]}), Class::SecretPurge);
        check("ssm", "AddTagsToResource", &json!({"resourceType": "Parameter"}), Class::SecretWrite);
        check("ssm", "AddTagsToResource", &json!({"resourceType": "Document"}), Class::Other);
        check("ssm", "SendCommand", &json!({"documentName": "a"}), Class::Other);
        let shared = json!({"resourceArn": "arn:aws:ssm:eu-west-1:111122223333:parameter/a"});
        check("ssm", "PutResourcePolicy", &shared, Class::PolicyChange);
    }

    #[test]
    fn key_management_calls_have_the_class_of_what_they_do() {
        for (operations, class) in [
            (&["Decrypt", "ReEncrypt", "GenerateDataKeyPair", "Sign"][..], Class::KeyUse),
            (&["Encrypt", "GenerateDataKey", "Verify", "GenerateRandom"], Class::Other),
            (&["ScheduleKeyDeletion", "DisableKey", "DeleteImportedKeyMaterial"], Class::KeyDestroy),
            (&["PutKeyPolicy", "CreateGrant", "RevokeGrant"], Class::PolicyChange),
            (&["CancelKeyDeletion", "EnableKey", "CreateKey", "UpdateAlias"], Class::SecretWrite),
            (&["ListKeys", "ListAliases"], Class::SecretList),
            (&["DescribeKey", "GetKeyPolicy", "ListGrants"], Class::SecretMeta),
        ] {
            for operation in operations {
                check("kms", operation, &json!({"keyId": "k"}), class);
            }
        }
        let by_service = json!({"sourceIPAddress": "s3.amazonaws.com"});
        let event = normalized(&record("kms", "GenerateDataKey", &by_service));
        assert_eq!((event.class, event.echo_of.as_deref()), (Class::KeyUse, Some("s3.amazonaws.com")));
    }

    #[test]
    fn a_session_that_is_refused_is_a_failed_authentication() {
        for operation in ["AssumeRole", "AssumeRoleWithSAML", "GetSessionToken", "GetFederationToken"] {
            check("sts", operation, &json!(null), Class::AuthOk);
            for code in ["AccessDenied", "ExpiredTokenException", "Throttling", "ValidationError"] {
                let refused = record("sts", operation, &json!({"errorCode": code}));
                assert_eq!(normalized(&refused).class, Class::AuthFail, "{operation} {code}");
            }
        }
        check("sts", "GetCallerIdentity", &json!(null), Class::Other);
    }

    #[test]
    fn a_sign_in_is_judged_by_its_answer() {
        for (operation, place) in [
            ("ConsoleLogin", "responseElements"),
            ("CheckMfa", "responseElements"),
            ("CredentialVerification", "serviceEventDetails"),
            ("UserAuthentication", "serviceEventDetails"),
        ] {
            for (answer, class, outcome) in [
                ("Success", Class::AuthOk, Outcome::Ok),
                ("Failure", Class::AuthFail, Outcome::Unauthenticated),
            ] {
                let more = json!({place: {operation: answer}});
                let event = normalized(&record("signin", operation, &more));
                assert_eq!((event.class, event.outcome), (class, outcome), "{operation} {answer}");
            }
        }
        let silent = record("signin", "ConsoleLogin", &json!({"errorMessage": "Failed authentication"}));
        assert_eq!(normalized(&silent).class, Class::AuthFail);
    }

    #[test]
    fn credentials_and_rights_are_told_from_the_rest_of_identity_management() {
        for operation in ["CreateAccessKey", "CreateLoginProfile", "UploadSSHPublicKey"] {
            check("iam", operation, &json!(null), Class::TokenCreate);
        }
        for operation in ["AttachRolePolicy", "PutUserPolicy", "DeleteGroupPolicy", "UpdateAssumeRolePolicy"]
        {
            check("iam", operation, &json!(null), Class::PolicyChange);
        }
        for operation in ["CreateUser", "ListAccessKeys", "PutRole", "DeletePolicy", "GetRolePolicy"] {
            check("iam", operation, &json!(null), Class::Other);
        }
    }

    #[test]
    fn the_deletion_worker_repeats_the_deletion() {
        for (service, operation, class, repeats) in [
            ("secretsmanager", "StartSecretVersionDelete", Class::SecretPurge, Some("DeleteSecret")),
            ("secretsmanager", "EndSecretVersionDelete", Class::SecretPurge, Some("DeleteSecret")),
            ("secretsmanager", "CancelSecretVersionDelete", Class::SecretWrite, Some("RestoreSecret")),
            ("kms", "DeleteKey", Class::KeyDestroy, Some("ScheduleKeyDeletion")),
            ("kms", "DeleteExpiredKeyMaterial", Class::KeyDestroy, None),
        ] {
            let event = normalized(&record(service, operation, &json!({"eventType": "AwsServiceEvent"})));
            assert_eq!((event.class, event.echo_of.as_deref()), (class, repeats), "{operation}");
        }
    }
}
