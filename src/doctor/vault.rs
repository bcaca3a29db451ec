//! From what Vault or OpenBao said about its audit devices and listeners to what cannot be seen.

use super::{Findings, Lost, Spot, command, kinds};
use keywatch_event::Provider;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// An audit device, as `sys/audit` lists it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub(super) struct Device {
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default)]
    options: BTreeMap<String, String>,
}

/// What of the devices a source reads.
#[derive(Clone, Copy, Debug)]
pub(super) enum Reads<'r> {
    /// What file devices write to one of these, or below it.
    Files(&'r [PathBuf]),
    /// What devices send over the network.
    Sent,
    /// That is not known.
    Any,
}

impl Reads<'_> {
    fn takes(self, device: &Device) -> bool {
        match self {
            Self::Files(paths) => {
                let file = device.options.get("file_path").or_else(|| device.options.get("path"));
                file.is_some_and(|file| paths.iter().any(|path| Path::new(file).starts_with(path)))
            }
            Self::Sent => matches!(device.kind.as_str(), "socket" | "http" | "syslog"),
            Self::Any => false,
        }
    }
}

/// The devices of an answer of `sys/audit`, by path.
///
/// # Errors
/// What is wrong with the answer.
pub(super) fn devices(answer: &Value) -> Result<BTreeMap<String, Device>, String> {
    let data = answer.get("data").unwrap_or(&Value::Null);
    Deserialize::deserialize(data)
        .map_err(|error| format!("the list of audit devices cannot be read: {error}"))
}

/// Whether every TCP listener of an answer of `sys/config/state/sanitized` takes a proxy's word for
/// who the client is; `None` when it names no listener.
pub(super) fn believes_proxies(answer: &Value) -> Option<bool> {
    let listeners = answer.pointer("/data/listeners")?.as_array()?;
    let mut tcp = listeners.iter().filter(|one| one.get("type").is_none_or(|kind| kind == "tcp")).peekable();
    tcp.peek()?;
    let is_set = |one: &Value| {
        let set = one.pointer("/config/x_forwarded_for_authorized_addrs");
        set.is_some_and(|set| {
            !set.is_null() && set != "" && set.as_array().is_none_or(|list| !list.is_empty())
        })
    };
    Some(tcp.all(is_set))
}

/// Judges the devices of one Vault, of which a source reads some.
pub(super) fn judge(devices: &BTreeMap<String, Device>, reads: Reads<'_>, findings: &mut Findings) {
    let all = kinds::of(Provider::Vault);
    let mut paths = devices.keys();
    match (paths.next(), paths.next()) {
        (None, _) => findings.spot(Spot {
            id: "vault.no-audit-device",
            what: "everything".to_owned(),
            why: "no audit device is enabled".to_owned(),
            mend: vec![enable("keywatch", "file", "/var/log/vault/audit.log"), OPENBAO.to_owned()],
            lost: Lost::wholly(all),
        }),
        (Some(only), None) => findings.spot(Spot {
            id: "vault.one-audit-device",
            what:
                "the moment the only device fails: every request is refused with it, and who disables it is \
                   seen in the request alone"
                    .to_owned(),
            why: format!("{} is the only audit device", only.trim_end_matches('/')),
            mend: vec![enable("second", "file", "/var/log/vault/second.log"), OPENBAO.to_owned()],
            lost: Lost::nothing(),
        }),
        (Some(_), Some(_)) => findings.sound(format!("{} audit devices are enabled", devices.len())),
    }
    for (path, device) in devices {
        in_clear(path, device, findings);
    }
    left_out(devices, reads, findings);
}

const OPENBAO: &str = "# OpenBao: as an `audit` stanza of its configuration file instead, unless unsafe_allow_api_audit_creation is set";

fn enable(path: &str, kind: &str, file: &str) -> String {
    format!("vault audit enable -path={path} {kind} file_path={file}")
}

