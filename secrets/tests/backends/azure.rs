//! Azure Key Vault, Entra and the machine's metadata service as scripted answers play them: the
//! challenge, the token request and the vault's REST protocol.

use crate::harness::{CANARY, reference, refusal, settings, value};
use crate::scripted::{Asked, Reply, Server};
use keywatch_secrets::{AzureIdentity, SecretManager, Settings, Trouble};
use serde_json::json;
use url::Url;

/// The vault is asked under a name, as its challenge is checked against it.
fn at(server: &Server, identity: AzureIdentity, environment: &[(&str, &str)]) -> Settings {
    let mut settings = settings(environment);
    let port = server.address.port();
    settings.azure.vault_url = format!("http://kv.vault.localhost:{port}").parse().ok();
    settings.azure.authority = format!("http://login.localhost:{port}").parse().ok();
    settings.azure.metadata = server.url().parse().ok();
    settings.azure.hosts =
        ["kv.vault.localhost", "login.localhost"].map(|host| (host.to_owned(), server.address)).into();
    settings.azure.identity = identity;
    settings
}

fn client(secret: &str) -> AzureIdentity {
    AzureIdentity::Client {
        tenant_id: "tenant-1".to_owned(),
        client_id: "client-1".to_owned(),
        secret: reference(secret),
    }
}

const RIGHT: &[(&str, &str)] = &[("CLIENT_SECRET", "right")];

fn error(status: u16, code: &str, inner: Option<&str>) -> Reply {
    let inner = inner.map_or(json!(null), |code| json!({"code": code}));
    let body = json!({"error": {"code": code, "message": format!("see {CANARY}"), "innererror": inner}});
    Reply::Json(status, body.to_string())
}

