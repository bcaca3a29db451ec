//! One comparison of one value, as the rule wrote it.

use super::time::Part;
use crate::field::Field;
use crate::pattern::{Open, Pattern, Shape};
use crate::text::lower;
use crate::view::View;
use ipnet::IpNet;
use regex::Regex;
use std::net::IpAddr;

/// Whole numbers up to here have one binary form.
const EXACT_MAX: f64 = 9_007_199_254_740_992.0;

/// What is asked of a field's values.
#[derive(Clone, Debug)]
pub(crate) enum Test {
    /// One of these texts: one as a rule, several where a modifier writes a text in several ways.
    Text(Vec<Pattern>),
    /// The number, however it is written, or the same text.
    Number(f64, String),
    Regex(Regex),
    Cidr(IpNet),
    Compare(Op, f64),
    Exists(bool),
    /// No value but empty ones.
    Null,
    SameAs(SameAs),
    List(ListTest),
}

/// A comparison of numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    Gt,
    Gte,
    Lt,
    Lte,
}

/// The value, or a part of it, is a value of another field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SameAs {
    pub(crate) other: Field,
    pub(crate) open: Open,
    pub(crate) cased: bool,
}

/// The value is one of a list the operator supplies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ListTest {
    pub(crate) name: String,
    /// What the rule writes around the listed value.
    pub(crate) before: String,
    pub(crate) after: String,
    pub(crate) open: Open,
    pub(crate) cased: bool,
    /// The list holds networks.
    pub(crate) cidr: bool,
}

/// Calls a closure with each value until it answers true; whether it did.
pub(crate) type Values<'t> = &'t dyn Fn(&mut dyn FnMut(&str) -> bool) -> bool;

impl Test {
    /// Whether some value passes; `part` is taken of each value first.
    pub(crate) fn holds(&self, values: Values<'_>, part: Option<Part>, view: &View<'_>) -> bool {
        match self {
            Self::Exists(wanted) => values(&mut |_| true) == *wanted,
            Self::Null => !values(&mut |value| !value.is_empty()),
            // Most lists are empty at most sites: no value is made to be looked up in one.
            Self::List(list) if list.is_empty(view) => false,
            Self::Text(_)
            | Self::Number(..)
            | Self::Regex(_)
            | Self::Cidr(_)
            | Self::Compare(..)
            | Self::SameAs(_)
            | Self::List(_) => values(&mut |value| match part {
                Some(part) => part.of(value).is_some_and(|value| self.fits(&value, view)),
                None => self.fits(value, view),
            }),
        }
    }

    /// Whether a value passes whatever else the event holds; `None` when that decides.
    pub(crate) fn fits_alone(&self, value: &str) -> Option<bool> {
        match self {
            Self::Text(any) => Some(any.iter().any(|pattern| pattern.fits(value))),
            Self::Number(number, text) => Some(value == text || is_number(value, *number)),
            Self::Regex(regex) => Some(regex.is_match(value)),
            Self::Cidr(net) => Some(value.parse::<IpAddr>().is_ok_and(|ip| net.contains(&ip))),
            Self::Compare(op, bound) => {
                Some(value.parse::<f64>().is_ok_and(|number| op.holds(number, *bound)))
            }
            Self::SameAs(_) | Self::List(_) => None,
            Self::Exists(_) | Self::Null => Some(false),
        }
    }

    /// Whether only texts written out pass, none by a wildcard.
    pub(crate) fn is_literal(&self) -> bool {
        matches!(self, Self::Text(any) if any.iter().all(|pattern| matches!(pattern.shape, Shape::Whole)))
    }

    fn fits(&self, value: &str, view: &View<'_>) -> bool {
        match self {
            Self::SameAs(same) => same.fits(value, view),
            Self::List(list) => list.fits(value, view),
            Self::Text(_)
            | Self::Number(..)
            | Self::Regex(_)
            | Self::Cidr(_)
            | Self::Compare(..)
            | Self::Exists(_)
            | Self::Null => self.fits_alone(value).unwrap_or_default(),
        }
    }
}

fn is_number(value: &str, number: f64) -> bool {
    // Beyond that, different numbers read as one.
    number.abs() < EXACT_MAX && value.parse::<f64>().is_ok_and(|read| read.total_cmp(&number).is_eq())
}

impl Op {
    pub(crate) fn holds(self, number: f64, bound: f64) -> bool {
        match self {
            Self::Gt => number > bound,
            Self::Gte => number >= bound,
            Self::Lt => number < bound,
            Self::Lte => number <= bound,
        }
    }
}

impl SameAs {
    fn fits(&self, value: &str, view: &View<'_>) -> bool {
        self.other.any(view, &mut |other| {
            if self.cased {
                return self.stands(value, other);
            }
            lower(value, |value| lower(other, |other| self.stands(value, other)))
        })
    }

    /// Whether `other` is the value, or stands where the rule says.
    fn stands(&self, value: &str, other: &str) -> bool {
        match self.open {
            Open { start: false, end: false } => value == other,
            Open { start: false, end: true } => value.starts_with(other),
            Open { start: true, end: false } => value.ends_with(other),
            Open { start: true, end: true } => value.contains(other),
        }
    }
}

impl ListTest {
    fn is_empty(&self, view: &View<'_>) -> bool {
        view.around().lists.list(&self.name).is_none_or(|list| list.values().is_empty())
    }

    pub(crate) fn fits(&self, value: &str, view: &View<'_>) -> bool {
        let Some(list) = view.around().lists.list(&self.name) else { return false };
        if self.cidr {
            return value.parse::<IpAddr>().is_ok_and(|ip| list.spans(ip));
        }
        let is_bare = self.before.is_empty() && self.after.is_empty() && self.open == Open::default();
        if is_bare && !self.cased {
            return list.has(value);
        }
        list.values().iter().any(|listed| {
            let text = format!("{}{listed}{}", self.before, self.after);
            Pattern::new(&text, self.open, self.cased).is_ok_and(|pattern| pattern.fits(value))
        })
    }
}
