//! From one written value and its modifiers to one test.

use super::encode::{Encoded, encoded};
use super::item::{self, Subject};
use super::test::{ListTest, Op, SameAs, Test};
use super::time::Part;
use crate::field::{Field, Normal};
use crate::pattern::{Open, Pattern, REGEX_BYTES_MAX};
use crate::surroundings::network;
use crate::yaml::{Data, Node};
use regex::RegexBuilder;
use rsigma_parser::Modifier;

/// Modifiers that each say alone what kind of comparison it is.
const KINDS: &[Modifier] = &[
    Modifier::Re,
    Modifier::Cidr,
    Modifier::Exists,
    Modifier::FieldRef,
    Modifier::Gt,
    Modifier::Gte,
    Modifier::Lt,
    Modifier::Lte,
];
/// Modifiers that change a text, or where it must stand.
const TEXTUAL: &[Modifier] = &[
    Modifier::Contains,
    Modifier::StartsWith,
    Modifier::EndsWith,
    Modifier::Cased,
    Modifier::Expand,
    Modifier::WindAsh,
    Modifier::Wide,
    Modifier::Utf16,
    Modifier::Utf16be,
    Modifier::Base64,
    Modifier::Base64Offset,
];
const ENCODINGS: &[Modifier] = &[
    Modifier::WindAsh,
    Modifier::Wide,
    Modifier::Utf16,
    Modifier::Utf16be,
    Modifier::Base64,
    Modifier::Base64Offset,
];

/// Reads the values of one item.
pub(super) struct Reader<'r> {
    subject: &'r Subject,
    modifiers: &'r [Modifier],
    outer: &'r item::Reader<'r>,
}

impl<'r> Reader<'r> {
    pub(super) fn new(subject: &'r Subject, modifiers: &'r [Modifier], outer: &'r item::Reader<'r>) -> Self {
        Self { subject, modifiers, outer }
    }

    fn has(&self, modifier: Modifier) -> bool {
        self.modifiers.contains(&modifier)
    }

    fn refuse<T>(&self, value: &Node, message: impl Into<String>, remedy: &str) -> Option<T> {
        self.outer.problems.add(value, message, remedy);
        None
    }

    pub(super) fn test(&self, value: &Node) -> Option<Test> {
        self.combinable(value)?;
        if self.has(Modifier::Exists) {
            return match (&value.data, self.subject) {
                (Data::Bool(wanted), Subject::Field(_)) => Some(Test::Exists(*wanted)),
                (_, Subject::Anywhere) => {
                    self.refuse(value, "`exists` needs a field", "write `field|exists: true`")
                }
                _ => self.refuse(value, "`exists` takes true or false", ""),
            };
        }
        if matches!(value.data, Data::Null) {
            return match self.subject {
                Subject::Field(_) => Some(Test::Null),
                Subject::Anywhere => {
                    self.refuse(value, "a keyword must be text", "write the text to look for")
                }
            };
        }
        let Some(text) = value.text() else {
            let message = format!("a value must be text, a number or null, not {}", value.kind());
            return self.refuse(value, message, "");
        };
        self.compared(value, &text)
    }

    /// Says which modifiers of the item cannot stand together.
    fn combinable(&self, value: &Node) -> Option<()> {
        let kinds: Vec<&Modifier> = self.modifiers.iter().filter(|m| KINDS.contains(m)).collect();
        let is_regex = self.has(Modifier::Re);
        let flags = [Modifier::IgnoreCase, Modifier::Multiline, Modifier::DotAll];
        let parts = self.modifiers.iter().filter(|m| Part::named(**m).is_some()).count();
        if kinds.len() > 1 || parts > 1 {
            return self.refuse(value, "these modifiers are different comparisons", "keep one of them");
        }
        if !is_regex && flags.iter().any(|flag| self.has(*flag)) {
            return self.refuse(value, "`i`, `m` and `s` are flags of `re`", "write `|re|i`");
        }
        let allowed: &[Modifier] = match kinds.first() {
            Some(Modifier::FieldRef) => {
                &[Modifier::Contains, Modifier::StartsWith, Modifier::EndsWith, Modifier::Cased]
            }
            Some(Modifier::Cidr) => &[Modifier::Expand],
            Some(_) => &[],
            None => TEXTUAL,
        };
        let stray = self.modifiers.iter().find(|m| TEXTUAL.contains(m) && !allowed.contains(m));
        if let (Some(stray), Some(kind)) = (stray, kinds.first()) {
            let message = format!("`{}` and `{}` cannot stand together", word(*stray), word(**kind));
            return self.refuse(value, message, "keep one of them");
        }
        if self.has(Modifier::Expand) && ENCODINGS.iter().any(|encoding| self.has(*encoding)) {
            return self.refuse(value, "listed values are not encoded", "remove `expand` or the encoding");
        }
        Some(())
    }

    fn compared(&self, value: &Node, text: &str) -> Option<Test> {
        if self.has(Modifier::Re) {
            return self.regex(value, text);
        }
        if self.has(Modifier::Expand) {
            return self.list(value, text);
        }
        if self.has(Modifier::Cidr) {
            let remedy = "write it as 192.0.2.0/24 or 2001:db8::/32";
            let net = network(text).map(Test::Cidr);
            return net.or_else(|| self.refuse(value, format!("`{text}` is no network"), remedy));
        }
        if self.has(Modifier::FieldRef) {
            return match Field::parse(text, self.outer.source) {
                Ok(other) => {
                    Some(Test::SameAs(SameAs { other, open: self.open(), cased: self.has(Modifier::Cased) }))
                }
                Err(remedy) => self.refuse(value, format!("unknown field `{text}`"), &remedy),
            };
        }
        if let Some(op) = self.modifiers.iter().copied().find_map(comparison) {
            let number = text.parse().ok().filter(|number: &f64| number.is_finite());
            let compare = number.map(|number| Test::Compare(op, number));
            return compare.or_else(|| {
                self.refuse(value, format!("`{text}` is no number"), "comparisons take a number")
            });
        }
        self.check_closed(value, text);
        self.text(value, text)
    }

