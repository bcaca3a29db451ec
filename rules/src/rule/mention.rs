//! What an alert names of its events beside who acted and which secret: what the rule asks for, or
//! what was new.

use crate::field::{Field, Grantee, Normal};
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

    /// The values of these fields in one event, of its grantees those outside if there are any; `None` when it
    /// has none.
    pub(crate) fn of(fields: &[Field], view: &View<'_>) -> Option<Arc<str>> {
        let mut noted = Noted::default();
        for field in fields {
            let mut values = 0;
            let mut name = |value: &str| {
                values += 1;
                let is_one_too_many = values > VALUES_MAX;
                if is_one_too_many {
                    noted.add("…");
                } else if !value.is_empty() {
                    noted.add(short(field, value));
                }
                is_one_too_many
            };
            if field.is(Normal::GranteeId) && view.grantees().iter().any(Grantee::is_outside) {
                // Who belongs to the organisation anyway would hide them.
                view.grantees().iter().filter(|one| one.is_outside()).any(|one| name(&one.id));
            } else {
                field.any(view, &mut name);
            }
        }
        noted.text()
    }

    /// The names of the event's secrets that stand on `list`; `None` when none does.
    pub(crate) fn listed(list: &str, view: &View<'_>) -> Option<Arc<str>> {
        let list = view.around().lists.list(list)?;
        let secrets = view.event().secrets.iter();
        let on_it = secrets.filter(|secret| list.has(&secret.id) || list.has(&secret.name));
        let mut noted = Noted::default();
        for (at, secret) in on_it.take(VALUES_MAX + 1).enumerate() {
            noted.add(if at < VALUES_MAX { &secret.name } else { "…" });
        }
        noted.text()
    }
}

/// Values as they are remembered of one event.
#[derive(Default)]
struct Noted {
    text: String,
    any: bool,
}

impl Noted {
    fn add(&mut self, value: &str) {
        if std::mem::replace(&mut self.any, true) {
            self.text.push_str(BETWEEN);
        }
        self.text.push_str(value);
    }

    fn text(self) -> Option<Arc<str>> {
        let text = self.text.as_str();
        // Most are short, and no text has more characters than bytes.
        let end = if text.len() > CHARS_MAX { text.char_indices().nth(CHARS_MAX) } else { None };
        let kept = end.and_then(|(end, _)| text.get(..end)).unwrap_or(text);
        (!kept.is_empty()).then(|| Arc::from(kept))
    }
}

/// A value as an alert names it.
fn short<'v>(field: &Field, value: &'v str) -> &'v str {
    match field {
        Field::Normal(Normal::Operation) => method(value),
        Field::Normal(Normal::GranteeId) if value == "*" => "everybody",
        Field::Raw(_) => resource(value),
        Field::Normal(_) => value,
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
    use super::{BETWEEN, CHARS_MAX, Field, Mention, Normal, Noted, method, resource};
    use crate::testing::{self, PLACE};
    use crate::{Seen, View};

    #[test]
    fn some_values_of_a_field_are_named_and_no_text_is_longer_than_it_may_be() {
        let mentioned = |secrets: &[&'static str]| {
            let mut event = testing::event();
            event.secrets = secrets.iter().map(|id| testing::secret(id)).collect();
            let seen = Seen { event: &event, place: &PLACE, raw: b"{}" };
            let fields = [Normal::SecretsId, Normal::PrincipalVia, Normal::Operation].map(Field::Normal);
            Mention::of(&fields, &View::alone(&seen))
                .unwrap()
                .split(BETWEEN)
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        let operation = method(&testing::event().operation).to_owned();
        assert_eq!(mentioned(&[]), [operation.as_str()]);
        assert_eq!(mentioned(&["a", "", "c", "d"]), ["a", "c", "d", &operation]);
        assert_eq!(mentioned(&["a", "b", "c", "d", "e", "f"]), ["a", "b", "c", "d", "…", &operation]);
        for (value, kept) in
            [("é".repeat(CHARS_MAX + 1), CHARS_MAX), ("é".repeat(CHARS_MAX - 1), CHARS_MAX - 1)]
        {
            let mut noted = Noted::default();
            noted.add(&value);
            assert_eq!(noted.text().unwrap().chars().count(), kept);
        }
        assert!(Noted::default().text().is_none());
    }

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
