//! The integer codes closed vocabularies have in the database.
//!
//! Invariant: a code, once released, never changes and is never reused. They are written out, not
//! taken from the order of declaration, so that reordering a vocabulary changes nothing stored.

use crate::{AlertStatus, Choice, DeliveryKind, DeliveryState, Resolution};
use keywatch_event::{Class, Level, Outcome, PrincipalKind, Provider, SourceKind};

/// A value with a code.
pub(crate) trait Coded: Copy + Sized + 'static {
    /// Every value.
    const VALUES: &'static [Self];

    /// Its code.
    fn code(self) -> i64;

    /// The value with this code.
    ///
    /// # Errors
    /// A decoding error when no value has it: written by a later version, or damaged.
    fn from_code(code: i64) -> Result<Self, sqlx::Error> {
        let found = Self::VALUES.iter().copied().find(|value| value.code() == code);
        let unknown = || sqlx::Error::Decode(format!("{code} is no known {}", short_name::<Self>()).into());
        found.ok_or_else(unknown)
    }
}

fn short_name<T>() -> &'static str {
    let name = std::any::type_name::<T>();
    name.rsplit("::").next().unwrap_or(name)
}

macro_rules! codes {
    ($type:ident { $($variant:ident = $code:literal,)+ }) => {
        impl Coded for $type {
            const VALUES: &'static [Self] = &[$(Self::$variant,)+];

            fn code(self) -> i64 {
                match self { $(Self::$variant => $code,)+ }
            }
        }
    };
}

codes! { Provider { Aws = 0, Gcp = 1, Azure = 2, Vault = 3, } }

codes! { Class {
    SecretRead = 0, SecretBatchRead = 1, SecretList = 2, SecretMeta = 3, SecretWrite = 4,
    SecretDelete = 5, SecretPurge = 6, KeyUse = 7, KeyDestroy = 8, PolicyChange = 9,
    AuditTamper = 10, AuditAdjacent = 11, AuthOk = 12, AuthFail = 13, AuthChallenge = 14,
    Export = 15, AdminSeal = 16, AdminMount = 17, TokenCreate = 18, Other = 19,
} }

codes! { Outcome {
    Ok = 0, Denied = 1, NotFound = 2, Unauthenticated = 3, InvalidState = 4, Throttled = 5,
    ServerError = 6, Other = 7,
} }

codes! { Level { Info = 0, Warning = 1, High = 2, Critical = 3, } }

codes! { PrincipalKind {
    User = 0, Role = 1, Service = 2, ServiceAccount = 3, Root = 4, Federated = 5, Account = 6,
    Anonymous = 7, Unknown = 8,
} }

codes! { SourceKind { Addr = 0, Internal = 1, Service = 2, Opaque = 3, } }

codes! { AlertStatus { Open = 0, Withdrawn = 1, Acknowledged = 2, Resolved = 3, } }

codes! { DeliveryKind {
    AlertOpened = 0, AlertUpdated = 1, AlertWithdrawn = 2, AlertAcknowledged = 3, AlertResolved = 4,
    AlertRegressed = 5, AlertReminder = 6, AlertEscalated = 7, AlertRefreshed = 8,
} }

// The OCSF 1.8 dictionary numbers these otherwise; receivers translate.
codes! { Resolution {
    FalsePositive = 0, Malicious = 1, Testing = 2, Benign = 3, Duplicate = 4, Other = 5,
} }

codes! { Choice { Told = 0, NotTold = 1, Held = 2, Muted = 3, TakenBack = 4, } }

// The migrations name these in partial indexes.
codes! { DeliveryState { Pending = 0, Delivered = 1, DeadLetter = 2, Cancelled = 3, } }

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Debug;

    #[track_caller]
    fn check<T: Coded + PartialEq + Debug>(all: &[T]) {
        assert_eq!(T::VALUES.len(), all.len(), "every value has a code");
        for &value in all {
            assert_eq!(T::from_code(value.code()).unwrap(), value);
        }
    }

    #[test]
    fn every_value_reads_back_from_its_code() {
        check(Provider::ALL);
        check(Class::ALL);
        check(Outcome::ALL);
        check(Level::ALL);
        check(PrincipalKind::ALL);
        check(SourceKind::ALL);
        check(AlertStatus::ALL);
        check(DeliveryKind::ALL);
        check(DeliveryState::ALL);
        check(Resolution::ALL);
        check(Choice::ALL);
    }

    #[test]
    fn levels_sort_by_their_codes() {
        assert!(Level::ALL.is_sorted_by_key(|level| level.code()));
    }

    #[test]
    fn an_unknown_code_names_the_vocabulary() {
        let error = Class::from_code(99).unwrap_err();
        assert!(error.to_string().contains("99 is no known Class"), "{error}");
    }
}
