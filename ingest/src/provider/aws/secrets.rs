//! The secrets, parameters and keys an AWS record names.
//!
//! The request names them first. Where it is absent, as in throttled and refused calls, the
//! resources, the answer and the details of service events do.

use super::Call;
use super::arn::{self, Home};
use super::class::{is_about_parameters, uses_key};
use crate::provider::paths;
use keywatch_event::SecretRef;
use keywatch_event::json::{Fields, as_text, elements};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// Every secret, parameter and key the record names, each once.
pub(super) fn named<'a>(fields: &Fields<'a>, call: &Call<'a>) -> Vec<SecretRef<'a>> {
    let home = call.home();
    match call.label() {
        "secretsmanager" => secrets(fields, &call.operation, home),
        "ssm" if is_about_parameters(fields, &call.operation) => parameters(fields, &call.operation, home),
        "kms" => keys(fields, call, home),
        _ => Vec::new(),
    }
}

fn secrets<'a>(fields: &Fields<'a>, operation: &str, home: Home<'_>) -> Vec<SecretRef<'a>> {
    let asked = fields.texts(paths::ASKED_SECRET_IDS);
    if !asked.is_empty() {
        return distinct(asked.into_iter().map(|given| arn::secret(given, home)));
    }
    let version = fields.text(paths::ASKED_VERSION_ID).or_else(|| fields.text(paths::ASKED_VERSION_STAGE));
    if let Some(given) = fields.text(paths::ASKED_SECRET_ID) {
        return vec![SecretRef { version, ..arn::secret(given, home) }];
    }
    let given = elsewhere(fields, operation).into_iter();
    distinct(given.map(|given| SecretRef { version: version.clone(), ..arn::secret(given, home) }))
}

/// The secret of a record whose request does not name it.
fn elsewhere<'a>(fields: &Fields<'a>, operation: &str) -> Vec<Cow<'a, str>> {
    let mut found = resources(fields);
    found.retain(|arn| arn::is_secret(arn));
    if !found.is_empty() {
        return found;
    }
    let places = [
        paths::ANSWER_ARN,
        paths::ANSWER_ARN_UPPER,
        paths::ANSWER_ARN_ODD,
        paths::EXTRA_ARN,
        paths::DETAIL_ARN,
        paths::EXTRA_SECRET_ID,
        paths::DETAIL_SECRET_ID,
        paths::EXTRA_NAME,
        paths::DETAIL_NAME,
    ];
    let created = || fields.text(paths::ASKED_NAME).filter(|_| operation == "CreateSecret");
    let place = places.into_iter().find_map(|slot| fields.text(slot));
    place.or_else(created).or_else(|| from_request_id(fields)).into_iter().collect()
}

/// The deletion worker's request id is `SecretDeleteMessage:ARN:Forced`.
fn from_request_id<'a>(fields: &Fields<'a>) -> Option<Cow<'a, str>> {
    let id = fields.text(paths::AWS_REQUEST_ID)?;
    let start = id.find("arn:")?;
    let arn = arn::cut(&id, start..id.len());
    arn::is_secret(&arn).then_some(arn)
}

fn parameters<'a>(fields: &Fields<'a>, operation: &str, home: Home<'_>) -> Vec<SecretRef<'a>> {
    if let Some(gone) = deleted(fields, operation).filter(|gone| !gone.is_empty()) {
        return distinct(gone.into_iter().map(|given| arn::parameter(&given, home)));
    }
    let mut given = fields.texts(paths::ASKED_NAMES);
    let single = [paths::ASKED_NAME, paths::ASKED_RESOURCE_ID, paths::ASKED_RESOURCE_ARN];
    given.extend(single.into_iter().find_map(|slot| fields.text(slot)));
    if given.is_empty() {
        given = resources(fields);
        given.retain(|arn| arn::is_parameter(arn));
    }
    let path = fields.text(paths::ASKED_PATH);
    let named = given.into_iter().map(|given| arn::parameter(&given, home));
    distinct(named.filter(|one| path.as_ref().is_none_or(|path| !arn::is_path(one, path))))
}

/// Whether a call succeeded and its answer says that nothing was deleted.
pub(super) fn deleted_nothing(fields: &Fields<'_>, call: &Call<'_>) -> bool {
    call.label() == "ssm" && deleted(fields, &call.operation).is_some_and(|gone| gone.is_empty())
}

