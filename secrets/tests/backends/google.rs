//! Google Secret Manager as scripted answers play it: the REST protocol of its API, and of the token
//! exchange of a workload identity federation.

use crate::harness::{CANARY, reference, refusal, settings, value};
use crate::scripted::{Asked, Reply, Server};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use keywatch_google_stand_in::Key;
use keywatch_secrets::{SecretManager, Settings, Trouble};
use serde_json::json;

/// CRC32C of `second`, worked out with another implementation.
const SUM_OF_SECOND: u32 = 0x7AFD_9428;

fn at(endpoint: &str) -> Settings {
    let mut settings = settings(&[]);
    settings.gcp.project = Some("watch".to_owned());
    settings.gcp.endpoint = endpoint.parse().ok();
    settings.gcp.anonymous = true;
    settings
}

fn payload(name: &str, data: &[u8], sum: Option<u32>) -> Reply {
    let sum = sum.map(|sum| sum.to_string());
    let payload = json!({"data": STANDARD.encode(data), "dataCrc32c": sum});
    Reply::Json(200, json!({"name": name, "payload": payload}).to_string())
}

fn error(status: u16, name: &str, message: &str) -> Reply {
    Reply::Json(status, json!({"error": {"code": status, "message": message, "status": name}}).to_string())
}

fn secrets(asked: &Asked) -> Reply {
    match asked.path.as_str() {
        "/v1/projects/watch/secrets/app/versions/latest:access" => {
            payload("app", b"second", Some(SUM_OF_SECOND))
        }
        "/v1/projects/watch/secrets/app/versions/1:access" => payload("app", b"{\"token\":\"first\"}", None),
        "/v1/projects/other/locations/europe-west1/secrets/app/versions/latest:access" => {
            payload("app", b"regional", None)
        }
        "/v1/projects/watch/secrets/app/versions/2:access" => {
            error(400, "FAILED_PRECONDITION", "Secret Version [2] is in DISABLED state.")
        }
        "/v1/projects/watch/secrets/damaged/versions/latest:access" => payload("app", b"second", Some(1)),
        "/v1/projects/watch/secrets/binary/versions/latest:access" => payload("app", &[0xff, 0xfe], None),
        "/v1/projects/watch/secrets/theirs/versions/latest:access" => error(
            403,
            "PERMISSION_DENIED",
            &format!("Permission 'secretmanager.versions.access' denied {CANARY}"),
        ),
        "/v1/projects/off/secrets/app/versions/latest:access" => error(
            403,
            "PERMISSION_DENIED",
            "Secret Manager API has not been used in project off before or it is disabled.",
        ),
        _ => error(404, "NOT_FOUND", &format!("Secret not found or has no versions {CANARY}")),
    }
}

#[tokio::test]
async fn names_versions_and_fields_are_read() {
    let server = Server::start(secrets).await;
    let manager = SecretManager::new(at(&server.url()));
    assert_eq!(value(&manager, "gcp-secret-manager:app").await, "second");
    assert_eq!(value(&manager, "gcp-secret-manager:projects/watch/secrets/app#token@1").await, "first");
    let regional = "gcp-secret-manager:projects/other/locations/europe-west1/secrets/app";
    assert_eq!(value(&manager, regional).await, "regional");
}

#[tokio::test]
async fn what_cannot_be_had_says_why_and_what_to_do() {
    let server = Server::start(secrets).await;
    let manager = SecretManager::new(at(&server.url()));
    let gcp = |name: &str| format!("gcp-secret-manager:{name}");
    refusal(
        &manager,
        &gcp("none"),
        Trouble::Missing,
        &["no version `latest`", "gcloud secrets versions add none --project=watch"],
    )
    .await;
    refusal(
        &manager,
        &gcp("app@2"),
        Trouble::Missing,
        &["disabled or destroyed", "gcloud secrets versions enable 2 --secret=app"],
    )
    .await;
    refusal(
        &manager,
        &gcp("theirs"),
        Trouble::Denied,
        &["status 403", "roles/secretmanager.secretAccessor", "gcloud secrets add-iam-policy-binding theirs"],
    )
    .await;
    refusal(
        &manager,
        &gcp("projects/off/secrets/app"),
        Trouble::Denied,
        &["its API is off", "gcloud services enable"],
    )
    .await;
    refusal(&manager, &gcp("binary"), Trouble::Unusable, &["no UTF-8 text"]).await;
    refusal(&manager, &gcp("a/b"), Trouble::Unusable, &["is no name of a secret"]).await;
}

