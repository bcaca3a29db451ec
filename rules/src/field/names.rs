//! Field names of rules written for a provider's own log, as SigmaHQ's rules spell them.
//!
//! A name is a path in the record. Where one fact stands under different names (a pipeline
//! flattened it, the API and the export differ) all of them are read. Names of Keywatch's own
//! that no provider's record has keep their meaning.

use super::{Field, Normal};
use keywatch_event::Provider;

/// Keywatch's names that are also keys of a provider's record: there, the record's meaning counts.
const SHARED: &[Normal] =
    &[Normal::Provider, Normal::Service, Normal::Account, Normal::Region, Normal::Operation];

/// The field `name` means in a rule for `provider`'s log, or for a log nobody reads.
pub(super) fn field(name: &str, provider: Option<Provider>) -> Field {
    if let Some(normal) = Normal::parse(name).filter(|normal| !SHARED.contains(normal)) {
        return Field::Normal(normal);
    }
    match provider {
        Some(Provider::Aws) => aws(name),
        Some(Provider::Gcp) => gcp(name),
        Some(Provider::Azure) => azure(name),
        Some(Provider::Vault) | None => Field::raw(&[name], None),
    }
}

/// Paths in the CloudTrail record. The normaliser takes these three word for word.
fn aws(name: &str) -> Field {
    let twin = match name {
        "eventName" => Some(Normal::Operation),
        "eventSource" => Some(Normal::Service),
        "userAgent" => Some(Normal::UserAgent),
        _ => None,
    };
    Field::raw(&[name], twin)
}

/// Paths in the `LogEntry`. `data.` is the Pub/Sub wrapping some pipelines keep; `gcp.audit.` is
/// Elastic's naming of the audit log's fields.
fn gcp(name: &str) -> Field {
    let path = match name.strip_prefix("gcp.audit.") {
        Some(elastic) => format!("protoPayload.{}", elastic_path(elastic)),
        None => name.strip_prefix("data.").unwrap_or(name).to_owned(),
    };
    let twin = match &*path {
        "protoPayload.methodName" => Some(Normal::Operation),
        "protoPayload.serviceName" => Some(Normal::Service),
        _ => None,
    };
    // Some rules look for parts of the entry inside its payload.
    match path.strip_prefix("protoPayload.") {
        Some(outer) if outer == "logName" || outer.starts_with("resource.") => {
            Field::raw(&[&path, outer], None)
        }
        _ => Field::raw(&[&path], twin),
    }
}

/// `authentication_info.principal_email` as the audit log spells it.
fn elastic_path(elastic: &str) -> String {
    match elastic {
        "authentication_info.principal_email" | "principal_email" => {
            "authenticationInfo.principalEmail".to_owned()
        }
        _ => elastic.split('.').map(camel).collect::<Vec<_>>().join("."),
    }
}

fn camel(snake: &str) -> String {
    let mut words = snake.split('_');
    let mut name = words.next().unwrap_or_default().to_owned();
    for word in words {
        let mut letters = word.chars();
        name.extend(letters.next().map(|letter| letter.to_ascii_uppercase()));
        name.push_str(letters.as_str());
    }
    name
}

/// The Activity log's columns in Log Analytics, and where the exported and the API form of a
/// record keep the same facts.
/// <https://learn.microsoft.com/azure/azure-monitor/reference/tables/azureactivity>
const AZURE: &[(&str, &[&str])] = &[
    ("categoryvalue", &["category.value", "category", "categoryValue"]),
    ("category", &["category.value", "category", "categoryValue"]),
    ("resourceid", &["resourceId", "_ResourceId"]),
    ("_resourceid", &["resourceId", "_ResourceId"]),
    ("resource", &["resourceId", "resource"]),
    ("activitystatusvalue", &["status.value", "status", "resultType", "activityStatusValue"]),
    ("activitystatus", &["status.value", "status", "resultType", "activityStatus"]),
    ("resulttype", &["resultType", "status.value"]),
    ("calleripaddress", &["callerIpAddress", "httpRequest.clientIpAddress"]),
    (
        "caller",
        &[
            "caller",
            "identity.claim.upn",
            "identity.claims.name",
            "identity.authorization.evidence.principalId",
        ],
    ),
    ("resourcegroup", &["resourceGroupName", "resourceGroup"]),
    ("subscriptionid", &["subscriptionId"]),
    ("eventdatetime", &["eventTimestamp", "time", "eventDateTime"]),
    ("timegenerated", &["time", "eventTimestamp", "timeGenerated"]),
    ("level", &["level"]),
];

/// Names are compared without regard to case: exports, API and Log Analytics disagree on it.
fn azure(name: &str) -> Field {
    let lower = name.to_ascii_lowercase();
    match &*lower {
        "operationname" | "operationnamevalue" => Field::raw(
            &["operationName.value", "operationName", "operationNameValue"],
            Some(Normal::Operation),
        ),
        "resourceprovider" | "resourceprovidervalue" => {
            let paths = ["resourceProviderName.value", "resourceProviderName", "resourceProviderValue"];
            Field::raw(&paths, Some(Normal::Service))
        }
        // What an entry is called in the portal stands in several places.
        "properties.message" => {
            Field::raw(&["properties.message", "operationName.localizedValue", "operationName"], None)
        }
        _ => match AZURE.iter().find(|(known, _)| *known == lower) {
            Some((_, paths)) => Field::raw(paths, None),
            None => Field::raw(&[name], None),
        },
    }
}
