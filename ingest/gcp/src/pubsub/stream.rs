//! The stream of a subscription, opened again when it breaks, and a look at the subscription.
//!
//! Google's client opens a stream again by itself after trouble it takes for passing, and says
//! nothing of it. So the subscription is asked for now and then: that says whether Pub/Sub answers.

use super::{OUTSTANDING_BYTES, Settings};
use crate::access::Wallet;
use crate::failure::{Failure, Trouble};
use google_cloud_gax::retry_policy::NeverRetry;
use google_cloud_pubsub::client::{Subscriber, SubscriptionAdmin};
use google_cloud_pubsub::model::Message;
use google_cloud_pubsub::subscriber::ShutdownBehavior;
use google_cloud_pubsub::subscriber::handler::Handler;
use keywatch_event::Place;
use keywatch_ingest::source::{Backoff, Clock, Health};
use keywatch_ingest::{Batch, carrier};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

/// How long the subscription may take to answer.
const LOOK_TIMEOUT: Duration = Duration::from_secs(10);
/// From which delivery on a message that comes again is worth a word.
const DELIVERIES_MANY: i32 = 3;
/// What Pub/Sub writes on a message that it has set aside (cloud.google.com/pubsub/docs/handling-failures).
const SET_ASIDE_BY: &str = "CloudPubSubDeadLetterSourceSubscription";

/// Shared by the tasks of one source.
pub(super) struct Desk {
    pub(super) wallet: Wallet,
    pub(super) endpoint: Option<String>,
    pub(super) settings: Settings,
    pub(super) health: Health,
    pub(super) clock: Clock,
}

/// A message that was handed over. Hands it back when it is dropped before it was acknowledged.
#[derive(Debug)]
pub struct Receipt(Handler);

impl Receipt {
    pub(super) fn ack(self) {
        self.0.ack();
    }
}

impl Desk {
    fn fails(&self, part: &str, failure: &Failure) {
        self.health.fails(part, self.explain(part, failure), (self.clock)());
    }

    /// What failed and how to mend it.
    pub(super) fn explain(&self, part: &str, failure: &Failure) -> String {
        let remedy = match failure.trouble {
            Trouble::Denied => {
                "grant roles/pubsub.subscriber on the subscription to the identity Keywatch has"
            }
            Trouble::Missing => {
                "create it: gcloud pubsub subscriptions create SUBSCRIPTION --topic=TOPIC, see docs/sources/gcp.md"
            }
            Trouble::Credentials | Trouble::Throttled | Trouble::Invalid | Trouble::Unavailable => {
                failure.remedy()
            }
        };
        format!("the Pub/Sub {part} of {} failed: {}; {remedy}", self.settings.subscription, failure.said)
    }
}

/// Pulls until nobody takes what comes.
pub(super) async fn pull(desk: Arc<Desk>, into: mpsc::Sender<(Batch, Receipt)>) {
    let mut backoff = Backoff::new(desk.settings.retry_first, 11);
    loop {
        let ended = match subscriber(&desk).await {
            Ok(client) => run(&desk, &client, &into, &mut backoff).await,
            Err(failure) => Some(failure),
        };
        let Some(failure) = ended else { return };
        if failure.trouble == Trouble::Credentials {
            desk.wallet.forget().await;
        }
        desk.fails("pull", &failure);
        sleep(backoff.wait()).await;
    }
}

async fn subscriber(desk: &Desk) -> Result<Subscriber, Failure> {
    let mut builder = Subscriber::builder().with_credentials(desk.wallet.credentials().await?);
    if let Some(endpoint) = &desk.endpoint {
        builder = builder.with_endpoint(endpoint);
    }
    let unbuilt = |error: google_cloud_gax::client_builder::Error| {
        Failure::new(Trouble::Unavailable, &error.to_string())
    };
    builder.build().await.map_err(unbuilt)
}

