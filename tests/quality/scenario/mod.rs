//! Audit records as the providers write them, made up for the tests and labelled with the attack
//! they belong to.
//!
//! The same calls give the same records on every machine: ids count up, variety comes from a
//! seeded generator, no clock is read. Names, accounts and addresses are invented.

pub(crate) mod aws;
mod azure;
pub(crate) mod gcp;
mod random;
pub(crate) mod vault;

pub(crate) use aws::secret_arn;
pub(crate) use random::Random;
pub(crate) use vault::Answer;

use serde_json::Value;

/// Monday, 2025-03-03T00:00:00Z.
const START: i64 = 1_740_960_000;
pub(crate) const MINUTE: i64 = 60;
pub(crate) const HOUR: i64 = 3600;
pub(crate) const DAY: i64 = 86_400;

/// The account, project, subscription or namespace all records are about.
pub(crate) const ACCOUNT: &str = "111122223333";
/// An AWS account of somebody else.
pub(crate) const FOREIGN_ACCOUNT: &str = "999988887777";
pub(crate) const PROJECT: &str = "harbour-prod";
/// Azure tenant, and the vault's resource id.
pub(crate) const TENANT: &str = "4b8e2f60-7a3d-4d0f-9a2c-6c1d5e0b7f23";
pub(crate) const VAULT: &str = "/SUBSCRIPTIONS/9C1B0C3A-5D7E-4E7A-8C55-2B6E1F0A4D11/RESOURCEGROUPS/RG-PROD/PROVIDERS/MICROSOFT.KEYVAULT/VAULTS/HARBOUR-PROD";

/// Whose log a record stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Provider {
    Aws,
    Gcp,
    Azure,
    Vault,
}

pub(crate) const PROVIDERS: [Provider; 4] = [Provider::Aws, Provider::Gcp, Provider::Azure, Provider::Vault];

impl Provider {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Aws => "aws",
            Self::Gcp => "gcp",
            Self::Azure => "azure",
            Self::Vault => "vault",
        }
    }
}

/// What a record is to the scorer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Label {
    /// Everyday work.
    Benign,
    /// Approved work that the core table wants an alert for, such as a planned deletion.
    Approved,
    /// A step of this attack.
    Attack(String),
}

/// One record, when it happened, and what it is.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    /// Seconds since the scenario's start.
    pub(crate) at: i64,
    pub(crate) json: Value,
    pub(crate) label: Label,
}

/// How a read fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    Denied,
    Missing,
    Throttled,
}

/// Who calls, from where, with what.
#[derive(Clone, Debug)]
pub(crate) struct Who {
    pub(crate) name: String,
    pub(crate) person: bool,
    pub(crate) session: String,
    pub(crate) ip: String,
    pub(crate) agent: String,
    pub(crate) region: &'static str,
    pub(crate) account: &'static str,
    /// The long-lived key in use, where it matters.
    pub(crate) key: Option<String>,
}

impl Who {
    /// A workload with a network of its own in 198.19.0.0/16 (RFC 2544, benchmarks).
    pub(crate) fn workload(name: &str) -> Self {
        let (a, b) = (random::spread(name) % 250, random::spread(name) / 250 % 250);
        Self {
            name: name.to_owned(),
            person: false,
            session: format!("{name}-worker"),
            ip: format!("198.19.{a}.{b}"),
            agent: "aws-sdk-go-v2/1.30".to_owned(),
            region: "eu-west-1",
            account: ACCOUNT,
            key: None,
        }
    }

    /// A person in the office.
    pub(crate) fn person(name: &str) -> Self {
        let agent = "aws-cli/2.17 Python/3.11".to_owned();
        Self {
            person: true,
            session: name.to_owned(),
            ip: "192.0.2.44".to_owned(),
            agent,
            ..Self::workload(name)
        }
    }

    pub(crate) fn at(&self, ip: &str) -> Self {
        Self { ip: ip.to_owned(), ..self.clone() }
    }

    pub(crate) fn with(&self, agent: &str) -> Self {
        Self { agent: agent.to_owned(), ..self.clone() }
    }

    pub(crate) fn region(&self, region: &'static str) -> Self {
        Self { region, ..self.clone() }
    }

    pub(crate) fn session(&self, session: &str) -> Self {
        Self { session: session.to_owned(), ..self.clone() }
    }

    pub(crate) fn key(&self, key: &str) -> Self {
        Self { key: Some(key.to_owned()), ..self.clone() }
    }
}

/// Records being written.
#[derive(Debug)]
pub(crate) struct Log {
    pub(crate) records: Vec<Record>,
    label: Label,
    count: u64,
    pub(crate) random: Random,
}

impl Log {
    pub(crate) fn new() -> Self {
        Self { records: Vec::new(), label: Label::Benign, count: 0, random: Random::new(2_718_281) }
    }

    /// A log of these records.
    pub(crate) fn of(records: Vec<Record>) -> Self {
        Self { records, ..Self::new() }
    }

    /// Everything `play` writes is a step of the attack `name`.
    pub(crate) fn attack(&mut self, name: &str, play: impl FnOnce(&mut Self)) {
        self.labelled(Label::Attack(name.to_owned()), play);
    }

    /// Everything `play` writes is approved work that raises alerts all the same.
    pub(crate) fn approved(&mut self, play: impl FnOnce(&mut Self)) {
        self.labelled(Label::Approved, play);
    }

    fn labelled(&mut self, label: Label, play: impl FnOnce(&mut Self)) {
        let before = std::mem::replace(&mut self.label, label);
        play(self);
        self.label = before;
    }

