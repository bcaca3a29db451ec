//! A company that lives in Vault: short tokens, wrapped secret ids, leases, agents that renew.

use super::{DAYS, check, workdays};
use crate::scenario::{Answer, DAY, HOUR, Log, MINUTE, Provider, Who};
use serde_json::json;

/// An application inside the cluster, with a token for five minutes at a time.
fn app(n: i64, login: i64) -> Who {
    let ip = format!("10.20.{}.{}", n, 1 + login % 250);
    Who::workload(&format!("shop-{n}")).session(&format!("login-{login}")).at(&ip)
}

/// Logs in, reads its two secrets and a database credential, renews, and lets go.
fn applications(log: &mut Log) {
    for n in 0..12 {
        for hour in (0..DAYS * 24).step_by(4) {
            let at = hour * HOUR + n * 4 * MINUTE + log.random.secs(MINUTE);
            let who = app(n, hour);
            log.vault_login(
                &who,
                at,
                if n % 2 == 0 { "auth/kubernetes/login" } else { "auth/approle/login" },
            );
            log.read(Provider::Vault, &who, at + 1, &format!("shop-{n}/db"));
            log.read(Provider::Vault, &who, at + 1, &format!("shop-{n}/api"));
            let lease = json!({"username": "hmac-sha256:01", "password": "hmac-sha256:02"});
            log.vault(&who, at + 2, ("read", &format!("database/creds/shop-{n}")), Answer::Data(lease));
            log.vault(&who, at + 3, ("read", "auth/token/lookup-self"), Answer::Data(json!({"ttl": 300})));
            log.vault(&who, at + 150, ("update", "auth/token/renew-self"), Answer::Done);
            log.vault(&who, at + 200, ("update", "sys/leases/renew"), Answer::Done);
        }
    }
}

/// A deployment hands each application a wrapped secret id, which the application opens.
fn wrapped(log: &mut Log) {
    let deployer = Who::workload("deployer").at("10.20.200.9");
    for day in workdays() {
        for n in 0..12 {
            let at = day * DAY + 10 * HOUR + n * 3 * MINUTE;
            log.vault_login(&deployer, at, "auth/approle/login");
            let path = format!("auth/approle/role/shop-{n}/secret-id");
            let wrap = json!({"wrap_info": {"ttl": 120, "token": format!("hmac-sha256:{at:064x}"), "accessor": format!("hmac-sha256:{:064x}", at + 1), "creation_path": path}, "mount_type": "approle"});
            log.vault(&deployer, at + 1, ("update", &path), Answer::Whole(wrap));
            log.vault(
                &app(n, day),
                at + 20,
                ("update", "sys/wrapping/unwrap"),
                Answer::Data(json!({"secret_id": "hmac-sha256:03"})),
            );
            log.vault_login(&app(n, day), at + 21, "auth/approle/login");
            log.read(Provider::Vault, &app(n, day), at + 22, &format!("shop-{n}/db"));
        }
    }
}

/// An agent whose token ran out is refused once, logs in and goes on.
fn expired(log: &mut Log) {
    for day in 0..DAYS {
        for n in 0..12 {
            let at = day * DAY + 3 * HOUR + n * 11 * MINUTE + log.random.secs(MINUTE);
            let who = app(n, day);
            let nobody = json!({"token_type": "default", "policy_results": {"allowed": false}});
            let path = format!("secret/data/shop-{n}/db");
            log.vault_entry(&who, at, ("read", &path, serde_json::Value::Null, nobody), Answer::Denied);
            log.vault_login(&who, at + 1, "auth/kubernetes/login");
            log.read(Provider::Vault, &who, at + 2, &format!("shop-{n}/db"));
        }
    }
}

/// People come through a gateway, look around and write what they need.
fn people(log: &mut Log) {
    for (n, name) in (0..).zip(["hanna", "ivar", "jonas"]) {
        let who = Who::person(name).at("10.9.0.4");
        for day in workdays() {
            let at = day * DAY + 8 * HOUR + log.random.secs(8 * HOUR);
            log.vault_login(&who, at, "auth/oidc/oidc/callback");
            log.list(Provider::Vault, &who, at + MINUTE);
            log.read(Provider::Vault, &who, at + 2 * MINUTE, &format!("shop-{}/db", (n + day / 7) % 12));
            let path = format!("secret/data/team-{n}/notes");
            log.vault_asking(
                &who,
                at + 4 * MINUTE,
                ("update", &path, json!({"data": {"k": "hmac-sha256:04"}})),
                Answer::Data(json!({"version": day})),
            );
        }
    }
}

#[test]
fn short_tokens_wrapping_and_leases_are_silent() {
    let play = |log: &mut Log| {
        applications(log);
        wrapped(log);
        expired(log);
        people(log);
    };
    check("vault company", play, &[]);
}
