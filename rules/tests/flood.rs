//! A flood of invented principals, addresses, names or alerts hides nothing and fills no memory.
//!
//! `KEYWATCH_FLOOD_EVENTS` sets the number of events; from a million on the limits are those of a
//! deployment and the peak of this process's memory is held to [`PEAK_MIB`]. Run that in a release
//! build, each test by itself. Fewer have limits that are smaller by as much.

use keywatch_event::{
    Alert, AuditEvent, Class, EventTime, Outcome, Place, Principal, PrincipalKind, Provider, SecretRef,
    Source,
};
use keywatch_rules::{Engine, Gauges, Seen, Settings, builtin, compile, examples};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

/// That of the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// 2026-05-01T00:00:00Z.
const START: i64 = 1_777_593_600;
/// Events a second while it lasts.
const PER_SEC: u64 = 1_000;
/// From how many events on it is a real one.
const REAL: u64 = 1_000_000;
/// Most memory that the rules may take while it lasts.
const PEAK_MIB: u64 = 512;

fn event(
    id: String,
    at: i64,
    who: String,
    ip: &str,
    (outcome, secret): (Outcome, String),
) -> AuditEvent<'static> {
    AuditEvent {
        id: id.into(),
        time: EventTime::from_secs(at),
        time_raw: None,
        received_at: EventTime::from_secs(at),
        provider: Provider::Aws,
        service: "secretsmanager.amazonaws.com".into(),
        store: Some("sm".into()),
        account: Some("111122223333".into()),
        region: Some("eu-west-1".into()),
        operation: "GetSecretValue".into(),
        class: Class::SecretRead,
        outcome,
        error: None,
        principal: Principal {
            id: who.into(),
            kind: PrincipalKind::Role,
            name: None,
            session: None,
            access_key: None,
            via: None,
        },
        source: Source::from_text(ip.to_owned().into()),
        user_agent: Some("aws-cli/2.15.30".into()),
        secrets: vec![SecretRef { id: secret.clone().into(), name: secret.into(), version: None }],
        echo_of: None,
        scrubbed: Vec::new(),
        told: None,
    }
}

/// Ten days of a principal that reads one secret from one network.
fn past() -> Vec<AuditEvent<'static>> {
    let read = |n: i64| {
        event(
            format!("p{n}"),
            START + n * 8 * 3600,
            "role/victim".into(),
            "192.0.2.7",
            (Outcome::Ok, "prod/db".into()),
        )
    };
    (0..30).map(read).collect()
}

/// The second at which an event of a flood happens.
fn second(n: u64) -> i64 {
    START + 10 * 86_400 + i64::try_from(n / PER_SEC).unwrap_or(0)
}

/// The attack that each flood surrounds: somebody fails fifty times. `None` for the other events.
fn attack(n: u64, of: u64) -> Option<AuditEvent<'static>> {
    let every = (of / 5_000).clamp(1, PER_SEC);
    let is_its = n >= of / 3 && n < of / 3 + 50 * every && n.is_multiple_of(every);
    let (id, secret) = (format!("a{n}"), format!("prod/app-{}", n % 5_000));
    is_its.then(|| event(id, second(n), "role/attacker".into(), "198.51.100.9", (Outcome::Denied, secret)))
}

/// Who is invented reads, or fails to; in the middle the victim reads from elsewhere.
fn principals(n: u64, of: u64) -> AuditEvent<'static> {
    let (id, secret) = (format!("f{n}"), format!("prod/app-{}", n % 5_000));
    if n == of / 2 {
        return event(id, second(n), "role/victim".into(), "203.0.113.9", (Outcome::Ok, "prod/db".into()));
    }
    let outcome = if n.is_multiple_of(2) { Outcome::Denied } else { Outcome::Ok };
    let address = format!("10.{}.{}.1", n % 200, n / 200 % 250);
    event(id, second(n), format!("role/invented-{n}"), &address, (outcome, secret))
}

