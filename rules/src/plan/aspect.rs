//! What tests depend on: one part of an event for all tests that look at it.
//!
//! Tests of one aspect are decided together. Most aspects have a key, a few bytes of the event of
//! which the outcome of every one of its tests is a function; what was found out once is then
//! looked up by it.

use super::fast::Tests;
use super::sieve::Sieve;
use crate::field::{Field, Normal};
use crate::matcher::{Item, Test};
use crate::view::{Several, View};
use hashbrown::HashMap;
use keywatch_event::json::Asked;
use keywatch_event::{AuditEvent, SecretRef};
use std::hash::Hasher;
use std::net::IpAddr;

/// Aspects that may be passed in one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Row {
    Call,
    Caller,
    Target,
    Record,
}

/// Number of an aspect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct AspectId(usize);

#[cfg(test)]
impl AspectId {
    pub(super) const fn of_number(number: usize) -> Self {
        Self(number)
    }
}

/// The part of an event.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Basis {
    /// A field that stands in the event as text, with those computed of it alone, and fields of
    /// the record that repeat it.
    Text(Normal),
    /// The source address, with its networks, numbers and countries.
    Address,
    /// Ids of the secrets named, or their names.
    Secrets(Normal),
    SecretsCount,
    /// Hour and day.
    Hour,
    Misdated,
    Scrubbed,
    Planned,
    /// A field of the record.
    Raw(Field),
    /// Whom the event opens something to.
    Grantees,
    /// Several parts at once: what one test asks, by its number.
    Own(usize),
}

/// One aspect.
#[derive(Clone, Debug)]
struct Aspect {
    basis: Basis,
    sieve: Option<Sieve>,
    /// The fields of the record its tests compare, where those alone decide.
    compared: Vec<OfRecord>,
    /// The field of the record it is, if it is one.
    of_record: Option<OfRecord>,
}

/// A field of the record, and where the normaliser tells its values.
#[derive(Clone, Debug)]
struct OfRecord {
    field: Field,
    /// The number of what the normaliser is asked for, and the place of each of the field's paths there.
    asked: u64,
    places: Box<[usize]>,
}

/// Where a test is decided.
#[derive(Clone, Copy, Debug)]
struct Home {
    first: AspectId,
    /// Where the normalised field its own repeats says nothing: that field, and where then.
    or_else: Option<(Normal, AspectId)>,
}

/// Every aspect of a plan's tests.
#[derive(Clone, Debug, Default)]
pub(super) struct Aspects {
    all: Vec<Aspect>,
    /// By test.
    homes: Vec<Home>,
}

/// Fields that are known to say nothing: bit n for the field declared as the n-th.
pub(super) type Unsaid = u64;
const _: () = assert!(Normal::NAMES.len() <= 64, "one bit for each field");

/// Why tests of an aspect pass or do not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key<'k> {
    /// There is no value.
    Absent,
    Bytes(&'k [u8]),
    /// No key says it: there are several values, or other parts of the event decide.
    Several,
}

/// Room for keys that stand nowhere as bytes.
pub(super) type Room = [u8; 16];

/// Tests of one aspect from which on a sieve says which of them are worth making.
pub(super) const SIEVE_MIN: usize = 16;

