//! From a value to the tests it may pass, where many tests ask for the same field.
//!
//! Whole texts are looked up in a hash table and parts of texts in one automaton, so that a value
//! nobody asks for costs the same however many tests there are. It may name a test too many,
//! never one too few.

use super::cover::{Cover, cover};
use super::fast::Tests;
use crate::field::Field;
use crate::text::lower;
use crate::view::View;
use aho_corasick::AhoCorasick;
use hashbrown::HashMap;

/// The tests of one field, by what its values must have.
#[derive(Clone, Debug)]
pub(super) struct Sieve {
    field: Field,
    whole: HashMap<Box<str>, Vec<usize>>,
    parts: Option<Parts>,
    /// Tests of which no text says when they pass.
    others: Vec<usize>,
}

#[derive(Clone, Debug)]
struct Parts {
    automaton: AhoCorasick,
    /// By number of the text in the automaton.
    tests: Vec<Vec<usize>>,
}

impl Sieve {
    /// A sieve for `asked`, of which each either reads the values of `field` or those of another
    /// field.
    pub(super) fn new(field: &Field, asked: &[usize], tests: &Tests) -> Self {
        let (mut whole, mut parts) = (HashMap::new(), HashMap::new());
        let mut others = Vec::new();
        for test in asked.iter().copied() {
            let item = tests.item(test).filter(|item| reads(item.field(), field));
            match item.and_then(cover) {
                Some(cover) => add(&mut whole, &mut parts, cover, test),
                None => others.push(test),
            }
        }
        let (wanted, of_text): (Vec<String>, Vec<Vec<usize>>) = parts.into_iter().unzip();
        let parts = if wanted.is_empty() {
            None
        } else if let Ok(automaton) = AhoCorasick::new(&wanted) {
            Some(Parts { automaton, tests: of_text })
        } else {
            others.extend(of_text.into_iter().flatten());
            None
        };
        Self { field: field.clone(), whole, parts, others }
    }

    /// Calls `visit` with every test that may pass, some perhaps twice.
    pub(super) fn each(&self, view: &View<'_>, visit: &mut dyn FnMut(usize)) {
        self.others.iter().copied().for_each(&mut *visit);
        self.field.any(view, &mut |value| {
            lower(value, |value| {
                self.whole.get(value).into_iter().flatten().copied().for_each(&mut *visit);
                let Some(parts) = &self.parts else { return };
                for found in parts.automaton.find_overlapping_iter(value) {
                    let tests = parts.tests.get(found.pattern().as_usize());
                    tests.into_iter().flatten().copied().for_each(&mut *visit);
                }
            });
            false
        });
    }
}

/// Whether a test of the field `read` sees the values of `field`. One whose twin that is sees them
/// wherever there are any, and is asked only then.
fn reads(read: Option<&Field>, field: &Field) -> bool {
    match (read, field) {
        (Some(Field::Raw(raw)), Field::Normal(normal)) => raw.twin == Some(*normal),
        (read, field) => read == Some(field),
    }
}

fn add(
    whole: &mut HashMap<Box<str>, Vec<usize>>,
    parts: &mut HashMap<String, Vec<usize>>,
    cover: Cover,
    test: usize,
) {
    for key in cover {
        let list = if key.whole {
            whole.entry(key.text.into()).or_default()
        } else {
            parts.entry(key.text).or_default()
        };
        if list.last() != Some(&test) {
            list.push(test);
        }
    }
}
