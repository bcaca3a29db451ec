//! From one event to the matchers that may match it.

use super::MatcherId;
use super::cells::{classes, passes};
use super::cover::{Asked, Cover, Key, Parts as Searched};
use super::expr::Expr;
use super::fast::Tests;
use crate::field::Field;
use crate::text::lower;
use crate::view::View;
use aho_corasick::AhoCorasick;
use hashbrown::{HashMap, HashSet};
use keywatch_event::Class;

/// How many matchers make a table worth having.
#[derive(Clone, Copy, Debug)]
pub(super) struct Worth {
    /// A table of whole texts: below, asking each matcher costs less than looking one up.
    pub(super) whole_min: usize,
    /// An automaton over parts of texts, which reads the whole value.
    pub(super) parts_min: usize,
}

impl Default for Worth {
    fn default() -> Self {
        Self { whole_min: 4, parts_min: 16 }
    }
}

/// A matcher that may match events with these bits.
#[derive(Clone, Copy, Debug)]
struct Posting {
    gate: u64,
    id: MatcherId,
}

/// The tables.
#[derive(Clone, Debug, Default)]
pub(super) struct Index {
    /// By class: matchers that nothing else tells apart.
    always: Vec<Vec<Posting>>,
    fields: Vec<OfField>,
}

/// Tables over the values of one field.
#[derive(Clone, Debug)]
struct OfField {
    field: Field,
    /// Fields of the record that stand in for it where the event says nothing.
    twins: Vec<Field>,
    /// Events with other bits cannot match any matcher of these tables.
    gate: u64,
    whole: HashMap<Box<str>, Vec<Posting>>,
    parts: Option<Parts>,
}

#[derive(Clone, Debug)]
struct Parts {
    automaton: AhoCorasick,
    /// By number of the text in the automaton.
    postings: Vec<Vec<Posting>>,
}

impl Index {
    pub(super) fn new(exprs: &[Expr], tests: &Tests, worth: Worth) -> Self {
        let mut asked = Asked::default();
        for expr in exprs {
            asked.count(expr, tests);
        }
        let best = |expr: &Expr, parts| asked.best(expr, tests, parts);
        let mut covers: Vec<Option<Cover>> = exprs.iter().map(|expr| best(expr, Searched::Shared)).collect();
        // A search that turns out to serve few is not worth it: whole texts then, where there are any.
        replace_small_tables(&mut covers, worth, |id| {
            exprs.get(id).and_then(|expr| best(expr, Searched::Alone))
        });
        replace_small_tables(&mut covers, worth, |_| None);
        let mut index = Self { always: vec![Vec::new(); Class::NAMES.len()], fields: Vec::new() };
        let mut builders: Vec<Builder> = Vec::new();
        for (id, (expr, cover)) in exprs.iter().zip(covers).enumerate() {
            let id = MatcherId(id);
            match cover {
                Some(cover) => {
                    let posting = Posting { gate: expr.gate(), id };
                    for key in cover {
                        add(&mut builders, key, posting);
                    }
                }
                None => expr.gates().into_iter().for_each(|gate| index.always(Posting { gate, id })),
            }
        }
        for builder in builders {
            let (of_field, left_over) = builder.finish();
            index.fields.push(of_field);
            for posting in left_over {
                index.always(posting);
            }
        }
        index
    }

    fn always(&mut self, posting: Posting) {
        for class in classes(posting.gate) {
            if let Some(list) = self.always.get_mut(class) {
                list.push(posting);
            }
        }
    }

    /// Adds every matcher that may match; in no order, and some perhaps twice.
    pub(super) fn candidates(&self, cells: u64, view: &View<'_>, found: &mut Vec<MatcherId>) {
        let take = |postings: &[Posting], found: &mut Vec<MatcherId>| {
            found.extend(postings.iter().filter(|p| passes(cells, p.gate)).map(|p| p.id));
        };
        if let Some(list) = self.always.get(view.event().class as usize) {
            take(list, found);
        }
        for field in self.fields.iter().filter(|field| passes(cells, field.gate)) {
            field.each_value(view, &mut |value| {
                field.each_posting(value, &mut |postings| take(postings, found));
                false
            });
        }
    }
}

