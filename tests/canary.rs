//! A canary value in every credential and in every field of hostile records comes out nowhere.

use crate::harness::browser::Browser;
use crate::harness::{Receiver, Service, Site, run, text, wait_until};
use serde_json::Value;
use std::collections::{BTreeSet, VecDeque};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Stands in every token and value; what comes out is searched for it.
const CANARY: &str = "CaNaRy7Tweet9";
/// `whsec_` and 32 bytes in base64, which begin with the canary.
const HOOK_SECRET: &str = "whsec_CaNaRy7Tweet9ILPZIo2LaLaSwMfKQ9r8GKYqrTwjUo=";
/// Most pages that are walked.
const PAGES_MAX: usize = 1500;

/// A token of a known shape that holds the canary.
fn token() -> String {
    format!("ghp_{CANARY}abcdefghijklmnopqrstuvwxyz0123")
}

/// Records of every provider.
fn fixtures() -> Vec<Value> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let mut found = Vec::new();
    for provider in ["aws", "gcp", "azure", "vault"] {
        let mut cases: Vec<PathBuf> =
            std::fs::read_dir(root.join(provider)).expect("fixtures").flatten().map(|it| it.path()).collect();
        cases.sort();
        let records = cases.iter().filter_map(|case| std::fs::read_to_string(case.join("record.json")).ok());
        let parsed = records.filter_map(|record| serde_json::from_str(&record).ok());
        found.extend(parsed);
    }
    assert!(found.len() > 100, "only {} fixtures", found.len());
    found
}

/// Copies of `record` in which one string each holds the token, and one key each is the token.
fn poisoned(record: &Value) -> Vec<Value> {
    let mut paths = Vec::new();
    collect(record, &mut String::new(), &mut paths);
    let poison = |path: &String| {
        let mut copy = record.clone();
        let place = copy.pointer_mut(path)?;
        let old = place.as_str().unwrap_or_default().to_owned();
        *place = Value::String(format!("{old} {}", token()));
        Some(copy)
    };
    let mut copies: Vec<Value> = paths.iter().filter_map(poison).collect();
    let mut key = record.clone();
    key.as_object_mut().expect("an object").insert(token(), Value::from(1));
    copies.push(key);
    copies
}

fn collect(value: &Value, path: &mut String, paths: &mut Vec<String>) {
    let children: Vec<(String, &Value)> = match value {
        Value::String(_) => return paths.push(path.clone()),
        Value::Object(members) => members.iter().map(|(key, value)| (key.clone(), value)).collect(),
        Value::Array(items) => items.iter().enumerate().map(|(at, value)| (at.to_string(), value)).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) => return,
    };
    for (key, child) in children {
        let length = path.len();
        path.push('/');
        path.push_str(&key.replace('~', "~0").replace('/', "~1"));
        collect(child, path, paths);
        path.truncate(length);
    }
}

