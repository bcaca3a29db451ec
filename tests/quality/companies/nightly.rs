//! Jobs that read everything each night: there from the first day, and new ones.

use super::{DAYS, check};
use crate::scenario::{DAY, HOUR, Log, PROVIDERS, Provider, Who};

/// A job that lists 24 secrets and reads them, each night from `first` on.
fn nightly(log: &mut Log, (provider, name): (Provider, &str), first: i64) {
    let who = Who::workload(name);
    for day in first..DAYS {
        let at = day * DAY + 2 * HOUR + log.random.secs(HOUR);
        log.list(provider, &who, at);
        for n in 0..24 {
            log.read(provider, &who, at + 10 + 5 * n, &format!("app-{n}-key"));
        }
    }
}

/// Others that are there all the time.
fn others(log: &mut Log) {
    for provider in PROVIDERS {
        for name in ["orders", "billing", "search"] {
            let who = Who::workload(name);
            for hour in (0..DAYS * 24).step_by(6) {
                let at = hour * HOUR + log.random.secs(HOUR);
                log.read(provider, &who, at, &format!("{name}-key"));
            }
        }
    }
}

#[test]
fn a_job_that_was_there_from_the_first_night_is_silent_once_habits_are_learned() {
    for provider in PROVIDERS {
        let play = |log: &mut Log| {
            others(log);
            nightly(log, (provider, "nightly-reader"), 0);
        };
        check(&format!("nightly reader, {}", provider.name()), play, &[]);
    }
}

#[test]
fn a_job_that_begins_while_habits_are_learned_is_told_of_once_more_at_most() {
    for first in [1, 3, 5, 6] {
        let play = |log: &mut Log| {
            others(log);
            nightly(log, (Provider::Aws, "nightly-reader"), first);
        };
        check(&format!("nightly reader from day {first}"), play, &[("KW-102", 2), ("KW-140", 1)]);
    }
}

#[test]
fn a_job_that_begins_later_is_told_of_on_its_first_nights_and_then_known() {
    let play = |log: &mut Log| {
        others(log);
        nightly(log, (Provider::Aws, "nightly-reader"), 15);
    };
    let told = &[("KW-102", 3), ("KW-103", 1), ("KW-114p", 1), ("KW-140", 1)];
    check("new nightly reader", play, told);
}

#[test]
fn a_job_whose_work_grows_by_a_secret_now_and_then_is_silent() {
    let play = |log: &mut Log| {
        others(log);
        let who = Who::workload("growing");
        for day in 0..DAYS {
            let at = day * DAY + 2 * HOUR + log.random.secs(HOUR);
            log.list(Provider::Gcp, &who, at);
            for n in 0..24 + day / 2 {
                log.read(Provider::Gcp, &who, at + 10 + 5 * n, &format!("app-{n}-key"));
            }
        }
    };
    check("growing job", play, &[]);
}
