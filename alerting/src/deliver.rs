//! The delivery loop: lease what is due, send it, record what happened; one task per receiver,
//! so that a dead receiver delays nobody else.
//!
//! A message is at least once under one stable id. Whatever interrupts an attempt, its lease
//! ends and the message is sent again. What may leave now is asked of [`crate::policy`].

mod lane;
mod pulse;
mod record;
#[cfg(test)]
mod simulation;

pub use lane::STOP_TIMEOUT;

use crate::clock::{Clock, Random};
use crate::minder::{LOOK_EVERY, Minder};
use crate::notification::{Notification, NotificationKind};
use crate::policy::{Heartbeat, Plan, Policy};
use crate::receiver::{Problem, Receiver, validate};
use crate::reply::Verdict;
use crate::sender::{Outbound, Sender};
use keywatch_store::{Store, Subscriber};
use lane::{Desk, Lane};
use pulse::Pulse;
use record::chain;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, MissedTickBehavior, interval};

/// Delivers alerts from the outbox to receivers until told to stop.
pub struct Deliverer {
    lanes: Vec<Prepared>,
    desk: Arc<Desk>,
    beat: Option<(Heartbeat, Sender)>,
    wake: watch::Sender<()>,
}

/// A receiver that is ready to be sent to.
struct Prepared {
    receiver: Receiver,
    sender: Sender,
}

/// Tells the loop that something was written to the outbox. Cheap; call it after every commit
/// that opened, updated or withdrew an alert, after a replay and after resuming a receiver.
#[derive(Clone, Debug)]
pub struct Wake(watch::Sender<()>);

impl Wake {
    /// Has every receiver's task look at the outbox now.
    pub fn wake(&self) {
        self.0.send_replace(());
    }
}

