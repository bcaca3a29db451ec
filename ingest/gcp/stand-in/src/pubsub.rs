//! One Pub/Sub subscription: streaming pull, acknowledgements, leases, and messages that come again.

use crate::{Google, State};
use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Request};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::routing::{get, post};
use futures_util::stream::BoxStream;
use futures_util::{StreamExt, stream};
use googleapis_tonic_google_pubsub_v1::google::pubsub::v1 as wire;
use serde_json::json;
use std::collections::HashMap;
use std::time::{Duration, Instant};
use tonic::server::Grpc;
use tonic::{Code, Status, Streaming};
use tonic_prost::ProstCodec;
use tower::service_fn;

/// How often a stream looks for messages.
const TICK: Duration = Duration::from_millis(2);
/// Messages of one answer.
const ANSWER: usize = 20;

/// A message that is not acknowledged.
#[derive(Clone, Debug, Default)]
pub struct Message {
    /// What it carries.
    pub data: Vec<u8>,
    /// What is written on it.
    pub attributes: HashMap<String, String>,
    id: u64,
    deliveries: i32,
    /// On which stream it is out, and until when.
    lease: Option<(u64, Instant)>,
}

impl Message {
    /// A message that carries this.
    #[must_use]
    pub fn new(data: &str) -> Self {
        Self { data: data.as_bytes().to_vec(), ..Self::default() }
    }
}

macro_rules! unary {
    ($google:expr, $act:expr) => {{
        let google = $google.clone();
        post(async move |request: Request| {
            let service = service_fn(|asked: tonic::Request<_>| {
                let google = google.clone();
                async move { google.with(|state| enter(state, asked, $act)).map(tonic::Response::new) }
            });
            answer(Grpc::new(ProstCodec::default()).unary(service, request).await)
        })
    }};
}

pub(crate) fn routes(google: Google) -> Router {
    let acknowledge = unary!(google, acknowledge);
    let modify = unary!(google, modify);
    let looking = google.clone();
    Router::new()
        .route("/google.pubsub.v1.Subscriber/Acknowledge", acknowledge)
        .route("/google.pubsub.v1.Subscriber/ModifyAckDeadline", modify)
        .route(
            "/v1/projects/{project}/subscriptions/{name}",
            get(async move |Path((project, name)): Path<(String, String)>, headers: HeaderMap| {
                see(&looking, &format!("projects/{project}/subscriptions/{name}"), &headers)
            }),
        )
        .route(
            "/google.pubsub.v1.Subscriber/StreamingPull",
            post(async move |request: Request| {
                let service = service_fn(|asked: tonic::Request<Streaming<wire::StreamingPullRequest>>| {
                    pull(google.clone(), asked)
                });
                answer(Grpc::new(ProstCodec::default()).streaming(service, request).await)
            }),
        )
}

fn answer(response: tonic::codegen::http::Response<tonic::body::Body>) -> Response {
    response.map(Body::new)
}

fn enter<A, B>(
    state: &mut State,
    asked: tonic::Request<A>,
    act: fn(&mut State, A) -> Result<B, Status>,
) -> Result<B, Status> {
    let (headers, _, asked) = asked.into_parts();
    if !state.lets_in(&headers.into_headers()) {
        return Err(Status::unauthenticated("Request had invalid authentication credentials."));
    }
    act(state, asked)
}

#[expect(clippy::unnecessary_wraps, reason = "others may fail")]
fn acknowledge(state: &mut State, asked: wire::AcknowledgeRequest) -> Result<(), Status> {
    for ack in asked.ack_ids {
        state.acks += 1;
        let lost = state.faults.ack_lost;
        if !state.chance.happens(lost) {
            state.messages.retain(|message| Some(message.id) != number(&ack));
        }
        // What was lost comes again.
        let lost = state.messages.iter_mut().filter(|message| Some(message.id) == number(&ack));
        lost.for_each(|message| message.lease = None);
    }
    Ok(())
}

#[expect(clippy::unnecessary_wraps, reason = "others may fail")]
fn modify(state: &mut State, asked: wire::ModifyAckDeadlineRequest) -> Result<(), Status> {
    let lasts = Duration::from_secs(u64::try_from(asked.ack_deadline_seconds).unwrap_or(0));
    for ack in asked.ack_ids {
        if lasts.is_zero() {
            state.nacks += 1;
        } else {
            state.extended += 1;
        }
        for message in state.messages.iter_mut().filter(|message| Some(message.id) == number(&ack)) {
            message.lease = message
                .lease
                .filter(|_| !lasts.is_zero())
                .map(|(stream, _)| (stream, Instant::now() + lasts));
        }
    }
    Ok(())
}

