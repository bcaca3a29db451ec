//! From bytes that came to records on disk: opened, rid of secret values, packed.
//!
//! Tells the source's health of what was dropped, once a second.

use crate::spool::{Door, Kind, Lost, Parcel, Refusal};
use keywatch_event::{Observed, Place};
use keywatch_ingest::source::{Clock, Health};
use keywatch_ingest::{Batch, carrier, scrub};
use std::sync::Arc;
use std::time::Duration;

/// How often what was dropped is told.
const TELL: Duration = Duration::from_secs(1);
/// How often in a row nothing must have been refused until there is said to be room: a spool that is
/// emptied as fast as it fills is full and not full from second to second.
const CALM: u32 = 10;
/// The part of a source's health that the spool is.
const SPOOL: &str = "spool";

/// What every listener of a source shares.
#[derive(Clone)]
pub(crate) struct Intake {
    pub(crate) door: Door,
    pub(crate) health: Health,
    pub(crate) clock: Clock,
    name: Arc<str>,
}

/// What a message came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Packed {
    pub(crate) records: usize,
    pub(crate) rejects: usize,
}

impl Intake {
    pub(crate) fn new(name: &str, door: Door, (clock, health): (Clock, Health)) -> Self {
        Self { door, health, clock, name: name.into() }
    }

    /// Opens one message, such as a line or a body, into a parcel.
    pub(crate) fn pack(&self, message: &[u8], parcel: &mut Parcel) -> Packed {
        let place = Place { name: Arc::clone(&self.name), line: 1, record: 0 };
        let mut batch = Batch::default();
        carrier::open(message, &place, &mut batch);
        // Before anything is written: what is on the spool's disk never had the values.
        let batch = scrub::clean(&batch).unwrap_or(batch);
        for record in &batch.records {
            parcel.push(Kind::Record, batch.raw(record));
        }
        for reject in &batch.rejects {
            parcel.push(Kind::Document, &reject.bytes);
        }
        Packed { records: batch.records.len(), rejects: batch.rejects.len() }
    }

    /// Something was not taken, for a reason that is told.
    pub(crate) fn refuse(&self, why: &'static str) {
        self.health.refuses(why);
    }

    /// Tells what was dropped, until the source ends.
    pub(crate) async fn keep_telling(self) {
        let mut calm = 0;
        loop {
            tokio::time::sleep(TELL).await;
            self.tell_of_spool(&mut calm);
        }
    }

    /// `calm` is for how many times nothing was refused.
    fn tell_of_spool(&self, calm: &mut u32) {
        for Lost { count, why } in self.door.take_lost() {
            self.health.drops(count);
            self.health.misses(format!("{count} record(s) were dropped: {why}"));
        }
        match self.door.trouble() {
            None => self.health.works(SPOOL),
            Some(Refusal::Closed) => {}
            Some(why) => self.health.fails(SPOOL, why.to_string(), (self.clock)()),
        }
        match self.door.take_refusal() {
            Some(Refusal::Closed) => {}
            Some(why) => {
                *calm = 0;
                let text = format!("{} has no room for what is pushed to it: {why}", self.name);
                self.health.stands(Observed::Full, "", Some(text));
            }
            None if *calm < CALM => *calm += 1,
            None => self.health.stands(Observed::Full, "", None),
        }
    }
}
