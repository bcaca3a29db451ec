//! From what Google Cloud said about audit configurations and sinks to what cannot be seen.

mod filter;
mod policy;

use super::{Findings, Lost, Spot, command, kinds};
use keywatch_event::Provider;
use keywatch_gcp::logging::FILTER;
use keywatch_gcp::survey::{Sink, SubscriptionFacts, Surveys};
use keywatch_ingest::survey::Answer;

/// Messages wait this long at least for a Keywatch that is away over a long weekend.
const RETENTION_SECS_MIN: u64 = 4 * 24 * 3600;

/// Judges what is read from log buckets with a filter; `backfill_days` is how much history the source
/// asks for.
pub(super) fn of_logging(surveys: &Surveys, asked: &str, backfill_days: i64) -> Findings {
    let mut findings = Findings::default();
    of_policies(surveys, &mut findings);
    for survey in &surveys.resources {
        match &survey.sinks {
            Ok(sinks) => default_sink(&survey.resource, sinks, &mut findings),
            Err(untold) => {
                let what = format!("what the log bucket of {} is sent", survey.resource);
                findings.unknown(what, &untold.needs, &untold.said);
            }
        }
        match &survey.retention_days {
            Ok(days) => kept(&survey.resource, *days, backfill_days, &mut findings),
            Err(untold) => {
                let what = format!("how long the log bucket of {} keeps entries", survey.resource);
                findings.unknown(what, &untold.needs, &untold.said);
            }
        }
    }
    filter::judge(
        asked,
        "the source's `filter`",
        &["# in the configuration: widen `filter`, or remove it".to_owned()],
        &mut findings,
    );
    findings
}

/// Judges what is logged at all, wherever it goes.
pub(super) fn of_policies(surveys: &Surveys, findings: &mut Findings) {
    surveys.resources.iter().for_each(|survey| policy::judge(survey, findings));
}

/// Judges what a sink sends to a subscription.
pub(super) fn of_pubsub(surveys: &Surveys, name: &str) -> Findings {
    let mut findings = Findings::default();
    of_policies(surveys, &mut findings);
    match &surveys.subscription {
        Some(Ok(facts)) => {
            subscription(name, facts, &mut findings);
            fed(surveys, &facts.topic, &mut findings);
        }
        Some(Err(untold)) => {
            findings.unknown(
                "which topic the subscription is of, and how it is set up",
                &untold.needs,
                &untold.said,
            );
        }
        None => {}
    }
    findings
}

/// The sink that fills a log bucket with Data Access logs; Admin Activity goes to another, that nobody
/// can change.
fn default_sink(resource: &str, sinks: &[Sink], findings: &mut Findings) {
    let data_access = || kinds::of(Provider::Gcp).iter().filter(|kind| kind.log != "ADMIN_WRITE");
    let Some(sink) = sinks.iter().find(|sink| sink.name == "_Default") else { return };
    if sink.disabled {
        return findings.spot(Spot {
            id: "gcp.default-sink-disabled",
            what: format!("Data Access logs of {resource}: reads of secrets and uses of keys"),
            why: "its sink _Default is disabled, so that its log bucket gets none".to_owned(),
            mend: vec![update(resource, "_Default", "--no-disabled")],
            lost: Lost::wholly(data_access()),
        });
    }
    excluded(resource, sink, Lost::partly(data_access()), findings);
}

/// What the exclusions of a sink take away.
fn excluded(resource: &str, sink: &Sink, lost: Lost, findings: &mut Findings) {
    let in_force: Vec<_> = sink.exclusions.iter().filter(|exclusion| !exclusion.disabled).collect();
    if in_force.is_empty() {
        return findings.sound(format!("the sink {} of {resource} excludes nothing", sink.name));
    }
    let names: Vec<&str> = in_force.iter().map(|exclusion| exclusion.name.as_str()).collect();
    let filters: Vec<&str> = in_force.iter().map(|exclusion| exclusion.filter.as_str()).collect();
    findings.spot(Spot {
        id: "gcp.sink-excludes",
        what: format!("what the sink {} of {resource} excludes: {}", sink.name, filters.join("; ")),
        why: format!("it has the exclusion {}", names.join(", ")),
        mend: vec![update(
            resource,
            &sink.name,
            &command::word(&format!("--remove-exclusions={}", names.join(","))),
        )],
        lost,
    });
}

fn kept(resource: &str, days: u32, backfill_days: i64, findings: &mut Findings) {
    if i64::from(days) >= backfill_days {
        return findings.sound(format!("the log bucket of {resource} keeps {days} days"));
    }
    findings.spot(Spot {
        id: "gcp.bucket-forgets-early",
        what: format!(
            "what in {resource} is older than {days} days, though `backfill` asks for {backfill_days}"
        ),
        why: "its log bucket _Default forgets it".to_owned(),
        mend: vec![format!(
            "gcloud logging buckets update _Default --location=global {} --retention-days={backfill_days}",
            flag(resource)
        )],
        lost: Lost::partly(kinds::of(Provider::Gcp)),
    });
}

