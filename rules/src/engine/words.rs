//! The values that tell an event's groups and baselines apart, made once per event for all rules
//! together.
//!
//! Most rules group by the same few fields. Each combination of fields that any rule or baseline
//! asks for has a number; its texts are joined and hashed once, in memory that is used again for
//! the next event.

use super::baseline::Print;
use super::entry::{blanks_combined, combined};
use crate::field::Field;
use crate::view::View;
use std::cell::Cell;
use std::hash::BuildHasher;
use std::sync::LazyLock;

/// One random hasher for the process: nobody outside can look for texts that collide.
static HASHING: LazyLock<hashbrown::DefaultHashBuilder> =
    LazyLock::new(hashbrown::DefaultHashBuilder::default);

/// The hash by which a text is known within this process.
pub(crate) fn hashed(text: &str) -> u64 {
    HASHING.hash_one(text)
}

/// A hasher of that kind, for values that are not one text.
pub(crate) fn hasher() -> impl std::hash::Hasher {
    HASHING.build_hasher()
}

/// A text with its hash.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Name<'n> {
    pub(crate) text: &'n str,
    pub(crate) hash: u64,
}

impl<'n> From<&'n str> for Name<'n> {
    fn from(text: &'n str) -> Self {
        Self { text, hash: hashed(text) }
    }
}

/// Number of a combination of fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Combination(usize);

/// How the values of several fields become one text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Joint {
    /// None when a field has no value.
    Whole,
    /// A missing value is no text.
    Blank,
}

/// Every combination that is asked for.
#[derive(Debug, Default)]
pub(crate) struct Combinations(Vec<Asked>);

#[derive(Debug)]
struct Asked {
    fields: Vec<Field>,
    joint: Joint,
}

impl Combinations {
    /// The number of a combination.
    pub(crate) fn of(&mut self, fields: &[Field], joint: Joint) -> Combination {
        let known = self.0.iter().position(|asked| asked.joint == joint && asked.fields == fields);
        Combination(known.unwrap_or_else(|| {
            self.0.push(Asked { fields: fields.to_vec(), joint });
            self.0.len() - 1
        }))
    }
}

/// The words of one event.
#[derive(Debug, Default)]
pub(crate) struct Words {
    /// Number of the event.
    event: u64,
    /// By combination.
    made: Vec<Made>,
    all: Vec<Word>,
    text: String,
}

#[derive(Clone, Copy, Debug, Default)]
struct Made {
    /// The event it was made for.
    event: u64,
    from: usize,
    to: usize,
    /// Whether every field had a value.
    whole: bool,
}

#[derive(Clone, Debug)]
struct Word {
    from: usize,
    to: usize,
    hash: u64,
    /// Made when a baseline asks: most events are familiar to all of them.
    print: Cell<Option<Print>>,
}

/// What there is of a combination of several fields.
enum One {
    /// One word, for which every field had a value or not.
    Made { whole: bool },
    /// No word: a field without a value.
    None,
    /// Some field has several values.
    Several,
}

/// One word.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Said<'w> {
    pub(crate) name: Name<'w>,
    print: &'w Cell<Option<Print>>,
}

impl Said<'_> {
    /// What a baseline remembers of it.
    pub(crate) fn print(&self) -> Print {
        let print = self.print.get().unwrap_or_else(|| Print::of_text(self.name.text));
        self.print.set(Some(print));
        print
    }
}

impl Words {
    /// Forgets the event before.
    pub(crate) fn begin(&mut self, combinations: &Combinations) {
        self.event += 1;
        self.all.clear();
        self.text.clear();
        self.made.resize(combinations.0.len(), Made::default());
    }

    /// Makes the words of a combination, unless they are made already.
    pub(crate) fn make(&mut self, which: Combination, combinations: &Combinations, view: &View<'_>) {
        let (Some(asked), Some(made)) = (combinations.0.get(which.0), self.made.get(which.0)) else {
            return;
        };
        if made.event == self.event {
            return;
        }
        let (from, whole) = (self.all.len(), self.join(asked, view));
        if let Some(made) = self.made.get_mut(which.0) {
            *made = Made { event: self.event, from, to: self.all.len(), whole };
        }
    }

