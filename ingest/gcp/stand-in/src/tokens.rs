//! Where tokens are issued: a workload identity federation's exchange, and impersonation.

use crate::{Door, Google};
use axum::Router;
use axum::body::Bytes;
use axum::extract::Path;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use serde_json::json;

pub(crate) fn routes(google: Google) -> Router {
    let impersonating = google.clone();
    Router::new().route("/sts", post(async move |body: Bytes| exchange(&google, &body))).route(
        "/iam/{account}",
        post(async move |Path(account): Path<String>, headers: HeaderMap| {
            impersonate(&impersonating, &account, &headers)
        }),
    )
}

/// RFC 8693: a token of the workload for one of Google's.
fn exchange(google: &Google, body: &[u8]) -> (StatusCode, String) {
    let body = String::from_utf8_lossy(body);
    google.with(|state| match &state.door {
        Door::Token(token) if !state.revoked && body.contains("subject_token=of-the-pod") => {
            let issued = "urn:ietf:params:oauth:token-type:access_token";
            let told = json!({"access_token": token, "issued_token_type": issued, "token_type": "Bearer", "expires_in": 3600});
            (StatusCode::OK, told.to_string())
        }
        Door::Open | Door::Token(_) | Door::Key(_) => (StatusCode::BAD_REQUEST, json!({"error": "invalid_grant"}).to_string()),
    })
}

/// `iamcredentials.generateAccessToken`: who has the source's token gets that of the account.
fn impersonate(google: &Google, account: &str, headers: &HeaderMap) -> (StatusCode, String) {
    let said = headers.get("authorization").and_then(|said| said.to_str().ok()).unwrap_or_default();
    let is_known = said == "Bearer of-the-source" && account.starts_with("reader@");
    google.with(|state| match &state.door {
        Door::Token(token) if is_known => {
            let told = json!({"accessToken": token, "expireTime": "2126-01-01T00:00:00Z"});
            (StatusCode::OK, told.to_string())
        }
        Door::Open | Door::Token(_) | Door::Key(_) => (
            StatusCode::FORBIDDEN,
            json!({"error": {"code": 403, "status": "PERMISSION_DENIED"}}).to_string(),
        ),
    })
}
