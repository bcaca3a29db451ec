//! AWS Secrets Manager as moto plays it, and as scripted answers do where moto cannot.

use crate::harness::{CANARY, Peer, free_port, peers, reference, refusal, settings, until, value};
use crate::scripted::{Reply, Server};
use keywatch_secrets::{AccessKey, AssumeRole, SecretManager, Settings, Trouble};
use serde_json::{Value, json};
use std::process::{Command, Stdio};

const REGION: &str = "eu-west-1";
const OTHER_ACCOUNT: &str = "111122223333";

fn at(endpoint: &str) -> Settings {
    let mut settings = settings(&[("AWS_SECRET", "of the test")]);
    settings.aws.region = Some(REGION.to_owned());
    settings.aws.endpoint = endpoint.parse().ok();
    settings.aws.sts_endpoint = endpoint.parse().ok();
    settings.aws.access_key =
        Some(AccessKey { id: "AKIDTEST".to_owned(), secret: reference("env:AWS_SECRET") });
    settings
}

struct Moto {
    url: String,
    client: reqwest::Client,
    _server: Peer,
}

impl Moto {
    async fn start() -> Option<Self> {
        let setup = peers()?;
        let port = free_port();
        let server = Peer::start(
            Command::new(setup.join("venv/bin/moto_server"))
                .args(["-H", "127.0.0.1", "-p", &port.to_string()])
                .stdout(Stdio::null())
                .stderr(Stdio::null()),
        );
        let url = format!("http://127.0.0.1:{port}");
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        until("moto is ready", || async { client.get(format!("{url}/moto-api/")).send().await.is_ok() })
            .await;
        Some(Self { url, client, _server: server })
    }

    /// Calls Secrets Manager as an account; moto looks at the key's id and at no signature.
    async fn call(&self, action: &str, key: &str, body: Value) -> Value {
        let credential = format!(
            "AWS4-HMAC-SHA256 Credential={key}/20261127/{REGION}/secretsmanager/aws4_request, SignedHeaders=host, Signature=0"
        );
        let request = self
            .client
            .post(&self.url)
            .header("Authorization", credential)
            .header("X-Amz-Target", format!("secretsmanager.{action}"))
            .header("Content-Type", "application/x-amz-json-1.1")
            .body(body.to_string());
        let answer = request.send().await.expect("moto answers");
        let (status, text) = (answer.status(), answer.text().await.expect("a body"));
        assert!(status.is_success(), "{action}: {text}");
        serde_json::from_str(&text).expect("JSON")
    }

    /// A session of another account, as STS gives it.
    async fn session_of(&self, account: &str) -> String {
        let form = format!(
            "Action=AssumeRole&Version=2011-06-15&RoleSessionName=test&RoleArn=arn:aws:iam::{account}:role/owner"
        );
        let credential = format!(
            "AWS4-HMAC-SHA256 Credential=AKIDTEST/20261127/{REGION}/sts/aws4_request, SignedHeaders=host, Signature=0"
        );
        let request = self.client.post(&self.url).header("Authorization", credential);
        let request = request.header("Content-Type", "application/x-www-form-urlencoded").body(form);
        let text = request.send().await.expect("moto answers").text().await.expect("a body");
        let key = text.split("<AccessKeyId>").nth(1).and_then(|rest| rest.split('<').next());
        key.expect("a key").to_owned()
    }
}

