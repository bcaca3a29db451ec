//! `${VAR}`, `${VAR:-default}`, `${VAR:?message}` and `$$` in values.
//!
//! Variables are filled into values of the tree, after the YAML was read: whatever they hold, it
//! stays one value and never becomes structure. Line breaks are refused all the same, because a
//! value with one is a mistake more often than not.

use crate::config::frame::{Data, Node, Problems};

/// Looks a variable up; `None` when it is not set or empty.
type Lookup<'l> = &'l dyn Fn(&str) -> Option<String>;

/// Why a value could not be filled in, and what to write instead.
type Refused = (String, String);

/// Fills variables into every value of the tree.
pub(super) fn fill_in(node: &mut Node, lookup: Lookup<'_>, problems: &Problems) {
    match &mut node.data {
        Data::Text(text) if text.contains('$') => match filled(text, lookup) {
            Ok(None) => {}
            Ok(Some(new)) => {
                *text = new;
                node.loose = true;
            }
            Err((message, remedy)) => problems.add(&node.origin, message, remedy),
        },
        Data::List(items) => items.iter_mut().for_each(|item| fill_in(item, lookup, problems)),
        Data::Map(entries) => {
            for entry in entries {
                fill_in(&mut entry.value, lookup, problems);
            }
        }
        Data::Null | Data::Bool(_) | Data::Whole(_) | Data::Number(_) | Data::Text(_) => {}
    }
}

/// The text with its variables; `None` when it has neither variables nor `$$`.
fn filled(text: &str, lookup: Lookup<'_>) -> Result<Option<String>, Refused> {
    let (mut rest, mut out, mut changed) = (text, String::with_capacity(text.len()), false);
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        rest = after;
        if let Some(after) = rest.strip_prefix('$') {
            out.push('$');
            (rest, changed) = (after, true);
        } else if let Some(after) = rest.strip_prefix('{') {
            let Some((inside, after)) = after.split_once('}') else {
                let remedy = "close it with `}`, or write `$$` for a dollar sign";
                return Err(("a variable begins with `${` and does not end".to_owned(), remedy.to_owned()));
            };
            out.push_str(&value(inside, lookup)?);
            (rest, changed) = (after, true);
        } else {
            out.push('$');
        }
    }
    out.push_str(rest);
    Ok(changed.then_some(out))
}

/// What stands for the inside of `${…}`.
fn value(inside: &str, lookup: Lookup<'_>) -> Result<String, Refused> {
    let is_name_char = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let end = inside.find(|c| !is_name_char(c)).unwrap_or(inside.len());
    let (name, otherwise) = inside.split_at_checked(end).unwrap_or((inside, ""));
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
        let remedy = "write `${NAME}`, `${NAME:-default}` or `${NAME:?message}`, or `$$` for a dollar sign";
        return Err((format!("`${{{inside}}}` names no variable"), remedy.to_owned()));
    }
    let set = lookup(name);
    if set.as_ref().is_some_and(|value| value.contains(['\n', '\r', '\0'])) {
        let remedy = "use a secret reference or a `_file` key for values of several lines";
        return Err((format!("the variable {name} holds a line break"), remedy.to_owned()));
    }
    if let Some(value) = set {
        return Ok(value);
    }
    match (otherwise.strip_prefix(":-"), otherwise.strip_prefix(":?")) {
        (Some(default), _) => Ok(default.to_owned()),
        (_, Some(message)) => {
            let message = if message.is_empty() { String::new() } else { format!(": {message}") };
            Err((format!("the variable {name} is not set{message}"), "set it for the process".to_owned()))
        }
        _ if otherwise.is_empty() => {
            let remedy = format!("set it, or write `${{{name}:-default}}`");
            Err((format!("the variable {name} is not set"), remedy))
        }
        _ => {
            let remedy = "write `:-` and a default, or `:?` and a message";
            Err((format!("`{otherwise}` behind the variable {name} is not understood"), remedy.to_owned()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lookup(name: &str) -> Option<String> {
        let known = [("HOST", "h.example"), ("TWO", "a\nlisten: 0.0.0.0:1"), ("PORT", "8420")];
        known.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
    }

    #[track_caller]
    fn check(text: &str, want: Result<Option<&str>, &str>) {
        match (filled(text, &lookup), want) {
            (Ok(found), Ok(want)) => assert_eq!(found.as_deref(), want, "{text}"),
            (Err((message, remedy)), Err(want)) => {
                assert!(format!("{message}; {remedy}").contains(want), "{text}: {message}; {remedy}");
            }
            (found, want) => panic!("{text}: {found:?} instead of {want:?}"),
        }
    }

    #[test]
    fn every_form_of_a_variable_is_filled_in() {
        check("plain", Ok(None));
        check("cost $5, a$b, end$", Ok(None));
        check("${HOST}", Ok(Some("h.example")));
        check("https://${HOST}:${PORT}/x", Ok(Some("https://h.example:8420/x")));
        check("${NONE:-127.0.0.1:8420}", Ok(Some("127.0.0.1:8420")));
        check("${NONE:-}", Ok(Some("")));
        check("${HOST:-other}", Ok(Some("h.example")));
        check("${HOST:?must be set}", Ok(Some("h.example")));
        check("$${HOST}", Ok(Some("${HOST}")));
        check("$$$$", Ok(Some("$$")));
        check("$$${HOST}", Ok(Some("$h.example")));
    }

    #[test]
    fn a_variable_that_cannot_be_filled_in_says_why() {
        check("${NONE}", Err("the variable NONE is not set; set it, or write `${NONE:-default}`"));
        check("${NONE:?the host of the receiver}", Err("NONE is not set: the host of the receiver"));
        check("${HOST", Err("does not end"));
        check("${}", Err("names no variable"));
        check("${1A}", Err("names no variable"));
        check("${NONE:+x}", Err("is not understood"));
        check("${NONE-x}", Err("is not understood"));
    }

    #[test]
    fn a_variable_never_becomes_structure() {
        check("${TWO}", Err("the variable TWO holds a line break"));
        check("[${HOST}]", Ok(Some("[h.example]")));
    }
}
