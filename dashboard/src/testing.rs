//! A dashboard over a real store in a directory of its own, and the history it shows in tests.

use crate::{Dashboard, Detection, Options, RuleInfo, SourceInfo};
use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode, header};
use chrono::{DateTime, TimeDelta, Utc};
use keywatch_event::{
    Alert, AlertChange, AlertId, AlertPrincipal, AlertSession, AlertSessions, AlertSource, AuditEvent, Class,
    Classified, ErrorInfo, Evaluation, EventTime, Evidence, Level, Outcome, Place, Principal, PrincipalKind,
    Provider, Reject, RejectReason, SecretRef, Source, Why,
};
use keywatch_store::{
    AttemptOutcome, AttemptRecord, Committed, Incoming, IncomingEvent, Judge, PositionChange, Store,
};
use std::borrow::Cow;
use std::sync::{Arc, Mutex};
use tempfile::TempDir;
use tower::ServiceExt;

/// Everything a record may carry that a page must not let through.
pub(crate) const HOSTILE: &str =
    "<script>alert(1)</script>\"onmouseover='x' \u{202e}\u{2066}\0\u{1b}[31m\r\n=cmd|' /C calc'!A0";

/// The host every request of a test names.
pub(crate) const HOST: &str = "127.0.0.1:8080";

pub(crate) const READER: &str = "arn:aws:iam::111122223333:role/billing-api";
pub(crate) const INTRUDER: &str = "arn:aws:iam::111122223333:user/j.doe";
pub(crate) const SECRET: &str = "aws:111122223333:eu-west-1:secret/prod/db/password";
pub(crate) const OTHER_SECRET: &str = "aws:111122223333:eu-west-1:secret/prod/api/key";

/// What a response said.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

/// A dashboard with somebody signed in.
pub(crate) struct Bench {
    pub(crate) dashboard: Dashboard,
    pub(crate) store: Store,
    pub(crate) now: Arc<Mutex<DateTime<Utc>>>,
    pub(crate) detection: Arc<Mutex<Detection>>,
    pub(crate) cookie: String,
    pub(crate) router: Router,
    _dir: TempDir,
}

/// 2026-11-22T18:54:05Z.
pub(crate) fn start() -> DateTime<Utc> {
    EventTime::parse("2026-11-22T18:54:05Z").unwrap().to_chrono()
}

impl Bench {
    /// Over an empty history.
    pub(crate) async fn empty() -> Self {
        Self::with(Options::default(), Vec::new()).await
    }

    /// Over the history of [`seed`], with rules and sources.
    pub(crate) async fn seeded() -> Self {
        let options = Options {
            normalize: Arc::new(|raw, _| Some(format!("{{\n  \"bytes\": {}\n}}", raw.len()))),
            sources: Arc::new(sources),
            ..Options::default()
        };
        let bench = Self::with(options, rules()).await;
        seed(&bench.store).await;
        bench
    }

