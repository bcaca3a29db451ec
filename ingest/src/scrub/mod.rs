//! Secret values that leaked into audit records are taken out, before anything is written.
//!
//! What is found is replaced by `[scrubbed:<kind>]` in the record's own bytes, so everything
//! derived from a record (ids, fields, alerts, pages) never had the value. A record without a
//! suspicion costs one pass over its bytes and no memory. Two ways lead to a suspicion: the shape
//! of a known token anywhere (`shape`), and the place a value stands at (`place`, `vault`).
//!
//! Invariant: the result is a function of the bytes alone, and scrubbing it again changes nothing.

mod filter;
mod key;
mod place;
mod shape;
mod span;
mod trigger;
mod vault;
mod walk;

#[cfg(test)]
mod tests;

use crate::Batch;
use keywatch_event::RejectReason;
use span::Span;
use trigger::Trigger;

/// JSON within strings of JSON that is looked into. Envelopes are opened before; what is left has
/// one level in practice.
const NESTING_MAX: usize = 3;

/// Whether `record` may hold a secret value, or a mark left by an earlier scrubbing.
#[must_use]
pub fn suspects(record: &[u8]) -> bool {
    filter::suspects(record)
}

/// `record` without its secret values; `None` when it has none.
#[must_use]
pub fn scrub(record: &[u8]) -> Option<Vec<u8>> {
    within(record, 0)
}

fn within(record: &[u8], depth: usize) -> Option<Vec<u8>> {
    let mut spans = Vec::new();
    let mut by_place = false;
    for (trigger, at) in trigger::all(record) {
        match trigger {
            Trigger::Shape(shape) => spans.extend(shape.find(record, at)),
            Trigger::Mark => {}
            Trigger::Key | Trigger::Context | Trigger::Vault | Trigger::KvData => {
                by_place |= trigger.is_plausible(record, at);
            }
        }
    }
    if by_place {
        place::find(record, depth, &mut spans);
    }
    span::replace(record, spans)
}

/// `batch` without secret values, rejects included; `None` when it has none.
#[must_use]
pub fn clean(batch: &Batch) -> Option<Batch> {
    let suspect = batch.records.iter().any(|record| suspects(batch.raw(record)))
        || batch.rejects.iter().any(|reject| suspects(&reject.bytes) || has_text(&reject.reason));
    if !suspect {
        return None;
    }
    let mut clean = Batch {
        bytes: Vec::with_capacity(batch.bytes.len()),
        records: Vec::with_capacity(batch.records.len()),
        rejects: batch.rejects.clone(),
        skipped: batch.skipped,
        advances: batch.advances.clone(),
    };
    for record in &batch.records {
        let raw = batch.raw(record);
        match scrub(raw) {
            Some(scrubbed) => clean.push(&scrubbed, record.place.clone()),
            None => clean.push(raw, record.place.clone()),
        }
    }
    for reject in &mut clean.rejects {
        if let Some(scrubbed) = scrub(&reject.bytes) {
            reject.bytes = scrubbed;
        }
        scrub_reason(&mut reject.reason);
    }
    Some(clean)
}

fn has_text(reason: &RejectReason) -> bool {
    let mut reason = reason.clone();
    text_of(&mut reason).is_some_and(|text| suspects(text.as_bytes()))
}

/// Takes secret values out of what a reject says: a key of the record may hold one.
fn scrub_reason(reason: &mut RejectReason) {
    let Some(text) = text_of(reason) else { return };
    if let Some(scrubbed) = scrub(text.as_bytes()) {
        *text = String::from_utf8_lossy(&scrubbed).into_owned();
    }
}

const fn text_of(reason: &mut RejectReason) -> Option<&mut String> {
    match reason {
        RejectReason::Syntax(text)
        | RejectReason::DuplicateKey(text)
        | RejectReason::UnknownShape(text)
        | RejectReason::Compression(text)
        | RejectReason::Bomb(text)
        | RejectReason::Defect(text)
        | RejectReason::Envelope { detail: text, .. } => Some(text),
        RejectReason::Encoding(_) | RejectReason::Depth | RejectReason::Oversize { .. } => None,
    }
}

/// The bytes of `record` in `range`, as far as they exist.
fn bytes(record: &[u8], range: std::ops::Range<usize>) -> &[u8] {
    record.get(range).unwrap_or_default()
}

/// Adds a span unless what stands there is a placeholder.
fn add(spans: &mut Vec<Span>, record: &[u8], span: Span) {
    if !key::is_placeholder(bytes(record, span.range.clone())) {
        spans.push(span);
    }
}
