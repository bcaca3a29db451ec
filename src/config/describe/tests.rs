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

#[test]
fn every_value_is_shown_with_its_place_and_no_secret() {
    let layers = Layers::of_text(
        "a.yaml",
        "hosts: [one.example]\nreceivers:\n  - name: soc\n    webhook:\n      url: https://hooks.example.com:8443/services/T0KEN?x=hunter2\n      secret: {source: vault, path: secret/soc, key: hmac}\n  - name: dev\n    webhook: {url_file: /etc/dev.url, secrets: ['env:DEV_SECRET']}\nlists: {canaries: [a, b], ranges: {file: /etc/ranges}}\n",
    )
    .and_text("b.yaml", "hosts: [two.example]\n")
    .and_variable("KEYWATCH_HTTPS", "true")
    .and_flag("--listen", "listen", Some("127.0.0.1:9"));
    let problems = crate::config::frame::Problems::default();
    let reading = layers.reading(&problems).unwrap();
    // Sections that nobody wrote are all defaults, and grow with the product.
    let sections = ["database", "listen", "hosts", "https", "receivers", "egress", "lists"];
    let is_meant = |key: &str| sections.iter().any(|section| key.starts_with(section));
    let shown: Vec<String> = show(&reading.tree)
        .iter()
        .filter(|shown| is_meant(&shown.key))
        .map(|shown| format!("{} = {} ({})", shown.key, shown.value, shown.from))
        .collect();
    assert_eq!(
        shown,
        [
            "database = keywatch.db (default)",
            "listen = 127.0.0.1:9 (--listen)",
            "hosts = [one.example, two.example] (a.yaml:1, b.yaml:1)",
            "https = true (KEYWATCH_HTTPS)",
            "receivers[soc].name = soc (a.yaml:3)",
            "receivers[soc].level = warning (default)",
            "receivers[soc].concurrency = 4 (default)",
            "receivers[soc].webhook.url = https://hooks.example.com:8443/[redacted] (a.yaml:5)",
            "receivers[soc].webhook.secret = vault:secret/soc#hmac (a.yaml:6)",
            "receivers[dev].name = dev (a.yaml:7)",
            "receivers[dev].level = warning (default)",
            "receivers[dev].concurrency = 4 (default)",
            "receivers[dev].webhook.url_file = /etc/dev.url (a.yaml:8)",
            "receivers[dev].webhook.secrets[0] = env:DEV_SECRET (a.yaml:8)",
            "egress.allow_http = false (default)",
            "lists.canaries = [a, b] (a.yaml:9)",
            "lists.ranges.file = /etc/ranges (a.yaml:9)",
        ]
    );
}
