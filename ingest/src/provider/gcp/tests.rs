//! What single fields of an entry decide. Whole entries stand under `tests/fixtures/gcp`.

use crate::provider::Normalizer;
use keywatch_event::{AuditEvent, Class, EventTime, Outcome, PrincipalKind, SourceKind};

const METHODS: &str = "google.cloud.secretmanager.v1.SecretManagerService.";

fn read(record: &str) -> AuditEvent<'static> {
    let at = EventTime::parse("2026-06-01T00:00:00Z").unwrap();
    Normalizer::new().normalize(record.as_bytes(), at).unwrap().unwrap().into_owned()
}

fn entry(service: &str, method: &str, more: &str) -> String {
    format!(
        r#"{{"insertId":"a1","timestamp":"2026-05-04T09:15:30.5Z","logName":"projects/acme-prod/logs/x",
        "resource":{{"labels":{{"project_id":"acme-prod"}}}},
        "protoPayload":{{"serviceName":"{service}.googleapis.com","methodName":"{method}"{more}}}}}"#
    )
}

#[track_caller]
fn check(service: &str, method: &str, more: &str, class: Class, outcome: Outcome) {
    let event = read(&entry(service, method, more));
    assert_eq!((event.class, event.outcome), (class, outcome), "{service} {method} {more}");
}

#[track_caller]
fn check_class(service: &str, class: Class, methods: &[&str]) {
    for method in methods {
        check(service, method, "", class, Outcome::Ok);
    }
}

#[test]
fn secret_manager_methods_have_their_classes() {
    let check_methods = |class, verbs: &[&str]| {
        for verb in verbs {
            for package in [METHODS, "google.cloud.secrets.v1beta1.SecretManagerService."] {
                check_class("secretmanager", class, &[&format!("{package}{verb}")]);
            }
        }
    };
    check_methods(Class::SecretRead, &["AccessSecretVersion"]);
    check_methods(Class::SecretList, &["ListSecrets", "ListSecretVersions"]);
    check_methods(Class::SecretMeta, &["GetSecret", "GetSecretVersion", "GetIamPolicy"]);
    check_methods(
        Class::SecretWrite,
        &["AddSecretVersion", "CreateSecret", "UpdateSecret", "EnableSecretVersion"],
    );
    check_methods(Class::SecretDelete, &["DisableSecretVersion"]);
    check_methods(Class::SecretPurge, &["DeleteSecret", "DestroySecretVersion"]);
    check_methods(Class::PolicyChange, &["SetIamPolicy"]);
    check_methods(Class::Other, &["TestIamPermissions", ""]);
}

#[test]
fn other_services_have_their_classes() {
    check_class(
        "cloudkms",
        Class::KeyUse,
        &["Decrypt", "AsymmetricDecrypt", "RawDecrypt", "AsymmetricSign", "MacSign"],
    );
    check_class("cloudkms", Class::KeyDestroy, &["DestroyCryptoKeyVersion"]);
    check_class("cloudkms", Class::SecretWrite, &["UpdateCryptoKeyVersion", "RestoreCryptoKeyVersion"]);
    check_class("cloudkms", Class::SecretMeta, &["Encrypt", "GetPublicKey"]);
    check_class("cloudkms", Class::PolicyChange, &["SetIamPolicy"]);
    check_class("iam", Class::PolicyChange, &["google.iam.admin.v1.SetIAMPolicy"]);
    check_class("iam", Class::TokenCreate, &["google.iam.admin.v1.CreateServiceAccountKey"]);
    check_class("cloudresourcemanager", Class::PolicyChange, &["SetIamPolicy"]);
    check_class("iamcredentials", Class::TokenCreate, &["GenerateAccessToken", "SignJwt"]);
    for verb in ["DeleteSink", "UpdateSink", "DeleteBucket", "UpdateBucketAsync", "CreateExclusion"] {
        let method = format!("google.logging.v2.ConfigServiceV2.{verb}");
        check_class("logging", Class::AuditTamper, &[&method]);
    }
    check_class("logging", Class::Other, &["google.logging.v2.ConfigServiceV2.GetSink"]);
    check_class("compute", Class::Other, &["v1.compute.disks.setIamPolicy", "v1.compute.instances.delete"]);
    check_class("storage", Class::Other, &["storage.objects.get"]);
}