#[tokio::test]
async fn names_arns_fields_stages_and_ids_are_read() {
    let Some(moto) = Moto::start().await else { return };
    let first = json!({"Name": "shared/ai-keys/openai", "SecretString": r#"{"token":"first","user":"kw"}"#});
    let made = moto.call("CreateSecret", "AKIDTEST", first).await;
    let (arn, id) = (
        made["ARN"].as_str().expect("an ARN").to_owned(),
        made["VersionId"].as_str().expect("an id").to_owned(),
    );
    let second = json!({"SecretId": "shared/ai-keys/openai", "SecretString": r#"{"token":"second"}"#});
    moto.call("PutSecretValue", "AKIDTEST", second).await;
    let binary = json!({"Name": "binary", "SecretBinary": "dGV4dA=="});
    moto.call("CreateSecret", "AKIDTEST", binary).await;
    let manager = SecretManager::new(at(&moto.url));
    let name = "aws-secrets-manager:shared/ai-keys/openai";
    assert_eq!(value(&manager, &format!("{name}#token")).await, "second");
    assert_eq!(value(&manager, name).await, r#"{"token":"second"}"#);
    assert_eq!(value(&manager, &format!("{name}#token@AWSPREVIOUS")).await, "first");
    assert_eq!(value(&manager, &format!("{name}#user@{id}")).await, "kw");
    assert_eq!(value(&manager, &format!("aws-secrets-manager:{arn}#token")).await, "second");
    assert_eq!(value(&manager, "aws-secrets-manager:binary").await, "text");
    refusal(&manager, &format!("{name}#user"), Trouble::Missing, &["no field `user`"]).await;
    refusal(
        &manager,
        &format!("{name}@AWSPENDING"),
        Trouble::Missing,
        &["no version `AWSPENDING` of it", "list-secret-version-ids"],
    )
    .await;
    refusal(
        &manager,
        "aws-secrets-manager:none",
        Trouble::Missing,
        &["has no such secret", "aws secretsmanager create-secret --name none"],
    )
    .await;
    refusal(&manager, "aws-secrets-manager:arn:aws:ssm:a:b:c", Trouble::Unusable, &["is no ARN of a secret"])
        .await;
    let elsewhere = arn.replace(REGION, "us-east-2");
    refusal(
        &manager,
        &format!("aws-secrets-manager:{elsewhere}"),
        Trouble::Missing,
        &["in the region asked"],
    )
    .await;
    moto.call("DeleteSecret", "AKIDTEST", json!({"SecretId": "binary"})).await;
    manager.clear();
    refusal(
        &manager,
        "aws-secrets-manager:binary",
        Trouble::Missing,
        &["marked for deletion", "restore-secret"],
    )
    .await;
}

#[tokio::test]
async fn secrets_of_another_account_are_read_through_its_role() {
    let Some(moto) = Moto::start().await else { return };
    let owner = moto.session_of(OTHER_ACCOUNT).await;
    let made = moto.call("CreateSecret", &owner, json!({"Name": "theirs", "SecretString": "t"})).await;
    let arn = made["ARN"].as_str().expect("an ARN").to_owned();
    assert!(arn.contains(OTHER_ACCOUNT), "{arn}");
    let mut settings = at(&moto.url);
    let role = AssumeRole {
        arn: format!("arn:aws:iam::{OTHER_ACCOUNT}:role/keywatch"),
        external_id: Some("x-1".to_owned()),
    };
    settings.aws.accounts = [(OTHER_ACCOUNT.to_owned(), role.clone())].into();
    assert_eq!(
        value(&SecretManager::new(settings.clone()), &format!("aws-secrets-manager:{arn}")).await,
        "t"
    );
    settings.aws.accounts.clear();
    settings.aws.role = Some(role);
    assert_eq!(value(&SecretManager::new(settings), "aws-secrets-manager:theirs").await, "t");
}

#[tokio::test]
async fn a_role_is_taken_on_with_its_external_id_once() {
    let server = Server::start(|asked| {
        if asked.body.contains("Action=AssumeRole") {
            let body = "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult><Credentials>\
                <AccessKeyId>ASIATAKEN</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken>\
                <Expiration>2099-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>";
            return Reply::Json(200, body.to_owned());
        }
        Reply::Json(200, json!({"Name": "a", "SecretString": "v"}).to_string())
    })
    .await;
    let mut settings = at(&server.url());
    settings.aws.role =
        Some(AssumeRole { arn: "arn:aws:iam::1:role/r".to_owned(), external_id: Some("x-1".to_owned()) });
    let manager = SecretManager::new(settings);
    assert_eq!(value(&manager, "aws-secrets-manager:a").await, "v");
    assert_eq!(value(&manager, "aws-secrets-manager:b").await, "v");
    let seen = server.seen();
    let taken: Vec<_> = seen.iter().filter(|asked| asked.body.contains("AssumeRole")).collect();
    assert_eq!(taken.len(), 1, "a session is used until it ends");
    assert!(taken[0].body.contains("ExternalId=x-1") && taken[0].body.contains("RoleSessionName=keywatch"));
    assert!(
        seen.iter()
            .filter(|asked| !asked.body.contains("AssumeRole"))
            .all(|asked| asked.header("authorization").contains("ASIATAKEN"))
    );
}

fn error(code: &str, message: &str) -> String {
    json!({"__type": code, "message": message, "Message": message}).to_string()
}

#[tokio::test]
async fn refusals_name_the_permission_that_is_lacking() {
    for (code, message, trouble, words) in [
        (
            "AccessDeniedException",
            "User: x is not authorized to perform: secretsmanager:GetSecretValue",
            Trouble::Denied,
            "grant secretsmanager:GetSecretValue on app",
        ),
        ("AccessDeniedException", "Access to KMS is not allowed", Trouble::Denied, "grant kms:Decrypt"),
        ("DecryptionFailure", "Secrets Manager can't decrypt", Trouble::Denied, "grant kms:Decrypt"),
        (
            "UnrecognizedClientException",
            "The security token is invalid",
            Trouble::Denied,
            "aws sts get-caller-identity",
        ),
        ("InvalidParameterException", "Invalid name", Trouble::Unusable, "whether the name"),
        ("ThrottlingException", "Rate exceeded", Trouble::Unavailable, "ThrottlingException"),
    ] {
        let body = error(code, &format!("{message} {CANARY}"));
        let server = Server::start(move |_| Reply::Json(400, body.clone())).await;
        let manager = SecretManager::new(at(&server.url()));
        refusal(&manager, "aws-secrets-manager:app", trouble, &[words]).await;
        let expected =
            if trouble == Trouble::Unavailable || code == "UnrecognizedClientException" { 3 } else { 1 };
        assert_eq!(server.seen().len(), expected, "{code}");
    }
}

#[tokio::test]
async fn a_refused_role_says_which_and_what_to_grant() {
    let server = Server::start(|_| {
        let body = format!("<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>no {CANARY}</Message></Error></ErrorResponse>");
        Reply::Json(403, body)
    })
    .await;
    let mut settings = at(&server.url());
    settings.aws.role = Some(AssumeRole { arn: "arn:aws:iam::1:role/r".to_owned(), external_id: None });
    let words = ["arn:aws:iam::1:role/r", "grant sts:AssumeRole"];
    refusal(&SecretManager::new(settings), "aws-secrets-manager:app", Trouble::Denied, &words).await;
}
