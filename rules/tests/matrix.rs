//! Every shipped rule has an example that speaks and a near miss, for every provider it is about.
//!
//! `cargo test -p keywatch-rules --test matrix -- --nocapture` prints the matrix.

use keywatch_event::Provider;
use keywatch_rules::examples::{self, Expect};
use keywatch_rules::rule::Kind;
use keywatch_rules::{Rule, builtin, compile};
use std::collections::{BTreeMap, BTreeSet};

const ALL: &[Provider] = &[Provider::Aws, Provider::Gcp, Provider::Azure, Provider::Vault];

/// Rules that mean something to some providers only: what the others have no record of, or no such
/// thing. Every other rule is about all four.
const ABOUT: &[(&str, &str)] = &[
    // Sign-in to Azure is not in the logs that are read; the answer to a token challenge is.
    ("KW-003", "aws gcp vault"),
    ("KW-003c", "azure"),
    ("KW-111", "aws gcp vault"),
    ("KW-111a", "aws gcp vault"),
    ("KW-111s", "aws gcp vault"),
    ("KW-111g", "aws gcp"),
    ("KW-111v", "vault"),
    ("KW-111i", "aws gcp vault"),
    ("KW-111r", "aws gcp"),
    ("KW-111t", "vault"),
    ("KW-141", "aws azure"),
    // A version that is disabled and not deleted.
    ("KW-004w", "gcp azure"),
    // Trails, sinks and settings of one provider.
    ("KW-101m", "aws gcp"),
    ("KW-101e", "vault"),
    ("KW-101b", "aws gcp azure"),
    ("KW-133", "aws gcp azure"),
    ("KW-133n", "vault"),
    ("KW-133v", "vault"),
    // Vault lists no kinds of secrets.
    ("KW-103e", "aws gcp azure"),
    // Calls that give out many secrets at once.
    ("KW-104", "aws"),
    ("KW-104w", "aws"),
    ("KW-104v", "aws"),
    ("KW-104p", "aws"),
    ("KW-104f", "aws"),
    // Tokens, seal and configuration of Vault.
    ("KW-105", "vault"),
    ("KW-105p", "vault"),
    ("KW-122", "vault"),
    // The others name every caller, or count one they do not know as failed authentication.
    ("KW-005u", "vault"),
    ("KW-106e", "azure"),
    ("KW-121r", "aws"),
    ("KW-123", "vault"),
    ("KW-123p", "vault"),
    ("KW-123r", "vault"),
    ("KW-123d", "vault"),
    ("KW-124u", "vault"),
    ("KW-124a", "vault"),
    ("KW-125", "vault"),
    ("KW-125p", "vault"),
    // Ways to open something that only one provider has. A policy of Vault names no identity.
    ("KW-106s", "gcp"),
    ("KW-106o", "azure"),
    ("KW-106f", "azure"),
    ("KW-106t", "aws"),
    ("KW-106n", "aws"),
    ("KW-106p", "aws"),
    ("KW-106r", "aws"),
    ("KW-106a", "gcp"),
    ("KW-109g", "aws gcp azure"),
    // Google Cloud's service accounts are shared by machines.
    ("KW-112", "aws azure vault"),
    ("KW-112w", "aws"),
    ("KW-112m", "aws"),
    // Azure and Vault have vaults and mounts instead of regions.
    ("KW-116", "aws gcp"),
    ("KW-116n", "aws gcp"),
    ("KW-116v", "azure vault"),
    ("KW-121s", "aws"),
    ("KW-127c", "aws gcp azure"),
    // AWS and Google Cloud export no secret; AWS exports certificates, which is KW-129k.
    ("KW-129", "azure vault"),
    ("KW-129p", "azure vault"),
    ("KW-129a", "azure vault"),
    ("KW-129k", "aws gcp azure"),
    // Credentials of one provider.
    ("KW-136", "aws"),
    ("KW-136f", "aws"),
    ("KW-136g", "gcp"),
    ("KW-136v", "vault"),
    ("KW-136s", "vault"),
    // Services that read on somebody's behalf.
    ("KW-137", "aws"),
    ("KW-137g", "gcp"),
    ("KW-137w", "aws gcp azure"),
    ("KW-139", "aws gcp"),
    ("KW-139d", "aws gcp"),
    // Only CloudTrail leaves parameters out.
    ("KW-142", "aws"),
    // Only CloudTrail names the endpoint a call came through.
    ("KW-143", "aws"),
    ("KW-143n", "aws"),
];

fn about(rule: &str) -> Vec<Provider> {
    let named = ABOUT.iter().find(|(name, _)| *name == rule);
    named.map_or_else(
        || ALL.to_vec(),
        |(_, names)| names.split(' ').filter_map(|name| name.parse().ok()).collect(),
    )
}

/// How often a rule speaks of a provider, and how often it stays silent about its events.
type Counts = BTreeMap<Provider, (usize, usize)>;

fn counted(rule: &Rule, spoke: &[&examples::Outcomes]) -> Counts {
    let mut counts = Counts::new();
    for (example, outcome) in rule.examples.iter().zip(spoke) {
        assert_eq!(example.name, outcome.example);
        if example.expect == Expect::Silence {
            let seen: BTreeSet<Provider> = example.events.iter().map(|e| e.event.provider).collect();
            for provider in seen {
                counts.entry(provider).or_default().1 += 1;
            }
        } else {
            for provider in &outcome.spoke_of {
                counts.entry(*provider).or_default().0 += 1;
            }
        }
    }
    counts
}

#[test]
fn every_rule_speaks_and_stays_silent_for_every_provider_it_is_about() {
    let set = compile(builtin().iter().copied()).unwrap();
    let outcomes = examples::run(&set);
    let (mut matrix, mut holes) = (Vec::new(), Vec::new());
    let is_of_events = |rule: &&Rule| rule.id.starts_with("KW-") && !matches!(rule.kind, Kind::Observed(_));
    for rule in set.rules.iter().filter(is_of_events) {
        let spoke: Vec<_> = outcomes.iter().filter(|outcome| outcome.rule == rule.id).collect();
        let counts = counted(rule, &spoke);
        let cell = |provider: &Provider| {
            let (speaks, silent) = counts.get(provider).copied().unwrap_or_default();
            format!("{provider} {speaks}/{silent}")
        };
        let meant = about(&rule.id);
        matrix.push(format!("{:<8} {}", rule.id, meant.iter().map(cell).collect::<Vec<_>>().join("  ")));
        for provider in &meant {
            let (speaks, silent) = counts.get(provider).copied().unwrap_or_default();
            if speaks == 0 || silent == 0 {
                holes.push(format!("{} {}", rule.id, cell(provider)));
            }
        }
    }
    #[expect(clippy::print_stderr, reason = "the matrix is what somebody runs this for")]
    {
        eprintln!("examples that speak / near misses\n{}", matrix.join("\n"));
    }
    assert!(holes.is_empty(), "no example that speaks, or no near miss:\n{}", holes.join("\n"));
}

#[test]
fn the_table_names_rules_that_exist() {
    let set = compile(builtin().iter().copied()).unwrap();
    let unknown: Vec<&str> = ABOUT
        .iter()
        .map(|(name, _)| *name)
        .filter(|name| !set.rules.iter().any(|rule| *rule.id == **name))
        .collect();
    assert_eq!(unknown, [""; 0]);
}
