//! What somebody else said of a failure, as it is passed on.

use std::error::Error;

/// Longest text of somebody else that is passed on, in characters.
pub const SAID_CHARS_MAX: usize = 300;

/// An error and what it stems from, each said once.
#[must_use]
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let mut said = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let text = inner.to_string();
        if !said.contains(&text) {
            said = format!("{said}: {text}");
        }
        source = inner.source();
    }
    said
}

/// One line of at most [`SAID_CHARS_MAX`] characters and a mark where more followed: answers may hold
/// whole pages.
#[must_use]
pub fn short(said: &str) -> String {
    let line: Vec<&str> = said.split_whitespace().collect();
    let line = line.join(" ");
    match line.char_indices().nth(SAID_CHARS_MAX) {
        Some((at, _)) => format!("{}…", line.get(..at).unwrap_or_default()),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_of_many_lines_becomes_one_of_bounded_length() {
        assert_eq!(short("<html>\n  <p>no</p>"), "<html> <p>no</p>");
        assert_eq!(short(&"é".repeat(1000)).chars().count(), SAID_CHARS_MAX + 1);
    }
}