/// The parameters a `DeleteParameters` call deleted, when its answer tells: it succeeds for names
/// that do not exist too, and lists them as invalid.
/// <https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_DeleteParameters.html>
fn deleted<'a>(fields: &Fields<'a>, operation: &str) -> Option<Vec<Cow<'a, str>>> {
    let is_list = |slot| fields.raw(slot).is_some_and(|raw| raw.starts_with('['));
    if operation != "DeleteParameters" {
        return None;
    }
    if is_list(paths::ANSWER_DELETED_PARAMETERS) {
        return Some(fields.texts(paths::ANSWER_DELETED_PARAMETERS));
    }
    let invalid = Some(fields.texts(paths::ANSWER_INVALID_PARAMETERS)).filter(|names| !names.is_empty())?;
    let mut asked = fields.texts(paths::ASKED_NAMES);
    asked.retain(|name| !invalid.contains(name));
    Some(asked)
}

fn keys<'a>(fields: &Fields<'a>, call: &Call<'a>, home: Home<'_>) -> Vec<SecretRef<'a>> {
    let protected = protected(fields, home).filter(|_| uses_key(&call.operation));
    let Some(protected) = protected else { return bare_keys(fields, home) };
    if call.invoked_by.is_some() {
        return vec![protected];
    }
    distinct(std::iter::once(protected).chain(bare_keys(fields, home)))
}

/// What the key material protects, by the encryption context the services write.
/// <https://docs.aws.amazon.com/secretsmanager/latest/userguide/security-encryption.html> and
/// <https://docs.aws.amazon.com/systems-manager/latest/userguide/secure-string-parameter-kms-encryption.html>
fn protected<'a>(fields: &Fields<'a>, home: Home<'_>) -> Option<SecretRef<'a>> {
    if let Some(given) = fields.text(paths::CONTEXT_SECRET) {
        let version = fields.text(paths::CONTEXT_SECRET_VERSION);
        return Some(SecretRef { version, ..arn::secret(given, home) });
    }
    fields.text(paths::CONTEXT_PARAMETER).map(|given| arn::parameter(&given, home))
}

fn bare_keys<'a>(fields: &Fields<'a>, home: Home<'_>) -> Vec<SecretRef<'a>> {
    let mut given = resources(fields);
    given.retain(|arn| arn::is_key(arn));
    if given.is_empty() {
        let places = [
            paths::ASKED_KEY_ID,
            paths::ASKED_SOURCE_KEY_ID,
            paths::ASKED_TARGET_KEY_ID,
            paths::ANSWER_KEY_ARN,
            paths::ASKED_ALIAS,
        ];
        given.extend(places.into_iter().find_map(|slot| fields.text(slot)));
    }
    distinct(given.into_iter().map(|given| arn::key(given, home)))
}

#[derive(Deserialize)]
struct Resource<'a> {
    #[serde(borrow, rename = "ARN")]
    arn: Option<&'a RawValue>,
}

/// The ARNs of `resources`; an element of another shape has none.
fn resources<'a>(fields: &Fields<'a>) -> Vec<Cow<'a, str>> {
    let Some(raw) = fields.raw(paths::RESOURCES) else { return Vec::new() };
    let arn = |raw: &'a str| as_text(serde_json::from_str::<Resource<'a>>(raw).ok()?.arn?.get());
    elements(raw).into_iter().filter_map(arn).filter(|arn| !arn.is_empty()).collect()
}

