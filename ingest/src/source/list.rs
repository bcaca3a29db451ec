//! Walks through a list of records and gives out its members one by one.
//!
//! The list is a top-level array, or the array under one of a few keys of a top-level object.
//! Other members of that object are passed over. Never looks inside a member.

use super::cutter::LOOK_BYTES_MAX;
use super::scan::{Found, Scan, string_end};

/// Keys whose array holds records: `CloudTrail` and Lambda; Azure and Firehose; `LookupEvents`;
/// Google's `entries.list`; Azure's REST interface.
const WRAPPERS: [&[u8]; 5] = [b"Records", b"records", b"Events", b"entries", b"value"];
/// Longest key of a wrapper that is read.
const KEY_BYTES_MAX: usize = 64 * 1024;

/// How far the walk has come. The window always begins with the next token.
#[derive(Debug, Default)]
pub(super) struct List {
    is_object: bool,
    at: At,
}

#[derive(Debug, Default)]
enum At {
    #[default]
    Start,
    Members,
    Value(Scan),
    Items,
    Item(Scan),
}

/// What to do with the first bytes of the window.
#[derive(Debug)]
pub(super) enum Move {
    More,
    Drop(usize),
    /// They are one member of the list.
    Item(usize),
    /// They end the document.
    Closed(usize),
    /// They are a value as long as the limit, scanned up to there.
    TooLong(Option<Scan>),
    /// They make no sense here.
    Malformed,
}

impl List {
    /// Among the members of a list that is a member of an object.
    pub(super) const fn within_object() -> Self {
        Self { is_object: true, at: At::Items }
    }

    /// Looks at the window once; a member may take `limit` bytes.
    pub(super) fn step(&mut self, window: &[u8], limit: usize, finished: bool) -> Move {
        let moved = match &mut self.at {
            At::Start => self.start(window),
            At::Members => self.members(window),
            At::Items => self.items(window),
            At::Value(_) | At::Item(_) => return self.value(window, limit, finished),
        };
        if finished && matches!(moved, Move::More) { Move::Malformed } else { moved }
    }

    fn start(&mut self, window: &[u8]) -> Move {
        self.is_object = window.first() == Some(&b'{');
        self.at = if self.is_object { At::Members } else { At::Items };
        Move::Drop(1)
    }

    fn members(&mut self, window: &[u8]) -> Move {
        let blank = gap(window);
        if blank > 0 {
            return Move::Drop(blank);
        }
        match window.first() {
            None => Move::More,
            Some(b'}') => Move::Closed(1),
            Some(b'"') => self.member(window),
            Some(_) => Move::Malformed,
        }
    }

    fn member(&mut self, window: &[u8]) -> Move {
        match member_head(window) {
            Head::More => Move::More,
            Head::Malformed => Move::Malformed,
            Head::Value { at, is_list } => {
                self.at = if is_list { At::Items } else { At::Value(Scan::default()) };
                Move::Drop(at + usize::from(is_list))
            }
        }
    }

    fn items(&mut self, window: &[u8]) -> Move {
        let blank = gap(window);
        if blank > 0 {
            return Move::Drop(blank);
        }
        match window.first() {
            None => Move::More,
            Some(b']') if self.is_object => {
                self.at = At::Members;
                Move::Drop(1)
            }
            Some(b']') => Move::Closed(1),
            Some(b'}' | b':') => Move::Malformed,
            Some(_) => {
                self.at = At::Item(Scan::default());
                Move::Drop(0)
            }
        }
    }

    fn value(&mut self, window: &[u8], limit: usize, finished: bool) -> Move {
        let is_item = matches!(self.at, At::Item(_));
        let (At::Item(scan) | At::Value(scan)) = &mut self.at else { return Move::Malformed };
        let view = window.get(..limit).unwrap_or(window);
        let found = value_end(view, scan, limit, finished);
        let next = if is_item { At::Items } else { At::Members };
        match found {
            Found::End(bytes) if bytes > 0 => {
                self.at = next;
                if is_item { Move::Item(bytes) } else { Move::Drop(bytes) }
            }
            Found::End(_) | Found::Torn(_) => Move::Malformed,
            Found::More if window.len() >= limit => {
                let scan = std::mem::take(scan);
                self.at = next;
                Move::TooLong(matches!(window.first(), Some(b'{' | b'[')).then_some(scan))
            }
            Found::More if finished => Move::Malformed,
            Found::More => Move::More,
        }
    }
}

