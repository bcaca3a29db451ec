//! Azure Key Vault `AuditEvent` records and Activity log records.

use super::random::spread;
use super::{Failure, Log, TENANT, VAULT, Who, set, time};
use serde_json::{Value, json};

const HOST: &str = "https://harbour-prod.vault.azure.net";

impl Who {
    /// The object id in the directory.
    pub(crate) fn oid(&self) -> String {
        format!(
            "{:08x}-7a3d-4d0f-9a2c-{:012x}",
            spread(&self.name) & 0xffff_ffff,
            spread(&self.name) & 0xffff_ffff_ffff
        )
    }

    fn claim(&self) -> Value {
        let issuer = format!("https://sts.windows.net/{TENANT}/");
        if self.person {
            let upn = format!("{}@example.com", self.name);
            return json!({"oid": self.oid(), "appid": "1f2d3c4b-0000-4000-8000-00000000c11e", "appidacr": "0", "scp": "user_impersonation", "upn": upn, "ipaddr": self.ip, "iss": issuer});
        }
        json!({"oid": self.oid(), "appid": self.oid(), "appidacr": "2", "idtyp": "app", "iss": issuer})
    }
}

impl Log {
    /// A call to the vault: operation and HTTP status, and the collection with the object's name.
    pub(crate) fn key_vault(
        &mut self,
        who: &Who,
        at: i64,
        (operation, status): (&str, u16),
        object: &str,
    ) -> &mut Value {
        self.key_vault_of(who, at, (operation, status), (HOST, VAULT, object))
    }

    /// The same for another vault.
    pub(crate) fn key_vault_of(
        &mut self,
        who: &Who,
        at: i64,
        (operation, status): (&str, u16),
        (host, resource, object): (&str, &str, &str),
    ) -> &mut Value {
        let signature = match status {
            401 => "Unauthorized",
            403 => "Forbidden",
            404 => "Not Found",
            429 => "Too Many Requests",
            _ => "OK",
        };
        let mut record = json!({
            "time": time(at, "%Y-%m-%dT%H:%M:%S.1234567Z"),
            "category": "AuditEvent",
            "operationName": operation,
            "resultType": "Success",
            "resultSignature": signature,
            "durationMs": "41",
            "correlationId": self.id(),
            "callerIpAddress": who.ip,
            "operationVersion": "7.4",
            "resourceId": resource,
            "properties": {"clientInfo": who.agent, "requestUri": format!("{host}/{object}?api-version=7.4"), "httpStatusCode": status, "tlsVersion": "TLS1_3"},
        });
        if object.contains('/') {
            set(&mut record, "properties.id", json!(format!("{host}/{object}")));
        }
        if status != 401 {
            set(&mut record, "identity", json!({"claim": who.claim()}));
        }
        self.push(at, record)
    }

    /// A call to Azure Resource Manager that succeeded, as the Activity log exports it.
    pub(crate) fn activity(&mut self, who: &Who, at: i64, operation: &str, resource: &str) -> &mut Value {
        let caller = format!("{}@example.com", who.name);
        let record = json!({
            "time": time(at, "%Y-%m-%dT%H:%M:%S.7654321Z"),
            "resourceId": resource,
            "operationName": operation,
            "category": "Administrative",
            "resultType": "Success",
            "resultSignature": "Succeeded.",
            "durationMs": "0",
            "callerIpAddress": who.ip,
            "correlationId": self.id(),
            "identity": {
                "authorization": {"scope": resource, "action": operation, "evidence": {"role": "Owner"}},
                "claims": {"http://schemas.microsoft.com/identity/claims/objectidentifier": who.oid(), "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn": caller, "ipaddr": who.ip},
            },
            "level": "Information",
            "properties": {"eventCategory": "Administrative", "entity": resource, "message": operation},
        });
        self.push(at, record)
    }

    /// The 401 that an SDK provokes to learn where tokens are to be had.
    pub(crate) fn challenge(&mut self, who: &Who, at: i64, secret: &str) {
        self.key_vault(who, at, ("SecretGet", 401), &format!("secrets/{secret}"));
    }
}

pub(super) fn refuse(log: &mut Log, who: &Who, at: i64, (secret, failure): (&str, Failure)) {
    let (status, text) = match failure {
        Failure::Denied => (403, "Caller is not authorized to perform action on resource. ForbiddenByRbac"),
        Failure::Missing => (404, "A secret with this name was not found in this key vault."),
        Failure::Throttled => (429, "Too many requests"),
    };
    let record = log.key_vault(who, at, ("SecretGet", status), &format!("secrets/{secret}"));
    set(record, "resultDescription", json!(text));
}
