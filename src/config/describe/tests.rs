//! The declarations themselves: their defaults, their examples, and what is written from them.

use super::*;
use crate::config::Layers;
use crate::config::frame::{Key, Kind, Presence, Section, default_node};
use crate::config::section::Root;

/// Every key with the path to it.
fn keys(section: &'static Section, path: &str, found: &mut Vec<(String, &'static Key)>) {
    for key in section.keys {
        let path = format!("{path}{}", key.name);
        found.push((path.clone(), key));
        inner(key.kind, &path, found);
    }
}

fn inner(kind: Kind, path: &str, found: &mut Vec<(String, &'static Key)>) {
    if let Kind::Section(section) = kind {
        keys(section, &format!("{path}."), found);
    } else if let Kind::List(of) | Kind::Map(of) = kind {
        inner(*of, path, found);
    } else if let Kind::Either(kinds) = kind {
        for kind in kinds {
            inner(*kind, path, found);
        }
    }
}

fn every_key() -> Vec<(String, &'static Key)> {
    let mut found = Vec::new();
    keys(&Root::SECTION, "", &mut found);
    found
}

#[test]
fn every_key_says_what_it_is_and_every_default_is_yaml() {
    for (path, key) in every_key() {
        assert!(Doc::of(key.text).text.ends_with('.'), "{path} ends with a full stop");
        if let Presence::Default(text) = key.presence {
            assert!(default_node(text).is_some(), "{path}: {text}");
        }
    }
}

#[test]
fn every_section_has_an_example_that_can_be_read() {
    for key in Root::KEYS {
        let example = Doc::of(key.text).example;
        let example = example.unwrap_or_else(|| panic!("`{}` has no example", key.name));
        assert!(example.starts_with(key.name), "the example of `{}` begins at the top", key.name);
        if let Err(found) = Layers::of_text(key.name, &example).read() {
            assert!(
                found.0.iter().all(|problem| problem.message.contains("no receiver")),
                "the example of `{}`: {found}",
                key.name
            );
        }
    }
}

#[test]
fn the_reference_is_what_the_declarations_say() {
    let written = include_str!("../../../docs/configuration.md");
    assert!(written == reference(), "docs/configuration.md is stale; run `cargo xtask docs`");
}

#[test]
fn the_schema_knows_every_key() {
    let schema = schema();
    for (path, key) in every_key() {
        let found = format!("{schema}").contains(&format!("\"{}\":", key.name));
        assert!(found, "{path}");
    }
    assert_eq!(schema["properties"]["receivers"]["items"]["properties"]["concurrency"]["default"], 4);
    assert_eq!(schema["properties"]["egress"]["additionalProperties"], false);
}
