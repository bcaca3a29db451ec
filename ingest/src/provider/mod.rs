//! One raw record becomes one audit event.
//!
//! The provider is recognised by content. Each provider reads its fields through one shared
//! [`Extractor`], so a record is parsed once whatever it turns out to be.

mod aws;
mod azure;
mod gcp;
mod paths;
mod text;
mod vault;

use keywatch_event::json::{Asked, Extractor, Fields};
use keywatch_event::scrubbed::marks;
use keywatch_event::{AuditEvent, EventTime, Provider, RejectReason};
use std::borrow::Cow;
use twox_hash::XxHash3_64;

/// Turns raw records into audit events.
#[derive(Debug)]
pub struct Normalizer {
    extractor: Extractor,
    /// For records that a tool on the way has lower-cased; tried when nobody knows a record.
    folding: Extractor,
}

impl Default for Normalizer {
    fn default() -> Self {
        Self::new()
    }
}

impl Normalizer {
    /// A normaliser for every provider.
    #[must_use]
    pub fn new() -> Self {
        let paths = || paths::ALL.iter().copied();
        Self { extractor: Extractor::new(paths()), folding: Extractor::ignoring_case(paths()) }
    }

    /// The same, which besides tells with each event what its record says at the paths `asked` for, where
    /// that is certain. The events are the same.
    #[must_use]
    pub fn asking(asked: &Asked) -> Self {
        Self { extractor: Extractor::asking(paths::ALL.iter().copied(), asked), ..Self::new() }
    }

    /// Reads one record. `Ok(None)` for a record that is one but describes no event by design,
    /// such as the probe Vault writes when an audit device is enabled.
    ///
    /// # Errors
    /// A [`RejectReason`] when the bytes cannot be read, or belong to no provider.
    pub fn normalize<'a>(
        &self,
        record: &'a [u8],
        received_at: EventTime,
    ) -> Result<Option<AuditEvent<'a>>, RejectReason> {
        let event = self.stream().normalize(record, received_at)?;
        Ok(event.map(|event| AuditEvent { scrubbed: marks(record), ..event }))
    }

    /// The same for many records in a row, with memory that is used again for each.
    #[must_use]
    pub fn stream<'a>(&self) -> Stream<'_, 'a> {
        Stream { normalizer: self, fields: Fields::default() }
    }
}

/// Turns records that live equally long into events, one after the other.
#[derive(Debug)]
pub struct Stream<'n, 'a> {
    normalizer: &'n Normalizer,
    fields: Fields<'a>,
}

impl<'a> Stream<'_, 'a> {
    /// Reads one record, as [`Normalizer::normalize`] does, but leaves `scrubbed` to the caller,
    /// who knows from [`crate::scrub::suspects`] whether there is anything to say.
    ///
    /// # Errors
    /// As [`Normalizer::normalize`].
    pub fn normalize(
        &mut self,
        record: &'a [u8],
        received_at: EventTime,
    ) -> Result<Option<AuditEvent<'a>>, RejectReason> {
        self.normalizer.extractor.read(record, &mut self.fields)?;
        self.event(record, received_at)
    }

    /// Reads the record that `text` begins with, whatever follows: its length and its event.
    /// `None` when that takes a second look, and for records that are refused.
    pub(crate) fn normalize_head(
        &mut self,
        text: &'a str,
        received_at: EventTime,
    ) -> Option<(&'a str, Option<AuditEvent<'a>>)> {
        let bytes = self.normalizer.extractor.read_head(text, &mut self.fields)?;
        let record = text.get(..bytes)?.trim_ascii_end();
        let event = self.event(record.as_bytes(), received_at).ok()?;
        Some((record, event))
    }

    /// Whether the record read last is one of those that Lambda is handed.
    pub(crate) fn is_lambda(&self) -> bool {
        let source = self.fields.text(paths::EVENT_SOURCE);
        source.is_some_and(|source| source.starts_with("aws:"))
            || self.fields.raw(paths::LAMBDA_SOURCE).is_some()
    }

    fn event(
        &mut self,
        record: &'a [u8],
        received_at: EventTime,
    ) -> Result<Option<AuditEvent<'a>>, RejectReason> {
        let told = self.fields.told(&self.normalizer.extractor);
        let mut event = self.plain_event(record, received_at)?;
        if let Some(event) = &mut event {
            event.told = told;
        }
        Ok(event)
    }

    fn plain_event(
        &mut self,
        record: &'a [u8],
        received_at: EventTime,
    ) -> Result<Option<AuditEvent<'a>>, RejectReason> {
        let mut provider = recognise(&self.fields);
        if provider.is_none() {
            self.normalizer.folding.read(record, &mut self.fields)?;
            // Other spellings of the Azure and Vault keys are other formats, not lower-cased records.
            provider = recognise(&self.fields).filter(|found| matches!(found, Provider::Aws | Provider::Gcp));
        }
        let fields = &self.fields;
        match provider {
            Some(Provider::Aws) => {
                let mut event = aws::event(fields, record, received_at);
                tell_apart(&mut event);
                Ok(Some(event))
            }
            Some(Provider::Gcp) => {
                let mut event = gcp::event(fields, record, received_at);
                tell_apart(&mut event);
                Ok(Some(event))
            }
            Some(Provider::Azure) => Ok(Some(azure::event(fields, record, received_at))),
            Some(Provider::Vault) => Ok(vault::event(fields, record, received_at)),
            None => Err(RejectReason::UnknownShape(shape(record))),
        }
    }
}