    /// Where the text may stand.
    fn open(&self) -> Open {
        let contains = self.has(Modifier::Contains) || *self.subject == Subject::Anywhere;
        Open {
            start: contains || self.has(Modifier::EndsWith),
            end: contains || self.has(Modifier::StartsWith),
        }
    }

    fn text(&self, value: &Node, text: &str) -> Option<Test> {
        let is_textual =
            *self.subject == Subject::Anywhere || self.modifiers.iter().any(|m| TEXTUAL.contains(m));
        if matches!(value.data, Data::Int(_) | Data::Float(_)) && !is_textual {
            return Some(Test::Number(text.parse().ok()?, text.to_owned()));
        }
        let (open, cased) = (self.open(), self.has(Modifier::Cased));
        let made: Result<Vec<Pattern>, (String, &str)> = encoded(text, self.modifiers).and_then(|encoded| {
            let patterns = match encoded {
                Encoded::Wild(texts) => texts.iter().map(|text| Pattern::new(text, open, cased)).collect(),
                Encoded::Plain(texts) => {
                    texts.iter().map(|text| Pattern::literal(text, open, cased)).collect()
                }
            };
            let patterns: Result<Vec<Pattern>, String> = patterns;
            patterns.map_err(|message| (message, "shorten it"))
        });
        match made {
            Ok(patterns) => Some(Test::Text(patterns)),
            Err((message, remedy)) => self.refuse(value, message, remedy),
        }
    }

    fn list(&self, value: &Node, text: &str) -> Option<Test> {
        let mut parts = text.split('%');
        let (Some(before), Some(name), Some(after), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            let message = format!("`{text}` names no list");
            return self.refuse(value, message, "`expand` takes the name of one list as `%name%`");
        };
        let cidr = self.has(Modifier::Cidr);
        if name.is_empty() || (cidr && !(before.is_empty() && after.is_empty())) {
            let message = format!("`{text}` names no list");
            return self.refuse(
                value,
                message,
                "write the name of a list between `%`, for example `%canaries%`",
            );
        }
        let cased = self.has(Modifier::Cased);
        let (name, before, after) = (name.to_owned(), before.to_owned(), after.to_owned());
        Some(Test::List(ListTest { name, before, after, open: self.open(), cased, cidr }))
    }

    /// The flags stand in the pattern: rules that ask for the same pattern with others ask for something
    /// else, and tests are told apart by how they are written.
    fn regex(&self, value: &Node, text: &str) -> Option<Test> {
        let flags = [(Modifier::IgnoreCase, 'i'), (Modifier::Multiline, 'm'), (Modifier::DotAll, 's')];
        let flags: String =
            flags.into_iter().filter(|(modifier, _)| self.has(*modifier)).map(|(_, flag)| flag).collect();
        let whole = if flags.is_empty() { text.to_owned() } else { format!("(?{flags}){text}") };
        let built = RegexBuilder::new(&whole).size_limit(REGEX_BYTES_MAX).build();
        match built {
            Ok(regex) => Some(Test::Regex(regex)),
            Err(error) => {
                let remedy = "write it without lookaround and backreferences, and not too large";
                let text = error.to_string();
                let last = text.lines().last().unwrap_or_default().trim_start_matches("error: ");
                self.refuse(value, format!("the regular expression cannot be used: {last}"), remedy)
            }
        }
    }

    /// A value outside a closed vocabulary can never match: that is a slip, and said so.
    fn check_closed(&self, value: &Node, text: &str) {
        let Subject::Field(Field::Normal(normal)) = self.subject else { return };
        let compares_whole = self.modifiers.iter().all(|m| matches!(m, Modifier::Neq | Modifier::All));
        if *normal == Normal::TimeHour && compares_whole {
            return self.check_hour(value, text);
        }
        let Some(known) = normal.vocabulary() else { return };
        let is_known = known.iter().any(|known| known.eq_ignore_ascii_case(text));
        if compares_whole && !text.contains(['*', '?']) && !is_known {
            let remedy = crate::problem::suggest(text, known);
            self.outer.problems.add(value, format!("`{text}` can never match here"), remedy);
        }
    }

    /// Hours are texts of two digits; a number is compared as one.
    fn check_hour(&self, value: &Node, text: &str) {
        let in_day = text.parse::<u8>().is_ok_and(|hour| hour < 24);
        let is_number = matches!(value.data, Data::Int(_));
        if !(text.contains(['*', '?']) || in_day && (is_number || text.len() == 2)) {
            let remedy = "hours are written with two digits, from 00 to 23";
            self.outer.problems.add(value, format!("`{text}` can never match here"), remedy);
        }
    }
}

fn comparison(modifier: Modifier) -> Option<Op> {
    let known =
        [(Modifier::Gt, Op::Gt), (Modifier::Gte, Op::Gte), (Modifier::Lt, Op::Lt), (Modifier::Lte, Op::Lte)];
    known.into_iter().find(|(known, _)| *known == modifier).map(|(_, op)| op)
}

/// A modifier as a rule writes it.
fn word(modifier: Modifier) -> String {
    format!("{modifier:?}").to_lowercase()
}
