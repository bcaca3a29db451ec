//! What audit devices log: everything that is routed, without difference.

use super::{Kind, Row, expanded};
use keywatch_event::Provider;

pub(super) fn kinds() -> Vec<Kind> {
    expanded(Provider::Vault, ROWS, |_row| Vec::new())
}

const fn row(class: &'static str) -> Row {
    Row { service: "", log: "audit", class, operations: &[] }
}

const ROWS: &[Row] = &[
    row("secret.read"),
    row("secret.list"),
    row("secret.meta"),
    row("secret.write"),
    row("secret.delete"),
    row("secret.purge"),
    row("key.use"),
    row("key.destroy"),
    row("policy.change"),
    row("audit.tamper"),
    row("auth.ok"),
    row("auth.fail"),
    row("export"),
    row("admin.seal"),
    row("admin.mount"),
    row("token.create"),
    row("other"),
];
