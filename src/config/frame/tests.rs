//! Every kind of value, read well and read badly.

use super::*;
use crate::config::section::Root;
use keywatch_rules::yaml;
use std::collections::BTreeMap;
use std::time::Duration;

section! {
    /// One of everything.
    pub(super) struct Everything {
        /// A text.
        text: Option<String>,
        /// A truth.
        truth: bool = default("true"),
        /// A number.
        count: usize [1..=64] = default("4"),
        /// A share.
        share: f64 [0..=1] = default("0.5"),
        /// How long.
        wait: Duration [250..=days(1)] = default("5m"),
        /// How large.
        room: Bytes [kib(1)..=mib(10)] = default("64KiB"),
        /// A word that is no identifier.
        kind: Option<String> as "type",
        /// A secret.
        secret: Option<keywatch_secrets::SecretRef>,
        /// A credential.
        token: Option<Credential>,
        /// A URL with a credential.
        url: Option<CredentialUrl>,
        /// Names.
        names: BTreeMap<String, u16>,
        /// Kinds, of which one.
        inner: Vec<OneOf>,
    }
}

section! {
    /// Either this or that.
    pub(super) struct OneOf {
        /// This.
        this: Option<String>,
        /// That.
        that: Option<String>,
    }
    one_of: [this, that];
}

fn read(text: &str) -> (Option<Everything>, Vec<String>) {
    let documents = yaml::parse("f", text).unwrap();
    let place = |node: &yaml::Node| Origin::File { file: "f".into(), line: node.line, column: node.column };
    let problems = Problems::default();
    let node = Node::from_yaml(&documents[0], &place);
    let read = Everything::read(&node, &Root::KEYS[0], &problems);
    (read, problems.into_sorted().iter().map(ToString::to_string).collect())
}

#[track_caller]
fn check(text: &str, want: &[&str]) {
    let (_, found) = read(text);
    assert_eq!(found.len(), want.len(), "{found:#?}");
    for (found, want) in found.iter().zip(want) {
        assert!(found.contains(want), "{want} in {found}");
    }
}

#[test]
fn what_is_left_out_has_its_default() {
    let (read, found) = read("{}");
    let read = read.unwrap();
    assert_eq!(found, Vec::<String>::new());
    assert_eq!((read.truth, read.count, read.share), (true, 4, 0.5));
    assert_eq!((read.wait, read.room), (Duration::from_mins(5), Bytes(65536)));
    assert_eq!((read.text, read.token), (None, None));
}

#[test]
fn every_kind_is_read() {
    let (read, found) = read(
        "text: 5\ntruth: false\ncount: 64\nshare: 1\nwait: 250ms\nroom: 10MiB\ntype: t\n\
         secret: {source: vault, path: secret/app, key: token, version: 3}\ntoken_file: /run/token\n\
         url: https://h.example/T0KEN\nnames: {a: 1, b-c.d: 2}\ninner: [{this: x}, {that: y}]\n",
    );
    assert_eq!(found, Vec::<String>::new());
    let read = read.unwrap();
    assert_eq!((read.text.as_deref(), read.kind.as_deref()), (Some("5"), Some("t")));
    assert_eq!((read.wait, read.room), (Duration::from_millis(250), Bytes(10 << 20)));
    assert_eq!(read.secret.as_ref().unwrap().to_string(), "vault:secret/app#token@3");
    let Some(Credential::Reference(token)) = &read.token else { panic!("{read:?}") };
    assert_eq!(token.to_string(), "file:/run/token");
    assert!(!format!("{read:?}").contains("T0KEN"));
    assert_eq!((read.names.len(), read.inner.len()), (2, 2));
}

#[test]
fn what_is_out_of_bounds_is_told_with_the_bounds() {
    check("count: 0", &["f:1:8: `count` is `0`; write a whole number from 1 to 64"]);
    check("count: 1.5", &["write a whole number from 1 to 64"]);
    check("count: \"4\"", &["write a whole number from 1 to 64"]);
    check("share: 1.5", &["`share` is `1.5`; write a number from 0 to 1"]);
    check(
        "wait: 5 minutes",
        &["`wait` is `5 minutes`; write a length of time such as 250ms, 30s, 10m, 1h or 7d from 250ms to 1d"],
    );
    check("wait: 5", &["write a length of time"]);
    check("wait: 99999999999999999999d", &["write a length of time"]);
    check(
        "room: 11MiB",
        &["`room` is `11MiB`; write a size such as 4096, 64KiB, 10MiB or 1GiB from 1KiB to 10MiB"],
    );
    check(
        "names: {a: 70000, 'b c': 1, d: -1}",
        &["`names` is `70000`", "`b c` under `names` is no name", "`names` is `-1`"],
    );
    check("truth: yes", &["`truth` must be true or false, not text"]);
    check("text: [a]", &["`text` must be text, not a list"]);
    check("text: ''", &["`text` is empty"]);
}

#[test]
fn exactly_one_of_several_stands_there() {
    check("inner: [{}]", &["says of no kind what it is; write one of this, that"]);
    check("inner: [{this: a, that: b}]", &["1:25: both `this` and `that` stand here; keep one of them"]);
    check("inner: {this: a}", &["`inner` must be a list, not a mapping"]);
}

#[test]
fn no_text_repeats_a_secret() {
    for text in [
        "secret: hunter2hunter2",
        "secret: [hunter2hunter2]",
        "token: [hunter2hunter2]",
        "url: gopher://h.example/hunter2hunter2",
        "url: https://user:hunter2hunter2@h.example/",
        "url: hunter2hunter2",
        "secret: {source: hunter2}\nsecret_file: x",
    ] {
        let (_, found) = read(text);
        assert!(!found.is_empty(), "{text}");
        assert!(!found.iter().any(|found| found.contains("hunter2hunter2")), "{found:?}");
    }
    check("secret: {source: vualt, path: x}", &["`source` is `vualt`; did you mean `vault`?"]);
    check("token: {source: env, path: A}\ntoken_file: b", &["both `token` and `token_file` stand here"]);
}
