//! From what AWS said about trails, rules and queues to what cannot be seen.

mod coverage;
mod rules;
mod trails;

use super::{Findings, Lost, Spot, command, kinds};
use keywatch_aws::lookup;
use keywatch_aws::survey::{AccountSurvey, QueueFacts, QueueSurvey, Trail};
use keywatch_event::{Observed, Provider};
use keywatch_ingest::survey::Answer;

/// Messages wait this long at least for a Keywatch that is away over a long weekend. It is SQS's own
/// default.
const RETENTION_SECS_MIN: u64 = 4 * 24 * 3600;

/// Judges a queue: what fills it, and the queue itself. `buckets` are those the source reads from;
/// any when empty. `verifies` says whether it looks at digests.
pub(super) fn of_queue(survey: &QueueSurvey, url: &str, buckets: &[String], verifies: bool) -> Findings {
    let mut findings = Findings::default();
    match &survey.trails {
        Some(Ok(trails)) => {
            trails::judge(
                trails,
                &trails::Wanted { buckets, verifies, region: &survey.region },
                &mut findings,
            );
        }
        Some(Err(untold)) => {
            findings.unknown("which trails there are and what they record", &untold.needs, &untold.said);
        }
        None => {}
    }
    match &survey.rules {
        Some(Ok(found)) => rules::judge(found, &survey.region, &mut findings),
        Some(Err(untold)) => {
            findings.unknown("which rules of EventBridge send to the queue", &untold.needs, &untold.said);
        }
        None => {}
    }
    queue(&survey.queue, url, &survey.region, &mut findings);
    findings
}