/// Values that stand in the log as they are: whoever reads it has them.
fn in_clear(path: &str, device: &Device, findings: &mut Findings) {
    let is = |option: &str, wanted: &str| {
        device.options.get(option).is_some_and(|value| value.eq_ignore_ascii_case(wanted))
    };
    if is("log_raw", "true") {
        findings.spot(Spot {
            id: "vault.values-in-clear",
            what: "who reads secrets in the log itself: they stand there in clear".to_owned(),
            why: format!("the audit device {} has log_raw=true", path.trim_end_matches('/')),
            mend: anew(path, device, &["log_raw"]),
            lost: Lost::nothing(),
        });
    }
    if is("hmac_accessor", "false") {
        findings.spot(Spot {
            id: "vault.accessors-in-clear",
            what: "who takes accessors of tokens from the log, to look them up or to revoke them".to_owned(),
            why: format!("the audit device {} has hmac_accessor=false", path.trim_end_matches('/')),
            mend: anew(path, device, &["hmac_accessor"]),
            lost: Lost::nothing(),
        });
    }
}

/// What devices do not log. Of those the source reads, what one leaves out another may log. When none
/// is known to be the source's, it may be any of them.
fn left_out(devices: &BTreeMap<String, Device>, reads: Reads<'_>, findings: &mut Findings) {
    let own: Vec<(&String, &Device)> = devices.iter().filter(|(_, device)| reads.takes(device)).collect();
    let is_known = !own.is_empty();
    let meant = if is_known { own } else { devices.iter().collect() };
    let has = |device: &Device, option: &str| device.options.get(option).is_some_and(|text| !text.is_empty());
    for (option, id, what) in [
        ("filter", "vault.requests-filtered", "requests no device's filter takes"),
        ("exclude", "vault.fields-excluded", "fields that devices leave out of their entries"),
    ] {
        let with: Vec<_> = meant.iter().filter(|(_, device)| has(device, option)).collect();
        let Some((path, device)) = with.first() else { continue };
        let names: Vec<&str> = with.iter().map(|(path, _)| path.trim_end_matches('/')).collect();
        // A device without is enough; so is one that takes what no filter took.
        let is_whole = with.len() < meant.len()
            || (option == "filter" && meant.iter().any(|(_, device)| has(device, "fallback")));
        if is_whole && is_known {
            findings.sound(format!(
                "another of the source's devices logs what the {option} of {} leaves out",
                names.join(", ")
            ));
        } else if is_whole {
            findings.unknown(
                "whether the source reads a device that leaves nothing out",
                "a look at which device feeds it",
                format!("{} have the option {option}, others have not", names.join(", ")),
            );
        } else {
            findings.spot(Spot {
                id,
                what: what.to_owned(),
                why: format!(
                    "{} have the option {option}, and no device the source may read is without",
                    names.join(", ")
                ),
                mend: anew(path, device, &[option]),
                lost: Lost::partly(kinds::of(Provider::Vault)),
            });
        }
    }
}

