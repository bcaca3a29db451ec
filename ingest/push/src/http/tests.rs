//! Real requests to a real listener; what they are answered and what is on disk afterwards.

use super::*;
use crate::spool::{Spool, Storage};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use axum::extract::Path;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::DateTime;
use keywatch_ingest::source::{Clock, Health};
use keywatch_secrets::Settings;
use std::collections::HashMap;
use std::io::Write;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const PATIENCE: Duration = Duration::from_secs(20);
/// 2026-11-27T00:00:00Z, when the fixtures were signed.
const NOW: i64 = 1_795_737_600;
const TOKENS: &str = include_str!("fixtures/tokens.json");
const MESSAGES: &str = include_str!("fixtures/messages.json");
const CERTIFICATES: &str = include_str!("fixtures/certificates.json");
const KEYS: &str = include_str!("fixtures/keys.json");
const KEY: &[u8] = include_bytes!("fixtures/key.der");

/// What stands in for Google and SNS: keys, certificates, and confirmations that are counted.
async fn cloud(tasks: &mut JoinSet<()>) -> (Url, Arc<AtomicU32>) {
    let (confirmed, listener) =
        (Arc::new(AtomicU32::new(0)), TcpListener::bind("127.0.0.1:0").await.unwrap());
    let address = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    let count = Arc::clone(&confirmed);
    let certificate = async |Path(name): Path<String>| {
        let all: HashMap<String, String> = serde_json::from_str(CERTIFICATES).unwrap();
        all.get(name.trim_end_matches(".pem")).cloned().unwrap_or_default()
    };
    let router = Router::new().route("/keys", get(async || KEYS)).route("/c/{name}", get(certificate)).route(
        "/",
        get(async move || {
            count.fetch_add(1, Ordering::AcqRel);
            "ok"
        }),
    );
    tasks.spawn(async move { axum::serve(listener, router).await.unwrap() });
    (address, confirmed)
}

struct Stand {
    spool: Spool,
    address: String,
    health: Health,
    client: reqwest::Client,
    cloud: Url,
    confirmed: Arc<AtomicU32>,
    _tasks: JoinSet<()>,
    folder: tempfile::TempDir,
}

impl Stand {
    async fn new() -> Self {
        Self::with(64 << 20, 1 << 20, 4).await
    }

    async fn with(spool_bytes: u64, body_bytes_max: u64, requests_max: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, value) in [("old", "first-token"), ("new", "second-token\n")] {
            std::fs::write(folder.path().join(name), value).unwrap();
        }
        let storage = Storage { folder: folder.path().join("spool"), bytes_max: spool_bytes };
        let (spool, _) = Spool::open("web", &storage, None).unwrap();
        let clock: Clock = Arc::new(|| DateTime::from_timestamp(NOW, 0).unwrap());
        let health = Health::default();
        let intake = Intake::new("web", spool.door(), (clock, health.clone()));
        let mut tasks = JoinSet::new();
        let (cloud, confirmed) = cloud(&mut tasks).await;
        let token = |name: &str| format!("file:{}", folder.path().join(name).display()).parse().unwrap();
        let pub_sub = PubSub {
            audience: "https://keywatch.example.com/v1/pubsub".to_owned(),
            email: "push@project.iam.gserviceaccount.com".to_owned(),
            keys: cloud.join("keys").unwrap(),
        };
        let topics = vec!["arn:aws:sns:eu-central-1:111122223333:trail".to_owned()];
        let desk = Desk {
            keys: Keys::new(
                vec![token("old"), token("new")],
                SecretManager::new(Settings::new(Arc::new(|_: &str| None))),
            ),
            pub_sub: Some(pubsub::Checker::new(pub_sub)),
            sns: Some(sns::Checker::new(Sns { topics, endpoint: Some(cloud.clone()) })),
            body_bytes_max,
            slots: Semaphore::new(requests_max),
            room: Arc::new(Semaphore::new(ROOM_KIB)),
            intake: intake.clone(),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        tasks.spawn(serve::serve(listener, router(Arc::new(desk)), (None, Vec::new()), intake));
        Self {
            spool,
            address,
            health,
            client: reqwest::Client::builder().build().unwrap(),
            cloud,
            confirmed,
            _tasks: tasks,
            folder,
        }
    }

    fn post(&self, path: &str) -> reqwest::RequestBuilder {
        self.client.post(format!("http://{}{path}", self.address))
    }

    fn known(&self, path: &str) -> reqwest::RequestBuilder {
        self.post(path).bearer_auth("first-token").header("content-type", "application/json")
    }

