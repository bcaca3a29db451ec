//! The credentials of one attempt: fetched for it, shown to nobody but the receiver, forgotten
//! after it.

use crate::receiver::Receiver;
use crate::render::RenderError;
use keywatch_secrets::{SecretError, SecretManager, SecretRef, SecretValue};

/// What stands where a credential was.
const MARK: &str = "[redacted]";
/// A value shorter than this is not looked for: it would blank out half of the text.
const REDACTED_BYTES_MIN: usize = 4;

/// Why a message cannot be written, with the remedy.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0}")]
pub(crate) struct Unsendable(pub(crate) String);

impl From<RenderError> for Unsendable {
    fn from(error: RenderError) -> Self {
        Self(error.to_string())
    }
}

/// Credentials in hand.
#[derive(Debug, Default)]
pub(crate) struct Held(Vec<(SecretRef, SecretValue)>);

impl Held {
    /// Credentials a test made up.
    #[cfg(test)]
    pub(crate) fn made_up(values: Vec<(SecretRef, SecretValue)>) -> Self {
        Self(values)
    }

    /// Fetches every credential of `receiver`.
    pub(crate) async fn fetch(receiver: &Receiver, secrets: &SecretManager) -> Result<Self, String> {
        let mut held = Vec::new();
        for reference in receiver.credentials() {
            let value = secrets.get(reference).await.map_err(|error| error.to_string())?;
            held.push((reference.clone(), value));
        }
        Ok(Self(held))
    }

    /// What has taken the place of refused credentials; `None` when nothing has.
    pub(crate) async fn renewed(&self, secrets: &SecretManager) -> Result<Option<Self>, SecretError> {
        let (mut fresh, mut changed) = (Vec::new(), false);
        for (reference, refused) in &self.0 {
            let value = secrets.refused(reference, refused).await?;
            changed |= !value.same_as(refused);
            fresh.push((reference.clone(), value));
        }
        Ok(changed.then_some(Self(fresh)))
    }

    /// The value behind `reference`.
    pub(crate) fn text(&self, reference: &SecretRef) -> Result<&str, Unsendable> {
        let found = self.0.iter().find(|(known, _)| known == reference);
        found.map(|(_, value)| value.expose()).ok_or_else(|| {
            Unsendable(format!("the secret {reference} was not fetched; please report this defect"))
        })
    }

    /// `text` without any of the values, neither as they are nor as JSON writes them.
    pub(crate) fn redacted(&self, text: &str) -> String {
        let mut shown = text.to_owned();
        for (_, value) in &self.0 {
            let value = value.expose().trim();
            if value.len() < REDACTED_BYTES_MIN {
                continue;
            }
            shown = shown.replace(value, MARK);
            let escaped = serde_json::to_string(value).unwrap_or_default();
            let escaped =
                escaped.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or_default();
            if escaped != value && !escaped.is_empty() {
                shown = shown.replace(escaped, MARK);
            }
        }
        shown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_marked_wherever_they_stand_and_short_ones_are_left() {
        let held = |value: &str| Held(vec![("env:A".parse().unwrap(), SecretValue::new(value.to_owned()))]);
        assert_eq!(held("hunter2").redacted("a hunter2 b hunter2"), "a [redacted] b [redacted]");
        assert_eq!(held("say \"x\"\n").redacted(r#"{"k":"say \"x\""}"#), r#"{"k":"[redacted]"}"#);
        assert_eq!(held("abc").redacted("abcabc"), "abcabc");
        assert_eq!(held("").redacted("abc"), "abc");
    }
}
