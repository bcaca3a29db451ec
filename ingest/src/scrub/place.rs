//! Secret values known by the place they stand at: behind which names, in which call.

use super::span::{Span, With};
use super::walk::{Leaf, Path, walk};
use super::{NESTING_MAX, add, bytes, key, vault, within};
use keywatch_event::scrubbed as kind;
use memchr::memmem;

/// Adds what is found in `record` to `spans`. `depth`: strings within strings so far.
pub(super) fn find(record: &[u8], depth: usize, spans: &mut Vec<Span>) {
    let vault = vault::Entry::of(record);
    let is_parameter = memmem::find(record, b"PutParameter").is_some();
    walk(record, &mut |path, leaf| {
        let value = bytes(record, leaf.range.clone());
        if let Some(kind) = kind_at(path, is_parameter) {
            return add(spans, record, whole(leaf, kind));
        }
        if let Some(span) = vault.span(path, &leaf, value) {
            return add(spans, record, span);
        }
        if leaf.is_string && depth < NESTING_MAX && looks_like_json(value) {
            spans.extend(nested(value, &leaf, depth));
        }
    });
}

/// What a value below these keys is, if they alone make it secret.
fn kind_at(path: Path<'_, '_>, is_parameter: bool) -> Option<&'static str> {
    let (last, above) = path.split_last()?;
    if let Some((kind, _)) = key::kind_of(last) {
        return Some(kind);
    }
    if let Some((kind, _)) = above.iter().filter_map(|key| key::kind_of(key)).find(|(_, below)| *below) {
        return Some(kind);
    }
    let parent = above.last().copied().unwrap_or_default();
    let is_payload = *last == b"data" && parent == b"payload";
    let is_value = is_parameter
        && last.eq_ignore_ascii_case(b"value")
        && parent.eq_ignore_ascii_case(b"requestParameters");
    (is_payload || is_value).then_some(kind::SECRET_VALUE)
}

/// All of a leaf.
pub(super) fn whole(leaf: Leaf, kind: &'static str) -> Span {
    let with = if leaf.is_string { With::Mark(kind) } else { With::Quoted(kind) };
    Span { range: leaf.range, with }
}

fn looks_like_json(value: &[u8]) -> bool {
    let start = value.trim_ascii_start();
    (start.starts_with(b"{") || start.starts_with(b"[")) && memmem::find(value, b"\\\"").is_some()
}

/// JSON within a string: scrubbed as such, and written as a string again.
fn nested(value: &[u8], leaf: &Leaf, depth: usize) -> Option<Span> {
    let quoted = [b"\"", value, b"\""].concat();
    let text: String = serde_json::from_slice(&quoted).ok()?;
    let scrubbed = within(text.as_bytes(), depth + 1)?;
    let written = serde_json::to_string(&String::from_utf8(scrubbed).ok()?).ok()?;
    let content = written.get(1..written.len() - 1)?;
    Some(Span { range: leaf.range.clone(), with: With::Text(content.as_bytes().to_vec()) })
}