/// One reference per id, in the order of the record. A batch holds at most 20 secrets
/// (`BatchGetSecretValue`) or 10 parameters, so comparing each with each is cheap.
fn distinct<'a>(all: impl Iterator<Item = SecretRef<'a>>) -> Vec<SecretRef<'a>> {
    let mut kept: Vec<SecretRef<'a>> = Vec::new();
    for one in all {
        let known = kept.iter().any(|other| other.id == one.id);
        if !known && !one.name.is_empty() {
            kept.push(one);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::super::tests::{normalized, record};
    use serde_json::{Value, json};

    #[track_caller]
    fn check(service: &str, operation: &str, more: &Value, want: &[&str]) {
        let event = normalized(&record(service, operation, more));
        let names: Vec<&str> = event.secrets.iter().map(|secret| &*secret.name).collect();
        assert_eq!(names, want, "{service} {operation} {more}");
    }

    const SECRET: &str = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:prod/db-a1B2c3";
    const PARAMETER: &str = "arn:aws:ssm:eu-west-1:111122223333:parameter/prod/db";
    const KEY: &str = "arn:aws:kms:eu-west-1:111122223333:key/k-1";

    #[test]
    fn a_secret_is_found_where_the_request_is_absent() {
        let resources = json!({"requestParameters": null, "resources": [{"ARN": SECRET}, {"ARN": KEY}, 5]});
        check("secretsmanager", "GetSecretValue", &resources, &["prod/db"]);
        for place in ["arn", "ARN", "aRN"] {
            let answer =
                json!({"requestParameters": {"name": "prod/db"}, "responseElements": {place: SECRET}});
            check("secretsmanager", "CreateSecret", &answer, &["prod/db"]);
        }
        let asked = json!({"requestParameters": {"name": "prod/db"}});
        check("secretsmanager", "CreateSecret", &asked, &["prod/db"]);
        for details in ["additionalEventData", "serviceEventDetails"] {
            let worker = json!({details: {"SecretId": SECRET}});
            check("secretsmanager", "RotationSucceeded", &worker, &["prod/db"]);
        }
        let message = json!({"requestID": format!("SecretDeleteMessage:{SECRET}:Forced")});
        check("secretsmanager", "EndSecretVersionDelete", &message, &["prod/db"]);
        check("secretsmanager", "ListSecrets", &json!({}), &[]);
    }

    #[test]
    fn a_secret_listed_twice_is_one_secret() {
        let asked = json!({"requestParameters": {"secretIdList": ["prod/db", SECRET, "other", "", 7]}});
        check("secretsmanager", "BatchGetSecretValue", &asked, &["prod/db", "other"]);
    }

    #[test]
    fn parameters_are_those_of_the_request_else_of_the_resources() {
        let named =
            json!({"requestParameters": {"names": ["/prod/db", "flat"]}, "resources": [{"ARN": PARAMETER}]});
        check("ssm", "GetParameters", &named, &["/prod/db", "flat"]);
        let absent = json!({"resources": [{"ARN": PARAMETER}, {"arn": PARAMETER}, {"ARN": 4}]});
        check("ssm", "GetParameters", &absent, &["/prod/db"]);
        let path = json!({"requestParameters": {"path": "/prod/db/"}, "resources": [{"ARN": PARAMETER}]});
        check("ssm", "GetParametersByPath", &path, &[]);
        check("ssm", "SendCommand", &json!({"requestParameters": {"name": "a"}}), &[]);
    }

    #[test]
    fn only_parameters_that_were_deleted_count_when_the_answer_tells() {
        use keywatch_event::{Class, Outcome};
        let asked = json!({"names": ["/prod/a", "/prod/b"]});
        for (answer, names, outcome) in [
            (json!(null), vec!["/prod/a", "/prod/b"], Outcome::Ok),
            (
                json!({"deletedParameters": ["/prod/b"], "invalidParameters": ["/prod/a"]}),
                vec!["/prod/b"],
                Outcome::Ok,
            ),
            (json!({"invalidParameters": ["/prod/a"]}), vec!["/prod/b"], Outcome::Ok),
            (json!({"deletedParameters": "odd"}), vec!["/prod/a", "/prod/b"], Outcome::Ok),
            (
                json!({"deletedParameters": [], "invalidParameters": ["/prod/a", "/prod/b"]}),
                vec!["/prod/a", "/prod/b"],
                Outcome::NotFound,
            ),
            (
                json!({"invalidParameters": ["/prod/b", "/prod/a"]}),
                vec!["/prod/a", "/prod/b"],
                Outcome::NotFound,
            ),
        ] {
            let more = json!({"requestParameters": asked, "responseElements": answer});
            check("ssm", "DeleteParameters", &more, &names);
            let event = normalized(&record("ssm", "DeleteParameters", &more));
            assert_eq!((event.class, event.outcome), (Class::SecretPurge, outcome), "{more}");
        }
        let read = json!({"requestParameters": asked, "responseElements": {"invalidParameters": ["/prod/a", "/prod/b"]}});
        assert_eq!(normalized(&record("ssm", "GetParameters", &read)).outcome, Outcome::Ok);
    }

    #[test]
    fn the_key_use_behind_a_read_names_what_was_read() {
        let context = json!({"encryptionContext": {"SecretARN": SECRET}});
        let by_service = json!({
            "sourceIPAddress": "secretsmanager.amazonaws.com",
            "requestParameters": context,
            "resources": [{"ARN": KEY}],
        });
        check("kms", "Decrypt", &by_service, &["prod/db"]);
        let direct = json!({"requestParameters": context, "resources": [{"ARN": KEY}]});
        check("kms", "Decrypt", &direct, &["prod/db", "k-1"]);
    }

    #[test]
    fn a_key_is_named_by_the_best_the_record_has() {
        let alias = json!({"requestParameters": {"keyId": "alias/app"}});
        check("kms", "Decrypt", &alias, &["alias/app"]);
        let both = json!({"requestParameters": {"keyId": "alias/app"}, "resources": [{"ARN": KEY}]});
        check("kms", "Decrypt", &both, &["k-1"]);
        let created = json!({"responseElements": {"keyMetadata": {"arn": KEY}}});
        check("kms", "CreateKey", &created, &["k-1"]);
        check("kms", "ListKeys", &json!({}), &[]);
    }
}
