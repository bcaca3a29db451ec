//! Secret Manager entries of Google Cloud audit logs, as a sink exports them to Cloud Storage.
//!
//! Shapes follow the `LogEntry` and `AuditLog` protobuf files in their JSON form, in which fields
//! at their default are absent: a call that succeeded has the status `{}`.

use super::log::{Carrier, Log};
use chrono::{DateTime, Duration, SecondsFormat, Utc};
use serde_json::{Value, json};

const PROJECT: &str = "harbourpay-prod";
const SERVICE: &str = "secretmanager.googleapis.com";
const PACKAGE: &str = "google.cloud.secretmanager.v1";

/// Who calls, from where, with what.
pub(super) struct Caller {
    pub(super) email: &'static str,
    pub(super) ip: &'static str,
    pub(super) agent: &'static str,
}

/// One call on one resource.
struct Call<'a> {
    method: &'static str,
    permission: &'static str,
    resource: &'a str,
    /// Whether it changes something: admin activity, which is always logged.
    change: bool,
    request: Value,
}

/// A read of the latest version of a secret.
pub(super) fn read_secret(log: &mut Log, caller: &Caller, at: DateTime<Utc>, secret: &str) {
    let resource = format!("projects/{PROJECT}/secrets/{secret}/versions/latest");
    let call = Call {
        method: "AccessSecretVersion",
        permission: "secretmanager.versions.access",
        resource: &resource,
        change: false,
        request: json!({ "name": resource }),
    };
    push(log, caller, at, call);
}

/// A list of the project's secrets.
pub(super) fn list_secrets(log: &mut Log, caller: &Caller, at: DateTime<Utc>) {
    let resource = format!("projects/{PROJECT}");
    let call = Call {
        method: "ListSecrets",
        permission: "secretmanager.secrets.list",
        resource: &resource,
        change: false,
        request: json!({ "parent": resource, "pageSize": 100 }),
    };
    push(log, caller, at, call);
}

/// A new version of a secret.
pub(super) fn add_version(log: &mut Log, caller: &Caller, at: DateTime<Utc>, secret: &str) {
    let resource = format!("projects/{PROJECT}/secrets/{secret}");
    let call = Call {
        method: "AddSecretVersion",
        permission: "secretmanager.versions.add",
        resource: &resource,
        change: true,
        request: json!({ "parent": resource }),
    };
    push(log, caller, at, call);
}

/// The destruction of one version of a secret, for good.
pub(super) fn destroy_version(
    log: &mut Log,
    caller: &Caller,
    at: DateTime<Utc>,
    (secret, version): (&str, u32),
) {
    let resource = format!("projects/{PROJECT}/secrets/{secret}/versions/{version}");
    let call = Call {
        method: "DestroySecretVersion",
        permission: "secretmanager.versions.destroy",
        resource: &resource,
        change: true,
        request: json!({ "name": resource }),
    };
    push(log, caller, at, call);
}

fn push(log: &mut Log, caller: &Caller, at: DateTime<Utc>, call: Call<'_>) {
    let method = format!("{PACKAGE}.SecretManagerService.{}", call.method);
    let (carrier, stream, severity) = if call.change {
        (Carrier::GcpActivity, "activity", "NOTICE")
    } else {
        (Carrier::GcpDataAccess, "data_access", "INFO")
    };
    let mut request = call.request;
    if let Some(fields) = request.as_object_mut() {
        let kind = format!("type.googleapis.com/{PACKAGE}.{}Request", call.method);
        fields.insert("@type".to_owned(), json!(kind));
    }
    let kind = if caller.email.ends_with("gserviceaccount.com") { "serviceAccount" } else { "user" };
    let record = json!({
        "protoPayload": {
            "@type": "type.googleapis.com/google.cloud.audit.AuditLog",
            "status": {},
            "authenticationInfo": {
                "principalEmail": caller.email,
                "principalSubject": format!("{kind}:{}", caller.email),
            },
            "requestMetadata": {
                "callerIp": caller.ip,
                "callerSuppliedUserAgent": caller.agent,
                "requestAttributes": { "time": nanos(at), "auth": {} },
                "destinationAttributes": {},
            },
            "serviceName": SERVICE,
            "methodName": method,
            "authorizationInfo": [{
                "resource": call.resource,
                "permission": call.permission,
                "granted": true,
                "resourceAttributes": { "service": SERVICE, "name": call.resource },
            }],
            "resourceName": call.resource,
            "request": request,
        },
        "insertId": log.random.base36(13),
        "resource": {
            "type": "audited_resource",
            "labels": { "service": SERVICE, "method": method, "project_id": PROJECT },
        },
        "timestamp": nanos(at),
        "severity": severity,
        "logName": format!("projects/{PROJECT}/logs/cloudaudit.googleapis.com%2F{stream}"),
        "receiveTimestamp": nanos(at + Duration::milliseconds(i64::from(400 + log.random.below(600)))),
    });
    log.push(at, carrier, record);
}

fn nanos(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Nanos, true)
}

/// Where a sink puts the hour that begins at `from`.
pub(super) fn path(stream: &str, from: DateTime<Utc>, part: usize) -> String {
    format!(
        "gcp/cloudaudit.googleapis.com/{stream}/{}_{}_S{part}.json",
        from.format("%Y/%m/%d/%H:00:00"),
        from.format("%H:59:59"),
    )
}
