//! An event as it is stored while it may still become an alert: the parts an alert shows.

use super::brief::{Brief, Shared};
use crate::Seen;
use keywatch_event::{
    AuditEvent, Class, EventTime, Evidence, Outcome, Place, Principal, PrincipalKind, Provider, SecretRef,
    Source, SourceKind,
};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

/// The stored form of a brief: about 400 bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Memo {
    row: Row,
    provider: Provider,
    account: Option<String>,
    store: Option<String>,
    principal: (String, PrincipalKind, Option<String>),
    source: (Option<IpAddr>, SourceKind, Option<String>),
    secrets: Vec<(String, String, Option<String>)>,
}

/// The stored form of evidence: about 150 bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Row {
    event: String,
    nanos: i64,
    digits: u8,
    place: (String, u64, u32),
}

impl Row {
    pub(crate) fn of(brief: &Brief) -> Self {
        Self {
            event: brief.id.to_string(),
            nanos: brief.time.unix_nanos(),
            digits: brief.time.digits(),
            place: (brief.place.name.to_string(), brief.place.line, brief.place.record),
        }
    }

    pub(crate) fn time(&self) -> EventTime {
        EventTime::from_unix_nanos(self.nanos, self.digits)
    }

    pub(crate) fn evidence(&self) -> Evidence {
        Evidence { event: self.event.clone(), time: self.time(), place: self.place() }
    }

    fn place(&self) -> Place {
        let (name, line, record) = &self.place;
        Place { name: name.as_str().into(), line: *line, record: *record }
    }
}

impl Memo {
    pub(crate) fn of(brief: &Brief) -> Self {
        let (who, text) = (&*brief.who, |text: &Option<Box<str>>| text.clone().map(String::from));
        let secret = |secret: &Arc<SecretRef<'static>>| {
            let version = secret.version.as_deref().map(str::to_owned);
            (secret.id.to_string(), secret.name.to_string(), version)
        };
        Self {
            row: Row::of(brief),
            provider: who.provider,
            account: text(&who.account),
            store: text(&who.store),
            principal: (who.principal.id.clone(), who.principal.kind, who.principal.name.clone()),
            source: (who.source.ip, who.source.kind, who.source.raw.clone()),
            secrets: brief.secrets.iter().map(secret).collect(),
        }
    }

    /// The brief it was made of, as far as an alert shows it.
    pub(crate) fn brief(self) -> Arc<Brief> {
        let place = self.row.place();
        let event = self.event();
        Shared::default().brief(&Seen { event: &event, place: &place, raw: b"" }, (0, 0))
    }

    fn event(self) -> AuditEvent<'static> {
        let time = self.row.time();
        let ((id, kind, name), (ip, source_kind, raw)) = (self.principal, self.source);
        let secret = |(id, name, version): (String, String, Option<String>)| SecretRef {
            id: Cow::Owned(id),
            name: Cow::Owned(name),
            version: version.map(Cow::Owned),
        };
        AuditEvent {
            id: Cow::Owned(self.row.event),
            time,
            time_raw: None,
            received_at: time,
            provider: self.provider,
            service: Cow::Borrowed(""),
            store: self.store.map(Cow::Owned),
            account: self.account.map(Cow::Owned),
            region: None,
            operation: Cow::Borrowed(""),
            class: Class::Other,
            outcome: Outcome::Other,
            error: None,
            principal: Principal {
                id: Cow::Owned(id),
                kind,
                name: name.map(Cow::Owned),
                session: None,
                access_key: None,
                via: None,
            },
            source: Source { ip, kind: source_kind, raw: raw.map(Cow::Owned) },
            user_agent: None,
            secrets: self.secrets.into_iter().map(secret).collect(),
            echo_of: None,
            scrubbed: Vec::new(),
            told: None,
        }
    }
}
