//! What trails leave out.

use super::coverage::{Taken, by_selectors};
use crate::doctor::kinds::{self, Kind, holds};
use crate::doctor::{Findings, Lost, Spot, command};
use keywatch_aws::survey::{Advanced, Basic, Condition, Owner, Selectors, Trail};
use keywatch_event::{Observed, Provider};

/// What a source wants of the trails.
pub(super) struct Wanted<'w> {
    /// The buckets it reads from; any when empty.
    pub(super) buckets: &'w [String],
    /// Whether it verifies digests.
    pub(super) verifies: bool,
    /// The region that was asked.
    pub(super) region: &'w str,
}

/// Judges the trails that may feed a source, together: what one leaves out another may record.
pub(super) fn judge(trails: &[Trail], wanted: &Wanted<'_>, findings: &mut Findings) {
    let is_meant = |trail: &&Trail| wanted.buckets.is_empty() || wanted.buckets.contains(&trail.bucket);
    let meant: Vec<&Trail> = trails.iter().filter(is_meant).collect();
    if meant.is_empty() {
        return findings.unknown(
            "what the trail records",
            "cloudtrail:DescribeTrails in the account the trail belongs to",
            nobodys(wanted),
        );
    }
    let mut logging = Vec::new();
    for trail in &meant {
        match &trail.status {
            Ok(status) if status.is_logging => logging.push(*trail),
            Ok(_) => {}
            Err(untold) => {
                findings.unknown(
                    format!("whether the trail {} is logging", trail.name),
                    &untold.needs,
                    &untold.said,
                );
                logging.push(*trail);
            }
        }
    }
    if logging.is_empty() {
        return findings.spot(not_logging(&meant));
    }
    recorded(&logging, findings);
    placed(&logging, findings);
    kept(&logging, wanted, findings);
}

fn nobodys(wanted: &Wanted<'_>) -> String {
    let into =
        if wanted.buckets.is_empty() { String::new() } else { format!(" to {}", wanted.buckets.join(", ")) };
    format!("no trail that {} knows of writes{into}", wanted.region)
}

fn at(trail: &Trail) -> String {
    // Of an organisation's trail a member account knows the ARN; a name would be one of its own.
    let name = if trail.owner == Owner::Organisation { &trail.arn } else { &trail.name };
    format!("--region {} --name {}", command::word(&trail.home_region), command::word(name))
}

/// A word for whoever must do it elsewhere.
fn whose(trail: &Trail) -> Vec<String> {
    if trail.owner == Owner::Organisation {
        vec!["# in the organisation's management account:".to_owned()]
    } else {
        Vec::new()
    }
}

fn not_logging(trails: &[&Trail]) -> Spot {
    let names: Vec<&str> = trails.iter().map(|trail| trail.name.as_str()).collect();
    let start = |trail: &&Trail| format!("aws cloudtrail start-logging {}", at(trail));
    Spot {
        id: "aws.trail-not-logging",
        what: "everything".to_owned(),
        why: format!("the trail {} is switched off", names.join(", ")),
        mend: trails.iter().flat_map(|trail| whose(trail)).chain(trails.iter().map(start)).collect(),
        lost: Lost::wholly(kinds::of(Provider::Aws)),
    }
}

/// What the selectors leave out.
fn recorded(trails: &[&Trail], findings: &mut Findings) {
    let mut known = Vec::new();
    for trail in trails {
        match &trail.selectors {
            Ok(selectors) => known.push((*trail, selectors)),
            Err(untold) => {
                findings.unknown(
                    format!("what the trail {} records", trail.name),
                    &untold.needs,
                    &untold.said,
                );
            }
        }
    }
    let Some((first, selectors)) = known.first() else { return };
    if known.len() < trails.len() {
        // The trail that would not say may record what the others leave out.
        return;
    }
    let taken = |kind: &Kind| known.iter().map(|(_, selectors)| by_selectors(selectors, kind)).max();
    let all = kinds::of(Provider::Aws);
    let none: Vec<&'static Kind> = all.iter().filter(|kind| taken(kind) == Some(Taken::Nothing)).collect();
    let some: Vec<&'static Kind> = all.iter().filter(|kind| taken(kind) == Some(Taken::Some)).collect();
    if none.is_empty() && some.is_empty() {
        return findings.sound("the trail records every management event");
    }
    let mend: Vec<String> = whose(first).into_iter().chain([select_all(first, selectors)]).collect();
    for cause in causes(none, all) {
        findings.spot(Spot { mend: mend.clone(), ..cause.spot(&first.name) });
    }
    if !some.is_empty() {
        findings.spot(Spot {
            id: "aws.some-events-left-out",
            what: "some of the management events".to_owned(),
            why: format!(
                "an advanced event selector of the trail {} asks who calls, or from where",
                first.name
            ),
            mend,
            lost: Lost::partly(some),
        });
    }
}

