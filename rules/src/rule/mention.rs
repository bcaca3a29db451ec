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
    /// The secrets that stand, by id or name, on this list of the operator's.
    Listed(Box<str>),
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
            Self::Listed(_) | Self::News(_) => &[],
        };
        fields.iter()
    }

    /// The values of these fields in one event; `None` when it has none.
    pub(crate) fn of(fields: &[Field], view: &View<'_>) -> Option<Arc<str>> {
        let mut values: Vec<String> = Vec::new();
        for field in fields {
            let all = field.values(view);
            let more = all.len() > VALUES_MAX;
            let short = |value: String| match field {
                Field::Normal(Normal::Operation) => method(&value).to_owned(),
                Field::Normal(Normal::GranteeId) if value == "*" => "everybody".to_owned(),
                Field::Raw(_) => resource(&value).to_owned(),
                Field::Normal(_) => value,
            };
            values.extend(all.into_iter().take(VALUES_MAX).filter(|value| !value.is_empty()).map(short));
            values.extend(more.then(|| "…".to_owned()));
        }
        joined(&values)
    }

    /// The names of the event's secrets that stand on `list`; `None` when none does.
    pub(crate) fn listed(list: &str, view: &View<'_>) -> Option<Arc<str>> {
        let list = view.around().lists.list(list)?;
        let secrets = view.event().secrets.iter();
        let on_it = secrets.filter(|secret| list.has(&secret.id) || list.has(&secret.name));
        let mut names: Vec<String> =
            on_it.take(VALUES_MAX + 1).map(|secret| secret.name.to_string()).collect();
        if names.len() > VALUES_MAX {
            names.truncate(VALUES_MAX);
            names.push("…".to_owned());
        }
        joined(&names)
    }
}

/// Values as they are remembered of one event.
fn joined(values: &[String]) -> Option<Arc<str>> {
    let text: String = values.join(BETWEEN).chars().take(CHARS_MAX).collect();
    (!text.is_empty()).then(|| Arc::from(text))
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

/// The name at the end of an ARN such as `arn:aws:cloudtrail:eu-west-1:111122223333:trail/audit`, of a
/// resource of Google Cloud such as `projects/shop/sinks/audit`, or of one of Azure; what is set on a
/// resource there, such as its diagnostic settings, is told by that resource.
fn resource(value: &str) -> &str {
    let begins = |head: &str| value.get(..head.len()).is_some_and(|is| is.eq_ignore_ascii_case(head));
    if begins("/subscriptions/") {
        let lower = value.to_ascii_lowercase();
        let set = lower
            .rfind("/providers/microsoft.insights/")
            .filter(|at| lower.get(..*at).is_some_and(|of| of.contains("/providers/")));
        let whole = set.and_then(|at| value.get(..at)).unwrap_or(value);
        return whole.trim_end_matches('/').rsplit('/').next().unwrap_or(whole);
    }
    let homes = ["arn:", "projects/", "folders/", "organizations/", "billingAccounts/"];
    let is_path = homes.iter().any(|home| value.starts_with(home));
    let last = value.rsplit('/').next().filter(|last| is_path && !last.is_empty());
    last.unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::{method, resource};

    #[test]
    fn a_resource_is_named_by_its_last_part() {
        for (value, short) in [
            ("arn:aws:cloudtrail:eu-west-1:111122223333:trail/audit", "audit"),
            ("arn:aws:s3:::logs", "arn:aws:s3:::logs"),
            ("projects/shop/sinks/audit", "audit"),
            ("projects/", "projects/"),
            ("/SUBSCRIPTIONS/S/RESOURCEGROUPS/RG/PROVIDERS/MICROSOFT.KEYVAULT/VAULTS/SHOP", "SHOP"),
            (
                "/subscriptions/s/resourceGroups/rg/providers/Microsoft.KeyVault/vaults/shop/providers/microsoft.insights/diagnosticSettings/all",
                "shop",
            ),
            ("/subscriptions/s/providers/microsoft.insights/diagnosticSettings/all", "all"),
            ("/SUBSCRIPTIONS/", "SUBSCRIPTIONS"),
            ("prod/db", "prod/db"),
        ] {
            assert_eq!(resource(value), short);
        }
    }

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