/// Records with a value at each place where one is known to leak, and lines that are no record.
fn leaks() -> Vec<String> {
    let aws = |event: &str, part: &str| {
        format!(
            r#"{{"eventVersion":"1.08","userIdentity":{{"type":"IAMUser","arn":"arn:aws:iam::111122223333:user/ada","accountId":"111122223333","userName":"ada"}},"eventTime":"2026-06-01T00:00:00Z","eventSource":"secretsmanager.amazonaws.com","eventName":"{event}","awsRegion":"eu-west-1","sourceIPAddress":"203.0.113.9","eventID":"leak-{event}-{}",{part}}}"#,
            part.len()
        )
    };
    let vault = |part: &str| {
        format!(
            r#"{{"time":"2026-06-01T00:00:00Z","type":"response","auth":{{"client_token":"s.{CANARY}","accessor":"{CANARY}","display_name":"ada"}},"request":{{"id":"leak-{}","operation":"update","path":"secret/data/db","mount_type":"kv","client_token":"s.{CANARY}",{part}}},"response":{{"data":{{"data":{{"k":"{CANARY}"}}}}}}}}"#,
            part.len()
        )
    };
    vec![
        aws("CreateSecret", &format!(r#""requestParameters":{{"name":"a","secretString":"{CANARY}"}}"#)),
        aws("PutParameter", &format!(r#""requestParameters":{{"name":"/a","value":"{CANARY}"}}"#)),
        aws("GetSecretValue", &format!(r#""responseElements":{{"SecretString":"{{\"p\":\"{CANARY}\"}}"}}"#)),
        aws("CreateLoginProfile", &format!(r#""requestParameters":{{"password":"{CANARY}"}}"#)),
        aws(
            "CreateAccessKey",
            &format!(r#""responseElements":{{"accessKey":{{"secretAccessKey":"{CANARY}"}}}}"#),
        ),
        aws("Decrypt", &format!(r#""responseElements":{{"plaintext":"{CANARY}"}}"#)),
        vault(&format!(r#""data":{{"data":{{"note":"{CANARY}"}}}}"#)),
        format!(r#"{{"nobody":"knows this","password":"{CANARY}"}}"#),
        format!(r#"{{"type":"request","request":{{"data":{{"secretString":"{CANARY}"#),
        format!("torn {} line", token()),
    ]
}

/// Every page that links lead to, with its address.
fn crawl(browser: &Browser) -> Vec<(String, String)> {
    let mut known: BTreeSet<String> = BTreeSet::new();
    let mut queue: VecDeque<String> = ["/", "/events", "/secrets", "/principals", "/deliveries", "/rejects"]
        .iter()
        .chain(&["/sources", "/rules", "/metrics", "/readyz", "/healthz"])
        .map(ToString::to_string)
        .collect();
    let mut pages = Vec::new();
    while let Some(path) = queue.pop_front().filter(|_| pages.len() < PAGES_MAX) {
        let page = browser.page(&path);
        for link in page.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next()) {
            let link = link.split('#').next().unwrap_or_default().replace("&amp;", "&");
            // Filters are the same pages again.
            let is_new = link.starts_with('/') && !link.contains('?') && known.insert(link.clone());
            queue.extend(is_new.then_some(link));
        }
        pages.push((path, page));
    }
    pages
}

#[track_caller]
fn check(where_: &str, said: &str) {
    let around = said.split_once(CANARY).map(|(before, after)| {
        let skipped = before.chars().count().saturating_sub(200);
        let before: String = before.chars().skip(skipped).collect();
        before + CANARY + &after.chars().take(80).collect::<String>()
    });
    assert_eq!(around, None, "the canary sings in {where_}");
}

/// Leaks, and every `step`th fixture with the token in each of its fields.
fn records(step: usize) -> String {
    let mut lines = leaks();
    for fixture in fixtures().into_iter().step_by(step) {
        lines.extend(poisoned(&fixture).iter().map(Value::to_string));
    }
    lines.join("\n") + "\n"
}

#[test]
fn commands_print_no_secret_value() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("log");
    std::fs::write(&log, records(1)).expect("written");
    let log = log.to_str().expect("a path");
    for arguments in [vec!["normalize", log], vec!["scan", "--format", "ndjson", log], vec!["scan", log]] {
        let output = run(&arguments);
        assert!(output.stdout.len() > 1000, "{arguments:?} says little: {}", text(&output.stderr));
        check(&format!("{arguments:?}"), &text(&output.stdout));
        check(&format!("{arguments:?}, standard error"), &text(&output.stderr));
    }
    let events = text(&run(&["normalize", log]).stdout);
    for kind in ["secret-value", "vault-value", "vault-token", "password", "github-token"] {
        assert!(events.contains(kind), "{kind} was never scrubbed");
    }
}

#[test]
fn a_canary_in_every_credential_and_record_comes_out_nowhere() {
    let receiver = Receiver::start(false);
    let site = Site::new(&receiver);
    let folder = site.folder.path().display();
    let yaml = format!(
        "database: {folder}/keywatch.db\nlisten: 127.0.0.1:0\nsources:\n  - name: audit\n    files: [{folder}/logs]\n  \
         - name: queue\n    aws_queue: {{url: \"http://127.0.0.1:9/111122223333/q\", region: eu-west-1, access: {{endpoint: \"http://127.0.0.1:9/\", access_key: {{id: \"env:AWS_ACCESS_KEY_ID\", secret: \"env:AWS_SECRET_ACCESS_KEY\"}}}}}}\n  \
         - name: pulled\n    gcp_pubsub: {{subscription: projects/p/subscriptions/s, access: {{endpoint: \"http://127.0.0.1:9\", credentials: \"file:{folder}/google.json\"}}}}\n  \
         - name: archive\n    gcp_objects: {{bucket: audit, access: {{endpoint: \"http://127.0.0.1:9\", credentials: \"file:{folder}/google.json\"}}}}\n  \
         - name: topics\n    kafka: {{brokers: [\"127.0.0.1:9\"], topics: [audit], sasl: {{mechanism: scram-sha-512, user: \"env:CANARY_WORD\", password: \"env:CANARY_WORD\"}}}}\n  \
         - name: hubs\n    event_hubs: {{namespace: nobody.servicebus.windows.net, hubs: [audit], connection_string: \"env:CANARY_WORD\"}}\n  \
         - name: blobs\n    azure_blob: {{account: examplelogs, endpoint: \"http://127.0.0.1:9\", access: {{key: \"env:CANARY_WORD\"}}}}\n  \
         - name: devices\n    vault: {{tcp: \"127.0.0.1:0\", token: \"env:CANARY_WORD\"}}\n  \
         - name: posted\n    http: {{listen: \"127.0.0.1:0\", tokens: [\"env:CANARY_WORD\"]}}\n\
         secret_manager: {{vault: {{address: \"http://127.0.0.1:9\", token: \"env:CANARY_WORD\"}}}}\n\
         receivers:\n  - name: file\n    webhook:\n      url: {url}\n      secret: {{source: file, path: {folder}/secret}}\n  \
         - name: variable\n    webhook:\n      url: {url}?key={CANARY}\n      secret: {{source: env, path: CANARY_HOOK}}\n  \
         - name: gone\n    webhook:\n      url: http://127.0.0.1:9/{CANARY}\n      secret: {{source: env, path: CANARY_HOOK}}\n  \
         - name: chat\n    slack: {{url: {{source: file, path: {folder}/address}}}}\n  \
         - name: teams\n    teams: {{url: {{source: file, path: {folder}/address}}}}\n  \
         - name: pager\n    pagerduty: {{routing_key: {{source: env, path: CANARY_WORD}}, url: \"http://127.0.0.1:9/\"}}\n  \
         - name: mail\n    email: {{host: 127.0.0.1, port: 9, tls: none, from: k@example.org, to: [s@example.org]}}\n  \
         - name: findings\n    ocsf: {{url: \"http://127.0.0.1:9/\", secrets: [{{source: env, path: CANARY_HOOK}}]}}\n  \
         - name: topic\n    sns: {{topic: \"arn:aws:sns:eu-west-1:111122223333:t\", endpoint: \"http://127.0.0.1:9/\"}}\n\
         egress: {{allow: [127.0.0.0/8], allow_http: true}}\nlog: {{level: trace}}\n",
        url = receiver.url(),
    );
    std::fs::write(site.config(), yaml).expect("a configuration");
    std::fs::write(site.path("secret"), HOOK_SECRET).expect("a secret");
    let key = format!(
        r#"{{"type":"service_account","project_id":"p","private_key_id":"k","private_key":"{CANARY}","client_email":"k@p.iam.gserviceaccount.com","token_uri":"http://127.0.0.1:9/{CANARY}"}}"#
    );
    std::fs::write(site.path("google.json"), key).expect("a key");
    std::fs::write(site.logs().join("audit.log"), records(4)).expect("a log");
    std::fs::write(site.path("address"), format!("http://127.0.0.1:9/services/{CANARY}"))
        .expect("an address");
    let variables = [
        ("CANARY_HOOK", HOOK_SECRET),
        // An integration key has 32 characters.
        ("CANARY_WORD", "CaNaRy7Tweet9abcdefghijklmnopqrs"),
        ("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE"),
        ("AWS_SECRET_ACCESS_KEY", CANARY),
    ];
    let service = Service::start_with(&site.config(), &variables);
    let browser = Browser::sign_in(&service.login_link);
    let is_told = || receiver.received().messages.iter().any(|(_, body)| body.contains("KW-138"));
    wait_until("KW-138 is told", Duration::from_mins(1), is_told);
    let pages = crawl(&browser);
    assert!(pages.len() > 50, "only {} pages", pages.len());
    for (path, page) in &pages {
        check(path, page);
    }
    let metrics = pages.iter().find(|(path, _)| path == "/metrics").map(|(_, page)| page.clone());
    assert!(metrics.is_some_and(|text| text.contains("keywatch_scrubbed_records_total")), "no figures");
    for (headers, body) in &receiver.received().messages {
        check("a webhook", &format!("{headers:?} {body}"));
    }
    let said = service.said();
    assert_eq!(service.stop(), Some(0));
    check("the log", &said);
    check_database(&site);
}

/// Neither the files' bytes nor the records they hold compressed.
fn check_database(site: &Site) {
    for name in ["keywatch.db", "keywatch.db-wal"] {
        let bytes = std::fs::read(site.path(name)).unwrap_or_default();
        check(name, &text(&bytes));
    }
    let records = site.look(async |store| {
        let mut all = Vec::new();
        let page = keywatch_store::Page::first(keywatch_store::PAGE_MAX);
        for row in store.rejects(page).await.expect("rejects").rows {
            all.extend(store.reject(row.id).await.expect("a reject").map(|reject| reject.bytes));
        }
        all
    });
    assert!(records.len() >= 2, "the torn lines are kept as rejects");
    let database = site.database();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let events = runtime.block_on(async {
        let history = keywatch_store::History::open(&database).await.expect("the history opens");
        let span = keywatch_store::Span { since: None, until: None };
        let start = history.extent(span).await.expect("its extent").start();
        let page = history.records(span, start, 100_000).await.expect("records");
        page.records.into_iter().map(|record| record.raw).collect::<Vec<_>>()
    });
    assert!(events.len() > 100, "only {} events", events.len());
    for record in records.iter().chain(&events) {
        check("a stored record", &text(record));
    }
}
