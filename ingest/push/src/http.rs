//! Records that are POSTed: NDJSON and arrays, OpenBao's http device, Pub/Sub, SNS, EventBridge,
//! Event Grid.
//!
//! A request is answered with success once its records are on disk, a few milliseconds after it
//! came. What cannot be kept is answered with 503 and when to come again.

mod admission;
mod answer;
mod body;
mod certificate;
mod event_grid;
mod fetch;
mod pubsub;
mod serve;
mod sns;
#[cfg(test)]
mod tests;

use crate::device::bind;
use crate::intake::{Intake, Packed};
use crate::spool::{Parcel, Refusal};
use crate::tls::Tls;
use admission::Keys;
use answer::{Answer, Refused};
use axum::Router;
use axum::extract::{Request, State};
use axum::routing::{get, post};
use ipnet::IpNet;
use keywatch_secrets::{SecretManager, SecretRef};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use url::Url;

/// KiB that bodies of all requests may take, as they came and expanded: 256 MiB.
const ROOM_KIB: usize = 256 << 10;

/// Where records are POSTed to, and by whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Http {
    /// The address to listen at.
    pub listen: SocketAddr,
    /// TLS, unless a proxy does that.
    pub tls: Option<Tls>,
    /// From where connections are taken; from anywhere when empty.
    pub networks: Vec<IpNet>,
    /// What senders show as a bearer token or API key: any of these, so that one can take the
    /// other's place.
    pub tokens: Vec<SecretRef>,
    /// Pub/Sub's push subscriptions.
    pub pub_sub: Option<PubSub>,
    /// SNS's HTTPS subscriptions.
    pub sns: Option<Sns>,
    /// Largest body, as it comes.
    pub body_bytes_max: u64,
    /// Requests that are worked on at once.
    pub requests_max: usize,
}

/// Who Pub/Sub's tokens must be for, and from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PubSub {
    /// The audience of the subscription.
    pub audience: String,
    /// The service account that signs for the subscription.
    pub email: String,
    /// Where Google's public keys are.
    pub keys: Url,
}

impl PubSub {
    /// Google's public keys, as JWKS.
    pub const KEYS: &'static str = "https://www.googleapis.com/oauth2/v3/certs";
}

/// Which topics are believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sns {
    /// ARNs of the topics. Anybody can have a topic that SNS signs for.
    pub topics: Vec<String>,
    /// An address on loopback that stands in for AWS's, for compatible services and tests.
    pub endpoint: Option<Url>,
}

/// What all requests share.
struct Desk {
    intake: Intake,
    keys: Keys,
    pub_sub: Option<pubsub::Checker>,
    sns: Option<sns::Checker>,
    body_bytes_max: u64,
    slots: Semaphore,
    room: Arc<Semaphore>,
}

/// Listens, as a task that never ends by itself.
pub(crate) fn listen(http: Http, secrets: &SecretManager, intake: &Intake, tasks: &mut JoinSet<()>) {
    let desk = Desk {
        keys: Keys::new(http.tokens.clone(), secrets.clone()),
        pub_sub: http.pub_sub.clone().map(pubsub::Checker::new),
        sns: http.sns.clone().map(sns::Checker::new),
        body_bytes_max: http.body_bytes_max,
        slots: Semaphore::new(http.requests_max),
        room: Arc::new(Semaphore::new(ROOM_KIB)),
        intake: intake.clone(),
    };
    let (router, intake) = (router(Arc::new(desk)), intake.clone());
    tasks.spawn(async move {
        let what = format!("http {}", http.listen);
        let listener = bind(&what, &intake, || TcpListener::bind(http.listen)).await;
        serve::serve(listener, router, (http.tls, http.networks), intake).await;
    });
}

fn router(desk: Arc<Desk>) -> Router {
    Router::new()
        .route("/v1/events", post(events))
        .route("/v1/vault", post(vault))
        .route("/v1/pubsub", post(pubsub::receive))
        .route("/v1/sns", post(sns::receive))
        .route("/v1/event-grid", post(event_grid::receive).options(event_grid::consent))
        .route("/healthz", get(async || "ok\n"))
        .fallback(async || Refused::NoSuchPath)
        .method_not_allowed_fallback(async || Refused::NoSuchMethod)
        .with_state(desk)
}

impl Desk {
    /// Writes a message to disk.
    async fn keep(&self, message: &[u8]) -> Result<Packed, Refused> {
        let mut parcel = Parcel::default();
        let packed = self.intake.pack(message, &mut parcel);
        self.intake.door.write(parcel).await.map_err(Refused::NoRoom)?;
        Ok(packed)
    }

    /// An answer; what it refuses is counted.
    fn answer(&self, outcome: Result<Answer, Refused>) -> Result<Answer, Refused> {
        if let Err(why) = &outcome {
            self.intake.refuse(why.reason());
        }
        outcome
    }
}

/// Anything: records, arrays of them, lines of them, envelopes.
async fn events(State(desk): State<Arc<Desk>>, request: Request) -> Result<Answer, Refused> {
    let work = async {
        let _slot = desk.slots.try_acquire().map_err(|_full| Refused::Busy)?;
        desk.keys.check(request.headers(), &desk.intake).await?;
        let body = body::read(&desk, request).await?;
        Ok(Answer::Taken(desk.keep(&body).await?))
    };
    desk.answer(work.await)
}

/// OpenBao's http device, which fails the request it audits when it is refused: what there is no
/// room for is dropped and counted, and it is told that all is well.
async fn vault(State(desk): State<Arc<Desk>>, request: Request) -> Result<Answer, Refused> {
    let work = async {
        desk.keys.check(request.headers(), &desk.intake).await?;
        let body = body::read(&desk, request).await?;
        let mut parcel = Parcel::default();
        let packed = desk.intake.pack(&body, &mut parcel);
        let count = parcel.count();
        match desk.intake.door.write(parcel).await {
            Ok(()) => Ok(Answer::Taken(packed)),
            Err(Refusal::Closed) => Err(Refused::NoRoom(Refusal::Closed)),
            Err(why) => {
                desk.intake.door.lose(count, why);
                Ok(Answer::Dropped)
            }
        }
    };
    desk.answer(work.await)
}
