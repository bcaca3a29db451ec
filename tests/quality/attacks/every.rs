//! Attacks that exist in all four stores.

use super::{Attack, CRITICAL, HIGH};
use crate::scenario::{DAY, Failure, HOUR, Log, MINUTE, PROVIDERS, Provider, Who, outside};

pub(super) fn attacks() -> Vec<Attack> {
    PROVIDERS.into_iter().flat_map(of).collect()
}

fn of(provider: Provider) -> Vec<Attack> {
    let make = |kind: &str, rules, level, play: fn(&Stage<'_>, &mut Log, i64)| {
        let name = format!("{} {kind}", provider.name());
        let label = name.clone();
        Attack::new(&name, rules, level, move |log, at| play(&Stage { name: &label, provider }, log, at))
    };
    vec![
        make("mass retrieval", &["KW-102"], CRITICAL, mass_retrieval),
        make("slow dump", &["KW-114", "KW-102"], CRITICAL, slow_dump),
        make("list, then reads", &["KW-103"], HIGH, list_then_read),
        make("one principal from many networks", &["KW-113", "KW-002"], HIGH, network_rotation),
        make("many principals from one address", &["KW-120"], CRITICAL, principal_rotation),
        make("a credential list tried from one address", &["KW-005"], CRITICAL, credential_list),
        make("names guessed and denied", &["KW-005"], CRITICAL, guessing),
        make("many principals denied at one secret", &["KW-005"], HIGH, one_target),
        make("slow guessing", &["KW-005"], CRITICAL, slow_guessing),
        make("denied, then read", &["KW-110"], CRITICAL, denied_then_read),
        make("read from an unusual address", &["KW-002"], super::WARNING, unusual_address),
        make("deletion", &["KW-004"], CRITICAL, deletion),
    ]
}

/// Where an attack plays.
pub(super) struct Stage<'a> {
    pub(super) name: &'a str,
    pub(super) provider: Provider,
}

impl Stage<'_> {
    /// The `n`th secret of this attack.
    pub(super) fn secret(&self, n: i64) -> String {
        format!("{}-{n}", self.slug())
    }

    /// A workload of this attack's own that has read its two secrets in turn, one a day, up to the attack.
    pub(super) fn victim(&self, log: &mut Log, until: i64, n: i64) -> Who {
        let who = Who::workload(&format!("svc-{}-{n}", self.slug()));
        let (first, second) = (format!("{}-own-a", self.slug()), format!("{}-own-b", self.slug()));
        log.history(self.provider, &who, until - HOUR, &[&first, &second]);
        who
    }

    fn slug(&self) -> String {
        self.name.replace([' ', ','], "-")
    }
}

fn mass_retrieval(stage: &Stage<'_>, log: &mut Log, at: i64) {
    let who = stage.victim(log, at, 0);
    log.attack(stage.name, |log| {
        for n in 0..30 {
            log.read(stage.provider, &who, at + 2 * n, &stage.secret(n));
        }
    });
}

fn slow_dump(stage: &Stage<'_>, log: &mut Log, at: i64) {
    let who = stage.victim(log, at, 0);
    log.attack(stage.name, |log| {
        for n in 0..9 {
            log.read(stage.provider, &who, at + n * 2 * HOUR, &stage.secret(n));
        }
    });
}

fn list_then_read(stage: &Stage<'_>, log: &mut Log, at: i64) {
    let who = stage.victim(log, at, 0);
    log.attack(stage.name, |log| {
        log.list(stage.provider, &who, at);
        for n in 0..4 {
            log.read(stage.provider, &who, at + 60 + n * 90, &stage.secret(n));
        }
    });
}

fn network_rotation(stage: &Stage<'_>, log: &mut Log, at: i64) {
    let who = stage.victim(log, at, 0);
    log.attack(stage.name, |log| {
        for n in 0..5 {
            let from = who.at(&outside(stage.name, n));
            log.read(stage.provider, &from, at + n * 2 * HOUR, &format!("{}-own-a", stage.slug()));
        }
    });
}

fn principal_rotation(stage: &Stage<'_>, log: &mut Log, at: i64) {
    let victims: Vec<Who> = (0..4).map(|n| stage.victim(log, at, n)).collect();
    log.attack(stage.name, |log| {
        for (n, who) in (0..).zip(&victims) {
            let from = who.at(&outside(stage.name, 0));
            log.read(stage.provider, &from, at + n * 5 * MINUTE, &format!("{}-own-a", stage.slug()));
        }
    });
}

fn credential_list(stage: &Stage<'_>, log: &mut Log, at: i64) {
    log.attack(stage.name, |log| {
        for n in 0..4 {
            let who = Who::workload(&format!("leaked-{}-{n}", stage.slug())).at(&outside(stage.name, 0));
            log.fail(stage.provider, &who, at + n * 60, (&stage.secret(n), Failure::Denied));
        }
    });
}

fn guessing(stage: &Stage<'_>, log: &mut Log, at: i64) {
    let who = stage.victim(log, at, 0);
    log.attack(stage.name, |log| {
        for n in 0..7 {
            let failure = if n % 2 == 0 { Failure::Denied } else { Failure::Missing };
            log.fail(stage.provider, &who, at + n * 50, (&stage.secret(n), failure));
        }
    });
}

fn one_target(stage: &Stage<'_>, log: &mut Log, at: i64) {
    let victims: Vec<Who> = (0..4).map(|n| stage.victim(log, at, n)).collect();
    log.attack(stage.name, |log| {
        for (n, who) in (0..).zip(&victims) {
            log.fail(stage.provider, who, at + n * 100, ("payments-master", Failure::Denied));
        }
    });
}

fn slow_guessing(stage: &Stage<'_>, log: &mut Log, at: i64) {
    let who = stage.victim(log, at, 0);
    log.attack(stage.name, |log| {
        for n in 0..9 {
            log.fail(stage.provider, &who, at + n * HOUR, (&stage.secret(n), Failure::Denied));
        }
    });
}

fn denied_then_read(stage: &Stage<'_>, log: &mut Log, at: i64) {
    let who = stage.victim(log, at, 0);
    log.attack(stage.name, |log| {
        log.fail(stage.provider, &who, at, (&stage.secret(0), Failure::Denied));
        log.read(stage.provider, &who, at + 30 * MINUTE, &stage.secret(0));
    });
}

fn unusual_address(stage: &Stage<'_>, log: &mut Log, at: i64) {
    let who = stage.victim(log, at, 0);
    log.attack(stage.name, |log| {
        log.read(stage.provider, &who.at(&outside(stage.name, 0)), at, &format!("{}-own-a", stage.slug()));
    });
}

fn deletion(stage: &Stage<'_>, log: &mut Log, at: i64) {
    let owner = stage.victim(log, at + DAY, 0);
    log.attack(stage.name, |log| log.delete(stage.provider, &owner, at, &format!("{}-own-a", stage.slug())));
}
