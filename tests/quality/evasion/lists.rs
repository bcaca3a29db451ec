//! What an operator has told the program: canaries, own accounts, known networks, emergencies.

use super::{LATER, Seen, victim};
use crate::scan::{Lists, scan_with};
use crate::scenario::{FOREIGN_ACCOUNT, Failure, Log, PROVIDERS, Provider, Who};
use serde_json::json;

fn replay_with(log: Log, lists: Lists<'_>) -> Seen {
    let log = log.in_order();
    let replay = scan_with(&log, lists);
    Seen { log, replay }
}

#[test]
fn a_canary_touched_in_any_store_and_with_any_outcome_is_critical() {
    let canaries = [("canaries", "*canary*")];
    for provider in PROVIDERS {
        let mut read = Log::new();
        let who = victim(&mut read, provider, "reports");
        read.attack("canary", |log| log.read(provider, &who, LATER, "prod-canary-1"));
        replay_with(read, &canaries).found(&["KW-117"], "critical");
        let mut denied = Log::new();
        let who = victim(&mut denied, provider, "reports");
        denied.attack("canary", |log| {
            log.fail(provider, &who, LATER, ("prod-canary-1", Failure::Denied));
        });
        replay_with(denied, &canaries).found(&["KW-117"], "critical");
    }
}

#[test]
fn a_slow_dump_below_every_threshold_ends_at_the_canary() {
    let mut log = Log::new();
    let who = victim(&mut log, Provider::Aws, "reports");
    log.attack("drip", |log| {
        for n in 0..4 {
            log.read(Provider::Aws, &who, LATER + n * 50_000, &format!("other-{n}"));
        }
        log.read(Provider::Aws, &who, LATER + 200_000, "prod-canary-1");
    });
    replay_with(log, &[("canaries", "*canary*")]).found(&["KW-117"], "critical");
}

#[test]
fn a_known_network_is_never_unusual() {
    let mut log = Log::new();
    let who = victim(&mut log, Provider::Gcp, "reports");
    log.read(Provider::Gcp, &who.at("203.0.113.7"), LATER, "own-a");
    replay_with(log, &[("known_networks", "203.0.113.0/24")]).silent(&["KW-002"]);
}

#[test]
fn an_account_of_ones_own_is_not_foreign() {
    let policy = format!(
        r#"{{"Statement":[{{"Effect":"Allow","Principal":{{"AWS":"{FOREIGN_ACCOUNT}"}},"Action":"secretsmanager:GetSecretValue","Resource":"*"}}]}}"#
    );
    let opened = |lists: Lists<'_>| {
        let mut log = Log::new();
        log.attack("grant", |log| {
            let asked = json!({"secretId": "prod-db", "resourcePolicy": policy});
            log.aws_with(&Who::person("ada"), LATER, "secretsmanager PutResourcePolicy", asked);
        });
        replay_with(log, lists)
    };
    opened(&[]).found(&["KW-106"], "critical");
    opened(&[("own_accounts", FOREIGN_ACCOUNT)]).silent(&["KW-106"]);
}

#[test]
fn an_emergency_account_that_reads_is_critical() {
    let mut log = Log::new();
    let who = victim(&mut log, Provider::Aws, "emergency");
    log.attack("glass", |log| log.read(Provider::Aws, &who, LATER, "own-a"));
    replay_with(log, &[("break_glass", "*role/emergency")]).found(&["KW-126"], "critical");
}

#[test]
fn an_address_of_a_threat_list_is_found() {
    let mut log = Log::new();
    let who = victim(&mut log, Provider::Vault, "reports");
    log.attack("listed", |log| log.read(Provider::Vault, &who.at("203.0.113.9"), LATER, "own-a"));
    replay_with(log, &[("threat_networks", "203.0.113.0/24")]).found(&["KW-130"], "high");
}
