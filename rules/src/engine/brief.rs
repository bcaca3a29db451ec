//! What the engine remembers of an event that counted: the parts an alert may show.
//!
//! An event in a window costs about 200 bytes: who and from where, and the secrets' names, are
//! shared between events that have the same.

use crate::Seen;
use crate::field::Normal;
use crate::view::View;
use hashbrown::HashTable;
use keywatch_event::{
    AlertPrincipal, AlertSource, AuditEvent, Class, EventTime, Outcome, Place, Principal, Provider,
    SecretRef, Source, agent_family, network_of,
};
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
    pub(crate) credential: Arc<Credential>,
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
    pub(crate) agent: Option<Box<str>>,
    pub(crate) actor: Arc<str>,
    /// The address, its network and the family of the agent as texts.
    pub(crate) ip: Option<Arc<str>>,
    pub(crate) network: Option<Arc<str>>,
    pub(crate) family: Option<Arc<str>>,
}

/// By what the caller showed who they are, as far as the record tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Credential {
    pub(crate) session: Option<Box<str>>,
    pub(crate) access_key: Option<Box<str>>,
}

/// Values shared between briefs.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    hasher: hashbrown::DefaultHashBuilder,
    whos: Pool<Who>,
    credentials: Pool<Credential>,
    secrets: Pool<SecretRef<'static>>,
}

/// Values of one kind, each once.
#[derive(Debug)]
struct Pool<T> {
    /// With their hashes.
    known: HashTable<(u64, Arc<T>)>,
    /// How many there may be before those nobody uses any more are dropped.
    sweep_at: usize,
}

/// Values of a kind that are kept whether they are used or not. From then on they are looked
/// through whenever so many, or a quarter, have come to those in use, so that it costs little however many
/// these are; they are bounded by the entries that hold them.
const SHARED_MAX: usize = 50_000;

impl<T> Default for Pool<T> {
    fn default() -> Self {
        Self { known: HashTable::new(), sweep_at: SHARED_MAX }
    }
}

impl<T> Pool<T> {
    /// The value of this hash, made when there is none. The hash is a random one of every part, and says
    /// alone what it is of, as with names: to compare would cost a look into far memory for each part.
    fn shared(&mut self, hash: u64, make: impl FnOnce() -> T) -> Arc<T> {
        if let Some((_, found)) = self.known.find(hash, |(known, _)| *known == hash) {
            return Arc::clone(found);
        }
        if self.known.len() >= self.sweep_at {
            self.sweep();
        }
        let value = Arc::new(make());
        self.known.insert_unique(hash, (hash, Arc::clone(&value)), |(hash, _)| *hash);
        value
    }

    /// Drops those nobody uses any more.
    fn sweep(&mut self) {
        self.known.retain(|(_, value)| Arc::strong_count(value) > 1);
        self.sweep_at = self.known.len() + SHARED_MAX.max(self.known.len() / 4);
    }
}

/// How many secrets that briefs name take the memory of an entry: one takes 250 bytes with its place in what
/// names it. As many as are kept anyway are free.
const SECRETS: usize = 3;

impl Shared {
    /// What the secrets take that briefs name, in entries: an event may name many.
    pub(crate) fn held(&self) -> usize {
        self.secrets.known.len().saturating_sub(2 * SHARED_MAX).div_ceil(SECRETS)
    }

    /// Drops the secrets that no brief names any more.
    pub(crate) fn sweep(&mut self) {
        self.secrets.sweep();
    }

    /// The brief of an event.
    pub(crate) fn brief(&mut self, seen: &Seen<'_>, batch: (u64, u32)) -> Arc<Brief> {
        let secrets = seen.event.secrets.iter().map(|secret| self.secret(secret)).collect();
        Arc::new(Brief {
            id: Box::from(&*seen.event.id),
            time: seen.event.time,
            place: seen.place.clone(),
            who: self.who(seen),
            credential: self.credential(&seen.event.principal),
            secrets,
            batch,
        })
    }

    fn who(&mut self, seen: &Seen<'_>) -> Arc<Who> {
        let event = seen.event;
        let mut hasher = self.hasher.build_hasher();
        (&event.principal.id, &event.principal.name, &event.account, &event.store).hash(&mut hasher);
        (event.source.ip, &event.source.raw, &event.user_agent).hash(&mut hasher);
        let kinds = [event.provider as u8, event.principal.kind as u8, event.source.kind as u8];
        kinds.hash(&mut hasher);
        self.whos.shared(hasher.finish(), || Who::of(seen))
    }

