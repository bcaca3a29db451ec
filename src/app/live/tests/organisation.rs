//! A stand-in for an organisation: STS, which lets roles be taken on by whom their trust policies name
//! and for no longer than a session lasts, and the trail of every account behind it.
//!
//! As the API reference of `AssumeRole` has it: the external id is part of the trust, the caller is whoever
//! signed, and credentials of a session hold only with their token.

use super::cloudtrail::{CloudTrail, error};
use super::server::Server;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::HeaderMap;
use axum::response::Response;
use axum::routing::post;
use chrono::{SecondsFormat, TimeDelta};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

/// What a role's trust policy says.
#[derive(Clone, Debug)]
pub(super) struct Trust {
    /// An access key, or the role of a session.
    pub(super) whom: String,
    pub(super) external_id: Option<&'static str>,
}

/// A role that was asked for, and what was shown for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) role: String,
    pub(super) session_name: String,
    pub(super) external_id: Option<String>,
    pub(super) is_let: bool,
}

#[derive(Debug)]
struct Session {
    role: String,
    token: String,
    has_ended: bool,
}

pub(super) struct State {
    pub(super) trusts: HashMap<String, Trust>,
    /// By account.
    pub(super) trails: HashMap<String, CloudTrail>,
    pub(super) asked: Vec<Asked>,
    /// How long a session lasts, seconds.
    pub(super) lasts_secs: i64,
    /// After how many more requests to trails every session ends.
    pub(super) ends_after: Option<usize>,
    /// Requests that were answered with the end of their session.
    pub(super) ended: usize,
    sessions: HashMap<String, Session>,
}

/// The stand-in, and what it knows.
#[derive(Clone)]
pub(super) struct Organisation(Arc<Mutex<State>>);

pub(super) fn role(account: &str) -> String {
    format!("arn:aws:iam::{account}:role/keywatch")
}

impl Organisation {
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(State {
            trusts: HashMap::new(),
            trails: HashMap::new(),
            asked: Vec::new(),
            lasts_secs: 3600,
            ends_after: None,
            ended: 0,
            sessions: HashMap::new(),
        })))
    }

    pub(super) fn serve(&self) -> Server {
        let organisation = self.clone();
        let answer = move |headers: HeaderMap, body: Bytes| async move {
            organisation.with(|state| state.answer(&headers, &body))
        };
        Server::start(Router::new().route("/", post(answer)))
    }

    pub(super) fn with<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut self.0.lock().unwrap())
    }

    /// An account with a trail, whose role `whom` may take on.
    pub(super) fn account(&self, number: &str, trail: &CloudTrail, trust: Trust) {
        self.with(|state| {
            state.trusts.insert(role(number), trust);
            state.trails.insert(number.to_owned(), trail.clone());
        });
    }
}

impl State {
    fn answer(&mut self, headers: &HeaderMap, body: &Bytes) -> Response {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let signed = text("authorization").split("Credential=").nth(1).unwrap_or_default();
        let key = signed.split('/').next().unwrap_or_default();
        if let Some(session) = self.sessions.get(key)
            && session.token != text("x-amz-security-token")
        {
            return error(403, "InvalidClientTokenId");
        }
        if text("x-amz-target").is_empty() {
            return self.assume(key, &String::from_utf8_lossy(body));
        }
        if let Some(left) = &mut self.ends_after {
            if *left == 0 {
                self.sessions.values_mut().for_each(|session| session.has_ended = true);
                self.ends_after = None;
            } else {
                *left -= 1;
            }
        }
        let Some(session) = self.sessions.get(key) else { return error(400, "UnrecognizedClientException") };
        if session.has_ended {
            self.ended += 1;
            return error(400, "ExpiredTokenException");
        }
        let account = session.role.split(':').nth(4).unwrap_or_default();
        match self.trails.get(account) {
            Some(trail) => trail.answer(headers, body),
            None => error(400, "AccessDeniedException"),
        }
    }

    fn assume(&mut self, key: &str, body: &str) -> Response {
        let asked: HashMap<&str, String> = body
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .map(|(name, value)| {
                (name, percent_encoding::percent_decode_str(value).decode_utf8_lossy().into_owned())
            })
            .collect();
        let value = |name: &str| asked.get(name).cloned();
        assert_eq!(value("Action").as_deref(), Some("AssumeRole"), "{body}");
        let (role, shown) = (value("RoleArn").unwrap_or_default(), value("ExternalId"));
        let caller = self.sessions.get(key).map_or(key, |session| &session.role);
        let is_let = self.trusts.get(&role).is_some_and(|trust| {
            trust.whom == caller && trust.external_id.is_none_or(|id| shown.as_deref() == Some(id))
        });
        let session_name = value("RoleSessionName").unwrap_or_default();
        self.asked.push(Asked { role: role.clone(), session_name, external_id: shown, is_let });
        if is_let { self.let_in(role) } else { refuse(&role) }
    }

    fn let_in(&mut self, role: String) -> Response {
        let number = self.sessions.len();
        let (key, token) = (format!("ASIAEXAMPLE{number:05}"), format!("token-{number}"));
        let end = (crate::clock::now() + TimeDelta::seconds(self.lasts_secs))
            .to_rfc3339_opts(SecondsFormat::Secs, true);
        let said = format!(
            "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult>\
             <AssumedRoleUser><AssumedRoleId>AROA:keywatch</AssumedRoleId><Arn>{role}</Arn></AssumedRoleUser><Credentials>\
             <AccessKeyId>{key}</AccessKeyId><SecretAccessKey>secret</SecretAccessKey><SessionToken>{token}</SessionToken>\
             <Expiration>{end}</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>"
        );
        self.sessions.insert(key, Session { role, token, has_ended: false });
        xml(200, said)
    }
}

fn refuse(role: &str) -> Response {
    xml(
        403,
        format!(
            "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type><Code>AccessDenied</Code>\
             <Message>not authorized to perform: sts:AssumeRole on resource: {role}</Message></Error></ErrorResponse>"
        ),
    )
}

fn xml(status: u16, body: String) -> Response {
    Response::builder().status(status).header("content-type", "text/xml").body(Body::from(body)).unwrap()
}
