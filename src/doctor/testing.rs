//! What tests of several files need.

use super::{Findings, cost};
use crate::rulebook;
use keywatch_event::{EventTime, Provider};
use keywatch_ingest::provider::Normalizer;
use keywatch_rules::Surroundings;

/// The class of a record.
pub(super) fn class_of(record: &str) -> String {
    let received = EventTime::from_unix_nanos(0, 0);
    let read = Normalizer::new().normalize(record.as_bytes(), received);
    let event = read.expect("it can be read").expect("it is an event");
    event.class.as_str().to_owned()
}

/// The names of the blind spots.
pub(super) fn ids(findings: &Findings) -> Vec<&'static str> {
    findings.spots.iter().map(|spot| spot.id).collect()
}

/// The shipped rules that one blind spot makes blind.
pub(super) fn blind_rules(provider: Provider, findings: &Findings, id: &str) -> Vec<String> {
    let book = rulebook::load(&[]).expect("the shipped rules").told(&Surroundings::default());
    let spot = findings.spots.iter().find(|spot| spot.id == id);
    cost(&book.set, provider, &spot.expect("such a spot").lost).blind
}