#[tokio::test]
async fn a_value_damaged_on_its_way_is_asked_for_again_and_never_used() {
    let server = Server::start(secrets).await;
    let manager = SecretManager::new(at(&server.url()));
    refusal(&manager, "gcp-secret-manager:damaged", Trouble::Unavailable, &["CRC32C"]).await;
    assert_eq!(server.seen().len(), 3);
}

#[tokio::test]
async fn a_workload_identity_federation_is_exchanged_for_a_token() {
    let server = Server::start(|asked| match asked.path.as_str() {
        "/sts" => {
            assert!(asked.body.contains("subject_token=of-the-pod"), "{}", asked.body);
            let issued = "urn:ietf:params:oauth:token-type:access_token";
            Reply::Json(200, json!({"access_token": "of-google", "issued_token_type": issued, "token_type": "Bearer", "expires_in": 3600}).to_string())
        }
        _ if asked.header("authorization") == "Bearer of-google" => payload("app", b"second", Some(SUM_OF_SECOND)),
        _ => error(401, "UNAUTHENTICATED", "Request had invalid authentication credentials."),
    })
    .await;
    let folder = tempfile::tempdir().expect("a folder");
    let token_file = folder.path().join("token");
    std::fs::write(&token_file, "of-the-pod").expect("written");
    let federation = json!({
        "type": "external_account",
        "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/k",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": format!("{}/sts", server.url()),
        "credential_source": {"file": token_file},
    });
    let mut settings =
        settings(&[("GOOGLE", &federation.to_string()), ("BROKEN", "{\"type\":\"sk-canary-7f3a9c\"}")]);
    settings.gcp = at(&server.url()).gcp;
    settings.gcp.anonymous = false;
    settings.gcp.credentials = Some(reference("env:GOOGLE"));
    assert_eq!(value(&SecretManager::new(settings.clone()), "gcp-secret-manager:app").await, "second");
    settings.gcp.credentials = Some(reference("env:BROKEN"));
    let words = ["`env:BROKEN` holds no credentials"];
    refusal(&SecretManager::new(settings), "gcp-secret-manager:app", Trouble::Unusable, &words).await;
}

#[tokio::test]
async fn a_service_accounts_key_signs_what_google_checks() {
    let (key, other) = (Key::new("known"), Key::new("unknown"));
    let values = [("KNOWN", key.json()), ("UNKNOWN", other.json())];
    let server = Server::start(move |asked| {
        let said = asked.header("authorization").to_owned();
        if said.strip_prefix("Bearer ").is_some_and(|token| key.has_signed(token)) {
            payload("app", b"second", Some(SUM_OF_SECOND))
        } else {
            error(401, "UNAUTHENTICATED", "Request had invalid authentication credentials.")
        }
    })
    .await;
    let variables: Vec<(&str, &str)> = values.iter().map(|(name, json)| (*name, json.as_str())).collect();
    let mut settings = settings(&variables);
    settings.gcp = at(&server.url()).gcp;
    settings.gcp.anonymous = false;
    settings.gcp.credentials = Some(reference("env:KNOWN"));
    assert_eq!(value(&SecretManager::new(settings.clone()), "gcp-secret-manager:app").await, "second");
    settings.gcp.credentials = Some(reference("env:UNKNOWN"));
    refusal(&SecretManager::new(settings), "gcp-secret-manager:app", Trouble::Denied, &["status 401"]).await;
}
