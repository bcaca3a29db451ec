//! Visits the values of a JSON text with the keys that lead to them.
//!
//! Never fails: what is torn ends where it ends, and what is no JSON has no values. It decides
//! nothing; whether the text is valid is for the reader of the record to say.

use keywatch_event::json::DEPTH_MAX;
use std::ops::Range;

/// A value that holds no others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Leaf {
    /// Its bytes, without the quotes of a string.
    pub(super) range: Range<usize>,
    pub(super) is_string: bool,
}

/// Keys from the outermost in; members of a list have the key of the list.
pub(super) type Path<'p, 'a> = &'p [&'a [u8]];

struct Walk<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Per open object or list: how long the path was outside of it, and whether it is an object.
    open: Vec<(usize, bool)>,
    path: Vec<&'a [u8]>,
    /// Containers that are open beyond the depth a record may have.
    deeper: usize,
}

/// Hands every leaf of `bytes` to `visit`.
pub(super) fn walk<'a>(bytes: &'a [u8], visit: &mut dyn FnMut(Path<'_, 'a>, Leaf)) {
    let mut walk = Walk { bytes, at: 0, open: Vec::new(), path: Vec::new(), deeper: 0 };
    while let Some(byte) = bytes.get(walk.at) {
        match byte {
            b'"' => walk.string(visit),
            b'{' | b'[' => walk.enter(*byte == b'{'),
            b'}' | b']' => walk.leave(),
            b'0'..=b'9' | b'-' if !walk.open.is_empty() => walk.number(visit),
            _ => walk.at += 1,
        }
    }
}

impl<'a> Walk<'a> {
    fn enter(&mut self, is_object: bool) {
        self.at += 1;
        if self.open.len() > DEPTH_MAX {
            self.deeper += 1;
        } else {
            self.open.push((self.path.len(), is_object));
        }
    }

    fn leave(&mut self) {
        self.at += 1;
        if self.deeper > 0 {
            self.deeper -= 1;
        } else if let Some((outside, _)) = self.open.pop() {
            self.path.truncate(outside);
            self.forget_key();
        }
    }

    /// A value is over: the key before it, if it stands in an object, counts no more.
    fn forget_key(&mut self) {
        if let Some((outside, true)) = self.open.last() {
            self.path.truncate(*outside);
        }
    }

    fn string(&mut self, visit: &mut dyn FnMut(Path<'_, 'a>, Leaf)) {
        let start = self.at + 1;
        let end = string_end(self.bytes, start);
        self.at = (end + 1).min(self.bytes.len());
        let after = self.bytes.get(self.at..).unwrap_or_default();
        let next = after.iter().find(|byte| !byte.is_ascii_whitespace());
        match (self.open.last(), next) {
            (Some((outside, true)), Some(b':')) if self.deeper == 0 => {
                self.path.truncate(*outside);
                self.path.push(self.bytes.get(start..end).unwrap_or_default());
            }
            (Some(_), _) => {
                visit(&self.path, Leaf { range: start..end, is_string: true });
                self.forget_key();
            }
            (None, _) => {}
        }
    }

    fn number(&mut self, visit: &mut dyn FnMut(Path<'_, 'a>, Leaf)) {
        let start = self.at;
        let rest = self.bytes.get(start..).unwrap_or_default();
        let len =
            rest.iter().take_while(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(byte)).count();
        self.at += len.max(1);
        visit(&self.path, Leaf { range: start..self.at, is_string: false });
        self.forget_key();
    }
}

/// Where the string whose content begins at `start` ends: at its closing quote, or with the bytes.
fn string_end(bytes: &[u8], start: usize) -> usize {
    let mut at = start;
    loop {
        let rest = bytes.get(at..).unwrap_or_default();
        let Some(found) = memchr::memchr2(b'"', b'\\', rest) else { return bytes.len() };
        at += found;
        if bytes.get(at) == Some(&b'"') {
            return at;
        }
        at += 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaves(text: &str) -> Vec<String> {
        let mut found = Vec::new();
        walk(text.as_bytes(), &mut |path, leaf| {
            let keys: Vec<_> = path.iter().map(|key| String::from_utf8_lossy(key)).collect();
            found.push(format!("{}={}", keys.join("."), text.get(leaf.range).unwrap()));
        });
        found
    }

    #[test]
    fn values_are_visited_with_the_keys_that_lead_to_them() {
        assert_eq!(
            leaves(r#"{"a":{"b":["x",{"c":1.5}],"d":null},"e":"\"q\\"}"#),
            ["a.b=x", "a.b.c=1.5", r#"e=\"q\\"#]
        );
        assert_eq!(leaves(r#"[{"a" : "x"}, "y"]"#), ["a=x", "=y"]);
    }

    #[test]
    fn what_is_torn_is_visited_as_far_as_it_goes() {
        assert_eq!(leaves(r#"{"a":{"b":"x"#), ["a.b=x"]);
        assert_eq!(leaves(r#"}}{"a":"x"}"#), ["a=x"]);
        assert_eq!(leaves(r#"<14> vault: {"a":"x","#), ["a=x"]);
        assert_eq!(leaves("12 no json \"at all\""), [""; 0]);
    }

    #[test]
    fn depth_is_bounded() {
        let deep = format!("{}\"x\"{},{{\"a\":\"y\"}}", "[".repeat(500_000), "]".repeat(500_000));
        assert_eq!(leaves(&deep), ["=x", "a=y"]);
    }
}