/// Why kinds of events are not recorded, and which.
struct Cause {
    id: &'static str,
    what: String,
    why: &'static str,
    lost: Vec<&'static Kind>,
}

impl Cause {
    fn spot(self, trail: &str) -> Spot {
        let why = format!("the event selectors of the trail {trail} {}", self.why);
        Spot { id: self.id, what: self.what, why, mend: Vec::new(), lost: Lost::wholly(self.lost) }
    }
}

/// Sorts what is lost by what leaves it out: all, all reads, all changes, whole services, the rest.
fn causes(mut lost: Vec<&'static Kind>, all: &'static [Kind]) -> Vec<Cause> {
    if lost.len() == all.len() {
        let what = "everything that is no data event".to_owned();
        return vec![Cause {
            id: "aws.management-events-left-out",
            what,
            why: "take no management events",
            lost,
        }];
    }
    let logs = [
        (
            "read",
            "aws.reads-left-out",
            "reads: of secrets, by decryption, of roles taken on",
            "take no reads",
        ),
        (
            "write",
            "aws.changes-left-out",
            "changes: deletions, policies, the trail itself",
            "take reads alone",
        ),
    ];
    let mut causes = Vec::new();
    let everything = lost.clone();
    for (log, id, what, why) in logs {
        let of_it = |kind: &&Kind| kind.log == log;
        if all.iter().filter(of_it).all(|kind| holds(&everything, kind)) {
            let (those, rest) = lost.into_iter().partition(|kind| kind.log == log);
            causes.push(Cause { id, what: what.to_owned(), why, lost: those });
            lost = rest;
        }
    }
    let is_gone = |service: &&str| {
        all.iter().filter(|kind| kind.service == Some(*service)).all(|kind| holds(&everything, kind))
            && lost.iter().any(|kind| kind.service == Some(*service))
    };
    let gone: Vec<&str> = kinds::AWS_SERVICES.iter().copied().filter(is_gone).collect();
    if !gone.is_empty() {
        let is_of_them = |kind: &Kind| kind.service.is_some_and(|one| gone.contains(&one));
        lost.retain(|kind| !is_of_them(kind));
        // Its reads too, which reads that are taken again would not bring back.
        let those = everything.iter().copied().filter(|kind| is_of_them(kind)).collect();
        let what = format!("everything at {}", gone.join(", "));
        causes.push(Cause { id: "aws.service-left-out", what, why: "exclude it", lost: those });
    }
    if !lost.is_empty() {
        let mut names: Vec<&str> = lost.iter().filter_map(|kind| kind.operation.or(kind.service)).collect();
        names.dedup();
        let what = if names.is_empty() { "events of other services".to_owned() } else { names.join(", ") };
        causes.push(Cause { id: "aws.events-left-out", what, why: "leave it out", lost });
    }
    causes
}

