//! Vault audit device entries: a request and its response per call.
//!
//! Strings in request and response data are hashed; paths, names, policies and numbers are not.

use super::random::spread;
use super::{Log, Who, set, time};
use serde_json::{Value, json};

/// How a call ends.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// With this response data.
    Data(Value),
    /// With this `response` object.
    Whole(Value),
    /// With nothing to say.
    Done,
    /// Refused by policy.
    Denied,
    /// With this error in clear.
    Error(&'static str),
    /// The process died, sealed itself or lost its device first: no response is written.
    Never,
    /// Never, and the request was refused with this text.
    RefusedOnRequest(&'static str),
}

impl Answer {
    /// The data of a version 2 secret.
    pub(crate) fn secret() -> Self {
        Self::Data(
            json!({"data": {"password": hashed("password")}, "metadata": {"version": 3, "destroyed": false}}),
        )
    }
}

/// What the audit device writes for a string it does not show.
pub(crate) fn hashed(text: &str) -> String {
    let quarter = spread(text) & 0xffff_ffff_ffff;
    format!("hmac-sha256:{quarter:016x}{quarter:016x}{quarter:016x}{quarter:016x}")
}

impl Who {
    fn entity(&self) -> String {
        format!(
            "{:08x}-b2d4-4c6f-8f10-{:012x}",
            spread(&self.name) & 0xffff_ffff,
            spread(&self.name) & 0xffff_ffff_ffff
        )
    }

    /// The `auth` block of the caller's token.
    pub(crate) fn auth(&self, allowed: bool) -> Value {
        let name = &self.name;
        if name == "root" {
            return json!({"accessor": hashed("root accessor"), "client_token": hashed("root"), "display_name": "root", "policies": ["root"], "token_policies": ["root"], "policy_results": {"allowed": true}, "token_type": "service"});
        }
        let (display, metadata) = if self.person {
            (format!("userpass-{name}"), json!({"username": name}))
        } else {
            ("approle".to_owned(), json!({"role_name": name}))
        };
        json!({
            "accessor": hashed(&format!("accessor {name} {}", self.session)),
            "client_token": hashed(&format!("token {name} {}", self.session)),
            "display_name": display,
            "entity_id": self.entity(),
            "metadata": metadata,
            "policies": ["default", name],
            "token_policies": ["default", name],
            "policy_results": {"allowed": allowed},
            "token_ttl": 3600,
            "token_type": "service",
        })
    }
}

/// Engine and mount of a path.
fn mount(path: &str) -> (&'static str, String) {
    let first = path.split('/').next().unwrap_or_default();
    let kind = match first {
        "secret" | "legacy" => "kv",
        "transit" => "transit",
        "database" => "database",
        "identity" => "identity",
        "sys" => "system",
        "auth" => {
            let method = path.split('/').nth(1).unwrap_or_default();
            let kind = match method {
                "approle" => "approle",
                "token" => "token",
                _ => "userpass",
            };
            return (kind, format!("auth/{method}/"));
        }
        _ => "cubbyhole",
    };
    (kind, format!("{first}/"))
}

impl Log {
    /// A call: operation and path.
    pub(crate) fn vault(&mut self, who: &Who, at: i64, (operation, path): (&str, &str), answer: Answer) {
        self.vault_asking(who, at, (operation, path, Value::Null), answer);
    }

    /// A call with request data.
    pub(crate) fn vault_asking(
        &mut self,
        who: &Who,
        at: i64,
        (operation, path, data): (&str, &str, Value),
        answer: Answer,
    ) {
        let allowed = !matches!(answer, Answer::Denied);
        let auth = who.auth(allowed);
        self.vault_entry(who, at, (operation, path, data, auth), answer);
    }

    /// A login that succeeds: `path` below `auth/`.
    pub(crate) fn vault_login(&mut self, who: &Who, at: i64, path: &str) {
        let nobody = json!({"token_type": "default"});
        let whole = json!({"auth": who.auth(true), "mount_type": "userpass"});
        self.vault_entry(who, at, ("update", path, Value::Null, nobody), Answer::Whole(whole));
        let token = who.auth(true);
        if let Some(last) = self.records.last_mut() {
            set(&mut last.json, "auth", token);
        }
    }

    /// A login that fails: a response without `auth`.
    pub(crate) fn vault_login_failed(&mut self, who: &Who, at: i64, path: &str) {
        let nobody = json!({"token_type": "default"});
        let whole =
            json!({"data": {"error": hashed("invalid username or password")}, "mount_type": "userpass"});
        self.vault_entry(who, at, ("update", path, Value::Null, nobody), Answer::Whole(whole));
    }

    /// A call that presents this `auth`.
    pub(crate) fn vault_entry(
        &mut self,
        who: &Who,
        at: i64,
        (operation, path, data, auth): (&str, &str, Value, Value),
        answer: Answer,
    ) {
        let (kind, point) = mount(path);
        let mut request = json!({
            "id": self.id(),
            "operation": operation,
            "path": path,
            "mount_type": kind,
            "mount_point": point,
            "namespace": {"id": "root"},
            "remote_address": who.ip,
            "remote_port": 40_001,
            "client_token": hashed(&format!("token {} {}", who.name, who.session)),
        });
        if !data.is_null() {
            set(&mut request, "data", data);
        }
        let mut entry = json!({"time": time(at, "%Y-%m-%dT%H:%M:%S.1Z"), "type": "request", "auth": auth, "request": request});
        if let Answer::Denied = answer {
            set(&mut entry, "error", json!("permission denied"));
        }
        if let Answer::RefusedOnRequest(text) = answer {
            set(&mut entry, "error", json!(text));
        }
        self.push(at, entry.clone());
        if respond(&mut entry, (at, kind), answer) {
            self.push(at, entry);
        }
    }
}

/// Turns a request entry into its response; false when there is none.
fn respond(entry: &mut Value, (at, kind): (i64, &str), answer: Answer) -> bool {
    set(entry, "type", json!("response"));
    set(entry, "time", json!(time(at, "%Y-%m-%dT%H:%M:%S.3Z")));
    let mut response = json!({"mount_type": kind});
    match answer {
        Answer::Never | Answer::RefusedOnRequest(_) => return false,
        Answer::Done => {}
        Answer::Data(data) => set(&mut response, "data", data),
        Answer::Whole(whole) => response = whole,
        Answer::Denied => {
            set(&mut response, "data.error", json!(hashed("denied")));
            set(entry, "error", json!("1 error occurred:\n\t* permission denied\n\n"));
        }
        Answer::Error(text) => {
            set(&mut response, "data.error", json!(hashed(text)));
            set(entry, "error", json!(text));
        }
    }
    set(entry, "response", response);
    true
}