impl Aspects {
    pub(super) fn new(tests: &Tests, sieve_min: usize, asked_for: &Asked) -> Self {
        let mut numbers: HashMap<Basis, AspectId> = HashMap::new();
        let mut asked: Vec<Vec<usize>> = Vec::new();
        let mut aspects = Self::default();
        for (test, item) in tests.items().enumerate() {
            let mut number = |basis: Basis| {
                let id = *numbers.entry(basis.clone()).or_insert(AspectId(aspects.all.len()));
                if id.0 == aspects.all.len() {
                    let field = if let Basis::Raw(field) = &basis { Some(field.clone()) } else { None };
                    let of_record = field.map(|field| OfRecord::new(field, asked_for));
                    aspects.all.push(Aspect { basis, sieve: None, compared: Vec::new(), of_record });
                    asked.push(Vec::new());
                }
                asked.get_mut(id.0).into_iter().for_each(|asked| asked.push(test));
                id
            };
            let home = match (basis(test, item), item.field()) {
                (Basis::Raw(field), Some(Field::Raw(raw))) => match raw.twin {
                    Some(twin) => {
                        let first = number(Basis::Text(twin));
                        Home { first, or_else: Some((twin, number(Basis::Raw(field)))) }
                    }
                    None => Home { first: number(Basis::Raw(field)), or_else: None },
                },
                (basis, _) => Home { first: number(basis), or_else: None },
            };
            aspects.homes.push(home);
        }
        for (aspect, asked) in aspects.all.iter_mut().zip(asked) {
            let field = aspect.basis.field().filter(|_| asked.len() >= sieve_min);
            aspect.sieve = field.map(|field| Sieve::new(&field, &asked, tests));
            if let (Basis::Own(test), Some(item)) =
                (&aspect.basis, asked.first().and_then(|at| tests.item(*at)))
            {
                debug_assert!(asked == [*test], "an aspect of its own has one test");
                aspect.compared = compared(item, asked_for);
            }
        }
        aspects
    }

    /// Where a test is decided, given what says nothing; `None` when it was to be decided already.
    pub(super) fn of(&self, test: usize, unsaid: Unsaid) -> Option<AspectId> {
        let home = self.homes.get(test)?;
        match home.or_else {
            Some((twin, other)) if unsaid & bit(twin) != 0 => Some(other),
            _ => Some(home.first),
        }
    }

    /// Whether a test is decided here, given whether this aspect's field says something. `false`:
    /// it is decided in the record.
    pub(super) fn decides(&self, id: AspectId, test: usize, said: bool) -> bool {
        let home = self.homes.get(test);
        said || home.is_none_or(|home| home.first != id || home.or_else.is_none())
    }

    /// The fields of which it matters to a test whether they say nothing.
    pub(super) fn twins(&self, test: usize) -> Unsaid {
        let home = self.homes.get(test);
        home.and_then(|home| home.or_else).map_or(0, |(twin, _)| bit(twin))
    }

    /// The field that an aspect shows to say nothing.
    pub(super) fn unsaid(&self, id: AspectId, view: &View<'_>) -> Unsaid {
        match self.all.get(id.0).map(|aspect| &aspect.basis) {
            Some(Basis::Text(normal)) if normal.said(view).is_none() => bit(*normal),
            _ => 0,
        }
    }

    /// What a look at an aspect costs, compared with others: a record is not read when a field of
    /// the event decides.
    pub(super) fn cost(&self, id: AspectId) -> u32 {
        match self.all.get(id.0).map(|aspect| (&aspect.basis, aspect.compared.is_empty())) {
            Some((Basis::Text(Normal::Operation), _)) => 0,
            Some((Basis::Text(Normal::Service), _)) => 1,
            Some((
                Basis::Text(_) | Basis::Address | Basis::SecretsCount | Basis::Misdated | Basis::Scrubbed,
                _,
            )) => 2,
            Some((Basis::Secrets(_) | Basis::Hour, _)) => 3,
            Some((Basis::Planned, _)) => 4,
            Some((Basis::Raw(_), _)) => 100,
            Some((Basis::Own(_), false)) => 150,
            Some((Basis::Own(_), true)) | None => 200,
            Some((Basis::Grantees, _)) => 300,
        }
    }

    /// Aspects that stand in one row may be passed in one step: what is called, who calls from where,
    /// what is touched and when, what the record says besides. They vary together, or not at all.
    /// `None`: no bytes say what its tests would.
    pub(super) fn row(&self, id: AspectId) -> Option<Row> {
        match self.cost(id) {
            0 | 1 => Some(Row::Call),
            2 => Some(Row::Caller),
            3 => Some(Row::Target),
            100 | 150 => Some(Row::Record),
            _ => None,
        }
    }

