//! What every request passes before a page sees it, and every response before it leaves.
//!
//! In this order: the host named, the origin of changing requests, the session. A new route is
//! behind all three without doing anything; only [`PUBLIC`] is open. No response leaves without
//! the security headers, errors included.

use crate::app::{App, Shared};
use crate::failure::Failure;
use crate::routes::probes;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::net::IpAddr;
use std::time::Duration;

/// Longest a request may take, its body included.
const REQUEST_MAX: Duration = Duration::from_secs(30);

/// Paths that need no session.
const PUBLIC: [&str; 3] = ["/login", "/static/keywatch.css", "/static/favicon.svg"];

/// The headers of every response (OWASP ASVS 5.0, V3.4).
const HEADERS: [(HeaderName, &str); 6] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; \
         form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    (header::STRICT_TRANSPORT_SECURITY, "max-age=31536000"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::CACHE_CONTROL, "no-store"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_FRAME_OPTIONS, "DENY"),
];

/// Puts [`HEADERS`] on a response.
pub(crate) async fn headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Lets a request through or answers it.
pub(crate) async fn guard(State(app): State<Shared>, mut request: Request, next: Next) -> Response {
    if let Err(failure) = admit(&app, &mut request) {
        return failure.into_response();
    }
    let answer = tokio::time::timeout(REQUEST_MAX, next.run(request)).await;
    answer.unwrap_or_else(|_| Failure::Slow.into_response())
}

fn admit(app: &App, request: &mut Request) -> Result<(), Failure> {
    let path = request.uri().path();
    if probes::PATHS.contains(&path) {
        // Asked by address or by container name, and readable by whoever reaches the port.
        return Ok(());
    }
    let host = host(request.uri(), request.headers())?;
    if !is_ours(&host, &app.options.hosts) {
        return Err(Failure::Host(host));
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        check_origin(request.headers(), &host)?;
    }
    if PUBLIC.contains(&path) {
        return Ok(());
    }
    let now = app.now();
    let who = cookies(request.headers(), app.cookie_name()).find_map(|it| app.sessions().touch(it, now));
    let who = who.ok_or_else(|| Failure::SignedOut { again: again(request.uri(), request.headers()) })?;
    request.extensions_mut().insert(who);
    Ok(())
}

/// The values of every cookie called `name`.
pub(crate) fn cookies<'h>(headers: &'h HeaderMap, name: &'h str) -> impl Iterator<Item = &'h str> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    let pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.filter(move |(known, _)| *known == name).map(|(_, value)| value)
}

/// The host the request names, with its port.
fn host(uri: &Uri, headers: &HeaderMap) -> Result<String, Failure> {
    if let Some(authority) = uri.authority() {
        return Ok(authority.as_str().to_ascii_lowercase());
    }
    let mut named = headers.get_all(header::HOST).iter();
    match (named.next().and_then(|host| host.to_str().ok()), named.next()) {
        (Some(host), None) if !host.is_empty() => Ok(host.to_ascii_lowercase()),
        _ => Err(Failure::NoHost),
    }
}

/// Whether the host is loopback or configured. A page elsewhere whose name is made to resolve to
/// this machine (DNS rebinding) still sends its own name.
fn is_ours(host: &str, configured: &[String]) -> bool {
    let without_port = host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()));
    let name = without_port.map_or(host, |(name, _)| name);
    let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    let loopback = bare.parse::<IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback());
    loopback || name == "localhost" || configured.iter().any(|known| known.eq_ignore_ascii_case(name))
}

/// Refuses a changing request another site caused. `Sec-Fetch-Site` decides where browsers send
/// it; `Origin` may be `null` even for our own forms, because pages send no referrer
/// (Fetch, "append a request Origin header"), and then the form's token decides alone.
fn check_origin(headers: &HeaderMap, host: &str) -> Result<(), Failure> {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    match (text("sec-fetch-site"), text("origin")) {
        (Some(site), _) if site != "same-origin" => Err(Failure::CrossSite),
        (_, None | Some("null")) => Ok(()),
        (_, Some(origin)) => {
            let from = origin.split_once("://").map(|(_, from)| from.to_ascii_lowercase());
            if from.as_deref() == Some(host) { Ok(()) } else { Err(Failure::CrossSite) }
        }
    }
}

/// The page asked for, when the request came over from another site: a `SameSite=Strict` cookie
/// stays behind then, and comes along once somebody follows a link on our own page.
fn again(uri: &Uri, headers: &HeaderMap) -> Option<String> {
    let site = headers.get("sec-fetch-site")?.to_str().ok()?;
    let path = uri.path_and_query()?.as_str();
    let local = path.starts_with('/') && !path.starts_with("//") && !path.contains('\\');
    (matches!(site, "cross-site" | "same-site") && local).then(|| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_host(host: &str, want: bool) {
        assert_eq!(is_ours(host, &["keywatch.example.org".to_owned()]), want, "{host}");
    }

    #[test]
    fn only_loopback_and_configured_names_are_ours() {
        check_host("127.0.0.1:8080", true);
        check_host("127.0.0.1", true);
        check_host("localhost:1", true);
        check_host("[::1]:8080", true);
        check_host("keywatch.example.org:443", true);
        check_host("keywatch.example.org", true);
        check_host("evil.example", false);
        check_host("localhost.evil.example", false);
        check_host("127.0.0.1.evil.example:80", false);
        check_host("192.0.2.1:8080", false);
        check_host("keywatch.example.org:443@evil.example", false);
        check_host("", false);
    }

    #[track_caller]
    fn check_from(site: Option<&str>, origin: Option<&str>, want: bool) {
        let mut headers = HeaderMap::new();
        for (name, value) in [("sec-fetch-site", site), ("origin", origin)] {
            if let Some(value) = value {
                headers.insert(name, value.parse().unwrap());
            }
        }
        assert_eq!(check_origin(&headers, "127.0.0.1:80").is_ok(), want, "{site:?} {origin:?}");
    }

    #[test]
    fn a_changing_request_of_another_site_is_refused() {
        check_from(Some("same-origin"), Some("null"), true);
        check_from(Some("same-origin"), Some("http://127.0.0.1:80"), true);
        check_from(None, Some("http://127.0.0.1:80"), true);
        check_from(None, None, true);
        check_from(Some("cross-site"), None, false);
        check_from(Some("same-site"), Some("http://127.0.0.1:80"), false);
        check_from(Some("none"), None, false);
        check_from(None, Some("http://127.0.0.1:81"), false);
        check_from(None, Some("https://evil.example"), false);
        check_from(Some("same-origin"), Some("http://evil.example"), false);
    }

    #[test]
    fn the_way_back_never_leaves_this_site() {
        let mut headers = HeaderMap::new();
        headers.insert("sec-fetch-site", HeaderValue::from_static("cross-site"));
        let back = |path: &str| again(&path.parse().unwrap(), &headers);
        assert_eq!(back("/alerts/x?y=1").as_deref(), Some("/alerts/x?y=1"));
        assert_eq!(back("//evil.example/"), None);
    }
}
