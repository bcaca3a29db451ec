//! What names mean, and what values they have.

use super::*;
use crate::surroundings::Surroundings;
use crate::testing::{PLACE, event, mmdb, secret};
use crate::{AddressData, Scope, Seen};
use keywatch_event::{AuditEvent, Provider};

fn source(product: &str, service: &str) -> LogSource {
    LogSource::parse(Some(product), Some(service), None)
}

#[track_caller]
fn check(event: &AuditEvent<'_>, raw: &str, name: &str, source: &LogSource, want: &[&str]) {
    let seen = Seen { event, place: &PLACE, raw: raw.as_bytes() };
    let field = Field::parse(name, source).unwrap();
    assert_eq!(field.values(&View::alone(&seen)), want, "{name}");
}

#[test]
fn derived_fields_are_computed_from_the_event() {
    let mut event = event();
    event.secrets.push(secret("prod/mail"));
    let keywatch = LogSource::default();
    for (name, want) in [
        ("provider", "aws"),
        ("class", "secret.read"),
        ("principal.session_family", "botocore-session-#"),
        ("source.ip", "192.0.2.9"),
        ("source.network", "192.0.2.0/24"),
        ("user_agent.family", "aws-cli"),
        ("secrets.count", "2"),
        ("actor", "192.0.2.0/24 aws-cli"),
        ("time.hour", "09"),
        ("time.weekday", "fri"),
        ("time.delay", "90"),
        ("time.misdated", "false"),
        ("planned", "false"),
    ] {
        check(&event, "{}", name, &keywatch, &[want]);
    }
    check(&event, "{}", "secrets.id", &keywatch, &["prod/db", "prod/mail"]);
    for absent in ["source.asn", "source.country", "echo_of", "error.code", "grantee.id"] {
        check(&event, "{}", absent, &keywatch, &[]);
    }
    check(&event, r#"{"a":{"b":[1,"x"]}}"#, "raw.a.b", &keywatch, &["1", "x"]);
}

#[test]
fn every_name_can_be_read_and_is_spelled_once() {
    for name in Normal::NAMES {
        assert_eq!(Normal::parse(name).map(Normal::as_str), Some(*name));
    }
}

#[test]
fn an_address_is_placed_when_a_database_is_supplied() {
    let around = Surroundings {
        asn: AddressData::from_bytes(mmdb::asn([192, 0, 2], 64_500)).ok(),
        country: AddressData::from_bytes(mmdb::country([192, 0, 2], "NL")).ok(),
        ..Surroundings::default()
    };
    let (event, scope) = (event(), Scope::default());
    let seen = Seen { event: &event, place: &PLACE, raw: b"{}" };
    let view = View::new(&seen, &around, &scope);
    assert_eq!(Field::Normal(Normal::SourceAsn).values(&view), ["64500"]);
    assert_eq!(Field::Normal(Normal::SourceAsn).number(&view), Some(64_500.0));
    assert_eq!(Field::Normal(Normal::SourceCountry).values(&view), ["NL"]);
}

#[test]
fn a_name_nobody_knows_is_answered_with_the_near_one() {
    let error = Field::parse("principle.id", &LogSource::default()).unwrap_err();
    assert_eq!(
        error,
        "did you mean `principal.id`? (a field of the provider's own record is written `raw.principle.id`)"
    );
}

#[test]
fn cloudtrail_names_are_paths_in_the_record() {
    let aws = source("aws", "cloudtrail");
    let raw = r#"{"eventName":"Raw","userIdentity":{"type":"Root"},"requestParameters":{"x":{"y":1}}}"#;
    let mut event = event();
    check(&event, raw, "userIdentity.type", &aws, &["Root"]);
    check(&event, raw, "requestParameters", &aws, &[r#"{"x":{"y":1}}"#]);
    check(&event, raw, "eventName", &aws, &["GetSecretValue"]);
    check(&event, raw, "eventSource", &aws, &["secretsmanager.amazonaws.com"]);
    check(&event, raw, "principal.id", &aws, &["role/payments"]);
    check(&event, r#"{"region":"x"}"#, "region", &aws, &["x"]);
    event.operation = "".into();
    check(&event, raw, "eventName", &aws, &["Raw"]);
}

#[test]
fn google_names_lose_what_pipelines_put_around_them() {
    let gcp = source("gcp", "gcp.audit");
    let raw = r#"{"logName":"l","resource":{"type":"t"},"protoPayload":{"methodName":"m",
        "authenticationInfo":{"principalEmail":"a@example.com"},
        "authorizationInfo":[{"permission":"p","granted":true}]}}"#;
    let mut event = event();
    event.provider = Provider::Gcp;
    event.operation = "".into();
    check(&event, raw, "gcp.audit.method_name", &gcp, &["m"]);
    check(&event, raw, "data.protoPayload.methodName", &gcp, &["m"]);
    check(&event, raw, "data.protoPayload.authorizationInfo.permission", &gcp, &["p"]);
    check(&event, raw, "data.protoPayload.authorizationInfo.granted", &gcp, &["true"]);
    check(&event, raw, "data.protoPayload.logName", &gcp, &["l"]);
    check(&event, raw, "data.protoPayload.resource.type", &gcp, &["t"]);
    check(&event, raw, "gcp.audit.authentication_info.principal_email", &gcp, &["a@example.com"]);
    event.operation = "SetIamPolicy".into();
    check(&event, raw, "gcp.audit.method_name", &gcp, &["SetIamPolicy"]);
}

#[test]
fn azure_names_are_found_in_every_form_of_the_activity_log() {
    let azure = source("azure", "activitylogs");
    let exported = r#"{"operationName":"MICROSOFT.X/WRITE","category":"Administrative","resourceId":"/r"}"#;
    let listed = r#"{"operationName":{"value":"Microsoft.X/write","localizedValue":"Write X"},
        "category":{"value":"Administrative"},"resourceId":"/r",
        "resourceProviderName":{"value":"Microsoft.X"}}"#;
    let mut event = event();
    event.provider = Provider::Azure;
    (event.operation, event.service) = ("".into(), "".into());
    check(&event, exported, "CategoryValue", &azure, &["Administrative"]);
    check(&event, exported, "ResourceId", &azure, &["/r"]);
    check(&event, exported, "OperationNameValue", &azure, &["MICROSOFT.X/WRITE"]);
    let object = r#"{"value":"Administrative"}"#;
    check(&event, listed, "CategoryValue", &azure, &["Administrative", object]);
    check(&event, listed, "ResourceProviderValue", &azure, &["Microsoft.X", r#"{"value":"Microsoft.X"}"#]);
    event.service = "Microsoft.KeyVault".into();
    check(&event, listed, "ResourceProviderValue", &azure, &["Microsoft.KeyVault"]);
}

#[test]
fn names_of_other_logs_are_paths() {
    let raw = r#"{"Status":"Success","request":{"path":"sys/seal"}}"#;
    check(&event(), raw, "Status", &source("azure", "signinlogs"), &["Success"]);
    check(&event(), raw, "request.path", &source("vault", "audit"), &["sys/seal"]);
}