/// A receiver's task ended without being told to. A defect: nothing is lost, but nothing more is
/// sent until the program restarts.
#[derive(Debug, thiserror::Error)]
#[error("the task that delivers alerts died; restart Keywatch, nothing is lost, and please report it")]
pub struct DeliverError(#[from] JoinError);

impl Deliverer {
    /// Prepares delivery to `receivers`, which are validated first.
    ///
    /// # Errors
    /// Every [`Problem`] of every receiver.
    pub fn new(
        store: Store,
        receivers: &[Receiver],
        outbound: &Outbound,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> Result<Self, Vec<Problem>> {
        let mut problems = validate(receivers, outbound.egress.policy());
        if !problems.is_empty() {
            return Err(problems);
        }
        let mut lanes = Vec::new();
        for receiver in receivers {
            match Sender::new(receiver, outbound) {
                Ok(sender) => lanes.push(Prepared { receiver: receiver.clone(), sender }),
                Err(problem) => problems.push(problem),
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let everybody = receivers.iter().map(|one| Subscriber::new(&one.name, one.level_min));
        let policy = Policy { plan: Plan::by_level(everybody.collect()), ..Policy::default() };
        let desk = Arc::new(Desk { store, clock, random, policy: Arc::new(policy) });
        Ok(Self { lanes, desk, beat: None, wake: watch::Sender::new(()) })
    }

    /// The same with silences, caps, reminders, escalations and a heartbeat. Receivers that forget
    /// what is not repeated are looked after too.
    ///
    /// # Errors
    /// The [`Problem`] of the receiver that is to hear the heartbeat.
    pub fn with_policy(self, policy: Policy, outbound: &Outbound) -> Result<Self, Problem> {
        let mut policy = policy;
        let forgetful = self.lanes.iter().map(|lane| &lane.receiver);
        let refreshed = forgetful.filter_map(|one| Some((one.name.clone(), one.refresh_every()?)));
        policy.refreshes.extend(refreshed);
        let listener = policy.heartbeat.clone().and_then(|beat| {
            let lane = self.lanes.iter().find(|lane| lane.receiver.name == beat.receiver)?;
            Some((beat, &lane.receiver))
        });
        let beat = match listener {
            Some((beat, receiver)) => Some((beat, Sender::new(receiver, outbound)?)),
            None => None,
        };
        let Desk { store, clock, random, .. } = &*self.desk;
        let desk = Desk {
            store: store.clone(),
            clock: Arc::clone(clock),
            random: Arc::clone(random),
            policy: Arc::new(policy),
        };
        Ok(Self { desk: Arc::new(desk), beat, ..self })
    }

    /// The same with another time limit for one attempt than
    /// [`SEND_TIMEOUT`](crate::SEND_TIMEOUT).
    #[must_use]
    pub fn with_send_timeout(self, timeout: Duration) -> Self {
        let limit = |lane: Prepared| Prepared { sender: lane.sender.with_timeout(timeout), ..lane };
        Self { lanes: self.lanes.into_iter().map(limit).collect(), ..self }
    }

    /// A handle that makes the loop look at the outbox.
    #[must_use]
    pub fn wake(&self) -> Wake {
        Wake(self.wake.clone())
    }

    /// Delivers until `shutdown` becomes true or its sender is dropped; then leases nothing more
    /// and gives running sends [`STOP_TIMEOUT`] to finish.
    ///
    /// # Errors
    /// [`DeliverError`] when a receiver's task panicked.
    pub async fn run(self, mut shutdown: watch::Receiver<bool>) -> Result<(), DeliverError> {
        self.reconsider().await;
        let mut tasks = JoinSet::new();
        for Prepared { receiver, sender } in self.lanes {
            let pulse = receiver.rate_per_minute.map(|rate| Pulse::new(rate, Instant::now()));
            let lane = Lane {
                name: receiver.name,
                concurrency: receiver.concurrency,
                transport: Box::new(sender),
                pulse,
                desk: Arc::clone(&self.desk),
                #[cfg(test)]
                flaw: lane::Flaw::None,
            };
            tasks.spawn(Arc::new(lane).run(self.wake.subscribe(), shutdown.clone()));
        }
        tasks.spawn(mind(Arc::clone(&self.desk), Wake(self.wake.clone()), shutdown.clone()));
        if let Some((beat, sender)) = self.beat {
            tasks.spawn(beat_on(Arc::clone(&self.desk), beat, sender, shutdown.clone()));
        }
        while let Some(ended) = tasks.join_next().await {
            ended?;
        }
        // An error means the sender is gone, which says stop as well.
        let _told = shutdown.wait_for(|stop| *stop).await;
        Ok(())
    }

    /// Silences of the configuration may be others than when messages were held back.
    async fn reconsider(&self) {
        let now = self.desk.clock.now();
        if let Err(error) = self.desk.store.reconsider_muted(now).await {
            let error = chain(&error);
            tracing::error!(error, "what silences hold back is decided again only when they end");
        }
    }
}

/// Reminders, escalations and Keywatch's own alerts, until told to stop.
async fn mind(desk: Arc<Desk>, wake: Wake, mut shutdown: watch::Receiver<bool>) {
    let Desk { store, clock, policy, .. } = &*desk;
    let minder = Minder { store: store.clone(), clock: Arc::clone(clock), policy: Arc::clone(policy) };
    let mut ticks = interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _told = shutdown.wait_for(|stop| *stop) => return,
            _tick = ticks.tick() => {}
        }
        match minder.look().await {
            Ok(0) => {}
            Ok(_written) => wake.wake(),
            Err(error) => {
                let error = chain(&error);
                tracing::error!(
                    error,
                    "could not look for reminders and escalations; they come with the next look"
                );
            }
        }
    }
}

/// Sends the sign of life until told to stop. One that fails is not sent again: the next one says
/// more. It proves that the history can be written too, because what became of it is kept there.
async fn beat_on(desk: Arc<Desk>, beat: Heartbeat, sender: Sender, mut shutdown: watch::Receiver<bool>) {
    let mut ticks = interval(beat.every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _told = shutdown.wait_for(|stop| *stop) => return,
            _tick = ticks.tick() => {}
        }
        let now = desk.clock.now();
        let notification = Notification {
            id: format!("beat_{:016x}", desk.random.next_u64()),
            kind: NotificationKind::Heartbeat,
            created_at: now,
            alerts: Vec::new(),
            group: Vec::new(),
            note: Some("Keywatch is alive.".to_owned()),
            link: None,
        };
        let reply = sender.send(&notification, now).await;
        let taken = reply.verdict == Verdict::Delivered;
        let error = (!taken).then(|| reply.error.unwrap_or_else(|| "it was not taken".to_owned()));
        if let Some(error) = &error {
            tracing::warn!(receiver = beat.receiver, error, "the heartbeat was not taken");
        }
        if let Err(error) = desk.store.record_heartbeat(&beat.receiver, now, error.as_deref()).await {
            tracing::error!(error = chain(&error), "could not keep what became of the heartbeat");
        }
    }
}

#[cfg(test)]
mod tests;
