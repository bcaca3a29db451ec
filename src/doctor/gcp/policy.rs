//! Which Data Access logs are off, and for whom.

use crate::doctor::kinds::{self, Kind};
use crate::doctor::{Findings, Lost, Spot, command};
use keywatch_event::Provider;
use keywatch_gcp::survey::{AuditConfig, Level, LogConfig, Survey};

/// The services whose reads matter, and what of each has to be logged. Short-lived credentials are
/// logged under IAM's configuration.
const WANTED: &[(&str, &[&str])] = &[
    ("secretmanager.googleapis.com", &["DATA_READ", "ADMIN_READ"]),
    ("cloudkms.googleapis.com", &["DATA_READ", "ADMIN_READ"]),
    ("iam.googleapis.com", &["DATA_READ", "ADMIN_READ"]),
    ("sts.googleapis.com", &["DATA_READ"]),
];

/// Judges the configurations that hold for one resource: those of all levels together.
pub(super) fn judge(survey: &Survey, findings: &mut Findings) {
    let known: Vec<&Level> = survey.levels.iter().filter_map(|level| level.as_ref().ok()).collect();
    let untold = survey.levels.iter().filter_map(|level| level.as_ref().err());
    let mut complete = true;
    for (log, id, what) in [
        ("DATA_READ", "gcp.data-reads-not-logged", "reads of data: secrets, keys, credentials"),
        (
            "ADMIN_READ",
            "gcp.admin-reads-not-logged",
            "reads about data: who lists secrets and looks at policies",
        ),
    ] {
        let off: Vec<&str> = WANTED
            .iter()
            .filter(|(service, logs)| logs.contains(&log) && !is_logged(&known, service, log))
            .map(|(service, _)| *service)
            .collect();
        if off.is_empty() {
            continue;
        }
        complete = false;
        // What is above may log it: then it is not known.
        if untold.clone().next().is_some() {
            for untold in untold.clone() {
                let what = format!("whether {log} of {} is logged in {}", off.join(", "), survey.resource);
                findings.unknown(what, &untold.needs, &untold.said);
            }
            continue;
        }
        findings.spot(Spot {
            id,
            what: format!("{what}, in {}", survey.resource),
            why: format!("no audit configuration logs {log} of {}", off.join(", ")),
            mend: mend(known.first().copied(), &survey.resource),
            lost: Lost::wholly(of_services(&off).filter(|kind| kind.log == log)),
        });
    }
    if complete {
        findings.sound(format!("Data Access logs of {} are on", survey.resource));
    }
    for level in known {
        exempted(level, findings);
    }
}

fn is_logged(levels: &[&Level], service: &str, log: &str) -> bool {
    let configs = levels.iter().flat_map(|level| &level.configs);
    let of_service = configs.filter(|config| config.service == service || config.service == "allServices");
    of_service.flat_map(|config| &config.audit_log_configs).any(|config| config.log_type == log)
}

/// The kinds of the services, credentials among IAM's.
fn of_services(services: &[&str]) -> impl Iterator<Item = &'static Kind> {
    let has = |name: &str| services.contains(&name);
    let (credentials, own) =
        (has("iam.googleapis.com"), services.iter().map(|&name| name.to_owned()).collect::<Vec<String>>());
    kinds::of(Provider::Gcp).iter().filter(move |kind| match kind.service {
        Some("iamcredentials.googleapis.com") => credentials,
        Some(service) => own.iter().any(|one| one == service),
        None => false,
    })
}

/// Whose reads one level leaves out.
fn exempted(level: &Level, findings: &mut Findings) {
    let mut members: Vec<&str> = Vec::new();
    let mut services: Vec<&str> = Vec::new();
    for config in level.configs.iter().filter(|config| is_wanted(&config.service)) {
        for member in config.audit_log_configs.iter().flat_map(|config| &config.exempted_members) {
            if !members.contains(&member.as_str()) {
                members.push(member);
            }
            if !services.contains(&config.service.as_str()) {
                services.push(&config.service);
            }
        }
    }
    if members.is_empty() {
        return;
    }
    let all = services.contains(&"allServices");
    let touched = kinds::of(Provider::Gcp).iter().filter(|kind| kind.log != "ADMIN_WRITE");
    let named: Vec<&str> =
        WANTED.iter().map(|(service, _)| *service).filter(|one| all || services.contains(one)).collect();
    let lost: Vec<&'static Kind> =
        of_services(&named).filter(|kind| touched.clone().any(|one| std::ptr::eq(one, *kind))).collect();
    findings.spot(Spot {
        id: "gcp.exempted-members",
        what: format!("reads by {}", members.join(", ")),
        why: format!("the audit configuration of {} at {} exempts them", services.join(", "), level.resource),
        mend: mend(Some(level), &level.resource),
        lost: Lost::partly(lost),
    });
}

fn is_wanted(service: &str) -> bool {
    service == "allServices" || WANTED.iter().any(|(wanted, _)| *wanted == service)
}

/// The command that logs all that is wanted at one level, exempts nobody, and keeps the rest.
fn mend(level: Option<&Level>, resource: &str) -> Vec<String> {
    let mut configs = level.map(|level| level.configs.clone()).unwrap_or_default();
    for config in configs.iter_mut().filter(|config| is_wanted(&config.service)) {
        config.audit_log_configs.iter_mut().for_each(|one| one.exempted_members.clear());
    }
    for (service, logs) in WANTED {
        if !configs.iter().any(|config| config.service == *service) {
            configs.push(AuditConfig { service: (*service).to_owned(), audit_log_configs: Vec::new() });
        }
        let config = configs.iter_mut().find(|config| config.service == *service);
        let Some(config) = config else { continue };
        for log in *logs {
            if !config.audit_log_configs.iter().any(|one| one.log_type == *log) {
                let exempted_members = Vec::new();
                config.audit_log_configs.push(LogConfig { log_type: (*log).to_owned(), exempted_members });
            }
        }
    }
    let json = serde_json::to_string(&configs).unwrap_or_default();
    let (kind, id) = resource.split_once('/').unwrap_or(("projects", resource));
    let group = match kind {
        "folders" => "resource-manager folders",
        "organizations" => "organizations",
        _ => "projects",
    };
    let id = command::word(id);
    let change = command::word(&format!(".auditConfigs = {json}"));
    vec![
        format!("gcloud {group} get-iam-policy {id} --format=json | jq {change} > policy.json"),
        format!("gcloud {group} set-iam-policy {id} policy.json"),
    ]
}