    async fn records(&mut self, wanted: usize) -> Vec<String> {
        let mut found = Vec::new();
        while found.len() < wanted {
            let (batch, _) = tokio::time::timeout(PATIENCE, self.spool.next()).await.unwrap().unwrap();
            found
                .extend(batch.records.iter().map(|one| String::from_utf8_lossy(batch.raw(one)).into_owned()));
        }
        found
    }
}

async fn told(request: reqwest::RequestBuilder) -> (u16, String) {
    let answer = tokio::time::timeout(PATIENCE, request.send()).await.unwrap().unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap().trim_end().to_owned())
}

fn record(number: u32) -> String {
    format!(
        r#"{{"time":"2026-11-27T00:00:00Z","type":"response","request":{{"id":"r{number}","operation":"read","path":"secret/data/a"}}}}"#
    )
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packer.write_all(text).unwrap();
    packer.finish().unwrap()
}

#[tokio::test]
async fn lines_and_arrays_plain_or_gzip_are_on_disk_when_they_are_answered() {
    let mut stand = Stand::new().await;
    let lines = format!("{}\n{}\n", record(1), record(2));
    let taken = (200, r#"{"records":2,"rejects":0}"#.to_owned());
    assert_eq!(told(stand.known("/v1/events").body(lines)).await, taken);
    let array = format!("[{},{}]", record(3), record(4));
    let packed = stand.known("/v1/events").header("content-encoding", "gzip").body(gzip(array.as_bytes()));
    assert_eq!(told(packed).await, taken);
    let odd = stand.known("/v1/events").body(format!("{}\nno json\n", record(5)));
    assert_eq!(told(odd).await, (200, r#"{"records":1,"rejects":1}"#.to_owned()));
    let found = stand.records(5).await;
    assert_eq!(found, (1..=5).map(record).collect::<Vec<_>>());
}

#[tokio::test]
async fn either_of_two_tokens_opens_in_either_header_and_nothing_else_does() {
    let stand = Stand::new().await;
    let post = || stand.post("/v1/events").body(record(1));
    assert_eq!(told(post().bearer_auth("first-token")).await.0, 200);
    assert_eq!(told(post().bearer_auth("second-token")).await.0, 200);
    assert_eq!(told(post().header("x-api-key", "second-token")).await.0, 200);
    let (status, text) = told(post()).await;
    assert_eq!((status, text.starts_with("show a token")), (401, true), "{text}");
    for wrong in ["", "first-toke", "first-token2", "Basic"] {
        assert_eq!(told(post().bearer_auth(wrong)).await.0, 401, "{wrong}");
    }
    assert_eq!(stand.health.read().refused.values().sum::<u64>(), 5);
}

#[tokio::test]
async fn what_is_not_taken_is_told_plainly() {
    let stand = Stand::with(64 << 20, 64 << 10, 4).await;
    let known = |path| stand.known(path);
    let (status, text) = told(known("/v1/events").body(vec![b' '; 65 << 10])).await;
    assert_eq!((status, text.contains("64 KiB")), (413, true), "{text}");
    let bomb = gzip(&vec![b'0'; 65 << 20]);
    assert!(bomb.len() > 60_000 && bomb.len() < 70_000, "{}", bomb.len());
    let bomb = gzip(&vec![b'0'; 40 << 20]);
    let (status, _) = told(known("/v1/events").header("content-encoding", "gzip").body(bomb)).await;
    assert_eq!(status, 413, "more than 50 times");
    let torn = gzip(record(1).as_bytes());
    let torn = known("/v1/events").header("content-encoding", "gzip").body(torn[..torn.len() - 9].to_vec());
    assert_eq!(told(torn).await.0, 400);
    let form = stand.post("/v1/events").bearer_auth("first-token").form(&[("a", "b")]);
    let (status, text) = told(form).await;
    assert_eq!((status, text.contains("Content-Type")), (415, true), "{text}");
    assert_eq!(told(known("/v1/events").header("content-encoding", "br").body("x")).await.0, 415);
    assert_eq!(told(known("/elsewhere").body("x")).await.0, 404);
    assert_eq!(told(stand.client.get(format!("http://{}/v1/events", stand.address))).await.0, 405);
    assert_eq!(
        told(stand.client.get(format!("http://{}/healthz", stand.address))).await,
        (200, "ok".to_owned())
    );
}

#[tokio::test]
async fn a_full_spool_is_503_for_senders_who_come_again_and_silence_for_those_who_cannot() {
    let stand = Stand::with(1_000, 1 << 20, 4).await;
    let many: Vec<String> = (0..20).map(record).collect();
    let answer = stand.known("/v1/events").body(many.join("\n")).send().await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.headers()["retry-after"].to_str().unwrap()), (503, "2"));
    assert!(answer.text().await.unwrap().contains("the spool is full"));
    assert_eq!(told(stand.known("/v1/vault").body(many.join("\n"))).await.0, 204);
    assert_eq!(told(stand.known("/v1/vault").body(record(1))).await.0, 200);
    let lost: u64 = stand.spool.door().take_lost().iter().map(|lost| lost.count).sum();
    assert_eq!(lost, 20);
}

#[tokio::test]
async fn more_requests_than_are_worked_on_are_put_off() {
    let stand = Stand::with(64 << 20, 1 << 20, 1).await;
    let mut slow = TcpStream::connect(&stand.address).await.unwrap();
    let head = "POST /v1/events HTTP/1.1\r\nhost: k\r\nx-api-key: first-token\r\ncontent-length: 100\r\nexpect: 100-continue\r\n\r\n";
    slow.write_all(head.as_bytes()).await.unwrap();
    // Asked to go on, it holds the only slot.
    let mut go_on = [0; 25];
    tokio::time::timeout(PATIENCE, slow.read_exact(&mut go_on)).await.unwrap().unwrap();
    let (status, text) = told(stand.known("/v1/events").body(record(1))).await;
    assert_eq!((status, text.contains("too many requests")), (503, true), "{text}");
    // A body that is cut off gives the slot back and leaves nothing.
    drop(slow);
    tokio::time::timeout(PATIENCE, async {
        while told(stand.known("/v1/events").body(record(1))).await.0 != 200 {}
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn pub_sub_is_believed_by_googles_signature_alone() {
    let mut stand = Stand::new().await;
    let tokens: std::collections::BTreeMap<String, String> = serde_json::from_str(TOKENS).unwrap();
    let entry = r#"{"insertId":"i","logName":"projects/p/logs/cloudaudit.googleapis.com%2Fdata_access","timestamp":"2026-11-27T00:00:00Z","protoPayload":{"@type":"type.googleapis.com/google.cloud.audit.AuditLog","methodName":"m","serviceName":"secretmanager.googleapis.com"}}"#;
    let body = format!(
        r#"{{"message":{{"data":"{}","messageId":"1"}},"subscription":"s"}}"#,
        STANDARD.encode(entry)
    );
    let mut answers = Vec::new();
    for (name, token) in &tokens {
        let request = stand.post("/v1/pubsub").bearer_auth(token).body(body.clone());
        answers.push((name.as_str(), told(request).await.0));
    }
    let wanted = [
        ("algorithm", 401),
        ("audience", 403),
        ("early", 401),
        ("email", 403),
        ("expired", 401),
        ("good", 200),
        ("issuer", 401),
        ("key", 401),
        ("signature", 401),
        ("unverified", 403),
    ];
    assert_eq!(answers, wanted);
    let mut turned = tokens["good"].clone().into_bytes();
    let at = turned.iter().position(|byte| *byte == b'.').unwrap() + 9;
    turned[at] = if turned[at] == b'A' { b'B' } else { b'A' };
    let request = stand.post("/v1/pubsub").bearer_auth(String::from_utf8(turned).unwrap()).body(body.clone());
    assert_eq!(told(request).await.0, 401);
    assert_eq!(
        told(stand.known("/v1/pubsub").body(body)).await.0,
        401,
        "a source's token is no token of Google's"
    );
    assert_eq!(stand.records(1).await, [entry]);
}

fn sns(stand: &Stand, name: &str) -> serde_json::Value {
    let mut all: serde_json::Value = serde_json::from_str(MESSAGES).unwrap();
    let mut message = all[name].take();
    message["SigningCertURL"] = stand.cloud.join("c/good.pem").unwrap().as_str().into();
    message
}

fn post_sns(stand: &Stand, message: &serde_json::Value) -> reqwest::RequestBuilder {
    stand.post("/v1/sns").header("content-type", "text/plain; charset=UTF-8").body(message.to_string())
}

const TODAY: &str = "2026-11-27T00:00:00Z";

/// A message of this kind and time, signed by SNS; all but notifications bring an address.
fn posted(stand: &Stand, kind: &str, at: &str, url: &str) -> serde_json::Value {
    let (topic, message) = ("arn:aws:sns:eu-central-1:111122223333:trail", record(1));
    let (subscribe, token) = match kind {
        "Notification" => (String::new(), ""),
        _ => (format!("SubscribeURL\n{url}\n"), "Token\nt\n"),
    };
    let text = format!(
        "Message\n{message}\nMessageId\ni\n{subscribe}Timestamp\n{at}\n{token}TopicArn\n{topic}\nType\n{kind}\n"
    );
    let key = RsaKeyPair::from_pkcs8(KEY).unwrap();
    let mut signature = vec![0; key.public_modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signature).unwrap();
    serde_json::json!({
        "Type": kind, "MessageId": "i", "TopicArn": topic, "Token": "t", "Message": message, "SubscribeURL": url,
        "Timestamp": at, "SignatureVersion": "2", "Signature": STANDARD.encode(signature),
        "SigningCertURL": stand.cloud.join("c/good.pem").unwrap().as_str(),
    })
}

#[tokio::test]
async fn a_message_of_another_day_is_not_taken_whoever_signed_it() {
    let mut stand = Stand::new().await;
    for (at, status) in [
        (TODAY, 200),
        ("2026-11-26T00:00:00Z", 200),
        ("2026-11-25T23:59:59Z", 401),
        ("2026-11-28T00:00:01Z", 401),
        ("yesterday", 401),
    ] {
        let (found, said) = told(post_sns(&stand, &posted(&stand, "Notification", at, ""))).await;
        assert_eq!(found, status, "{at}: {said}");
        assert!(status == 200 || said.contains("more than a day old"), "{at}: {said}");
    }
    assert_eq!(stand.records(2).await, [record(1), record(1)]);
}

#[tokio::test]
async fn a_subscription_that_was_ended_is_told_until_there_is_another() {
    let stand = Stand::new().await;
    let here = stand.cloud.join("/?Action=ConfirmSubscription").unwrap();
    let send = async |kind: &str| told(post_sns(&stand, &posted(&stand, kind, TODAY, here.as_str()))).await.0;
    assert_eq!(send("UnsubscribeConfirmation").await, 200);
    let warned = stand.health.read().warnings.get("sns").cloned().unwrap_or_default();
    assert!(warned.contains("was ended at AWS; subscribe it again"), "{warned}");
    assert_eq!(stand.confirmed.load(Ordering::Acquire), 0, "nobody but a person ends or begins it again");
    assert_eq!(send("SubscriptionConfirmation").await, 200);
    assert!(!stand.health.read().warnings.contains_key("sns"));
}

#[tokio::test]
async fn sns_is_believed_by_its_signature_alone() {
    let mut stand = Stand::new().await;
    for version in ["one", "two"] {
        let message = sns(&stand, version);
        assert_eq!(
            told(post_sns(&stand, &message)).await,
            (200, r#"{"records":1,"rejects":0}"#.to_owned()),
            "{version}"
        );
        for (key, value) in [
            ("Message", "{}"),
            ("MessageId", "m"),
            ("Timestamp", "2026-11-27T00:00:01Z"),
            ("Signature", "AAAA"),
        ] {
            let mut forged = message.clone();
            forged[key] = value.into();
            assert_eq!(told(post_sns(&stand, &forged)).await.0, 401, "{version}: {key}");
        }
    }
    let mut foreign = sns(&stand, "two");
    foreign["TopicArn"] = "arn:aws:sns:eu-central-1:999999999999:trail".into();
    assert_eq!(told(post_sns(&stand, &foreign)).await.0, 403);
    for host in [
        "https://sns.eu-central-1.amazonaws.com.evil.example/c.pem",
        "https://sns.us-east-1.amazonaws.com/c.pem",
        "https://sns.eu-central-1.amazonaws.com.cn/c.pem",
        "https://sns-signing.eu-central-1.amazonaws.com/c.pem",
        "https://sns.eu-central-1.amazonaws.com/c",
        "https://s3.amazonaws.com/b/c.pem",
        "http://sns.eu-central-1.amazonaws.com/c.pem",
        "https://sns.eu-central-1.amazonaws.com:8443/c.pem",
        "https://a@sns.eu-central-1.amazonaws.com/c.pem",
        "file:///etc/passwd",
    ] {
        let mut elsewhere = sns(&stand, "two");
        elsewhere["SigningCertURL"] = host.into();
        assert_eq!(told(post_sns(&stand, &elsewhere)).await.0, 403, "{host}");
    }
    assert_eq!(stand.records(2).await.len(), 2);
}

#[tokio::test]
async fn a_certificate_is_sns_s_own_valid_now_and_signed_by_those_that_come_with_it() {
    let stand = Stand::new().await;
    for (name, wanted) in [
        ("good", None),
        ("regional", None),
        ("chain", None),
        ("expired", Some("the certificate has expired")),
        ("early", Some("the certificate is not valid yet")),
        ("name", Some("the certificate is not made out to SNS in the topic's region")),
        ("region", Some("the certificate is not made out to SNS in the topic's region")),
        ("stranger", Some("the certificate's chain does not hold")),
        ("authority", Some("the certificate's chain does not hold")),
        ("none", Some("the certificate cannot be read")),
    ] {
        let mut message = sns(&stand, "two");
        message["SigningCertURL"] = stand.cloud.join(&format!("c/{name}.pem")).unwrap().as_str().into();
        let (status, said) = told(post_sns(&stand, &message)).await;
        match wanted {
            None => assert_eq!((status, said.as_str()), (200, r#"{"records":1,"rejects":0}"#), "{name}"),
            Some(why) => assert!(status == 401 && said.contains(why), "{name}: {status} {said}"),
        }
    }
}

#[tokio::test]
async fn a_subscription_is_confirmed_at_sns_and_nowhere_else() {
    let stand = Stand::new().await;
    let question = |url: &str| posted(&stand, "SubscriptionConfirmation", TODAY, url);
    let elsewhere = format!("http://{}/healthz", stand.address);
    assert_eq!(told(post_sns(&stand, &question(&elsewhere))).await.0, 403);
    assert_eq!(stand.confirmed.load(Ordering::Acquire), 0);
    let here = stand.cloud.join("/?Action=ConfirmSubscription").unwrap();
    assert_eq!(told(post_sns(&stand, &question(here.as_str()))).await.0, 200);
    assert_eq!(stand.confirmed.load(Ordering::Acquire), 1);
}

#[tokio::test]
async fn event_grid_shakes_hands_and_shows_a_token() {
    let mut stand = Stand::new().await;
    let path = format!("http://{}/v1/event-grid", stand.address);
    let options = || stand.client.request(reqwest::Method::OPTIONS, &path);
    let answer = options().header("webhook-request-origin", "eventgrid.azure.net").send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 200);
    assert_eq!(answer.headers()["webhook-allowed-origin"], "eventgrid.azure.net");
    assert_eq!(told(options()).await.0, 400);
    let question = r#"[{"id":"1","eventType":"Microsoft.EventGrid.SubscriptionValidationEvent","data":{"validationCode":"512d38b6","validationUrl":"https://x"}}]"#;
    let ask = |path: &str| stand.post(path).header("aeg-event-type", "SubscriptionValidation").body(question);
    assert_eq!(told(ask("/v1/event-grid")).await.0, 401);
    let wanted = (200, r#"{"validationResponse":"512d38b6"}"#.to_owned());
    assert_eq!(told(ask("/v1/event-grid?token=second-token")).await, wanted);
    let cloud_event = r#"{"specversion":"1.0","type":"Microsoft.KeyVault.SecretNearExpiry","source":"/s","id":"1","data":{"VaultName":"v"}}"#;
    let sent =
        stand.known("/v1/event-grid").header("content-type", "application/cloudevents+json; charset=utf-8");
    assert_eq!(told(sent.body(cloud_event)).await.0, 200);
    let (batch, _) = tokio::time::timeout(PATIENCE, stand.spool.next()).await.unwrap().unwrap();
    assert_eq!(batch.records.len() + batch.rejects.len(), 1);
}

#[tokio::test]
async fn secret_values_never_reach_the_disk() {
    let mut stand = Stand::new().await;
    let secret = format!("hvs.CAESI{}", "J".repeat(90));
    let line = record(1).replace("secret/data/a", &format!("secret/data/{secret}"));
    let lines = format!("{line}\n{{\"broken\": \"{secret}\"\n");
    assert_eq!(told(stand.known("/v1/events").body(lines)).await.0, 200);
    stand.records(1).await;
    let mut seen = 0;
    for entry in std::fs::read_dir(stand.folder.path().join("spool")).unwrap() {
        let content = std::fs::read(entry.unwrap().path()).unwrap();
        seen += usize::from(memchr::memmem::find(&content, b"[scrubbed:").is_some());
        assert!(memchr::memmem::find(&content, secret.as_bytes()).is_none());
    }
    assert_eq!(seen, 1);
}