    /// The words of a combination; `None` when they were not made.
    pub(crate) fn of(&self, which: Combination) -> Option<impl Iterator<Item = Said<'_>>> {
        let made = self.made(which)?;
        let words = self.all.get(made.from..made.to)?;
        Some(words.iter().map(|word| {
            let text = self.text.get(word.from..word.to).unwrap_or_default();
            Said { name: Name { text, hash: word.hash }, print: &word.print }
        }))
    }

    /// Whether every field of a combination that was made had a value.
    pub(crate) fn is_whole(&self, which: Combination) -> bool {
        self.made(which).is_some_and(|made| made.whole)
    }

    fn made(&self, which: Combination) -> Option<&Made> {
        self.made.get(which.0).filter(|made| made.event == self.event)
    }

    /// Joins the values; whether each field had one.
    fn join(&mut self, asked: &Asked, view: &View<'_>) -> bool {
        if let [field] = asked.fields.as_slice() {
            return self.each(field, asked, view);
        }
        match self.one(asked, view) {
            One::Made { whole } => return whole,
            One::None => return false,
            One::Several => {}
        }
        let texts = match asked.joint {
            Joint::Whole => combined(&asked.fields, view),
            Joint::Blank => blanks_combined(&asked.fields, view),
        };
        for text in texts {
            let from = self.text.len();
            self.text.push_str(&text);
            self.note(from);
        }
        asked.fields.iter().all(|field| field.any(view, &mut |_| true))
    }

    /// The values of one field.
    fn each(&mut self, field: &Field, asked: &Asked, view: &View<'_>) -> bool {
        let before = self.all.len();
        field.any(view, &mut |value| {
            let from = self.text.len();
            self.text.push_str(value);
            if asked.joint == Joint::Whole {
                self.text.push('\u{1f}');
            }
            self.note(from);
            false
        });
        let whole = self.all.len() > before;
        if !whole && asked.joint == Joint::Blank {
            self.note(self.text.len());
        }
        whole
    }

    /// The one word there is when no field has several values, as nearly always.
    fn one(&mut self, asked: &Asked, view: &View<'_>) -> One {
        let from = self.text.len();
        let mut whole = true;
        for (at, field) in asked.fields.iter().enumerate() {
            if at > 0 && asked.joint == Joint::Blank {
                self.text.push(' ');
            }
            let mut values = 0;
            field.any(view, &mut |value| {
                values += 1;
                self.text.push_str(value);
                values > 1
            });
            if values > 1 {
                self.text.truncate(from);
                return One::Several;
            }
            whole &= values == 1;
            if asked.joint == Joint::Whole {
                self.text.push('\u{1f}');
            }
        }
        if !whole && asked.joint == Joint::Whole {
            self.text.truncate(from);
            return One::None;
        }
        self.note(from);
        One::Made { whole }
    }

    /// Notes the text from `from` on as a word.
    fn note(&mut self, from: usize) {
        let text = self.text.get(from..).unwrap_or_default();
        self.all.push(Word { from, to: self.text.len(), hash: hashed(text), print: Cell::new(None) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Seen;
    use crate::field::Normal;
    use crate::testing::{self, PLACE};

    /// Every combination of the fields' values, by the plain way.
    fn joined(fields: &[Field], joint: Joint, view: &View<'_>) -> Vec<String> {
        let mut all = vec![Vec::new()];
        for field in fields {
            let mut values = field.values(view);
            if values.is_empty() && joint == Joint::Blank {
                values.push(String::new());
            }
            let with = |texts: &Vec<String>| {
                values.iter().map(|value| [texts.clone(), vec![value.clone()]].concat()).collect::<Vec<_>>()
            };
            all = all.iter().flat_map(with).collect();
        }
        all.iter()
            .map(|texts| match joint {
                Joint::Whole => texts.iter().flat_map(|text| [text, "\u{1f}"]).collect(),
                Joint::Blank => texts.join(" "),
            })
            .collect()
    }

    #[track_caller]
    fn check(secrets: usize, session: Option<&'static str>, fields: &[Field]) {
        let mut event = testing::event();
        event.secrets = (0..secrets).map(|n| testing::secret(["a", "b", "c"][n])).collect();
        event.principal.session = session.map(Into::into);
        let seen = Seen { event: &event, place: &PLACE, raw: b"{}" };
        let view = View::alone(&seen);
        for joint in [Joint::Whole, Joint::Blank] {
            let (mut combinations, mut words) = (Combinations::default(), Words::default());
            let which = combinations.of(fields, joint);
            words.begin(&combinations);
            words.make(which, &combinations, &view);
            let said: Vec<&str> = words.of(which).unwrap().map(|said| said.name.text).collect();
            assert_eq!(said, joined(fields, joint, &view), "{secrets} secrets, {session:?}, {joint:?}");
            let whole = fields.iter().all(|field| !field.values(&view).is_empty());
            assert_eq!(words.is_whole(which), whole);
            if joint == Joint::Blank {
                assert_eq!(blanks_combined(fields, &view), said);
            } else {
                assert_eq!(combined(fields, &view), said);
            }
        }
    }

    #[test]
    fn values_are_joined_the_same_however_many_a_field_has() {
        let [id, session, secret] =
            [Normal::PrincipalId, Normal::PrincipalSession, Normal::SecretsId].map(Field::Normal);
        let sets = [
            vec![secret.clone()],
            vec![session.clone()],
            vec![id.clone(), session.clone()],
            vec![session.clone(), secret.clone()],
            vec![secret, id, session],
        ];
        for fields in sets {
            for secrets in 0..4 {
                check(secrets, None, &fields);
                check(secrets, Some("s-1"), &fields);
            }
        }
    }
}
