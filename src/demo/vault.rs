//! Entries of a Vault file audit device: a request and its response per call.
//!
//! Strings in request and response data are hashed, paths, names, policies and numbers are not,
//! as the file audit device documentation says. A failed login is a response without `auth`.

use super::log::{Carrier, Log};
use super::random::{hashed, unique_id};
use chrono::{DateTime, Duration, Timelike, Utc};
use serde_json::{Map, Value, json};

/// The audit device's file.
pub(super) const PATH: &str = "vault/audit.log";

/// Seconds a token lives.
const TOKEN_TTL_SECS: u32 = 3600;

/// How an identity logs in.
#[derive(Clone, Copy)]
pub(super) enum Method {
    /// A machine, by role id and secret id.
    AppRole,
    /// A person, by name and password.
    Userpass,
}

/// Who calls and from where.
pub(super) struct Caller {
    /// Role or user name.
    pub(super) name: &'static str,
    pub(super) method: Method,
    /// Entity id in Vault's identity store.
    pub(super) entity: &'static str,
    pub(super) policies: &'static [&'static str],
    pub(super) ip: &'static str,
}

/// How a call ends.
enum Answer {
    /// With this response data.
    Data(Value),
    /// With nothing to say.
    Done,
    /// Refused by policy.
    Denied,
}

struct Mount {
    point: &'static str,
    kind: &'static str,
    class: &'static str,
}

const KV: Mount = Mount { point: "secret/", kind: "kv", class: "secret" };
const DATABASE: Mount = Mount { point: "database/", kind: "database", class: "secret" };

impl Caller {
    fn mount(&self) -> Mount {
        match self.method {
            Method::AppRole => Mount { point: "auth/approle/", kind: "approle", class: "auth" },
            Method::Userpass => Mount { point: "auth/userpass/", kind: "userpass", class: "auth" },
        }
    }

    fn login_path(&self) -> String {
        match self.method {
            Method::AppRole => "auth/approle/login".to_owned(),
            Method::Userpass => format!("auth/userpass/login/{}", self.name),
        }
    }

    fn login_data(&self) -> Value {
        match self.method {
            Method::AppRole => json!({
                "role_id": hashed(&format!("role id of {}", self.name)),
                "secret_id": hashed(&format!("secret id of {}", self.name)),
            }),
            Method::Userpass => json!({ "password": hashed(&format!("password of {}", self.name)) }),
        }
    }

    /// The token in use at `at`: one an hour.
    fn token(&self, at: DateTime<Utc>) -> String {
        hashed(&format!("token of {} {}", self.name, at.format("%Y-%m-%dT%H")))
    }

    fn accessor(&self, at: DateTime<Utc>) -> String {
        hashed(&format!("accessor of {} {}", self.name, at.format("%Y-%m-%dT%H")))
    }

    fn auth(&self, at: DateTime<Utc>, allowed: bool) -> Value {
        let (display_name, metadata) = match self.method {
            Method::AppRole => ("approle".to_owned(), json!({ "role_name": self.name })),
            Method::Userpass => (format!("userpass-{}", self.name), json!({ "username": self.name })),
        };
        let mut results = json!({ "allowed": allowed });
        if allowed && let Some(fields) = results.as_object_mut() {
            let policy = self.policies.last().copied().unwrap_or("default");
            let granting = json!([{ "name": policy, "namespace_id": "root", "type": "acl" }]);
            fields.insert("granting_policies".to_owned(), granting);
        }
        let issued = at - Duration::seconds(i64::from(at.minute() * 60 + at.second()));
        json!({
            "accessor": self.accessor(at),
            "client_token": self.token(at),
            "display_name": display_name,
            "entity_id": self.entity,
            "metadata": metadata,
            "policies": self.policies,
            "policy_results": results,
            "token_issue_time": issued.format("%Y-%m-%dT%H:%M:%SZ").to_string(),
            "token_policies": self.policies,
            "token_ttl": TOKEN_TTL_SECS,
            "token_type": "service",
        })
    }
}

