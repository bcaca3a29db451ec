//! What paths mean, and the entries whose reading depends on more than their path.

use super::path::{Call, Target, Verb, target};
use crate::provider::Normalizer;
use keywatch_event::{AuditEvent, EventTime};
use serde_json::{Value, json};

/// Checks class and object (mount, then name) of one operation; `engine` is empty when unknown.
#[track_caller]
fn check(engine: &str, operation: &str, path: &str, want: (&str, &str)) {
    let engine = (!engine.is_empty()).then_some(engine);
    let path = path.trim_matches('/');
    let verb = Verb::of(operation);
    let got = target(&Call { verb, path, mount: None, engine, settings: false });
    assert_eq!((got.class.as_str(), shown(&got).as_str()), want, "{operation} {path} ({engine:?})");
}

fn shown(target: &Target<'_>) -> String {
    match (target.object, target.mount) {
        (Some(object), _) => format!("{}|{}", object.mount, object.name),
        (None, mount) => mount.unwrap_or_default().to_owned(),
    }
}

#[test]
fn kv_paths_of_both_versions() {
    for (operation, path, want) in [
        ("read", "secret/data/app/db", ("secret.read", "secret|app/db")),
        ("patch", "secret/data/app/db", ("secret.write", "secret|app/db")),
        ("delete", "secret/data/app/db", ("secret.delete", "secret|app/db")),
        ("update", "secret/delete/app/db", ("secret.delete", "secret|app/db")),
        ("update", "secret/undelete/app/db", ("secret.write", "secret|app/db")),
        ("update", "secret/destroy/app/db", ("secret.purge", "secret|app/db")),
        ("delete", "secret/metadata/app/db", ("secret.purge", "secret|app/db")),
        ("read", "secret/metadata/app/db", ("secret.meta", "secret|app/db")),
        ("update", "secret/metadata/app/db", ("secret.write", "secret|app/db")),
        ("read", "secret/subkeys/app/db", ("secret.meta", "secret|app/db")),
        ("list", "secret/metadata/app/", ("secret.list", "secret")),
        ("scan", "secret/detailed-metadata/", ("secret.list", "secret")),
        ("read", "secret/app", ("secret.read", "secret|app")),
        ("read", "secret/data", ("secret.read", "secret|data")),
        ("read", "secret/destroy/app", ("secret.read", "secret|destroy/app")),
        ("delete", "secret/app", ("secret.purge", "secret|app")),
        ("list", "secret/app/", ("secret.list", "secret")),
        ("help", "secret/data/app", ("other", "secret")),
    ] {
        check("kv", operation, path, want);
        check("", operation, path, want);
    }
    check("generic", "read", "old/data/app", ("secret.read", "old|data/app"));
    check("kv", "read", "team/kv/data/app", ("secret.read", "team/kv|app"));
    check("", "read", "team/kv/data/app", ("secret.read", "team/kv|app"));
    check("", "read", "kv-v2/data/a/data/b", ("secret.read", "kv-v2|a/data/b"));
    check("vendor", "read", "thing/data/app", ("other", "thing"));
}

#[test]
fn engines_that_hand_out_credentials_and_keys() {
    for (engine, operation, path, want) in [
        ("database", "read", "database/creds/ro", ("secret.read", "database|creds/ro")),
        ("database", "read", "database/static-creds/ro", ("secret.read", "database|static-creds/ro")),
        ("database", "delete", "database/roles/ro", ("secret.purge", "database|roles/ro")),
        ("database", "delete", "database/config/pg", ("secret.purge", "database|config/pg")),
        ("aws", "update", "aws/sts/deploy", ("secret.read", "aws|sts/deploy")),
        ("aws", "delete", "aws/roles/deploy", ("other", "aws")),
        ("vendor", "read", "team/x/creds/ro", ("secret.read", "team/x|creds/ro")),
        ("ldap", "update", "ldap/library/ops/check-out", ("secret.read", "ldap|library/ops/check-out")),
        ("totp", "update", "totp/code/k", ("other", "totp")),
        ("pki", "update", "pki_int/issue/web", ("secret.read", "pki_int|issue/web")),
        ("pki", "update", "pki/issuer/main/sign/web", ("secret.read", "pki|issuer/main/sign/web")),
        ("pki", "update", "pki/root/generate/exported", ("export", "pki|root/generate/exported")),
        ("pki", "delete", "pki/root", ("key.destroy", "pki|root")),
        ("pki", "read", "pki/cert/ca", ("other", "pki")),
        ("transit", "update", "transit/decrypt/k", ("key.use", "transit|k")),
        ("transit", "update", "transit/sign/k/sha2-256", ("key.use", "transit|k")),
        ("transit", "update", "transit/encrypt/k", ("other", "transit|k")),
        ("transit", "read", "transit/export/encryption-key/k/2", ("export", "transit|k")),
        ("transit", "read", "transit/backup/k", ("export", "transit|k")),
        ("transit", "delete", "transit/keys/k", ("key.destroy", "transit|k")),
        ("transit", "update", "transit/keys/k/trim", ("key.destroy", "transit|k")),
        ("transit", "update", "team/transit/hmac/k", ("key.use", "team/transit|k")),
        ("cubbyhole", "read", "cubbyhole/response", ("secret.read", "cubbyhole|response")),
        ("ns_cubbyhole", "read", "cubbyhole/x", ("secret.read", "cubbyhole|x")),
        ("", "read", "crew/creds/ro", ("secret.read", "crew|creds/ro")),
        ("", "update", "crew/decrypt/k", ("key.use", "crew|k")),
        ("", "read", "crew/roles/x", ("other", "crew")),
        ("", "read", "crew/password", ("secret.read", "crew|password")),
    ] {
        check(engine, operation, path, want);
    }
}

