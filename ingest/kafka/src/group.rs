//! The source: keeps a client logged in, and passes on what it reads.

use crate::context::{CLUSTER, Context};
use crate::ledger::{Ledger, Mark};
use crate::session::{self, Ended, Ends};
use crate::settings::Settings;
use keywatch_brokers::{Access, Trouble, explain};
use keywatch_ingest::Batch;
use keywatch_ingest::source::{Backoff, Clock, Health, Live};
use keywatch_secrets::{SecretManager, SecretRef, SecretValue};
use rdkafka::ClientConfig;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

/// After how long without trouble waits begin anew.
const STEADY: Duration = Duration::from_mins(1);

/// A batch, and how far it reads.
pub(crate) struct Yielded {
    pub(crate) batch: Batch,
    pub(crate) marks: Vec<Mark>,
}

/// Topics of a cluster, read as a member of a group.
pub struct Group {
    taken: mpsc::Receiver<Yielded>,
    /// At most as many wait as batches are yielded and not acknowledged.
    done: mpsc::UnboundedSender<Yielded>,
    health: Health,
    clock: Clock,
    keepers: JoinSet<()>,
}

impl Group {
    /// Starts reading. `positions` is what the store holds, under names that begin with
    /// [`position_prefix`](crate::position_prefix).
    #[must_use]
    pub fn start(
        name: &str,
        (access, secrets): (&Access, &SecretManager),
        settings: Settings,
        positions: &HashMap<String, String>,
        (clock, health): (Clock, Health),
    ) -> Self {
        let ledger = Ledger::new(name, settings.start, positions);
        // One batch waits while the next is gathered.
        let (out, taken) = mpsc::channel(1);
        let (done, committed) = mpsc::unbounded_channel();
        let told = (Arc::clone(&clock), health.clone());
        let keeper =
            Keeper { door: Door::new(access, secrets), settings, told, ledger: Arc::new(Mutex::new(ledger)) };
        let mut keepers = JoinSet::new();
        keepers.spawn(keeper.keep(Ends { out, done: committed, batch: Batch::default() }));
        Self { taken, done, health, clock, keepers }
    }

    /// Ends the source, and waits until it has left its group: its partitions go to others at once.
    pub async fn end(self) {
        let Self { taken, mut keepers, .. } = self;
        drop(taken);
        while keepers.join_next().await.is_some() {}
    }
}

impl Live for Group {
    type Receipt = Vec<Mark>;

    async fn next(&mut self) -> (Batch, Vec<Mark>) {
        if let Some(Yielded { batch, marks }) = self.taken.recv().await {
            return (batch, marks);
        }
        let text = "the thread that reads from Kafka broke; restart Keywatch, and report this".to_owned();
        self.health.fails(CLUSTER, text, (self.clock)());
        std::future::pending().await
    }

    async fn acknowledge(&mut self, marks: Vec<Mark>) {
        let _ended = self.done.send(Yielded { batch: Batch::default(), marks });
    }
}

impl std::fmt::Debug for Group {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Group").finish_non_exhaustive()
    }
}

/// Connects again whenever a client is at its end.
struct Keeper {
    door: Door,
    settings: Settings,
    told: (Clock, Health),
    ledger: Arc<Mutex<Ledger>>,
}

impl Keeper {
    async fn keep(mut self, mut ends: Ends) {
        let seed = u64::from(std::process::id());
        let mut backoff = Backoff::new(self.settings.retry_first, seed);
        loop {
            let since = Instant::now();
            let ended = match self.door.open().await {
                Ok(config) => {
                    let context =
                        Context::new(self.settings.clone(), self.told.clone(), Arc::clone(&self.ledger));
                    let running = tokio::task::spawn_blocking(move || {
                        let ended = session::run(config, context, &mut ends);
                        (ended, ends)
                    });
                    // When it panicked the channel is closed, and whoever waits for a batch says so.
                    let Ok((ended, back)) = running.await else { return };
                    ends = back;
                    ended
                }
                Err(why) => Ended::Broke(why),
            };
            match ended {
                Ended::Closed => return,
                Ended::Refused => {}
                Ended::Astray => self.door.shown.clear(),
                Ended::Broke(why) => {
                    self.door.shown.clear();
                    let text = explain("reading from Kafka failed", Trouble::Unavailable, &why);
                    self.told.1.fails(CLUSTER, text, (self.told.0)());
                }
            }
            if since.elapsed() > STEADY {
                backoff.reset();
            }
            sleep(backoff.wait()).await;
        }
    }
}

/// Logs in with what the secrets say now.
pub(crate) struct Door {
    access: Access,
    secrets: SecretManager,
    /// What the cluster was shown last and did not accept.
    shown: Vec<(SecretRef, SecretValue)>,
}

impl Door {
    pub(crate) fn new(access: &Access, secrets: &SecretManager) -> Self {
        Self { access: access.clone(), secrets: secrets.clone(), shown: Vec::new() }
    }

    /// The properties of a client, with the secrets as they are now.
    pub(crate) async fn open(&mut self) -> Result<ClientConfig, String> {
        let refused = std::mem::take(&mut self.shown);
        let mut held = Vec::new();
        for reference in self.access.secrets() {
            let before = refused.iter().find(|(known, _)| known == reference);
            let value = match before {
                Some((_, value)) => self.secrets.refused(reference, value).await,
                None => self.secrets.get(reference).await,
            };
            held.push((reference.clone(), value.map_err(|error| error.to_string())?));
        }
        self.shown = held;
        let value = |asked: &SecretRef| {
            self.shown.iter().find(|(known, _)| known == asked).map(|(_, value)| value.expose())
        };
        Ok(self.access.config(value))
    }
}