/// Where the value that begins `view` ends.
fn value_end(view: &[u8], scan: &mut Scan, limit: usize, finished: bool) -> Found {
    match view.first() {
        Some(b'{' | b'[') => scan.advance(view, limit),
        Some(b'"') => string_end(view),
        _ => match view
            .iter()
            .position(|byte| matches!(byte, b',' | b']' | b'}') || byte.is_ascii_whitespace())
        {
            Some(at) => Found::End(at),
            None if finished => Found::End(view.len()),
            None => Found::More,
        },
    }
}

/// Blanks and commas between members. A missing comma is forgiven: nothing is lost by it.
fn gap(window: &[u8]) -> usize {
    window.iter().take_while(|byte| **byte == b',' || byte.is_ascii_whitespace()).count()
}

enum Head {
    More,
    Malformed,
    /// The value stands here, and is a list of records.
    Value {
        at: usize,
        is_list: bool,
    },
}

/// Reads the key that begins the window, up to its value.
fn member_head(window: &[u8]) -> Head {
    let key_end = match string_end(window.get(..KEY_BYTES_MAX).unwrap_or(window)) {
        Found::End(at) => at,
        Found::More if window.len() < KEY_BYTES_MAX => return Head::More,
        Found::More | Found::Torn(_) => return Head::Malformed,
    };
    let colon = match after_blanks(window, key_end) {
        Some((at, b':')) => at,
        None if window.len() - key_end < LOOK_BYTES_MAX => return Head::More,
        _ => return Head::Malformed,
    };
    match after_blanks(window, colon + 1) {
        Some((at, first)) => {
            let key = window.get(1..key_end - 1).unwrap_or_default();
            Head::Value { at, is_list: first == b'[' && WRAPPERS.contains(&key) }
        }
        None if window.len() - colon < LOOK_BYTES_MAX => Head::More,
        None => Head::Malformed,
    }
}

/// The first byte from `from` on that is no blank, with its place.
fn after_blanks(window: &[u8], from: usize) -> Option<(usize, u8)> {
    let rest = window.get(from..)?;
    let look = rest.get(..LOOK_BYTES_MAX).unwrap_or(rest);
    let blank = look.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
    look.get(blank).map(|byte| (from + blank, *byte))
}

/// Whether the object that begins the window has a list of records as its first member; `None`
/// when more bytes are needed to say.
pub(crate) fn begins_wrapper(window: &[u8]) -> Option<bool> {
    let Some((quote, first)) = after_blanks(window, 1) else {
        return (window.len() > LOOK_BYTES_MAX).then_some(false);
    };
    let rest = window.get(quote + 1..).unwrap_or_default();
    if first != b'"' || !WRAPPERS.iter().any(|key| rest.starts_with(key) || key.starts_with(rest)) {
        return Some(false);
    }
    match member_head(window.get(quote..).unwrap_or_default()) {
        Head::More => None,
        Head::Malformed => Some(false),
        Head::Value { is_list, .. } => Some(is_list),
    }
}

/// Whether the array that begins the window can be a list of records; `None` when more bytes are
/// needed to say. A line such as `[INFO] started` is none.
pub(super) fn begins_array(window: &[u8]) -> Option<bool> {
    match after_blanks(window, 1) {
        Some((_, first)) => Some(matches!(first, b'{' | b'[' | b'"' | b']')),
        None => (window.len() > LOOK_BYTES_MAX).then_some(false),
    }
}

/// Whether the object of which `head` is the beginning has a list of records among the members
/// seen.
pub(super) fn holds_list(head: &[u8]) -> bool {
    let mut at = 1;
    loop {
        let rest = head.get(at..).unwrap_or_default();
        let key = gap(rest);
        let rest = rest.get(key..).unwrap_or_default();
        if rest.first() != Some(&b'"') {
            return false;
        }
        let Head::Value { at: value, is_list } = member_head(rest) else { return false };
        if is_list {
            return true;
        }
        let Found::End(end) =
            value_end(rest.get(value..).unwrap_or_default(), &mut Scan::default(), usize::MAX, false)
        else {
            return false;
        };
        at += key + value + end.max(1);
    }
}
