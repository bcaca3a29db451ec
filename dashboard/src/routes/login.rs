//! Signing in with a one-time link, and out.
//!
//! Opening the link changes nothing: programs that preview links would use it up. The button on
//! the page does. Wrong, used and expired links get one and the same answer.

use crate::app::{App, Shared};
use crate::failure::Failure;
use crate::form::{Fields, Sent};
use crate::guard::cookies;
use crate::page;
use crate::params::Params;
use crate::session::{Refused, SignedIn, is_token};
use askama::Template;
use axum::Extension;
use axum::extract::{Form, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Redirect, Response};

#[derive(Template)]
#[template(path = "login.html")]
struct LoginPage {
    token: String,
}

/// The page behind the link: one button. Nothing is checked or used up yet.
pub(crate) async fn form(uri: Uri) -> Result<Response, Failure> {
    let params = Params::read(&uri, &["token"])?;
    let token = params.owned("token").filter(|token| is_token(token));
    let token = token.ok_or(Failure::SignedOut { again: None })?;
    page::html(&LoginPage { token })
}

/// The button: uses up the link and opens a session under a new token.
pub(crate) async fn log_in(
    State(app): State<Shared>,
    headers: HeaderMap,
    fields: Fields,
) -> Result<Response, Failure> {
    let token = field(fields, "token")?;
    let now = app.now();
    let mut sessions = app.sessions();
    let session = sessions.log_in(&token, now).map_err(|refused| match refused {
        Refused::Wrong => Failure::WrongLogin,
        Refused::TooMany => Failure::TooManyLogins,
        Refused::Random(error) => Failure::Internal(error.to_string()),
    })?;
    for old in cookies(&headers, app.cookie_name()) {
        sessions.end(old);
    }
    drop(sessions);
    tracing::info!("somebody signed in to the dashboard with a login link");
    let cookie = [(header::SET_COOKIE, cookie(&app, &session, ""))];
    Ok((cookie, Redirect::to("/")).into_response())
}

/// Ends the session.
pub(crate) async fn log_out(
    State(app): State<Shared>,
    Extension(who): Extension<SignedIn>,
    headers: HeaderMap,
    fields: Fields,
) -> Result<Response, Failure> {
    Sent::read(fields, &who)?;
    let mut sessions = app.sessions();
    for old in cookies(&headers, app.cookie_name()) {
        sessions.end(old);
    }
    drop(sessions);
    let text = "This session is over. Restart Keywatch to get a new login link.";
    let page = page::notice(StatusCode::OK, "Signed out", text, None);
    Ok(([(header::SET_COOKIE, cookie(&app, "", "; Max-Age=0"))], page).into_response())
}

fn field(fields: Fields, name: &str) -> Result<String, Failure> {
    let Form(pairs) = fields.map_err(|rejection| Failure::Form(rejection.status()))?;
    let found = pairs.into_iter().find(|(known, _)| known == name);
    Ok(found.map(|(_, value)| value).unwrap_or_default())
}

fn cookie(app: &App, value: &str, more: &str) -> String {
    let secure = if app.options.https { "; Secure" } else { "" };
    format!("{}={value}; HttpOnly; SameSite=Strict; Path=/{secure}{more}", app.cookie_name())
}

#[cfg(test)]
mod tests {
    use crate::Options;
    use crate::testing::{Answer, Bench};
    use axum::http::{StatusCode, header};

    fn token(bench: &Bench) -> String {
        let link = bench.dashboard.login_link("http://127.0.0.1:8080").unwrap();
        link.strip_prefix("http://127.0.0.1:8080/login?token=").unwrap().to_owned()
    }

    fn cookie(answer: &Answer) -> &str {
        answer.headers.get(header::SET_COOKIE).unwrap().to_str().unwrap()
    }

