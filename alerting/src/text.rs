//! Text from audit records, made harmless: what would steer a terminal, turn the direction of
//! writing or hide is shown instead of obeyed, and what is too long is cut visibly. Pure.

use std::borrow::Cow;

/// The mark at the end of a text that was cut.
pub(crate) const CUT: char = '…';

/// Whether a character does something instead of being something: control characters, those that
/// turn the direction of writing, and those nobody sees (Unicode TR 36, TR 9).
fn acts(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// One line of text in which nothing acts: control characters become their pictures (`␀`, `␛`,
/// `␍`), other hidden characters their number (`[U+202E]`).
pub(crate) fn inert(text: &str) -> Cow<'_, str> {
    if !text.chars().any(acts) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '\u{7f}' => shown.push('␡'),
            c if c.is_ascii_control() => shown.extend(char::from_u32(0x2400 + u32::from(c))),
            c if acts(c) => shown.extend(format!("[U+{:04X}]", u32::from(c)).chars()),
            c => shown.push(c),
        }
    }
    Cow::Owned(shown)
}

/// At most `chars_max` characters of `text`; a shorter text ends in [`CUT`].
pub(crate) fn cut(text: &str, chars_max: usize) -> Cow<'_, str> {
    if text.chars().nth(chars_max).is_none() {
        return Cow::Borrowed(text);
    }
    let kept = chars_max.saturating_sub(1);
    Cow::Owned(text.chars().take(kept).chain([CUT]).collect())
}

/// Both: inert and at most `chars_max` characters. Looks at no more of a long text than it keeps.
pub(crate) fn inert_cut(text: &str, chars_max: usize) -> String {
    let near =
        text.char_indices().nth(chars_max + 1).map_or(text, |(end, _)| text.get(..end).unwrap_or(text));
    cut(&inert(near), chars_max).into_owned()
}

/// Text of an answer for a log and a page: [`inert`] in the one-line sense, without what stands
/// around it. `None` when nothing is left.
pub(crate) fn readable(bytes: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(bytes);
    let text: String = text.chars().map(|c| if acts(c) { ' ' } else { c }).collect();
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_act_is_shown() {
        for (text, want) in [
            ("plain, grüße, 秘密", "plain, grüße, 秘密"),
            ("a\r\nb\0c\u{1b}[31m\u{7f}", "a␍␊b␀c␛[31m␡"),
            ("evil\u{202e}gpj.exe", "evil[U+202E]gpj.exe"),
            ("zero\u{200b}width\u{feff}", "zero[U+200B]width[U+FEFF]"),
            ("\u{85}\u{2028}\u{e0041}", "[U+0085][U+2028][U+E0041]"),
        ] {
            assert_eq!(inert(text), want);
        }
    }

    #[test]
    fn a_long_text_is_cut_with_a_mark_and_never_inside_a_character() {
        assert_eq!(cut("abc", 3), "abc");
        assert_eq!(cut("abcd", 3), "ab…");
        assert_eq!(cut("üüüü", 2), "ü…");
        assert_eq!(cut("ab", 0), "…");
        assert_eq!(inert_cut("\0\0\0\0", 3), "␀␀…");
        let long = "\u{202e}x".repeat(500_000);
        assert_eq!(inert_cut(&long, 40).chars().count(), 40);
    }

    #[test]
    fn an_excerpt_cannot_steer_a_terminal() {
        assert_eq!(readable("a\u{1b}[31mb\r\nc\0\u{202e}d".as_bytes()), Some("a [31mb  c  d".to_owned()));
        assert_eq!(readable(b" \r\n"), None);
        assert_eq!(readable(&[0xff, b'x']), Some("\u{fffd}x".to_owned()));
    }
}