    pub(super) fn key<'r>(&self, id: AspectId, view: &'r View<'_>, room: &'r mut Room) -> Key<'r> {
        self.all.get(id.0).map_or(Key::Several, |aspect| aspect.key(view, room))
    }

    /// Tells `hash` all that an aspect's tests depend on; `false` when it cannot be told.
    pub(super) fn mark(&self, id: AspectId, view: &View<'_>, hash: &mut impl Hasher) -> bool {
        let Some(aspect) = self.all.get(id.0) else { return false };
        if !aspect.compared.is_empty() {
            return aspect.compared.iter().all(|field| mark(field.key(view), hash));
        }
        match (&aspect.basis, view.event().secrets.as_slice()) {
            (Basis::Secrets(normal), secrets @ [_, _, ..]) => {
                hash.write_usize(secrets.len());
                secrets.iter().all(|secret| mark(Key::Bytes(part_of(secret, *normal)), hash))
            }
            _ => mark(aspect.key(view, &mut Room::default()), hash),
        }
    }

    /// What names the tests worth making.
    pub(super) fn sieve(&self, id: AspectId) -> Option<&Sieve> {
        self.all.get(id.0)?.sieve.as_ref()
    }
}

/// Tells a hash a key, apart from every other.
fn mark(key: Key<'_>, hash: &mut impl Hasher) -> bool {
    match key {
        Key::Absent => hash.write_usize(usize::MAX),
        Key::Bytes(bytes) => {
            hash.write_usize(bytes.len());
            hash.write(bytes);
        }
        Key::Several => return false,
    }
    true
}

/// The fields a test compares with one another, when they stand in the record and nowhere else.
fn compared(item: &Item, asked: &Asked) -> Vec<OfRecord> {
    let is_of_record = |field: &&Field| matches!(field, Field::Raw(raw) if raw.twin.is_none());
    if item.field().is_some() && item.read_fields().all(|field| is_of_record(&field)) {
        item.read_fields().map(|field| OfRecord::new(field.clone(), asked)).collect()
    } else {
        Vec::new()
    }
}

fn bit(normal: Normal) -> Unsaid {
    1 << (normal as u32)
}

fn basis(test: usize, item: &Item) -> Basis {
    let is_of_others = item.tests.iter().any(|test| matches!(test, Test::SameAs(_)));
    match item.field() {
        Some(field) if !is_of_others => match field {
            Field::Raw(_) => Basis::Raw(field.clone()),
            Field::Normal(normal) => of_normal(test, *normal),
        },
        _ => Basis::Own(test),
    }
}

fn of_normal(test: usize, normal: Normal) -> Basis {
    match normal {
        Normal::PrincipalSessionFamily => Basis::Text(Normal::PrincipalSession),
        Normal::UserAgentFamily => Basis::Text(Normal::UserAgent),
        Normal::SourceIp | Normal::SourceNetwork | Normal::SourceAsn | Normal::SourceCountry => {
            Basis::Address
        }
        Normal::SecretsId | Normal::SecretsName => Basis::Secrets(normal),
        Normal::SecretsCount => Basis::SecretsCount,
        Normal::TimeHour | Normal::TimeWeekday => Basis::Hour,
        Normal::TimeMisdated => Basis::Misdated,
        Normal::Scrubbed => Basis::Scrubbed,
        Normal::Planned => Basis::Planned,
        Normal::GranteeId | Normal::GranteeKind | Normal::GranteeScope => Basis::Grantees,
        Normal::Actor | Normal::TimeDelay => Basis::Own(test),
        Normal::Provider
        | Normal::Service
        | Normal::Store
        | Normal::Account
        | Normal::Region
        | Normal::Operation
        | Normal::Class
        | Normal::Outcome
        | Normal::ErrorCode
        | Normal::ErrorMessage
        | Normal::PrincipalId
        | Normal::PrincipalKind
        | Normal::PrincipalName
        | Normal::PrincipalSession
        | Normal::PrincipalAccessKey
        | Normal::PrincipalVia
        | Normal::SourceKind
        | Normal::SourceRaw
        | Normal::UserAgent
        | Normal::EchoOf => Basis::Text(normal),
    }
}

impl Aspect {
    fn key<'r>(&self, view: &'r View<'_>, room: &'r mut Room) -> Key<'r> {
        match &self.of_record {
            Some(field) => field.key(view),
            None => self.basis.key(view, room),
        }
    }
}