/// The command that records every management event and keeps what data events are recorded.
fn select_all(trail: &Trail, selectors: &Selectors) -> String {
    let (option, json) = if selectors.advanced.is_empty() {
        let data = selectors.basic.iter().flat_map(|one| one.data_resources.clone()).collect();
        let all = Basic {
            read_write_type: "All".to_owned(),
            include_management_events: true,
            data_resources: data,
            exclude_management_event_sources: Vec::new(),
        };
        ("--event-selectors", serde_json::to_string(&[all]))
    } else {
        let category = |of: &Advanced| {
            of.field_selectors.iter().any(|one| one.field == "eventCategory" && one.takes("Management"))
        };
        let management = Advanced {
            name: Some("Every management event".to_owned()),
            field_selectors: vec![Condition {
                field: "eventCategory".to_owned(),
                equals: vec!["Management".to_owned()],
                ..Condition::default()
            }],
        };
        let kept = selectors.advanced.iter().filter(|one| !category(one)).cloned();
        let all: Vec<Advanced> = std::iter::once(management).chain(kept).collect();
        ("--advanced-event-selectors", serde_json::to_string(&all))
    };
    let json = command::word(&json.unwrap_or_default());
    let name = at(trail).replace("--name ", "--trail-name ");
    format!("aws cloudtrail put-event-selectors {name} {option} {json}")
}

/// Whether every region is recorded, and what has none.
fn placed(trails: &[&Trail], findings: &mut Findings) {
    let Some(first) = trails.first() else { return };
    let update = |flag: &str| {
        let command = format!("aws cloudtrail update-trail {} {flag}", at(first));
        whose(first).into_iter().chain([command]).collect::<Vec<String>>()
    };
    if trails.iter().any(|trail| trail.is_multi_region) {
        findings.sound("the trail records every region");
    } else {
        findings.spot(Spot {
            id: "aws.one-region",
            what: format!("what happens outside {}", first.home_region),
            why: format!("the trail {} records one region", first.name),
            mend: update("--is-multi-region-trail"),
            lost: Lost::partly(kinds::of(Provider::Aws)),
        });
    }
    if !trails.iter().any(|trail| trail.has_global_services) {
        let of = |service| kinds::of(Provider::Aws).iter().filter(move |kind| kind.service == Some(service));
        findings.spot(Spot {
            id: "aws.no-global-services",
            what: "IAM, and sign-ins and roles that are taken on at the global endpoint".to_owned(),
            why: format!("the trail {} leaves out services without a region", first.name),
            mend: update("--include-global-service-events"),
            lost: Lost {
                wholly: of("iam.amazonaws.com").collect(),
                partly: of("sts.amazonaws.com").chain(of("signin.amazonaws.com")).collect(),
                ..Lost::default()
            },
        });
    }
}

/// Whether files arrive, and can be proven.
fn kept(trails: &[&Trail], wanted: &Wanted<'_>, findings: &mut Findings) {
    for trail in trails {
        let error = trail.status.as_ref().ok().and_then(|status| status.delivery_error.as_ref());
        let Some(error) = error else { continue };
        findings.spot(Spot {
            id: "aws.trail-not-delivered",
            what: "what was logged since the bucket refuses it".to_owned(),
            why: format!("the trail {} cannot write to {}: {error}", trail.name, trail.bucket),
            mend: vec![
                format!("aws s3api get-bucket-policy --bucket {}", command::word(&trail.bucket)),
                "# let cloudtrail.amazonaws.com put objects there (and use the trail's KMS key)".to_owned(),
            ],
            lost: Lost::partly(kinds::of(Provider::Aws)),
        });
    }
    let Some(first) = trails.first() else { return };
    if !trails.iter().any(|trail| trail.has_digests) {
        let command = format!("aws cloudtrail update-trail {} --enable-log-file-validation", at(first));
        findings.spot(Spot {
            id: "aws.no-digests",
            what: "log files that are changed, swapped or deleted before Keywatch reads them, or after"
                .to_owned(),
            why: format!("the trail {} writes no digests", first.name),
            mend: whose(first).into_iter().chain([command]).collect(),
            lost: Lost::observed(Observed::Integrity),
        });
    } else if wanted.verifies {
        findings.sound("the trail writes digests");
    } else {
        findings.spot(Spot {
            id: "aws.digests-ignored",
            what: "log files that are changed, swapped or deleted".to_owned(),
            why: "the source says `digests: ignore`".to_owned(),
            mend: vec!["# in the configuration: remove `digests: ignore`".to_owned()],
            lost: Lost::observed(Observed::Integrity),
        });
    }
}

#[cfg(test)]
mod tests;
