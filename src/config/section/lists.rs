//! A list that rules refer to: its values, or the file that has them.

use crate::config::frame::{At, Data, Key, Kind, Node, Problems, Setting, need, section};
use std::path::PathBuf;

section! {
    /// The file of a list.
    pub(crate) struct ListFile {
        /// A text file with one value per line, or `ip-ranges.json` as AWS publishes it.
        file: PathBuf = need("name a file with one value per line"),
    }
}

/// Where the values of a list are.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum ListSource {
    /// In the configuration.
    Inline(Vec<At<Item>>),
    /// In a file.
    File(ListFile),
}

/// One value; whether it was written as a number, where leading zeros are lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) text: String,
    pub(crate) is_number: bool,
}

impl Setting for Item {
    const KIND: Kind = Kind::Text;

    fn read(node: &Node, key: &Key, problems: &Problems) -> Option<Self> {
        let Some(text) = node.text() else {
            problems.add(&node.origin, format!("`{}` holds texts, not {}", key.name, node.kind()), "");
            return None;
        };
        Some(Self { text, is_number: matches!(node.data, Data::Whole(_)) })
    }
}

impl Setting for ListSource {
    const KIND: Kind = Kind::Either(&[Kind::List(&Kind::Text), ListFile::KIND]);

    fn read(node: &Node, key: &Key, problems: &Problems) -> Option<Self> {
        match node.data {
            Data::Null => Some(Self::Inline(Vec::new())),
            Data::Map(_) => ListFile::read(node, key, problems).map(Self::File),
            Data::Bool(_) | Data::Whole(_) | Data::Number(_) | Data::Text(_) | Data::List(_) => {
                Vec::read(node, key, problems).map(Self::Inline)
            }
        }
    }
}