fn azure(asked: &Asked) -> Reply {
    let path = asked.path.split('?').next().unwrap_or_default();
    match path {
        "/tenant-1/oauth2/v2.0/token" => return entra(asked),
        "/metadata/identity/oauth2/token" => {
            assert_eq!(asked.header("metadata"), "true");
            assert!(asked.path.contains("resource="), "{}", asked.path);
            return Reply::Json(
                200,
                json!({"access_token": "issued", "expires_on": "4000000000", "resource": "https://vault.localhost", "client_id": "mine", "expires_in": "3599", "not_before": "1", "token_type": "Bearer"})
                    .to_string(),
            );
        }
        _ => {}
    }
    if asked.header("authorization") != "Bearer issued" {
        let challenge =
            r#"Bearer authorization="https://login.localhost/tenant-1", resource="https://vault.localhost""#;
        return Reply::With(401, ("WWW-Authenticate", challenge.to_owned()), String::new());
    }
    assert!(asked.path.contains("api-version="), "{}", asked.path);
    let held = |value: &str| {
        Reply::Json(200, json!({"value": value, "id": "https://kv.vault.localhost/secrets/app/2", "attributes": {"enabled": true}}).to_string())
    };
    match path.trim_end_matches('/') {
        "/secrets/app" => held("second"),
        "/secrets/app/0a1b" => held(r#"{"token":"first"}"#),
        "/secrets/off" => error(403, "Forbidden", Some("SecretDisabled")),
        "/secrets/walled" => error(403, "Forbidden", Some("ForbiddenByFirewall")),
        "/secrets/theirs" => error(403, "Forbidden", Some("ForbiddenByRbac")),
        "/secrets/busy" => error(429, "Throttled", None),
        _ => error(404, "SecretNotFound", None),
    }
}

fn entra(asked: &Asked) -> Reply {
    let right =
        asked.body.contains("client_secret=right") || asked.body.contains("client_assertion=of-the-pod");
    if right
        && asked.body.contains("client_id=client-1")
        && asked.body.contains("scope=https%3A%2F%2Fvault.localhost%2F.default")
    {
        return Reply::Json(
            200,
            json!({"access_token": "issued", "expires_in": 3600, "token_type": "Bearer"}).to_string(),
        );
    }
    let told = json!({"error": "invalid_client", "error_description": format!("AADSTS7000215: {CANARY}"), "error_codes": [7_000_215]});
    Reply::Json(401, told.to_string())
}

#[tokio::test]
async fn an_application_reads_names_versions_and_identifiers_with_one_token() {
    let server = Server::start(azure).await;
    let manager = SecretManager::new(at(&server, client("env:CLIENT_SECRET"), RIGHT));
    assert_eq!(value(&manager, "azure-key-vault:app").await, "second");
    assert_eq!(value(&manager, "azure-key-vault:app#token@0a1b").await, "first");
    let whole =
        format!("azure-key-vault:http://kv.vault.localhost:{}/secrets/app/0a1b#token", server.address.port());
    assert_eq!(value(&manager, &whole).await, "first");
    assert_eq!(server.count("/tenant-1"), 1, "a token is used until it ends");
    assert!(
        server.seen().first().is_some_and(|asked| asked.header("authorization").is_empty()),
        "the challenge comes first"
    );
}

#[tokio::test]
async fn a_machine_and_a_pod_need_no_secret() {
    let server = Server::start(azure).await;
    let machine = SecretManager::new(at(&server, AzureIdentity::Machine, &[]));
    assert_eq!(value(&machine, "azure-key-vault:app").await, "second");
    let named = AzureIdentity::MachineNamed { client_id: "mine".to_owned() };
    assert_eq!(value(&SecretManager::new(at(&server, named, &[])), "azure-key-vault:app").await, "second");
    let asked: Vec<_> = server
        .seen()
        .iter()
        .filter(|asked| asked.path.starts_with("/metadata"))
        .map(|asked| asked.path.contains("client_id=mine"))
        .collect();
    assert_eq!(asked, [false, true]);

    let folder = tempfile::tempdir().expect("a folder");
    let token_file = folder.path().join("token");
    std::fs::write(&token_file, "of-the-pod").expect("written");
    let pod = AzureIdentity::Workload {
        tenant_id: Some("tenant-1".to_owned()),
        client_id: Some("client-1".to_owned()),
        token_file: Some(token_file),
    };
    assert_eq!(value(&SecretManager::new(at(&server, pod, &[])), "azure-key-vault:app").await, "second");
}

#[tokio::test]
async fn what_cannot_be_had_says_why_and_what_to_do() {
    let server = Server::start(azure).await;
    let manager = SecretManager::new(at(&server, client("env:CLIENT_SECRET"), RIGHT));
    let akv = |name: &str| format!("azure-key-vault:{name}");
    refusal(
        &manager,
        &akv("none"),
        Trouble::Missing,
        &["SecretNotFound", "az keyvault secret set --vault-name kv --name none"],
    )
    .await;
    refusal(&manager, &akv("app@ffff"), Trouble::Missing, &["no such version", "list-versions"]).await;
    refusal(&manager, &akv("off"), Trouble::Missing, &["it is disabled", "--enabled true"]).await;
    refusal(&manager, &akv("walled"), Trouble::Denied, &["firewall", "network-rule add"]).await;
    refusal(&manager, &akv("theirs"), Trouble::Denied, &["ForbiddenByRbac", "Key Vault Secrets User"]).await;
    refusal(&manager, &akv("busy"), Trouble::Unavailable, &["Throttled"]).await;
    let busy =
        |asked: &&Asked| asked.path.starts_with("/secrets/busy") && !asked.header("authorization").is_empty();
    assert_eq!(server.seen().iter().filter(busy).count(), 3, "throttling is waited out, twice");
}

#[tokio::test]
async fn a_refused_client_secret_names_entras_code_and_its_replacement_is_read() {
    let server = Server::start(azure).await;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("client-secret");
    std::fs::write(&file, CANARY).expect("written");
    let settings = at(&server, client(&format!("file:{}", file.display())), &[]);
    let clock = settings.clock.clone();
    let manager = SecretManager::new(settings);
    refusal(
        &manager,
        "azure-key-vault:app",
        Trouble::Denied,
        &["AADSTS7000215", "store its value, not its id"],
    )
    .await;
    std::fs::write(&file, "right").expect("written");
    clock.advance(Settings::TTL);
    assert_eq!(value(&manager, "azure-key-vault:app").await, "second");
}

#[tokio::test]
async fn a_vault_whose_challenge_names_another_cloud_is_shown_no_token() {
    let server = Server::start(|asked| {
        if asked.path.starts_with("/tenant-1") {
            return entra(asked);
        }
        let challenge =
            r#"Bearer authorization="https://login.localhost/tenant-1", resource="https://management.example.org""#;
        Reply::With(401, ("WWW-Authenticate", challenge.to_owned()), String::new())
    })
    .await;
    let manager = SecretManager::new(at(&server, client("env:CLIENT_SECRET"), RIGHT));
    refusal(&manager, "azure-key-vault:app", Trouble::Denied, &["no token was shown to it"]).await;
    assert_eq!(server.count("/tenant-1"), 0);
    let elsewhere: Url = "http://kv.example.org".parse().expect("a URL");
    let mut open = at(&server, client("env:CLIENT_SECRET"), RIGHT);
    open.azure.vault_url = Some(elsewhere);
    refusal(&SecretManager::new(open), "azure-key-vault:app", Trouble::Unusable, &["in clear"]).await;
}
