//! A receiver of the simulation: what it does with a request, and everything it saw.

use crate::clock::Clock;
use crate::deliver::lane::Transport;
use crate::notification::Notification;
use crate::reply::{Reply, Verdict};
use chrono::{DateTime, Utc};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Notify;

/// What a receiver does with requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Behaviour {
    Accept,
    Status(u16),
    /// With `Retry-After`, seconds.
    Busy(u32),
    Hang,
    Reset,
    /// Takes the message; the answer is lost on the way.
    LoseReply,
    Gone,
    /// Waits until it is let go, then accepts.
    Wait,
}

/// One request as the receiver saw it.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) id: String,
    pub(super) at: DateTime<Utc>,
    pub(super) accepted: bool,
    /// Whether the sender may not know of it: the reply was lost.
    pub(super) lost: bool,
    /// Seconds it asked to be left alone.
    pub(super) asked: u32,
    /// How often its sender had been killed before.
    pub(super) kills: usize,
    /// Whether it wanted nothing more.
    pub(super) gone: bool,
    /// How often it had come back from being only probed.
    pub(super) recoveries: usize,
}

/// What is known of one receiver.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) behaviour: Behaviour,
    pub(super) seen: Vec<Seen>,
    pub(super) kills: usize,
    pub(super) recoveries: usize,
    /// Requests that wait to be let go.
    pub(super) waiting: usize,
    failures: u32,
}

impl Peer {
    pub(super) fn new() -> Arc<Mutex<Self>> {
        let behaviour = Behaviour::Accept;
        Arc::new(Mutex::new(Self {
            behaviour,
            seen: Vec::new(),
            kills: 0,
            recoveries: 0,
            waiting: 0,
            failures: 0,
        }))
    }

    fn take(&mut self, id: &str, at: DateTime<Utc>) -> Reply {
        let behaviour = self.behaviour;
        let accepted = matches!(behaviour, Behaviour::Accept | Behaviour::Wait | Behaviour::LoseReply);
        let lost = behaviour == Behaviour::LoseReply;
        let asked = if let Behaviour::Busy(secs) = behaviour { secs } else { 0 };
        let (kills, recoveries) = (self.kills, self.recoveries);
        let gone = behaviour == Behaviour::Gone;
        self.waiting += usize::from(behaviour == Behaviour::Wait);
        self.seen.push(Seen { id: id.to_owned(), at, accepted, lost, asked, kills, gone, recoveries });
        if accepted && !lost {
            self.recoveries += usize::from(self.failures > 0);
            self.failures = 0;
        } else {
            self.failures += 1;
        }
        match behaviour {
            Behaviour::Accept | Behaviour::Wait => Reply::delivered(Some(200)),
            Behaviour::Status(status) => {
                Reply { status: Some(status), ..Reply::failed(format!("answered {status}")) }
            }
            Behaviour::Busy(secs) => {
                let retry_after = Some(secs.to_string());
                Reply { status: Some(429), retry_after, ..Reply::failed("answered 429".to_owned()) }
            }
            Behaviour::Hang => Reply::failed("gave no answer".to_owned()),
            Behaviour::Reset | Behaviour::LoseReply => Reply::failed("broke off".to_owned()),
            Behaviour::Gone => Reply {
                verdict: Verdict::Gone,
                status: Some(410),
                ..Reply::failed("answered 410".to_owned())
            },
        }
    }
}

/// The way to it.
pub(super) struct Wire {
    pub(super) peer: Arc<Mutex<Peer>>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) gate: Arc<Notify>,
    /// How many steps a request takes there, and its answer back: a kill falls between any two.
    pub(super) steps: usize,
}

impl Transport for Wire {
    fn send<'t>(
        &'t self,
        notification: &'t Notification,
        _at: DateTime<Utc>,
    ) -> Pin<Box<dyn Future<Output = Reply> + Send + 't>> {
        Box::pin(async move {
            for _ in 0..self.steps {
                tokio::task::yield_now().await;
            }
            let waits = self.peer.lock().unwrap().behaviour == Behaviour::Wait;
            let reply = self.peer.lock().unwrap().take(&notification.id, self.clock.now());
            if waits {
                self.gate.notified().await;
            }
            for _ in 0..self.steps {
                tokio::task::yield_now().await;
            }
            reply
        })
    }

    fn timeout(&self) -> Duration {
        Duration::from_secs(15)
    }
}
