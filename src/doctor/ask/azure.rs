//! Asks Azure Resource Manager which vaults there are and where their logs go.

use super::refused;
use crate::config::section::DoctorAzure;
use crate::doctor::azure::{self, Goal, Logged};
use crate::doctor::{Findings, Unknown};
use keywatch_secrets::{AzureInquiry, Settings};
use std::sync::Arc;

/// Most vaults whose settings are asked for, a request each: more take longer than anybody waits.
const VAULTS_MAX: usize = 500;

/// Kinds of vaults, and the version of the interface that lists them.
const KINDS: [(&str, &str); 2] = [("vaults", "2023-07-01"), ("managedHSMs", "2023-07-01")];
/// <https://learn.microsoft.com/rest/api/monitor/diagnostic-settings/list>
const SETTINGS_VERSION: &str = "2021-05-01-preview";
const SETTINGS: &str = "providers/Microsoft.Insights/diagnosticSettings";
const MAY_READ_SETTINGS: &str = "Microsoft.Insights/diagnosticSettings/read";

/// The namespace of Event Hubs among brokers, when they are that.
pub(super) fn namespace(brokers: &[String]) -> Option<&str> {
    let host = brokers.iter().find_map(|broker| broker.rsplit_once(':').map(|(host, _)| host))?;
    host.split_once(".servicebus.").map(|(name, _)| name)
}

/// Asks about the subscriptions that feed a source.
pub(super) async fn ask(named: Option<&DoctorAzure>, goal: Goal<'_>, findings: &mut Findings) {
    let Some(named) = named else {
        return findings.unknown(
            "which vaults there are, and whether they log here",
            "an entry under `doctor.azure` in the configuration",
            "no subscription is named that feeds this source",
        );
    };
    let settings =
        Settings { azure: named.settings(), ..Settings::new(Arc::new(crate::config::environment)) };
    let inquiry = AzureInquiry::new(&settings, named.resource_manager.clone());
    let (mut vaults, mut activity) = (Vec::new(), Vec::new());
    for id in named.subscriptions.iter().map(|id| &id.value) {
        activity.push(logged(&inquiry, format!("/subscriptions/{id}")).await);
        for (kind, version) in KINDS {
            let path = format!("/subscriptions/{id}/providers/Microsoft.KeyVault/{kind}");
            let needs = format!("Microsoft.KeyVault/{kind}/read on subscription {id}");
            match inquiry.list(&path, version, &needs).await {
                Ok(found) => {
                    let ids = found.iter().filter_map(|one| one.get("id")?.as_str().map(str::to_owned));
                    vaults.extend(ids);
                }
                Err(unanswered) => {
                    let what = format!("which {kind} there are in subscription {id}");
                    refused(findings, &what, &needs, &unanswered);
                }
            }
        }
    }
    if vaults.len() > VAULTS_MAX {
        let said = format!("there are {}; the first {VAULTS_MAX} were asked", vaults.len());
        findings.unknown("where some vaults log", "fewer subscriptions at once", said);
    }
    let mut all = Vec::new();
    for id in vaults.into_iter().take(VAULTS_MAX) {
        all.push(logged(&inquiry, id).await);
    }
    azure::of_vaults(&all, goal, findings);
    azure::of_activity(&activity, goal, findings);
}

async fn logged(inquiry: &AzureInquiry, id: String) -> Logged {
    let path = format!("{id}/{SETTINGS}");
    let what = format!("where {id} logs");
    let unread =
        |said: String| Unknown { what: what.clone(), needs: "an answer of Azure's".to_owned(), said };
    let needs = format!("{MAY_READ_SETTINGS} on {id}");
    let settings = match inquiry.list(&path, SETTINGS_VERSION, &needs).await {
        Ok(answer) => azure::settings(&answer).map_err(unread),
        Err(unanswered) => {
            let mut one = Findings::default();
            refused(&mut one, &what, &needs, &unanswered);
            Err(one.unknown.pop().unwrap_or_else(|| unread(unanswered.detail)))
        }
    };
    Logged { id, settings }
}

#[cfg(test)]
mod tests {
    use super::namespace;

    #[test]
    fn event_hubs_are_known_by_their_address() {
        let of = |broker: &str| namespace(&[broker.to_owned()]).map(str::to_owned);
        assert_eq!(of("audit.servicebus.windows.net:9093").as_deref(), Some("audit"));
        assert_eq!(of("audit.servicebus.chinacloudapi.cn:9093").as_deref(), Some("audit"));
        assert_eq!(of("kafka-1.example.com:9092"), None);
    }
}
