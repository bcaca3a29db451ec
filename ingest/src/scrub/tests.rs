//! What is taken out, and what only looks like it.

use super::*;
use crate::provider::Normalizer;
use keywatch_event::scrubbed::{KINDS, marks};
use keywatch_event::{EventTime, Place, Reject};
use proptest::prelude::*;
use std::sync::Arc;

/// Letters and digits that no shape knows, as long as wanted.
fn chars(len: usize) -> String {
    "aB3dE5gH7jK9mN1pQ2sT4vW6yZ8".chars().cycle().take(len).collect()
}

/// `record` with its secret value taken out: the kind is told, the value is gone, valid JSON stays
/// valid, and once more changes nothing.
#[track_caller]
fn check(record: &str, value: &str, kind: &str) {
    assert!(suspects(record.as_bytes()), "no suspicion: {record}");
    let clean = scrub(record.as_bytes()).unwrap_or_else(|| panic!("nothing found in {record}"));
    let text = String::from_utf8(clean.clone()).unwrap();
    assert!(!text.contains(value), "{text}");
    assert_eq!(marks(&clean), [kind], "{text}");
    assert!(suspects(&clean), "a mark is looked at: {text}");
    assert_eq!(scrub(&clean), None, "{text}");
    if serde_json::from_str::<serde_json::Value>(record).is_ok() {
        assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok(), "{text}");
    }
}

#[track_caller]
fn check_stays(record: &str) {
    assert_eq!(scrub(record.as_bytes()).map(|text| String::from_utf8_lossy(&text).into_owned()), None);
}

/// Every shape, by an example that is assembled here so that no scanner takes it for a leak.
fn tokens() -> Vec<(String, &'static str)> {
    let aws = format!("AKIA{} wJalr{}", "ABCDEFGH23456723", chars(35));
    let jwt = format!("eyJhbGciOiJIUzI1NiJ9.{}.{}", chars(30), chars(43));
    let pem = format!("-----BEGIN RSA PRIVATE KEY-----\\n{}\\n-----END RSA PRIVATE KEY-----\\n", chars(64));
    vec![
        (format!("hvs.{}", chars(24)), "vault-token"),
        (format!("hvb.{}", chars(100)), "vault-token"),
        (format!("ghp_{}", chars(36)), "github-token"),
        (format!("ghs_{}", chars(36)), "github-token"),
        (format!("github_pat_{}", chars(60)), "github-token"),
        (format!("glpat-{}", chars(20)), "gitlab-token"),
        (format!("xoxb-{}", chars(40)), "slack-token"),
        (format!("https://hooks.slack.com/services/T0/B0/{}", chars(24)), "slack-webhook"),
        (format!("ya29.{}", chars(60)), "google-token"),
        (format!("AIza{}", chars(35)), "google-api-key"),
        (format!("GOCSPX-{}", chars(28)), "google-client-secret"),
        (jwt, "jwt"),
        (pem, "private-key"),
        (format!("sk_live_{}", chars(24)), "stripe-key"),
        (format!("Bearer SG.{}.{}", chars(22), chars(43)), "sendgrid-key"),
        (format!("npm_{}", chars(36)), "npm-token"),
        (format!("pypi-AgEIcHlwaS5vcmc{}", chars(60)), "pypi-token"),
        (format!("whsec_{}", chars(32)), "webhook-secret"),
        (format!("dop_v1_{}", chars(64)), "digitalocean-token"),
        (format!("sk-ant-{}", chars(40)), "ai-api-key"),
        (format!("shpat_{}", chars(32)), "shopify-token"),
        (format!("glsa_{}", chars(32)), "grafana-token"),
        (format!("https://a.blob.core.windows.net/c?sv=2024&sig={}%3D", chars(43)), "url-signature"),
        (format!("https://b.s3.amazonaws.com/k?a=b\\u0026X-Amz-Signature={}", chars(64)), "url-signature"),
        (format!("postgres://app:{}@db:5432/x", chars(12)), "url-password"),
        (format!("DefaultEndpointsProtocol=https;AccountKey={}==", chars(86)), "azure-key"),
        (aws, "aws-secret-key"),
    ]
}

