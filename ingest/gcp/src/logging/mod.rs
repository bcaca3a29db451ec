//! Cloud Logging's `entries.list`, for projects without a log sink of their own.
//!
//! Entries of the days a log bucket keeps, sixty requests a minute and project, a thousand entries
//! each. Every resource name (a project, a folder, a bucket's view) is a lane of its own. A lane goes
//! through time from old to new, goes over the last minutes again and again, and asks by the time of
//! receipt for what came late. How far a lane has come is committed with the entries; page tokens
//! never are, they expire.

mod ask;
mod entries;
mod lane;
mod pace;
mod position;

pub use pace::Pace;
pub use position::position_name;

use crate::access::Access;
use crate::feed;
use ask::{Client, Unanswered};
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use google_cloud_logging_v2::model::ListLogEntriesRequest;
use keywatch_ingest::Batch;
use keywatch_ingest::source::{Clock, Health, Live};
use keywatch_secrets::SecretManager;
use lane::{Lane, Shared};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;

/// Lanes that read a page at once: 8 of at most [`ask::BODY_BYTES_MAX`] are 256 MiB.
const ASKING_MAX: usize = 8;
/// Pages that wait to be taken.
const PAGES_MAX: usize = 4;

/// The entries that are about secrets, keys, identities, and the log itself. `log_id` names the four
/// kinds of audit log (cloud.google.com/logging/docs/audit, "Types of audit logs").
pub const FILTER: &str = "(log_id(\"cloudaudit.googleapis.com/activity\") OR log_id(\"cloudaudit.googleapis.com/data_access\") \
    OR log_id(\"cloudaudit.googleapis.com/system_event\") OR log_id(\"cloudaudit.googleapis.com/policy\")) \
    AND protoPayload.serviceName=(\"secretmanager.googleapis.com\" OR \"cloudkms.googleapis.com\" OR \"iam.googleapis.com\" \
    OR \"iamcredentials.googleapis.com\" OR \"sts.googleapis.com\" OR \"cloudresourcemanager.googleapis.com\" \
    OR \"logging.googleapis.com\" OR \"login.googleapis.com\")";

/// What is read, and how. The defaults are those for Google Cloud.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Whose entries: `projects/P`, `folders/F`, `organizations/O`, `billingAccounts/B`, and views of
    /// log buckets below them.
    pub resources: Vec<String>,
    /// Which entries, in Logging's query language.
    pub filter: String,
    /// How much history is read on the first start.
    pub backfill: TimeDelta,
    /// How long a lane rests between two sweeps.
    pub poll: Duration,
    /// How late an entry may be and is found by the next sweep.
    pub again: TimeDelta,
    /// How late one may be and is found at all, and how often that is asked for.
    pub late: (TimeDelta, TimeDelta),
    /// How long an entry may take from its receipt until it is found.
    pub overlap: TimeDelta,
    /// How often all that is late is asked for, however long it took.
    pub nightly: TimeDelta,
    /// First wait after a request that failed; doubles up to a minute.
    pub retry_first: Duration,
    /// Turns for requests.
    pub pace: Pace,
    /// Entries of one answer; the interface allows a thousand.
    pub page: i32,
}

impl Settings {
    /// The usual settings for these resources.
    #[must_use]
    pub fn new(resources: Vec<String>) -> Self {
        Self {
            resources,
            filter: FILTER.to_owned(),
            backfill: TimeDelta::days(30),
            poll: Duration::from_mins(1),
            again: TimeDelta::minutes(20),
            late: (TimeDelta::hours(48), TimeDelta::minutes(5)),
            overlap: TimeDelta::minutes(10),
            nightly: TimeDelta::hours(24),
            retry_first: Duration::from_secs(1),
            pace: Pace::default(),
            page: 1000,
        }
    }
}

/// Resources, as a source.
pub struct Logging {
    pages: mpsc::Receiver<(Batch, ())>,
    lanes: JoinSet<()>,
    health: Health,
    clock: Clock,
}

impl Logging {
    /// Starts asking. `positions` is what the store holds, by [`position_name`].
    #[must_use]
    pub fn start(
        name: &str,
        (access, secrets): (&Access, &SecretManager),
        settings: Settings,
        positions: &HashMap<String, String>,
        (clock, health): (Clock, Health),
    ) -> Self {
        let (pages, taken) = mpsc::channel(PAGES_MAX);
        let mut lanes = JoinSet::new();
        match Client::new(access, access.open(secrets)) {
            Ok(client) => {
                let shared = Arc::new(Shared {
                    settings,
                    client,
                    pages,
                    asking: Semaphore::new(ASKING_MAX),
                    health: health.clone(),
                    clock: Arc::clone(&clock),
                });
                for resource in &shared.settings.resources {
                    let committed = positions.get(&position_name(name, resource)).cloned();
                    lanes.spawn(Lane::new(Arc::clone(&shared), name, resource, committed).run());
                }
            }
            Err(failure) => health.fails("source", failure.said, clock()),
        }
        Self { pages: taken, lanes, health, clock }
    }

    /// Asks for one entry of the last minute of every resource; what was found, in words.
    ///
    /// # Errors
    /// The first that failed and how to mend it.
    pub async fn probe(
        (access, secrets): (&Access, &SecretManager),
        settings: &Settings,
        now: DateTime<Utc>,
    ) -> Result<String, String> {
        let client = Client::new(access, access.open(secrets)).map_err(|failure| failure.said)?;
        let since = (now - TimeDelta::minutes(1)).to_rfc3339_opts(SecondsFormat::Secs, true);
        for resource in &settings.resources {
            let question = ListLogEntriesRequest::new()
                .set_resource_names([resource.as_str()])
                .set_filter(format!("({}) AND timestamp>=\"{since}\"", settings.filter))
                .set_order_by("timestamp asc")
                .set_page_size(1);
            if let Err(Unanswered::Failed(failure)) = client.ask(&question).await {
                return Err(ask::explain(resource, &failure));
            }
        }
        Ok(format!("entries.list answers for all {} resources", settings.resources.len()))
    }
}

impl Live for Logging {
    type Receipt = ();

    async fn next(&mut self) -> (Batch, ()) {
        loop {
            tokio::select! {
                Some(page) = self.pages.recv() => return (feed::gather(page, &mut self.pages).0, ()),
                Some(ended) = self.lanes.join_next() => {
                    let why = ended.err().map_or_else(|| "it ended".to_owned(), |error| error.to_string());
                    let text = format!("a resource is no longer asked: {why}; restart Keywatch, and report this");
                    self.health.fails("source", text, (self.clock)());
                }
                else => std::future::pending().await,
            }
        }
    }

    async fn acknowledge(&mut self, (): ()) {}
}

impl std::fmt::Debug for Logging {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Logging").field("lanes", &self.lanes.len()).finish_non_exhaustive()
    }
}
