//! What rules are given beside the events: files with rules, lists, planned access, address data.
//!
//! This part of the configuration is read again on SIGHUP, and is all that `scan` and the commands
//! about rules need of it: they never touch a receiver's secret.

use super::lists::{self, KNOWN_NETWORKS, Lists};
use super::planned::{self, PlannedAccess};
use ipnet::IpNet;
use keywatch_rules::yaml::{Problems, Table};
use keywatch_rules::{Problem, Settings};
use std::path::{Path, PathBuf};

/// Which rules run, and what they are told.
#[derive(Clone, Debug, Default)]
pub(crate) struct Supplied {
    /// Rule files and folders beside the shipped ones.
    pub(crate) rules: Vec<PathBuf>,
    /// Lists by name; `known_networks` among them.
    pub(crate) lists: Lists,
    /// Announced access.
    pub(crate) planned: Vec<PlannedAccess>,
}

impl Supplied {
    /// Reads these keys of the configuration.
    pub(super) fn read(table: &Table<'_>, known_networks: &[IpNet], problems: &Problems) -> Self {
        let mut supplied = Self {
            rules: table.texts("rules").into_iter().map(|(path, _)| path.into()).collect(),
            lists: lists::read(table, problems),
            planned: planned::read(table, problems),
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

    /// The engine's settings with all of it.
    pub(crate) fn settings(&self) -> Settings {
        let known = self.lists.get(KNOWN_NETWORKS).into_iter().flatten();
        Settings {
            known_networks: known.filter_map(|text| text.parse().ok()).collect(),
            ..Settings::default()
        }
    }
}