/// A login that succeeds.
pub(super) fn login(log: &mut Log, caller: &Caller, at: DateTime<Utc>) {
    let mount = caller.mount();
    let request = request(log, caller, &mount, ("update", &caller.login_path()), caller.login_data());
    let nobody = json!({ "token_type": "default" });
    write(log, (at, 0), "request", vec![("auth", nobody), ("request", request.clone())]);
    let auth = caller.auth(at, true);
    let mut response = answered_by(&mount);
    response.insert("auth".to_owned(), auth.clone());
    let fields = vec![("auth", auth), ("request", request), ("response", Value::Object(response))];
    write(log, (at, 2_740), "response", fields);
}

/// A login that fails. `known` tells whether the user exists: only then does Vault give an error
/// in clear, otherwise it is hashed inside the response.
pub(super) fn login_failed(log: &mut Log, caller: &Caller, at: DateTime<Utc>, known: bool) {
    let mount = caller.mount();
    let request = request(log, caller, &mount, ("update", &caller.login_path()), caller.login_data());
    let nobody = json!({ "token_type": "default" });
    write(log, (at, 0), "request", vec![("auth", nobody.clone()), ("request", request.clone())]);
    let mut response = answered_by(&mount);
    response.insert("data".to_owned(), json!({ "error": hashed("invalid username or password") }));
    let mut fields = vec![("auth", nobody), ("request", request), ("response", Value::Object(response))];
    if known {
        fields.push(("error", json!("invalid credentials")));
    }
    write(log, (at, 61_300), "response", fields);
}

/// A read of a secret of the version 2 key-value store.
pub(super) fn read_secret(log: &mut Log, caller: &Caller, at: DateTime<Utc>, secret: &str) {
    let data = json!({
        "data": { "username": hashed(&format!("{secret} user")), "password": hashed(&format!("{secret} password")) },
        "metadata": {
            "created_time": hashed(&format!("{secret} created")),
            "custom_metadata": null,
            "deletion_time": hashed(""),
            "destroyed": false,
            "version": 3,
        },
    });
    call(
        log,
        (caller, at),
        &KV,
        ("read", &format!("secret/data/{secret}")),
        (Value::Null, Answer::Data(data)),
    );
}

/// A read that policy refuses.
pub(super) fn read_secret_denied(log: &mut Log, caller: &Caller, at: DateTime<Utc>, secret: &str) {
    call(log, (caller, at), &KV, ("read", &format!("secret/data/{secret}")), (Value::Null, Answer::Denied));
}

/// A read of a secret that does not exist: no error, no data.
pub(super) fn read_secret_missing(log: &mut Log, caller: &Caller, at: DateTime<Utc>, secret: &str) {
    call(log, (caller, at), &KV, ("read", &format!("secret/data/{secret}")), (Value::Null, Answer::Done));
}

/// Fresh database credentials for `role`.
pub(super) fn read_credentials(log: &mut Log, caller: &Caller, at: DateTime<Utc>, role: &str) {
    let unique = unique_id("", &format!("{role} {at}"), 20);
    let data = json!({ "username": hashed(&unique), "password": hashed(&format!("{unique} password")) });
    call(
        log,
        (caller, at),
        &DATABASE,
        ("read", &format!("database/creds/{role}")),
        (Value::Null, Answer::Data(data)),
    );
}

/// A list of the names under `folder`, which ends in a slash.
pub(super) fn list_secrets(log: &mut Log, caller: &Caller, at: DateTime<Utc>, folder: &str) {
    let data = json!({ "keys": [hashed("stripe"), hashed("database"), hashed("tls")] });
    call(
        log,
        (caller, at),
        &KV,
        ("list", &format!("secret/metadata/{folder}")),
        (Value::Null, Answer::Data(data)),
    );
}

/// The destruction of versions of a secret, for good.
pub(super) fn destroy_secret(
    log: &mut Log,
    caller: &Caller,
    at: DateTime<Utc>,
    (secret, versions): (&str, &[u32]),
) {
    let data = json!({ "versions": versions });
    call(log, (caller, at), &KV, ("update", &format!("secret/destroy/{secret}")), (data, Answer::Done));
}

