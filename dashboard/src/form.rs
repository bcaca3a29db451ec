//! A form somebody sent: read once, believed only with the token of the page it was on.

use crate::app::App;
use crate::failure::Failure;
use crate::session::{SignedIn, same};
use axum::extract::Form;
use axum::extract::rejection::FormRejection;
use keywatch_store::WHO_CHARS_MAX;

/// The fields of a form as the server hands them over.
pub(crate) type Fields = Result<Form<Vec<(String, String)>>, FormRejection>;

/// A form of a signed-in person.
#[derive(Debug)]
pub(crate) struct Sent {
    pairs: Vec<(String, String)>,
}

/// Fields that hold several lines.
const LINES: [&str; 2] = ["matchers", "settings"];

impl Sent {
    /// Reads a form that carries the session's token.
    pub(crate) fn read(fields: Fields, who: &SignedIn) -> Result<Self, Failure> {
        let Form(pairs) = fields.map_err(|rejection| Failure::Form(rejection.status()))?;
        // Browsers end the lines of a text with CR LF, whatever the page had. What names something is
        // left as it is.
        let unix = |(name, value): (String, String)| {
            let value = if LINES.contains(&name.as_str()) { value.replace("\r\n", "\n") } else { value };
            (name, value)
        };
        let sent = Self { pairs: pairs.into_iter().map(unix).collect() };
        if !same(sent.text("csrf").as_bytes(), who.csrf.as_bytes()) {
            return Err(Failure::CrossSite);
        }
        Ok(sent)
    }

    /// A field's value without white space around it; empty when it is absent.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.pairs.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value.trim())
    }

    /// Every value of a field.
    pub(crate) fn all<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'s str> {
        self.pairs.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.trim())
    }

    /// A field that must not be empty.
    pub(crate) fn need(&self, name: &'static str, remedy: &str) -> Result<&str, Failure> {
        let value = self.text(name);
        if value.is_empty() {
            return Err(Failure::Field { name, problem: remedy.to_owned() });
        }
        Ok(value)
    }

    /// Who does it: a name the person gives, remembered for the session.
    pub(crate) fn who(&self, app: &App, who: &SignedIn) -> Result<String, Failure> {
        let name = self.need("who", "say who you are; it stands in the history")?;
        let name: String = name.chars().take(WHO_CHARS_MAX).collect();
        app.sessions().remember(&who.csrf, &name);
        Ok(name)
    }

    /// The page to go back to: one of this dashboard, else the alerts.
    pub(crate) fn back(&self) -> String {
        let back = self.text("back");
        let ours = back.starts_with('/') && !back.starts_with("//") && !back.contains(['\\', '\r', '\n']);
        if ours { back.to_owned() } else { "/".to_owned() }
    }
}
