//! One history: its operations, the program under test, and what must hold of it.

use super::peer::{Behaviour, Peer, Wire};
use crate::clock::{Clock, Random};
use crate::deliver::lane::{self, Desk, Lane};
use crate::deliver::tests::{alert, event};
use crate::policy::{Grouping, Plan, Policy};
use crate::schedule::DELAYS_SECS;
use crate::testing::TestClock;
use chrono::TimeDelta;
use keywatch_event::{AlertChange, AlertField, Classified, Evaluation, Level, Place, matchers_from};
use keywatch_store::{
    Action, AlertFilter, DeliveryFilter, DeliveryKind, DeliveryRow, DeliveryState, Handling, Incoming,
    IncomingEvent, Judge, NewSilence, Page, Resolution, Store, Subscriber, Urging,
};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::JoinSet;

/// Operations of one history.
const OPERATIONS: usize = 28;
/// The longest a message may take once everything works again: a pause of the schedule.
const DRAIN_HOURS: i64 = 30;
const RECEIVERS: [&str; 2] = ["pager", "siem"];

/// A defect put in on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flaw {
    None,
    MarkBeforeSend,
    /// Rows of the outbox are written after the batch was committed.
    OutboxOutside,
    NoLease,
}

/// What may happen.
#[derive(Clone, Copy, Debug)]
enum Op {
    /// A batch with so many alerts is committed; killed after so many steps, and read again.
    Commit { alerts: usize, kill: Option<usize> },
    /// Time passes, seconds.
    Pass(i64),
    /// A receiver's lane works, killed after so many steps.
    Work { receiver: usize, kill: Option<usize> },
    /// A second process works on the same receiver while a message is under way.
    Overlap { receiver: usize },
    /// A receiver behaves otherwise from now on.
    Behave { receiver: usize, how: Behaviour },
    /// A receiver is down for a day.
    Outage { receiver: usize },
    /// Somebody handles the latest alert.
    Handle(Action),
    /// Everything is silenced for so many seconds.
    Silence(i64),
    /// A paused receiver is resumed.
    Resume { receiver: usize },
}

/// SplitMix64: small, and the same everywhere.
struct Dice(Mutex<u64>);

impl Dice {
    fn roll(&self, sides: u64) -> u64 {
        self.next_u64() % sides
    }

    fn index(&self, sides: usize) -> usize {
        usize::try_from(self.roll(sides as u64)).unwrap()
    }
}

