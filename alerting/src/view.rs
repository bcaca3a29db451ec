//! An alert read back from its public form, as far as receivers need it. What is absent or odd
//! is left out: a message with a gap is better than none. Pure.

use crate::render::RenderError;
use keywatch_event::Level;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// An alert.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct AlertView {
    pub(crate) id: String,
    pub(crate) rule: String,
    pub(crate) title: String,
    #[serde(deserialize_with = "level")]
    pub(crate) level: Option<Level>,
    pub(crate) action: String,
    pub(crate) opened_at: String,
    pub(crate) first_event_at: String,
    pub(crate) last_event_at: String,
    pub(crate) late_secs: Option<u64>,
    pub(crate) principal: Option<PrincipalView>,
    pub(crate) sessions: SessionsView,
    pub(crate) source: Option<SourceView>,
    pub(crate) secrets: Vec<SecretView>,
    pub(crate) provider: String,
    pub(crate) account: Option<String>,
    pub(crate) store: Option<String>,
    pub(crate) events: u64,
    pub(crate) evidence: Vec<Value>,
    pub(crate) why: WhyView,
    pub(crate) tags: Vec<String>,
}

/// Who.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct PrincipalView {
    pub(crate) id: String,
    pub(crate) kind: String,
    pub(crate) name: Option<String>,
}

/// Behind which sessions.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct SessionsView {
    pub(crate) count: u64,
    pub(crate) first: Vec<SessionView>,
}

/// One session.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct SessionView {
    pub(crate) name: Option<String>,
    pub(crate) access_key: Option<String>,
}

/// From where.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct SourceView {
    pub(crate) ip: Option<String>,
    pub(crate) raw: Option<String>,
}

/// What was touched.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct SecretView {
    pub(crate) id: String,
    pub(crate) name: Option<String>,
}

/// Why the rule says so.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct WhyView {
    pub(crate) text: String,
}

fn level<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Level>, D::Error> {
    Ok(Option::<String>::deserialize(from)?.and_then(|word| word.parse().ok()))
}

impl AlertView {
    /// Reads the public form.
    pub(crate) fn read(json: &str) -> Result<Self, RenderError> {
        Ok(serde_json::from_str(json)?)
    }
}

impl SecretView {
    /// Its name, or its id when it has none.
    pub(crate) fn shown(&self) -> &str {
        self.name.as_deref().unwrap_or(&self.id)
    }
}

/// The most urgent level of several alerts.
pub(crate) fn highest(alerts: &[AlertView]) -> Option<Level> {
    alerts.iter().filter_map(|alert| alert.level).max()
}
