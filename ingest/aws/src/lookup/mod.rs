//! CloudTrail's `LookupEvents`, for accounts without a trail of their own.
//!
//! Management events of the last 90 days, two requests a second per account and region, 50 events
//! each. Every account and region is a lane of its own. A lane sweeps time in windows from old to
//! new, and goes over recent time again and again, because CloudTrail delivers late. How far a lane
//! has come is committed with the events; page tokens never are, they expire.

mod ask;
mod lane;
mod pace;
mod position;
mod window;

pub use pace::Pace;
pub use position::position_name;

use crate::access::{Access, Role};
use crate::feed::Feed;
use chrono::{DateTime, TimeDelta, Utc};
use keywatch_ingest::Batch;
use keywatch_ingest::source::{Clock, Health, Live};
use keywatch_secrets::SecretManager;
use lane::{Lane, Shared};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;

/// How far back `LookupEvents` reaches.
pub const DAYS_MAX: i64 = 90;
/// Lanes that collect a window at once: 16 of at most [`window::BYTES_MAX`] are 256 MiB.
const COLLECTING_MAX: usize = 16;
/// Windows that wait to be taken.
const PIECES_MAX: usize = 4;

/// What is looked up, and how. The defaults are those for AWS.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Regions, each asked on its own.
    pub regions: Vec<String>,
    /// Roles of other accounts. The account of the credentials is asked when there are none.
    pub roles: Vec<Role>,
    /// Event sources to look up, such as `secretsmanager.amazonaws.com`, one query each; all events
    /// when empty.
    pub event_sources: Vec<String>,
    /// How much history is read on the first start; at most [`DAYS_MAX`].
    pub backfill: TimeDelta,
    /// How long a lane rests between two sweeps.
    pub poll: Duration,
    /// How late an event may be and is found by the next sweep.
    pub again: TimeDelta,
    /// How late one may be and is found by a sweep that goes deeper, and how often one does.
    pub deep: (TimeDelta, TimeDelta),
    /// How late one may be and is found at all, and how often that is gone over.
    pub nightly: (TimeDelta, TimeDelta),
    /// First wait after a request that failed; doubles up to a minute.
    pub retry_first: Duration,
    /// Turns for requests.
    pub pace: Pace,
}

impl Settings {
    /// The usual settings for these regions.
    #[must_use]
    pub fn new(regions: Vec<String>) -> Self {
        Self {
            regions,
            roles: Vec::new(),
            event_sources: Vec::new(),
            backfill: TimeDelta::days(DAYS_MAX),
            poll: Duration::from_mins(1),
            again: TimeDelta::minutes(20),
            deep: (TimeDelta::minutes(90), TimeDelta::minutes(15)),
            nightly: (TimeDelta::hours(48), TimeDelta::hours(24)),
            retry_first: Duration::from_secs(1),
            pace: Pace::default(),
        }
    }
}

/// Accounts and regions, as a source.
pub struct Lookup {
    pieces: Feed,
    lanes: JoinSet<()>,
    health: Health,
    clock: Clock,
}

impl Lookup {
    /// Starts asking. `positions` is what the store holds, by [`position_name`].
    pub async fn start(
        name: &str,
        (access, secrets): (&Access, &SecretManager),
        settings: Settings,
        positions: &HashMap<String, String>,
        (clock, health): (Clock, Health),
    ) -> Self {
        let (pieces, taken) = mpsc::channel(PIECES_MAX);
        let shared = Arc::new(Shared {
            settings,
            pieces,
            collecting: Semaphore::new(COLLECTING_MAX),
            health: health.clone(),
            clock: Arc::clone(&clock),
        });
        let mut lanes = JoinSet::new();
        for (role, region) in self::lanes(&shared.settings) {
            let account = account(access, role);
            let way = access.elsewhere(role, region).open(secrets).await;
            let position = position_name(name, account, region);
            let committed = positions.get(&position).cloned();
            lanes.spawn(Lane::new(Arc::clone(&shared), way, (account, region), (position, committed)).run());
        }
        Self { pieces: Feed::new(taken), lanes, health, clock }
    }

    /// Asks every account and region for its last minute; what was found, in words.
    ///
    /// # Errors
    /// The first that failed and how to mend it.
    pub async fn probe(
        access: &Access,
        secrets: &SecretManager,
        settings: &Settings,
        now: DateTime<Utc>,
    ) -> Result<String, String> {
        let lanes = lanes(settings);
        let asked = lanes.len();
        for (role, region) in lanes {
            let way = access.elsewhere(role, region).open(secrets).await;
            let (from, to) = (now - TimeDelta::minutes(1), now);
            let question = ask::Question { from, to, event_source: None, token: None };
            if let Err(ask::Unanswered::Failed(failure)) = ask::ask(&ask::client(&way), &question).await {
                let account = account(access, role);
                return Err(ask::explain(&format!("account {account} in {region}"), &failure));
            }
        }
        Ok(format!("LookupEvents answers in all {asked} accounts and regions"))
    }
}

/// Every account, by the role to take on there, with every region.
pub(crate) fn lanes(settings: &Settings) -> Vec<(Option<&Role>, &str)> {
    let roles: Vec<Option<&Role>> = match settings.roles.as_slice() {
        [] => vec![None],
        roles => roles.iter().map(Some).collect(),
    };
    let regions = || settings.regions.iter().map(String::as_str);
    roles.into_iter().flat_map(|role| regions().map(move |region| (role, region))).collect()
}

/// What an account is called: by the last role that is taken on to reach it.
pub(crate) fn account<'r>(access: &'r Access, role: Option<&'r Role>) -> &'r str {
    role.or(access.roles.last()).map_or("own", Role::account)
}

impl Live for Lookup {
    type Receipt = ();

    async fn next(&mut self) -> (Batch, ()) {
        loop {
            tokio::select! {
                Some(piece) = self.pieces.first() => return (self.pieces.gather(piece).0, ()),
                Some(ended) = self.lanes.join_next() => {
                    let why = ended.err().map_or_else(|| "it ended".to_owned(), |error| error.to_string());
                    let text = format!("an account and region is no longer asked: {why}; restart Keywatch, and report this");
                    self.health.fails("source", text, (self.clock)());
                }
                else => std::future::pending().await,
            }
        }
    }

    async fn acknowledge(&mut self, (): ()) {}
}

impl std::fmt::Debug for Lookup {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Lookup").field("lanes", &self.lanes.len()).finish_non_exhaustive()
    }
}
