//! What an alert names of its events beside who and which secret, as its rule asks.

use crate::engine::incident::Member;
use crate::field::Field;
use crate::rule::{BETWEEN, Mention, News};
use crate::wording::listed;
use hashbrown::{HashMap, HashSet};

/// Most values a title names.
const TITLE_MAX: usize = 3;
/// Most characters of them, unless one alone is longer.
const TITLE_CHARS_MAX: usize = 48;
/// Most values the reasons name; the others are counted.
const REASONS_MAX: usize = 10;

/// The values, each once, in the order they came, and how they are told.
pub(super) struct Notes<'n> {
    how: Option<&'n Mention>,
    values: Vec<&'n str>,
    /// What secrets are called, by id: reasons name them as titles do.
    names: HashMap<&'n str, &'n str>,
}

impl<'n> Notes<'n> {
    pub(super) fn of(how: Option<&'n Mention>, members: &[&'n Member]) -> Self {
        let (mut values, mut known) = (Vec::new(), HashSet::new());
        let notes = members.iter().filter_map(|member| member.note.as_deref());
        for value in notes.flat_map(|note| note.split(BETWEEN)) {
            if known.insert(value) {
                values.push(value);
            }
        }
        let secrets = members.iter().filter(|_| matches!(how, Some(Mention::News(_))));
        let secrets = secrets.flat_map(|member| &*member.brief.secrets);
        let names = secrets.map(|secret| (&*secret.id, &*secret.name)).collect();
        Self { how, values, names }
    }

    /// Whether the value is among those the reasons name.
    pub(super) fn has(&self, value: &str) -> bool {
        self.values.iter().take(REASONS_MAX).any(|known| *known == value)
    }

    /// The values as a title that names so many secrets, and who it was, has them, in parentheses. The
    /// address of a caller nobody knows stands there already.
    pub(super) fn in_title(&self, secrets: usize, who: &str) -> String {
        let is_told = |value: &&str| who.split_whitespace().any(|word| word.trim_end_matches(',') == *value);
        if self.values.iter().any(is_told) {
            let values = self.values.iter().copied().filter(|value| !is_told(value)).collect();
            return Self { how: self.how, values, names: HashMap::new() }.in_title(secrets, "");
        }
        let (one, many) = match self.how {
            _ if self.values.is_empty() => return String::new(),
            // One secret stands in the title already.
            Some(Mention::Listed(_)) if secrets < 2 => return String::new(),
            Some(Mention::Fields(_) | Mention::Listed(_)) => return format!(" ({})", self.few()),
            Some(Mention::News(News { noun: Some((one, many)), .. })) => (one, many),
            Some(Mention::News(News { noun: None, .. })) | None => return String::new(),
        };
        match self.values.len() {
            1 => format!(" (new {one} {})", self.few()),
            count if count <= TITLE_MAX => format!(" (new {many} {})", self.few()),
            count => format!(" ({count} new {many})"),
        }
    }

    /// The first values and how many more there are.
    fn few(&self) -> String {
        let mut chars = 0;
        let fits = |value: &&&str| {
            chars += value.chars().count();
            chars <= TITLE_CHARS_MAX || chars == value.chars().count()
        };
        let shown = self.values.iter().take(TITLE_MAX).take_while(fits);
        let mut shown: Vec<String> = shown.map(|&value| value.trim().to_owned()).collect();
        match self.values.len().saturating_sub(shown.len()) {
            0 => {}
            more => shown.push(format!("{more} more")),
        }
        // What several fields say is no list of things of one kind.
        match self.how {
            Some(Mention::Fields(fields)) if fields.len() > 1 => shown.join(", "),
            _ => listed(&shown),
        }
    }

    /// The values as the reasons have them, behind a semicolon.
    pub(super) fn in_reasons(&self) -> String {
        let named = |value: &&str| self.names.get(value).copied().unwrap_or_else(|| value.trim()).to_owned();
        let mut shown: Vec<String> = self.values.iter().take(REASONS_MAX).map(named).collect();
        match self.values.len().saturating_sub(shown.len()) {
            0 => {}
            more => shown.push(format!("and {more} more")),
        }
        let shown = shown.join(", ");
        match self.how {
            _ if self.values.is_empty() => String::new(),
            Some(Mention::Fields(fields)) => {
                format!("; {}: {shown}", listed(&nouns(fields)))
            }
            Some(Mention::Listed(list)) => format!("; on the list `{list}`: {shown}"),
            Some(Mention::News(news)) if news.has_values => format!("; {}: {shown}", news.lead),
            Some(Mention::News(news)) => format!("; {}", news.lead),
            None => String::new(),
        }
    }
}

/// What the values of these fields are called. Several fields of the record are the places where
/// providers name the one thing something was done to.
fn nouns(fields: &[Field]) -> Vec<String> {
    let is_raw = |field: &&Field| matches!(field, Field::Raw(_));
    let several = fields.iter().filter(is_raw).count() > 1;
    let told = fields.iter().filter(|field| !(several && is_raw(field)));
    let mut nouns: Vec<String> = told.map(|field| field.noun().0).collect();
    nouns.extend(several.then(|| "object".to_owned()));
    nouns
}
