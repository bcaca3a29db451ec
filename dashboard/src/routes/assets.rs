//! What needs no session: the style sheet and the icon.

use axum::http::header;
use axum::response::{IntoResponse, Response};

/// The style sheet.
pub(crate) async fn style() -> Response {
    let text = include_str!("../../static/keywatch.css");
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], text).into_response()
}

/// The icon in the browser's tab.
pub(crate) async fn icon() -> Response {
    let text = include_str!("../../static/favicon.svg");
    ([(header::CONTENT_TYPE, "image/svg+xml")], text).into_response()
}

#[cfg(test)]
mod tests {
    use crate::testing::Bench;
    use axum::http::{StatusCode, header};

    #[tokio::test]
    async fn the_style_sheet_and_the_sign_of_life_need_no_session() {
        let bench = Bench::empty().await;
        let ask = async |url| bench.ask(Bench::request("GET", url, "", &[])).await;
        let style = ask("/static/keywatch.css").await;
        assert_eq!(style.headers.get(header::CONTENT_TYPE).unwrap(), "text/css; charset=utf-8");
        assert!(style.body.contains("prefers-color-scheme: dark"));
        assert!(!style.body.contains("http"), "nothing is fetched from elsewhere");
        assert_eq!(ask("/static/favicon.svg").await.status, StatusCode::OK);
        assert_eq!(ask("/healthz").await.body, "ok");
        assert_eq!(ask("/static/other").await.status, StatusCode::UNAUTHORIZED);
    }
}