/// Hands messages over until the stream breaks for good, and why; `None` when nobody takes them.
async fn run(
    desk: &Desk,
    client: &Subscriber,
    into: &mpsc::Sender<(Batch, Receipt)>,
    backoff: &mut Backoff,
) -> Option<Failure> {
    let Settings { subscription, outstanding, lease, lease_max, .. } = &desk.settings;
    let mut stream = client
        .subscribe(subscription)
        .set_max_outstanding_messages(*outstanding)
        .set_max_outstanding_bytes(OUTSTANDING_BYTES)
        .set_max_lease_extension(*lease)
        .set_max_lease(*lease_max)
        .set_shutdown_behavior(ShutdownBehavior::NackImmediately)
        .build();
    let place: Arc<str> = format!("pubsub:{subscription}").into();
    loop {
        let next = tokio::select! {
            next = stream.next() => next,
            () = into.closed() => return None,
        };
        match next {
            Some(Ok((message, handler))) => {
                backoff.reset();
                desk.health.works("pull");
                tell(desk, &message, &handler);
                if into.send((open(&message, &place), Receipt(handler))).await.is_err() {
                    return None;
                }
            }
            Some(Err(error)) => return Some(Failure::of(&error)),
            None => return Some(Failure::new(Trouble::Unavailable, "the stream ended")),
        }
    }
}

fn open(message: &Message, place: &Arc<str>) -> Batch {
    let mut batch = Batch::default();
    let place = Place { name: Arc::clone(place), line: 1, record: 0 };
    carrier::open(&message.data, &place, &mut batch);
    batch
}

/// Says what a message tells of the subscription it came through.
fn tell(desk: &Desk, message: &Message, handler: &Handler) {
    if let Some(by) = message.attributes.get(SET_ASIDE_BY) {
        let text = format!(
            "{} carries messages that Pub/Sub had set aside for the subscription {by}; its readers failed on them",
            desk.settings.subscription
        );
        desk.health.warns("dead letters", Some(text));
    }
    if let Some(times) = handler.delivery_attempt().filter(|times| *times >= DELIVERIES_MANY) {
        let text = format!(
            "a message of {} came {times} times before it was acknowledged: commits take longer than leases, or somebody \
             else reads the same subscription; it is set aside when the subscription's limit is reached",
            desk.settings.subscription
        );
        desk.health.warns("deliveries", Some(text));
    }
}

/// Looks at the subscription now and then.
pub(super) async fn look(desk: Arc<Desk>) {
    loop {
        match see(&desk).await {
            Ok(has_dead_letters) => {
                desk.health.works("look");
                desk.health.warns("subscription", None);
                let text = format!(
                    "{} has no dead-letter topic: what cannot be committed comes again until its retention ends, and is then \
                     gone; give it one, see docs/sources/gcp.md",
                    desk.settings.subscription
                );
                desk.health.warns("dead-letter topic", (!has_dead_letters).then_some(text));
            }
            // Reading messages needs no right to look at the subscription.
            Err(failure) if failure.trouble == Trouble::Denied => {
                let text = format!(
                    "whether {} is well set up is not known: {}; grant roles/pubsub.viewer on it",
                    desk.settings.subscription, failure.said
                );
                desk.health.works("look");
                desk.health.warns("subscription", Some(text));
            }
            Err(failure) => desk.fails("look", &failure),
        }
        sleep(desk.settings.look).await;
    }
}

/// Whether the subscription has a dead-letter topic.
pub(super) async fn see(desk: &Desk) -> Result<bool, Failure> {
    let mut builder = SubscriptionAdmin::builder()
        .with_credentials(desk.wallet.credentials().await?)
        .with_retry_policy(NeverRetry);
    if let Some(endpoint) = &desk.endpoint {
        builder = builder.with_endpoint(endpoint);
    }
    let unbuilt = |error: google_cloud_gax::client_builder::Error| {
        Failure::new(Trouble::Unavailable, &error.to_string())
    };
    let client = builder.build().await.map_err(unbuilt)?;
    let asked = client.get_subscription().set_subscription(&desk.settings.subscription).send();
    let answer = timeout(LOOK_TIMEOUT, asked).await;
    let answer = answer.map_err(|_elapsed| Failure::new(Trouble::Unavailable, "Pub/Sub does not answer"))?;
    let found = answer.map_err(|error| Failure::of(&error))?;
    Ok(found.dead_letter_policy.is_some())
}
