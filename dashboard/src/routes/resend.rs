//! Sending again: a message that was given up, all of a receiver, or to a receiver that paused.

use crate::app::Shared;
use crate::failure::Failure;
use crate::form::{Fields, Sent};
use crate::session::SignedIn;
use axum::Extension;
use axum::extract::State;
use axum::response::Redirect;

/// `POST /deliveries/replay`: one delivery by its number, or everything a receiver did not take.
pub(crate) async fn replay(
    State(app): State<Shared>,
    Extension(who): Extension<SignedIn>,
    fields: Fields,
) -> Result<Redirect, Failure> {
    let sent = Sent::read(fields, &who)?;
    let name = sent.who(&app, &who)?;
    let replayed = match sent.text("id") {
        "" => {
            let receiver = sent.need("receiver", "name a receiver, or the number of a delivery")?;
            app.store.replay_all(receiver, &name, app.now()).await?
        }
        text => {
            let problem = || "it is the number of a delivery".to_owned();
            let id = text.parse().ok();
            let id = id.ok_or_else(|| Failure::Field { name: "id", problem: problem() })?;
            u64::from(app.store.replay(id, &name, app.now()).await?)
        }
    };
    tracing::info!(who = name, replayed, "messages are sent again because somebody asked on the dashboard");
    (app.options.changed)();
    Ok(Redirect::to(&sent.back()))
}

/// `POST /deliveries/resume`: lets a paused receiver receive again.
pub(crate) async fn resume(
    State(app): State<Shared>,
    Extension(who): Extension<SignedIn>,
    fields: Fields,
) -> Result<Redirect, Failure> {
    let sent = Sent::read(fields, &who)?;
    let name = sent.who(&app, &who)?;
    let receiver = sent.need("receiver", "name a receiver")?;
    app.store.resume_receiver(receiver).await?;
    tracing::info!(who = name, receiver, "receiver resumed on the dashboard");
    (app.options.changed)();
    Ok(Redirect::to(&sent.back()))
}

#[cfg(test)]
mod tests {
    use crate::testing::{Bench, HOSTILE};
    use crate::text::encoded;
    use axum::http::StatusCode;
    use keywatch_store::{DeliveryFilter, DeliveryState, Page};

    async fn dead(bench: &Bench) -> usize {
        let filter = DeliveryFilter { state: Some(DeliveryState::DeadLetter), ..DeliveryFilter::default() };
        bench.store.deliveries(&filter, Page::first(9)).await.unwrap().rows.len()
    }

    #[tokio::test]
    async fn what_was_given_up_is_sent_again_from_the_page() {
        let bench = Bench::seeded().await;
        assert_eq!(dead(&bench).await, 1);
        let form = format!("receiver={}&who=Ada&back=/deliveries", encoded(HOSTILE));
        assert_eq!(bench.send("/deliveries/replay", &form).await.status, StatusCode::SEE_OTHER);
        assert_eq!(dead(&bench).await, 0);
        let history = bench.store.alert("alert-1").await.unwrap().unwrap().history;
        let asked = history.iter().find(|entry| entry.detail.starts_with("sent again to "));
        assert_eq!(asked.and_then(|entry| entry.who.as_deref()), Some("Ada"), "{history:?}");
        assert_eq!(bench.send("/deliveries/replay", "id=x&who=Ada").await.status, StatusCode::BAD_REQUEST);
        assert_eq!(bench.send("/deliveries/replay", "who=Ada").await.status, StatusCode::BAD_REQUEST);
    }

    #[tokio::test]
    async fn sending_again_and_resuming_need_the_token_of_the_page() {
        let bench = Bench::seeded().await;
        let cookie = [("cookie", bench.cookie.as_str())];
        for url in ["/deliveries/replay", "/deliveries/resume"] {
            assert_eq!(bench.post(url, "receiver=ops&id=1", &cookie).await.status, StatusCode::FORBIDDEN);
        }
        assert_eq!(bench.send("/deliveries/resume", "receiver=ops").await.status, StatusCode::BAD_REQUEST);
        let named = bench.send("/deliveries/resume", "receiver=ops&who=Ada").await;
        assert_eq!(named.status, StatusCode::SEE_OTHER);
    }
}
