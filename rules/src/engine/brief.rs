//! What the engine remembers of an event that counted: the parts an alert may show.
//!
//! An event in a window costs about 200 bytes: who and from where, and the secrets' names, are
//! shared between events that have the same.

use crate::Seen;
use hashbrown::HashTable;
use keywatch_event::{AlertPrincipal, AlertSource, EventTime, Place, Provider, SecretRef};
use std::borrow::Cow;
use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::Arc;

/// The parts of an event an alert may show.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Brief {
    pub(crate) id: Box<str>,
    pub(crate) time: EventTime,
    pub(crate) place: Place,
    pub(crate) who: Arc<Who>,
    pub(crate) secrets: Box<[Arc<SecretRef<'static>>]>,
    /// Number of the batch it came in and its position there; only for the answer to that batch.
    pub(crate) batch: (u64, u32),
}

/// Who did it, from where and to which store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Who {
    pub(crate) provider: Provider,
    pub(crate) account: Option<Box<str>>,
    pub(crate) store: Option<Box<str>>,
    pub(crate) principal: AlertPrincipal,
    pub(crate) source: AlertSource,
    pub(crate) actor: Box<str>,
}

/// Values shared between briefs.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    hasher: hashbrown::DefaultHashBuilder,
    whos: HashTable<Caller>,
    secrets: HashTable<(u64, Arc<SecretRef<'static>>)>,
}

/// A shared [`Who`] with what it was made of.
#[derive(Debug)]
struct Caller {
    hash: u64,
    agent: Option<Box<str>>,
    who: Arc<Who>,
}

/// Most shared values of a kind before those nobody uses any more are dropped.
const SHARED_MAX: usize = 50_000;

impl Shared {
    /// The brief of an event.
    pub(crate) fn brief(&mut self, seen: &Seen<'_>, batch: (u64, u32)) -> Arc<Brief> {
        let secrets = seen.event.secrets.iter().map(|secret| self.secret(secret)).collect();
        Arc::new(Brief {
            id: Box::from(&*seen.event.id),
            time: seen.event.time,
            place: seen.place.clone(),
            who: self.who(seen),
            secrets,
            batch,
        })
    }

    fn who(&mut self, seen: &Seen<'_>) -> Arc<Who> {
        let event = seen.event;
        let mut hasher = self.hasher.build_hasher();
        (&event.principal.id, &event.principal.name, &event.account, &event.store).hash(&mut hasher);
        (event.source.ip, &event.source.raw, &event.user_agent).hash(&mut hasher);
        let hash = hasher.finish();
        let found = self.whos.find(hash, |known| known.hash == hash && known.is(seen));
        if let Some(known) = found {
            return Arc::clone(&known.who);
        }
        if self.whos.len() >= SHARED_MAX {
            self.whos.retain(|known| Arc::strong_count(&known.who) > 1);
        }
        let who = Arc::new(Who::of(seen));
        let agent = event.user_agent.as_deref().map(Box::from);
        self.whos.insert_unique(hash, Caller { hash, agent, who: Arc::clone(&who) }, |known| known.hash);
        who
    }

    fn secret(&mut self, secret: &SecretRef<'_>) -> Arc<SecretRef<'static>> {
        let hash = self.hasher.hash_one(&*secret.id);
        if let Some((_, found)) = self.secrets.find(hash, |(_, known)| **known == *secret) {
            return Arc::clone(found);
        }
        if self.secrets.len() >= SHARED_MAX {
            self.secrets.retain(|(_, secret)| Arc::strong_count(secret) > 1);
        }
        let owned = Arc::new(secret.clone().into_owned());
        self.secrets.insert_unique(hash, (hash, Arc::clone(&owned)), |(hash, _)| *hash);
        owned
    }
}

impl Who {
    fn of(seen: &Seen<'_>) -> Self {
        let event = seen.event;
        let boxed = |text: &Cow<'_, str>| Box::from(&**text);
        Self {
            provider: event.provider,
            account: event.account.as_ref().map(boxed),
            store: event.store.as_ref().map(boxed),
            principal: AlertPrincipal {
                id: event.principal.id.clone().into_owned(),
                kind: event.principal.kind,
                name: event.principal.name.clone().map(Cow::into_owned),
            },
            source: AlertSource {
                ip: event.source.ip,
                kind: event.source.kind,
                raw: event.source.raw.clone().map(Cow::into_owned),
            },
            actor: event.actor_fingerprint().into(),
        }
    }
}

impl Caller {
    /// Whether [`Who::of`] would make the same of the event.
    fn is(&self, seen: &Seen<'_>) -> bool {
        let (event, who) = (seen.event, &*self.who);
        who.principal.id == event.principal.id
            && who.provider == event.provider
            && who.account.as_deref() == event.account.as_deref()
            && who.store.as_deref() == event.store.as_deref()
            && who.source.ip == event.source.ip
            && who.source.raw.as_deref() == event.source.raw.as_deref()
            && who.source.kind == event.source.kind
            && who.principal.kind == event.principal.kind
            && who.principal.name.as_deref() == event.principal.name.as_deref()
            && self.agent.as_deref() == event.user_agent.as_deref()
    }
}