    /// With these options and rules, over an empty history.
    pub(crate) async fn with(options: Options, rules: Vec<RuleInfo>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("keywatch.db")).await.unwrap();
        let now = Arc::new(Mutex::new(start()));
        let told = Arc::clone(&now);
        let clock = Arc::new(move || *told.lock().unwrap());
        let detection = Arc::new(Mutex::new(Detection { rules: Arc::new(rules), ..Detection::default() }));
        let shown = Arc::clone(&detection);
        let rules = Arc::new(move || shown.lock().unwrap().clone());
        let dashboard = Dashboard::new(store.clone(), rules, clock, options);
        let router = dashboard.router();
        let mut bench = Self { dashboard, store, now, detection, cookie: String::new(), router, _dir: dir };
        bench.cookie = bench.sign_in().await;
        bench
    }

    /// Opens a session; the answer is the Cookie header for it.
    pub(crate) async fn sign_in(&self) -> String {
        let link = self.dashboard.login_link("http://127.0.0.1:8080/").unwrap();
        let token = link.split_once("token=").unwrap().1;
        let answer = self.post("/login", &format!("token={token}"), &[]).await;
        let set = answer.headers.get(header::SET_COOKIE).unwrap().to_str().unwrap();
        set.split(';').next().unwrap().to_owned()
    }

    pub(crate) fn advance(&self, minutes: i64) {
        *self.now.lock().unwrap() += TimeDelta::minutes(minutes);
    }

    /// A page, signed in.
    pub(crate) async fn get(&self, url: &str) -> Answer {
        self.ask(Self::request("GET", url, "", &[("cookie", &self.cookie)])).await
    }

    /// A form, with nothing but the headers given.
    pub(crate) async fn post(&self, url: &str, form: &str, headers: &[(&str, &str)]) -> Answer {
        let mut all = vec![("content-type", "application/x-www-form-urlencoded")];
        all.extend_from_slice(headers);
        self.ask(Self::request("POST", url, form, &all)).await
    }

    pub(crate) fn request(method: &str, url: &str, body: &str, headers: &[(&str, &str)]) -> Request<Body> {
        let mut request = Request::builder().method(method).uri(url);
        if !headers.iter().any(|(name, _)| *name == "host") {
            request = request.header("host", HOST);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(Body::from(body.to_owned())).unwrap()
    }

    pub(crate) async fn ask(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = axum::body::to_bytes(body, 16 << 20).await.unwrap();
        let body = String::from_utf8(bytes.to_vec()).unwrap();
        Answer { status: parts.status, headers: parts.headers, body }
    }

    /// The CSRF token on a signed-in page.
    pub(crate) async fn csrf(&self) -> String {
        let body = self.get("/rules").await.body;
        let (_, rest) = body.split_once("name=\"csrf\" value=\"").unwrap();
        rest.split('"').next().unwrap().to_owned()
    }
}

/// A judge with its answer ready.
struct Verdict<'a> {
    levels: &'a [Level],
    changes: Vec<AlertChange>,
}

impl Judge for Verdict<'_> {
    fn judge(&mut self, fresh: &[usize]) -> Evaluation {
        let classified = |&at: &usize| {
            let level = self.levels[at];
            let rules = if level == Level::Info { vec![] } else { vec!["KW-004".into()] };
            Classified { level, rules, matters_secs: 0 }
        };
        let classified = fresh.iter().map(classified).collect();
        Evaluation { classified, changes: std::mem::take(&mut self.changes), ..Evaluation::default() }
    }
}

fn secs(minutes_ago: i64) -> EventTime {
    EventTime::from_secs(start().timestamp() - minutes_ago * 60)
}

fn event<'a>(id: &'a str, minutes_ago: i64, principal: &'a str, secret: &'a str) -> AuditEvent<'a> {
    AuditEvent {
        id: id.into(),
        time: secs(minutes_ago),
        time_raw: None,
        received_at: secs(minutes_ago - 3),
        provider: Provider::Aws,
        service: "secretsmanager.amazonaws.com".into(),
        store: Some("sm".into()),
        account: Some("111122223333".into()),
        region: Some("eu-west-1".into()),
        operation: "GetSecretValue".into(),
        class: Class::SecretRead,
        outcome: Outcome::Ok,
        error: None,
        principal: Principal {
            id: principal.into(),
            kind: PrincipalKind::Role,
            name: principal.rsplit_once('/').map(|(_, name)| name.into()),
            session: None,
            access_key: None,
            via: None,
        },
        source: Source::from_text("203.0.113.9".into()),
        user_agent: Some("Boto3/1.34.69".into()),
        secrets: vec![SecretRef {
            id: secret.into(),
            name: secret.split_once('/').map_or(secret, |(_, name)| name).into(),
            version: None,
        }],
        echo_of: None,
        scrubbed: Vec::new(),
        told: None,
    }
}

fn hostile_event() -> AuditEvent<'static> {
    let text = || Cow::Borrowed(HOSTILE);
    AuditEvent {
        id: text(),
        service: text(),
        store: Some(text()),
        account: Some(text()),
        region: Some(text()),
        operation: text(),
        error: Some(ErrorInfo { code: Some(text()), message: Some(text()) }),
        principal: Principal {
            id: text(),
            kind: PrincipalKind::Unknown,
            name: Some(text()),
            session: Some(text()),
            access_key: None,
            via: None,
        },
        source: Source::from_text(text()),
        user_agent: Some(text()),
        secrets: vec![SecretRef { id: text(), name: text(), version: Some(text()) }],
        ..event("", 10, "", "")
    }
}

fn place(name: &str, line: u64) -> Place {
    Place { name: name.into(), line, record: 0 }
}