    fn credential(&mut self, principal: &Principal<'_>) -> Arc<Credential> {
        let (session, access_key) = (principal.session.as_deref(), principal.access_key.as_deref());
        let make = || Credential { session: session.map(Box::from), access_key: access_key.map(Box::from) };
        self.credentials.shared(self.hasher.hash_one((session, access_key)), make)
    }

    fn secret(&mut self, secret: &SecretRef<'_>) -> Arc<SecretRef<'static>> {
        let hash = self.hasher.hash_one((&*secret.id, &*secret.name, secret.version.as_deref()));
        self.secrets.shared(hash, || secret.clone().into_owned())
    }
}

impl Brief {
    /// The order in which groups are swept: event time, then id, so that it never depends on arrival.
    pub(crate) fn order(&self) -> (EventTime, &str) {
        (self.time, &self.id)
    }

    /// The event as far as it is remembered: who, from where, which secrets, when. What is not
    /// remembered is absent, or `other`.
    pub(crate) fn event(&self) -> AuditEvent<'_> {
        let who = &*self.who;
        let secret = |secret: &Arc<SecretRef<'static>>| SecretRef::clone(secret);
        AuditEvent {
            id: Cow::Borrowed(&self.id),
            time: self.time,
            time_raw: None,
            received_at: self.time,
            provider: who.provider,
            service: Cow::Borrowed(""),
            store: who.store.as_deref().map(Cow::Borrowed),
            account: who.account.as_deref().map(Cow::Borrowed),
            region: None,
            operation: Cow::Borrowed(""),
            class: Class::Other,
            outcome: Outcome::Other,
            error: None,
            principal: Principal {
                id: Cow::Borrowed(&who.principal.id),
                kind: who.principal.kind,
                name: who.principal.name.as_deref().map(Cow::Borrowed),
                session: self.credential.session.as_deref().map(Cow::Borrowed),
                access_key: self.credential.access_key.as_deref().map(Cow::Borrowed),
                via: None,
            },
            source: Source {
                ip: who.source.ip,
                kind: who.source.kind,
                raw: who.source.raw.as_deref().map(Cow::Borrowed),
            },
            user_agent: who.agent.as_deref().map(Cow::Borrowed),
            secrets: self.secrets.iter().map(secret).collect(),
            echo_of: None,
            scrubbed: Vec::new(),
            told: None,
        }
    }
}

impl Who {
    /// Tells a view what is computed of it already.
    pub(crate) fn tell(&self, view: &View<'_>) {
        view.know(Normal::Actor, Some(&self.actor));
        view.know(Normal::SourceIp, self.ip.as_ref());
        view.know(Normal::SourceNetwork, self.network.as_ref());
        view.know(Normal::UserAgentFamily, self.family.as_ref());
    }

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
            agent: event.user_agent.as_ref().map(boxed),
            actor: event.actor_fingerprint().into(),
            ip: event.source.ip.map(|ip| ip.to_string().into()),
            network: event.source.ip.map(|ip| network_of(ip).into()),
            family: event.user_agent.as_deref().map(|agent| agent_family(agent).into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pool_whose_values_are_all_in_use_is_looked_through_only_when_many_have_come_to_them() {
        let mut pool = Pool::<usize>::default();
        let take = |pool: &mut Pool<usize>, n: usize| {
            let hash = (n as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            pool.shared(hash, || n)
        };
        let used: Vec<Arc<usize>> = (0..=SHARED_MAX).map(|n| take(&mut pool, n)).collect();
        assert_eq!(pool.sweep_at, 2 * SHARED_MAX);
        drop(used);
        let used: Vec<Arc<usize>> = (0..2 * SHARED_MAX).map(|n| take(&mut pool, n)).collect();
        assert_eq!(pool.known.len(), 2 * SHARED_MAX, "values that are there are not made twice");
        drop(used);
        take(&mut pool, usize::MAX);
        assert_eq!((pool.known.len(), pool.sweep_at), (1, SHARED_MAX));
    }
}