impl Basis {
    /// The field whose values the tests look at, where it is one.
    fn field(&self) -> Option<Field> {
        match self {
            Self::Text(normal) | Self::Secrets(normal) => Some(Field::Normal(*normal)),
            Self::Raw(field) => Some(field.clone()),
            Self::Address
            | Self::SecretsCount
            | Self::Hour
            | Self::Misdated
            | Self::Scrubbed
            | Self::Planned
            | Self::Grantees
            | Self::Own(_) => None,
        }
    }

    fn key<'r>(&self, view: &'r View<'_>, room: &'r mut Room) -> Key<'r> {
        let event = view.event();
        match self {
            Self::Text(normal) => normal.plain(view).map_or(Key::Absent, |text| Key::Bytes(text.as_bytes())),
            Self::Address => event.source.ip.map_or(Key::Absent, |ip| Key::Bytes(address(ip, room))),
            Self::Secrets(normal) => of_secret(event, *normal),
            Self::SecretsCount => u8::try_from(event.secrets.len()).map_or(Key::Several, |n| byte(n, room)),
            // 168 hours are a week.
            Self::Hour => {
                byte(u8::try_from(event.time.secs().div_euclid(3600).rem_euclid(168)).unwrap_or(0), room)
            }
            Self::Misdated => byte(u8::from(event.time_raw.is_some()), room),
            Self::Scrubbed if event.scrubbed.is_empty() => Key::Absent,
            Self::Planned if view.around().planned.is_empty() => Key::Absent,
            // Those of the record have their own way.
            Self::Raw(_) | Self::Scrubbed | Self::Planned | Self::Grantees | Self::Own(_) => Key::Several,
        }
    }
}

fn byte(value: u8, room: &mut Room) -> Key<'_> {
    let [first, ..] = room;
    *first = value;
    Key::Bytes(std::slice::from_ref(first))
}

/// An address of either kind; they differ in length.
fn address(ip: IpAddr, room: &mut Room) -> &[u8] {
    match ip {
        IpAddr::V4(ip) => {
            let [a, b, c, d, ..] = room;
            [*a, *b, *c, *d] = ip.octets();
            room.get(..4).unwrap_or_default()
        }
        IpAddr::V6(ip) => {
            *room = ip.octets();
            room
        }
    }
}

fn of_secret<'r>(event: &'r AuditEvent<'_>, normal: Normal) -> Key<'r> {
    match event.secrets.as_slice() {
        [] => Key::Absent,
        [secret] => Key::Bytes(part_of(secret, normal)),
        _ => Key::Several,
    }
}

fn part_of<'r>(secret: &'r SecretRef<'_>, normal: Normal) -> &'r [u8] {
    if normal == Normal::SecretsName { secret.name.as_bytes() } else { secret.id.as_bytes() }
}

impl OfRecord {
    fn new(field: Field, asked: &Asked) -> Self {
        let places: Option<Box<[usize]>> = field.paths().map(|path| asked.place(path)).collect();
        // Nothing is told under the number 0.
        let asked = if places.is_some() { asked.number() } else { 0 };
        Self { field, asked, places: places.unwrap_or_default() }
    }

    /// The text of the record at the one path where there is something.
    fn key<'r>(&self, view: &'r View<'_>) -> Key<'r> {
        let mut key = Key::Absent;
        let mut add = |found: Result<Option<&'r str>, Several>| {
            key = match (found, key) {
                (Ok(None), key) => key,
                // Values at different paths count alike, whichever it is.
                (Ok(Some(text)), Key::Absent) => Key::Bytes(text.as_bytes()),
                _ => Key::Several,
            };
        };
        let Field::Raw(raw) = &self.field else { return Key::Several };
        let told = view.event().told.as_ref().filter(|told| told.asked() == self.asked);
        for (at, path) in raw.paths.iter().enumerate() {
            let place = told.zip(self.places.get(at));
            let told = place.and_then(|(told, place)| told.at(*place).ok());
            add(told.map_or_else(|| view.raw_only(path), Ok));
        }
        key
    }
}
