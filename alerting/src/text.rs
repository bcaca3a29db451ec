//! Text from outside, made harmless. Pure.

/// Whether a character does something instead of being something: control characters, those that
/// turn the direction of writing, and those nobody sees (Unicode TR 36, TR 9).
fn acts(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Text of an answer for a log and a page: one line in which nothing acts. `None` when nothing is left.
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
    fn an_excerpt_cannot_steer_a_terminal() {
        assert_eq!(readable("a\u{1b}[31mb\r\nc\0\u{202e}d".as_bytes()), Some("a [31mb  c  d".to_owned()));
        assert_eq!(readable(b" \r\n"), None);
        assert_eq!(readable(&[0xff, b'x']), Some("\u{fffd}x".to_owned()));
    }
}