/// Adds to an id that a provider gave what the record says: `aws:111122223333:e-1~1f83d9ab`.
///
/// Providers promise unique ids, but the same id does come with other content: samples, exports
/// and forged records repeat ids, and the second must not be taken for a copy of the first. What
/// goes in is the normalised event, so every carrier and trail gives the same id; HMACs, receipt
/// and the spelling of the record are left out.
fn tell_apart(event: &mut AuditEvent<'_>) {
    let none = Cow::Borrowed("");
    let principal = &event.principal;
    let error = event.error.as_ref();
    let mut said = Said(0);
    for part in [
        &event.operation,
        &event.service,
        event.region.as_ref().unwrap_or(&none),
        &principal.id,
        principal.session.as_ref().unwrap_or(&none),
        event.source.raw.as_ref().unwrap_or(&none),
        event.user_agent.as_ref().unwrap_or(&none),
        error.and_then(|e| e.code.as_ref()).unwrap_or(&none),
        error.and_then(|e| e.message.as_ref()).unwrap_or(&none),
    ] {
        said.take(part.as_bytes());
    }
    event.secrets.iter().for_each(|secret| said.take(secret.id.as_bytes()));
    // What the record says, believed or not: belief depends on the clock here at the time.
    let said_time = match &event.time_raw {
        None => Some(event.time),
        Some(raw) => EventTime::parse(raw).ok(),
    };
    if let Some(time) = said_time {
        said.take(&time.unix_nanos().to_be_bytes());
    }
    said.take(event.outcome.as_str().as_bytes());
    let mut id = std::mem::take(&mut event.id).into_owned();
    said.show(&mut id);
    event.id = Cow::Owned(id);
}

/// XXH3, 64 bits (<https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md>), each part
/// with the hash of those before it as its seed: enough to tell apart what already shares an id.
struct Said(u64);

impl Said {
    fn take(&mut self, part: &[u8]) {
        self.0 = XxHash3_64::oneshot_with_seed(self.0, part);
    }

    /// Adds `~` and 32 bits in hexadecimal to `id`.
    fn show(&self, id: &mut String) {
        id.push('~');
        for shift in (0..32).step_by(4).rev() {
            let digit =
                u32::try_from(self.0 >> shift & 0xf).ok().and_then(|digit| char::from_digit(digit, 16));
            id.extend(digit);
        }
    }
}

/// Whose record this is, by the fields only that provider writes.
fn recognise(fields: &Fields<'_>) -> Option<Provider> {
    let has = |slot| fields.raw(slot).is_some();
    let aws_marks =
        [paths::EVENT_SOURCE, paths::EVENT_ID, paths::USER_TYPE, paths::USER_ARN, paths::AWS_REGION];
    if has(paths::EVENT_NAME) && aws_marks.into_iter().any(has) {
        return Some(Provider::Aws);
    }
    if has(paths::INSIGHT_DETAILS) || (has(paths::EVENT_SOURCE) && has(paths::EVENT_ID)) {
        return Some(Provider::Aws);
    }
    let gcp_types = [paths::PROTO_TYPE, paths::PROTO_TYPE_RENAMED];
    let gcp_marks = [paths::PROTO_METHOD_NAME, paths::PROTO_SERVICE_NAME, paths::LOG_NAME];
    if gcp_marks.into_iter().chain(gcp_types).any(has) {
        return Some(Provider::Gcp);
    }
    let azure_marks = [paths::RESOURCE_ID, paths::CATEGORY, paths::CALLER, paths::OPERATION_VALUE];
    if has(paths::OPERATION_NAME) && azure_marks.into_iter().any(has) {
        return Some(Provider::Azure);
    }
    if has(paths::TYPE) && (has(paths::REQUEST_RAW) || has(paths::AUTH_RAW) || has(paths::RESPONSE_RAW)) {
        return Some(Provider::Vault);
    }
    None
}

/// The first keys of an object nobody recognises, for the reject's text.
fn shape(record: &[u8]) -> String {
    let text = std::str::from_utf8(record).unwrap_or_default();
    let keys = keywatch_event::json::members(text).into_iter().take(8).map(|(key, _)| key.into_owned());
    let keys: Vec<String> = keys.map(|key| key.chars().take(40).collect()).collect();
    if keys.is_empty() {
        "an object without keys".to_owned()
    } else {
        format!("an object with {}", keys.join(", "))
    }
}
