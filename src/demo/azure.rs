//! Azure Key Vault diagnostic logs (category `AuditEvent`), as they grow in an hourly blob.
//!
//! `resultType` says Success whatever happened; the outcome is in `httpStatusCode`. An SDK's
//! first request carries no token: it is answered with 401 and repeated with one.

use super::log::{Carrier, Log};
use chrono::{DateTime, Duration, Utc};
use serde_json::{Value, json};

const HOST: &str = "https://harbourpay-prod.vault.azure.net";
const RESOURCE: &str = "/SUBSCRIPTIONS/9C1B0C3A-5D7E-4E7A-8C55-2B6E1F0A4D11/RESOURCEGROUPS/RG-PROD/PROVIDERS/\
                        MICROSOFT.KEYVAULT/VAULTS/HARBOURPAY-PROD";
const TENANT: &str = "4b8e2f60-7a3d-4d0f-9a2c-6c1d5e0b7f23";

/// Who calls, from where, with what.
pub(super) struct Caller {
    /// Object id in the directory.
    pub(super) oid: &'static str,
    /// Application the token was issued to.
    pub(super) app_id: &'static str,
    /// Sign-in name; absent for a workload.
    pub(super) upn: Option<&'static str>,
    pub(super) ip: &'static str,
    pub(super) agent: &'static str,
}

/// What was asked of the vault.
#[derive(Clone, Copy)]
struct Call<'a> {
    operation: &'static str,
    /// Collection and name: `secrets/sql-admin`, or the collection alone for a list.
    object: &'a str,
    status: u16,
}

impl Caller {
    fn identity(&self) -> Value {
        let issuer = format!("https://sts.windows.net/{TENANT}/");
        let claim = match self.upn {
            Some(upn) => json!({
                "oid": self.oid, "appid": self.app_id, "appidacr": "0", "scp": "user_impersonation",
                "upn": upn, "unique_name": upn, "ipaddr": self.ip, "amr": "pwd,mfa", "iss": issuer,
                "xms_az_nwperimid": [],
            }),
            None => json!({
                "oid": self.oid, "appid": self.app_id, "appidacr": "2", "idtyp": "app", "iss": issuer,
                "xms_az_nwperimid": [],
            }),
        };
        json!({ "claim": claim })
    }
}

/// A read of a secret.
pub(super) fn read_secret(log: &mut Log, caller: &Caller, at: DateTime<Utc>, secret: &str) {
    push(log, caller, at, Call { operation: "SecretGet", object: &format!("secrets/{secret}"), status: 200 });
}

/// The first read of a client: the challenge, then the answer.
pub(super) fn read_secret_first(log: &mut Log, caller: &Caller, at: DateTime<Utc>, secret: &str) {
    push(log, caller, at, Call { operation: "SecretGet", object: &format!("secrets/{secret}"), status: 401 });
    read_secret(log, caller, at + Duration::milliseconds(420), secret);
}

/// A read of a secret that does not exist.
pub(super) fn read_secret_missing(log: &mut Log, caller: &Caller, at: DateTime<Utc>, secret: &str) {
    push(log, caller, at, Call { operation: "SecretGet", object: &format!("secrets/{secret}"), status: 404 });
}

/// A list of the vault's secrets.
pub(super) fn list_secrets(log: &mut Log, caller: &Caller, at: DateTime<Utc>) {
    push(log, caller, at, Call { operation: "SecretList", object: "secrets", status: 200 });
}

/// The deletion of a secret, which soft-delete keeps recoverable.
pub(super) fn delete_secret(log: &mut Log, caller: &Caller, at: DateTime<Utc>, secret: &str) {
    push(
        log,
        caller,
        at,
        Call { operation: "SecretDelete", object: &format!("secrets/{secret}"), status: 200 },
    );
}

/// The purge of a deleted secret, which is final.
pub(super) fn purge_secret(log: &mut Log, caller: &Caller, at: DateTime<Utc>, secret: &str) {
    let object = format!("deletedsecrets/{secret}");
    push(log, caller, at, Call { operation: "SecretPurge", object: &object, status: 204 });
}

fn push(log: &mut Log, caller: &Caller, at: DateTime<Utc>, call: Call<'_>) {
    let signature = match call.status {
        200 => "OK",
        204 => "No Content",
        401 => "Unauthorized",
        _ => "Not Found",
    };
    let mut properties = json!({
        "clientInfo": caller.agent,
        "requestUri": format!("{HOST}/{}?api-version=7.4", call.object),
        "httpStatusCode": call.status,
        "tlsVersion": "TLS1_3",
    });
    if call.object.contains('/')
        && let Some(fields) = properties.as_object_mut()
    {
        fields.insert("id".to_owned(), json!(format!("{HOST}/{}", call.object)));
    }
    let mut record = json!({
        "time": ticks(at),
        "category": "AuditEvent",
        "operationName": call.operation,
        "resultType": "Success",
        "resultSignature": signature,
        "durationMs": (15 + log.random.below(120)).to_string(),
        "correlationId": log.random.uuid(),
        "callerIpAddress": caller.ip,
        "operationVersion": "7.4",
        "resourceId": RESOURCE,
        "properties": properties,
    });
    if let Some(fields) = record.as_object_mut().filter(|_| call.status != 401) {
        fields.insert("identity".to_owned(), caller.identity());
    }
    if let Some(fields) = record.as_object_mut().filter(|_| call.status == 404) {
        let text = format!("A secret with (name/id) {} was not found in this key vault.", call.object);
        fields.insert("resultDescription".to_owned(), json!(text));
    }
    log.push(at, Carrier::Azure, record);
}

/// Azure gives ticks of 100 nanoseconds.
fn ticks(at: DateTime<Utc>) -> String {
    format!("{}.{:07}Z", at.format("%Y-%m-%dT%H:%M:%S"), at.timestamp_subsec_nanos() / 100)
}

/// Where the blob of the hour that begins at `from` stands.
pub(super) fn path(from: DateTime<Utc>) -> String {
    let hour = from.format("y=%Y/m=%m/d=%d/h=%H/m=00/PT1H.json");
    format!("azure/insights-logs-auditevent/resourceId={RESOURCE}/{hour}")
}
