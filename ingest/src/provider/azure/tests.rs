//! What single fields of a record decide. Whole records stand under `tests/fixtures/azure`.

use crate::provider::Normalizer;
use keywatch_event::{AuditEvent, Class, EventTime, Outcome, PrincipalKind};

const VAULT: &str = "/SUBSCRIPTIONS/0A1B/RESOURCEGROUPS/RG/PROVIDERS/MICROSOFT.KEYVAULT/VAULTS/ACME-VAULT";
const SOMEBODY: &str = r#","identity":{"claim":{"oid":"o-1","upn":"alice@example.com"}}"#;

fn read(record: &str) -> AuditEvent<'static> {
    let at = EventTime::parse("2026-06-01T00:00:00Z").unwrap();
    Normalizer::new().normalize(record.as_bytes(), at).unwrap().unwrap().into_owned()
}

fn row(operation: &str, properties: &str, more: &str) -> String {
    format!(
        r#"{{"time":"2026-05-04T09:15:30.1234567Z","category":"AuditEvent","operationName":"{operation}",
        "resultType":"Success","resourceId":"{VAULT}","properties":{{{properties}}}{more}}}"#
    )
}

#[track_caller]
fn check_class(class: Class, operations: &[&str]) {
    for operation in operations {
        let event = read(&row(operation, r#""httpStatusCode":200"#, SOMEBODY));
        assert_eq!((event.class, event.outcome), (class, Outcome::Ok), "{operation}");
    }
}

#[test]
fn operations_on_secrets_have_their_classes() {
    check_class(Class::SecretRead, &["SecretGet", "secretget"]);
    check_class(Class::SecretList, &["SecretList", "SecretListVersions", "SecretListDeleted"]);
    check_class(Class::SecretWrite, &["SecretSet", "SecretUpdate", "SecretRestore", "SecretRecover"]);
    check_class(Class::SecretDelete, &["SecretDelete"]);
    check_class(Class::SecretPurge, &["SecretPurge"]);
    check_class(Class::Export, &["SecretBackup", "KeyBackup", "CertificateBackup"]);
    check_class(Class::SecretMeta, &["SecretGetDeleted"]);
}

#[test]
fn operations_on_keys_certificates_and_vaults_have_their_classes() {
    check_class(Class::KeyUse, &["KeyDecrypt", "KeyUnwrap", "KeySign", "KeyRelease"]);
    check_class(Class::SecretMeta, &["KeyGet", "KeyVerify", "KeyEncrypt", "KeyWrap", "KeyGetDeleted"]);
    check_class(Class::KeyDestroy, &["KeyDelete", "KeyPurge"]);
    check_class(
        Class::SecretWrite,
        &["KeyCreate", "KeyImport", "KeyUpdate", "KeyRotate", "CertificateImport"],
    );
    check_class(Class::SecretList, &["KeyList", "CertificateList", "CertificateIssuersList", "VaultList"]);
    check_class(
        Class::SecretMeta,
        &["CertificateGet", "CertificatePolicyGet", "VaultGet", "VaultGetDeleted"],
    );
    check_class(Class::SecretDelete, &["CertificateDelete", "VaultDelete"]);
    check_class(Class::SecretPurge, &["CertificatePurge", "VaultPurge"]);
    check_class(Class::PolicyChange, &["VaultPut", "VaultPatch"]);
    check_class(Class::AuthOk, &["Authentication"]);
    let notices = ["SecretNearExpiryEventGridNotification", "VaultAccessPolicyChangedEventGridNotification"];
    check_class(Class::Other, &notices);
    check_class(Class::Other, &["Unheard", "", "Secret", "KeyUnheard"]);
}

#[test]
fn an_update_that_disables_is_a_deletion() {
    let update = |operation: &str, kind: &str, enabled: &str, class| {
        let properties = format!(r#""{kind}Properties":{{"attributes":{{"enabled":{enabled}}}}}"#);
        assert_eq!(read(&row(operation, &properties, SOMEBODY)).class, class, "{operation} {enabled}");
    };
    update("SecretUpdate", "secret", "false", Class::SecretDelete);
    update("SecretUpdate", "secret", "true", Class::SecretWrite);
    update("SecretUpdate", "secret", "null", Class::SecretWrite);
    update("KeyUpdate", "key", "false", Class::KeyDestroy);
    update("KeyUpdate", "key", "true", Class::SecretWrite);
    update("CertificateUpdate", "certificate", "false", Class::SecretDelete);
    update("SecretSet", "secret", "false", Class::SecretWrite);
}

#[track_caller]
fn check_outcome(status: &str, signature: &str, kind: &str, outcome: Outcome) {
    let more = format!(r#"{SOMEBODY},"resultSignature":"{signature}""#);
    let record = row("SecretGet", &format!(r#""httpStatusCode":{status}"#), &more);
    let event = read(&record.replace(r#""resultType":"Success""#, &format!(r#""resultType":"{kind}""#)));
    assert_eq!((event.class, event.outcome), (Class::SecretRead, outcome), "{status} {signature} {kind}");
}

#[test]
fn any_sign_of_failure_beats_a_result_type_of_success() {
    check_outcome("200", "OK", "Success", Outcome::Ok);
    check_outcome("202", "Accepted", "Success", Outcome::Ok);
    check_outcome("403", "Forbidden", "Success", Outcome::Denied);
    check_outcome("200", "Forbidden", "Success", Outcome::Denied);
    check_outcome("404", "OK", "Success", Outcome::NotFound);
    check_outcome("null", "Not Found", "Success", Outcome::NotFound);
    check_outcome(r#""403""#, "", "Success", Outcome::Denied);
    check_outcome("409", "Conflict", "Success", Outcome::InvalidState);
    check_outcome("400", "Bad Request", "Success", Outcome::Other);
    check_outcome("429", "", "Success", Outcome::Throttled);
    check_outcome("503", "", "Success", Outcome::ServerError);
    check_outcome("null", "", "Success", Outcome::Ok);
    check_outcome("null", "", "Failed", Outcome::Other);
}

#[test]
fn only_a_401_without_identity_is_a_challenge() {
    let refused = |operation: &str, identity: &str| {
        let event = read(&row(operation, r#""httpStatusCode":401"#, identity));
        (event.class, event.outcome, event.principal.kind)
    };
    let challenge = (Class::AuthChallenge, Outcome::Unauthenticated, PrincipalKind::Anonymous);
    for nobody in
        ["", r#","identity":null"#, r#","identity":{}"#, r#","identity":{"claim":{}}"#, r#","identity":"x""#]
    {
        assert_eq!(refused("SecretGet", nobody), challenge, "{nobody}");
    }
    assert_eq!(refused("Authentication", ""), challenge);
    let known = |class| (class, Outcome::Unauthenticated, PrincipalKind::User);
    assert_eq!(refused("SecretGet", SOMEBODY), known(Class::SecretRead));
    assert_eq!(refused("Authentication", SOMEBODY), known(Class::AuthFail));
}

#[track_caller]
fn check_object(operation: &str, id: &str, uri: &str, want: Option<(&str, &str, Option<&str>)>) {
    let event = read(&row(operation, &format!(r#""id":"{id}","requestUri":"{uri}""#), SOMEBODY));
    let got = event.secrets.first().map(|s| (&*s.id, &*s.name, s.version.as_deref()));
    assert_eq!(got, want, "{id} {uri}");
}

#[test]
fn one_object_has_one_id_however_it_is_asked_for() {
    let version = "0123456789abcdef0123456789abcdef";
    let host = "https://acme-vault.vault.azure.net";
    let id = format!("{host}/secrets/db");
    let named = Some((id.as_str(), "acme-vault/db", None));
    check_object("SecretGet", &format!("{host}/secrets/db"), "", named);
    check_object("SecretGet", "", &format!("{host}/secrets/db?api-version=7.5&x=https://a/b"), named);
    check_object("SecretGet", "", "https://ACME-Vault.vault.azure.net:443/Secrets/db/", named);
    check_object("SecretRecover", &format!("{host}/deletedsecrets/db"), "", named);
    check_object("SecretRecover", "", &format!("{host}/deletedsecrets/db/recover?api-version=7.5"), named);
    let upper = Some((id.as_str(), "acme-vault/DB", None));
    check_object("SecretGet", "https://ACME-VAULT.vault.azure.net/secrets/DB", "", upper);
    let at = Some((id.as_str(), "acme-vault/db", Some(version)));
    check_object("SecretGet", &format!("{host}/secrets/db/{version}"), "", at);
    check_object("SecretGet", "", &format!("{host}/secrets/db/{version}?api-version=7.5"), at);
    let key = format!("{host}/keys/k");
    let unwrapped = Some((key.as_str(), "acme-vault/k", Some(version)));
    check_object("KeyUnwrap", "", &format!("{host}/keys/k/{version}/unwrapkey"), unwrapped);
    check_object("CertificateGet", "", &format!("{host}/certificates/k/pending"), {
        Some(("https://acme-vault.vault.azure.net/certificates/k", "acme-vault/k", None))
    });
}

#[test]
fn what_names_no_object_has_none() {
    let host = "https://acme-vault.vault.azure.net";
    for (operation, path) in [
        ("SecretList", "/secrets?api-version=7.5"),
        ("SecretListDeleted", "/deletedsecrets/"),
        ("SecretRestore", "/secrets/restore"),
        ("CertificateIssuerGet", "/certificates/issuers/ca"),
        ("CertificateContactsGet", "/certificates/contacts"),
        ("SecretGet", ""),
        ("SecretGet", "/rng"),
    ] {
        check_object(operation, "", &format!("{host}{path}"), None);
    }
    check_object("SecretGet", "", "", None);
    check_object("SecretGet", "no uri", "://", None);
    check_object("VaultGet", "", "https://management.azure.com/subscriptions/0a1b/x", None);
}

#[test]
fn the_vault_is_known_by_resource_or_by_host() {
    let event = read(&row("SecretList", "", SOMEBODY));
    assert_eq!((event.store.as_deref(), event.account.as_deref()), (Some("kv:acme-vault"), Some("0a1b")));
    let uri = r#""requestUri":"https://Other.vault.azure.net/secrets""#;
    let event = read(&row("SecretList", uri, SOMEBODY).replace(VAULT, ""));
    assert_eq!((event.store.as_deref(), event.account), (Some("kv:other"), None));
    let hsm = VAULT.replace("VAULTS/ACME-VAULT", "MANAGEDHSMS/ACME-HSM");
    let event = read(&row("KeySign", "", SOMEBODY).replace(VAULT, &hsm));
    assert_eq!((event.store.as_deref(), event.class), (Some("kv:acme-hsm"), Class::KeyUse));
}

#[test]
fn the_audit_event_of_something_else_is_an_other_event() {
    let record = row("SecretGet", "", SOMEBODY).replace("MICROSOFT.KEYVAULT", "MICROSOFT.MEDIA");
    let event = read(&record);
    assert_eq!((event.class, event.store, &*event.service), (Class::Other, None, "MICROSOFT.MEDIA"));
}

#[track_caller]
fn check_who(claims: &str, id: &str, kind: PrincipalKind, name: Option<&str>) {
    let who =
        read(&row("SecretGet", "", &format!(r#","callerIpAddress":"198.51.100.7:443",{claims}"#))).principal;
    assert_eq!((&*who.id, who.kind, who.name.as_deref()), (id, kind, name), "{claims}");
}

#[test]
fn a_principal_is_its_directory_object_in_both_identity_shapes() {
    let (user, app) = (PrincipalKind::User, PrincipalKind::ServiceAccount);
    let alice = Some("alice@example.com");
    let plain = r#""identity":{"claim":{"oid":"o-1","appid":"a-1","upn":"alice@example.com"}}"#;
    check_who(plain, "o-1", user, alice);
    let uris = r#""identity":{"claim":{"http://schemas.microsoft.com/identity/claims/objectidentifier":"o-1",
        "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn":"alice@example.com","appid":"a-1"}}"#;
    check_who(uris, "o-1", user, alice);
    let guest = "live.com#alice@example.com";
    check_who(&format!(r#""identity":{{"claim":{{"upn":"{guest}"}}}}"#), guest, user, Some(guest));
    check_who(
        r#""identity":{"claim":{"appid":"a-1","upn":"alice@example.com"}}"#,
        "alice@example.com",
        user,
        alice,
    );
    check_who(r#""identity":{"claim":{"oid":"o-2","appid":"a-2"}}"#, "o-2", app, Some("a-2"));
    check_who(r#""identity":{"claim":{"appid":"a-2"}}"#, "a-2", app, Some("a-2"));
    let managed =
        r#""identity":{"claim":{"oid":"o-3","xms_mirid":"/subscriptions/s/userAssignedIdentities/web"}}"#;
    check_who(managed, "o-3", app, Some("web"));
    check_who(r#""caller":"alice@example.com""#, "alice@example.com", user, alice);
    check_who(r#""caller":"a-4""#, "a-4", app, None);
    check_who(
        r#""identity":{"claim":{"oid":7,"upn":[]}}"#,
        "anon@198.51.100.7",
        PrincipalKind::Unknown,
        None,
    );
}

#[test]
fn an_address_is_read_with_and_without_its_port() {
    for (said, ip) in [
        ("203.0.113.4", Some("203.0.113.4")),
        ("203.0.113.4:50123", Some("203.0.113.4")),
        ("2001:db8::4", Some("2001:db8::4")),
        ("2001:db8::443", Some("2001:db8::443")),
        ("[2001:db8::4]:443", Some("2001:db8::4")),
        ("203.0.113.4:x", None),
        ("203.0.113.x", None),
    ] {
        let source = read(&row("SecretGet", "", &format!(r#","callerIpAddress":"{said}""#))).source;
        assert_eq!(source.ip, ip.map(|ip| ip.parse().unwrap()), "{said}");
        assert_eq!(source.raw.as_deref(), Some(said));
    }
    assert!(read(&row("SecretGet", "", r#","callerIpAddress":"""#)).source.is_absent());
}

fn activity(operation: &str, resource: &str, more: &str) -> AuditEvent<'static> {
    read(&format!(
        r#"{{"time":"2026-05-04T09:15:30Z","category":"Administrative","operationName":"{operation}","correlationId":"c-1",
        "caller":"alice@example.com","resourceId":"{resource}"{more}}}"#
    ))
}

#[test]
fn activity_log_operations_have_their_classes_in_any_case() {
    for (operation, class) in [
        ("Microsoft.KeyVault/vaults/delete", Class::SecretDelete),
        ("MICROSOFT.KEYVAULT/LOCATIONS/DELETEDVAULTS/PURGE/ACTION", Class::SecretPurge),
        ("MICROSOFT.KEYVAULT/VAULTS/WRITE", Class::PolicyChange),
        ("Microsoft.KeyVault/vaults/accessPolicies/write", Class::PolicyChange),
        ("Microsoft.KeyVault/vaults/secrets/write", Class::SecretWrite),
        ("Microsoft.KeyVault/vaults/secrets/getSecret/action", Class::Other),
        ("microsoft.insights/diagnosticSettings/delete", Class::AuditTamper),
        (
            "MICROSOFT.KEYVAULT/VAULTS/PROVIDERS/MICROSOFT.INSIGHTS/DIAGNOSTICSETTINGS/WRITE",
            Class::AuditTamper,
        ),
        ("Microsoft.OperationalInsights/workspaces/delete", Class::AuditTamper),
        ("MICROSOFT.RECOVERYSERVICES/VAULTS/DELETE", Class::Other),
        ("Microsoft.Compute/virtualMachines/delete", Class::Other),
    ] {
        assert_eq!(activity(operation, VAULT, "").class, class, "{operation}");
    }
}

#[test]
fn a_role_assignment_matters_where_it_reaches_a_vault() {
    let assigned = |scope: &str| {
        let resource = format!("{scope}/providers/Microsoft.Authorization/roleAssignments/g");
        activity("Microsoft.Authorization/roleAssignments/write", &resource, "").class
    };
    assert_eq!(assigned(VAULT), Class::PolicyChange);
    assert_eq!(assigned("/subscriptions/0a1b"), Class::PolicyChange);
    assert_eq!(assigned("/subscriptions/0a1b/resourceGroups/rg"), Class::PolicyChange);
    let machine = "/subscriptions/0a1b/resourceGroups/rg/providers/Microsoft.Compute/virtualMachines/v";
    assert_eq!(assigned(machine), Class::Other);
}

#[test]
fn a_vault_deletion_counts_once_it_ended_and_names_the_vault_in_both_logs() {
    let told = |more: &str| activity("Microsoft.KeyVault/vaults/delete", VAULT, more).echo_of;
    for under_way in ["Started", "Accepted", "Start", "Accept", "InProgress"] {
        let exported = format!(r#","resultType":"{under_way}""#);
        let listed = format!(r#","status":{{"value":"{under_way}","localizedValue":"x"}}"#);
        assert_eq!(told(&exported).as_deref(), Some("c-1"), "{under_way}");
        assert_eq!(told(&listed).as_deref(), Some("c-1"), "{under_way}");
    }
    for terminal in ["Succeeded", "Failed", "Success", "Failure"] {
        assert_eq!(told(&format!(r#","resultType":"{terminal}""#)), None, "{terminal}");
        assert_eq!(told(&format!(r#","status":{{"value":"{terminal}"}}"#)), None, "{terminal}");
    }
    let own = read(&row("VaultDelete", "", SOMEBODY));
    let exported = activity("Microsoft.KeyVault/vaults/delete", VAULT, "");
    assert_eq!(own.echo_of, None);
    assert_eq!(own.secrets.len(), 1);
    assert_eq!(own.secrets, exported.secrets);
    assert_eq!(read(&row("SecretDelete", "", SOMEBODY)).echo_of, None);
}

#[test]
fn a_failed_activity_says_why() {
    let listed = r#","status":{"value":"Failed"},"subStatus":{"value":"Forbidden"},"properties":{"statusMessage":"no"}"#;
    let event = activity("Microsoft.KeyVault/vaults/delete", VAULT, listed);
    assert_eq!((event.class, event.outcome), (Class::SecretDelete, Outcome::Denied));
    let error = event.error.unwrap();
    assert_eq!((error.code.as_deref(), error.message.as_deref()), (Some("Forbidden"), Some("no")));
}

#[test]
fn the_id_tells_two_accesses_apart_and_is_stable() {
    let id = |record: &str| read(record).id.into_owned();
    let one = row(
        "SecretGet",
        r#""httpStatusCode":200,"requestUri":"https://v.vault.azure.net/secrets/a""#,
        SOMEBODY,
    );
    assert_eq!(id(&one), id(&one.replace('\n', " ")));
    assert_eq!(id(&one).len(), "azure:".len() + 32);
    for (from, to) in [
        ("secrets/a", "secrets/b"),
        (":200", ":403"),
        ("1234567Z", "1234568Z"),
        ("SecretGet", "SecretSet"),
        ("ACME-VAULT", "OTHER-VAULT"),
    ] {
        assert_ne!(id(&one), id(&one.replace(from, to)), "{from}");
    }
    let without = r#"{"operationName":"SecretGet","category":"AuditEvent","n":1}"#;
    assert_ne!(id(without), id(&without.replace('1', "2")));
}

#[test]
fn a_field_of_an_odd_type_never_drops_the_record() {
    for odd in ["7", "null", "[]", "{}", r#""x""#, "true", r#"[{"a":[1]}]"#] {
        let record = format!(
            r#"{{"time":{odd},"category":"AuditEvent","operationName":"SecretGet","resultType":{odd},"resultSignature":{odd},
            "correlationId":{odd},"callerIpAddress":{odd},"identity":{odd},"claims":{odd},"properties":{odd},"status":{odd},
            "authorization":{odd},"location":{odd},"httpRequest":{odd}}}"#
        );
        assert_eq!(read(&record).class, Class::SecretRead, "{odd}");
    }
}
