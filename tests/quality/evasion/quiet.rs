//! Staying below thresholds: slowly, from many places, under many names.

use super::{LATER, replay, victim};
use crate::scan::{Alert, scan};
use crate::scenario::{DAY, Failure, HOUR, Log, MINUTE, PROVIDERS, Provider, Who, outside, since_start};

/// One secret the workload never read, every `pace` seconds.
fn dump(provider: Provider, secrets: i64, pace: i64) -> Log {
    let mut log = Log::new();
    let who = victim(&mut log, provider, "reports");
    log.attack("dump", |log| {
        for n in 0..secrets {
            log.read(provider, &who, LATER + n * pace, &format!("other-{n}"));
        }
    });
    log
}

#[test]
fn slow_and_low_dump_is_found_at_the_third_secret_and_critical_at_the_eighth() {
    for provider in PROVIDERS {
        let two = replay(dump(provider, 2, 2 * HOUR));
        two.silent(&["KW-114", "KW-102"]);
        let three = replay(dump(provider, 3, 2 * HOUR));
        three.found(&["KW-114", "KW-102"], "warning");
        let eight = replay(dump(provider, 8, 2 * HOUR));
        eight.found(&["KW-114", "KW-102"], "critical");
    }
}

#[test]
fn slow_guessing_is_critical_at_the_eighth_name_in_a_day() {
    let mut log = Log::new();
    let who = victim(&mut log, Provider::Aws, "reports");
    log.attack("guess", |log| {
        for n in 0..8 {
            log.fail(Provider::Aws, &who, LATER + n * 2 * HOUR, (&format!("guess-{n}"), Failure::Denied));
        }
    });
    replay(log).found(&["KW-005"], "critical");
}

#[test]
fn twenty_networks_of_one_principal_are_one_warning_and_one_rotation() {
    let mut log = Log::new();
    let who = victim(&mut log, Provider::Aws, "reports");
    log.attack("rotation", |log| {
        for n in 0..20 {
            let from = who.at(&outside("rotation", n));
            log.read(Provider::Aws, &from, LATER + n * 40 * MINUTE, "own-a");
        }
    });
    let seen = replay(log);
    seen.found(&["KW-113"], "high");
    let said = seen.replay.of(&["KW-002", "KW-113"]).len();
    assert!(said <= 4, "{said} alerts for one rotation:\n{}", seen.replay.table());
}

#[test]
fn a_thief_inside_the_known_network_is_found_by_what_is_read() {
    let mut log = Log::new();
    let who = victim(&mut log, Provider::Gcp, "reports");
    log.attack("inside", |log| {
        for n in 0..25 {
            log.read(Provider::Gcp, &who, LATER + 3 * n, &format!("other-{n}"));
        }
    });
    let seen = replay(log);
    seen.silent(&["KW-002"]);
    seen.found(&["KW-102"], "critical");
}

#[test]
fn a_new_principal_for_every_guess_from_one_address_is_found() {
    let mut log = Log::new();
    log.attack("list", |log| {
        for n in 0..6 {
            let who = Who::workload(&format!("leaked-{n}")).at("203.0.113.7");
            log.fail(Provider::Vault, &who, LATER + n * 80, ("prod-db", Failure::Denied));
        }
    });
    replay(log).found(&["KW-005"], "critical");
}

#[test]
fn a_new_principal_for_every_read_from_one_address_is_found() {
    let mut log = Log::new();
    let victims: Vec<Who> =
        (0..4).map(|n| victim(&mut log, Provider::Azure, &format!("reports-{n}"))).collect();
    log.attack("store", |log| {
        for (n, who) in (0..).zip(&victims) {
            log.read(Provider::Azure, &who.at("203.0.113.7"), LATER + n * 6 * MINUTE, "own-a");
        }
    });
    replay(log).found(&["KW-120"], "critical");
}

#[test]
fn principals_and_addresses_that_both_change_are_found_for_the_store_as_a_whole() {
    let mut log = Log::new();
    let victims: Vec<Who> =
        (0..15).map(|n| victim(&mut log, Provider::Aws, &format!("worker-{n}"))).collect();
    log.attack("swarm", |log| {
        for (n, who) in (0..).zip(&victims) {
            for secret in 0..2 {
                let from = who.at(&outside("swarm", n * 2 + secret));
                let name = format!("treasure-{}", n * 2 + secret);
                log.read(Provider::Aws, &from, LATER + n * 3 * MINUTE + secret * 40, &name);
            }
        }
    });
    replay(log).found(&["KW-119"], "warning");
}

/// Alerts that opened before `until`.
fn before(alerts: &[&Alert], until: i64) -> usize {
    alerts.iter().filter(|alert| since_start(&alert.opened_at).is_some_and(|at| at < until)).count()
}

#[test]
fn a_climb_of_ten_percent_a_day_is_found_before_it_reaches_everything() {
    let mut log = Log::new();
    let who = Who::workload("climber");
    let mut count = 8.0_f64;
    log.attack("climb", |log| {
        for day in 0..28 {
            let mut secret = 0;
            while f64::from(secret) < count {
                let at = day * DAY + 9 * HOUR + i64::from(secret) * 5;
                log.read(Provider::Aws, &who, at, &format!("store-{secret}"));
                secret += 1;
            }
            count *= 1.1;
        }
    });
    let seen = replay(log);
    let alerts = seen.found(&["KW-102"], "critical");
    assert!(before(&alerts, 24 * DAY) > 0, "the climb was found too late:\n{}", seen.replay.table());
}

#[test]
fn a_network_that_failed_while_learning_is_not_learned() {
    let mut log = Log::new();
    let who = victim(&mut log, Provider::Aws, "reports");
    log.attack("prepared", |log| {
        for n in 0..3 {
            log.fail(
                Provider::Aws,
                &who.at("203.0.113.7"),
                (2 + n) * DAY + 5 * HOUR,
                ("own-a", Failure::Denied),
            );
            log.read(Provider::Aws, &who.at("203.0.113.7"), (2 + n) * DAY + 5 * HOUR + 30, "own-a");
        }
    });
    let prepared = log.records.len();
    log.attack("prepared", |log| log.read(Provider::Aws, &who.at("203.0.113.7"), LATER, "own-a"));
    let log = log.in_order();
    let replay = scan(&log);
    let late = replay.of(&["KW-002"]).iter().any(|alert| since_start(&alert.opened_at) >= Some(LATER));
    assert!(
        late && prepared < log.records.len(),
        "the prepared network counts as known:\n{}",
        replay.table()
    );
}