/// `subscriptions.get`, which Google's client asks over REST.
fn see(google: &Google, name: &str, headers: &HeaderMap) -> (StatusCode, String) {
    google.with(|state| {
        if !state.lets_in(headers) {
            let error = json!({"error": {"code": 401, "status": "UNAUTHENTICATED", "message": "no"}});
            return (StatusCode::UNAUTHORIZED, error.to_string());
        }
        if state.estate.forbidden.contains(name) {
            let error = json!({"error": {"code": 403, "status": "PERMISSION_DENIED", "message": "no"}});
            return (StatusCode::FORBIDDEN, error.to_string());
        }
        if state.subscription.as_deref() != Some(name) {
            let error =
                json!({"error": {"code": 404, "status": "NOT_FOUND", "message": "Resource not found"}});
            return (StatusCode::NOT_FOUND, error.to_string());
        }
        let policy = json!({"deadLetterTopic": "projects/p/topics/dead", "maxDeliveryAttempts": 5});
        let policy = state.has_dead_letters.then_some(policy);
        let mut answer = state.estate.subscription.clone();
        answer.insert("name".to_owned(), name.into());
        answer.insert("deadLetterPolicy".to_owned(), json!(policy));
        (StatusCode::OK, serde_json::Value::Object(answer).to_string())
    })
}

/// The number of the message an acknowledgement is for.
fn number(ack: &str) -> Option<u64> {
    ack.split('-').next()?.parse().ok()
}

/// A stream that is open.
struct Pull {
    google: Google,
    number: u64,
    outstanding: usize,
    lease: Duration,
    /// What the client goes on to say; it is held so that the stream stays open.
    _asking: Streaming<wire::StreamingPullRequest>,
}

impl Drop for Pull {
    /// What was out on the stream comes again at once. Google waits for the lease to end.
    fn drop(&mut self) {
        let number = self.number;
        self.google.with(|state| {
            for message in
                state.messages.iter_mut().filter(|message| message.lease.is_some_and(|(on, _)| on == number))
            {
                message.lease = None;
            }
        });
    }
}

type Answers = BoxStream<'static, Result<wire::StreamingPullResponse, Status>>;

async fn pull(
    google: Google,
    asked: tonic::Request<Streaming<wire::StreamingPullRequest>>,
) -> Result<tonic::Response<Answers>, Status> {
    let (headers, _, mut asking) = asked.into_parts();
    if !google.with(|state| state.lets_in(&headers.into_headers())) {
        return Err(Status::unauthenticated("Request had invalid authentication credentials."));
    }
    let first = asking.next().await.ok_or_else(|| Status::invalid_argument("nothing was asked"))??;
    if google.with(|state| state.subscription.as_deref() != Some(&*first.subscription)) {
        return Err(Status::not_found("Resource not found"));
    }
    let pull = Pull {
        number: google.with(State::number),
        google,
        outstanding: usize::try_from(first.max_outstanding_messages).unwrap_or(usize::MAX),
        lease: Duration::from_secs(u64::try_from(first.stream_ack_deadline_seconds).unwrap_or(10)),
        _asking: asking,
    };
    // The first answer says that the stream is open.
    let opened = stream::once(async { Ok(wire::StreamingPullResponse::default()) });
    let rest = stream::unfold(Some(pull), async |pull| {
        let pull = pull?;
        loop {
            match pull.google.with(|state| state.take(&pull)) {
                Ok(answer) if answer.received_messages.is_empty() => tokio::time::sleep(TICK).await,
                Ok(answer) => return Some((Ok(answer), Some(pull))),
                Err(status) => return Some((Err(status), None)),
            }
        }
    });
    Ok(tonic::Response::new(opened.chain(rest).boxed()))
}

impl State {
    /// What a stream gets now.
    fn take(&mut self, pull: &Pull) -> Result<wire::StreamingPullResponse, Status> {
        if self.revoked {
            return Err(Status::unauthenticated("Request had invalid authentication credentials."));
        }
        let now = Instant::now();
        for message in &mut self.messages {
            message.lease = message.lease.filter(|(_, end)| *end > now);
        }
        let is_out = |message: &&Message| message.lease.is_some_and(|(on, _)| on == pull.number);
        let out = self.messages.iter().filter(is_out).count();
        let room = pull.outstanding.saturating_sub(out).min(ANSWER);
        let doubled = self.faults.doubled;
        let mut answer = wire::StreamingPullResponse::default();
        for at in 0..self.messages.len() {
            let is_again = self.chance.happens(doubled);
            let Some(message) = self.messages.get_mut(at) else { break };
            if message.id == 0 {
                self.next += 1;
                message.id = self.next;
            }
            if answer.received_messages.len() >= room || (message.lease.is_some() && !is_again) {
                continue;
            }
            message.deliveries += 1;
            message.lease = Some((pull.number, now + pull.lease));
            answer.received_messages.push(message.wire(self.has_dead_letters));
        }
        self.out_max = self.out_max.max(out + answer.received_messages.len());
        let (throttled, failed) = (self.faults.throttled, self.faults.failed);
        let is_sending = !answer.received_messages.is_empty();
        if is_sending && self.chance.happens(throttled) {
            return Err(Status::new(Code::ResourceExhausted, "quota"));
        }
        if is_sending && self.chance.happens(failed) {
            return Err(Status::unavailable("the stream was pulled away"));
        }
        Ok(answer)
    }
}

impl Message {
    fn wire(&self, counts: bool) -> wire::ReceivedMessage {
        wire::ReceivedMessage {
            ack_id: format!("{}-{}", self.id, self.deliveries),
            delivery_attempt: if counts { self.deliveries } else { 0 },
            message: Some(wire::PubsubMessage {
                data: self.data.clone(),
                attributes: self.attributes.clone(),
                message_id: self.id.to_string(),
                ..wire::PubsubMessage::default()
            }),
        }
    }
}
