//! How sections are declared.

use super::node::{Node, Problems};
use std::ops::RangeInclusive;

/// Least and greatest value, in the unit of the kind: as is, milliseconds, bytes.
pub(crate) type Bounds = Option<(i64, i64)>;

/// One key of a section.
#[derive(Debug)]
pub(crate) struct Key {
    /// Its name in the file.
    pub(crate) name: &'static str,
    /// Its doc comment.
    pub(crate) text: &'static str,
    /// What is written there.
    pub(crate) kind: Kind,
    /// Between which limits.
    pub(crate) bounds: Bounds,
    /// What holds when it is not there.
    pub(crate) presence: Presence,
}

/// A mapping with known keys.
#[derive(Debug)]
pub(crate) struct Section {
    /// Its doc comment.
    pub(crate) text: &'static str,
    /// Its keys, in the order of the reference.
    pub(crate) keys: &'static [Key],
    /// Exactly one of these stands there; empty when nothing of the kind is asked.
    pub(crate) one_of: &'static [&'static str],
}

/// What is written as the value of a key.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Text,
    Truth,
    Whole,
    Number,
    Duration,
    Size,
    Path,
    Network,
    Socket,
    Time,
    Url,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A reference to a secret.
    Secret,
    /// A reference to a secret, or the secret itself.
    Credential,
    /// The same for a URL that holds a secret.
    CredentialUrl,
    List(&'static Kind),
    /// Names of the user's choice.
    Map(&'static Kind),
    Section(&'static Section),
    /// Any of these.
    Either(&'static [Kind]),
}

impl Kind {
    /// Whether `<key>_file` may stand in the place of `<key>`.
    pub(crate) const fn has_file_twin(self) -> bool {
        matches!(self, Self::Secret | Self::Credential | Self::CredentialUrl)
    }

    /// Whether a lone value of this kind may stand for a list of one.
    pub(crate) const fn is_plain(self) -> bool {
        !matches!(self, Self::List(_) | Self::Map(_) | Self::Section(_) | Self::Either(_))
    }
}

/// What holds when a key is not there.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Presence {
    /// Nothing, or an empty list.
    Optional,
    /// A section with the defaults of its keys.
    Implied,
    /// This, written as YAML.
    Default(&'static str),
    /// It must be there; what to write.
    Needed(&'static str),
}

/// A key that must be there, with what to write.
pub(crate) const fn need(remedy: &'static str) -> Presence {
    Presence::Needed(remedy)
}

/// What holds when a key is not there, as YAML.
pub(crate) const fn default(yaml: &'static str) -> Presence {
    Presence::Default(yaml)
}

/// Bounds from a range.
pub(crate) const fn within(range: &RangeInclusive<i64>) -> (i64, i64) {
    (*range.start(), *range.end())
}

/// A type that can be read from a configuration.
pub(crate) trait Setting: Sized {
    /// What is written.
    const KIND: Kind;
    /// What holds when its key is left out, unless the key says otherwise.
    const PRESENCE: Presence = Presence::Needed("");

    /// Reads `node`, the value of `key`; `None` after telling what is wrong.
    fn read(node: &Node, key: &Key, problems: &Problems) -> Option<Self>;

    /// What holds when the key is not there.
    fn absent() -> Option<Self> {
        None
    }
}

/// Presence of a section: implied when every key may be left out.
pub(crate) const fn presence_of(keys: &[Key]) -> Presence {
    let mut rest = keys;
    while let [key, more @ ..] = rest {
        if matches!(key.presence, Presence::Needed(_)) {
            return Presence::Needed("");
        }
        rest = more;
    }
    Presence::Implied
}

/// Declares a section; see the guide in `src/config/frame.rs`.
macro_rules! section {
    (
        $(#[doc = $text:literal])+
        $vis:vis struct $name:ident {
            $(
                $(#[doc = $doc:literal])+
                $field:ident : $type:ty $(as $rename:literal)? $([$bounds:expr])? $(= $presence:expr)?
            ),+ $(,)?
        }
        $(one_of: [$($choice:ident),+ $(,)?];)?
        $(check: $check:path;)?
    ) => {
        $(#[doc = $text])+
        #[derive(Clone, Debug, PartialEq)]
        $vis struct $name {
            $( $(#[doc = $doc])+ $vis $field: $type, )+
        }

        impl $name {
            /// The keys, as declared.
            pub(crate) const KEYS: &'static [$crate::config::frame::Key] = &[
                $( $crate::config::frame::Key {
                    name: $crate::config::frame::section!(@name $field $($rename)?),
                    text: concat!($($doc, "\n"),+),
                    kind: <$type as $crate::config::frame::Setting>::KIND,
                    bounds: $crate::config::frame::section!(@bounds $($bounds)?),
                    presence: $crate::config::frame::section!(@presence $type $(= $presence)?),
                } ),+
            ];
            /// The section, as declared.
            pub(crate) const SECTION: $crate::config::frame::Section = $crate::config::frame::Section {
                text: concat!($($text, "\n"),+),
                keys: Self::KEYS,
                one_of: &[$($(stringify!($choice)),+)?],
            };
        }

        impl $crate::config::frame::Setting for $name {
            const KIND: $crate::config::frame::Kind = $crate::config::frame::Kind::Section(&Self::SECTION);
            const PRESENCE: $crate::config::frame::Presence = $crate::config::frame::presence_of(Self::KEYS);

            fn read(
                node: &$crate::config::frame::Node,
                _key: &$crate::config::frame::Key,
                problems: &$crate::config::frame::Problems,
            ) -> Option<Self> {
                let table = $crate::config::frame::Table::open(node, &Self::SECTION, problems)?;
                $( let $field = table.field::<$type>($crate::config::frame::section!(@name $field $($rename)?)); )+
                let whole = Self { $( $field: $field? ),+ };
                $( $check(&whole, &node.origin, problems); )?
                Some(whole)
            }

            fn absent() -> Option<Self> {
                let unheard = $crate::config::frame::Problems::default();
                let key = Self::KEYS.first()?;
                match <Self as $crate::config::frame::Setting>::PRESENCE {
                    $crate::config::frame::Presence::Implied => {
                        Self::read(&$crate::config::frame::Node::empty(), key, &unheard)
                    }
                    _ => None,
                }
            }
        }
    };
    (@name $field:ident) => { stringify!($field) };
    (@name $field:ident $rename:literal) => { $rename };
    (@bounds) => { None };
    (@bounds $bounds:expr) => { Some($crate::config::frame::within(&($bounds))) };
    (@presence $type:ty = $presence:expr) => { $presence };
    (@presence $type:ty) => {
        <$type as $crate::config::frame::Setting>::PRESENCE
    };
}

/// Declares a choice of words: `choice! { /// … pub(crate) enum Format { /// … Json = "json" } }`.
macro_rules! choice {
    (
        $(#[doc = $text:literal])+
        $vis:vis enum $name:ident { $( $(#[doc = $doc:literal])+ $variant:ident = $word:literal ),+ $(,)? }
    ) => {
        $(#[doc = $text])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        $vis enum $name { $( $(#[doc = $doc])+ $variant ),+ }

        impl $crate::config::frame::Setting for $name {
            const KIND: $crate::config::frame::Kind = $crate::config::frame::Kind::Choice(&[$($word),+]);

            fn read(
                node: &$crate::config::frame::Node,
                key: &$crate::config::frame::Key,
                problems: &$crate::config::frame::Problems,
            ) -> Option<Self> {
                let word = $crate::config::frame::word(node, key, &[$($word),+], problems)?;
                match word { $( $word => Some(Self::$variant), )+ _ => None }
            }
        }
    };
}

pub(crate) use {choice, section};
