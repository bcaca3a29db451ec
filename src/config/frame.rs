//! What a configuration is made of: sections that are declared once.
//!
//! From one declaration come the strict reading with every problem at once, the JSON Schema, the
//! reference in `docs/configuration.md`, `config show` and the names of the `KEYWATCH_` variables.
//!
//! # Adding a section
//!
//! 1. A file `src/config/section/<name>.rs` with one [`section!`]:
//!
//!    ```text
//!    section! {
//!        /// A sign of life, so that somebody notices when Keywatch itself is gone.
//!        ///
//!        /// ```yaml
//!        /// heartbeat: {receiver: watchdog, every: 5m}
//!        /// ```
//!        pub(crate) struct Heartbeat {
//!            /// The receiver that hears it.
//!            receiver: At<String> = need("name one of the receivers"),
//!            /// How often it is sent.
//!            every: Duration [secs(10)..=days(1)] = default("5m"),
//!            /// What it says.
//!            text: Option<String>,
//!        }
//!        check: check;
//!    }
//!
//!    /// What no single key can say; problems go to their places.
//!    fn check(heartbeat: &Heartbeat, at: &Origin, problems: &Problems) { … }
//!    ```
//! 2. `mod <name>;` in `src/config/section.rs`, and a field in [`super::section::Root`]:
//!    `heartbeat: Option<Heartbeat>,` with its description; what refers to another section (here:
//!    is there such a receiver?) is checked in `section::root`.
//! 3. `cargo xtask docs` writes the reference anew; a test fails until that is done.
//!
//! The doc comments are what users read: the first paragraph is the description in schema and
//! reference, a fenced `yaml` block is the example, and both are tested. A section's example begins
//! at the top of the file (`heartbeat: …`). Key names are the field names; `as "for"` behind the
//! type gives another one.
//!
//! | type of a field | what is written |
//! |---|---|
//! | `String`, `PathBuf`, `bool`, `u64`, `usize`, `i64`, `f64` | text, a path, true or false, a number (`[1..=64]` gives its bounds) |
//! | `Duration` with bounds of [`secs`], [`mins`], [`hours`], [`days`] (a bare number is milliseconds) | `250ms`, `30s`, `5m`, `1h`, `7d` |
//! | [`Bytes`] with bounds of [`kib`], [`mib`] | `4096`, `64KiB`, `10MiB`, `1GiB` |
//! | `IpNet`, `SocketAddr`, `Url`, `Level` | what the names say |
//! | a [`choice!`] | one of its words |
//! | `SecretRef` | `{source, path, key?, version?}` or `source:path`; `<key>_file: path` as well; fetched when used, never while reading |
//! | [`Credential`], [`CredentialUrl`] | the same, or the value itself; shown nowhere |
//! | `Vec<T>` | a list; a lone value is a list of one |
//! | `BTreeMap<String, T>` | a mapping with names of the user's choice |
//! | another section, `Option<T>`, [`At<T>`] | a mapping; may be left out; the value with its place |
//!
//! A key is required (`= need("what to write")`), has a default (`= default("5m")`, as YAML) or is
//! `Option`, `Vec` or `BTreeMap`. A section whose keys may all be left out may be left out itself.
//! `one_of: [webhook, sns];` behind the struct says that exactly one of these keys stands there.

mod credential;
mod declare;
mod kinds;
mod network;
mod node;
mod quantity;
mod table;
#[cfg(test)]
mod tests;

pub(crate) use credential::{Credential, CredentialUrl, Reference};
pub(crate) use declare::{
    Key, Kind, Presence, Section, Setting, all_optional, choice, default, need, section, usual, within,
};
pub(crate) use kinds::{At, word};
pub(crate) use node::{Data, Entry, Node, Origin, Problems};
pub(crate) use quantity::*;
pub(crate) use table::{Table, default_node};