fn sessions(hostile: bool) -> AlertSessions {
    let name = if hostile { HOSTILE } else { "jane.doe@example.com" };
    let session = AlertSession { name: Some(name.to_owned()), access_key: Some("ASIAEXAMPLE".to_owned()) };
    AlertSessions { count: 4, first: vec![session] }
}

fn alert(id: &str, title: &str, level: Level, minutes_ago: i64, event: &str) -> Alert {
    let who = if title == HOSTILE { HOSTILE } else { INTRUDER };
    let secret = if title == HOSTILE { HOSTILE } else { SECRET };
    let text = |plain: &str| if title == HOSTILE { HOSTILE.to_owned() } else { plain.to_owned() };
    Alert {
        id: AlertId(id.to_owned()),
        rule: text("KW-004"),
        title: title.to_owned(),
        level,
        action: text("Immediate review"),
        opened_at: secs(minutes_ago),
        first_event_at: secs(minutes_ago),
        last_event_at: secs(minutes_ago - 2),
        late_secs: (id == "alert-1").then_some(7300),
        sessions: sessions(title == HOSTILE),
        principal: Some(AlertPrincipal {
            id: who.to_owned(),
            kind: PrincipalKind::User,
            name: Some(text("j.doe")),
        }),
        source: Some(AlertSource {
            ip: "198.51.100.7".parse().ok(),
            kind: keywatch_event::SourceKind::Addr,
            raw: Some(text("198.51.100.7")),
        }),
        secrets: vec![SecretRef {
            id: secret.to_owned().into(),
            name: secret.to_owned().into(),
            version: None,
        }],
        provider: Provider::Aws,
        account: Some(text("111122223333")),
        store: Some(text("sm")),
        events: 2,
        evidence: vec![Evidence {
            event: event.to_owned(),
            time: secs(minutes_ago),
            place: place("trail.json.gz", 7),
        }],
        why: Why {
            text: text("1 secret was scheduled for deletion; from 1 on this needs a review"),
            observed: 1.0,
            threshold: 1.0,
            baseline: Some(text("no deletion in 30 days")),
        },
        tags: vec![text("attack.t1485"), "attack.impact".to_owned()],
    }
}

/// Stores a day of events, alerts of every kind, rejects, positions and deliveries.
pub(crate) async fn seed(store: &Store) {
    let ids = (0..150).map(|n| format!("aws:read-{n}")).collect::<Vec<_>>();
    let mut events = Vec::new();
    for (n, id) in (0..).zip(&ids) {
        let secret = if n % 3 == 0 { OTHER_SECRET } else { SECRET };
        events.push((event(id, 5 + n * 9, READER, secret), Level::Info));
    }
    let mut deletion = event("aws:delete-1", 30, INTRUDER, SECRET);
    deletion.operation = "DeleteSecret".into();
    deletion.class = Class::SecretDelete;
    deletion.source = Source::from_text("198.51.100.7".into());
    events.push((deletion, Level::Critical));
    for (id, ago) in [("aws:denied-1", 70), ("aws:denied-2", 68)] {
        let mut denied = event(id, ago, INTRUDER, OTHER_SECRET);
        denied.outcome = Outcome::Denied;
        events.push((denied, Level::Warning));
    }
    events.push((hostile_event(), Level::High));
    let mut decrypt = event("aws:echo-1", 14, READER, SECRET);
    decrypt.service = "kms.amazonaws.com".into();
    decrypt.operation = "Decrypt".into();
    decrypt.class = Class::KeyUse;
    decrypt.echo_of = Some("secretsmanager.amazonaws.com".into());
    events.push((decrypt, Level::Info));
    let opened = |alert| AlertChange::Opened { alert, hold_secs: 0 };
    let title = "j.doe deleted prod/db/password";
    let changes = vec![
        opened(alert("alert-1", title, Level::Critical, 30, "aws:delete-1")),
        opened(alert("alert-hostile", HOSTILE, Level::High, 10, HOSTILE)),
        opened(alert("alert-old", "An alert of last week", Level::Warning, 8 * 1440, "aws:denied-1")),
        opened(alert("alert-gone", "Explained since", Level::Warning, 60, "aws:denied-2")),
        AlertChange::Withdrawn { id: AlertId("alert-gone".to_owned()), reason: "explained later".to_owned() },
    ];
    commit(store, events, changes).await;
    deliver(store).await;
}