#[test]
fn tokens_are_taken_out_wherever_they_stand() {
    for (token, kind) in tokens() {
        // Of a URL the host stays, of a pair the identifier: what must go is the last part.
        let tail = token.get(token.len().saturating_sub(14)..token.len().saturating_sub(9)).unwrap();
        let secret = if kind == "private-key" { token.get(34..60).unwrap() } else { tail };
        let secret = if kind == "url-password" { "aB3dE5gH7jK9" } else { secret };
        check(&format!(r#"{{"eventName":"x","userAgent":"tool/1 {token}"}}"#), secret, kind);
        check(&format!(r#"{{"requestParameters":{{"tags":["{token}"]}},"eventID":"1"}}"#), secret, kind);
        check(&format!(r#"{{"protoPayload":{{"{token}":1}}}}"#), secret, kind);
        check(&format!("torn {{\"a\":\"{token}"), secret, kind);
    }
}

#[test]
fn values_behind_a_name_that_says_so_are_taken_out() {
    let value = "correct horse \\\"battery";
    for (record, kind) in [
        (r#"{"requestParameters":{"name":"db","secretString":"VALUE"}}"#, "secret-value"),
        (r#"{"requestParameters":{"SecretString" : "VALUE"}}"#, "secret-value"),
        (r#"{"responseElements":{"secretBinary":"VALUE"}}"#, "secret-value"),
        (r#"{"requestParameters":{"secretString":{"user":"x1","pin":["VALUE"]}}}"#, "secret-value"),
        (r#"{"eventName":"PutParameter","requestParameters":{"name":"/a","value":"VALUE"}}"#, "secret-value"),
        (r#"{"protoPayload":{"request":{"payload":{"data":"VALUE"}}}}"#, "secret-value"),
        (r#"{"requestParameters":{"masterUserPassword":"VALUE"}}"#, "password"),
        (r#"{"properties":{"adminPassword":"VALUE"}}"#, "password"),
        (r#"{"responseElements":{"plaintext":"VALUE"}}"#, "plaintext"),
        (r#"{"responseElements":{"accessKey":{"secretAccessKey":"VALUE"}}}"#, "aws-secret-key"),
        (r#"{"response":{"private_key_data":"VALUE"}}"#, "private-key"),
        (r#"{"properties":{"clientSecret":"VALUE"}}"#, "credential"),
        (r#"{"requestParameters":{"body":"{\"secretString\":\"VALUE\"}"}}"#, "secret-value"),
        (r#"{"requestParameters":{"secretString":"VALUE"#, "secret-value"),
    ] {
        let plain = if record.contains("\\\"") { "correct horse" } else { value };
        check(&record.replace("VALUE", plain), "correct horse", kind);
    }
    check(r#"{"properties":{"password":918273}}"#, "918273", "password");
}

#[test]
fn a_vault_entry_that_is_not_hashed_keeps_what_happened_and_loses_what_was_said() {
    let entry = r#"{"time":"2026-11-27T00:00:00Z","type":"response","auth":{"client_token":"s.old","accessor":"acc1","display_name":"root","policies":["root"]},"request":{"id":"r1","operation":"read","path":"secret/data/db","client_token":"s.old","data":{"note":"hello"}},"response":{"data":{"data":{"user":"svc","pin":12345,"port":443},"metadata":{"version":3}},"wrap_info":{"token":"t1"}}}"#;
    let clean = String::from_utf8(scrub(entry.as_bytes()).unwrap()).unwrap();
    for gone in ["s.old", "acc1", "hello", "svc", "12345", "\"t1\""] {
        assert!(!clean.contains(gone), "{gone} in {clean}");
    }
    for stays in ["\"root\"", "secret/data/db", "\"r1\"", "443", "\"version\":3", "\"read\""] {
        assert!(clean.contains(stays), "{stays} not in {clean}");
    }
    assert_eq!(marks(clean.as_bytes()), ["vault-token", "vault-accessor", "vault-value", "number"]);
    assert_eq!(scrub(clean.as_bytes()), None);
}

#[test]
fn one_token_stays_one_principal_and_two_stay_two() {
    let id = |accessor: &str| {
        let entry = format!(
            r#"{{"time":"2026-11-27T00:00:00Z","type":"response","auth":{{"accessor":"{accessor}","client_token":"s.x"}},"request":{{"id":"r1","operation":"read","path":"secret/data/db"}},"response":{{}}}}"#
        );
        let clean = scrub(entry.as_bytes()).unwrap();
        let event =
            Normalizer::new().normalize(&clean, EventTime::from_secs(1_800_000_000)).unwrap().unwrap();
        event.principal.id.into_owned()
    };
    assert_eq!(id("accessor-1"), id("accessor-1"));
    assert_ne!(id("accessor-1"), id("accessor-2"));
    assert!(!id("accessor-1").contains("accessor-1"));
}

#[test]
fn requests_that_administrate_vault_stay_readable_in_a_log_that_is_not_hashed() {
    let entry = r#"{"type":"request","auth":{"client_token":"s.x"},"request":{"id":"1","operation":"update","path":"sys/audit/file","data":{"type":"file","options":{"log_raw":"true"}}}}"#;
    let clean = String::from_utf8(scrub(entry.as_bytes()).unwrap()).unwrap();
    assert!(clean.contains(r#""type":"file","options":{"log_raw":"true"}"#), "{clean}");
    check(
        r#"{"type":"request","request":{"operation":"update","path":"sys/generate-root/update","data":{"key":"unsealshare"}}}"#,
        "unsealshare",
        "vault-value",
    );
    check(
        r#"{"type":"request","request":{"operation":"update","path":"auth/userpass/login/ada","data":{"password":"swordfish"}}}"#,
        "swordfish",
        "password",
    );
}

#[test]
fn numbers_in_a_kv_secret_are_taken_out_although_the_strings_are_hashed() {
    let entry = r#"{"type":"response","auth":{"client_token":"hmac-sha256:1"},"request":{"id":"1","path":"secret/data/a"},"response":{"data":{"data":{"pin":918273,"name":"hmac-sha256:2"},"metadata":{"version":100000}}}}"#;
    check(entry, "918273", "number");
}

#[test]
fn what_only_looks_like_a_secret_stays() {
    let blob = "AQICAHh+/aB3dE5gH7jK9mN1pQ2sT4vW6yZ8aB3dE5gH7jK9mN1pQ2sT4vW6yZ8aB3dE5gH==";
    for record in [
        r#"{"userIdentity":{"accessKeyId":"AKIAABCDEFGH23456723"},"eventName":"GetSecretValue"}"#,
        r#"{"accessKeyId":"ASIAABCDEFGH23456723","sessionContext":{"attributes":{"mfaAuthenticated":"false"}}}"#,
        &format!(r#"{{"accessKeyId":"ASIAABCDEFGH23456723","ciphertextBlob":"{blob}"}}"#),
        r#"{"responseElements":{"credentials":{"accessKeyId":"ASIAABCDEFGH23456723","sessionToken":"IQoJb3JpZ2luX2VjEHsaCXVzLWVhc3QtMSJHMEUCIQ"}}}"#,
        r#"{"requestParameters":{"secretId":"arn:aws:secretsmanager:eu-west-1:1:secret:db-AbCdEf","clientRequestToken":"a-b"}}"#,
        r#"{"requestParameters":{"secretString":"HIDDEN_DUE_TO_SECURITY_REASONS","password":"***"}}"#,
        r#"{"requestParameters":{"password":"arn:aws:secretsmanager:eu-west-1:1:secret:db","secretString":null}}"#,
        r#"{"eventName":"GenerateDataKeyWithoutPlaintext","passwordLastUsed":"2026","eventID":"PutParameter"}"#,
        r#"{"type":"response","auth":{"client_token":"hmac-sha256:1","accessor":"plain"},"request":{"path":"secret/data/a","data":{"cas":"clear"}},"response":{"data":{"data":{"port":443,"a":"hmac-sha256:2"}}}}"#,
        r#"{"requestUri":"https://v.vault.azure.net/secrets/a?api-version=7.0&design=abcdefghijklmnopqrstuvwxyz"}"#,
        r#"{"a":"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----","b":"BEGIN PRIVATE KEY-----"}"#,
        r#"{"nextToken":"eyJhbGciOiJub25l","b":"xghp_short","c":"npm_config_registry","d":"hvs.short"}"#,
        r#"{"url":"https://user@host/path?x=1","agent":"git https://host:8443/a@b"}"#,
        r#"{"note":"somebody wrote [scrubbed:nothing] here"}"#,
    ] {
        check_stays(record);
    }
}

#[test]
fn marks_of_unknown_kinds_are_somebodys_text() {
    assert!(marks(b"[scrubbed:nothing] [scrubbed:jwt").is_empty());
    assert_eq!(
        marks(b"[scrubbed:jwt] [scrubbed:vault-accessor~12] [scrubbed:jwt]"),
        ["jwt", "vault-accessor"]
    );
}

#[test]
fn rejects_and_their_reasons_are_scrubbed_too() {
    let token = format!("ghp_{}", chars(36));
    let place = Place { name: Arc::from("x"), line: 1, record: 0 };
    let mut batch = Batch::default();
    batch.push(br#"{"a":1}"#, place.clone());
    assert!(clean(&batch).is_none());
    batch.rejects.push(Reject {
        place,
        reason: RejectReason::UnknownShape(format!("an object with {token}")),
        bytes: format!("{{\"{token}\":1}}").into_bytes(),
    });
    let clean = clean(&batch).unwrap();
    assert_eq!(clean.raw(&clean.records[0]), br#"{"a":1}"#);
    assert!(
        !format!("{:?} {}", clean.rejects[0].reason, String::from_utf8_lossy(&clean.rejects[0].bytes))
            .contains(&token)
    );
}

#[test]
fn every_kind_but_numbers_raises() {
    let rule = include_str!("../../../rules/builtin/kw-138-value-in-log.yml");
    for kind in KINDS.iter().filter(|kind| !matches!(**kind, "number" | "vault-accessor")) {
        assert!(rule.contains(&format!("      - {kind}\n")), "{kind} is not in KW-138");
    }
}

proptest! {
    #[test]
    fn whatever_comes_is_scrubbed_once_and_for_all(text in r#"[ -~]{0,60}(hvs\.|"password":|"secretString":\{|AKIA|sig=|eyJh|PRIVATE KEY-----|\\"|"type":"request"|://)[ -~]{0,80}"#) {
        if let Some(clean) = scrub(text.as_bytes()) {
            prop_assert!(suspects(text.as_bytes()));
            prop_assert_eq!(scrub(&clean), None, "{}", String::from_utf8_lossy(&clean));
        }
    }
}
