//! Four minutes in which a stranger guesses passwords, uses stolen credentials,
//! is refused, and at last destroys what a hijacked session may destroy.
//!
//! Every row of the core table has its scene. Event times end at `now`: audit logs arrive late.

use super::company::{
    AZURE_STOLEN_TOM, BACKUP_KEY, BANK_API_KEY, BANK_SFTP_KEY, CARD_KEY, CHECKOUT, DEPLOY_KEY, DEPLOYER_ROLE,
    GCP_STOLEN_TOM, GUESSED_TOM, INVOICES, INVOICES_SQL, LEDGER, LEDGER_DB, PAGER_TOKEN, PAYMENTS_API,
    REGISTRY_TOKEN, SIGNING_KEY, SRE_ROLE, STOLEN_PAYMENTS_API, STOLEN_TOM, STRIPE_KEY, VAULT_GUESSED_ADMIN,
    VAULT_GUESSED_MARIA, VAULT_LEDGER, VAULT_LEDGER_DB, VAULT_OTHERS, VAULT_STOLEN_LEDGER, VAULT_STOLEN_TOM,
    VAULT_STRIPE,
};
use super::log::Log;
use super::{aws, azure, gcp, vault};
use chrono::{DateTime, Duration, Utc};

/// What arrives together, and how many seconds after the start.
pub(super) struct Scene {
    pub(super) after_secs: u64,
    pub(super) log: Log,
}

/// Adds what happens in one scene; the time is the scene's own first moment.
type Script = fn(&mut Log, DateTime<Utc>);

/// Seconds until a scene arrives, seconds before `now` at which it begins, and the scene.
const SCENES: [(u64, i64, Script); 6] = [
    (1, 240, work_goes_on),
    (3, 220, guessed_passwords),
    (6, 170, stolen_credentials),
    (9, 110, refused_reads),
    (12, 50, destruction),
    (15, 6, work_goes_on),
];

/// The scenes in the order of their arrival.
pub(super) fn scenes(now: DateTime<Utc>) -> Vec<Scene> {
    SCENES
        .into_iter()
        .map(|(after_secs, before_secs, script)| {
            let mut log = Log::new(0x6174_7461_636b + after_secs);
            script(&mut log, now - Duration::seconds(before_secs));
            Scene { after_secs, log }
        })
        .collect()
}

/// KW-001: services read what they read every day.
fn work_goes_on(log: &mut Log, at: DateTime<Utc>) {
    aws::read_secret(log, &PAYMENTS_API, at, &STRIPE_KEY);
    aws::read_secret(log, &LEDGER, at + Duration::seconds(1), &LEDGER_DB);
    gcp::read_secret(log, &CHECKOUT, at + Duration::milliseconds(1_200), CARD_KEY);
    azure::read_secret_first(log, &INVOICES, at + Duration::milliseconds(2_100), INVOICES_SQL);
    vault::login(log, &VAULT_LEDGER, at + Duration::milliseconds(2_600));
    vault::read_secret(log, &VAULT_LEDGER, at + Duration::milliseconds(2_700), VAULT_LEDGER_DB);
}

/// KW-003: passwords that do not fit.
fn guessed_passwords(log: &mut Log, at: DateTime<Utc>) {
    for second in [0, 9, 17] {
        aws::console_login(log, &GUESSED_TOM, at + Duration::seconds(second), false);
    }
    vault::login_failed(log, &VAULT_GUESSED_MARIA, at + Duration::seconds(24), true);
    vault::login_failed(log, &VAULT_GUESSED_MARIA, at + Duration::seconds(31), true);
    vault::login_failed(log, &VAULT_GUESSED_ADMIN, at + Duration::seconds(36), false);
}

/// KW-002: credentials of services, used from where no service runs; and KW-003: a role they
/// may not assume.
fn stolen_credentials(log: &mut Log, at: DateTime<Utc>) {
    aws::read_secret(log, &STOLEN_PAYMENTS_API, at, &STRIPE_KEY);
    vault::read_secret(log, &VAULT_STOLEN_LEDGER, at + Duration::seconds(14), VAULT_LEDGER_DB);
    aws::assume_role_denied(log, &STOLEN_PAYMENTS_API, at + Duration::seconds(26), SRE_ROLE);
    aws::assume_role_denied(log, &STOLEN_PAYMENTS_API, at + Duration::seconds(39), DEPLOYER_ROLE.0);
}

/// KW-005: one secret after the other, and none of them granted.
fn refused_reads(log: &mut Log, at: DateTime<Utc>) {
    let secrets =
        [LEDGER_DB, SIGNING_KEY, REGISTRY_TOKEN, DEPLOY_KEY, BACKUP_KEY, BANK_SFTP_KEY, PAGER_TOKEN];
    for (second, secret) in (0..).step_by(3).zip(&secrets) {
        aws::read_secret_denied(log, &STOLEN_PAYMENTS_API, at + Duration::seconds(second), secret);
    }
    for (second, secret) in (24..).step_by(4).zip(VAULT_OTHERS) {
        vault::read_secret_denied(log, &VAULT_STOLEN_LEDGER, at + Duration::seconds(second), secret);
    }
}

/// KW-004: in all four stores, in the session of somebody who may.
fn destruction(log: &mut Log, at: DateTime<Utc>) {
    aws::delete_secret(log, &STOLEN_TOM, at, &STRIPE_KEY);
    aws::delete_secret(log, &STOLEN_TOM, at + Duration::seconds(3), &SIGNING_KEY);
    gcp::read_secret(log, &GCP_STOLEN_TOM, at + Duration::seconds(9), CARD_KEY);
    gcp::destroy_version(log, &GCP_STOLEN_TOM, at + Duration::seconds(14), (CARD_KEY, 4));
    gcp::destroy_version(log, &GCP_STOLEN_TOM, at + Duration::seconds(17), (CARD_KEY, 3));
    azure::delete_secret(log, &AZURE_STOLEN_TOM, at + Duration::seconds(25), BANK_API_KEY);
    azure::purge_secret(log, &AZURE_STOLEN_TOM, at + Duration::seconds(33), BANK_API_KEY);
    vault::destroy_secret(log, &VAULT_STOLEN_TOM, at + Duration::seconds(38), (VAULT_STRIPE, &[1, 2, 3]));
    vault::delete_metadata(log, &VAULT_STOLEN_TOM, at + Duration::seconds(41), VAULT_STRIPE);
}