/// The deletion of a secret with all its versions.
pub(super) fn delete_metadata(log: &mut Log, caller: &Caller, at: DateTime<Utc>, secret: &str) {
    call(
        log,
        (caller, at),
        &KV,
        ("delete", &format!("secret/metadata/{secret}")),
        (Value::Null, Answer::Done),
    );
}

fn call(
    log: &mut Log,
    (caller, at): (&Caller, DateTime<Utc>),
    mount: &Mount,
    operation: (&str, &str),
    (data, answer): (Value, Answer),
) {
    let mut request = request(log, caller, mount, operation, data);
    if let Some(fields) = request.as_object_mut() {
        fields.insert("client_id".to_owned(), json!(caller.entity));
        fields.insert("client_token".to_owned(), json!(caller.token(at)));
        fields.insert("client_token_accessor".to_owned(), json!(caller.accessor(at)));
    }
    let auth = caller.auth(at, !matches!(answer, Answer::Denied));
    let mut asked = vec![("auth", auth.clone()), ("request", request.clone())];
    let mut response = answered_by(mount);
    let mut error = None;
    match answer {
        Answer::Done => {}
        Answer::Data(data) => {
            if mount.kind == "database" {
                let lease = format!("{}/{}", operation.1, unique_id("", &at.to_string(), 24));
                response.insert("secret".to_owned(), json!({ "lease_id": lease }));
            }
            response.insert("data".to_owned(), data);
        }
        Answer::Denied => {
            let text = "1 error occurred:\n\t* permission denied\n\n";
            asked.push(("error", json!("permission denied")));
            response.insert("data".to_owned(), json!({ "error": hashed(text) }));
            error = Some(json!(text));
        }
    }
    write(log, (at, 0), "request", asked);
    let mut told = vec![("auth", auth), ("request", request), ("response", Value::Object(response))];
    told.extend(error.map(|text| ("error", text)));
    write(log, (at, 3_410), "response", told);
}

fn request(
    log: &mut Log,
    caller: &Caller,
    mount: &Mount,
    (operation, path): (&str, &str),
    data: Value,
) -> Value {
    let mut request = answered_by(mount);
    request.insert("id".to_owned(), json!(log.random.uuid()));
    request.insert("operation".to_owned(), json!(operation));
    request.insert("path".to_owned(), json!(path));
    request.insert("namespace".to_owned(), json!({ "id": "root" }));
    request.insert("remote_address".to_owned(), json!(caller.ip));
    request.insert("remote_port".to_owned(), json!(32_768 + log.random.below(28_000)));
    if !data.is_null() {
        request.insert("data".to_owned(), data);
    }
    Value::Object(request)
}

/// The fields that say which mount answers; they stand in requests and responses alike.
fn answered_by(mount: &Mount) -> Map<String, Value> {
    let accessor = unique_id("", mount.point, 8).to_lowercase();
    [
        ("mount_accessor", format!("{}_{accessor}", mount.kind)),
        ("mount_class", mount.class.to_owned()),
        ("mount_point", mount.point.to_owned()),
        ("mount_running_version", "v1.17.2+builtin.vault".to_owned()),
        ("mount_type", mount.kind.to_owned()),
    ]
    .into_iter()
    .map(|(key, text)| (key.to_owned(), Value::String(text)))
    .collect()
}

/// Writes one entry, `delay_us` microseconds after the call began.
fn write(log: &mut Log, (at, delay_us): (DateTime<Utc>, i64), kind: &str, fields: Vec<(&str, Value)>) {
    let mut record: Map<String, Value> =
        fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    record.insert("time".to_owned(), json!(time(at + Duration::microseconds(delay_us))));
    record.insert("type".to_owned(), json!(kind));
    log.push(at, Carrier::Vault, Value::Object(record));
}

/// Vault gives up to nine digits and drops trailing zeros, as Go does.
fn time(at: DateTime<Utc>) -> String {
    let whole = at.format("%Y-%m-%dT%H:%M:%S");
    let nanos = format!("{:09}", at.timestamp_subsec_nanos());
    match nanos.trim_end_matches('0') {
        "" => format!("{whole}Z"),
        fraction => format!("{whole}.{fraction}Z"),
    }
}
