//! Words of a command that somebody will paste into a shell. Names are whatever a provider says, so
//! none of them may become more than one word.

/// The text as one word of a POSIX shell.
pub(super) fn word(text: &str) -> String {
    let is_plain =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/' | ':' | '=' | '@' | ',');
    if !text.is_empty() && text.chars().all(is_plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::word;

    #[test]
    fn a_name_stays_one_word_whatever_it_holds() {
        for (text, want) in [
            ("trail", "trail"),
            ("arn:aws:sqs:eu-west-1:1:q", "arn:aws:sqs:eu-west-1:1:q"),
            ("", "''"),
            ("a b", "'a b'"),
            ("x; rm -rf ~", "'x; rm -rf ~'"),
            ("it's $(id)", r"'it'\''s $(id)'"),
        ] {
            assert_eq!(word(text), want);
        }
    }
}
