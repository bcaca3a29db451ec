//! The doc comment of a key: its description and its example.

/// A doc comment in parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Doc {
    /// Everything outside the example, one line per paragraph.
    pub(crate) text: String,
    /// The fenced `yaml` block.
    pub(crate) example: Option<String>,
}

impl Doc {
    /// Takes a doc comment apart.
    pub(crate) fn of(comment: &str) -> Self {
        let bare: Vec<&str> = comment.lines().map(|line| line.strip_prefix(' ').unwrap_or(line)).collect();
        let lines = bare.join("\n") + "\n";
        let Some((before, rest)) = lines.split_once("```yaml\n") else {
            return Self { text: paragraphs(&lines), example: None };
        };
        let (example, after) = rest.split_once("```\n").unwrap_or((rest, ""));
        Self { text: paragraphs(&format!("{before}\n{after}")), example: Some(example.to_owned()) }
    }
}

/// Paragraphs without their line breaks, separated by empty lines.
fn paragraphs(lines: &str) -> String {
    let joined =
        lines.split("\n\n").map(|part| part.split('\n').map(str::trim).collect::<Vec<_>>().join(" "));
    let parts: Vec<String> =
        joined.map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect();
    parts.join("\n\n")
}
