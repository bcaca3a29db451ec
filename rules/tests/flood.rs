//! A flood of invented principals hides nothing and fills no memory.
//!
//! `KEYWATCH_FLOOD_EVENTS` sets the number of events; from a million on the limits are those of a
//! deployment and the peak of this process's memory is held to 512 MiB. Run that in a release
//! build, by itself. Fewer have limits that are smaller by as much.

use keywatch_event::{
    Alert, AuditEvent, Class, EventTime, Outcome, Place, Principal, PrincipalKind, Provider, SecretRef,
    Source,
};
use keywatch_rules::{Engine, Seen, Settings, builtin, compile, examples};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

/// 2026-05-01T00:00:00Z.
const START: i64 = 1_777_593_600;
/// Events a second while it lasts.
const PER_SEC: u64 = 1_000;
/// From how many events on it is a real one.
const REAL: u64 = 1_000_000;

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

/// Who is invented reads, or fails to; among them one fails time and again, and in the middle the
/// victim reads from elsewhere.
fn flood(n: u64, of: u64) -> AuditEvent<'static> {
    let at = START + 10 * 86_400 + i64::try_from(n / PER_SEC).unwrap_or(0);
    let (id, secret) = (format!("f{n}"), format!("prod/app-{}", n % 5_000));
    let every = (of / 5_000).clamp(1, PER_SEC);
    match n {
        n if n == of / 2 => {
            event(id, at, "role/victim".into(), "203.0.113.9", (Outcome::Ok, "prod/db".into()))
        }
        n if n >= of / 3 && n < of / 3 + 50 * every && n % every == 0 => {
            event(id, at, "role/attacker".into(), "198.51.100.9", (Outcome::Denied, secret))
        }
        n => {
            let outcome = if n % 2 == 0 { Outcome::Denied } else { Outcome::Ok };
            event(
                id,
                at,
                format!("role/invented-{n}"),
                &format!("10.{}.{}.1", n % 200, n / 200 % 250),
                (outcome, secret),
            )
        }
    }
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
        entries_max: share(real.entries_max),
        learned_bytes_max: share(real.learned_bytes_max),
        ..real
    }
}

#[test]
fn a_flood_of_invented_principals_hides_no_attack_and_fills_no_memory() {
    let named = std::env::vars().find(|(key, _)| key == "KEYWATCH_FLOOD_EVENTS");
    let events: u64 = named.and_then(|(_, events)| events.parse().ok()).unwrap_or(60_000);
    let settings = limits(events);
    let rules = compile(builtin().iter().copied()).expect("the shipped rules compile");
    let mut engine = Engine::new(Arc::new(rules), settings.clone());
    let mut standing = BTreeMap::new();
    past().chunks(1).for_each(|one| feed(&mut engine, one, &mut standing));
    let started = Instant::now();
    let mut from = 0;
    while from < events {
        let to = (from + PER_SEC).min(events);
        let batch: Vec<_> = (from..to).map(|n| flood(n, events)).collect();
        feed(&mut engine, &batch, &mut standing);
        let gauges = engine.gauges();
        assert!(gauges.entries <= settings.entries_max, "{gauges:?}");
        assert!(gauges.learned_bytes <= settings.learned_bytes_max, "{gauges:?}");
        from = to;
        // Shown by `--no-capture`.
        #[expect(clippy::print_stderr, reason = "the figures are what somebody runs a large one for")]
        if events >= REAL && from % (events / 5) == 0 {
            eprintln!(
                "{from} events in {:?}, {} MiB peak, {:?}",
                started.elapsed(),
                peak_mib(),
                engine.gauges()
            );
        }
    }
    let raised = |rule: &str, who: &str| {
        let about =
            |alert: &&Alert| alert.rule == rule && alert.principal.as_ref().is_some_and(|p| p.id == who);
        standing.values().filter(about).count()
    };
    assert!(raised("KW-005", "role/attacker") >= 1, "failed reads: {:?}", standing.keys());
    assert!(raised("KW-002", "role/victim") >= 1, "the new network: {:?}", standing.keys());
    let gauges = engine.gauges();
    assert!(gauges.entries_evicted > 0 && gauges.principals_evicted > 0, "{gauges:?}");
    let forgotten: BTreeMap<&str, u64> = engine.forgotten().collect();
    assert!(forgotten.get("KW-115").is_some_and(|count| *count > events / 4), "{forgotten:?}");
    assert!(events < REAL || peak_mib() < 512, "{} MiB", peak_mib());
}
