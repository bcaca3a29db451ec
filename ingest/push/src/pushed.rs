//! A source that is pushed to: its spool, its listeners, and the contract of all sources.

use crate::device::{self, Device};
use crate::http::{self, Http};
use crate::intake::Intake;
use crate::spool::{Spool, Storage};
use keywatch_ingest::Batch;
use keywatch_ingest::source::{Clock, Health, Live};
use keywatch_secrets::SecretManager;
use std::time::Duration;
use tokio::task::JoinSet;

/// How long to rest before what could not be opened is tried again: a moment at first, since a
/// predecessor may be on its way out.
const REST_FIRST: Duration = Duration::from_millis(10);
pub(crate) const REST: Duration = Duration::from_secs(1);

/// Rests, longer each time.
pub(crate) async fn rest(tries: &mut u32) {
    tokio::time::sleep(REST_FIRST.saturating_mul(1 << (*tries).min(10)).min(REST)).await;
    *tries += 1;
}

/// How a source is pushed to.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Where what is not committed is kept.
    pub storage: Storage,
    /// By what means it comes.
    pub way: Way,
}

/// By what means records come.
#[derive(Clone, Debug, PartialEq)]
pub enum Way {
    /// Audit devices and syslog.
    Device(Device),
    /// Requests.
    Http(Http),
}

impl Way {
    /// What it is, in words.
    #[must_use]
    pub fn told(&self) -> String {
        match self {
            Self::Device(device) => format!("audit devices at {}", device.addresses().join(", ")),
            Self::Http(http) => format!("requests at {}", http.listen),
        }
    }
}

/// A source that is pushed to.
pub struct Pushed {
    spool: Spool,
    tasks: JoinSet<()>,
    health: Health,
    clock: Clock,
}

impl Pushed {
    /// Under which name the store keeps the position of a source.
    #[must_use]
    pub fn position_name(source: &str) -> String {
        crate::spool::position_name(source)
    }

    /// Starts listening. `position` is what the store holds under [`Self::position_name`]. Returns
    /// when the spool is open, however long its disk makes it wait.
    pub async fn start(
        name: &str,
        secrets: &SecretManager,
        settings: Settings,
        position: Option<String>,
        (clock, health): (Clock, Health),
    ) -> Self {
        let spool = open(name, &settings.storage, position, (&clock, &health)).await;
        let intake = Intake::new(name, spool.door(), (clock.clone(), health.clone()));
        let mut tasks = JoinSet::new();
        tasks.spawn(intake.clone().keep_telling());
        match settings.way {
            Way::Device(device) => device::listen(device, secrets, &intake, &mut tasks),
            Way::Http(http) => http::listen(http, secrets, &intake, &mut tasks),
        }
        Self { spool, tasks, health, clock }
    }
}

async fn open(name: &str, storage: &Storage, position: Option<String>, told: (&Clock, &Health)) -> Spool {
    let ((clock, health), mut tries) = (told, 0);
    loop {
        let (own, folder, at) = (name.to_owned(), storage.clone(), position.clone());
        // Every byte that is there is looked at: that may take seconds.
        let opened = tokio::task::spawn_blocking(move || Spool::open(&own, &folder, at)).await;
        match opened.unwrap_or_else(|error| Err(std::io::Error::other(error))) {
            Ok((spool, damage)) => {
                health.works("spool");
                for text in damage {
                    health.misses(text);
                }
                return spool;
            }
            Err(error) => {
                let folder = storage.folder.display();
                let text = format!(
                    "cannot open the spool in {folder}: {error}; let the user Keywatch runs as write there. Nothing is listened for until then"
                );
                health.fails("spool", text, clock());
                rest(&mut tries).await;
            }
        }
    }
}

impl Live for Pushed {
    type Receipt = u64;

    async fn next(&mut self) -> (Batch, u64) {
        loop {
            tokio::select! {
                Some(next) = self.spool.next() => return next,
                Some(Err(error)) = self.tasks.join_next() => {
                    let text = format!("a part of the source broke: {error}; restart Keywatch, and report this");
                    self.health.fails("source", text, (self.clock)());
                }
                else => std::future::pending().await,
            }
        }
    }

    async fn acknowledge(&mut self, receipt: u64) {
        self.spool.committed(receipt);
    }
}

impl std::fmt::Debug for Pushed {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Pushed").finish_non_exhaustive()
    }
}
