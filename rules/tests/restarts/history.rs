//! Histories that a seed decides: sieges, pauses about as long as incidents live, several at once, ties,
//! what comes late or twice, batches, and restarts.

use keywatch_event::{
    AuditEvent, Class, EventTime, Outcome, Principal, PrincipalKind, Provider, SecretRef, Source,
};

/// Units for which what came late is still judged as if it had come in time.
pub(crate) const LATENESS: i64 = 20;
/// Units in a history, at most.
const LENGTH: u64 = 300;

/// One event.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Happening {
    /// Makes its id.
    pub(crate) number: usize,
    /// In sixtieths of a unit.
    pub(crate) at: i64,
    pub(crate) what: usize,
    pub(crate) who: u64,
    pub(crate) ip: u64,
    pub(crate) secret: u64,
    pub(crate) store: u64,
    /// How many secrets it names.
    pub(crate) names: u64,
    /// How long it takes to come, in sixtieths of a unit.
    pub(crate) delay: i64,
}

/// What happens, in the order in which it comes.
#[derive(Clone, Debug)]
pub(crate) struct History {
    pub(crate) happenings: Vec<Happening>,
    /// After how many events a batch ends.
    pub(crate) cuts: Vec<usize>,
    /// Before how many events a restart comes.
    pub(crate) restarts: Vec<usize>,
}

/// xorshift64* (Vigna 2016).
#[derive(Clone, Debug)]
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x2545_f491_4f6c_dd1d)
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11) % end.max(1)
    }

    fn place(&mut self, end: usize) -> usize {
        usize::try_from(self.below(end as u64)).unwrap()
    }

    fn happens(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    fn number(&mut self, from: u64, to: u64) -> i64 {
        i64::try_from(from + self.below(to - from + 1)).unwrap()
    }
}

const KINDS: [(Class, Outcome, &str); 9] = [
    (Class::SecretRead, Outcome::Denied, "GetSecretValue"),
    (Class::SecretRead, Outcome::Ok, "GetSecretValue"),
    (Class::SecretDelete, Outcome::Ok, "DeleteSecret"),
    (Class::SecretDelete, Outcome::Denied, "DeleteSecret"),
    (Class::SecretDelete, Outcome::NotFound, "EndSecretVersionDelete"),
    (Class::SecretWrite, Outcome::Ok, "CreateSecret"),
    (Class::AuthFail, Outcome::Denied, "AssumeRole"),
    (Class::AuthFail, Outcome::Unauthenticated, "ConsoleLogin"),
    (Class::AuthOk, Outcome::Ok, "AssumeRole"),
];

/// Somebody keeps at it for a while.
fn spell(chance: &mut Chance, happenings: &mut Vec<Happening>) {
    let what = chance.place(KINDS.len());
    let (who, ip) = (chance.below(3), chance.below(4));
    let (store, secret) = (chance.below(2), chance.below(4));
    let wanders = chance.happens(50);
    // Most of the time one after the other, within a window; else about as far apart as an incident lives.
    let (least, most) = if chance.happens(60) { (20, 60 + 60 * chance.below(2)) } else { (100, 420) };
    let mut at = i64::try_from(chance.below(60 * LENGTH)).unwrap();
    let longest = if chance.happens(40) { 120 } else { 12 };
    let until = at + 60 * chance.number(1, longest);
    while at < until && happenings.len() < 160 {
        let what = if chance.happens(15) { chance.place(9) } else { what };
        happenings.push(Happening {
            number: happenings.len(),
            at,
            what,
            who,
            ip: if chance.happens(15) { chance.below(4) } else { ip },
            secret: if wanders { chance.below(6) } else { secret },
            store: if chance.happens(15) { chance.below(2) } else { store },
            names: if chance.happens(15) { 2 + chance.below(2) } else { 1 },
            delay: if chance.happens(20) { chance.number(1, 60 * LATENESS as u64 - 60) } else { 0 },
        });
        if !chance.happens(10) {
            at += chance.number(least, most);
        }
    }
}

