//! What a filter in Logging's query language leaves out, as far as that can be read without evaluating
//! it: the services and the logs it names. What negates is not read, and told as not known.

use crate::doctor::kinds::{self, GCP_SERVICES, Kind};
use crate::doctor::{Findings, Lost, Spot};
use keywatch_event::Provider;

/// Judges a filter. `whose` names it; `mend` says how it is widened.
pub(super) fn judge(filter: &str, whose: &str, mend: &[String], findings: &mut Findings) {
    let Some(lost) = left_out(filter) else {
        let said = format!("it cannot be read without evaluating it: {filter}");
        return findings.unknown(format!("what {whose} leaves out"), "a look at it", said);
    };
    if lost.is_empty() {
        return findings.sound(format!("{whose} takes every audit log that matters"));
    }
    let mut names: Vec<&str> = Vec::new();
    for kind in &lost {
        let all_of = kind.service.filter(|service| is_whole(&lost, service));
        let name = all_of.unwrap_or(if kind.log == "ADMIN_WRITE" { "Admin Activity" } else { "Data Access" });
        if !names.contains(&name) {
            names.push(name);
        }
    }
    findings.spot(Spot {
        id: "gcp.filter-leaves-out",
        what: format!("entries of {}", names.join(", ")),
        why: format!("{whose} does not take them"),
        mend: mend.to_vec(),
        lost: Lost::wholly(lost),
    });
}

fn is_whole(lost: &[&'static Kind], service: &str) -> bool {
    let mut of_it = kinds::of(Provider::Gcp).iter().filter(|kind| kind.service == Some(service));
    of_it.all(|kind| kinds::holds(lost, kind))
}

/// The kinds no entry of which passes; `None` when that is not plain to see.
fn left_out(filter: &str) -> Option<Vec<&'static Kind>> {
    let lower = filter.to_ascii_lowercase();
    let negates = ["not ", "not(", "!=", "!~", " -", "(-"].iter().any(|word| lower.contains(word))
        || lower.starts_with('-');
    if negates {
        return None;
    }
    let names_services = lower.contains("servicename");
    let named: Vec<&str> = GCP_SERVICES.iter().copied().filter(|service| lower.contains(service)).collect();
    if names_services && named.is_empty() {
        return None;
    }
    let (activity, data_access) = (lower.contains("activity"), lower.contains("data_access"));
    let takes_log = |kind: &Kind| match (activity, data_access) {
        (false, false) | (true, true) => true,
        (true, false) => kind.log == "ADMIN_WRITE",
        (false, true) => kind.log != "ADMIN_WRITE",
    };
    // What other services do is left out by every sensible filter.
    let takes_service = |kind: &Kind| kind.service.is_none_or(|one| !names_services || named.contains(&one));
    let all = kinds::of(Provider::Gcp).iter().filter(|kind| kind.service.is_some());
    Some(all.filter(|kind| !takes_log(kind) || !takes_service(kind)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::testing::ids;
    use keywatch_gcp::logging::FILTER;

    #[track_caller]
    fn check(filter: &str, want: &[&str], unknown: usize) {
        let mut findings = Findings::default();
        judge(filter, "the filter", &[], &mut findings);
        let whats: Vec<&str> = findings.spots.iter().map(|spot| spot.what.as_str()).collect();
        assert_eq!(
            (whats.as_slice(), findings.unknown.len()),
            (want, unknown),
            "{filter} {:?}",
            ids(&findings)
        );
    }

    #[test]
    fn a_filter_is_judged_by_the_services_and_logs_it_names() {
        check("", &[], 0);
        check(FILTER, &[], 0);
        check("logName:\"cloudaudit.googleapis.com\"", &[], 0);
        check(
            "logName:\"cloudaudit.googleapis.com%2Factivity\"",
            &["entries of Data Access, iamcredentials.googleapis.com, sts.googleapis.com"],
            0,
        );
        check(
            "protoPayload.serviceName=(\"secretmanager.googleapis.com\" OR \"iam.googleapis.com\" OR \"iamcredentials.googleapis.com\" OR \"sts.googleapis.com\" OR \"cloudresourcemanager.googleapis.com\" OR \"logging.googleapis.com\")",
            &["entries of cloudkms.googleapis.com"],
            0,
        );
    }

    #[test]
    fn what_cannot_be_read_is_not_known() {
        check("NOT protoPayload.methodName:Access", &[], 1);
        check("protoPayload.serviceName!=\"secretmanager.googleapis.com\"", &[], 1);
        check("protoPayload.serviceName=~\"secret.*\"", &[], 1);
    }
}
