//! A fortnight of ordinary days: services that read on schedule, people who work office hours,
//! and the mishaps that look like attacks and are none.

use super::aws::{self, Secret};
use super::company::{
    AZURE_TOM, BACKUP, BACKUP_KEY, BANK_API_KEY, BANK_SFTP_KEY, BUCKET_KEY, CARD_KEY, CHECKOUT, CI_DEPLOYER,
    CI_RUNNER, DANA, DEPLOY_KEY, DEPLOYER_ROLE, FRAUD_TOKEN, FX_TOKEN, GCP_BACKUP, GCP_DANA, GCP_TOM,
    INVOICES, INVOICES_SQL, LEDGER, LEDGER_DB, MARIA, MARIA_CONSOLE, PAGER_TOKEN, PAYMENTS_API, PAYMENTS_DB,
    RECONCILER, REGISTRY_TOKEN, RENAMED_SECRET, RETIRED_FLAG, SIGNING_KEY, SRE_ROLE, STRIPE_KEY, TOM,
    TOM_CONSOLE, VAULT_CI, VAULT_DEPLOY, VAULT_LEDGER, VAULT_LEDGER_DB, VAULT_LEDGER_TLS, VAULT_PAGER,
    VAULT_TOM,
};
use super::log::Log;
use super::{azure, gcp, vault};
use chrono::{DateTime, Datelike, Duration, Utc, Weekday};
use std::borrow::Cow;

/// Days of history: twice the week Keywatch learns before it calls an address unusual.
pub(super) const DAYS: i64 = 14;

/// Everything that happened in the [`DAYS`] up to `now`.
pub(super) fn log(now: DateTime<Utc>) -> Log {
    let mut log = Log::new(0x6b65_7977_6174_6368);
    let from = now - Duration::days(DAYS);
    let first = from.date_naive().and_time(chrono::NaiveTime::MIN).and_utc();
    for index in 0..=DAYS {
        let day = first + Duration::days(index);
        services(&mut log, day);
        if !matches!(day.weekday(), Weekday::Sat | Weekday::Sun) {
            people(&mut log, day);
            deployments(&mut log, day);
        }
        mishaps(&mut log, day, index);
    }
    log.entries.retain(|entry| from < entry.at && entry.at <= now);
    log
}

/// What runs without anybody's help.
fn services(log: &mut Log, day: DateTime<Utc>) {
    for hour in (0..24).step_by(2) {
        let at = log.soon_after(day + Duration::hours(hour), 50);
        aws::read_secret(log, &PAYMENTS_API, at, &STRIPE_KEY);
        aws::read_secret(log, &PAYMENTS_API, at + Duration::seconds(1), &PAYMENTS_DB);
    }
    for hour in (0..24).step_by(4) {
        let at = log.soon_after(day + Duration::hours(hour), 50);
        aws::read_secret(log, &LEDGER, at, &LEDGER_DB);
        aws::read_parameter(log, &LEDGER, at + Duration::seconds(2), FX_TOKEN);
        vault::login(log, &VAULT_LEDGER, at);
        vault::read_secret(log, &VAULT_LEDGER, at + Duration::milliseconds(80), VAULT_LEDGER_DB);
        vault::read_secret(log, &VAULT_LEDGER, at + Duration::milliseconds(130), VAULT_LEDGER_TLS);
        vault::read_credentials(log, &VAULT_LEDGER, at + Duration::milliseconds(190), "ledger-rw");
        let at = log.soon_after(day + Duration::hours(hour), 50);
        gcp::read_secret(log, &CHECKOUT, at, CARD_KEY);
        gcp::read_secret(log, &CHECKOUT, at + Duration::milliseconds(310), FRAUD_TOKEN);
        let at = log.soon_after(day + Duration::hours(hour), 50);
        azure::read_secret_first(log, &INVOICES, at, INVOICES_SQL);
        azure::read_secret_first(log, &RECONCILER, at + Duration::seconds(9), BANK_API_KEY);
    }
    let at = log.soon_after(day + Duration::hours(2), 10);
    aws::list_secrets(log, &BACKUP, at);
    aws::read_secret(log, &BACKUP, at + Duration::seconds(2), &BACKUP_KEY);
    gcp::read_secret(log, &GCP_BACKUP, at + Duration::seconds(4), BUCKET_KEY);
}

