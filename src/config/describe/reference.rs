//! The reference of the configuration, as `docs/configuration.md`.

use super::Doc;
use crate::config::frame::{Key, Kind, Presence, Section, shown_duration, shown_size};
use crate::config::section::Root;
use std::fmt::Write;

const HEAD: &str = include_str!("reference.md");

/// The reference in Markdown.
pub(crate) fn reference() -> String {
    let mut out = HEAD.to_owned();
    for key in Root::KEYS {
        write_key(&mut out, key);
    }
    let _infallible = writeln!(out, "\n## References to secrets\n");
    write_section(&mut out, "", &crate::config::frame::Reference::SECTION);
    out
}

fn write_key(out: &mut String, key: &Key) {
    let doc = Doc::of(key.text);
    let variable = key.name.to_ascii_uppercase();
    let _infallible = write!(out, "\n## {}\n\n{}\n\n", key.name, doc.text);
    let _infallible = writeln!(out, "{}{} Variable: `KEYWATCH_{variable}`.", sentence(key), otherwise(key));
    if let Some(example) = doc.example {
        let _infallible = write!(out, "\n```yaml\n{example}```\n");
    }
    write_inner(out, key.name, key.kind);
}

/// What is written, as a sentence.
fn sentence(key: &Key) -> String {
    let what = written(key.kind, key);
    let mut letters = what.chars();
    let first = letters.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", letters.as_str())
}

fn otherwise(key: &Key) -> String {
    match key.presence {
        Presence::Default(text) => format!(" Default: `{text}`."),
        Presence::Optional | Presence::Needed(_) => String::new(),
    }
}

/// The sections inside a kind, with the path that leads to them.
fn write_inner(out: &mut String, path: &str, kind: Kind) {
    if let Kind::Section(section) = kind {
        let _infallible = writeln!(out, "\n### `{path}`\n");
        write_section(out, path, section);
    } else if let Kind::List(of) = kind {
        write_inner(out, &format!("{path}[]"), *of);
    } else if let Kind::Map(of) = kind {
        write_inner(out, &format!("{path}.<name>"), *of);
    } else if let Kind::Either(kinds) = kind {
        for of in kinds {
            write_inner(out, path, *of);
        }
    }
}

fn write_section(out: &mut String, path: &str, section: &Section) {
    let doc = Doc::of(section.text);
    let _infallible = writeln!(out, "{}\n", doc.text);
    if let Some(example) = doc.example {
        let _infallible = writeln!(out, "```yaml\n{example}```\n");
    }
    if !section.one_of.is_empty() {
        let names: Vec<String> = section.one_of.iter().map(|name| format!("`{name}`")).collect();
        let _infallible = writeln!(out, "Exactly one of {} stands there.\n", names.join(", "));
    }
    let _infallible =
        writeln!(out, "| key | what is written | unless written | meaning |\n|---|---|---|---|");
    for key in section.keys {
        let unless = match key.presence {
            Presence::Default(text) => format!("`{text}`"),
            Presence::Needed(_) => "required".to_owned(),
            Presence::Optional => String::new(),
        };
        let text = Doc::of(key.text).text.replace("\n\n", " ").replace('|', "\\|");
        let what = written(key.kind, key).replace('|', "\\|");
        let _infallible = writeln!(out, "| `{}` | {what} | {unless} | {text} |", key.name);
    }
    for key in section.keys {
        write_inner(out, &format!("{path}.{}", key.name), key.kind);
    }
}

/// What is written, in words.
fn written(kind: Kind, key: &Key) -> String {
    let between = |shown: &dyn Fn(i64) -> String| match key.bounds {
        Some((low, i64::MAX)) => format!(", {} or more", shown(low)),
        Some((low, high)) => format!(", {} to {}", shown(low), shown(high)),
        None => String::new(),
    };
    let words = match kind {
        Kind::Text => "text",
        Kind::Truth => "true or false",
        Kind::Whole => return format!("a whole number{}", between(&|n| n.to_string())),
        Kind::Number => return format!("a number{}", between(&|n| n.to_string())),
        Kind::Duration => return format!("a length of time{}", between(&shown_duration)),
        Kind::Size => return format!("a size{}", between(&shown_size)),
        Kind::Path => "a path",
        Kind::Network => "a network",
        Kind::Socket => "an address with its port",
        Kind::Time => "a time or a day",
        Kind::Url => "a URL",
        Kind::Choice(words) => {
            return words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ");
        }
        Kind::Secret => "a reference to a secret",
        Kind::Credential => "a reference to a secret, or the secret",
        Kind::CredentialUrl => "a reference to a URL that is secret, or the URL",
        Kind::List(of) => return format!("a list: {}", written(*of, key)),
        Kind::Map(of) => return format!("names with: {}", written(*of, key)),
        Kind::Section(_) => "a mapping",
        Kind::Either(kinds) => {
            return kinds.iter().map(|of| written(*of, key)).collect::<Vec<_>>().join("; or ");
        }
    };
    words.to_owned()
}