impl OfField {
    fn each_value(&self, view: &View<'_>, visit: &mut dyn FnMut(&str) -> bool) {
        if let Field::Normal(normal) = self.field
            && !self.twins.is_empty()
            && normal.said(view).is_none()
        {
            self.twins.iter().for_each(|twin| {
                twin.any(view, &mut *visit);
            });
        }
        self.field.any(view, visit);
    }

    fn each_posting(&self, value: &str, take: &mut dyn FnMut(&[Posting])) {
        lower(value, |value| {
            if let Some(postings) = self.whole.get(value) {
                take(postings);
            }
            let Some(parts) = &self.parts else { return };
            for found in parts.automaton.find_overlapping_iter(value) {
                if let Some(postings) = parts.postings.get(found.pattern().as_usize()) {
                    take(postings);
                }
            }
        });
    }
}

/// The field whose table a key goes to: fields that repeat a normalised one share its table.
fn table_of(field: &Field) -> Field {
    match field {
        Field::Raw(raw) => raw.twin.map_or_else(|| field.clone(), Field::Normal),
        Field::Normal(_) => field.clone(),
    }
}

/// Replaces the covers that would make a table too small to be worth a look by what `other` says.
fn replace_small_tables(covers: &mut [Option<Cover>], worth: Worth, other: impl Fn(usize) -> Option<Cover>) {
    let mut users: HashMap<(Field, bool), HashSet<usize>> = HashMap::new();
    for (id, cover) in covers.iter().enumerate() {
        for key in cover.iter().flatten() {
            users.entry((table_of(&key.field), key.whole)).or_default().insert(id);
        }
    }
    let is_small = |key: &Key| {
        let users = users.get(&(table_of(&key.field), key.whole)).map_or(0, HashSet::len);
        users < if key.whole { worth.whole_min } else { worth.parts_min }
    };
    for (id, cover) in covers.iter_mut().enumerate() {
        if cover.iter().flatten().any(is_small) {
            *cover = other(id);
        }
    }
}

/// Tables being filled.
struct Builder {
    table: Field,
    twins: Vec<Field>,
    gate: u64,
    whole: HashMap<Box<str>, Vec<Posting>>,
    parts: HashMap<String, Vec<Posting>>,
}

fn add(builders: &mut Vec<Builder>, key: Key, posting: Posting) {
    let table = table_of(&key.field);
    if !builders.iter().any(|builder| builder.table == table) {
        let (whole, parts) = (HashMap::new(), HashMap::new());
        builders.push(Builder { table: table.clone(), twins: Vec::new(), gate: 0, whole, parts });
    }
    if let Some(builder) = builders.iter_mut().find(|builder| builder.table == table) {
        builder.add(key, posting);
    }
}

impl Builder {
    fn add(&mut self, key: Key, posting: Posting) {
        self.gate |= posting.gate;
        let list = if key.whole {
            self.whole.entry(key.text.into()).or_default()
        } else {
            self.parts.entry(key.text).or_default()
        };
        if list.last().is_none_or(|last| last.id != posting.id) {
            list.push(posting);
        }
        if key.field != self.table && !self.twins.contains(&key.field) {
            self.twins.push(key.field);
        }
    }

    /// The tables, and the matchers an automaton could not be built for.
    fn finish(self) -> (OfField, Vec<Posting>) {
        let (texts, mut postings): (Vec<String>, Vec<Vec<Posting>>) = self.parts.into_iter().unzip();
        let mut left_over = Vec::new();
        let parts = if texts.is_empty() {
            None
        } else if let Ok(automaton) = AhoCorasick::new(&texts) {
            Some(Parts { automaton, postings })
        } else {
            left_over = postings.drain(..).flatten().collect();
            None
        };
        let Self { table: field, twins, gate, whole, .. } = self;
        (OfField { field, twins, gate, whole, parts }, left_over)
    }
}