/// Options of a device cannot be changed: it is enabled anew beside the old one, which then goes.
fn anew(path: &str, device: &Device, without: &[&str]) -> Vec<String> {
    let path = path.trim_end_matches('/');
    let kept = device.options.iter().filter(|(option, _)| !without.contains(&option.as_str()));
    let options: Vec<String> =
        kept.map(|(option, value)| command::word(&format!("{option}={value}"))).collect();
    let (new, kind) = (command::word(&format!("-path={path}-anew")), command::word(&device.kind));
    vec![
        format!("vault audit enable {new} {kind} {}", options.join(" ")).trim_end().to_owned(),
        format!("vault audit disable {}", command::word(path)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::testing::{blind_rules, ids};
    use serde_json::json;

    fn judged(listed: &Value) -> Findings {
        let mut findings = Findings::default();
        judge(&devices(&json!({ "data": listed })).expect("devices"), Reads::Any, &mut findings);
        findings
    }

    #[track_caller]
    fn check(listed: &Value, want: &[&str]) {
        assert_eq!(ids(&judged(listed)), want, "{listed}");
    }

    fn file(options: &Value) -> Value {
        json!({"type": "file", "description": "", "options": options, "local": false})
    }

    #[test]
    fn devices_are_judged_together() {
        let plain = file(&json!({"file_path": "/a.log"}));
        check(&json!({}), &["vault.no-audit-device"]);
        check(&json!({"a/": plain}), &["vault.one-audit-device"]);
        check(&json!({"a/": plain, "b/": plain}), &[]);
        check(&json!({"a/": plain, "b/": file(&json!({"log_raw": "true"}))}), &["vault.values-in-clear"]);
        check(
            &json!({"a/": plain, "b/": file(&json!({"hmac_accessor": "false"}))}),
            &["vault.accessors-in-clear"],
        );
        let filtered = file(&json!({"filter": "mount_type == \"kv\""}));
        check(&json!({"a/": plain, "b/": filtered}), &[]);
        check(&json!({"a/": filtered, "b/": filtered}), &["vault.requests-filtered"]);
        check(&json!({"a/": filtered, "b/": file(&json!({"filter": "x", "fallback": "true"}))}), &[]);
        let excluded = file(&json!({"exclude": "[]"}));
        check(&json!({"a/": excluded, "b/": excluded}), &["vault.fields-excluded"]);
    }

    #[test]
    fn what_counts_is_what_the_source_reads() {
        let filtered = json!({"type": "socket", "options": {"filter": "x"}});
        let listed = json!({"a/": file(&json!({"file_path": "/var/log/vault/a.log"})), "b/": filtered});
        let of = |reads: Reads<'_>| {
            let mut findings = Findings::default();
            judge(&devices(&json!({ "data": listed })).expect("devices"), reads, &mut findings);
            (ids(&findings), findings.unknown.len())
        };
        assert_eq!(of(Reads::Sent), (vec!["vault.requests-filtered"], 0));
        assert_eq!(of(Reads::Files(&[PathBuf::from("/var/log/vault")])), (vec![], 0));
        assert_eq!(of(Reads::Files(&[PathBuf::from("/elsewhere")])), (vec![], 1));
        assert_eq!(of(Reads::Any), (vec![], 1));
    }

    #[test]
    fn without_a_device_every_rule_about_events_is_blind() {
        let blind = blind_rules(Provider::Vault, &judged(&json!({})), "vault.no-audit-device");
        for rule in ["KW-002", "KW-004", "KW-101", "KW-105"] {
            assert!(blind.contains(&rule.to_owned()), "{rule}: {blind:?}");
        }
    }

    #[test]
    fn a_device_is_enabled_anew_with_all_its_other_options() {
        let options = json!({"file_path": "/var/log/a b.log", "log_raw": "true", "mode": "0600"});
        let findings = judged(&json!({"a/": file(&options), "b/": file(&json!({}))}));
        assert_eq!(
            findings.spots[0].mend,
            [
                "vault audit enable -path=a-anew file 'file_path=/var/log/a b.log' mode=0600",
                "vault audit disable a"
            ]
        );
    }

    #[test]
    fn a_listener_believes_proxies_when_it_names_some() {
        let of = |listeners: Value| believes_proxies(&json!({"data": {"listeners": listeners}}));
        let trusting = json!({"type": "tcp", "config": {"x_forwarded_for_authorized_addrs": "10.0.0.0/8"}});
        assert_eq!(of(json!([trusting])), Some(true));
        assert_eq!(of(json!([trusting, {"type": "tcp", "config": null}])), Some(false));
        assert_eq!(of(json!([{"type": "unix", "config": {}}])), None);
        assert_eq!(of(json!([])), None);
    }

    #[test]
    fn an_answer_that_is_no_list_of_devices_is_told() {
        assert!(devices(&json!({"data": {"a/": 7}})).is_err());
        assert!(devices(&json!([])).is_err());
    }
}
