//! The Pub/Sub subscription of a log sink, pulled as a stream.
//!
//! A message holds one log entry. It is received, its record is committed, and only then is it
//! acknowledged; until then Google's client extends its lease. A message that is dropped on the way
//! out is handed back, and comes again; its event is known by its id. What cannot be read is stored
//! as a reject with its bytes and acknowledged as well: another delivery would bring the same bytes.
//!
//! How many messages are out at once is Pub/Sub's to keep: [`Settings::outstanding`] and
//! [`OUTSTANDING_BYTES`]; when that is reached, no more come until some are committed.

mod stream;

use crate::access::Access;
use crate::failure::Trouble;
use crate::feed;
use keywatch_ingest::Batch;
use keywatch_ingest::source::{Clock, Health, Live};
use keywatch_secrets::SecretManager;
use std::sync::Arc;
use std::time::Duration;
use stream::{Desk, Receipt};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// Bytes of messages that are out at once: 64 MiB, eight batches of the largest size. They lie in
/// memory twice at most, as messages and as batches.
pub const OUTSTANDING_BYTES: i64 = 64 << 20;

/// How a subscription is read. The defaults are those for Google Cloud.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// `projects/P/subscriptions/S`.
    pub subscription: String,
    /// Messages that are out at once.
    pub outstanding: u32,
    /// How far a lease is extended at a time, from 10 seconds to 10 minutes: after a crash messages
    /// come again so much later.
    pub lease: Duration,
    /// How long leases are extended before a message is left to come again.
    pub lease_max: Duration,
    /// First wait after the stream failed; doubles up to a minute.
    pub retry_first: Duration,
    /// How often the subscription's set-up is looked at.
    pub look: Duration,
}

impl Settings {
    /// The usual settings for a subscription.
    #[must_use]
    pub fn new(subscription: &str) -> Self {
        Self {
            subscription: subscription.to_owned(),
            outstanding: 10_000,
            lease: Duration::from_mins(1),
            lease_max: Duration::from_hours(1),
            retry_first: Duration::from_secs(1),
            look: Duration::from_mins(1),
        }
    }
}

/// A subscription, as a source.
pub struct Subscription {
    desk: Arc<Desk>,
    messages: mpsc::Receiver<(Batch, Receipt)>,
    tasks: JoinSet<()>,
}

impl Subscription {
    /// Looks at how a subscription is set up, and changes nothing; what was found, in words.
    ///
    /// # Errors
    /// What failed and how to mend it.
    pub async fn probe(
        (access, secrets): (&Access, &SecretManager),
        settings: Settings,
        clock: Clock,
    ) -> Result<String, String> {
        let (wallet, endpoint) = (access.open(secrets), access.endpoint.clone());
        let desk = Desk { wallet, endpoint, settings, health: Health::default(), clock };
        let name = &desk.settings.subscription;
        match stream::see(&desk).await {
            Ok(true) => Ok(format!("{name} is there, with a dead-letter topic")),
            Ok(false) => Ok(format!("{name} is there; it has no dead-letter topic")),
            // Reading messages needs no right to look at the subscription.
            Err(failure) if failure.trouble == Trouble::Denied => {
                Ok(format!("whether {name} is there is not known; grant roles/pubsub.viewer on it"))
            }
            Err(failure) => Err(desk.explain("look", &failure)),
        }
    }

    /// Starts pulling.
    #[must_use]
    pub fn start(
        (access, secrets): (&Access, &SecretManager),
        settings: Settings,
        (clock, health): (Clock, Health),
    ) -> Self {
        // As many as are out at once: the channel is never what is full.
        let (into, messages) = mpsc::channel(settings.outstanding.max(1) as usize);
        let endpoint = access.endpoint.clone();
        let desk = Arc::new(Desk { wallet: access.open(secrets), endpoint, settings, health, clock });
        let mut tasks = JoinSet::new();
        tasks.spawn(stream::pull(Arc::clone(&desk), into));
        tasks.spawn(stream::look(Arc::clone(&desk)));
        Self { desk, messages, tasks }
    }
}

impl Live for Subscription {
    type Receipt = Vec<Receipt>;

    async fn next(&mut self) -> (Batch, Vec<Receipt>) {
        loop {
            tokio::select! {
                Some(first) = self.messages.recv() => return feed::gather(first, &mut self.messages),
                Some(Err(error)) = self.tasks.join_next() => {
                    let text = format!("a part of the source broke: {error}; restart Keywatch, and report this");
                    self.desk.health.fails("source", text, (self.desk.clock)());
                }
                else => std::future::pending().await,
            }
        }
    }

    async fn acknowledge(&mut self, receipt: Vec<Receipt>) {
        for message in receipt {
            message.ack();
        }
    }
}

impl std::fmt::Debug for Subscription {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let subscription = &self.desk.settings.subscription;
        out.debug_struct("Subscription").field("subscription", subscription).finish_non_exhaustive()
    }
}
