//! Field names in rules, in the two languages they may be written in.
//!
//! Under `keywatch:` a name is always one of Keywatch's normalised fields or a `raw.` path. In a
//! correlation (`group-by`, `aliases`, `field`) a normalised name means the normalised field
//! too; any other name is read as in the detection's own log source.

use crate::field::{Field, Normal};
use crate::log_source::LogSource;
use crate::yaml::{Node, Problems};

/// The log source whose field names are Keywatch's own.
pub(super) fn normalised() -> LogSource {
    LogSource::parse(Some("keywatch"), None, Some("audit"))
}

/// A field of a correlation, for a detection with this log source.
///
/// # Errors
/// What to write instead.
pub(super) fn field_in(name: &str, source: &LogSource) -> Result<Field, String> {
    Field::parse(name, &normalised()).or_else(|_own| match misspelt(name) {
        Some(near) => {
            Err(format!("did you mean `{near}`? (a field of the record itself is written `raw.{name}`)"))
        }
        None => Field::parse(name, source),
    })
}

/// One of Keywatch's own names that was meant: the record's own do not begin like them.
fn misspelt(name: &str) -> Option<&'static str> {
    let begins = |known: &&&str| match (known.split_once('.'), name.split_once('.')) {
        (Some((own, _)), Some((written, _))) => own == written,
        _ => false,
    };
    let near = |known: &&&str| strsim::damerau_levenshtein(name, known) <= 2;
    Normal::NAMES.iter().filter(begins).find(near).copied()
}

/// A normalised field; an unknown one is reported.
pub(super) fn own(name: &str, at: &Node, problems: &Problems) -> Option<Field> {
    match Field::parse(name, &normalised()) {
        Ok(field) => Some(field),
        Err(remedy) => {
            problems.add(at, format!("unknown field `{name}`"), remedy);
            None
        }
    }
}

/// Normalised fields; each unknown one is reported.
pub(super) fn all_own(names: &[(String, &Node)], problems: &Problems) -> Vec<Field> {
    refuse_twice(names, problems);
    names.iter().filter_map(|(name, at)| own(name, at, problems)).collect()
}

/// Reports names that stand in a list more than once.
pub(super) fn refuse_twice(names: &[(String, &Node)], problems: &Problems) {
    for (at, (name, node)) in names.iter().enumerate() {
        if names.iter().take(at).any(|(other, _)| other == name) {
            problems.add(node, format!("`{name}` stands twice"), "name each field once");
        }
    }
}
