//! Events of a history, as the oracle and the engine see them.

use keywatch_event::{
    AuditEvent, Class, EventTime, Outcome, Principal, PrincipalKind, Provider, SecretRef, Source,
};

/// When histories begin.
pub(crate) const START: i64 = 1_800_000_000;

/// An event, in the order of events.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Happening {
    pub(crate) secs: i64,
    pub(crate) id: String,
    pub(crate) denied: bool,
    pub(crate) who: u8,
    pub(crate) ip: u8,
    pub(crate) secrets: Vec<u8>,
    /// Place in [`AMOUNTS`].
    pub(crate) amount: usize,
}

/// What a record may say as its amount, and the numbers that are in it, in millionths.
pub(crate) const AMOUNTS: &[(&str, &[i64])] = &[
    ("5", &[5_000_000]),
    ("2", &[2_000_000]),
    ("0.1", &[100_000]),
    ("-3.5", &[-3_500_000]),
    ("[1, 0.2]", &[1_000_000, 200_000]),
    ("null", &[]),
    ("\"7\"", &[7_000_000]),
    ("\"many\"", &[]),
    ("\"NaN\"", &[]),
    ("\"-inf\"", &[]),
    ("true", &[]),
    ("[]", &[]),
    ("[\"x\", 3, null, 3]", &[3_000_000, 3_000_000]),
    ("1e300", &[i64::MAX]),
    ("-1e300", &[i64::MIN]),
    ("0.0000004", &[0]),
    ("1e3", &[1_000_000_000]),
    ("\"\"", &[]),
];

impl Happening {
    pub(crate) fn numbers(&self) -> &'static [i64] {
        AMOUNTS[self.amount].1
    }

    /// Its record: the amount, and who and which secrets in the same words, so that one may stand for the other.
    pub(crate) fn raw(&self) -> Vec<u8> {
        let what: Vec<String> = self.secrets.iter().map(|secret| format!("\"x{secret}\"")).collect();
        let (amount, _) = AMOUNTS[self.amount];
        format!("{{\"amount\": {amount}, \"who\": \"x{}\", \"what\": [{}]}}", self.who, what.join(", "))
            .into_bytes()
    }

    pub(crate) fn event(&self) -> AuditEvent<'static> {
        let secret = |secret: &u8| {
            let name = format!("secret/{secret}");
            SecretRef { id: name.clone().into(), name: name.into(), version: None }
        };
        AuditEvent {
            id: self.id.clone().into(),
            time: EventTime::from_secs(START + self.secs),
            time_raw: None,
            received_at: EventTime::from_secs(START),
            provider: Provider::Aws,
            service: "".into(),
            store: Some("sm".into()),
            account: None,
            region: None,
            operation: "GetSecretValue".into(),
            class: Class::SecretRead,
            outcome: if self.denied { Outcome::Denied } else { Outcome::Ok },
            error: None,
            principal: Principal {
                id: format!("user/{}", self.who).into(),
                kind: PrincipalKind::User,
                name: None,
                session: None,
                access_key: None,
                via: None,
            },
            source: Source::from_text(format!("203.0.113.{}", self.ip).into()),
            user_agent: None,
            secrets: self.secrets.iter().map(secret).collect(),
            echo_of: None,
            scrubbed: Vec::new(),
            told: None,
        }
    }
}
