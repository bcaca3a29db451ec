//! Receivers as the configuration describes them, and everything that can be wrong with them.

pub(crate) mod webhook;

use crate::egress::{EgressPolicy, Refusal};
use crate::sign::SigningSecret;
use keywatch_event::Level;
use std::fmt;
use std::ops::RangeInclusive;
use url::Url;

/// How many requests may be under way to one receiver at a time.
pub const CONCURRENCY: RangeInclusive<usize> = 1..=64;
/// How many secrets one receiver may have; more than two only while rotations overlap.
pub const SECRETS: RangeInclusive<usize> = 1..=5;
/// Longest name of a receiver.
const NAME_CHARS_MAX: usize = 64;

/// One endpoint that is told about alerts by webhook.
#[derive(Clone)]
pub struct WebhookReceiver {
    /// Unique name, under which its deliveries are stored.
    pub name: String,
    /// Where to POST.
    pub url: String,
    /// The secrets messages are signed with: one, or several during a rotation.
    pub secrets: Vec<SigningSecret>,
    /// The least urgent alerts it wants. The program heeds it when it decides who is told.
    pub level_min: Level,
    /// How many requests may be under way at a time, within [`CONCURRENCY`].
    pub concurrency: usize,
}

impl fmt::Debug for WebhookReceiver {
    /// Without secrets, and without the path of the address, which often is one.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = Url::parse(&self.url).ok().and_then(|url| url.host_str().map(str::to_owned));
        out.debug_struct("WebhookReceiver")
            .field("name", &self.name)
            .field("host", &host)
            .field("secrets", &self.secrets.len())
            .field("level_min", &self.level_min)
            .field("concurrency", &self.concurrency)
            .finish()
    }
}

/// One thing wrong with one receiver.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("webhook receiver `{receiver}`: {fault}")]
pub struct Problem {
    /// Which receiver.
    pub receiver: String,
    /// What is wrong.
    pub fault: Fault,
}

/// What can be wrong with a receiver, with the remedy.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum Fault {
    /// Empty, too long, or of other characters.
    #[error("a name has 1 to 64 letters, digits, `-`, `_` or `.`; rename it")]
    Name,
    /// Another receiver has the name.
    #[error("the name is used twice; deliveries are stored under it, so give each receiver its own")]
    NameTwice,
    /// No URL.
    #[error("the url cannot be read ({0}); write it as https://host/path")]
    Url(url::ParseError),
    /// A URL that may not be sent to.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// None, or too many.
    #[error("it has {0} signing secrets; give it 1, or up to 5 during a rotation")]
    Secrets(usize),
    /// Zero, or too high.
    #[error("a concurrency of {0} is not possible; choose 1 to 64")]
    Concurrency(usize),
    /// The HTTP client cannot be set up.
    #[error(
        "no HTTPS client could be set up ({0}); check that CA certificates are installed (package ca-certificates)"
    )]
    Client(String),
}

/// Everything that is wrong with `receivers`, without resolving any name. Empty when they can be
/// used.
#[must_use]
pub fn validate(receivers: &[WebhookReceiver], policy: &EgressPolicy) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (at, receiver) in receivers.iter().enumerate() {
        let repeated = receivers.iter().take(at).any(|earlier| earlier.name == receiver.name);
        let twice = repeated.then_some(Fault::NameTwice);
        let faults = twice.into_iter().chain(faults_of(receiver, policy));
        problems.extend(faults.map(|fault| Problem { receiver: receiver.name.clone(), fault }));
    }
    problems
}

fn faults_of(receiver: &WebhookReceiver, policy: &EgressPolicy) -> Vec<Fault> {
    let mut faults = Vec::new();
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let length = receiver.name.chars().count();
    if !(1..=NAME_CHARS_MAX).contains(&length) || !receiver.name.chars().all(plain) {
        faults.push(Fault::Name);
    }
    match Url::parse(&receiver.url) {
        Ok(url) => faults.extend(policy.check_url(&url).into_iter().map(Fault::Refused)),
        Err(error) => faults.push(Fault::Url(error)),
    }
    if !SECRETS.contains(&receiver.secrets.len()) {
        faults.push(Fault::Secrets(receiver.secrets.len()));
    }
    if !CONCURRENCY.contains(&receiver.concurrency) {
        faults.push(Fault::Concurrency(receiver.concurrency));
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receiver(name: &str, url: &str) -> WebhookReceiver {
        WebhookReceiver {
            name: name.to_owned(),
            url: url.to_owned(),
            secrets: vec![SigningSecret::generate().unwrap()],
            level_min: Level::Warning,
            concurrency: 4,
        }
    }

    #[test]
    fn receivers_that_can_be_used_have_no_problems() {
        let good =
            [receiver("siem", "https://siem.example/hook"), receiver("on-call", "https://1.1.1.1/x?y")];
        assert_eq!(validate(&good, &EgressPolicy::default()), []);
    }

    #[test]
    fn every_problem_of_every_receiver_is_reported_at_once() {
        let worst =
            WebhookReceiver { secrets: vec![], concurrency: 0, ..receiver("a b", "http://u@10.0.0.1") };
        let receivers = [receiver("siem", "https://siem.example"), receiver("siem", "nowhere"), worst];
        let texts: Vec<_> =
            validate(&receivers, &EgressPolicy::default()).iter().map(ToString::to_string).collect();
        let want = [
            ("`siem`", "used twice"),
            ("`siem`", "cannot be read"),
            ("`a b`", "1 to 64 letters"),
            ("`a b`", "before the `@`"),
            ("`a b`", "without encryption"),
            ("`a b`", "a private address"),
            ("`a b`", "0 signing secrets"),
            ("`a b`", "concurrency of 0"),
        ];
        assert_eq!(texts.len(), want.len(), "{texts:#?}");
        for (text, (name, part)) in texts.iter().zip(want) {
            assert!(text.contains(name) && text.contains(part), "{text}");
        }
    }

    #[test]
    fn neither_secrets_nor_the_path_of_an_address_are_in_debug_output_or_problems() {
        let mut leaky = receiver("siem", "http://user:hunter2@siem.example/services/T0KEN");
        leaky.secrets = vec![SigningSecret::generate().unwrap(); 9];
        let secret = leaky.secrets[0].reveal();
        let problems = validate(std::slice::from_ref(&leaky), &EgressPolicy::default());
        let shown = format!(
            "{leaky:?} {problems:?} {}",
            problems.iter().map(ToString::to_string).collect::<String>()
        );
        assert!(problems.len() >= 3, "{problems:?}");
        for hidden in ["hunter2", "T0KEN", secret.trim_start_matches("whsec_")] {
            assert!(!shown.contains(hidden), "{shown}");
        }
    }
}