    /// The records in the order they were written down, which for all sources is that of time.
    pub(crate) fn in_order(mut self) -> Self {
        self.records.sort_by_key(|record| record.at);
        self
    }

    /// A read that succeeds.
    pub(crate) fn read(&mut self, provider: Provider, who: &Who, at: i64, secret: &str) {
        match provider {
            Provider::Aws => self.aws_read(who, at, secret),
            Provider::Gcp => ignore(self.gsm(who, at, "AccessSecretVersion", &gcp::version(secret))),
            Provider::Azure => {
                ignore(self.key_vault(who, at, ("SecretGet", 200), &format!("secrets/{secret}")));
            }
            Provider::Vault => {
                self.vault(who, at, ("read", &format!("secret/data/{secret}")), Answer::secret());
            }
        }
    }

    /// A read that fails.
    pub(crate) fn fail(
        &mut self,
        provider: Provider,
        who: &Who,
        at: i64,
        (secret, failure): (&str, Failure),
    ) {
        match provider {
            Provider::Aws => self.aws_fail(who, at, secret, failure),
            Provider::Gcp => {
                gcp::refuse(self.gsm(who, at, "AccessSecretVersion", &gcp::version(secret)), failure);
            }
            Provider::Azure => azure::refuse(self, who, at, (secret, failure)),
            Provider::Vault => {
                let answer = match failure {
                    Failure::Denied => Answer::Denied,
                    Failure::Missing => Answer::Done,
                    Failure::Throttled => Answer::Error("request path \"secret\": rate limit quota exceeded"),
                };
                self.vault(who, at, ("read", &format!("secret/data/{secret}")), answer);
            }
        }
    }

    /// A list of the names of secrets.
    pub(crate) fn list(&mut self, provider: Provider, who: &Who, at: i64) {
        match provider {
            Provider::Aws => ignore(self.aws(who, at, "secretsmanager ListSecrets")),
            Provider::Gcp => ignore(self.gsm(who, at, "ListSecrets", &format!("projects/{PROJECT}"))),
            Provider::Azure => ignore(self.key_vault(who, at, ("SecretList", 200), "secrets")),
            Provider::Vault => {
                let keys = serde_json::json!({"keys": ["hmac-sha256:aa", "hmac-sha256:ab"]});
                self.vault(who, at, ("list", "secret/metadata/"), Answer::Data(keys));
            }
        }
    }

    /// The deletion of a secret, recoverable where the provider knows that.
    pub(crate) fn delete(&mut self, provider: Provider, who: &Who, at: i64, secret: &str) {
        match provider {
            Provider::Aws => {
                let asked = serde_json::json!({"secretId": secret, "recoveryWindowInDays": 30});
                aws::asked(self.aws(who, at, "secretsmanager DeleteSecret"), asked);
            }
            Provider::Gcp => {
                ignore(self.gsm(who, at, "DeleteSecret", &format!("projects/{PROJECT}/secrets/{secret}")));
            }
            Provider::Azure => {
                ignore(self.key_vault(who, at, ("SecretDelete", 200), &format!("secrets/{secret}")));
            }
            Provider::Vault => {
                self.vault(who, at, ("delete", &format!("secret/data/{secret}")), Answer::Done);
            }
        }
    }

    /// A workload's past: each day one of its secrets in turn, from its own network, from the first
    /// day until `until`, at an hour of its own.
    pub(crate) fn history(&mut self, provider: Provider, who: &Who, until: i64, secrets: &[&str]) {
        let offset = i64::try_from(random::spread(&who.name) % 36_000).unwrap_or(0);
        for (day, secret) in (0..).zip(secrets.iter().cycle()) {
            let at = day * DAY + 8 * HOUR + offset;
            if at >= until {
                break;
            }
            self.read(provider, who, at, secret);
        }
    }

    /// Adds a record; the caller may still change it.
    fn push(&mut self, at: i64, json: Value) -> &mut Value {
        self.records.push(Record { at, json, label: self.label.clone() });
        &mut self.records.last_mut().expect("it was just pushed").json
    }

    /// An id nobody else has.
    fn id(&mut self) -> String {
        self.count += 1;
        format!("{:08x}-0000-4000-8000-{:012x}", self.count % 0xffff_ffff, self.count)
    }
}

/// The time `at` seconds into the scenario, in a format of `chrono`.
fn time(at: i64, format: &str) -> String {
    let time = chrono::DateTime::from_timestamp(START + at, 0).expect("a time in the scenario");
    time.format(format).to_string()
}

/// Seconds into the scenario of a time an alert gives.
pub(crate) fn since_start(text: &str) -> Option<i64> {
    chrono::DateTime::parse_from_rfc3339(text).ok().map(|time| time.timestamp() - START)
}

/// The record stays as it was written.
fn ignore(_written: &mut Value) {}

/// Sets a field of a record that was just written; intermediate objects are made.
pub(crate) fn set(record: &mut Value, path: &str, value: Value) {
    let mut here = record;
    for key in path.split('.') {
        if !here.is_object() {
            *here = Value::Object(serde_json::Map::new());
        }
        here = here.as_object_mut().expect("made an object above").entry(key).or_insert(Value::Null);
    }
    *here = value;
}

/// An address in a network of 198.18.0.0/16 that only this attack uses: the `n`th.
pub(crate) fn outside(name: &str, n: i64) -> String {
    let net = (random::spread(name) + n.unsigned_abs() * 41) % 256;
    format!("198.18.{net}.{}", 7 + random::spread(name) % 200)
}
