//! One connection: read always, packed, posted.

use crate::framer::Framer;
use crate::intake::Intake;
use crate::pushed::REST;
use crate::spool::{Kind, Parcel, Refusal};
use keywatch_ingest::source::RECORD_BYTES_MAX;
use keywatch_secrets::{SecretManager, SecretRef, SecretValue};
use std::sync::Arc;
use std::time::Duration;
use subtle::ConstantTimeEq;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

/// Bytes read at once.
const READ_BYTES: usize = 64 << 10;
/// KiB that long messages of all connections of a listener may take while they are incomplete:
/// four of the largest records.
const ROOM_KIB: u32 = 256 << 10;
/// Messages that go to the spool at once, so that a write begins while the next are read.
const MESSAGES_PER_PARCEL: u64 = 1000;
/// How long a token that was fetched is compared with before it is fetched again.
const TOKEN_AGE_MAX: Duration = Duration::from_secs(30);

/// Memory for messages that are longer than one read.
#[derive(Clone)]
pub(super) struct Room(Arc<Semaphore>);

impl Default for Room {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(ROOM_KIB as usize)))
    }
}

/// Who may send, and to where it goes.
pub(super) struct Guard {
    /// Whether a token is asked for; it is in `known` once it was fetched.
    asks: bool,
    known: watch::Sender<Option<SecretValue>>,
    pub(super) intake: Intake,
}

impl Guard {
    pub(super) fn new(asks: bool, intake: Intake) -> Self {
        Self { asks, known: watch::Sender::default(), intake }
    }

    /// Fetches the token, now and then again: no connection ever waits for that. While it cannot be
    /// fetched the last one stays in force.
    pub(super) async fn keep_token(&self, reference: SecretRef, secrets: SecretManager) {
        loop {
            match secrets.get(&reference).await {
                Ok(value) => {
                    self.intake.health.works("token");
                    self.known.send_replace(Some(value));
                }
                Err(error) => {
                    self.intake.health.fails("token", error.to_string(), (self.intake.clock)());
                }
            }
            let is_known = self.known.borrow().is_some();
            tokio::time::sleep(if is_known { TOKEN_AGE_MAX } else { REST }).await;
        }
    }

    /// Done when messages can be told apart: nobody is listened to before.
    pub(super) async fn ready(&self) {
        if self.asks {
            // The sender is held here, so this cannot end otherwise.
            drop(self.known.subscribe().wait_for(Option::is_some).await);
        }
    }

    /// Packs one message, without its token.
    pub(super) fn take(&self, message: &[u8], parcel: &mut Parcel) {
        let token = self.known.borrow().clone();
        let body = match token {
            None => message,
            Some(token) => {
                let Some(body) = behind(message, token.expose().as_bytes()) else {
                    self.intake.refuse("messages without the token were dropped; set the device's `prefix`");
                    return;
                };
                body
            }
        };
        self.intake.pack(body, parcel);
    }
}

/// What follows the token. In syslog it stands behind the header.
fn behind<'m>(message: &'m [u8], token: &[u8]) -> Option<&'m [u8]> {
    let object = memchr::memchr(b'{', message).unwrap_or(message.len());
    let head = message.get(..object)?.trim_ascii_end();
    let found = head.get(head.len().checked_sub(token.len())?..)?;
    bool::from(found.ct_eq(token)).then(|| message.get(object..).unwrap_or_default())
}

/// Reads until the peer has gone.
pub(super) async fn read(mut stream: impl AsyncRead + Unpin, guard: &Guard, room: &Room) {
    let (mut framer, mut taken) = (Framer::default(), None);
    loop {
        let buffer = framer.buffer();
        buffer.reserve(READ_BYTES);
        let read = stream.read_buf(buffer).await;
        drain(&mut framer, guard);
        make_room(&mut framer, &mut taken, room, guard);
        match read {
            Ok(0) | Err(_) => break,
            Ok(_) => {}
        }
    }
    if let Some(rest) = framer.rest() {
        // Vault sends the whole of it again over its next connection.
        let mut parcel = Parcel::default();
        guard.take(rest, &mut parcel);
        guard.intake.door.post(parcel);
    }
}

fn drain(framer: &mut Framer, guard: &Guard) {
    let mut parcel = Parcel::default();
    while let Some(message) = framer.next() {
        guard.take(message, &mut parcel);
        if parcel.count() >= MESSAGES_PER_PARCEL {
            guard.intake.door.post(std::mem::take(&mut parcel));
        }
    }
    guard.intake.door.post(parcel);
}

/// Takes room for a message that is longer than a read. Where there is none its beginning is kept
/// as a reject and the rest is passed over: the connection is read on.
fn make_room(framer: &mut Framer, taken: &mut Option<OwnedSemaphorePermit>, room: &Room, guard: &Guard) {
    let held = framer.held();
    if held <= 2 * READ_BYTES {
        *taken = None;
        return;
    }
    let wanted = u32::try_from(held >> 10).unwrap_or(u32::MAX);
    let has = taken.as_ref().map_or(0, |permit| u32::try_from(permit.num_permits()).unwrap_or(u32::MAX));
    if wanted <= has && held <= RECORD_BYTES_MAX {
        return;
    }
    let more = Arc::clone(&room.0).try_acquire_many_owned(wanted.max(has * 2).saturating_sub(has));
    let got = match (more, taken.as_mut()) {
        _ if held > RECORD_BYTES_MAX => false,
        (Err(_), _) => false,
        (Ok(more), Some(permit)) => {
            permit.merge(more);
            true
        }
        (Ok(more), None) => {
            *taken = Some(more);
            true
        }
    };
    if !got {
        let mut parcel = Parcel::default();
        let beginning = framer.buffer();
        parcel.push(Kind::Document, beginning.get(..READ_BYTES).unwrap_or(beginning));
        guard.intake.door.post(parcel);
        guard.intake.door.lose(1, Refusal::Long(held as u64));
        framer.give_up();
        *taken = None;
    }
}
