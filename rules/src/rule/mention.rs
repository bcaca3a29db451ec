//! What an alert names of its events beside who acted and which secret: what the rule asks for, or
//! what was new.

use crate::field::{Field, Normal};
use crate::view::View;
use std::sync::Arc;

/// Most characters remembered of one event: enough for what is named, and a bound for what a record
/// may bring.
const CHARS_MAX: usize = 200;
/// Most values of one field that are remembered of one event.
const VALUES_MAX: usize = 4;

/// Stands between the values of one event where they are remembered.
pub(crate) const BETWEEN: &str = "\u{1f}";

/// What an alert names of its events.
#[derive(Clone, Debug, PartialEq)]
pub enum Mention {
    /// The values of these fields.
    Fields(Vec<Field>),
    /// What was new.
    News(News),
}

/// How an alert says what was new.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct News {
    /// What stands before the values in the reasons; nothing is said when it is empty.
    pub lead: String,
    /// What one and several are called in a title; `None` where the title has the values already, or
    /// they tell a reader nothing.
    pub noun: Option<(String, String)>,
    /// Whether the values themselves are told.
    pub has_values: bool,
}

impl Mention {
    /// The fields whose values are named.
    pub fn fields(&self) -> impl Iterator<Item = &Field> {
        let fields = match self {
            Self::Fields(fields) => fields.as_slice(),
            Self::News(_) => &[],
        };
        fields.iter()
    }

    /// The values of these fields in one event; `None` when it has none.
    pub(crate) fn of(fields: &[Field], view: &View<'_>) -> Option<Arc<str>> {
        let mut values: Vec<String> = Vec::new();
        for field in fields {
            let all = field.values(view);
            let more = all.len() > VALUES_MAX;
            let short =
                |value: String| if field.is(Normal::Operation) { method(&value).to_owned() } else { value };
            values.extend(all.into_iter().take(VALUES_MAX).filter(|value| !value.is_empty()).map(short));
            values.extend(more.then(|| "…".to_owned()));
        }
        let text: String = values.join(BETWEEN).chars().take(CHARS_MAX).collect();
        (!text.is_empty()).then(|| Arc::from(text))
    }
}

/// The method at the end of a name such as `google.cloud.kms.v1.KeyManagementService.Decrypt` or
/// `MICROSOFT.KEYVAULT/VAULTS/SECRETS/WRITE`, there with what it is done to.
fn method(operation: &str) -> &str {
    if operation.get(..10).is_some_and(|head| head.eq_ignore_ascii_case("microsoft.")) {
        let from = operation.rmatch_indices('/').nth(1).map_or(0, |(at, _)| at + 1);
        return operation.get(from..).unwrap_or(operation);
    }
    if operation.contains([' ', '/']) {
        return operation;
    }
    operation.rsplit('.').next().filter(|last| !last.is_empty()).unwrap_or(operation)
}

#[cfg(test)]
mod tests {
    use super::method;

    #[test]
    fn an_operation_is_named_by_its_method() {
        for (operation, short) in [
            ("google.iam.admin.v1.SetIamPolicy", "SetIamPolicy"),
            ("read secret/data/db.v1", "read secret/data/db.v1"),
            ("MICROSOFT.EVENTHUB/NAMESPACES/EVENTHUBS/DELETE", "EVENTHUBS/DELETE"),
            ("Microsoft.KeyVault/write", "Microsoft.KeyVault/write"),
            ("Odd.", "Odd."),
        ] {
            assert_eq!(method(operation), short);
        }
    }
}
