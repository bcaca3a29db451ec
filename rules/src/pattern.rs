//! Texts with wildcards: `*` any characters, `?` one, `\` takes the next literally
//! (Sigma specification 2.1, "String Wildcard").
//!
//! The usual forms compare directly; the others become a regular expression, whose time is
//! linear in the value. Without `cased`, values compare without regard to case.

use crate::text::lower;
use regex::{Regex, RegexBuilder};
use rsigma_parser::{SigmaString, SpecialChar, StringPart};

/// Largest compiled pattern; keeps hostile expressions from costing memory.
pub(crate) const REGEX_BYTES_MAX: usize = 1 << 20;

/// One text a value is compared with.
#[derive(Clone, Debug)]
pub struct Pattern {
    pub(crate) shape: Shape,
    /// The text without wildcards at its ends; lower case unless `cased`. Empty for a glob.
    pub(crate) plain: String,
    pub(crate) cased: bool,
}

/// Where in a value the text must stand.
#[derive(Clone, Debug)]
pub(crate) enum Shape {
    Whole,
    Start,
    End,
    Anywhere,
    Glob(Regex),
}

/// What a text gets around it before it is compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Open {
    /// Anything may stand before it.
    pub(crate) start: bool,
    /// Anything may stand behind it.
    pub(crate) end: bool,
}

impl Pattern {
    /// The pattern of a listed value: whole, without regard to case, wildcards allowed.
    ///
    /// # Errors
    /// Why the text is too large to be one.
    pub fn listed(text: &str) -> Result<Self, String> {
        Self::new(text, Open::default(), false)
    }

    /// The pattern of a text with wildcards.
    pub(crate) fn new(text: &str, open: Open, cased: bool) -> Result<Self, String> {
        Self::of(SigmaString::new(text).parts, open, cased)
    }

    /// The pattern of a text in which nothing is a wildcard.
    pub(crate) fn literal(text: &str, open: Open, cased: bool) -> Result<Self, String> {
        Self::of(SigmaString::from_raw(text).parts, open, cased)
    }

    fn of(mut parts: Vec<StringPart>, open: Open, cased: bool) -> Result<Self, String> {
        let star = StringPart::Special(SpecialChar::WildcardMulti);
        if open.start && parts.first() != Some(&star) {
            parts.insert(0, star.clone());
        }
        if open.end && (parts.last() != Some(&star) || parts.len() == 1) {
            parts.push(star.clone());
        }
        let plain = |plain: &str, shape| {
            let plain = if cased { plain.to_owned() } else { plain.to_lowercase() };
            Ok(Self { shape, plain, cased })
        };
        match parts.as_slice() {
            [] => plain("", Shape::Whole),
            [StringPart::Plain(text)] => plain(text, Shape::Whole),
            [one] if *one == star => plain("", Shape::Anywhere),
            [one, two] if *one == star && *two == star => plain("", Shape::Anywhere),
            [StringPart::Plain(text), end] if *end == star => plain(text, Shape::Start),
            [start, StringPart::Plain(text)] if *start == star => plain(text, Shape::End),
            [start, StringPart::Plain(text), end] if *start == star && *end == star => {
                plain(text, Shape::Anywhere)
            }
            parts => glob(parts, cased),
        }
    }

    /// Whether `value` is what the pattern describes.
    #[must_use]
    pub fn fits(&self, value: &str) -> bool {
        match &self.shape {
            Shape::Glob(regex) => regex.is_match(value),
            Shape::Whole if !self.cased && value.is_ascii() => self.plain.eq_ignore_ascii_case(value),
            Shape::Anywhere if self.plain.is_empty() => true,
            Shape::Whole | Shape::Start | Shape::End | Shape::Anywhere if self.cased => self.stands_in(value),
            Shape::Whole | Shape::Start | Shape::End | Shape::Anywhere => {
                lower(value, |value| self.stands_in(value))
            }
        }
    }

    fn stands_in(&self, value: &str) -> bool {
        match self.shape {
            Shape::Whole => value == self.plain,
            Shape::Start => value.starts_with(&self.plain),
            Shape::End => value.ends_with(&self.plain),
            Shape::Anywhere => value.contains(&self.plain),
            Shape::Glob(_) => false,
        }
    }
}

fn glob(parts: &[StringPart], cased: bool) -> Result<Pattern, String> {
    let pieces = parts.iter().map(|part| match part {
        StringPart::Plain(plain) => regex::escape(plain),
        StringPart::Special(SpecialChar::WildcardMulti) => ".*".to_owned(),
        StringPart::Special(SpecialChar::WildcardSingle) => ".".to_owned(),
    });
    let built = RegexBuilder::new(&format!("^{}$", pieces.collect::<String>()))
        .case_insensitive(!cased)
        .dot_matches_new_line(true)
        .size_limit(REGEX_BYTES_MAX)
        .build();
    let regex = built.map_err(|error| format!("the text with wildcards cannot be used: {error}"))?;
    Ok(Pattern { shape: Shape::Glob(regex), plain: String::new(), cased })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, value: &str, want: bool) {
        assert_eq!(Pattern::listed(text).unwrap().fits(value), want, "{text} on {value}");
    }

    #[test]
    fn wildcards_stand_for_characters_and_escapes_for_themselves() {
        check("aws-CLI", "AWS-cli", true);
        check("aws*", "aws-cli/2", true);
        check("*cli*", "AWS-CLI/2", true);
        check("*cli", "AWS-CLI/2", false);
        check("a?s*2", "aws-cli/2", true);
        check("a?s*3", "aws-cli/2", false);
        check("*", "", true);
        check("", "", true);
        check("", "x", false);
        check("a\\*b", "a*b", true);
        check("a\\*b", "axb", false);
        check("É*", "éa", true);
    }

    #[test]
    fn many_wildcards_on_a_long_value_take_no_time() {
        check("*a*a*a*a*a*a*a*a*a*b", &"a".repeat(200_000), false);
    }
}