impl Random for Dice {
    fn next_u64(&self) -> u64 {
        let mut state = self.0.lock().unwrap();
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = *state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

/// A judge that raises one alert per event it has not seen.
struct Raises<'b>(&'b [IncomingEvent<'b>]);

impl Judge for Raises<'_> {
    fn judge(&mut self, fresh: &[usize]) -> Evaluation {
        let classified = Classified { level: Level::High, rules: vec!["KW-001".into()], matters_secs: 0 };
        let opened = |&at: &usize| {
            let number = self.0[at].event.id.trim_start_matches('e').parse().unwrap();
            AlertChange::Opened { alert: alert(number, &self.0[at].place), hold_secs: 0 }
        };
        Evaluation {
            classified: vec![classified; fresh.len()],
            changes: fresh.iter().map(opened).collect(),
            ..Evaluation::default()
        }
    }
}

pub(super) struct World {
    flaw: Flaw,
    store: Store,
    clock: Arc<TestClock>,
    dice: Arc<Dice>,
    policy: Arc<Policy>,
    peers: [Arc<Mutex<Peer>>; 2],
    gate: Arc<Notify>,
    events: usize,
    log: Vec<Op>,
    _folder: tempfile::TempDir,
}

impl World {
    /// Walks the history of `seed`.
    pub(super) async fn walk(seed: u64, flaw: Flaw) -> Result<(), String> {
        let mut world = Self::new(seed, flaw).await;
        for _ in 0..OPERATIONS {
            let op = world.draw();
            world.log.push(op);
            world.apply(op).await;
        }
        world.calm().await.and(world.check().await).map_err(|problem| format!("{problem}\n{:?}", world.log))
    }

    async fn new(seed: u64, flaw: Flaw) -> Self {
        // In memory where there is such a folder: what a disk does is tested elsewhere.
        let memory = std::path::Path::new("/dev/shm");
        let folder =
            if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap();
        let store = Store::open(&folder.path().join("keywatch.db")).await.unwrap();
        let dice = Arc::new(Dice(Mutex::new(seed.wrapping_mul(0x2545_f491_4f6c_dd1d))));
        let receivers = RECEIVERS.map(|name| Subscriber::new(name, Level::Info)).into();
        let mut plan = Plan::by_level(receivers);
        if dice.roll(2) == 0 {
            let (wait, interval) = (Duration::from_secs(30), Duration::from_mins(5));
            plan.grouping = Some(Grouping { by: vec![AlertField::Rule], wait, interval });
        }
        Self {
            flaw,
            store,
            clock: TestClock::at_real_time(),
            dice,
            policy: Arc::new(Policy { plan, ..Policy::default() }),
            peers: [Peer::new(), Peer::new()],
            gate: Arc::new(Notify::new()),
            events: 0,
            log: Vec::new(),
            _folder: folder,
        }
    }

    fn draw(&self) -> Op {
        let dice = &self.dice;
        let receiver = dice.index(RECEIVERS.len());
        let kill = |sides| (dice.roll(3) == 0).then(|| dice.index(sides));
        match dice.roll(20) {
            0..=4 => Op::Commit { alerts: 1 + dice.index(3), kill: kill(12) },
            5..=7 => Op::Pass([1, 10, 70, 600, 4_000, 90_000][dice.index(6)]),
            8..=13 => Op::Work { receiver, kill: kill(40) },
            14 => Op::Overlap { receiver },
            15 | 16 => Op::Behave { receiver, how: self.behaviour() },
            17 => match dice.roll(3) {
                0 => Op::Outage { receiver },
                1 => Op::Resume { receiver },
                _ => Op::Silence(1_000),
            },
            18 => Op::Handle(Action::Acknowledge),
            _ => Op::Handle(Action::Resolve(Resolution::Benign)),
        }
    }

    fn behaviour(&self) -> Behaviour {
        let statuses = [301, 400, 401, 403, 404, 409, 429, 500, 502, 503, 504];
        match self.dice.roll(9) {
            0..=2 => Behaviour::Accept,
            3 => Behaviour::Status(statuses[self.dice.index(statuses.len())]),
            4 => Behaviour::Busy(120),
            5 => Behaviour::Hang,
            6 => Behaviour::Reset,
            7 => Behaviour::LoseReply,
            _ => Behaviour::Gone,
        }
    }

    async fn apply(&mut self, op: Op) {
        match op {
            Op::Commit { alerts, kill } => {
                let first = self.events;
                self.events += alerts;
                if let Some(steps) = kill {
                    some_steps(self.commit(first, alerts), steps).await;
                }
                // What was not acknowledged is read again.
                self.commit(first, alerts).await;
            }
            Op::Pass(secs) => self.clock.advance(secs),
            Op::Work { receiver, kill: None } => self.work(receiver).await,
            Op::Work { receiver, kill: Some(steps) } => {
                if !some_steps(self.work(receiver), steps).await {
                    self.peers[receiver].lock().unwrap().kills += 1;
                }
            }
            Op::Overlap { receiver } => self.overlap(receiver).await,
            Op::Behave { receiver, how } => self.peers[receiver].lock().unwrap().behaviour = how,
            Op::Outage { receiver } => self.outage(receiver).await,
            Op::Handle(action) => self.handle(action).await,
            Op::Silence(secs) => self.silence(secs).await,
            Op::Resume { receiver } => drop(self.store.resume_receiver(RECEIVERS[receiver]).await.unwrap()),
        }
    }

    async fn commit(&self, first: usize, alerts: usize) {
        let place = |line: usize| Place { name: "trail".into(), line: line as u64, record: 1 };
        let events: Vec<IncomingEvent<'_>> = (first..first + alerts)
            .map(|number| IncomingEvent { event: event(number), place: place(number), raw: 0..2 })
            .collect();
        let received_at = self.clock.now();
        let incoming = Incoming { events: &events, bytes: b"{}", rejects: &[], advances: &[], received_at };
        if self.flaw != Flaw::OutboxOutside {
            self.store.commit(&incoming, &mut Raises(&events), &self.policy.plan).await.unwrap();
            return;
        }
        let nobody: [Subscriber; 0] = [];
        let done = self.store.commit(&incoming, &mut Raises(&events), &nobody).await.unwrap();
        for number in (first..first + alerts).take(done.opened) {
            for receiver in RECEIVERS {
                let kind = DeliveryKind::AlertReminder;
                let urging = Urging { alert: &format!("a{number}"), receiver, kind, reason: "told apart" };
                self.store.urge(&[urging], received_at, &self.policy.plan).await.unwrap();
            }
        }
    }

    fn lane(&self, receiver: usize) -> Arc<Lane> {
        let wire = Wire {
            peer: Arc::clone(&self.peers[receiver]),
            clock: Arc::clone(&self.clock) as Arc<dyn Clock>,
            gate: Arc::clone(&self.gate),
            steps: self.dice.index(3),
        };
        let desk = Desk {
            store: self.store.clone(),
            clock: Arc::clone(&self.clock) as Arc<dyn Clock>,
            random: Arc::clone(&self.dice) as Arc<dyn Random>,
            policy: Arc::clone(&self.policy),
        };
        Arc::new(Lane {
            name: RECEIVERS[receiver].to_owned(),
            concurrency: 1 + self.dice.index(4),
            transport: Box::new(wire),
            pulse: None,
            desk: Arc::new(desk),
            flaw: match self.flaw {
                Flaw::MarkBeforeSend => lane::Flaw::MarkBeforeSend,
                Flaw::NoLease => lane::Flaw::NoLease,
                Flaw::None | Flaw::OutboxOutside => lane::Flaw::None,
            },
        })
    }

    /// A lane that has just started takes what is due and sends it.
    async fn work(&self, receiver: usize) {
        let lane = self.lane(receiver);
        let mut sends = JoinSet::new();
        lane.send_due(&mut sends).await;
        while sends.join_next().await.is_some() {}
    }

    /// A message is under way while another lane looks at the same outbox.
    async fn overlap(&self, receiver: usize) {
        let before = std::mem::replace(&mut self.peers[receiver].lock().unwrap().behaviour, Behaviour::Wait);
        let lane = self.lane(receiver);
        let mut sends = JoinSet::new();
        lane.send_due(&mut sends).await;
        let under_way = sends.len();
        while self.peers[receiver].lock().unwrap().waiting < under_way {
            tokio::task::yield_now().await;
        }
        let mut others = JoinSet::new();
        self.lane(receiver).send_due(&mut others).await;
        while !(sends.is_empty() && others.is_empty()) {
            self.gate.notify_waiters();
            tokio::task::yield_now().await;
            while sends.try_join_next().is_some() {}
            while others.try_join_next().is_some() {}
        }
        let mut peer = self.peers[receiver].lock().unwrap();
        peer.behaviour = before;
        peer.waiting = 0;
    }

    async fn outage(&self, receiver: usize) {
        self.peers[receiver].lock().unwrap().behaviour = Behaviour::Reset;
        let until = self.clock.now() + TimeDelta::hours(24);
        while let Some(due) = self.store.next_due(RECEIVERS[receiver]).await.unwrap() {
            if due > until {
                break;
            }
            self.pass_until(due);
            self.work(receiver).await;
        }
        self.peers[receiver].lock().unwrap().behaviour = Behaviour::Accept;
    }

    fn pass_until(&self, at: chrono::DateTime<chrono::Utc>) {
        let wait = at - self.clock.now();
        self.clock.advance(wait.num_seconds().max(0) + 1);
    }

    async fn handle(&self, action: Action) {
        let Some(number) = self.events.checked_sub(1) else { return };
        let id = format!("a{number}");
        let Some(found) = self.store.alert(&id).await.unwrap() else { return };
        let handling = Handling { action, who: "ada", note: "", now: self.clock.now(), undoable: None };
        self.store.handle(&[(id, found.alert.revision)], &handling, &self.policy.plan).await.unwrap();
    }

    async fn silence(&self, secs: i64) {
        let now = self.clock.now();
        let matchers = matchers_from("rule=KW-001").unwrap();
        let ends_at = now + TimeDelta::seconds(secs);
        let new = NewSilence { matchers: &matchers, starts_at: now, ends_at, author: "ada", reason: "drill" };
        self.store.silence(&new, now).await.unwrap();
    }

    /// The faults stop: what is paused is resumed, what was given up is sent again, and time goes
    /// from one due message to the next until none is left.
    async fn calm(&self) -> Result<(), String> {
        let begun = self.clock.now();
        for (receiver, name) in RECEIVERS.into_iter().enumerate() {
            self.peers[receiver].lock().unwrap().behaviour = Behaviour::Accept;
            self.store.resume_receiver(name).await.unwrap();
            self.store.replay_all(name, "ada", self.clock.now()).await.unwrap();
            while let Some(due) = self.store.next_due(name).await.unwrap() {
                self.pass_until(due);
                if self.clock.now() - begun > TimeDelta::hours(DRAIN_HOURS * 2) {
                    return Err(format!("{name} still has messages waiting after two days of calm"));
                }
                self.work(receiver).await;
            }
        }
        Ok(())
    }

    async fn check(&self) -> Result<(), String> {
        let page = Page::first(1000);
        let rows = self.store.deliveries(&DeliveryFilter::default(), page).await.unwrap().rows;
        let alerts = self.store.alerts(&AlertFilter::default(), page).await.unwrap().rows;
        if alerts.len() != self.events {
            return Err(format!("{} alerts of {} events", alerts.len(), self.events));
        }
        for (receiver, name) in RECEIVERS.into_iter().enumerate() {
            for alert in &alerts {
                let mine = rows.iter().filter(|row| row.receiver == name && row.alert_id == alert.id);
                if mine.count() == 0 {
                    return Err(format!("{name} was never to be told of {}", alert.id));
                }
            }
            let peer = self.peers[receiver].lock().unwrap();
            for row in rows.iter().filter(|row| row.receiver == name) {
                arrived(&peer, row, &rows)?;
            }
            twice(&peer, name, &rows)?;
            on_time(&peer, name)?;
        }
        Ok(())
    }
}

/// A row ends as delivered, and then the receiver did take its message, or as taken back.
fn arrived(peer: &Peer, row: &DeliveryRow, rows: &[DeliveryRow]) -> Result<(), String> {
    let leader = row.bundle.and_then(|leader| rows.iter().find(|one| one.id == leader)).unwrap_or(row);
    let took = peer.seen.iter().any(|seen| seen.accepted && seen.id == leader.message_id);
    match row.state {
        DeliveryState::Delivered if took => Ok(()),
        DeliveryState::Cancelled => Ok(()),
        DeliveryState::Delivered => Err(format!("message {} is done and never arrived", row.message_id)),
        DeliveryState::Pending | DeliveryState::DeadLetter => {
            Err(format!("message {} is {} at the end", row.message_id, row.state.as_str()))
        }
    }
}

/// A message that was taken comes again only when its answer was lost, or its sender killed.
fn twice(peer: &Peer, name: &str, rows: &[DeliveryRow]) -> Result<(), String> {
    for (at, seen) in peer.seen.iter().enumerate() {
        if !rows.iter().any(|row| row.message_id == seen.id) {
            return Err(format!("{name} got {}, which nobody wrote", seen.id));
        }
        let again = peer.seen.iter().skip(at + 1).find(|later| later.id == seen.id);
        let Some(again) = again.filter(|_| seen.accepted && !seen.lost) else { continue };
        if again.kills == seen.kills {
            return Err(format!("{} came twice to {name}, and nothing was lost", seen.id));
        }
    }
    Ok(())
}

/// No attempt comes before its time, unless a kill cut the one before short, or the receiver came
/// back meanwhile, or the message was given up and replayed.
fn on_time(peer: &Peer, name: &str) -> Result<(), String> {
    let mut ids: Vec<&str> = peer.seen.iter().map(|seen| seen.id.as_str()).collect();
    ids.sort_unstable();
    ids.dedup();
    for id in ids {
        let attempts: Vec<_> = peer.seen.iter().filter(|seen| seen.id == id).collect();
        // Attempts that were perhaps never recorded, and so do not count for the schedule.
        let mut cut_short = 0;
        for (index, pair) in attempts.windows(2).enumerate() {
            let (before, after) = (pair[0], pair[1]);
            let killed = before.kills != after.kills;
            cut_short += usize::from(killed);
            let Some(delay) = DELAYS_SECS.get((index + 1).saturating_sub(cut_short)) else { continue };
            let least = i64::try_from(delay * 4 / 5).unwrap().max(i64::from(before.asked));
            let excused = killed || before.gone || before.recoveries != after.recoveries;
            if !excused && (after.at - before.at).num_seconds() < least && index + 2 < DELAYS_SECS.len() {
                return Err(format!("attempt {} of {id} came to {name} before its time", index + 2));
            }
        }
    }
    Ok(())
}

/// Polls `future` until it is done or that many steps were taken; then it is dropped as a kill
/// would drop it. Whether it was done.
async fn some_steps(future: impl Future<Output = ()>, steps: usize) -> bool {
    let mut future = pin!(future);
    let mut left = steps;
    poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(()) => Poll::Ready(true),
        Poll::Pending if left == 0 => Poll::Ready(false),
        Poll::Pending => {
            left -= 1;
            Poll::Pending
        }
    })
    .await
}
