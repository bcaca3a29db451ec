//! The button that has the configuration read again. What came of it stands on every page.

use crate::app::Shared;
use crate::failure::Failure;
use crate::form::{Fields, Sent};
use crate::session::SignedIn;
use axum::Extension;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};

/// Reloads the configuration, and goes to the rules when that was tried.
pub(crate) async fn reload(
    State(app): State<Shared>,
    Extension(who): Extension<SignedIn>,
    fields: Fields,
) -> Result<Response, Failure> {
    Sent::read(fields, &who)?;
    tracing::info!("somebody asked for the configuration to be reloaded");
    (app.options.reload)().await;
    Ok(Redirect::to("/rules").into_response())
}

#[cfg(test)]
mod tests {
    use crate::Options;
    use crate::testing::Bench;
    use axum::http::StatusCode;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[tokio::test]
    async fn only_the_form_of_a_signed_in_person_reloads() {
        let asked = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&asked);
        let reload: crate::Reload = Arc::new(move || {
            counter.fetch_add(1, Ordering::Relaxed);
            Box::pin(async {})
        });
        let bench = Bench::with(Options { reload, ..Options::default() }, Vec::new()).await;
        let cookie = [("cookie", bench.cookie.as_str())];
        assert_eq!(bench.post("/reload", "csrf=wrong", &cookie).await.status, StatusCode::FORBIDDEN);
        assert_eq!(bench.post("/reload", "", &[]).await.status, StatusCode::UNAUTHORIZED);
        assert_eq!(asked.load(Ordering::Relaxed), 0);
        let form = format!("csrf={}", bench.csrf().await);
        assert_eq!(bench.post("/reload", &form, &cookie).await.status, StatusCode::SEE_OTHER);
        assert_eq!(asked.load(Ordering::Relaxed), 1);
    }
}
