//! What rules are given beside the events: files with rules, lists, planned access, address data.
//!
//! This part of the configuration is read again on SIGHUP, and is all that `scan` and the commands
//! about rules need of it: they never touch a receiver's secret.

use super::frame::{At, Problems};
use super::lists::{self, KNOWN_NETWORKS, Lists};
use super::section::Root;
use ipnet::IpNet;
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
    /// Reads what these parts of the configuration refer to.
    pub(super) fn collect(root: &Root, problems: &Problems) -> Self {
        let data = |file: &Option<At<PathBuf>>| file.as_ref().and_then(|file| address_data(file, problems));
        let mut supplied = Self {
            rules: root.rules.clone(),
            lists: lists::collect(&root.lists, problems),
            planned: root.planned_access.iter().map(Into::into).collect(),
            asn: data(&root.address_data.asn),
            country: data(&root.address_data.country),
        };
        supplied.add_known_networks(&root.known_networks);
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
fn address_data(file: &At<PathBuf>, problems: &Problems) -> Option<AddressData> {
    let found = match std::fs::read(&file.value) {
        Ok(bytes) => AddressData::from_bytes(bytes).map_err(|error| error.to_string()),
        Err(error) => Err(format!("it cannot be read: {error}")),
    };
    if let Err(error) = &found {
        let message = format!("the address database {}: {error}", file.value.display());
        problems.add(&file.origin, message, "name an unpacked .mmdb file");
    }
    found.ok()
}
