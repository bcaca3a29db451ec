//! The kinds of events each provider can log, fine enough to say which of them a setting leaves out.
//!
//! Facts about providers alone: service, what the call does, and the log it is written to. Which rule
//! needs which of them is worked out elsewhere. A test normalises a record of every kind and holds the
//! classes here to what it says.

mod aws;
mod azure;
mod gcp;
mod vault;

pub(super) use aws::SERVICES as AWS_SERVICES;
pub(super) use gcp::SERVICES as GCP_SERVICES;

use keywatch_event::Provider;
use keywatch_rules::field::Normal;
use keywatch_rules::{EventKind, Known};
use std::sync::LazyLock;

/// A kind of events.
#[derive(Debug)]
pub(crate) struct Kind {
    /// The service, by the provider's name; `None` for all those no row names.
    pub(crate) service: Option<&'static str>,
    /// The operation; `None` for all those no row names.
    pub(crate) operation: Option<&'static str>,
    /// Which log it is written to, by the provider's name: `read` and `write` at AWS.
    pub(crate) log: &'static str,
    /// What it does.
    pub(crate) class: &'static str,
    /// The same for rules.
    pub(crate) event: EventKind,
}

/// What a provider logs of one service under one class.
struct Row {
    service: &'static str,
    log: &'static str,
    class: &'static str,
    /// Operations that are so and nothing else; empty for any that no row of the service names.
    operations: &'static [&'static str],
}

const fn row(
    service: &'static str,
    log: &'static str,
    class: &'static str,
    operations: &'static [&'static str],
) -> Row {
    Row { service, log, class, operations }
}

/// Every kind of one provider.
pub(crate) fn of(provider: Provider) -> &'static [Kind] {
    static AWS: LazyLock<Vec<Kind>> = LazyLock::new(aws::kinds);
    static AZURE: LazyLock<Vec<Kind>> = LazyLock::new(azure::kinds);
    static GCP: LazyLock<Vec<Kind>> = LazyLock::new(gcp::kinds);
    static VAULT: LazyLock<Vec<Kind>> = LazyLock::new(vault::kinds);
    match provider {
        Provider::Aws => &AWS,
        Provider::Vault => &VAULT,
        Provider::Gcp => &GCP,
        Provider::Azure => &AZURE,
    }
}

/// Whether one of the kinds is this one.
pub(super) fn holds(kinds: &[&'static Kind], kind: &Kind) -> bool {
    kinds.iter().any(|one| std::ptr::eq(*one, kind))
}

/// The kinds of a table, operation by operation.
fn expanded(
    provider: Provider,
    rows: &'static [Row],
    raw: fn(&Row) -> Vec<(&'static str, Known)>,
) -> Vec<Kind> {
    let mut kinds = Vec::new();
    for row in rows {
        let make = |operation: Option<&'static str>| kind(provider, rows, row, operation, raw(row));
        match row.operations {
            [] => kinds.push(make(None)),
            named => kinds.extend(named.iter().map(|&operation| make(Some(operation)))),
        }
    }
    kinds
}

fn kind(
    provider: Provider,
    rows: &'static [Row],
    row: &Row,
    operation: Option<&'static str>,
    raw: Vec<(&'static str, Known)>,
) -> Kind {
    let service = (!row.service.is_empty()).then_some(row.service);
    let named = || rows.iter().map(|row| row.service).filter(|service| !service.is_empty());
    let of_service = rows.iter().filter(|other| other.service == row.service);
    let known = || of_service.flat_map(|row| row.operations).copied().collect();
    let is = |normal, known| (normal, known);
    let normal = vec![
        is(Normal::Provider, Known::Is(provider.as_str())),
        is(Normal::Class, Known::Is(row.class)),
        is(Normal::Service, service.map_or_else(|| Known::NoneOf(named().collect()), Known::Is)),
        is(Normal::Operation, operation.map_or_else(|| Known::NoneOf(known()), Known::Is)),
    ];
    Kind { service, operation, log: row.log, class: row.class, event: EventKind { provider, normal, raw } }
}
