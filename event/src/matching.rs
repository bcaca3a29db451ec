//! Which alerts somebody means: matchers over the few fields people choose by.
//!
//! Pure. Routes, silences and their previews all ask the same question with these types.

use crate::class::{UnknownName, vocabulary};
use crate::{Alert, Level};
use serde::Deserialize;
use std::fmt;
use std::str::FromStr;

/// Longest pattern, bytes. Ids of secrets and principals stay far below.
pub const PATTERN_BYTES_MAX: usize = 2048;
/// Most matchers of one silence or route. People write two or three.
pub const MATCHERS_MAX: usize = 32;

vocabulary! {
    /// A field alerts are chosen by.
    AlertField {
        /// The rule's id.
        Rule = "rule",
        /// The level.
        Level = "level",
        /// The provider.
        Provider = "provider",
        /// The store.
        Store = "store",
        /// Account, project, subscription or namespace.
        Account = "account",
        /// The principal's stable id.
        Principal = "principal",
        /// The id of any secret it touches.
        Secret = "secret",
        /// The source as the record writes it.
        Source = "source",
        /// Any tag of the rule.
        Tag = "tag",
    }
}

/// What a matcher looks at of one alert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// The rule's id.
    pub rule: String,
    /// The level.
    pub level: Level,
    /// The provider.
    pub provider: String,
    /// The store, when the alert is about one.
    pub store: Option<String>,
    /// The account, when it is known.
    pub account: Option<String>,
    /// The principal, when the alert is about one.
    pub principal: Option<String>,
    /// Ids of the secrets.
    pub secrets: Vec<String>,
    /// The source, when the alert is about one.
    pub source: Option<String>,
    /// Tags of the rule.
    pub tags: Vec<String>,
}

/// One condition: a field and what its value must look like.
///
/// Written `field=pattern` or `field!=pattern`. In a pattern `*` stands for any text and `?` for
/// one character; case counts. A field that is absent, or a list without entries, is like no
/// pattern: `field=*` asks that there is one, `field!=…` holds without one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Matcher {
    /// The field.
    pub field: AlertField,
    /// Whether the value must be unlike the patterns.
    pub not: bool,
    /// One of these must fit.
    pub any_of: Vec<String>,
}

/// Why a text is no matcher.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum MatcherError {
    /// No `=`.
    #[error("`{0}` is no matcher; write it as rule=KW-002, or principal!=role/deploy-*")]
    Form(String),
    /// Another field.
    #[error(transparent)]
    Field(#[from] UnknownName),
    /// Nothing behind the `=`, or too much.
    #[error("the pattern for `{0}` has to have 1 to 2048 bytes; `*` stands for any text")]
    Pattern(&'static str),
    /// A level that does not exist: it would never match.
    #[error("`{0}` is no level; write info, warning, high or critical")]
    Level(String),
}

impl Matcher {
    /// A matcher after checking its patterns.
    ///
    /// # Errors
    /// [`MatcherError`] when a pattern is empty, too long, or a level that does not exist.
    pub fn new(field: AlertField, not: bool, any_of: Vec<String>) -> Result<Self, MatcherError> {
        let bad = |pattern: &String| pattern.is_empty() || pattern.len() > PATTERN_BYTES_MAX;
        if any_of.is_empty() || any_of.iter().any(bad) {
            return Err(MatcherError::Pattern(field.as_str()));
        }
        let known = |pattern: &str| Level::NAMES.iter().any(|name| fits(pattern, name));
        if let Some(pattern) = any_of.iter().find(|it| field == AlertField::Level && !known(it)) {
            return Err(MatcherError::Level(pattern.clone()));
        }
        Ok(Self { field, not, any_of })
    }

    /// Whether the alert is meant.
    #[must_use]
    pub fn matches(&self, subject: &Subject) -> bool {
        let fitting = |value: &&str| self.any_of.iter().any(|pattern| fits(pattern, value));
        subject.values(self.field).iter().any(fitting) != self.not
    }
}

/// Whether every matcher holds; without any, nothing is meant.
#[must_use]
pub fn all_match(matchers: &[Matcher], subject: &Subject) -> bool {
    !matchers.is_empty() && matchers.iter().all(|matcher| matcher.matches(subject))
}

/// Reads matchers, one per line; empty lines are passed over.
///
/// # Errors
/// [`MatcherError`] of the first line that is none.
pub fn matchers_from(text: &str) -> Result<Vec<Matcher>, MatcherError> {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::parse).collect()
}

/// Matchers as text that [`matchers_from`] reads, one per line.
#[must_use]
pub fn matchers_text(matchers: &[Matcher]) -> String {
    matchers.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

impl FromStr for Matcher {
    type Err = MatcherError;

    /// The text form has one pattern or several between `|`.
    fn from_str(text: &str) -> Result<Self, MatcherError> {
        let form = || MatcherError::Form(text.chars().take(80).collect());
        let (name, pattern) = text.split_once('=').ok_or_else(form)?;
        let (name, not) = name.strip_suffix('!').map_or((name, false), |name| (name, true));
        Self::new(name.trim().parse()?, not, pattern.split('|').map(|one| one.trim().to_owned()).collect())
    }
}

impl fmt::Display for Matcher {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.not { "!=" } else { "=" };
        write!(out, "{}{sign}{}", self.field.as_str(), self.any_of.join("|"))
    }
}

