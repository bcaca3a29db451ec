//! The fields a rule may name, and their values in one event.
//!
//! What a name means depends on the rule's log source: for Keywatch's own events it is a
//! normalised field, or `raw.` and a dotted path into the provider's record; for a provider's
//! log source it is a path in that record. A field may have no value, one, or several (an event
//! that names three secrets has three `secrets.id`).

mod derived;
mod grantee;
mod names;
mod normal;
mod noun;

pub(crate) use derived::{Derived, delay_secs};
pub use grantee::Grantee;
pub use normal::Normal;
pub(crate) use noun::joint;

use crate::log_source::{LogSource, Origin};
use crate::view::View;
use std::sync::Arc;

/// One field of an event.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Field {
    /// A normalised field.
    Normal(Normal),
    /// A part of the provider's own record.
    Raw(Arc<Raw>),
}

/// A field of the provider's own record.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Raw {
    /// The dotted paths it may stand at; the values of all of them count.
    pub(crate) paths: Vec<Box<str>>,
    /// The normalised field the normaliser fills from these paths word for word. The record is
    /// read only where that is empty.
    pub(crate) twin: Option<Normal>,
}

impl Field {
    /// Reads a field name of a rule for `source`.
    ///
    /// # Errors
    /// What to write instead.
    pub fn parse(name: &str, source: &LogSource) -> Result<Self, String> {
        if name.is_empty() {
            return Err("write the name of a field".to_owned());
        }
        if let Some(path) = name.strip_prefix("raw.") {
            return Ok(Self::raw(&[path], None));
        }
        if source.origin() != Origin::Keywatch {
            return Ok(names::field(name, source.provider()));
        }
        Normal::parse(name).map(Self::Normal).ok_or_else(|| {
            if let Some(near) = crate::problem::nearest(name, Normal::NAMES.iter().copied()) {
                return format!("did you mean `{near}`? (a field of the provider's own record is written `raw.{name}`)");
            }
            format!(
                "a field of the provider's own record is written `raw.{name}`, or as it is where the `logsource` is the \
                 provider's, as `{{product: aws, service: cloudtrail}}`; Keywatch's own are {}",
                Normal::NAMES.join(", ")
            )
        })
    }

    fn raw(paths: &[&str], twin: Option<Normal>) -> Self {
        Self::Raw(Arc::new(Raw { paths: paths.iter().map(|&path| path.into()).collect(), twin }))
    }

    /// Whether this is the named normalised field.
    #[must_use]
    pub fn is(&self, normal: Normal) -> bool {
        *self == Self::Normal(normal)
    }

    /// The paths of the raw record it may read.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        let paths = match self {
            Self::Normal(_) => &[][..],
            Self::Raw(raw) => &raw.paths,
        };
        paths.iter().map(|path| &**path)
    }

    /// Calls `visit` with each value until it answers true; whether it did.
    pub fn any(&self, view: &View<'_>, visit: &mut dyn FnMut(&str) -> bool) -> bool {
        match self {
            Self::Normal(normal) => normal.any(view, visit),
            Self::Raw(raw) => match raw.twin.and_then(|twin| twin.said(view)) {
                Some(value) => visit(value),
                None => raw.paths.iter().any(|path| view.raw_any(path, visit)),
            },
        }
    }

    /// Every value, owned.
    #[must_use]
    pub fn values(&self, view: &View<'_>) -> Vec<String> {
        let mut all = Vec::new();
        self.any(view, &mut |value| {
            all.push(value.to_owned());
            false
        });
        all
    }

    /// The first value that is a number.
    #[must_use]
    pub fn number(&self, view: &View<'_>) -> Option<f64> {
        let mut number = None;
        self.any(view, &mut |value| {
            number = value.parse().ok().filter(|number: &f64| number.is_finite());
            number.is_some()
        });
        number
    }
}

#[cfg(test)]
mod tests;
