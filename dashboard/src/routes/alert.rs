//! One alert: what, why, who, from where, the evidence, and who was told.

use crate::app::{App, RuleInfo, Shared};
use crate::failure::Failure;
use crate::lines::{EventLine, Value, history};
use crate::page::{self, Chrome};
use crate::params::Choice;
use crate::session::SignedIn;
use crate::text::{When, grouped, head, lossless, pretty};
use askama::Template;
use axum::Extension;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::Response;
use chrono::{DateTime, Utc};
use keywatch_event::{EVIDENCE_MAX, lateness};
use keywatch_store::{
    AlertDetail, AlertRow, AlertStatus, Attempt, DecisionRow, Delivery, DeliveryKind, DeliveryState, EventRow,
};
use serde::Deserialize;

/// Bytes of a raw record shown under its evidence line; the event's page shows all of it.
const RAW_BYTES_MAX: usize = 16 * 1024;

/// What a page reads from an alert's public JSON beside its row. Anything missing is not shown.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct AlertJson {
    pub(super) action: Option<String>,
    pub(super) principal: Option<PrincipalJson>,
    sessions: SessionsJson,
    source: Option<SourceJson>,
    secrets: Vec<SecretJson>,
    account: Option<String>,
    store: Option<String>,
    why: WhyJson,
    tags: Vec<String>,
    pub(super) late_secs: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct PrincipalJson {
    kind: String,
    pub(super) name: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct SessionsJson {
    count: u64,
    first: Vec<SessionJson>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct SessionJson {
    name: Option<String>,
    access_key: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct SourceJson {
    ip: Option<String>,
    kind: String,
    raw: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct SecretJson {
    id: String,
    name: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct WhyJson {
    text: String,
    observed: Option<f64>,
    threshold: Option<f64>,
    baseline: Option<String>,
}

impl AlertJson {
    /// Reads the stored JSON; what cannot be read is empty, and the rest of the page stands.
    pub(super) fn read(json: &str) -> Self {
        serde_json::from_str(json).unwrap_or_default()
    }
}

/// A tag, linked when it is an ATT&CK technique or tactic.
pub(super) struct Tag {
    pub(super) text: String,
    pub(super) url: Option<String>,
}

struct EvidenceLine {
    event: EventLine,
    raw: String,
    cut: bool,
}

/// One line of the delivery timeline.
struct TellingLine {
    when: When,
    receiver: String,
    what: String,
    state: &'static str,
    detail: String,
    excerpt: Option<String>,
}

/// Why one receiver was told, or was not.
struct DecisionLine {
    when: When,
    receiver: String,
    choice: &'static str,
    reason: String,
}

/// How long it took to tell one receiver.
struct TimeLine {
    receiver: String,
    received: String,
    decided: String,
    accepted: String,
}

struct HistoryLine {
    when: When,
    who: String,
    what: String,
    detail: String,
}

#[derive(Template)]
#[template(path = "alert.html")]
struct AlertPage {
    chrome: Chrome,
    id: String,
    level: &'static str,
    status: AlertStatus,
    status_words: String,
    revision: u32,
    here: String,
    regressed: bool,
    muted: Option<String>,
    silence_url: String,
    resolutions: Vec<Choice>,
    decisions: Vec<DecisionLine>,
    times: Vec<TimeLine>,
    action: Option<String>,
    rule: String,
    rule_info: Option<RuleInfo>,
    why: WhyJson,
    principal: Option<Value>,
    principal_kind: String,
    sessions: Vec<SessionJson>,
    sessions_more: u64,
    source: Option<Value>,
    source_kind: String,
    account: Option<Value>,
    provider: Value,
    store: Option<String>,
    secrets: Vec<Value>,
    events: String,
    first: When,
    last: When,
    opened: When,
    received: When,
    late: Option<String>,
    tags: Vec<Tag>,
    evidence: Vec<EvidenceLine>,
    history: Vec<HistoryLine>,
    tellings: Vec<TellingLine>,
    former_ids: Vec<String>,
    told_as: Option<String>,
    json: String,
}

/// `/alerts/{id}`
pub(crate) async fn page(
    State(app): State<Shared>,
    Extension(who): Extension<SignedIn>,
    path: Result<Path<String>, PathRejection>,
) -> Result<Response, Failure> {
    let id = super::id_of(path)?;
    let detail = app.store.alert(&id).await?.ok_or_else(|| Failure::NotFound("such alert".to_owned()))?;
    let evidence = evidence(&app, &detail.evidence).await?;
    let chrome = Chrome::new(&app, who, "/", detail.alert.title.clone());
    let rule = app.rule(&detail.alert.rule);
    page::html(&view(chrome, detail, evidence, rule))
}

fn view(
    chrome: Chrome,
    detail: AlertDetail,
    evidence: Vec<EvidenceLine>,
    rule: Option<RuleInfo>,
) -> AlertPage {
    let (now, list) = (chrome.at, history());
    let json = AlertJson::read(&detail.alert.json);
    let who = json.principal.unwrap_or_default();
    let from = json.source.unwrap_or_default();
    let row = detail.alert;
    let source = from.raw.or(from.ip);
    AlertPage {
        chrome,
        level: row.level.as_str(),
        status: row.status,
        status_words: status_words(&row),
        revision: row.revision,
        here: crate::lines::alert_url(&row.id),
        regressed: row.regressed,
        muted: row.muted.clone(),
        silence_url: silence_url(&row),
        resolutions: super::alerts::resolutions(),
        decisions: detail.decisions.into_iter().map(|one| decision_line(one, now)).collect(),
        times: times(&row, &detail.deliveries),
        action: json.action,
        rule_info: rule,
        why: json.why,
        principal: row.principal.map(|id| Value::principal(&list, &id, who.name.as_deref())),
        principal_kind: who.kind,
        sessions_more: json.sessions.count.saturating_sub(json.sessions.first.len() as u64),
        sessions: json.sessions.first,
        source: source.map(|raw| Value::new(&list, "source", &raw)),
        source_kind: from.kind,
        account: json.account.map(|account| Value::new(&list, "account", &account)),
        provider: Value::new(&list, "provider", row.provider.as_str()),
        store: json.store,
        secrets: json.secrets.iter().map(|secret| named(&list, secret)).collect(),
        events: grouped(row.events),
        first: When::event(row.first_event_at, now),
        last: When::event(row.last_event_at, now),
        opened: When::event(row.opened_at, now),
        received: When::clock(row.received_at, now),
        late: json.late_secs.map(lateness),
        tags: json.tags.iter().map(|tag| tag_of(tag)).collect(),
        evidence,
        history: detail
            .history
            .into_iter()
            .map(|entry| {
                let when = When::clock(entry.at, now);
                HistoryLine {
                    when,
                    who: entry.who.unwrap_or_default(),
                    what: entry.what,
                    detail: entry.detail,
                }
            })
            .collect(),
        tellings: detail.deliveries.iter().flat_map(|delivery| tellings(delivery, now)).collect(),
        // One of its former ids, unless that belongs to another alert now.
        told_as: detail.told_as,
        former_ids: detail.former_ids,
        json: pretty(row.json.as_bytes()).unwrap_or(row.json),
        id: row.id,
        rule: row.rule,
    }
}

/// The status with who brought it about and when.
fn status_words(row: &AlertRow) -> String {
    let at = |at: DateTime<Utc>| crate::text::stamp(at);
    match (row.status, &row.acknowledged, &row.resolved) {
        (AlertStatus::Acknowledged, Some((who, when)), _) => format!("by {who}, {}", at(*when)),
        (AlertStatus::Resolved, _, Some((who, when, why))) => {
            format!("by {who} as {}, {}", why.as_str().replace('_', " "), at(*when))
        }
        (AlertStatus::Withdrawn, ..) => "a later event explained it".to_owned(),
        (_, _, Some((who, when, why))) if row.regressed => {
            let why = why.as_str().replace('_', " ");
            format!("new evidence came after {who} had resolved it as {why}, {}", at(*when))
        }
        _ => String::new(),
    }
}

/// A silence for alerts like this one, to be narrowed or widened.
fn silence_url(row: &AlertRow) -> String {
    let mut matchers = format!("rule={}", row.rule);
    if let Some(principal) = &row.principal {
        matchers = format!("{matchers}\nprincipal={principal}");
    }
    format!("/silences?matchers={}", crate::text::encoded(&matchers))
}

fn decision_line(one: DecisionRow, now: DateTime<Utc>) -> DecisionLine {
    DecisionLine {
        when: When::clock(one.at, now),
        receiver: one.receiver,
        choice: one.choice.as_str(),
        reason: one.reason,
    }
}

/// Times of the first message each receiver accepted.
fn times(row: &AlertRow, deliveries: &[Delivery]) -> Vec<TimeLine> {
    let opened = row.opened_at.to_chrono();
    let between = |from: DateTime<Utc>, to: DateTime<Utc>| {
        super::deliveries::span(u64::try_from((to - from).num_milliseconds()).unwrap_or(0))
    };
    let first =
        deliveries.iter().map(|one| &one.delivery).filter(|one| one.kind == DeliveryKind::AlertOpened);
    let lines = first.filter_map(|one| {
        let (decided, accepted) = (one.decided_at?, one.delivered_at?);
        Some(TimeLine {
            receiver: one.receiver.clone(),
            received: between(opened, one.created_at),
            decided: between(one.created_at, decided),
            accepted: between(decided, accepted),
        })
    });
    lines.collect()
}

fn named(list: &crate::params::Params, secret: &SecretJson) -> Value {
    let mut value = Value::secret(list, &secret.id);
    if !secret.name.is_empty() {
        value.text.clone_from(&secret.name);
    }
    value
}

async fn evidence(app: &App, rows: &[EventRow]) -> Result<Vec<EvidenceLine>, Failure> {
    let (list, now) = (history(), app.now());
    let mut lines = Vec::with_capacity(rows.len().min(EVIDENCE_MAX));
    for row in rows.iter().take(EVIDENCE_MAX) {
        let raw = app.store.event(&row.id).await?.map(|detail| detail.raw).unwrap_or_default();
        let shown = pretty(&raw).unwrap_or_else(|| lossless(&raw));
        let (part, cut) = head(shown.as_bytes(), RAW_BYTES_MAX);
        lines.push(EvidenceLine { event: EventLine::new(row, &list, now), raw: lossless(part), cut });
    }
    Ok(lines)
}

/// A delivery as lines: every attempt, then where it stands.
fn tellings(delivery: &Delivery, now: DateTime<Utc>) -> Vec<TellingLine> {
    let row = &delivery.delivery;
    let line = |when, state, detail, excerpt| TellingLine {
        when,
        receiver: row.receiver.clone(),
        what: row.kind.as_str().to_owned(),
        state,
        detail,
        excerpt,
    };
    let mut lines = Vec::with_capacity(delivery.attempts.len() + 1);
    for attempt in &delivery.attempts {
        let excerpt = attempt.response_excerpt.clone().filter(|excerpt| !excerpt.is_empty());
        let state = if attempt.error.is_none() { "attempt ok" } else { "attempt failed" };
        lines.push(line(When::clock(attempt.started_at, now), state, attempt_words(attempt), excerpt));
    }
    let reason = row.reason.clone().unwrap_or_default();
    let (when, detail) = match row.state {
        DeliveryState::Pending => (row.due_at, format!("next attempt is due. {reason}")),
        DeliveryState::Delivered => (last_moment(delivery), "the receiver accepted it".to_owned()),
        DeliveryState::DeadLetter => (last_moment(delivery), format!("given up: {reason}")),
        DeliveryState::Cancelled => (row.created_at, format!("taken back before anybody was told: {reason}")),
    };
    lines.push(line(When::clock(when, now), row.state.as_str(), detail, None));
    lines
}

fn last_moment(delivery: &Delivery) -> DateTime<Utc> {
    delivery.attempts.last().map_or(delivery.delivery.created_at, |attempt| attempt.started_at)
}

fn attempt_words(attempt: &Attempt) -> String {
    let status = attempt.status.map(|status| format!("HTTP {status}, "));
    let error = attempt.error.as_deref().map(|error| format!(": {error}"));
    format!(
        "attempt {}, {}{} ms{}",
        attempt.number,
        status.unwrap_or_default(),
        attempt.latency_ms,
        error.unwrap_or_default()
    )
}

/// A tag of a rule. `attack.t1555.006` becomes `T1555.006` with the address of its page
/// on attack.mitre.org, where a sub-technique lives under `/techniques/T1555/006/`.
pub(super) fn tag_of(tag: &str) -> Tag {
    let id = tag.strip_prefix("attack.").filter(|id| is_technique(id));
    match id.map(str::to_ascii_uppercase) {
        Some(id) => {
            let url = format!("https://attack.mitre.org/techniques/{}/", id.replace('.', "/"));
            Tag { text: id, url: Some(url) }
        }
        None => Tag { text: tag.to_owned(), url: None },
    }
}

fn is_technique(id: &str) -> bool {
    let digits = |text: &str, count| text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    let Some(number) = id.strip_prefix(['t', 'T']) else { return false };
    match number.split_once('.') {
        Some((technique, sub)) => digits(technique, 4) && digits(sub, 3),
        None => digits(number, 4),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Bench;

    #[test]
    fn only_attack_techniques_are_linked() {
        let link = |tag: &str| tag_of(tag).url;
        let sub = "https://attack.mitre.org/techniques/T1555/006/";
        assert_eq!(link("attack.t1555.006").as_deref(), Some(sub));
        assert_eq!(link("attack.t1110").as_deref(), Some("https://attack.mitre.org/techniques/T1110/"));
        for text in ["attack.credential_access", "attack.t15", "attack.t1555/../x", "attack.t1555.6", "x"] {
            assert_eq!(link(text), None, "{text}");
        }
    }

    #[test]
    fn an_alert_whose_json_says_little_still_reads() {
        let json = AlertJson::read("{\"why\":{\"text\":\"x\"},\"new_field\":1}");
        assert_eq!((json.why.text.as_str(), json.action), ("x", None));
        assert!(AlertJson::read("no json").tags.is_empty());
    }

    #[tokio::test]
    async fn an_alert_page_tells_what_why_who_and_who_was_told() {
        let bench = Bench::seeded().await;
        let body = bench.get("/alerts/alert-1").await.body;
        for part in [
            "j.doe deleted prod/db/password",
            "Immediate review",
            "1 secret was scheduled for deletion; from 1 on this needs a review",
            "no deletion in 30 days",
            "late by 2 h",
            "jane.doe@example.com",
            "ASIAEXAMPLE",
            "and 3 more",
            "198.51.100.7",
            "href=\"https://attack.mitre.org/techniques/T1485/\"",
            "2. Restore the secret.",
            "href=\"/events/aws%3adelete-1\"",
            "trail.json.gz:151",
            "12345678901234567890123",
            "attempt 1, HTTP 200, 84 ms",
            "the receiver accepted it",
        ] {
            assert!(body.contains(part), "{part}\n{body}");
        }
    }

    #[tokio::test]
    async fn a_withdrawn_alert_says_why() {
        let bench = Bench::seeded().await;
        let body = bench.get("/alerts/alert-gone").await.body;
        assert!(body.contains("a later event explained it") && body.contains("explained later"), "{body}");
    }
}
