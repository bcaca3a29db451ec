//! Azure Event Grid: its handshakes, CloudEvents, and the token in the address.
//!
//! CloudEvents ask with OPTIONS (CloudEvents webhooks 1.0, 4.1); Event Grid's own schema sends an
//! event that wants its code back.

use super::Desk;
use super::admission::shown;
use super::answer::{Answer, Refused};
use super::body;
use axum::extract::{Request, State};
use axum::http::HeaderMap;
use std::sync::Arc;

#[derive(serde::Deserialize)]
struct Validation {
    #[serde(rename = "eventType", default)]
    event_type: String,
    #[serde(default)]
    data: Code,
}

#[derive(Default, serde::Deserialize)]
struct Code {
    #[serde(rename = "validationCode", default)]
    code: String,
}

/// Consents to be sent events. Nothing is given away: who sends them must show the token.
pub(super) async fn consent(headers: HeaderMap) -> Result<Answer, Refused> {
    let origin = headers.get("webhook-request-origin").cloned();
    origin.map(Answer::Consent).ok_or(Refused::Bad("`WebHook-Request-Origin` is missing"))
}

/// Events, or the question whether this address wants them.
pub(super) async fn receive(State(desk): State<Arc<Desk>>, request: Request) -> Result<Answer, Refused> {
    let work = async {
        let _slot = desk.slots.try_acquire().map_err(|_full| Refused::Busy)?;
        // Event Grid can be told of headers, or of an address with a token in it.
        let query = request.uri().query().unwrap_or_default().to_owned();
        let in_query = url::form_urlencoded::parse(query.as_bytes())
            .find(|(key, _)| key == "token")
            .map(|(_, value)| value.into_owned());
        match (shown(request.headers()), in_query) {
            (None, Some(token)) => desk.keys.check_text(&token, &desk.intake).await?,
            _ => desk.keys.check(request.headers(), &desk.intake).await?,
        }
        let asks =
            request.headers().get("aeg-event-type").is_some_and(|kind| kind == "SubscriptionValidation");
        let body = body::read(&desk, request).await?;
        if asks {
            return answer_question(&body);
        }
        Ok(Answer::Taken(desk.keep(&body).await?))
    };
    desk.answer(work.await)
}

fn answer_question(body: &[u8]) -> Result<Answer, Refused> {
    let wrong = Refused::Bad("this is no validation of a subscription");
    let events: Vec<Validation> = serde_json::from_slice(body).map_err(|_error| wrong.clone())?;
    let event = events.into_iter().next().ok_or_else(|| wrong.clone())?;
    if event.event_type != "Microsoft.EventGrid.SubscriptionValidationEvent" || event.data.code.is_empty() {
        return Err(wrong);
    }
    Ok(Answer::Said(serde_json::json!({"validationResponse": event.data.code}).to_string()))
}
