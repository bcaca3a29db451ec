//! What holds for every page, whoever adds the next one.

use super::PAGES;
use crate::testing::{Answer, Bench, HOST, HOSTILE, READER, SECRET};
use crate::text::encoded;
use crate::{IDLE_MINUTES, LINK_MINUTES, Options, SESSION_HOURS};
use axum::http::{StatusCode, header};

const CSP: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                   img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

#[track_caller]
fn check_headers(url: &str, answer: &Answer) {
    for (name, want) in [
        ("content-security-policy", CSP),
        ("strict-transport-security", "max-age=31536000"),
        ("x-content-type-options", "nosniff"),
        ("cache-control", "no-store"),
        ("referrer-policy", "no-referrer"),
    ] {
        let got = answer.headers.get(name).map(|value| value.to_str().unwrap());
        assert_eq!(got, Some(want), "{name} of {url}");
    }
}

/// Every address a signed-in person can reach in the seeded history, hostile ids included.
fn addresses() -> Vec<String> {
    let hostile = encoded(HOSTILE);
    let mut urls =
        ["/", "/?last=all&status=all", "/events", "/secrets", "/principals", "/deliveries", "/silences"]
            .map(str::to_owned)
            .to_vec();
    urls.extend(
        ["/receivers", "/rejects", "/rejects/1", "/rejects/2", "/sources", "/rules"].map(str::to_owned),
    );
    urls.extend(["alert-1", "alert-hostile", "alert-gone"].map(|id| format!("/alerts/{id}")));
    urls.extend([&hostile, "aws%3adelete-1"].map(|id| format!("/events/{id}")));
    urls.extend([hostile.clone(), encoded(SECRET)].map(|id| format!("/secrets/{id}")));
    urls.extend([hostile.clone(), encoded(READER)].map(|id| format!("/principals/{id}")));
    urls.push(format!("/events?principal={hostile}"));
    urls.push(format!("/?last=all&rule={hostile}&principal={hostile}&secret={hostile}"));
    urls.push(format!("/secrets?search={hostile}"));
    urls.push(format!("/deliveries?receiver={hostile}"));
    urls
}

#[tokio::test]
async fn no_page_opens_without_a_session() {
    let bench = Bench::seeded().await;
    let cookies = ["", "keywatch_session=", "keywatch_session=00", "__Host-keywatch_session=0", "other=1"];
    for page in PAGES {
        for cookie in cookies {
            for method in ["GET", "POST", "DELETE"] {
                let url = page.replace("{id}", "1");
                let answer = bench.ask(Bench::request(method, &url, "", &[("cookie", cookie)])).await;
                assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{method} {url} {cookie}");
                assert!(answer.body.contains("restart Keywatch"), "{method} {url}");
                check_headers(&url, &answer);
            }
        }
    }
}

#[tokio::test]
async fn every_route_is_walked_by_these_tests() {
    let table = include_str!("mod.rs");
    let routes = table.lines().filter_map(|line| line.trim().strip_prefix(".route(\"")?.split('"').next());
    let public = ["/login", "/healthz", "/readyz", "/metrics", "/static/keywatch.css", "/static/favicon.svg"];
    for route in routes.map(|route| route.replace("{*id}", "{id}")) {
        assert!(PAGES.contains(&route.as_str()) || public.contains(&route.as_str()), "{route}");
    }
}

#[tokio::test]
async fn every_page_answers_with_the_security_headers() {
    let bench = Bench::seeded().await;
    for url in addresses() {
        let answer = bench.get(&url).await;
        assert_eq!(answer.status, StatusCode::OK, "{url}: {}", answer.body);
        check_headers(&url, &answer);
        let kind = answer.headers.get(header::CONTENT_TYPE).unwrap();
        assert_eq!(kind, "text/html; charset=utf-8", "{url}");
    }
    for url in ["/healthz", "/static/keywatch.css", "/static/favicon.svg", "/login", "/nowhere", "/rejects/9"]
    {
        check_headers(url, &bench.get(url).await);
    }
}

#[tokio::test]
async fn hostile_values_are_inert_on_every_page() {
    let bench = Bench::seeded().await;
    for url in addresses() {
        let body = bench.get(&url).await.body;
        for bad in ["<script", "\"onmouseover", "onmouseover='x'", "javascript:", " style=", " onclick="] {
            assert!(!body.contains(bad), "{bad} on {url}");
        }
        let hidden = body.chars().find(|&c| (c.is_control() && c != '\n' && c != '\t') || c == '\u{202e}');
        assert_eq!(hidden, None, "on {url}");
        assert_eq!(body.matches('\u{2066}').count(), 0, "{url}");
    }
}

#[tokio::test]
async fn hostile_values_are_shown_not_dropped() {
    let bench = Bench::seeded().await;
    let shown = "&#60;script&#62;alert(1)&#60;/script&#62;&#34;onmouseover=&#39;x&#39; \\u202e\\u2066\\u0000\\u001b[31m\\u000d";
    let hostile = encoded(HOSTILE);
    for url in [
        "/".to_owned(),
        "/events".to_owned(),
        "/secrets".to_owned(),
        "/principals".to_owned(),
        "/deliveries".to_owned(),
        "/rejects".to_owned(),
        "/rejects/1".to_owned(),
        "/sources".to_owned(),
        "/rules".to_owned(),
        "/alerts/alert-hostile".to_owned(),
        format!("/events/{hostile}"),
        format!("/secrets/{hostile}"),
        format!("/principals/{hostile}"),
    ] {
        let body = bench.get(&url).await.body.replace("<wbr>", "");
        assert!(body.contains(shown), "{url}\n{body}");
    }
}

