//! What `docs/limits.md` says cannot be seen: each attempt is replayed and stays unseen. When one of
//! these fails because the program sees more, the page is what has to change.

use super::{LATER, Seen, replay, victim};
use crate::scenario::{Answer, DAY, HOUR, Log, MINUTE, PROVIDERS, Provider, Who};
use serde_json::json;

impl Seen {
    /// Nothing is said about the attack, as the section `heading` of the page has it.
    #[track_caller]
    fn unseen(&self, heading: &str) {
        let page = include_str!("../../../docs/limits.md");
        assert!(page.contains(&format!("\n## {heading}\n")), "docs/limits.md has no section `{heading}`");
        let cites =
            |alert: &&crate::scan::Alert| alert.rank() >= 2 && alert.lines().any(|line| self.is_attack(line));
        let said = self.replay.alerts.iter().filter(cites).count();
        assert_eq!(
            said,
            0,
            "`{heading}` says this is not seen; these alerts stand:\n{}",
            self.replay.table()
        );
    }
}

#[test]
fn one_new_secret_in_a_little_more_than_twelve_hours_is_not_seen() {
    for provider in PROVIDERS {
        let mut log = Log::new();
        let who = victim(&mut log, provider, "reports");
        log.attack("drip", |log| {
            for n in 0..8 {
                log.read(provider, &who, LATER + n * (12 * HOUR + MINUTE), &format!("other-{n}"));
            }
        });
        replay(log).unseen("One new secret every twelve hours");
    }
}

#[test]
fn the_usual_secrets_from_the_right_network_are_not_seen() {
    for provider in PROVIDERS {
        let mut log = Log::new();
        let who = victim(&mut log, provider, "reports");
        log.attack("twin", |log| {
            log.read(provider, &who, LATER, "own-a");
            log.read(provider, &who, LATER + 20 * MINUTE, "own-b");
        });
        replay(log).unseen("The right name, the right network, the usual secrets");
    }
}

#[test]
fn a_private_address_of_somebody_else_without_an_endpoint_in_the_record_is_not_seen() {
    for provider in PROVIDERS {
        let mut log = Log::new();
        let who = victim(&mut log, provider, "reports");
        log.attack("inside", |log| log.read(provider, &who.at("172.31.66.6"), LATER, "own-a"));
        replay(log).unseen("Private addresses");
    }
}

#[test]
fn an_unusual_address_in_the_first_week_is_not_seen() {
    let mut log = Log::new();
    let who = Who::workload("reports");
    log.history(Provider::Gcp, &who, 3 * DAY, &["own-a", "own-b"]);
    log.attack("early", |log| log.read(Provider::Gcp, &who.at("203.0.113.7"), 3 * DAY + HOUR, "own-a"));
    replay(log).unseen("The first week");
}

#[test]
fn a_command_on_a_machine_is_not_seen() {
    let mut log = Log::new();
    victim(&mut log, Provider::Aws, "web");
    let command = json!({"documentName": "AWS-RunShellScript", "parameters": {"commands": ["printenv"]}});
    log.attack("command", |log| log.aws_with(&Who::person("ops"), LATER, "ssm SendCommand", command));
    replay(log).unseen("Secrets read out of a running machine");
}

#[test]
fn a_wrapping_token_opened_in_time_is_not_seen() {
    let mut log = Log::new();
    let who = victim(&mut log, Provider::Vault, "deployer");
    log.attack("unwrap", |log| {
        let thief = who.session("thief");
        log.vault(&thief, LATER, ("update", "sys/wrapping/unwrap"), Answer::secret());
    });
    replay(log).unseen("A wrapping token opened in time");
}

#[test]
fn a_new_session_of_a_shared_identity_is_not_seen() {
    let mut log = Log::new();
    let who = victim(&mut log, Provider::Aws, "reports");
    log.attack("stranger", |log| log.read(Provider::Aws, &who.session("stranger"), LATER, "own-a"));
    replay(log).unseen("A new person behind a shared identity");
}
