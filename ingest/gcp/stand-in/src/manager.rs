//! Resource Manager's policies and ancestors, sinks and log buckets: what is asked about how entries are
//! logged.

use crate::{Google, State};
use axum::Router;
use axum::body::Body;
use axum::extract::Path;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::routing::get;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// How entries are logged and routed.
#[derive(Debug, Default)]
pub struct Estate {
    /// Policies by resource: `projects/P`.
    pub policies: BTreeMap<String, Value>,
    /// What is above a resource.
    pub parents: BTreeMap<String, String>,
    /// Sinks by resource.
    pub sinks: BTreeMap<String, Vec<Value>>,
    /// What the subscription is set up like, besides its name and its dead-letter topic.
    pub subscription: serde_json::Map<String, Value>,
    /// Days the log buckets `_Default` keep entries.
    pub retention_days: u32,
    /// Resources nobody may look at.
    pub forbidden: BTreeSet<String>,
}

pub(crate) fn routes(google: &Google) -> Router {
    let [nodes, policies, routes, buckets] = std::array::from_fn(|_| Google::clone(google));
    let node = async move |headers: HeaderMap, Path((kind, id)): Path<(String, String)>| {
        nodes.told(&headers, &format!("{kind}/{id}"), |state, name| {
            let parent = state.estate.parents.get(name).cloned().unwrap_or_default();
            Some(json!({"name": name, "parent": parent}))
        })
    };
    let policy = async move |headers: HeaderMap, Path((kind, id)): Path<(String, String)>| {
        let Some(id) = id.strip_suffix(":getIamPolicy") else { return refuse(404, "NOT_FOUND") };
        policies.told(&headers, &format!("{kind}/{id}"), |state, name| {
            Some(state.estate.policies.get(name).cloned().unwrap_or(json!({"etag": "BwX="})))
        })
    };
    let sinks = async move |headers: HeaderMap, Path((kind, id)): Path<(String, String)>| {
        routes.told(&headers, &format!("{kind}/{id}"), |state, name| {
            Some(json!({"sinks": state.estate.sinks.get(name).cloned().unwrap_or_default()}))
        })
    };
    let bucket = async move |headers: HeaderMap, Path((kind, id)): Path<(String, String)>| {
        buckets.told(&headers, &format!("{kind}/{id}"), |state, _name| {
            Some(json!({"retentionDays": state.estate.retention_days}))
        })
    };
    Router::new()
        .route("/v3/{kind}/{id}", get(node).post(policy))
        .route("/v2/{kind}/{id}/sinks", get(sinks))
        .route("/v2/{kind}/{id}/locations/global/buckets/_Default", get(bucket))
}

impl Google {
    fn told(
        &self,
        headers: &HeaderMap,
        name: &str,
        tell: impl Fn(&State, &str) -> Option<Value>,
    ) -> Response {
        let mut state = self.lock();
        if !state.lets_in(headers) {
            return refuse(401, "UNAUTHENTICATED");
        }
        if state.estate.forbidden.contains(name) {
            return refuse(403, "PERMISSION_DENIED");
        }
        match tell(&state, name) {
            Some(answer) => Response::new(Body::from(answer.to_string())),
            None => refuse(404, "NOT_FOUND"),
        }
    }
}

fn refuse(code: u16, status: &str) -> Response {
    let body = json!({"error": {"code": code, "message": "no", "status": status}}).to_string();
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::from_u16(code).unwrap();
    response
}