impl History {
    pub(crate) fn of(seed: u64) -> Self {
        let mut chance = Chance::new(seed);
        let mut happenings = Vec::new();
        for _ in 0..2 + chance.below(7) {
            spell(&mut chance, &mut happenings);
        }
        if chance.happens(30) {
            for one in &mut happenings {
                one.delay = 0;
            }
        }
        if chance.happens(30) {
            // As `CloudTrail` would say it if it told the minute.
            for one in &mut happenings {
                one.at -= one.at % 60;
            }
        }
        happenings.sort_by_key(|one| one.at + one.delay);
        let count = happenings.len();
        let most = 1 + chance.place(9);
        let (mut cuts, mut at) = (Vec::new(), 0);
        while at < count {
            at += 1 + chance.place(most);
            cuts.push(at);
        }
        let restarts = (0..=chance.below(4)).map(|_| chance.place(count)).collect();
        Self { happenings, cuts, restarts }
    }

    /// The same without restarts, in the same batches.
    pub(crate) fn calm(&self) -> Self {
        let mut calm = self.clone();
        calm.cuts.append(&mut calm.restarts);
        calm
    }

    /// The events, in the order in which they come.
    pub(crate) fn events(&self, scale: i64) -> Vec<AuditEvent<'static>> {
        self.happenings.iter().map(|one| one.event(scale)).collect()
    }

    /// The same with fewer events or restarts, as long as `fails` says so.
    pub(crate) fn smallest(mut self, fails: impl Fn(&Self) -> bool) -> Self {
        let mut size = self.happenings.len().max(1);
        while size > 0 {
            let mut at = 0;
            while at < self.happenings.len() {
                let fewer = self.without(at, size);
                if fails(&fewer) {
                    self = fewer;
                } else {
                    at += size;
                }
            }
            size /= 2;
        }
        for at in (0..self.restarts.len()).rev() {
            let mut fewer = self.clone();
            fewer.restarts.remove(at);
            if fails(&fewer) {
                self = fewer;
            }
        }
        self
    }

    fn without(&self, at: usize, size: usize) -> Self {
        let moved = |place: &usize| if *place > at { place.saturating_sub(size).max(at) } else { *place };
        let mut happenings = self.happenings.clone();
        happenings.drain(at..(at + size).min(happenings.len()));
        let mut cuts: Vec<usize> = self.cuts.iter().map(moved).collect();
        cuts.dedup();
        Self { happenings, cuts, restarts: self.restarts.iter().map(moved).collect() }
    }
}

impl Happening {
    fn event(&self, scale: i64) -> AuditEvent<'static> {
        let (class, outcome, operation) = KINDS[self.what];
        let secret = |n: u64| {
            let name = format!("secret/{}", (self.secret + n) % 6);
            SecretRef { id: name.clone().into(), name: name.into(), version: None }
        };
        AuditEvent {
            // Ties in time do not follow the order of arrival.
            id: format!("{}-{}", (self.number * 7) % 10, self.number).into(),
            time: EventTime::from_secs(1_800_000_000 + self.at * scale),
            time_raw: None,
            received_at: EventTime::from_secs(1_800_000_000),
            provider: Provider::Aws,
            service: "".into(),
            store: Some(format!("store-{}", self.store).into()),
            account: None,
            region: None,
            operation: operation.into(),
            class,
            outcome,
            error: None,
            principal: Principal {
                id: format!("role/{}", self.who).into(),
                kind: PrincipalKind::Role,
                name: None,
                session: None,
                access_key: None,
                via: None,
            },
            source: Source::from_text(format!("203.0.{}.1", self.ip).into()),
            user_agent: None,
            secrets: (0..self.names).map(secret).collect(),
            echo_of: None,
            scrubbed: Vec::new(),
            told: None,
        }
    }
}

/// Somebody who keeps failing every minute for four hours, at incidents that end after half an hour.
pub(crate) fn siege() -> History {
    let failure = |n: i64| Happening {
        number: usize::try_from(n).unwrap(),
        at: 60 * n,
        what: 0,
        who: 0,
        ip: 0,
        secret: u64::try_from(n).unwrap() % 6,
        store: 0,
        names: 1,
        delay: 0,
    };
    History { happenings: (0..240).map(failure).collect(), cuts: (1..240).collect(), restarts: Vec::new() }
}