#[test]
fn paths_of_vault_itself() {
    for (operation, path, want) in [
        ("delete", "sys/audit/file", ("audit.tamper", "")),
        ("update", "sys/audit/file", ("audit.tamper", "")),
        ("read", "sys/audit", ("other", "")),
        ("update", "sys/audit-hash/file", ("other", "")),
        ("delete", "sys/config/auditing/request-headers/x", ("audit.tamper", "")),
        ("update", "sys/config/cors", ("admin.mount", "")),
        ("delete", "sys/mounts/team/kv", ("secret.purge", "team/kv|")),
        ("update", "sys/mounts/kv/tune", ("admin.mount", "kv")),
        ("read", "sys/mounts", ("other", "")),
        ("update", "sys/remount", ("admin.mount", "")),
        ("delete", "sys/namespaces/red", ("secret.purge", "red|")),
        ("create", "sys/namespaces/red", ("admin.mount", "")),
        ("update", "sys/auth/userpass", ("admin.mount", "")),
        ("update", "sys/plugins/catalog/secret/x", ("admin.mount", "")),
        ("update", "sys/policies/acl/p", ("policy.change", "")),
        ("delete", "sys/policy/p", ("policy.change", "")),
        ("read", "sys/policies/acl/p", ("other", "")),
        ("update", "sys/seal", ("admin.seal", "")),
        ("update", "sys/step-down", ("admin.seal", "")),
        ("update", "sys/generate-root/attempt", ("admin.seal", "")),
        ("read", "sys/generate-root/attempt", ("other", "")),
        ("update", "sys/rekey/init", ("admin.seal", "")),
        ("read", "sys/rekey/backup", ("export", "")),
        ("update", "sys/rotate", ("admin.seal", "")),
        ("read", "sys/raw/core/keyring", ("export", "")),
        ("delete", "sys/raw/logical/x", ("secret.purge", "")),
        ("read", "sys/storage/raft/snapshot", ("export", "")),
        ("update", "sys/storage/raft/snapshot", ("admin.seal", "")),
        ("update", "sys/leases/revoke-prefix/aws/creds", ("secret.delete", "aws|creds")),
        ("update", "sys/leases/revoke-force/aws", ("secret.delete", "aws|")),
        ("update", "sys/leases/revoke", ("other", "")),
        ("update", "sys/wrapping/unwrap", ("secret.read", "cubbyhole")),
        ("update", "sys/wrapping/lookup", ("other", "")),
        ("help", "sys/seal", ("other", "")),
        ("", "", ("other", "")),
    ] {
        check("", operation, path, want);
    }
}

#[test]
fn paths_of_tokens_logins_and_identities() {
    for (operation, path, want) in [
        ("update", "auth/userpass/login/alice", "auth.ok"),
        ("update", "auth/corp/ldap/login/alice", "auth.ok"),
        ("read", "auth/oidc/oidc/callback", "auth.ok"),
        ("update", "auth/oidc/oidc/auth_url", "other"),
        ("help", "auth/approle/login", "other"),
        ("update", "sys/mfa/validate", "auth.ok"),
        ("update", "auth/userpass/users/login", "policy.change"),
        ("update", "auth/token/create", "token.create"),
        ("create", "auth/token/create/ci", "token.create"),
        ("update", "auth/token/create-orphan", "token.create"),
        ("update", "auth/token/renew-self", "other"),
        ("read", "auth/token/lookup-self", "other"),
        ("update", "auth/token/revoke", "other"),
        ("update", "auth/token/roles/ci", "policy.change"),
        ("update", "auth/approle/role/ci/secret-id", "token.create"),
        ("update", "auth/approle/role/ci/custom-secret-id", "token.create"),
        ("list", "auth/approle/role/ci/secret-id", "other"),
        ("update", "auth/approle/role/ci/secret-id/lookup", "other"),
        ("update", "auth/approle/role/ci/secret-id-ttl", "policy.change"),
        ("delete", "auth/kubernetes/role/ci", "policy.change"),
        ("update", "auth/approle/tidy/secret-id", "other"),
        ("update", "identity/entity", "policy.change"),
        ("update", "identity/lookup/entity", "other"),
        ("read", "identity/entity/id/x", "other"),
        ("read", "identity/oidc/token/ci", "secret.read"),
    ] {
        let verb = Verb::of(operation);
        let got = target(&Call { verb, path, mount: None, engine: None, settings: false });
        assert_eq!(got.class.as_str(), want, "{operation} {path}");
    }
}

