//! What must hold for a test to pass, said as texts of which its field must have one.

use crate::matcher::{Item, Test};
use crate::pattern::{Pattern, Shape};

/// One text a field must have, or have in it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    /// Lower case.
    pub(super) text: String,
    /// Whether the whole value is that text, rather than some part of it.
    pub(super) whole: bool,
}

/// Texts of which one must be there.
pub(super) type Cover = Vec<Key>;

/// Shortest part of a text worth looking for: shorter ones are in too many values.
const PART_MIN: usize = 3;

/// The texts of which an item's field must have one for the item to hold; `None` when something
/// else can make it hold.
pub(super) fn cover(item: &Item) -> Option<Cover> {
    if item.negated || item.part.is_some() {
        return None;
    }
    if item.all {
        // Each test must hold; any one of them will do.
        let covers = item.tests.iter().filter_map(cover_of);
        return covers.min_by_key(|cover| (cover.iter().any(|key| !key.whole), cover.len()));
    }
    let covers: Option<Vec<Cover>> = item.tests.iter().map(cover_of).collect();
    covers.map(|covers| covers.concat())
}

fn cover_of(test: &Test) -> Option<Cover> {
    let Test::Text(patterns) = test else { return None };
    patterns.iter().map(key).collect()
}

fn key(pattern: &Pattern) -> Option<Key> {
    let whole = match pattern.shape {
        Shape::Whole => true,
        Shape::Start | Shape::End | Shape::Anywhere => false,
        Shape::Glob(_) => return None,
    };
    // A cased text is found in lower case too: the lower case of a value holds it.
    let text = pattern.plain.to_lowercase();
    (whole || text.len() >= PART_MIN).then_some(Key { text, whole })
}