async fn commit(store: &Store, events: Vec<(AuditEvent<'_>, Level)>, changes: Vec<AlertChange>) {
    let mut bytes = Vec::new();
    let mut levels = Vec::new();
    let mut incoming = Vec::new();
    for (line, (event, level)) in (1..).zip(events) {
        let begin = bytes.len();
        let hostile = event.id == HOSTILE;
        let raw = if hostile {
            HOSTILE.as_bytes().to_vec()
        } else {
            let raw = serde_json::json!({
                "eventVersion": "1.09",
                "eventSource": "secretsmanager.amazonaws.com",
                "eventName": event.operation,
                "userAgent": HOSTILE,
                "big": 12_345_678,
            });
            raw.to_string().replace("12345678", "12345678901234567890123").into_bytes()
        };
        bytes.extend_from_slice(&raw);
        let name = if hostile { HOSTILE } else { "trail.json.gz" };
        incoming.push(IncomingEvent { event, place: place(name, line), raw: begin..bytes.len() });
        levels.push(level);
    }
    let reject = |reason, bytes: &[u8]| Reject { place: place(HOSTILE, 3), reason, bytes: bytes.to_vec() };
    let rejects = [
        reject(RejectReason::Syntax(HOSTILE.to_owned()), HOSTILE.as_bytes()),
        reject(RejectReason::Encoding(1), b"a\xff\xfe<script>"),
    ];
    let advances = [
        PositionChange { source: "trail", from: None, to: "s3://logs/2026/11/22#17" },
        PositionChange { source: "file:/var/log/vault/audit.log", from: None, to: "{\"offset\":1}" },
        PositionChange { source: HOSTILE, from: None, to: HOSTILE },
    ];
    let batch = Incoming {
        events: &incoming,
        bytes: &bytes,
        rejects: &rejects,
        advances: &advances,
        received_at: start(),
    };
    let mut judge = Verdict { levels: &levels, changes };
    let receivers = ["ops", HOSTILE].map(|name| keywatch_store::Subscriber::new(name, Level::Info));
    let done = store.commit(&batch, &mut judge, &receivers).await.unwrap();
    assert_eq!(done, Committed { fresh: levels.len(), duplicates: 0, rejects: 2, opened: 4 });
}

/// One attempt per delivery: the first of `ops` succeeds, everything hostile is given up.
async fn deliver(store: &Store) {
    for (receiver, status) in [("ops", Some(200)), (HOSTILE, None)] {
        for leased in store.lease_due(receiver, start(), 60, 1).await.unwrap() {
            let failed = status.is_none();
            let attempt = AttemptRecord {
                started_at: start(),
                latency_ms: 84,
                status,
                error: failed.then(|| HOSTILE.to_owned()),
                response_excerpt: Some(HOSTILE.to_owned()),
            };
            let outcome = if failed {
                AttemptOutcome::DeadLetter(HOSTILE.to_owned())
            } else {
                AttemptOutcome::Delivered
            };
            assert!(store.record_attempt(leased.id, &leased.lease, &attempt, outcome).await.unwrap());
        }
    }
}

fn rules() -> Vec<RuleInfo> {
    let rule = |id: &str, text: &str, level| RuleInfo {
        id: id.to_owned(),
        title: text.to_owned(),
        level,
        action: "Immediate review".to_owned(),
        description: text.to_owned(),
        runbook: format!("1. Ask {text}.\n2. Restore the secret."),
        tags: vec!["attack.t1485".to_owned(), text.to_owned()],
        place: format!("rules/{text}.yml:1"),
        blind: None,
    };
    let blind = RuleInfo {
        blind: Some(format!("Keywatch does not ingest {HOSTILE}")),
        ..rule("azure-risk", "Sign-in at risk", Level::High)
    };
    vec![rule("KW-004", "Secret deletion", Level::Critical), rule(HOSTILE, HOSTILE, Level::High), blind]
}

fn sources() -> Vec<SourceInfo> {
    vec![SourceInfo {
        name: "trail".to_owned(),
        kind: "CloudTrail through SQS".to_owned(),
        records: 154,
        rejects: 2,
        last_at: Some(start()),
        state: "failing",
        per_minute: 1500,
        lag_secs: Some(180),
        notices: vec![HOSTILE.to_owned()],
        ..SourceInfo::default()
    }]
}
