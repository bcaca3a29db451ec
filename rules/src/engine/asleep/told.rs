//! What of an event a brief tells: the fields an entry may be made of when its group wakes.

use crate::field::{Field, Normal};
use crate::rule::{Count, Counted};

/// Every field an entry is made of.
pub(super) fn fields(count: &Count) -> impl Iterator<Item = &Field> {
    let measured = count.measured().flat_map(|of| -> Vec<&Field> {
        match of {
            Counted::Distinct(per_hit) => per_hit.iter().flatten().collect(),
            Counted::Ordered(steps) => steps.iter().filter_map(|step| step.of.as_ref()).collect(),
            Counted::Sum(field)
            | Counted::Average(field)
            | Counted::Median(field)
            | Counted::Percentile(field, _) => vec![field],
            Counted::Events | Counted::Matching(_) | Counted::All(_) => Vec::new(),
        }
    });
    let attached = count.attach.iter().flat_map(|attach| &attach.on);
    count.incident.keys.iter().flatten().chain(measured).chain(attached)
}

/// Whether [`Brief::event`](crate::engine::brief::Brief::event) tells the field.
pub(super) fn is_told(field: &Field) -> bool {
    matches!(
        field,
        Field::Normal(
            Normal::Provider
                | Normal::Store
                | Normal::Account
                | Normal::PrincipalId
                | Normal::PrincipalKind
                | Normal::PrincipalName
                | Normal::PrincipalSession
                | Normal::PrincipalAccessKey
                | Normal::SourceIp
                | Normal::SourceKind
                | Normal::SourceRaw
                | Normal::SourceNetwork
                | Normal::UserAgent
                | Normal::UserAgentFamily
                | Normal::Actor
                | Normal::SecretsId
                | Normal::SecretsName
                | Normal::SecretsCount
        )
    )
}
