//! From what Azure Resource Manager said about vaults and their diagnostic settings to what cannot be
//! seen.

use super::{Findings, Lost, Spot, command, kinds};
use keywatch_event::Provider;
use serde::Deserialize;
use serde_json::Value;

/// What is known of a vault, or of a subscription's Activity log.
#[derive(Clone, Debug)]
pub(super) struct Logged {
    /// Its id at Azure.
    pub(super) id: String,
    /// Its diagnostic settings, or why they are not known.
    pub(super) settings: Result<Vec<Setting>, super::Unknown>,
}

/// Where logs must go for the source to read them.
#[derive(Clone, Copy, Debug)]
pub(super) enum Goal<'g> {
    /// To this namespace of Event Hubs.
    Namespace(&'g str),
    /// To this storage account.
    Account(&'g str),
    /// That is not known.
    Any,
}

/// A diagnostic setting.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct Setting {
    name: String,
    properties: Properties,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Properties {
    event_hub_authorization_rule_id: Option<String>,
    storage_account_id: Option<String>,
    logs: Vec<Log>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Log {
    category: Option<String>,
    category_group: Option<String>,
    enabled: bool,
}

/// The settings of an answer.
///
/// # Errors
/// What is wrong with the answer.
pub(super) fn settings(answer: &[Value]) -> Result<Vec<Setting>, String> {
    let read = |value: &Value| Setting::deserialize(value);
    let read: Result<Vec<Setting>, serde_json::Error> = answer.iter().map(read).collect();
    read.map_err(|error| format!("the diagnostic settings cannot be read: {error}"))
}

impl Setting {
    /// Whether it takes a category, by its name or by a group it belongs to.
    fn takes(&self, category: &str, groups: &[&str]) -> bool {
        let is = |text: &Option<String>, wanted: &str| {
            text.as_deref().is_some_and(|text| text.eq_ignore_ascii_case(wanted))
        };
        let mut logs = self.properties.logs.iter().filter(|log| log.enabled);
        logs.any(|log| {
            is(&log.category, category) || groups.iter().any(|group| is(&log.category_group, group))
        })
    }

    /// Whether it sends to where the source reads.
    fn sends_to(&self, goal: Goal<'_>) -> bool {
        let holds = |id: &Option<String>, part: &str| {
            // Names at Azure compare without regard to case; the id of an account ends with its name.
            let id = format!("{}/", id.as_deref().unwrap_or_default()).to_ascii_lowercase();
            id.contains(&part.to_ascii_lowercase())
        };
        match goal {
            Goal::Namespace(name) => {
                holds(&self.properties.event_hub_authorization_rule_id, &format!("/namespaces/{name}/"))
            }
            Goal::Account(name) => {
                holds(&self.properties.storage_account_id, &format!("/storageaccounts/{name}/"))
            }
            Goal::Any => true,
        }
    }
}

/// What is asked of vaults and of the Activity log.
struct Asked {
    category: &'static str,
    groups: &'static [&'static str],
    none: &'static str,
    off: &'static str,
    elsewhere: &'static str,
    what: &'static str,
}

const VAULTS: Asked = Asked {
    category: "AuditEvent",
    groups: &["audit", "allLogs"],
    none: "azure.no-diagnostic-setting",
    off: "azure.audit-events-off",
    elsewhere: "azure.sent-elsewhere",
    what: "everything that happens in",
};

const ACTIVITY: Asked = Asked {
    category: "Administrative",
    groups: &["allLogs"],
    none: "azure.activity-not-exported",
    off: "azure.activity-not-exported",
    elsewhere: "azure.activity-sent-elsewhere",
    what: "who deletes vaults, grants roles and changes diagnostic settings in",
};

/// Judges vaults.
pub(super) fn of_vaults(vaults: &[Logged], goal: Goal<'_>, findings: &mut Findings) {
    judge(vaults, &VAULTS, goal, findings);
}

/// Judges the Activity logs of subscriptions.
pub(super) fn of_activity(subscriptions: &[Logged], goal: Goal<'_>, findings: &mut Findings) {
    judge(subscriptions, &ACTIVITY, goal, findings);
}

fn judge(all: &[Logged], asked: &Asked, goal: Goal<'_>, findings: &mut Findings) {
    let (mut none, mut off, mut elsewhere, mut known, mut well) = (Vec::new(), Vec::new(), Vec::new(), 0, 0);
    for one in all {
        let settings = match &one.settings {
            Ok(settings) => settings,
            Err(unknown) => {
                findings.unknown(&unknown.what, &unknown.needs, &unknown.said);
                continue;
            }
        };
        known += 1;
        let taking = || settings.iter().filter(|setting| setting.takes(asked.category, asked.groups));
        if settings.is_empty() {
            none.push(one.id.as_str());
        } else if taking().next().is_none() {
            off.push(one.id.as_str());
        } else if !taking().any(|setting| setting.sends_to(goal)) {
            elsewhere.push(one.id.as_str());
        } else {
            well += 1;
        }
    }
    let whys = [
        (asked.none, none, "has no diagnostic setting"),
        (asked.off, off, "has diagnostic settings, none of which takes them"),
        (
            asked.elsewhere,
            elsewhere,
            "has a diagnostic setting that sends to another place than the source reads",
        ),
    ];
    for (id, ids, why) in whys {
        if !ids.is_empty() {
            let is_all = well == 0 && ids.len() == known;
            findings.spot(Spot {
                mend: create_all(&ids, asked.category, goal),
                ..spot(asked, (id, why), &ids, is_all)
            });
        }
    }
    if well > 0 {
        findings.sound(format!("{well} of {} send {}", all.len(), asked.category));
    }
}

fn spot(asked: &Asked, (id, why): (&'static str, &str), ids: &[&str], is_all: bool) -> Spot {
    let names: Vec<&str> = ids.iter().map(|id| id.rsplit('/').next().unwrap_or(id)).collect();
    let lost = kinds::of(Provider::Azure).iter().filter(|kind| kind.log == asked.category);
    Spot {
        id,
        what: format!("{} {}", asked.what, names.join(", ")),
        why: format!("each of them {why}"),
        mend: Vec::new(),
        lost: if is_all { Lost::wholly(lost) } else { Lost::partly(lost) },
    }
}

/// A setting of its own for each, beside those that are there.
fn create_all(ids: &[&str], category: &str, goal: Goal<'_>) -> Vec<String> {
    ids.iter().map(|id| create(id, category, goal)).collect()
}

fn create(id: &str, category: &str, goal: Goal<'_>) -> String {
    let logs = command::word(&format!(r#"[{{"category":"{category}","enabled":true}}]"#));
    if category == ACTIVITY.category {
        let subscription = command::word(id.rsplit('/').next().unwrap_or(id));
        let to = match goal {
            Goal::Account(_) => "--storage-account ACCOUNT_ID",
            Goal::Namespace(_) | Goal::Any => "--event-hub-name HUB --event-hub-auth-rule RULE_ID",
        };
        return format!(
            "az monitor diagnostic-settings subscription create --name keywatch --location global --subscription {subscription} {to} --logs {logs}"
        );
    }
    let to = match goal {
        Goal::Account(_) => "--storage-account ACCOUNT_ID",
        Goal::Namespace(_) | Goal::Any => "--event-hub HUB --event-hub-rule RULE_ID",
    };
    let id = command::word(id);
    format!("az monitor diagnostic-settings create --name keywatch --resource {id} {to} --logs {logs}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::testing::{blind_rules, ids};
    use serde_json::json;

    fn vault(settings: &Value) -> Logged {
        let read = super::settings(settings.as_array().expect("a list")).expect("settings");
        Logged {
            id: "/subscriptions/s/resourceGroups/g/providers/Microsoft.KeyVault/vaults/v".to_owned(),
            settings: Ok(read),
        }
    }

    fn setting(log: &Value, namespace: &str) -> Value {
        let rule = format!(
            "/subscriptions/s/resourceGroups/g/providers/Microsoft.EventHub/namespaces/{namespace}/authorizationRules/r"
        );
        json!({"name": "a", "properties": {"eventHubAuthorizationRuleId": rule, "logs": [log]}})
    }

    #[track_caller]
    fn check(settings: &Value, want: &[&str]) {
        let mut findings = Findings::default();
        of_vaults(&[vault(settings)], Goal::Namespace("audit"), &mut findings);
        assert_eq!(ids(&findings), want, "{settings}");
    }

    #[test]
    fn a_vault_is_seen_when_a_setting_sends_its_audit_events_here() {
        check(&json!([]), &["azure.no-diagnostic-setting"]);
        let on = json!({"category": "AuditEvent", "enabled": true});
        check(&json!([setting(&on, "AUDIT")]), &[]);
        check(&json!([setting(&on, "other")]), &["azure.sent-elsewhere"]);
        check(&json!([setting(&on, "other"), setting(&on, "audit")]), &[]);
        check(
            &json!([setting(&json!({"categoryGroup": "audit", "category": null, "enabled": true}), "audit")]),
            &[],
        );
        check(
            &json!([setting(&json!({"category": "AuditEvent", "enabled": false}), "audit")]),
            &["azure.audit-events-off"],
        );
        check(
            &json!([setting(&json!({"category": "AzurePolicyEvaluationDetails", "enabled": true}), "audit")]),
            &["azure.audit-events-off"],
        );
        assert!(super::settings(&[json!({"properties": 7})]).is_err());
    }

    #[test]
    fn a_container_is_fed_by_settings_that_name_its_account() {
        let logs = json!([{"category": "AuditEvent", "enabled": true}]);
        let of = |account: &str| {
            let id = format!(
                "/subscriptions/s/resourceGroups/g/providers/Microsoft.Storage/storageAccounts/{account}"
            );
            let settings = json!([{"name": "a", "properties": {"storageAccountId": id, "logs": logs}}]);
            let mut findings = Findings::default();
            of_vaults(&[vault(&settings)], Goal::Account("audit"), &mut findings);
            findings
        };
        assert!(ids(&of("audit")).is_empty());
        let findings = of("audit2");
        assert_eq!(ids(&findings), ["azure.sent-elsewhere"]);
        assert!(findings.spots[0].mend[0].contains("--storage-account ACCOUNT_ID"));
    }

    #[test]
    fn one_vault_of_many_weakens_rules_and_all_of_them_blind_them() {
        let on = setting(&json!({"category": "AuditEvent", "enabled": true}), "audit");
        let mut findings = Findings::default();
        of_vaults(&[vault(&json!([])), vault(&json!([on]))], Goal::Any, &mut findings);
        assert_eq!(ids(&findings), ["azure.no-diagnostic-setting"]);
        assert!(blind_rules(Provider::Azure, &findings, "azure.no-diagnostic-setting").is_empty());
        let mut findings = Findings::default();
        of_vaults(&[vault(&json!([]))], Goal::Any, &mut findings);
        let blind = blind_rules(Provider::Azure, &findings, "azure.no-diagnostic-setting");
        assert!(blind.contains(&"KW-102".to_owned()), "{blind:?}");
        assert!(findings.spots[0].mend[0].starts_with(
            "az monitor diagnostic-settings create --name keywatch --resource /subscriptions/s/"
        ));
    }

    #[test]
    fn a_vault_that_would_not_tell_is_not_known() {
        let unknown =
            crate::doctor::Unknown { what: "w".to_owned(), needs: "n".to_owned(), said: "s".to_owned() };
        let mut findings = Findings::default();
        of_vaults(&[Logged { id: "/v".to_owned(), settings: Err(unknown) }], Goal::Any, &mut findings);
        assert!(findings.spots.is_empty() && findings.sound.is_empty());
        assert_eq!(findings.unknown.len(), 1);
    }
}