fn queue(queue: &Answer<QueueFacts>, url: &str, region: &str, findings: &mut Findings) {
    let queue = match queue {
        Ok(queue) => queue,
        Err(untold) => return findings.unknown("how the queue is set up", &untold.needs, &untold.said),
    };
    let set = |attributes: serde_json::Value| {
        let attributes = command::word(&attributes.to_string());
        let (region, url) = (command::word(region), command::word(url));
        format!("aws sqs set-queue-attributes --region {region} --queue-url {url} --attributes {attributes}")
    };
    if queue.has_dead_letter_queue {
        findings.sound("the queue has a dead-letter queue");
    } else {
        let (home, name) = queue.arn.rsplit_once(':').unwrap_or(("arn:aws:sqs:REGION:ACCOUNT", "keywatch"));
        let redrive = format!(r#"{{"deadLetterTargetArn":"{home}:{name}-dead","maxReceiveCount":5}}"#);
        findings.spot(Spot {
            id: "aws.no-dead-letter-queue",
            what: "messages that cannot be read vanish when the queue forgets them".to_owned(),
            why: format!("the queue {name} has no dead-letter queue"),
            mend: vec![
                format!(
                    "aws sqs create-queue --region {} --queue-name {}",
                    command::word(region),
                    command::word(&format!("{name}-dead"))
                ),
                set(serde_json::json!({ "RedrivePolicy": redrive })),
            ],
            lost: Lost::nothing(),
        });
    }
    if queue.retention_secs < RETENTION_SECS_MIN {
        findings.spot(Spot {
            id: "aws.queue-forgets-early",
            what: "what happens while Keywatch is away for longer than the queue waits".to_owned(),
            why: format!("the queue forgets messages after {} h", queue.retention_secs / 3600),
            mend: vec![set(serde_json::json!({ "MessageRetentionPeriod": "1209600" }))],
            lost: Lost::partly(kinds::of(Provider::Aws)),
        });
    } else {
        findings.sound(format!("the queue keeps messages for {} days", queue.retention_secs / 86400));
    }
}

/// Judges accounts that are asked for their events.
pub(super) fn of_lookup(surveys: &[AccountSurvey], settings: &lookup::Settings) -> Findings {
    let mut findings = Findings::default();
    looked_up(settings, &mut findings);
    for survey in surveys {
        let account = if survey.account == "own" {
            "the account".to_owned()
        } else {
            format!("account {}", survey.account)
        };
        match &survey.trails {
            Ok(trails) => trail_behind(trails, &account, &mut findings),
            Err(untold) => {
                findings.unknown(format!("whether {account} has a trail"), &untold.needs, &untold.said);
            }
        }
    }
    findings
}

/// What the source's own settings leave out.
fn looked_up(settings: &lookup::Settings, findings: &mut Findings) {
    let listed = &settings.event_sources;
    let is_left_out = |service: Option<&str>| match service {
        Some(service) => !listed.iter().any(|one| one == service),
        None => true,
    };
    let lost: Vec<_> = kinds::of(Provider::Aws).iter().filter(|kind| is_left_out(kind.service)).collect();
    if !listed.is_empty() && !lost.is_empty() {
        let names = kinds::AWS_SERVICES.iter().copied().filter(|service| is_left_out(Some(service)));
        let names: Vec<&str> = names.chain(["all other services"]).collect();
        findings.spot(Spot {
            id: "aws.lookup-leaves-out",
            what: format!("events of {}", names.join(", ")),
            why: "the source's `event_sources` does not list them".to_owned(),
            mend: vec!["# in the configuration: add them to `event_sources`, or remove that key".to_owned()],
            lost: Lost::wholly(lost),
        });
    }
    // Other partitions keep their global services elsewhere.
    let is_public = |region: &&String| {
        !["cn-", "us-gov-", "us-iso", "eusc-"].iter().any(|start| region.starts_with(start))
    };
    let is_there = settings.regions.iter().any(|region| region == "us-east-1");
    if !is_there && settings.regions.iter().any(|region| is_public(&region)) {
        let global = kinds::of(Provider::Aws).iter().filter(|kind| kind.service == Some("iam.amazonaws.com"));
        let also = kinds::of(Provider::Aws).iter();
        let also =
            also.filter(|kind| matches!(kind.service, Some("sts.amazonaws.com" | "signin.amazonaws.com")));
        findings.spot(Spot {
            id: "aws.lookup-without-global-services",
            what: "IAM, and sign-ins and roles that are taken on at the global endpoint".to_owned(),
            why: "services without a region are logged in us-east-1, which `regions` does not list"
                .to_owned(),
            mend: vec!["# in the configuration: add us-east-1 to the source's `regions`".to_owned()],
            lost: Lost { wholly: global.collect(), partly: also.collect(), ..Lost::default() },
        });
    }
}

/// Whether something keeps what LookupEvents forgets.
fn trail_behind(trails: &[Trail], account: &str, findings: &mut Findings) {
    let is_logging = |trail: &&Trail| trail.status.as_ref().is_ok_and(|status| status.is_logging);
    if let Some(trail) = trails.iter().find(is_logging) {
        return findings.sound(format!("{account} has the trail {} besides", trail.name));
    }
    if let Some(untold) = trails.iter().find_map(|trail| trail.status.as_ref().err()) {
        return findings.unknown(
            format!("whether a trail of {account} is logging"),
            &untold.needs,
            &untold.said,
        );
    }
    findings.spot(Spot {
        id: "aws.no-trail",
        what: format!("in {account}: anything older than 90 days, data events, and whether the log was changed"),
        why: "no trail is logging; LookupEvents keeps management events alone, for 90 days, unsigned".to_owned(),
        mend: vec![
            "aws cloudtrail create-trail --name keywatch --s3-bucket-name BUCKET --is-multi-region-trail --enable-log-file-validation".to_owned(),
            "aws cloudtrail start-logging --name keywatch".to_owned(),
        ],
        lost: Lost::observed(Observed::Integrity),
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::testing::{blind_rules, ids};
    use keywatch_ingest::survey::Untold;

    fn queue_facts(has_dead_letter_queue: bool, retention_secs: u64) -> QueueFacts {
        QueueFacts {
            arn: "arn:aws:sqs:eu-west-1:1:keywatch".to_owned(),
            has_dead_letter_queue,
            retention_secs,
        }
    }

    fn judged(queue: Answer<QueueFacts>) -> Findings {
        let survey = QueueSurvey { region: "eu-west-1".to_owned(), queue, trails: None, rules: None };
        of_queue(&survey, "https://sqs/1/keywatch", &[], true)
    }

    #[test]
    fn a_queue_that_loses_messages_is_told_with_what_mends_it() {
        assert!(ids(&judged(Ok(queue_facts(true, 1_209_600)))).is_empty());
        let findings = judged(Ok(queue_facts(false, 3600)));
        assert_eq!(ids(&findings), ["aws.no-dead-letter-queue", "aws.queue-forgets-early"]);
        assert_eq!(
            findings.spots[0].mend,
            [
                "aws sqs create-queue --region eu-west-1 --queue-name keywatch-dead",
                r#"aws sqs set-queue-attributes --region eu-west-1 --queue-url https://sqs/1/keywatch --attributes '{"RedrivePolicy":"{\"deadLetterTargetArn\":\"arn:aws:sqs:eu-west-1:1:keywatch-dead\",\"maxReceiveCount\":5}"}'"#,
            ]
        );
    }

    #[test]
    fn what_is_refused_is_not_known_and_never_sound() {
        let refused = Untold { needs: "sqs:GetQueueAttributes".to_owned(), said: "AccessDenied".to_owned() };
        let findings = judged(Err(refused));
        assert!(findings.spots.is_empty() && findings.sound.is_empty());
        assert_eq!(findings.unknown[0].needs, "sqs:GetQueueAttributes");
    }

    fn lookup(regions: &[&str], event_sources: &[&str]) -> Findings {
        let of = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect::<Vec<String>>();
        let settings =
            lookup::Settings { event_sources: of(event_sources), ..lookup::Settings::new(of(regions)) };
        of_lookup(&[AccountSurvey { account: "own".to_owned(), trails: Ok(Vec::new()) }], &settings)
    }

    #[test]
    fn an_account_that_is_only_looked_up_forgets() {
        let findings = lookup(&["us-east-1"], &[]);
        assert_eq!(ids(&findings), ["aws.no-trail"]);
        assert_eq!(blind_rules(Provider::Aws, &findings, "aws.no-trail"), ["KW-133d"]);
    }

    #[test]
    fn what_the_source_does_not_ask_for_is_told() {
        assert_eq!(ids(&lookup(&["cn-north-1"], &[])), ["aws.no-trail"]);
        let findings = lookup(&["eu-west-1"], &["secretsmanager.amazonaws.com"]);
        assert_eq!(
            ids(&findings),
            ["aws.lookup-leaves-out", "aws.lookup-without-global-services", "aws.no-trail"]
        );
        let blind = blind_rules(Provider::Aws, &findings, "aws.lookup-leaves-out");
        assert!(blind.contains(&"KW-101".to_owned()), "{blind:?}");
        assert!(!blind.contains(&"KW-102".to_owned()), "{blind:?}");
    }
}
