//! What the dashboard knows of receivers: what stands in the configuration, and a way to try one
//! out with other settings. The program passes it in; nothing here sends.

use std::future::Future;
use std::pin::Pin;

/// A receiver of the configuration as a page shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReceiverInfo {
    /// Its name.
    pub name: String,
    /// Its kind: `slack`.
    pub kind: String,
    /// The least urgent level it wants.
    pub level: String,
    /// Whom it reaches, without anything that could be a credential.
    pub target: String,
    /// The references to its credentials, never their values.
    pub credentials: Vec<String>,
    /// Its settings as they would be written in the configuration.
    pub settings: String,
}

/// One request of a test, with credentials replaced by a mark.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SentInfo {
    /// What was asked of whom.
    pub target: String,
    /// Names and values.
    pub headers: Vec<(String, String)>,
    /// The message.
    pub body: String,
}

/// What became of a test.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrialInfo {
    /// Why nothing was sent; empty when something was.
    pub problems: Vec<String>,
    /// The requests.
    pub sent: Vec<SentInfo>,
    /// Whether the receiver took it.
    pub delivered: bool,
    /// The status it answered.
    pub status: Option<u16>,
    /// How long it took, milliseconds.
    pub latency_ms: u64,
    /// Beginning of the answer.
    pub answer: String,
    /// What went wrong.
    pub error: String,
}

/// The outcome of a test, some time later.
pub type Trial = Pin<Box<dyn Future<Output = TrialInfo> + Send>>;

/// The receivers of the configuration.
pub trait Receivers: Send + Sync {
    /// All of them.
    fn list(&self) -> Vec<ReceiverInfo>;

    /// Sends one test message to the receiver `name` with `settings` instead of its own, which
    /// stay as they are.
    fn try_out(&self, name: String, settings: String) -> Trial;
}

/// No receivers at all.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoReceivers;

impl Receivers for NoReceivers {
    fn list(&self) -> Vec<ReceiverInfo> {
        Vec::new()
    }

    fn try_out(&self, name: String, _settings: String) -> Trial {
        let problems = vec![format!("there is no receiver {name}")];
        Box::pin(async move { TrialInfo { problems, ..TrialInfo::default() } })
    }
}
