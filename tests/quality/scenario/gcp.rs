//! Google Cloud audit log entries: `LogEntry` with `AuditLog`, fields at their default absent.

use super::{Failure, Log, PROJECT, Who, set, time};
use serde_json::{Value, json};

impl Who {
    pub(crate) fn email(&self) -> String {
        match self.name.as_str() {
            name if name.contains('@') => name.to_owned(),
            name if self.person => format!("{name}@example.com"),
            name => format!("{name}@{PROJECT}.iam.gserviceaccount.com"),
        }
    }
}

/// The latest version of a secret, as a caller names it.
pub(crate) fn version(secret: &str) -> String {
    format!("projects/{PROJECT}/secrets/{secret}/versions/latest")
}

impl Log {
    /// A call to Secret Manager.
    pub(crate) fn gsm(&mut self, who: &Who, at: i64, method: &str, resource: &str) -> &mut Value {
        let method = format!("google.cloud.secretmanager.v1.SecretManagerService.{method}");
        self.gcp(who, at, &format!("secretmanager.googleapis.com {method}"), resource)
    }

    /// A call: `service method`.
    pub(crate) fn gcp(&mut self, who: &Who, at: i64, call: &str, resource: &str) -> &mut Value {
        let (service, method) = call.split_once(' ').expect("a service and a method");
        let verb = method.rsplit('.').next().unwrap_or_default();
        let reads = ["Access", "Get", "List", "Decrypt"].iter().any(|start| verb.starts_with(start));
        let stream = if reads { "data_access" } else { "activity" };
        let kind = if who.person { "user" } else { "serviceAccount" };
        let mut person =
            json!({"principalEmail": who.email(), "principalSubject": format!("{kind}:{}", who.email())});
        if let Some(key) = &who.key {
            set(&mut person, "serviceAccountKeyName", json!(key));
        }
        let record = json!({
            "protoPayload": {
                "@type": "type.googleapis.com/google.cloud.audit.AuditLog",
                "status": {},
                "authenticationInfo": person,
                "requestMetadata": {"callerIp": who.ip, "callerSuppliedUserAgent": who.agent, "requestAttributes": {"auth": {}}, "destinationAttributes": {}},
                "serviceName": service,
                "methodName": method,
                "authorizationInfo": [{"resource": resource, "permission": format!("{verb}.permission"), "granted": true, "resourceAttributes": {}}],
                "resourceName": resource,
                "request": {"name": resource},
            },
            "insertId": self.id(),
            "resource": {"type": "audited_resource", "labels": {"service": service, "method": method, "project_id": PROJECT}},
            "timestamp": time(at, "%Y-%m-%dT%H:%M:%S.5Z"),
            "receiveTimestamp": time(at + 1, "%Y-%m-%dT%H:%M:%S.25Z"),
            "severity": if reads { "INFO" } else { "NOTICE" },
            "logName": format!("projects/{PROJECT}/logs/cloudaudit.googleapis.com%2F{stream}"),
        });
        self.push(at, record)
    }
}

/// Makes a call one that failed.
pub(crate) fn refuse(record: &mut Value, failure: Failure) {
    let (code, message) = match failure {
        Failure::Denied => (7, "Permission denied on resource (or it may not exist)."),
        Failure::Missing => (5, "Secret not found or has no versions."),
        Failure::Throttled => (8, "Quota exceeded for quota metric."),
    };
    set(record, "protoPayload.status", json!({"code": code, "message": message}));
    if failure == Failure::Denied
        && let Some(first) =
            record.pointer_mut("/protoPayload/authorizationInfo/0").and_then(Value::as_object_mut)
    {
        first.remove("granted");
    }
}