/// Whether `pattern`, with `*` and `?`, fits the whole of `text`. Linear in memory, at most
/// pattern times text in time: on a mismatch only the last `*` takes one character more.
#[must_use]
pub fn fits(pattern: &str, text: &str) -> bool {
    let (mut pattern, mut text) = (pattern.chars(), text.chars());
    let mut star = None;
    loop {
        let mut rest = text.clone();
        match (pattern.next(), rest.next()) {
            (Some('*'), _) => star = Some((pattern.clone(), text.clone())),
            (Some('?'), Some(_)) => text = rest,
            (Some(wanted), Some(found)) if wanted == found => text = rest,
            (None, None) => return true,
            _ => {
                let Some((after, mut from)) = star.take() else { return false };
                if from.next().is_none() {
                    return false;
                }
                star = Some((after.clone(), from.clone()));
                (pattern, text) = (after, from);
            }
        }
    }
}

impl From<&Alert> for Subject {
    fn from(alert: &Alert) -> Self {
        let source = alert.source.as_ref();
        let raw = source.and_then(|source| source.raw.clone());
        Self {
            rule: alert.rule.clone(),
            level: alert.level,
            provider: alert.provider.as_str().to_owned(),
            store: alert.store.clone(),
            account: alert.account.clone(),
            principal: alert.principal.as_ref().map(|principal| principal.id.clone()),
            secrets: alert.secrets.iter().map(|secret| secret.id.to_string()).collect(),
            source: raw.or_else(|| source.and_then(|source| source.ip).map(|ip| ip.to_string())),
            tags: alert.tags.clone(),
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Json {
    rule: String,
    level: String,
    provider: String,
    store: Option<String>,
    account: Option<String>,
    principal: Option<Id>,
    secrets: Vec<Id>,
    source: Option<SourceJson>,
    tags: Vec<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Id {
    id: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct SourceJson {
    ip: Option<String>,
    raw: Option<String>,
}

impl Subject {
    /// Reads an alert's public JSON form; what cannot be read is absent, and a level that cannot
    /// be read is critical: a damaged alert is rather told than hidden.
    #[must_use]
    pub fn from_json(json: &str) -> Self {
        let read: Json = serde_json::from_str(json).unwrap_or_default();
        Self {
            rule: read.rule,
            level: read.level.parse().unwrap_or(Level::Critical),
            provider: read.provider,
            store: read.store,
            account: read.account,
            principal: read.principal.map(|principal| principal.id),
            secrets: read.secrets.into_iter().map(|secret| secret.id).collect(),
            source: read.source.and_then(|source| source.raw.or(source.ip)),
            tags: read.tags,
        }
    }

    /// The values of one field.
    #[must_use]
    pub fn values(&self, field: AlertField) -> Vec<&str> {
        match field {
            AlertField::Rule => vec![&self.rule],
            AlertField::Level => vec![self.level.as_str()],
            AlertField::Provider => vec![&self.provider],
            AlertField::Store => self.store.as_deref().into_iter().collect(),
            AlertField::Account => self.account.as_deref().into_iter().collect(),
            AlertField::Principal => self.principal.as_deref().into_iter().collect(),
            AlertField::Source => self.source.as_deref().into_iter().collect(),
            AlertField::Secret => self.secrets.iter().map(String::as_str).collect(),
            AlertField::Tag => self.tags.iter().map(String::as_str).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject() -> Subject {
        let json = r#"{"rule":"KW-002","level":"high","provider":"aws","account":"111122223333",
            "principal":{"id":"arn:aws:iam::111122223333:role/app","kind":"role"},
            "secrets":[{"id":"aws:secret/prod/db","name":"db"},{"id":"aws:secret/prod/api"}],
            "source":{"ip":"203.0.113.9","kind":"addr"},"tags":["attack.t1555"]}"#;
        Subject::from_json(json)
    }

    #[track_caller]
    fn check(matchers: &str, holds: bool) {
        assert_eq!(all_match(&matchers_from(matchers).unwrap(), &subject()), holds, "{matchers}");
    }

    #[test]
    fn a_matcher_asks_one_field_and_all_of_them_must_hold() {
        check("rule=KW-002", true);
        check("rule=KW-003", false);
        check("rule=KW-003|KW-002", true);
        check("rule!=KW-003|KW-002", false);
        check("level=high\nprovider=aws", true);
        check("level=high\nprovider=gcp", false);
        check("principal=arn:aws:iam::*:role/*", true);
        check("principal=role/*", false);
        check("account=11112222333?", true);
        check("secret=*/api", true);
        check("secret!=*/api", false);
        check("source=203.0.113.9", true);
        check("tag=attack.*", true);
        check("  \n\n", false);
    }

    #[test]
    fn an_absent_field_is_like_no_pattern() {
        check("store=*", false);
        check("store!=sm", true);
    }

    #[test]
    fn what_is_no_matcher_is_refused_with_the_remedy() {
        for (text, part) in [
            ("KW-002", "write it as rule=KW-002"),
            ("rul=KW-002", "rule, level, provider"),
            ("rule=", "1 to 2048 bytes"),
            ("rule=a||b", "1 to 2048 bytes"),
            ("level=urgent", "is no level"),
        ] {
            let error = text.parse::<Matcher>().unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn matchers_read_back_from_their_text() {
        let text = "rule=KW-002|KW-003\nprincipal!=*=odd";
        assert_eq!(matchers_text(&matchers_from(text).unwrap()), text);
    }

    #[test]
    fn patterns_fit_whole_texts() {
        for (pattern, text, fit) in [
            ("", "", true),
            ("*", "", true),
            ("a", "ab", false),
            ("a*", "ab", true),
            ("*b*b", "abbb", true),
            ("*ab", "aab", true),
            ("a?c", "aüc", true),
            ("?", "", false),
            ("*?", "", false),
            ("**x", "yx", true),
        ] {
            assert_eq!(fits(pattern, text), fit, "{pattern} {text}");
        }
    }

    #[test]
    fn a_damaged_alert_is_critical() {
        assert_eq!(Subject::from_json("{").level, Level::Critical);
    }
}