    #[tokio::test]
    async fn opening_the_link_uses_nothing_up_and_the_button_works_once() {
        let bench = Bench::empty().await;
        let token = token(&bench);
        for _ in 0..3 {
            let page = bench.ask(Bench::request("GET", &format!("/login?token={token}"), "", &[])).await;
            assert_eq!(page.status, StatusCode::OK);
            assert!(page.body.contains(&format!("value=\"{token}\"")));
            assert!(page.headers.get(header::SET_COOKIE).is_none());
        }
        let form = format!("token={token}");
        let answer = bench.post("/login", &form, &[]).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER);
        let again = bench.post("/login", &form, &[]).await;
        assert_eq!(again.status, StatusCode::UNAUTHORIZED);
        assert!(again.headers.get(header::SET_COOKIE).is_none());
    }

    #[tokio::test]
    async fn the_session_cookie_is_out_of_reach_of_scripts_and_other_sites() {
        let bench = Bench::empty().await;
        let answer = bench.post("/login", &format!("token={}", token(&bench)), &[]).await;
        let (value, flags) = cookie(&answer).split_once("; ").unwrap();
        assert_eq!(flags, "HttpOnly; SameSite=Strict; Path=/");
        let value = value.strip_prefix("keywatch_session=").unwrap();
        assert!(crate::session::is_token(value));

        let bench = Bench::with(Options { https: true, ..Options::default() }, Vec::new()).await;
        let answer = bench.post("/login", &format!("token={}", token(&bench)), &[]).await;
        let (name, _) = cookie(&answer).split_once('=').unwrap();
        assert_eq!(name, "__Host-keywatch_session");
        assert!(cookie(&answer).ends_with("; HttpOnly; SameSite=Strict; Path=/; Secure"));
        assert_eq!(bench.get("/rules").await.status, StatusCode::OK);
    }

    #[tokio::test]
    async fn a_new_login_ends_the_session_it_replaces() {
        let bench = Bench::empty().await;
        let form = format!("token={}", token(&bench));
        let answer = bench.post("/login", &form, &[("cookie", &bench.cookie)]).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER);
        assert_eq!(bench.get("/rules").await.status, StatusCode::UNAUTHORIZED);
    }

    #[tokio::test]
    async fn the_sixth_wrong_login_in_a_minute_is_429() {
        let bench = Bench::empty().await;
        let wrong = format!("token={}", "0".repeat(64));
        for _ in 0..5 {
            assert_eq!(bench.post("/login", &wrong, &[]).await.status, StatusCode::UNAUTHORIZED);
        }
        assert_eq!(bench.post("/login", &wrong, &[]).await.status, StatusCode::TOO_MANY_REQUESTS);
        bench.advance(1);
        assert_eq!(bench.post("/login", &wrong, &[]).await.status, StatusCode::UNAUTHORIZED);
    }

    #[tokio::test]
    async fn wrong_used_and_malformed_tokens_look_the_same() {
        let bench = Bench::empty().await;
        let used = format!("token={}", token(&bench));
        bench.post("/login", &used, &[]).await;
        let wrong = format!("token={}", "0".repeat(64));
        let mut bodies = Vec::new();
        for form in [used.as_str(), wrong.as_str(), "token=%3Cscript%3E", ""] {
            bodies.push(bench.post("/login", form, &[]).await.body);
        }
        assert!(bodies.windows(2).all(|pair| pair[0] == pair[1]));
        let page = bench.ask(Bench::request("GET", "/login?token=%22%3E%3Cscript%3E", "", &[])).await;
        assert_eq!(page.status, StatusCode::UNAUTHORIZED);
        assert!(!page.body.contains("<script"));
    }

    #[tokio::test]
    async fn signing_out_needs_the_token_of_the_page_and_ends_the_session() {
        let bench = Bench::empty().await;
        let csrf = bench.csrf().await;
        let cookie = [("cookie", bench.cookie.as_str())];
        for form in ["", "csrf=", "csrf=0"] {
            assert_eq!(bench.post("/logout", form, &cookie).await.status, StatusCode::FORBIDDEN, "{form}");
        }
        assert_eq!(bench.get("/rules").await.status, StatusCode::OK);
        let answer = bench.post("/logout", &format!("csrf={csrf}"), &cookie).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert!(self::cookie(&answer).ends_with("; Max-Age=0"));
        assert_eq!(bench.get("/rules").await.status, StatusCode::UNAUTHORIZED);
    }

    #[tokio::test]
    async fn forms_of_another_site_change_nothing() {
        let bench = Bench::empty().await;
        let csrf = format!("csrf={}", bench.csrf().await);
        let login = format!("token={}", token(&bench));
        for foreign in [
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
            ("origin", "https://evil.example"),
            ("origin", "http://127.0.0.1:9999"),
        ] {
            let headers = [("cookie", bench.cookie.as_str()), foreign];
            for (url, form) in [("/logout", &csrf), ("/login", &login)] {
                let answer = bench.post(url, form, &headers).await;
                assert_eq!(answer.status, StatusCode::FORBIDDEN, "{url} {foreign:?}");
            }
        }
        assert_eq!(bench.get("/rules").await.status, StatusCode::OK);
        assert_eq!(bench.post("/login", &login, &[]).await.status, StatusCode::SEE_OTHER);
    }

    #[tokio::test]
    async fn only_small_forms_are_read() {
        let bench = Bench::empty().await;
        let login = format!("token={}", token(&bench));
        let plain = Bench::request("POST", "/login", &login, &[("content-type", "text/plain")]);
        assert_eq!(bench.ask(plain).await.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
        let long = format!("{login}&x={}", "a".repeat(20_000));
        assert_eq!(bench.post("/login", &long, &[]).await.status, StatusCode::PAYLOAD_TOO_LARGE);
        assert_eq!(bench.post("/login", &login, &[]).await.status, StatusCode::SEE_OTHER);
    }
}