#[tokio::test]
async fn pages_of_an_empty_history_name_the_next_command() {
    let bench = Bench::empty().await;
    for url in ["/", "/events", "/secrets", "/principals", "/deliveries", "/rejects", "/sources", "/rules"] {
        let answer = bench.get(url).await;
        assert_eq!(answer.status, StatusCode::OK, "{url}");
        assert!(answer.body.contains("<pre>keywatch "), "{url}");
    }
}

#[tokio::test]
async fn parameters_that_make_no_sense_are_named_with_400() {
    let bench = Bench::seeded().await;
    for (url, name) in [
        ("/?level=urgent", "level"),
        ("/?status=closed", "status"),
        ("/?last=2w", "last"),
        ("/?provider=ibm", "provider"),
        ("/?after=x", "after"),
        ("/events?class=secret.steal", "class"),
        ("/events?outcome=maybe", "outcome"),
        ("/events?since=yesterday", "since"),
        ("/events?since=2026-11-02&until=2026-11-01", "until"),
        ("/events?echoes=1", "echoes"),
        ("/events?levle=high", "levle"),
        ("/events?level=high&level=info", "level"),
        ("/secrets?q=x", "q"),
        ("/deliveries?state=lost", "state"),
        ("/rejects?after=1", "after"),
        ("/sources?x=1", "x"),
        ("/events/%ff", "id"),
    ] {
        let answer = bench.get(url).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{url}");
        assert!(answer.body.contains(&format!("Parameter {name}:")), "{url}: {}", answer.body);
        check_headers(url, &answer);
    }
}

#[tokio::test]
async fn what_does_not_exist_is_404_and_what_cannot_be_done_405() {
    let bench = Bench::seeded().await;
    for url in
        ["/nowhere", "/alerts/x", "/events/x", "/secrets/x", "/principals/x", "/rejects/x", "/rejects/99"]
    {
        let answer = bench.get(url).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{url}");
        check_headers(url, &answer);
    }
    for (method, url) in [("POST", "/"), ("DELETE", "/events"), ("PUT", "/rules"), ("GET", "/logout")] {
        let answer = bench.ask(Bench::request(method, url, "", &[("cookie", &bench.cookie)])).await;
        assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{method} {url}");
        check_headers(url, &answer);
    }
}

#[tokio::test]
async fn other_hosts_are_refused_before_anything_else() {
    let options = Options { hosts: vec!["keywatch.example.org".to_owned()], ..Options::default() };
    let bench = Bench::with(options, Vec::new()).await;
    for (host, want) in [
        (HOST, StatusCode::OK),
        ("localhost:9", StatusCode::OK),
        ("KEYWATCH.example.org", StatusCode::OK),
        ("evil.example", StatusCode::MISDIRECTED_REQUEST),
        ("127.0.0.1.evil.example:8080", StatusCode::MISDIRECTED_REQUEST),
        ("", StatusCode::BAD_REQUEST),
    ] {
        let request = Bench::request("GET", "/rules", "", &[("cookie", &bench.cookie), ("host", host)]);
        let answer = bench.ask(request).await;
        assert_eq!(answer.status, want, "{host}");
        check_headers(host, &answer);
    }
    let two = [("cookie", bench.cookie.as_str()), ("host", HOST), ("host", "evil.example")];
    assert_eq!(bench.ask(Bench::request("GET", "/", "", &two)).await.status, StatusCode::BAD_REQUEST);
    let alive = bench.ask(Bench::request("GET", "/healthz", "", &[("host", "10.0.0.1")])).await;
    assert_eq!((alive.status, alive.body.as_str()), (StatusCode::OK, "ok"));
}

#[tokio::test]
async fn a_session_ends_when_idle_and_after_twelve_hours() {
    let bench = Bench::empty().await;
    for _ in 0..(SESSION_HOURS * 60 / 29) {
        bench.advance(29);
        assert_eq!(bench.get("/rules").await.status, StatusCode::OK);
    }
    bench.advance(29);
    assert_eq!(bench.get("/rules").await.status, StatusCode::UNAUTHORIZED);

    let bench = Bench::empty().await;
    bench.advance(IDLE_MINUTES);
    assert_eq!(bench.get("/rules").await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_link_from_another_site_offers_the_page_again() {
    let bench = Bench::seeded().await;
    let headers = [("sec-fetch-site", "cross-site")];
    let answer = bench.ask(Bench::request("GET", "/alerts/alert-1?x=%22", "", &headers)).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert!(answer.body.contains("href=\"/alerts/alert-1?x=%22\""), "{}", answer.body);
    let answer = bench.ask(Bench::request("GET", "/alerts/alert-1", "", &[])).await;
    assert!(!answer.body.contains("/alerts/alert-1"));
}

#[tokio::test]
async fn a_login_link_expires() {
    let bench = Bench::empty().await;
    let link = bench.dashboard.login_link("http://127.0.0.1:8080").unwrap();
    let token = link.split_once("token=").unwrap().1.to_owned();
    bench.advance(LINK_MINUTES);
    let answer = bench.post("/login", &format!("token={token}"), &[]).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_history_that_cannot_be_read_is_500_and_says_nothing_of_the_inside() {
    let bench = Bench::seeded().await;
    bench.store.close().await.unwrap();
    for url in ["/", "/events", "/secrets", "/rejects", "/alerts/alert-1"] {
        let answer = bench.get(url).await;
        assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR, "{url}");
        for inside in ["keywatch.db", "sqlx", "SQLite", "pool"] {
            assert!(!answer.body.contains(inside), "{url}: {}", answer.body);
        }
        check_headers(url, &answer);
    }
}