fn event(entry: &Value) -> AuditEvent<'static> {
    let bytes = entry.to_string();
    let event = Normalizer::new().normalize(bytes.as_bytes(), EventTime::from_secs(1_780_272_000));
    event.unwrap().unwrap().into_owned()
}

/// A response entry for one call.
fn answer(request: &Value, response: &Value) -> Value {
    json!({"type": "response", "time": "2026-05-01T00:00:00Z", "request": request, "response": response,
        "auth": {"display_name": "userpass-alice", "policies": ["default"], "accessor": "hmac-sha256:aa"}})
}

#[test]
fn two_devices_write_one_event() {
    let one =
        answer(&json!({"id": "r1", "operation": "read", "path": "kv/a", "client_token": "x"}), &json!({}));
    let mut other = one.clone();
    other["request"]["client_token"] = json!("y");
    other["time"] = json!("2026-05-01T00:00:00.5Z");
    assert_eq!(event(&one).id, event(&other).id);
    other["type"] = json!("request");
    assert_ne!(event(&one).id, event(&other).id);
}

#[test]
fn a_field_of_a_version_1_secret_is_not_taken_for_its_version() {
    let read = json!({"operation": "update", "path": "kv/a", "mount_type": "kv", "data": {"version": 4711}});
    let event = event(&answer(&read, &json!({"data": {"version": 4711, "metadata": {"version": 4711}}})));
    assert!(!serde_json::to_string(&event).unwrap().contains("4711"));
}

#[test]
fn a_secret_with_a_field_called_like_a_status_is_still_read() {
    let read = json!({"operation": "read", "path": "kv/a", "mount_type": "kv"});
    let outcome = |data: Value| event(&answer(&read, &json!({"data": data}))).outcome.as_str();
    assert_eq!(outcome(json!({"http_status_code": 404})), "ok");
    assert_eq!(outcome(json!({"error": "hmac-sha256:aa"})), "ok");
    assert_eq!(outcome(json!({"http_status_code": 404, "http_content_type": "hmac-sha256:aa"})), "not_found");
    assert_eq!(outcome(json!({})), "not_found");
    assert_eq!(outcome(json!(null)), "not_found");
}

#[test]
fn an_answer_that_is_only_an_error_discloses_nothing() {
    let decrypt = json!({"operation": "update", "path": "transit/decrypt/k", "mount_type": "transit"});
    let event = event(&answer(&decrypt, &json!({"data": {"error": "hmac-sha256:aa"}})));
    assert_eq!((event.class.as_str(), event.outcome.as_str()), ("key.use", "other"));
}

#[test]
fn a_wrapped_login_succeeded_and_one_with_an_old_token_may_have_failed() {
    let login = json!({"operation": "update", "path": "auth/approle/login"});
    let wrapped = event(&answer(&login, &json!({"wrap_info": {"ttl": 60}})));
    assert_eq!((wrapped.class.as_str(), wrapped.outcome.as_str()), ("auth.ok", "ok"));
    let failed = event(&answer(&login, &json!({"data": {"error": "hmac-sha256:aa"}})));
    assert_eq!((failed.class.as_str(), failed.outcome.as_str()), ("auth.fail", "unauthenticated"));
    assert_eq!(failed.principal.id, "userpass-alice");
}

#[test]
fn settings_of_a_kv_engine_are_no_secret_but_a_secret_called_config_is() {
    let read = json!({"operation": "read", "path": "kv/config", "mount_type": "kv"});
    let class = |data: Value| event(&answer(&read, &json!({"data": data}))).class.as_str();
    assert_eq!(class(json!({"max_versions": 0, "cas_required": false})), "secret.meta");
    assert_eq!(class(json!({"password": "hmac-sha256:aa"})), "secret.read");
    assert_eq!(class(json!({"password": "hmac-sha256:aa", "max_versions": 0})), "secret.read");
}

#[test]
fn a_device_called_test_is_no_probe_when_somebody_enables_it() {
    let enable = json!({"type": "request", "auth": {"token_type": "default"},
        "request": {"operation": "update", "path": "sys/audit/test", "remote_address": "192.0.2.9"}});
    assert_eq!(event(&enable).class.as_str(), "audit.tamper");
}

#[test]
fn roles_without_an_entity_are_told_apart() {
    let id = |role: &str| {
        let mut entry = answer(&json!({"operation": "read", "path": "kv/a"}), &json!({"data": {"a": "b"}}));
        entry["auth"] = json!({"display_name": "approle", "metadata": {"role_name": role}});
        event(&entry).principal
    };
    assert_eq!(id("billing").id, "approle/billing");
    assert_ne!(id("billing").id, id("orders").id);
    assert_eq!(id("billing").kind.as_str(), "service_account");
}
