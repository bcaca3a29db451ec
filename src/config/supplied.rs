//! What rules are given beside the events: files with rules, lists, planned access, address data.
//!
//! This part of the configuration is read again on SIGHUP, and is all that `scan` and the commands
//! about rules need of it: they never touch a receiver's secret.

use super::lists::{self, KNOWN_NETWORKS, Lists};
use super::planned;
use ipnet::IpNet;
use keywatch_rules::yaml::{Node, Problems, Table};
use keywatch_rules::{AddressData, Planned, Problem, Settings, Surroundings};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Which rules run, and what they are told.
#[derive(Clone, Debug, Default)]
pub(crate) struct Supplied {
    /// Rule files and folders beside the shipped ones.
    pub(crate) rules: Vec<PathBuf>,
    /// Lists by name; `known_networks` among them.
    pub(crate) lists: Lists,
    /// Announced access.
    pub(crate) planned: Vec<Planned>,
    /// Autonomous systems by address.
    pub(crate) asn: Option<AddressData>,
    /// Countries by address.
    pub(crate) country: Option<AddressData>,
}

impl Supplied {
    /// Reads these keys of the configuration.
    pub(super) fn read(table: &Table<'_>, known_networks: &[IpNet], problems: &Problems) -> Self {
        let data = table.get("address_data").and_then(|node| Table::open(node, &["asn", "country"], problems));
        let data = |key| data.as_ref().and_then(|table| address_data(table.get(key)?, problems));
        let mut supplied = Self {
            rules: table.texts("rules").into_iter().map(|(path, _)| path.into()).collect(),
            lists: lists::read(table, problems),
            planned: planned::read(table, problems),
            asn: data("asn"),
            country: data("country"),
        };
        supplied.add_known_networks(known_networks);
        supplied
    }

    /// Adds networks that are never unusual.
    pub(crate) fn add_known_networks(&mut self, networks: &[IpNet]) {
        if !networks.is_empty() {
            let list = self.lists.entry(KNOWN_NETWORKS.to_owned()).or_default();
            list.extend(networks.iter().map(ToString::to_string));
        }
    }

    /// Adds the values of a file to a list.
    ///
    /// # Errors
    /// What is wrong with the file, with place and remedy.
    pub(crate) fn add_list(&mut self, name: &str, file: &Path) -> Result<(), Vec<Problem>> {
        self.lists.entry(name.to_owned()).or_default().extend(lists::load(name, file)?);
        Ok(())
    }

    /// What rules may ask for beside the events.
    pub(crate) fn surroundings(&self) -> Surroundings {
        Surroundings {
            lists: keywatch_rules::Lists::new(self.lists.clone()),
            planned: self.planned.clone(),
            asn: self.asn.clone(),
            country: self.country.clone(),
        }
    }

    /// The engine's settings with all of it.
    pub(crate) fn settings(&self) -> Settings {
        Settings { surroundings: Arc::new(self.surroundings()), ..Settings::default() }
    }

    /// The same for logs that are read one after the other, in whatever order: nothing is late.
    pub(crate) fn settings_for_files(&self) -> Settings {
        Settings { late_from_secs: None, ..self.settings() }
    }
}

/// Reads an address database.
fn address_data(node: &Node, problems: &Problems) -> Option<AddressData> {
    let path = node.text().unwrap_or_default();
    let found = match std::fs::read(&path) {
        Ok(bytes) => AddressData::from_bytes(bytes).map_err(|error| error.to_string()),
        Err(error) => Err(format!("it cannot be read: {error}")),
    };
    if let Err(error) = &found {
        problems.add(node, format!("the address database {path}: {error}"), "name an unpacked .mmdb file");
    }
    found.ok()
}