/// The victim's stolen session reads from one address after the other.
fn addresses(n: u64, _: u64) -> AuditEvent<'static> {
    let address = format!("{}.{}.{}.{}", 11 + n % 90, n / 90 % 250, n / 22_500 % 250, 1 + n / 5_625_000);
    event(format!("f{n}"), second(n), "role/victim".into(), &address, (Outcome::Ok, "prod/db".into()))
}

/// The victim's stolen session reads name after name, twenty with each event.
fn names(n: u64, _: u64) -> AuditEvent<'static> {
    let name = |at: u64| {
        let name = format!("prod/app-{}", n * 20 + at);
        SecretRef { id: name.clone().into(), name: name.into(), version: None }
    };
    let one =
        event(format!("f{n}"), second(n), "role/victim".into(), "192.0.2.7", (Outcome::Ok, "prod/db".into()));
    AuditEvent { secrets: (0..20).map(name).collect(), operation: "BatchGetSecretValue".into(), ..one }
}

/// One address tries to sign in as one name after the other.
fn logins(n: u64, _: u64) -> AuditEvent<'static> {
    let who = format!("user/invented-{n}");
    let one =
        event(format!("f{n}"), second(n), who, "203.0.113.66", (Outcome::Unauthenticated, String::new()));
    AuditEvent { operation: "ConsoleLogin".into(), class: Class::AuthFail, secrets: Vec::new(), ..one }
}

/// The victim's stolen session deletes name after name, twenty with each event.
fn deletions(n: u64, of: u64) -> AuditEvent<'static> {
    AuditEvent { operation: "DeleteParameters".into(), class: Class::SecretDelete, ..names(n, of) }
}

/// Everybody fails six times: an alert for each.
fn failures(n: u64, _: u64) -> AuditEvent<'static> {
    let (who, secret) = (n / 6, format!("prod/app-{}", n % 6));
    let address = format!("10.{}.{}.1", who % 200, who / 200 % 250);
    event(format!("f{n}"), second(n), format!("role/invented-{who}"), &address, (Outcome::Denied, secret))
}

fn feed(engine: &mut Engine, events: &[AuditEvent<'static>], standing: &mut BTreeMap<String, Alert>) {
    let place = Place { name: Arc::from("t"), line: 1, record: 0 };
    let seen: Vec<Seen<'_>> = events.iter().map(|event| Seen { event, place: &place, raw: b"{}" }).collect();
    let evaluation = engine.evaluate(&seen);
    let of_real = |principal: &str| ["role/victim", "role/attacker"].contains(&principal);
    let mut changes = evaluation.changes;
    changes.retain(|change| match change {
        keywatch_event::AlertChange::Opened { alert, .. }
        | keywatch_event::AlertChange::Updated { alert, .. } => {
            alert.principal.as_ref().is_some_and(|principal| of_real(&principal.id))
        }
        keywatch_event::AlertChange::Withdrawn { .. } => false,
    });
    examples::apply(standing, changes);
}

fn peak_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    line.trim().trim_end_matches("kB").trim().parse().unwrap_or(0_u64) >> 10
}

/// The limits of a deployment for so many events, or their share for fewer.
fn limits(events: u64) -> Settings {
    let real = Settings::default();
    if events >= REAL {
        return real;
    }
    let share = |most: usize| most / usize::try_from(5 * REAL / events.max(1)).unwrap_or(usize::MAX);
    Settings {
        // What one incident knows by name must find room.
        entries_max: share(real.entries_max).max(10_000),
        learned_bytes_max: share(real.learned_bytes_max),
        ..real
    }
}

/// What stands of the attacks after a flood, and what the engine had to forget.
struct After {
    standing: BTreeMap<String, Alert>,
    gauges: Gauges,
    forgotten: BTreeMap<String, u64>,
}

impl After {
    /// How many alerts of a rule stand about somebody.
    fn raised(&self, rule: &str, who: &str) -> usize {
        let about =
            |alert: &&Alert| alert.rule == rule && alert.principal.as_ref().is_some_and(|p| p.id == who);
        self.standing.values().filter(about).count()
    }
}