#[test]
fn a_trimmed_entry_is_told_by_its_method() {
    let record = format!(r#"{{"protoPayload":{{"methodName":"{METHODS}AccessSecretVersion"}}}}"#);
    let event = read(&record);
    assert_eq!((event.class, event.store.as_deref()), (Class::SecretRead, Some("gsm")));
}

#[test]
fn the_status_code_decides_the_outcome() {
    let with = |status: &str, outcome| {
        let more = format!(r#","status":{status}"#);
        check("secretmanager", &format!("{METHODS}AccessSecretVersion"), &more, Class::SecretRead, outcome);
    };
    for ok in ["{}", "null", r#"{"code":0}"#, r#""odd""#, "[]"] {
        with(ok, Outcome::Ok);
    }
    let codes = [
        (7, Outcome::Denied),
        (16, Outcome::Unauthenticated),
        (5, Outcome::NotFound),
        (8, Outcome::Throttled),
        (9, Outcome::InvalidState),
        (13, Outcome::ServerError),
        (14, Outcome::ServerError),
        (15, Outcome::ServerError),
        (3, Outcome::Other),
        (6, Outcome::Other),
    ];
    for (code, outcome) in codes {
        with(&format!(r#"{{"code":{code},"message":"m"}}"#), outcome);
    }
}

#[test]
fn a_permission_not_granted_beside_success_stays_success() {
    let more = r#","status":{},"authorizationInfo":[{"permission":"x","granted":false}]"#;
    check("secretmanager", &format!("{METHODS}GetSecret"), more, Class::SecretMeta, Outcome::Ok);
}

#[test]
fn an_expiry_is_a_deletion_only_when_it_is_set() {
    let update = |request: &str, class| {
        let more = format!(r#","request":{request}"#);
        check("secretmanager", &format!("{METHODS}UpdateSecret"), &more, class, Outcome::Ok);
    };
    update(
        r#"{"secret":{"expireTime":"2026-05-05T00:00:00Z"},"updateMask":"expireTime"}"#,
        Class::SecretDelete,
    );
    update(r#"{"secret":{"ttl":"60s"},"updateMask":"labels,ttl"}"#, Class::SecretDelete);
    update(r#"{"secret":{"ttl":"60s"},"updateMask":{"paths":["ttl"]}}"#, Class::SecretDelete);
    update(r#"{"secret":{"ttl":"60s"}}"#, Class::SecretDelete);
    update(r#"{"secret":{},"updateMask":"expireTime"}"#, Class::SecretWrite);
    update(r#"{"secret":{"expireTime":"2026-05-05T00:00:00Z"},"updateMask":"labels"}"#, Class::SecretWrite);
    update(r#"{"secret":{"ttl":"60s"},"updateMask":"versionDestroyTtl"}"#, Class::SecretWrite);
}

#[test]
fn refused_impersonation_is_a_failed_authentication() {
    let denied = r#","status":{"code":7}"#;
    check("iamcredentials", "GenerateAccessToken", denied, Class::AuthFail, Outcome::Denied);
    check("iamcredentials", "SignJwt", denied, Class::AuthFail, Outcome::Denied);
    check("iamcredentials", "SignJwt", r#","status":{"code":14}"#, Class::TokenCreate, Outcome::ServerError);
    let method = "google.login.LoginService.loginFailure";
    check("login", method, "", Class::AuthFail, Outcome::Unauthenticated);
    check("login", "google.login.LoginService.loginSuccess", "", Class::AuthOk, Outcome::Ok);
}

#[test]
fn removing_an_audit_configuration_tampers_and_adding_one_does_not() {
    let delta = |action: &str| {
        format!(
            r#","serviceData":{{"policyDelta":{{"auditConfigDeltas":[{{"action":"{action}","logType":"DATA_READ"}}]}}}}"#
        )
    };
    check("cloudresourcemanager", "SetIamPolicy", &delta("REMOVE"), Class::AuditTamper, Outcome::Ok);
    check("cloudresourcemanager", "SetIamPolicy", &delta("ADD"), Class::PolicyChange, Outcome::Ok);
}

#[test]
fn another_payload_is_an_other_event() {
    let record = format!(
        r#"{{"logName":"projects/p/logs/app","protoPayload":{{"@type":"type.googleapis.com/google.appengine.logging.v1.RequestLog",
        "serviceName":"secretmanager.googleapis.com","methodName":"{METHODS}DeleteSecret"}}}}"#
    );
    assert_eq!(read(&record).class, Class::Other);
    let event = read(r#"{"logName":"projects/p/logs/app","textPayload":"started"}"#);
    assert_eq!((event.class, &*event.operation, event.account.as_deref()), (Class::Other, "app", Some("p")));
    let renamed = r#","at_sign_type":"type.googleapis.com/google.cloud.audit.AuditLog""#;
    check("secretmanager", &format!("{METHODS}DeleteSecret"), renamed, Class::SecretPurge, Outcome::Ok);
}

#[track_caller]
fn check_secret(service: &str, resource: &str, want: Option<(&str, &str, Option<&str>)>) {
    let more = format!(r#","resourceName":"{resource}""#);
    let event = read(&entry(service, "x.Get", &more));
    let got = event.secrets.first().map(|s| (&*s.id, &*s.name, s.version.as_deref()));
    assert_eq!(got, want, "{resource}");
}

#[test]
fn one_secret_has_one_id_however_it_is_named() {
    let id = "projects/acme-prod/secrets/db";
    let check_secret = |name: &str, want: Option<(&str, &str, Option<&str>)>| {
        check_secret("secretmanager", name, want);
    };
    check_secret("projects/acme-prod/secrets/db", Some((id, "db", None)));
    check_secret("projects/111122223333/secrets/db/versions/latest", Some((id, "db", Some("latest"))));
    check_secret("//secretmanager.googleapis.com/projects/acme-prod/secrets/db", Some((id, "db", None)));
    check_secret(
        "projects/acme-prod/secrets/secrets",
        Some(("projects/acme-prod/secrets/secrets", "secrets", None)),
    );
    let regional = "projects/acme-prod/locations/europe-west3/secrets/db";
    check_secret(&format!("{regional}/versions/4"), Some((regional, "db", Some("4"))));
    let elsewhere = "projects/acme-test/secrets/db";
    check_secret(elsewhere, Some((elsewhere, "db", None)));
    for none in ["projects/acme-prod", "projects/acme-prod/secrets", "projects/acme-prod/secrets/", "", "db"]
    {
        check_secret(none, None);
    }
}

#[test]
fn a_key_is_named_without_its_version() {
    let key = "projects/acme-prod/locations/global/keyRings/r/cryptoKeys/k";
    check_secret("cloudkms", &format!("{key}/cryptoKeyVersions/2"), Some((key, "k", Some("2"))));
    check_secret("cloudkms", "projects/1/locations/global/keyRings/r/cryptoKeys/k", Some((key, "k", None)));
    check_secret("compute", &format!("{key}/cryptoKeyVersions/2"), None);
}

#[test]
fn a_new_secret_and_its_version_are_read_from_request_and_response() {
    let created = r#","resourceName":"projects/acme-prod","request":{"parent":"projects/111122223333","secretId":"db"}"#;
    let event = read(&entry("secretmanager", &format!("{METHODS}CreateSecret"), created));
    assert_eq!(event.secrets[0].id, "projects/acme-prod/secrets/db");
    let added = r#","resourceName":"projects/acme-prod/secrets/db","response":{"name":"projects/111122223333/secrets/db/versions/8"}"#;
    let event = read(&entry("secretmanager", &format!("{METHODS}AddSecretVersion"), added));
    assert_eq!(event.secrets[0].version.as_deref(), Some("8"));
}

#[track_caller]
fn check_who(info: &str, id: &str, kind: PrincipalKind, name: Option<&str>) {
    let more = format!(r#","requestMetadata":{{"callerIp":"198.51.100.7"}},"authenticationInfo":{info}"#);
    let who = read(&entry("secretmanager", "x.Get", &more)).principal;
    assert_eq!((&*who.id, who.kind, who.name.as_deref()), (id, kind, name), "{info}");
}

#[test]
fn a_principal_has_one_id_and_the_kind_of_its_address() {
    let by = |email: &str, kind, name| {
        check_who(&format!(r#"{{"principalEmail":"{email}"}}"#), email, kind, Some(name));
    };
    by("alice@example.com", PrincipalKind::User, "alice");
    by("app@acme-prod.iam.gserviceaccount.com", PrincipalKind::ServiceAccount, "app");
    by(
        "111122223333-compute@developer.gserviceaccount.com",
        PrincipalKind::ServiceAccount,
        "111122223333-compute",
    );
    by(
        "service-111122223333@gcp-sa-pubsub.iam.gserviceaccount.com",
        PrincipalKind::Service,
        "service-111122223333",
    );
    by("111122223333@cloudservices.gserviceaccount.com", PrincipalKind::Service, "111122223333");
    by("service-desk@example.com", PrincipalKind::User, "service-desk");
    by("system:anonymous", PrincipalKind::Anonymous, "anonymous");
    by("system:serviceaccount:shop:web", PrincipalKind::ServiceAccount, "web");
    let subject = r#"{"principalSubject":"serviceAccount:app@acme-prod.iam.gserviceaccount.com"}"#;
    check_who(subject, "app@acme-prod.iam.gserviceaccount.com", PrincipalKind::ServiceAccount, Some("app"));
    let pool =
        "principal://iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/subject/repo:a/b";
    check_who(
        &format!(r#"{{"principalSubject":"{pool}"}}"#),
        pool,
        PrincipalKind::Federated,
        Some("repo:a/b"),
    );
}

#[test]
fn a_withheld_caller_is_known_by_address() {
    for info in ["{}", "null", r#""odd""#, r#"{"principalEmail":""}"#, r#"{"principalEmail":7}"#] {
        check_who(info, "withheld@198.51.100.7", PrincipalKind::Unknown, None);
    }
    let event = read(&entry("secretmanager", "x.Get", r#","status":{"code":16}"#));
    let who = (&*event.principal.id, event.principal.kind);
    assert_eq!(who, ("withheld@unknown", PrincipalKind::Anonymous));
}

#[test]
fn the_person_behind_an_impersonated_account_is_its_session() {
    let chain = |links: &str| {
        let info = format!(
            r#","authenticationInfo":{{"principalEmail":"app@p.iam.gserviceaccount.com","serviceAccountDelegationInfo":{links}}}"#
        );
        read(&entry("secretmanager", "x.Get", &info)).principal.session.map(std::borrow::Cow::into_owned)
    };
    let ci = r#"{"firstPartyPrincipal":{"principalEmail":"ci@p.iam.gserviceaccount.com"}}"#;
    let bob = r#"{"principalSubject":"user:bob@example.com"}"#;
    assert_eq!(chain(&format!("[{ci},{bob}]")).as_deref(), Some("bob@example.com"));
    assert_eq!(chain(&format!("[{ci}]")).as_deref(), Some("ci@p.iam.gserviceaccount.com"));
    for none in ["[{}]", "[]", "{}", "7", r#"[7,{"firstPartyPrincipal":"x"}]"#] {
        assert_eq!(chain(none), None, "{none}");
    }
}

#[test]
fn words_for_callers_inside_google_are_internal_and_others_opaque() {
    for (said, kind) in [
        ("private", SourceKind::Internal),
        ("gce-internal-ip", SourceKind::Internal),
        ("10.0.0.4", SourceKind::Internal),
        ("203.0.113.4", SourceKind::Addr),
        ("2001:db8::4", SourceKind::Addr),
        ("REDACTED", SourceKind::Opaque),
    ] {
        let more = format!(r#","requestMetadata":{{"callerIp":"{said}"}}"#);
        assert_eq!(read(&entry("secretmanager", "x.Get", &more)).source.kind, kind, "{said}");
    }
    assert!(read(&entry("secretmanager", "x.Get", r#","requestMetadata":"...""#)).source.is_absent());
}

#[test]
fn entries_that_repeat_another_are_echoes() {
    let echo = |more: &str| {
        let record = format!(r#"{{"insertId":"a","protoPayload":{{"methodName":"x"}},{more}}}"#);
        read(&record).echo_of.map(std::borrow::Cow::into_owned)
    };
    assert_eq!(echo(r#""operation":{"id":"op-1","first":true}"#), None);
    assert_eq!(echo(r#""operation":{"id":"op-1","first":true,"last":true}"#), None);
    assert_eq!(echo(r#""operation":{"id":"op-1","last":true}"#).as_deref(), Some("op-1"));
    assert_eq!(echo(r#""split":{"uid":"s-1","totalSplits":2}"#), None);
    assert_eq!(echo(r#""split":{"uid":"s-1","index":1,"totalSplits":2}"#).as_deref(), Some("s-1"));
}

#[test]
fn the_id_is_the_same_in_every_delivery_and_different_for_every_entry() {
    let id = |record: &str| read(record).id.into_owned();
    let entry = |insert: &str, time: &str, log: &str| {
        format!(
            r#"{{"logName":"{log}","timestamp":"{time}","insertId":"{insert}","receiveTimestamp":"2026-05-04T00:00:01Z"}}"#
        )
    };
    let time = "2026-05-04T00:00:00.10Z";
    let one = id(&entry("a", time, "projects/p/logs/x"));
    assert!(one.starts_with("gcp:projects/p/logs/x/2026-05-04T00:00:00.10Z/a~"), "{one}");
    assert_eq!(one, id(&entry("a", time, "projects/p/logs/x").replace("00:01Z", "00:09Z")));
    assert_ne!(one, id(&entry("b", time, "projects/p/logs/x")));
    assert_ne!(one, id(&entry("a", "2026-05-04T00:00:01Z", "projects/p/logs/x")));
    assert_ne!(one, id(&entry("a", time, "projects/p/logs/y")));
    let without = [r#"{"logName":"projects/p/logs/x","a":1}"#, r#"{"logName":"projects/p/logs/x","a":2}"#];
    assert_ne!(id(without[0]), id(without[1]));
    assert_eq!(id(without[0]), id(without[0]));
}

#[test]
fn a_time_that_cannot_be_believed_is_kept_as_said() {
    let event = read(r#"{"logName":"projects/p/logs/x","timestamp":"2026-06-01T12:00:00Z"}"#);
    assert_eq!((event.time, event.time_raw.as_deref()), (event.received_at, Some("2026-06-01T12:00:00Z")));
    let event = read(r#"{"logName":"projects/p/logs/x","timestamp":"2026-05-04 09:15:30.5"}"#);
    assert_eq!((event.time.to_string().as_str(), event.time_raw), ("2026-05-04T09:15:30.5Z", None));
}

#[test]
fn a_field_of_an_odd_type_never_drops_the_entry() {
    for odd in ["7", "null", "[]", "{}", r#""x""#, "true", r#"[{"a":[1]}]"#] {
        let record = format!(
            r#"{{"logName":"projects/p/logs/x","insertId":{odd},"timestamp":{odd},"resource":{odd},"operation":{odd},"split":{odd},
            "protoPayload":{{"serviceName":"secretmanager.googleapis.com","methodName":"{METHODS}AccessSecretVersion","resourceName":{odd},
            "status":{odd},"authenticationInfo":{odd},"authorizationInfo":{odd},"requestMetadata":{odd},"request":{odd},"response":{odd}}}}}"#
        );
        assert_eq!(read(&record).class, Class::SecretRead, "{odd}");
    }
}

#[test]
fn the_id_does_not_depend_on_the_clock_here() {
    let record = entry("secretmanager", &format!("{METHODS}AccessSecretVersion"), "");
    let id = |at: &str| {
        let at = EventTime::parse(at).unwrap();
        Normalizer::new().normalize(record.as_bytes(), at).unwrap().unwrap().into_owned().id
    };
    // The first clock is a day behind: the entry is from the future, and its time is not believed.
    assert_eq!(id("2026-05-03T09:15:30Z"), id("2026-05-04T09:15:31Z"));
}
