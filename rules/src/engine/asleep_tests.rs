//! A group that slept wakes to what it would have been.

use super::*;
use crate::engine::brief::Shared;
use crate::view::View;
use crate::{Seen, testing};
use keywatch_event::{AuditEvent, EventTime, Place};
use std::sync::Arc;

/// Every field a sleeping group counts on.
const TOLD: [Normal; 18] = [
    Normal::Provider,
    Normal::Store,
    Normal::Account,
    Normal::PrincipalId,
    Normal::PrincipalKind,
    Normal::PrincipalName,
    Normal::PrincipalSession,
    Normal::PrincipalAccessKey,
    Normal::SourceIp,
    Normal::SourceKind,
    Normal::SourceRaw,
    Normal::SourceNetwork,
    Normal::UserAgent,
    Normal::UserAgentFamily,
    Normal::Actor,
    Normal::SecretsId,
    Normal::SecretsName,
    Normal::SecretsCount,
];

#[track_caller]
fn check(shared: &mut Shared, event: &AuditEvent<'_>) {
    let place = Place { name: Arc::from("t"), line: 1, record: 0 };
    let seen = Seen { event, place: &place, raw: b"{}" };
    let brief = shared.brief(&seen, (1, 0));
    let again = brief.event();
    let remembered = Seen { event: &again, place: &place, raw: b"" };
    let (whole, brief) = (View::alone(&seen), View::alone(&remembered));
    for normal in TOLD {
        let field = Field::Normal(normal);
        assert!(is_told(&field), "{normal:?}");
        assert_eq!(field.values(&brief), field.values(&whole), "{normal:?} of {event:?}");
    }
}

#[test]
fn a_brief_tells_every_field_a_sleeping_group_counts_on() {
    let normalizer = keywatch_ingest::provider::Normalizer::new();
    let (mut shared, mut records) = (Shared::default(), 0);
    check(&mut shared, &testing::event());
    for provider in ["aws", "azure", "gcp", "vault"] {
        let folder = format!("{}/../tests/fixtures/{provider}", env!("CARGO_MANIFEST_DIR"));
        for case in std::fs::read_dir(folder).unwrap() {
            let raw = std::fs::read(case.unwrap().path().join("record.json")).unwrap();
            let received_at = EventTime::from_secs(1_790_000_000);
            let Ok(Some(event)) = normalizer.normalize(&raw, received_at) else { continue };
            check(&mut shared, &event);
            records += 1;
        }
    }
    assert!(records > 100, "{records}");
}

#[test]
fn fields_of_the_record_and_of_its_receipt_keep_a_group_awake() {
    for told in [Normal::Operation, Normal::Region, Normal::TimeDelay, Normal::Planned] {
        assert!(!is_told(&Field::Normal(told)), "{told:?}");
    }
}

#[test]
fn a_group_sleeps_only_while_too_little_is_there() {
    assert_eq!(least(&[(Op::Gte, 5.0)]), Some(5));
    assert_eq!(least(&[(Op::Gt, 5.0)]), Some(6));
    assert_eq!(least(&[(Op::Gt, 4.5), (Op::Lte, 9.0)]), Some(5));
    assert_eq!(least(&[(Op::Gte, 1.0)]), None, "one event is enough");
    assert_eq!(least(&[(Op::Lte, 5.0)]), None, "none is enough");
    let hit = |hit| Presence::Hit(hit);
    assert!(is_monotone(&Presence::And(vec![hit(0), Presence::Or(vec![hit(1), hit(2)])])));
    assert!(!is_monotone(&Presence::And(vec![hit(0), Presence::Not(Box::new(hit(1)))])));
}