/// So many events as were asked for, or so many.
fn asked(few: u64) -> u64 {
    let named = std::env::vars().find(|(key, _)| key == "KEYWATCH_FLOOD_EVENTS");
    named.and_then(|(_, events)| events.parse().ok()).unwrap_or(few)
}

/// Lets a flood of so many things come, so many with each event, and holds memory to its limits while it
/// lasts.
fn flood(things: u64, each: u64, make: fn(u64, u64) -> AuditEvent<'static>) -> After {
    let (events, settings) = (things / each, limits(things));
    let rules = compile(builtin().iter().copied()).expect("the shipped rules compile");
    let mut engine = Engine::new(Arc::new(rules), settings.clone());
    let mut standing = BTreeMap::new();
    past().chunks(1).for_each(|one| feed(&mut engine, one, &mut standing));
    let started = Instant::now();
    let mut from = 0;
    while from < events {
        let to = (from + PER_SEC).min(events);
        let one = |n| attack(n, events).unwrap_or_else(|| make(n, events));
        let batch: Vec<_> = (from..to).map(one).collect();
        feed(&mut engine, &batch, &mut standing);
        let gauges = engine.gauges();
        assert!(gauges.entries <= settings.entries_max, "{gauges:?}");
        assert!(gauges.learned_bytes <= settings.learned_bytes_max, "{gauges:?}");
        from = to;
        // Shown by `--no-capture`.
        #[expect(clippy::print_stderr, reason = "the figures are what somebody runs a large one for")]
        if things >= REAL && from % (events / 5).next_multiple_of(PER_SEC) == 0 {
            eprintln!(
                "{from} events in {:?}, {} MiB peak, {:?}",
                started.elapsed(),
                peak_mib(),
                engine.gauges()
            );
        }
    }
    assert!(things < REAL || peak_mib() < PEAK_MIB, "{} MiB", peak_mib());
    let gauges = engine.gauges();
    let forgotten = engine.forgotten().map(|(rule, count)| (rule.to_owned(), count)).collect();
    let after = After { standing, gauges, forgotten };
    assert!(after.raised("KW-005", "role/attacker") >= 1, "failed reads: {:?}", after.standing.keys());
    after
}

#[test]
fn a_flood_of_invented_principals_hides_no_attack_and_fills_no_memory() {
    let events = asked(60_000);
    let after = flood(events, 1, principals);
    assert!(after.raised("KW-002", "role/victim") >= 1, "the new network: {:?}", after.standing.keys());
    let gauges = after.gauges;
    assert!(gauges.entries_evicted > 0 && gauges.principals_evicted > 0, "{gauges:?}");
    assert!(after.forgotten.get("KW-115").is_some_and(|count| *count > events / 4), "{:?}", after.forgotten);
}

#[test]
fn a_session_used_from_very_many_addresses_is_found_and_fills_no_memory() {
    let after = flood(asked(30_000), 1, addresses);
    // What KW-002 told of the first address stands in the alert about all of them.
    assert_eq!((after.raised("KW-002", "role/victim"), after.raised("KW-113", "role/victim")), (0, 1));
}

#[test]
fn a_session_that_reads_very_many_names_is_found_and_fills_no_memory() {
    let after = flood(asked(200_000), 20, names);
    assert!(after.raised("KW-102", "role/victim") >= 1, "mass retrieval: {:?}", after.standing.keys());
}

#[test]
fn an_address_that_tries_very_many_names_is_one_alert_and_fills_no_memory() {
    let after = flood(asked(60_000), 1, logins);
    assert!(after.gauges.entries_evicted > 0, "{:?}", after.gauges);
}

#[test]
fn a_session_that_deletes_very_many_names_is_found_and_fills_no_memory() {
    let after = flood(asked(200_000), 20, deletions);
    assert!(after.raised("KW-004", "role/victim") >= 1, "deletions: {:?}", after.standing.keys());
}

#[test]
fn a_flood_of_identities_that_each_raise_an_alert_hides_none_of_them_and_fills_no_memory() {
    let after = flood(asked(30_000), 1, failures);
    assert!(after.gauges.entries_evicted > 0, "{:?}", after.gauges);
}
