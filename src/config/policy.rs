//! From what is written under `routes`, `silences` and their like to who is told of what.

use super::section::{self, Root};
use chrono::{DateTime, Utc};
use keywatch_alerting::Receiver;
use keywatch_alerting::policy::{
    Cap, Escalation, Gatekeeper, Grouping, Heartbeat, Plan, Policy, Reminder, Route, Span, StandingSilence,
};
use keywatch_event::{Level, Matcher};
use keywatch_store::Subscriber;

/// What the sections about telling people mean.
pub(super) fn policy(root: &Root, receivers: &[Receiver]) -> Policy {
    let subscribers = receivers.iter().map(|one| Subscriber::new(&one.name, one.level_min));
    Policy {
        plan: Plan {
            receivers: subscribers.collect(),
            routes: root.routes.iter().map(route).collect(),
            otherwise: otherwise(root),
            grouping: root.grouping.as_ref().map(grouping),
        },
        gate: Gatekeeper {
            silences: root.silences.iter().filter_map(silence).collect(),
            cap: root.rate_cap.as_ref().map(|cap| Cap {
                per_hour: u32::try_from(cap.per_hour).unwrap_or(u32::MAX),
                below: cap.below,
            }),
        },
        reminders: reminders(&root.reminders),
        escalations: root.escalations.iter().map(escalation).collect(),
        refreshes: Vec::new(),
        heartbeat: root
            .heartbeat
            .as_ref()
            .map(|beat| Heartbeat { receiver: beat.receiver.value.clone(), every: beat.every }),
    }
}

fn otherwise(root: &Root) -> Option<Vec<String>> {
    let names = root.default_receivers.iter().map(|name| name.value.clone());
    (!root.default_receivers.is_empty()).then(|| names.collect())
}

fn matchers(written: &[section::Matching]) -> Vec<Matcher> {
    written.iter().map(|one| one.0.clone()).collect()
}

fn route(written: &section::Route) -> Route {
    Route {
        name: written.name.value.clone(),
        matchers: matchers(&written.matches),
        level_min: written.level,
        hours: written.hours.iter().map(|hours| hours.0).collect(),
        receivers: written.receivers.iter().map(|name| name.value.clone()).collect(),
        grouping: written.group.as_ref().map(grouping),
        goes_on: written.go_on,
    }
}

fn grouping(written: &section::Grouping) -> Grouping {
    let by = written.by.iter().map(|field| field.0).collect();
    Grouping { by, wait: written.wait, interval: written.interval }
}

/// `None` when it does not say when, which is told already.
fn silence(written: &section::Silence) -> Option<StandingSilence> {
    let time = |moment: Option<section::Moment>| -> Option<DateTime<Utc>> { Some(moment?.0.to_chrono()) };
    let span = match (time(written.from), time(written.to)) {
        (Some(from), Some(to)) => Span::Once { from, to },
        _ if !written.weekly.is_empty() => Span::Weekly(written.weekly.iter().map(|hours| hours.0).collect()),
        _ => return None,
    };
    Some(StandingSilence {
        name: written.name.value.clone(),
        matchers: matchers(&written.matches),
        span,
        author: written.author.clone(),
        reason: written.reason.clone(),
    })
}

fn reminders(written: &section::Reminders) -> Vec<Reminder> {
    let levels =
        [(Level::Critical, written.critical), (Level::High, written.high), (Level::Warning, written.warning)];
    levels.into_iter().filter_map(|(level, every)| Some(Reminder { level, every: every? })).collect()
}

fn escalation(written: &section::Escalation) -> Escalation {
    Escalation {
        level_min: written.level,
        after: written.after,
        receivers: written.receivers.iter().map(|name| name.value.clone()).collect(),
    }
}

#[cfg(test)]
mod tests {
    use crate::config::testing::{problems, read_root};

    const RECEIVERS: &str = "receivers:\n  - {name: chat, webhook: {url: \"https://c.example.com\", secret: {source: env, path: A}}}\n  - {name: pager, webhook: {url: \"https://p.example.com\", secret: {source: env, path: A}}}\n";

    #[test]
    fn everything_about_telling_people_reads() {
        let text = format!(
            "{RECEIVERS}routes:\n  - name: deletions\n    match: [rule=KW-004]\n    hours: [\"mon-fri 08:00-18:00 Europe/Berlin\"]\n    receivers: [pager]\n    group: {{by: [rule, account], wait: 10s, interval: 5m}}\n    continue: true\ndefault_receivers: [chat]\nsilences:\n  - {{name: backups, match: [rule=KW-002], weekly: [\"sun 02:00-04:00 UTC\"], author: ada, reason: nightly}}\n  - {{name: move, match: [account=1], from: 2026-12-01, to: 2026-12-02, author: ada, reason: move}}\nreminders: {{critical: 1h}}\nescalations:\n  - {{after: 15m, receivers: [pager]}}\nrate_cap: {{per_hour: 60}}\nheartbeat: {{receiver: chat, every: 5m}}\n"
        );
        let (root, found) = read_root(&text);
        assert_eq!(found, Vec::<String>::new());
        let root = root.unwrap();
        let policy = super::policy(&root, &[]);
        assert_eq!(policy.plan.routes[0].matchers[0].to_string(), "rule=KW-004");
        assert!(policy.plan.routes[0].goes_on);
        assert_eq!(policy.plan.otherwise.as_deref(), Some(["chat".to_owned()].as_slice()));
        assert_eq!(policy.gate.silences.len(), 2);
        assert_eq!((policy.reminders.len(), policy.escalations.len()), (1, 1));
        assert_eq!(policy.gate.cap.unwrap().per_hour, 60);
        assert_eq!(policy.heartbeat.unwrap().receiver, "chat");
    }

    #[test]
    fn a_receiver_nobody_knows_and_a_silence_without_a_time_are_mistakes() {
        let text = format!(
            "{RECEIVERS}routes:\n  - {{name: a, match: [rul=x], receivers: [pagr]}}\nsilences:\n  - {{name: b, match: [rule=x], author: a, reason: b}}\n  - {{name: d, from: 2026-12-01, to: 2026-12-02, author: a, reason: b}}\n  - {{name: c, weekly: [\"sun 2-4 UTC\"], author: a}}\nescalations:\n  - {{after: 15m, receivers: [nobody]}}\nheartbeat: {{receiver: nobody}}\n"
        );
        let found = problems(&text).join("\n");
        for part in [
            "`rul` is not one of rule",
            "no receiver is called `pagr`; did you mean `pager`?",
            "it does not say when",
            "no time of day",
            "`match` is missing",
            "`reason` is missing",
            "no receiver is called `nobody`",
        ] {
            assert!(found.contains(part), "{part}\n{found}");
        }
    }

    #[test]
    fn every_block_of_the_page_about_alerting_reads_without_a_mistake() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/alerting.md");
        let page = std::fs::read_to_string(path).expect("docs/alerting.md");
        let blocks: Vec<&str> = page
            .split("```yaml\n")
            .skip(1)
            .map(|rest| rest.split("```").next().unwrap_or_default())
            .collect();
        assert!(blocks.len() >= 5, "the page has lost its blocks");
        for block in blocks {
            assert_eq!(problems(block), Vec::<String>::new(), "{block}");
        }
    }
}
