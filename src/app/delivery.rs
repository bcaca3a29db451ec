//! Delivery to receivers that may change while the service runs.
//!
//! Invariant: a loop that is replaced leases nothing more and finishes what it is sending; what it
//! does not finish is sent again by the loop that took its place, under the same id.

use super::joined;
use super::telling;
use crate::clock::{self, SystemClock};
use crate::config::Config;
use anyhow::Context;
use chrono::{DateTime, Utc};
use keywatch_alerting::policy::{Plan, StandingSilence};
use keywatch_alerting::{DeliverError, Deliverer, OsRandom, Outbound, Receiver, Wake};
use keywatch_dashboard::ConfiguredSilence;
use keywatch_event::Subject;
use keywatch_store::{Routed, Routing, Store};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Who is told of what now, for whoever outlives the loop that tells them.
#[derive(Clone, Default)]
pub(super) struct Desk(Arc<Mutex<InForce>>);

#[derive(Default)]
struct InForce {
    wake: Option<Wake>,
    plan: Plan,
    silences: Vec<StandingSilence>,
    receivers: Arc<Vec<Receiver>>,
    outbound: Option<Outbound>,
}

impl Desk {
    /// Has the outbox looked at.
    pub(super) fn wake(&self) {
        if let Some(wake) = &self.in_force().wake {
            wake.wake();
        }
    }

    /// The silences of the configuration as they stand at the moment.
    pub(super) fn silences(&self) -> Vec<ConfiguredSilence> {
        telling::silences(&self.in_force().silences, clock::now())
    }

    /// The receivers there are.
    pub(super) fn receivers(&self) -> Arc<Vec<Receiver>> {
        Arc::clone(&self.in_force().receivers)
    }

    /// How they are reached; `None` before anybody is told of anything.
    pub(super) fn outbound(&self) -> Option<Outbound> {
        self.in_force().outbound.clone()
    }

    fn in_force(&self) -> MutexGuard<'_, InForce> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Routing for Desk {
    fn routes(&self, subject: &Subject, at: DateTime<Utc>) -> Vec<Routed> {
        self.in_force().plan.routes(subject, at)
    }

    fn knows(&self, receiver: &str) -> bool {
        self.in_force().plan.knows(receiver)
    }

    /// The time to alert is measured from here.
    fn decided_at(&self, _received_at: DateTime<Utc>) -> DateTime<Utc> {
        clock::now()
    }
}

/// The loop that runs.
pub(super) struct Delivery {
    desk: Desk,
    stop: watch::Sender<bool>,
    tasks: JoinSet<Result<(), DeliverError>>,
}

/// A loop that can take over.
pub(super) struct Prepared {
    deliverer: Deliverer,
    in_force: InForce,
}

impl Prepared {
    /// Makes everything that can fail, and touches nothing that runs.
    ///
    /// # Errors
    /// What is wrong with a receiver.
    pub(super) fn new(store: Store, config: &Config, outbound: &Outbound) -> anyhow::Result<Self> {
        let policy = config.policy.clone();
        let (plan, silences) = (policy.plan.clone(), policy.gate.silences.clone());
        let receivers = Arc::new(config.receivers.clone());
        let (clock, random) = (Arc::new(SystemClock), Arc::new(OsRandom));
        let deliverer = Deliverer::new(store, &config.receivers, outbound, clock, random)
            .map_err(|problems| anyhow::anyhow!("{}", joined(&problems)))?
            .with_policy(policy, outbound)?;
        let wake = Some(deliverer.wake());
        let outbound = Some(outbound.clone());
        Ok(Self { deliverer, in_force: InForce { wake, plan, silences, receivers, outbound } })
    }
}

impl Delivery {
    /// Starts to deliver.
    ///
    /// # Errors
    /// What is wrong with a receiver.
    pub(super) fn start(store: Store, config: &Config, outbound: &Outbound) -> anyhow::Result<Self> {
        let (stop, tasks) = (watch::Sender::new(false), JoinSet::new());
        let mut delivery = Self { desk: Desk::default(), stop, tasks };
        delivery.take_over(Prepared::new(store, config, outbound)?);
        Ok(delivery)
    }

    /// Ends the loop there is, and starts the new one.
    pub(super) fn take_over(&mut self, prepared: Prepared) {
        let Prepared { deliverer, in_force } = prepared;
        let (stop, until) = watch::channel(false);
        std::mem::replace(&mut self.stop, stop).send_replace(true);
        self.tasks.spawn(deliverer.run(until));
        *self.desk.in_force() = in_force;
    }

    /// Who is told of what, and a way to have the outbox looked at.
    pub(super) fn desk(&self) -> Desk {
        self.desk.clone()
    }

    /// Ends and waits for what is being sent.
    ///
    /// # Errors
    /// When a loop died.
    pub(super) async fn finish(mut self) -> anyhow::Result<()> {
        self.stop.send_replace(true);
        let mut ended = Ok(());
        while let Some(task) = self.tasks.join_next().await {
            let task = task.context("a delivery loop panicked").and_then(|result| Ok(result?));
            ended = ended.and(task);
        }
        ended
    }
}
