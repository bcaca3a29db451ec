//! Records with text before them on their line: syslog headers and prefixes of Vault.
//!
//! Never interprets the text; it only finds where the object begins.

/// How many places are tried.
const TRIES_MAX: usize = 16;

/// The JSON object that ends the line, behind whatever stands before it: a prefix such as
/// `@cee: `, or a header of RFC 3164 or RFC 5424, whose structured data may hold braces.
pub(super) fn object_in(line: &[u8]) -> Option<&[u8]> {
    let candidates = memchr::memchr_iter(b'{', line).take(TRIES_MAX);
    let mut objects = candidates.filter_map(|at| line.get(at..)).filter(|rest| begins_object(rest));
    let first = objects.clone().next();
    objects.find(|rest| is_whole(rest)).or(first)
}

/// Whether a key follows, or nothing does.
fn begins_object(rest: &[u8]) -> bool {
    let inner = rest.get(1..).unwrap_or_default().trim_ascii_start();
    matches!(inner.first(), Some(b'"' | b'}') | None)
}

fn is_whole(rest: &[u8]) -> bool {
    serde_json::from_slice::<serde::de::IgnoredAny>(rest).is_ok()
}

/// Whether a message is one that services send on their own account: CloudTrail, when a topic is
/// named for its notifications.
pub(super) fn is_control(text: &str) -> bool {
    text.trim() == "CloudTrail validation message."
}
