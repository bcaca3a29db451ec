//! Attacks on HashiCorp Vault and OpenBao.

use super::{Attack, CRITICAL, HIGH};
use crate::scenario::vault::hashed;
use crate::scenario::{Answer, HOUR, MINUTE, Provider, Who, outside};
use serde_json::{Value, json};

/// One call without a past: operation and path.
fn call(
    name: &'static str,
    (rules, level): (&'static [&'static str], u8),
    call: (&'static str, &'static str),
    answer: Answer,
) -> Attack {
    Attack::new(name, rules, level, move |log, at| {
        let who = Who::person(&format!("mallory-{}", name.replace([' ', ','], "-"))).at(&outside(name, 0));
        log.attack(name, |log| log.vault(&who, at, call, answer.clone()));
    })
}

pub(super) fn attacks() -> Vec<Attack> {
    let deleted = (&["KW-004"][..], CRITICAL);
    let export = (&["KW-129"][..], CRITICAL);
    let seal = (&["KW-123"][..], CRITICAL);
    let admin = (&["KW-124"][..], HIGH);
    let data = || Answer::Data(json!({"keys": {"1": hashed("key material")}, "name": hashed("k")}));
    let mut attacks = vec![
        call("vault versions destroyed", deleted, ("update", "secret/destroy/prod-db"), Answer::Done),
        call("vault versions deleted", deleted, ("update", "secret/delete/prod-db"), Answer::Done),
        call("vault metadata deleted", deleted, ("delete", "secret/metadata/prod-db"), Answer::Done),
        call("vault engine unmounted", deleted, ("delete", "sys/mounts/secret"), Answer::Done),
        call(
            "vault leases revoked",
            deleted,
            ("update", "sys/leases/revoke-prefix/database/creds"),
            Answer::Done,
        ),
        call(
            "vault transit key deleted",
            (&["KW-107"], CRITICAL),
            ("delete", "transit/keys/orders"),
            Answer::Done,
        ),
        call(
            "vault sole audit device disabled",
            (&["KW-101"], CRITICAL),
            ("delete", "sys/audit/file"),
            Answer::Never,
        ),
        call("vault snapshot taken", export, ("read", "sys/storage/raft/snapshot"), Answer::Done),
        call("vault transit key exported", export, ("read", "transit/export/encryption-key/orders"), data()),
        call("vault raw storage read", export, ("read", "sys/raw/logical/abc"), data()),
        call("vault root generation started", seal, ("update", "sys/generate-root/attempt"), Answer::Done),
        call("vault rekeyed", seal, ("update", "sys/rekey/init"), Answer::Done),
        call("vault stepped down", seal, ("update", "sys/step-down"), Answer::Never),
        call("vault login method added", admin, ("update", "sys/auth/github"), Answer::Done),
        call("vault policy changed", admin, ("update", "sys/policies/acl/everything"), Answer::Done),
    ];
    attacks.extend(stories());
    attacks.extend(logins());
    attacks
}

fn stories() -> Vec<Attack> {
    vec![
        Attack::new("vault root token reads", &["KW-105", "KW-126"], CRITICAL, |log, at| {
            log.attack("vault root token reads", |log| {
                log.read(Provider::Vault, &Who::person("root").at("203.0.113.60"), at, "prod-db");
            });
        }),
        Attack::new("vault root token minted", &["KW-105", "KW-125"], CRITICAL, |log, at| {
            let who = Who::person("vadmin");
            log.history(Provider::Vault, &who, at - HOUR, &["vadmin-a"]);
            log.attack("vault root token minted", |log| {
                let token = json!({"accessor": hashed("new accessor"), "client_token": hashed("new"), "display_name": "token", "policies": ["root"], "token_policies": ["root"], "token_ttl": 0, "token_type": "service", "num_uses": 0, "orphan": true});
                let asked = json!({"policies": [hashed("root")]});
                log.vault_asking(&who, at, ("update", "auth/token/create", asked), Answer::Whole(json!({"auth": token, "mount_type": "token"})));
            });
        }),
        Attack::new("vault wrapping token opened by somebody else", &["KW-122"], HIGH, |log, at| {
            let who = Who::workload("deployer-v").at("203.0.113.61");
            log.attack("vault wrapping token opened by somebody else", |log| {
                let error = "1 error occurred:\n\t* wrapping token is not valid or does not exist\n\n";
                log.vault(&who, at, ("update", "sys/wrapping/unwrap"), Answer::RefusedOnRequest(error));
            });
        }),
        Attack::new("vault token minted, then used", &["KW-136"], HIGH, |log, at| {
            let who = Who::person("vminter");
            log.history(Provider::Vault, &who, at - HOUR, &["vminter-a"]);
            log.attack("vault token minted, then used", |log| {
                let accessor = hashed("minted accessor");
                let token = json!({"accessor": accessor, "client_token": hashed("minted"), "display_name": "token-ci", "policies": ["default", "prod"], "token_policies": ["default", "prod"], "token_ttl": 3600, "token_type": "service"});
                log.vault_asking(&who, at, ("update", "auth/token/create", json!({"display_name": hashed("ci")})), Answer::Whole(json!({"auth": token.clone(), "mount_type": "token"})));
                let thief = who.at("203.0.113.62");
                log.vault_entry(&thief, at + 8 * MINUTE, ("read", "secret/data/prod-db", Value::Null, token), Answer::secret());
            });
        }),
        Attack::new("vault wrapped reads", &["KW-102"], CRITICAL, |log, at| {
            let who = Who::workload("wrapper");
            log.history(Provider::Vault, &who, at - HOUR, &["wrapper-a"]);
            log.attack("vault wrapped reads", |log| {
                for n in 0..20 {
                    let wrap = json!({"wrap_info": {"ttl": 300, "token": hashed("w"), "accessor": hashed("wa"), "creation_path": format!("secret/data/wrapped-{n}")}, "mount_type": "kv"});
                    log.vault(&who, at + 5 * n, ("read", &format!("secret/data/wrapped-{n}")), Answer::Whole(wrap));
                }
            });
        }),
    ]
}

fn logins() -> Vec<Attack> {
    vec![
        Attack::new("vault brute force, login, read", &["KW-111"], CRITICAL, |log, at| {
            let who = Who::person("heidi").at("203.0.113.63");
            log.attack("vault brute force, login, read", |log| {
                for n in 0..12 {
                    log.vault_login_failed(&who, at + 20 * n, "auth/userpass/login/heidi");
                }
                log.vault_login(&who, at + 300, "auth/userpass/login/heidi");
                log.read(Provider::Vault, &who, at + 400, "prod-db");
            });
        }),
        Attack::new("vault names sprayed from one address", &["KW-111"], CRITICAL, |log, at| {
            log.attack("vault names sprayed from one address", |log| {
                for n in 0..11 {
                    let who = Who::person(&format!("guess{n}")).at("203.0.113.64");
                    log.vault_login_failed(&who, at + 40 * n, &format!("auth/userpass/login/guess{n}"));
                }
            });
        }),
    ]
}
