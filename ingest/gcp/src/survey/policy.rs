//! Which Data Access logs are written: the audit configurations of a resource and of all above it.
//! <https://cloud.google.com/logging/docs/audit/configure-data-access>

use super::client::{Client, Service};
use keywatch_ingest::survey::Answer;
use serde::{Deserialize, Serialize};

/// Folders may be nested ten deep; a project, an organisation, and as much again for change.
const LEVELS_MAX: usize = 16;

/// One level of the hierarchy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Level {
    /// Its name: `folders/123`.
    pub resource: String,
    /// Its own audit configurations.
    pub configs: Vec<AuditConfig>,
}

/// What of one service is logged.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AuditConfig {
    /// The service, or `allServices`.
    pub service: String,
    /// What of it.
    pub audit_log_configs: Vec<LogConfig>,
}

/// One kind of log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LogConfig {
    /// `ADMIN_READ`, `DATA_READ` or `DATA_WRITE`.
    pub log_type: String,
    /// Whose calls are not logged.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exempted_members: Vec<String>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Policy {
    audit_configs: Vec<AuditConfig>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Node {
    parent: String,
}

/// The configurations that hold for a resource: its own, and those of everything above it. Ends with
/// what would not be told.
pub(super) async fn levels(client: &Client, resource: &str) -> Vec<Answer<Level>> {
    let mut levels = Vec::new();
    let mut next = resource.to_owned();
    while levels.len() < LEVELS_MAX {
        let kind = kind_of(&next);
        let needs = format!("resourcemanager.{kind}.getIamPolicy on {next}");
        let policy = client.policy::<Policy>(&next, &needs).await;
        levels.push(policy.map(|policy| Level { resource: next.clone(), configs: policy.audit_configs }));
        if kind == "organizations" {
            return levels;
        }
        let needs = format!("resourcemanager.{kind}.get on {next}");
        match client.get::<Node>(Service::ResourceManager, &format!("v3/{next}"), &needs).await {
            Ok(node) if is_node(&node.parent) => next = node.parent,
            // A project of nobody's organisation.
            Ok(_) => return levels,
            Err(untold) => {
                levels.push(Err(untold));
                return levels;
            }
        }
    }
    levels
}

fn kind_of(resource: &str) -> &str {
    resource.split('/').next().unwrap_or_default()
}

/// Whether a parent is one that may be asked: it becomes part of an address.
fn is_node(parent: &str) -> bool {
    let id = parent.strip_prefix("folders/").or_else(|| parent.strip_prefix("organizations/"));
    id.is_some_and(|id| !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::is_node;

    #[test]
    fn a_parent_that_is_no_number_is_not_followed() {
        assert!(is_node("folders/12") && is_node("organizations/1"));
        for text in ["", "folders/", "folders/../x", "projects/p", "organizations/1?x"] {
            assert!(!is_node(text), "{text}");
        }
    }
}
