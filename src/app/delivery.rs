//! Delivery to receivers that may change while the service runs: one delivery loop per receiver.
//!
//! Invariant: a loop that is replaced leases nothing more and finishes what it is sending; what it
//! does not finish is sent again by the loop that took its place, under the same id. Receivers that
//! did not change are not touched.

use super::joined;
use crate::clock::SystemClock;
use anyhow::Context;
use chrono::{DateTime, Utc};
use keywatch_alerting::{
    DeliverError, Deliverer, EgressPolicy, OsRandom, Outbound, Receiver, Wake, validate,
};
use keywatch_event::Subject;
use keywatch_store::{Routed, Routing, Store, Subscriber};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// The receivers there are now, for whoever outlives them.
#[derive(Clone, Default)]
pub(super) struct Wakes(Arc<Mutex<Present>>);

#[derive(Default)]
struct Present {
    wakes: Vec<Wake>,
    subscribers: Vec<Subscriber>,
}

impl Wakes {
    /// Makes every receiver's loop look at the outbox.
    pub(super) fn wake(&self) {
        for wake in &self.present().wakes {
            wake.wake();
        }
    }

    fn present(&self) -> MutexGuard<'_, Present> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Routing for Wakes {
    fn routes(&self, subject: &Subject, at: DateTime<Utc>) -> Vec<Routed> {
        self.present().subscribers.routes(subject, at)
    }

    fn knows(&self, receiver: &str) -> bool {
        self.present().subscribers.knows(receiver)
    }
}

/// The loops that run.
pub(super) struct Delivery {
    store: Store,
    running: Vec<Running>,
    tasks: JoinSet<Result<(), DeliverError>>,
    wakes: Wakes,
}

struct Running {
    receiver: Receiver,
    policy: EgressPolicy,
    stop: watch::Sender<bool>,
    wake: Wake,
}

/// A receiver of the new configuration: with its loop, when that has to be started.
pub(super) struct Prepared {
    receiver: Receiver,
    policy: EgressPolicy,
    starts: Option<Deliverer>,
}

impl Delivery {
    /// Starts a loop for every receiver.
    ///
    /// # Errors
    /// What is wrong with a receiver.
    pub(super) fn start(store: Store, receivers: &[Receiver], outbound: &Outbound) -> anyhow::Result<Self> {
        let (running, tasks, wakes) = (Vec::new(), JoinSet::new(), Wakes::default());
        let mut delivery = Self { store, running, tasks, wakes };
        let prepared = delivery.prepare(receivers, outbound)?;
        delivery.take_over(prepared);
        Ok(delivery)
    }

    /// Makes everything that can fail, and touches nothing that runs.
    ///
    /// # Errors
    /// What is wrong with a receiver.
    pub(super) fn prepare(
        &self,
        receivers: &[Receiver],
        outbound: &Outbound,
    ) -> anyhow::Result<Vec<Prepared>> {
        let policy = outbound.egress.policy();
        let problems = validate(receivers, policy);
        anyhow::ensure!(problems.is_empty(), "{}", joined(&problems));
        let mut prepared = Vec::new();
        for receiver in receivers {
            let goes_on = |one: &Running| one.receiver == *receiver && one.policy == *policy;
            let starts =
                if self.running.iter().any(goes_on) { None } else { Some(self.lane(receiver, outbound)?) };
            prepared.push(Prepared { receiver: receiver.clone(), policy: policy.clone(), starts });
        }
        Ok(prepared)
    }

    fn lane(&self, receiver: &Receiver, outbound: &Outbound) -> anyhow::Result<Deliverer> {
        let only = std::slice::from_ref(receiver);
        let (clock, random) = (Arc::new(SystemClock), Arc::new(OsRandom));
        Deliverer::new(self.store.clone(), only, outbound, clock, random)
            .map_err(|problems| anyhow::anyhow!("{}", joined(&problems)))
    }

    /// Ends the loops of receivers that are gone or changed, and starts the new ones.
    pub(super) fn take_over(&mut self, prepared: Vec<Prepared>) {
        let stays = |one: &Running| {
            prepared
                .iter()
                .any(|new| new.starts.is_none() && new.receiver == one.receiver && new.policy == one.policy)
        };
        let (kept, gone): (Vec<Running>, Vec<Running>) =
            std::mem::take(&mut self.running).into_iter().partition(|one| stays(one));
        self.running = kept;
        for one in gone {
            tracing::info!(receiver = one.receiver.name, "delivery ends: the receiver changed or is gone");
            one.stop.send_replace(true);
        }
        for Prepared { receiver, policy, starts } in prepared {
            let Some(deliverer) = starts else { continue };
            let (stop, until) = watch::channel(false);
            let wake = deliverer.wake();
            self.tasks.spawn(deliverer.run(until));
            self.running.push(Running { receiver, policy, stop, wake });
        }
        let wakes = self.running.iter().map(|one| one.wake.clone()).collect();
        let subscribers = super::subscribers(self.running.iter().map(|one| &one.receiver));
        *self.wakes.present() = Present { wakes, subscribers };
        self.wakes.wake();
    }

    /// A handle that makes the loops look at the outbox.
    pub(super) fn wakes(&self) -> Wakes {
        self.wakes.clone()
    }

    /// Ends all loops and waits for what they are sending.
    ///
    /// # Errors
    /// When one of them died.
    pub(super) async fn finish(mut self) -> anyhow::Result<()> {
        for one in &self.running {
            one.stop.send_replace(true);
        }
        let mut ended = Ok(());
        while let Some(task) = self.tasks.join_next().await {
            let task = task.context("a delivery loop panicked").and_then(|result| Ok(result?));
            ended = ended.and(task);
        }
        ended
    }
}
