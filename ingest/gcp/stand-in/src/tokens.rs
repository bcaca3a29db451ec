//! Where tokens are issued: a workload identity federation's exchange, and impersonation.

use crate::{Door, Google};
use axum::Router;
use axum::body::Bytes;
use axum::extract::Path;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use serde_json::{Value, json};

/// What a federation is given where the door asks for somebody else's token.
const OF_THE_SOURCE: &str = "of-the-source";

pub(crate) fn routes(google: Google) -> Router {
    let impersonating = google.clone();
    Router::new().route("/sts", post(async move |body: Bytes| exchange(&google, &body))).route(
        "/v1/projects/-/serviceAccounts/{account}",
        post(async move |Path(account): Path<String>, headers: HeaderMap| {
            impersonate(&impersonating, &account, &headers)
        }),
    )
}

/// RFC 8693: a token of the workload for one of Google's.
fn exchange(google: &Google, body: &[u8]) -> (StatusCode, String) {
    let body = String::from_utf8_lossy(body);
    google.with(|state| {
        let token = match &state.door {
            Door::Token(token) => token,
            Door::Account { .. } => OF_THE_SOURCE,
            Door::Open | Door::Key(_) => return refused("invalid_grant"),
        };
        if state.revoked || !body.contains("subject_token=of-the-pod") {
            return refused("invalid_grant");
        }
        let issued = "urn:ietf:params:oauth:token-type:access_token";
        let told = json!({"access_token": token, "issued_token_type": issued, "token_type": "Bearer", "expires_in": 3600});
        (StatusCode::OK, told.to_string())
    })
}

fn refused(error: &str) -> (StatusCode, String) {
    (StatusCode::BAD_REQUEST, json!({"error": error}).to_string())
}

/// `iamcredentials.generateAccessToken`: who has the source's token gets that of the account.
fn impersonate(google: &Google, account: &str, headers: &HeaderMap) -> (StatusCode, String) {
    let said = headers.get("authorization").and_then(|said| said.to_str().ok()).unwrap_or_default();
    let asked = account.strip_suffix(":generateAccessToken");
    google.with(|state| {
        state.impersonated += 1;
        match &state.door {
            Door::Account { email, token }
                if asked == Some(email) && said.strip_prefix("Bearer ") == Some(OF_THE_SOURCE) =>
            {
                let told = json!({"accessToken": token, "expireTime": "2126-01-01T00:00:00Z"});
                (StatusCode::OK, told.to_string())
            }
            Door::Open | Door::Token(_) | Door::Key(_) | Door::Account { .. } => {
                (StatusCode::FORBIDDEN, denied().to_string())
            }
        }
    })
}

/// As iamcredentials says it.
fn denied() -> Value {
    json!({"error": {
        "code": 403, "status": "PERMISSION_DENIED",
        "message": "Permission 'iam.serviceAccounts.getAccessToken' denied on resource (or it may not exist).",
    }})
}
