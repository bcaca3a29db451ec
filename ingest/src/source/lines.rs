//! Finds lines that are documents of their own, at a glance.
//!
//! A line from `{` to `}` with another `{` at the start of the next line is cut there by the
//! cutter too, whatever stands in it: either the value ends with the line, or it is torn by the
//! line break, since no JSON goes on with `{` after `}`. Only whether the line holds one document
//! or several is not known; who works on the line finds out. A line on which a list of records
//! begins is no line of its own, because the list may go on over lines. (A list that begins
//! further back on a line and goes on over lines without commas is no JSON; its members are read
//! one by one then, as any line is.)

use super::list::begins_wrapper;
use std::ops::Range;

/// The lines at the beginning of a stretch of bytes that are documents of their own.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    /// Where each stands, without its end.
    pub(crate) lines: Vec<Range<usize>>,
    /// Where the first byte behind them stands.
    pub(crate) end: usize,
}

/// Looks at `bytes`, which begin with a line; `finished` when none come after them.
pub(crate) fn lines(bytes: &[u8], finished: bool) -> Lines {
    let mut found = Lines::default();
    while let Some((line, next)) = line_at(bytes, found.end, finished) {
        found.lines.push(line);
        found.end = next;
    }
    found
}

/// The line that begins at `start` and the start of the next.
fn line_at(bytes: &[u8], start: usize, finished: bool) -> Option<(Range<usize>, usize)> {
    let rest = bytes.get(start..)?;
    if !begins_document(rest) {
        return None;
    }
    let (line, next) = match memchr::memchr(b'\n', rest) {
        Some(at) => (rest.get(..at)?, start + at + 1),
        None if finished => (rest, bytes.len()),
        None => return None,
    };
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let goes_well = match bytes.get(next) {
        Some(after) => *after == b'{',
        None => finished,
    };
    (goes_well && line.ends_with(b"}")).then_some((start..start + line.len(), next))
}

fn begins_document(rest: &[u8]) -> bool {
    match rest {
        // Only the keys of wrappers begin so.
        [b'{', b'"', b'R' | b'r' | b'E' | b'e' | b'v', ..] | [b'{', b' ' | b'\t' | b'\r' | b'\n', ..] => {
            begins_wrapper(rest) == Some(false)
        }
        [b'{', ..] => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::splitter::{Splitter, What};
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(text: &str, finished: bool, want: &[&str]) {
        let found = lines(text.as_bytes(), finished);
        let got: Vec<&str> = found.lines.into_iter().map(|line| text.get(line).unwrap()).collect();
        assert_eq!(got, want, "{text}");
    }

    #[test]
    fn a_line_counts_when_the_next_begins_with_a_brace() {
        check("{\"a\":1}\n{\"b\":2}\n", false, &["{\"a\":1}"]);
        check("{\"a\":1}\r\n{\"b\":2}\r\n", true, &["{\"a\":1}", "{\"b\":2}"]);
        check("{\"a\":1}\n{\"b\":2}", true, &["{\"a\":1}", "{\"b\":2}"]);
        check("{\"a\":1}\n\n{\"b\":2}", true, &[]);
        check("{\"a\":1\n}\n", true, &[]);
        check("{\"a\":1}\n,\"b\":2}\n", true, &[]);
        check("text\n{\"a\":1}\n", true, &[]);
        check("{\"Records\":[{\"a\":1}\n{\"b\":2}\n", true, &[]);
        check("{\"eventVersion\":1}\n", true, &["{\"eventVersion\":1}"]);
        check("", true, &[]);
    }

    fn text() -> impl Strategy<Value = String> {
        let part = prop::sample::select(vec![
            "{\"a\":1}",
            "{\"b\":\"}\"}",
            "{\"c\":{\"d\":[1]}}",
            "\n",
            "\n",
            "\n",
            "\r\n",
            "{",
            "}",
            "\"",
            "[",
            "]",
            ",",
            "{\"e\":1}{\"f\":2}",
            "\n{\"Records\":[",
            "text",
            " ",
        ]);
        prop::collection::vec(part, 0..14).prop_map(|parts| parts.concat())
    }

    fn documents(bytes: &[u8], line: u64) -> Vec<(Vec<u8>, u64)> {
        let mut splitter = Splitter::at_line(line);
        splitter.feed(bytes);
        splitter.finish();
        let mut all = Vec::new();
        while let Some(cut) = splitter.cut() {
            match cut.what {
                What::Document(body) | What::Broken(_, body) => all.push((body.to_vec(), cut.line)),
                What::EmptyList => all.push((Vec::new(), cut.line)),
            }
        }
        all
    }

    proptest! {
        #[test]
        fn cutting_line_by_line_is_cutting_the_whole(text in text()) {
            // A list further back on a line that goes on over lines is no JSON: see above.
            prop_assume!(!text.lines().any(|line| line.rfind('[').is_some_and(|at| at > 0)));
            let found = lines(text.as_bytes(), true);
            let mut apart = Vec::new();
            for (n, line) in (1..).zip(&found.lines) {
                apart.extend(documents(&text.as_bytes()[line.clone()], n));
            }
            apart.extend(documents(&text.as_bytes()[found.end..], found.lines.len() as u64 + 1));
            prop_assert_eq!(apart, documents(text.as_bytes(), 1));
        }
    }
}