/// What people do on a working day.
fn people(log: &mut Log, day: DateTime<Utc>) {
    let at = log.soon_after(day + Duration::hours(8), 55);
    aws::console_login(log, &TOM_CONSOLE, at, true);
    aws::assume_role(log, &TOM_CONSOLE, at + Duration::seconds(20), (SRE_ROLE, "tom.hale"));
    aws::read_secret(log, &TOM, at + Duration::minutes(3), &PAGER_TOKEN);
    gcp::read_secret(log, &GCP_TOM, at + Duration::minutes(12), FRAUD_TOKEN);
    gcp::read_secret(log, &GCP_TOM, at + Duration::minutes(31), BUCKET_KEY);
    azure::read_secret_first(log, &AZURE_TOM, at + Duration::minutes(44), INVOICES_SQL);
    vault::login(log, &VAULT_TOM, at + Duration::minutes(50));
    vault::read_secret(log, &VAULT_TOM, at + Duration::minutes(51), VAULT_PAGER);

    let at = log.soon_after(day + Duration::hours(13), 55);
    aws::console_login(log, &MARIA_CONSOLE, at, true);
    aws::assume_role(log, &MARIA_CONSOLE, at + Duration::seconds(25), (SRE_ROLE, "maria.lindt"));
    aws::read_secret(log, &MARIA, at + Duration::minutes(2), &PAGER_TOKEN);
    gcp::read_secret(log, &GCP_TOM, at + Duration::minutes(5), FRAUD_TOKEN);
    azure::list_secrets(log, &AZURE_TOM, at + Duration::minutes(9));
    vault::list_secrets(log, &VAULT_TOM, at + Duration::minutes(10), "ops/");

    let at = log.soon_after(day + Duration::hours(10), 55);
    aws::console_login(log, &DANA, at, true);
    aws::list_secrets(log, &DANA, at + Duration::minutes(1));
    aws::describe_secret(log, &DANA, at + Duration::minutes(2), &SIGNING_KEY);
    aws::describe_secret(log, &DANA, at + Duration::minutes(4), &BANK_SFTP_KEY);
    gcp::list_secrets(log, &GCP_DANA, at + Duration::minutes(7));
}

/// Four deployments on a working day; the one at noon also rotates a key in Google Cloud.
fn deployments(log: &mut Log, day: DateTime<Utc>) {
    for hour in [9, 12, 14, 16] {
        let at = log.soon_after(day + Duration::hours(hour), 50);
        aws::assume_role(log, &CI_RUNNER, at, DEPLOYER_ROLE);
        aws::read_secret(log, &CI_DEPLOYER, at + Duration::seconds(4), &REGISTRY_TOKEN);
        aws::read_secret(log, &CI_DEPLOYER, at + Duration::seconds(40), &DEPLOY_KEY);
        vault::login(log, &VAULT_CI, at + Duration::seconds(41));
        vault::read_secret(log, &VAULT_CI, at + Duration::seconds(42), VAULT_DEPLOY);
        if hour == 12 && day.weekday() == Weekday::Wed {
            gcp::add_version(log, &GCP_TOM, at + Duration::minutes(3), FRAUD_TOKEN);
        }
    }
}

/// What looks like trouble and is none. `index` counts the days from 0.
fn mishaps(log: &mut Log, day: DateTime<Utc>, index: i64) {
    let at = log.soon_after(day + Duration::hours(11), 40);
    // Days 0 to 12: a failure within a day of the attack would count with the attack's own.
    if index % 3 == 0 {
        aws::read_parameter_missing(log, &PAYMENTS_API, at, RETIRED_FLAG);
    }
    if index % 4 == 2 {
        for second in 0..3 {
            aws::read_parameter_throttled(log, &LEDGER, at + Duration::seconds(second));
        }
    }
    match index {
        3 | 10 => secret_of_a_test(log, at, index),
        4 | 11 => role_not_there_yet(log, at),
        5 => mistyped_password(log, at),
        6 => vault::read_secret_missing(log, &VAULT_CI, at, "ci/deploy-old"),
        9 => azure::read_secret_missing(log, &INVOICES, at, RENAMED_SECRET),
        _ => {}
    }
}

/// An integration test creates a secret, reads it and deletes it within the hour.
fn secret_of_a_test(log: &mut Log, at: DateTime<Utc>, index: i64) {
    let secret = Secret { name: Cow::Owned(format!("ci/test/rotation-{index}")), suffix: "vT4kMd" };
    aws::create_secret(log, &CI_DEPLOYER, at, &secret);
    aws::read_secret(log, &CI_DEPLOYER, at + Duration::seconds(8), &secret);
    aws::delete_secret(log, &CI_DEPLOYER, at + Duration::minutes(6), &secret);
}

/// A policy change has not reached every endpoint: refused, then granted eleven seconds later.
fn role_not_there_yet(log: &mut Log, at: DateTime<Utc>) {
    aws::assume_role_denied(log, &CI_RUNNER, at, DEPLOYER_ROLE.0);
    aws::assume_role(log, &CI_RUNNER, at + Duration::seconds(11), DEPLOYER_ROLE);
}

/// Maria mistypes her password once.
fn mistyped_password(log: &mut Log, at: DateTime<Utc>) {
    aws::console_login(log, &MARIA_CONSOLE, at, false);
    aws::console_login(log, &MARIA_CONSOLE, at + Duration::seconds(19), true);
}