fn subscription(name: &str, facts: &SubscriptionFacts, findings: &mut Findings) {
    let mend =
        |option: &str| vec![format!("gcloud pubsub subscriptions update {} {option}", command::word(name))];
    if facts.retention_secs < RETENTION_SECS_MIN {
        findings.spot(Spot {
            id: "gcp.subscription-forgets-early",
            what: "what happens while Keywatch is away for longer than the subscription waits".to_owned(),
            why: format!("it forgets messages after {} h", facts.retention_secs / 3600),
            mend: mend("--message-retention-duration=7d"),
            lost: Lost::partly(kinds::of(Provider::Gcp)),
        });
    }
    if facts.expires {
        findings.spot(Spot {
            id: "gcp.subscription-expires",
            what: "everything, once nobody has pulled for the time of its expiration".to_owned(),
            why: "the subscription is deleted when it is not used".to_owned(),
            mend: mend("--expiration-period=never"),
            lost: Lost::nothing(),
        });
    }
}

/// The sinks that send to a topic: what one leaves out another may send.
fn fed(surveys: &Surveys, topic: &str, findings: &mut Findings) {
    let destination = format!("pubsub.googleapis.com/{topic}");
    let own = surveys.resources.iter().map(|survey| (survey.resource.as_str(), &survey.sinks));
    let above = surveys.above.iter().map(|(resource, sinks)| (resource.as_str(), sinks));
    let places: Vec<(&str, &Answer<Vec<Sink>>)> = own.chain(above).collect();
    let listed = places.iter().filter_map(|(resource, sinks)| Some((*resource, sinks.as_ref().ok()?)));
    let sinks: Vec<(&str, &Sink)> = listed
        .flat_map(|(resource, sinks)| sinks.iter().map(move |sink| (resource, sink)))
        .filter(|(_, sink)| sink.destination == destination)
        .collect();
    if sinks.is_empty() {
        for untold in places.iter().filter_map(|(_, sinks)| sinks.as_ref().err()) {
            findings.unknown(format!("which sink feeds {topic}"), &untold.needs, &untold.said);
        }
        let what = format!("which sink feeds {topic}");
        let asked: Vec<&str> = places.iter().map(|(resource, _)| *resource).collect();
        let said = format!("none of {}", asked.join(", "));
        return findings.unknown(
            what,
            "the sink's project, folder or organisation under `doctor.google`",
            said,
        );
    }
    let on: Vec<&(&str, &Sink)> = sinks.iter().filter(|(_, sink)| !sink.disabled).collect();
    let Some((resource, sink)) = on.first() else {
        let mend = sinks.iter().map(|(resource, sink)| update(resource, &sink.name, "--no-disabled"));
        return findings.spot(Spot {
            id: "gcp.sink-disabled",
            what: "everything".to_owned(),
            why: format!(
                "the sink {} is disabled",
                sinks.iter().map(|(_, sink)| sink.name.as_str()).collect::<Vec<_>>().join(", ")
            ),
            mend: mend.collect(),
            lost: Lost::wholly(kinds::of(Provider::Gcp)),
        });
    };
    if on.len() > 1 {
        let names: Vec<&str> = on.iter().map(|(_, sink)| sink.name.as_str()).collect();
        let what = format!("what the sinks {} leave out together", names.join(", "));
        return findings.unknown(
            what,
            "a look at their filters",
            format!("{} of them send to {topic}", on.len()),
        );
    }
    routed(resource, sink, findings);
}

fn routed(resource: &str, sink: &Sink, findings: &mut Findings) {
    excluded(resource, sink, Lost::partly(kinds::of(Provider::Gcp)), findings);
    if !sink.include_children && !resource.starts_with("projects/") {
        findings.spot(Spot {
            id: "gcp.sink-without-children",
            what: format!("every project below {resource}"),
            why: format!("the sink {} takes the entries of {resource} alone", sink.name),
            mend: vec![format!(
                "gcloud logging sinks create {} {} {} --include-children --log-filter={}",
                command::word(&format!("{}-children", sink.name)),
                command::word(&sink.destination),
                flag(resource),
                command::word(FILTER)
            )],
            lost: Lost::partly(kinds::of(Provider::Gcp)),
        });
    }
    let mend = [update(resource, &sink.name, &command::word(&format!("--log-filter={FILTER}")))];
    filter::judge(&sink.filter, &format!("the filter of the sink {}", sink.name), &mend, findings);
}

fn update(resource: &str, sink: &str, option: &str) -> String {
    format!("gcloud logging sinks update {} {} {option}", command::word(sink), flag(resource))
}

/// The option of `gcloud` that names a resource.
fn flag(resource: &str) -> String {
    let (kind, id) = resource.split_once('/').unwrap_or(("projects", resource));
    let option = match kind {
        "folders" => "--folder",
        "organizations" => "--organization",
        _ => "--project",
    };
    command::word(&format!("{option}={id}"))
}

#[cfg(test)]
mod tests;
