//! What rules are given, on the command line: a configuration, or its parts one by one.

use crate::config::{self, ConfigProblems, Layers, Supplied};
use clap::Args;
use ipnet::IpNet;
use keywatch_rules::Problem;
use std::path::PathBuf;

/// Rules and lists beside the shipped ones. The parts add to those of the configuration.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Given {
    /// Take rules, lists, planned access and address data from this configuration file or folder;
    /// several are read in this order
    #[arg(long, short, value_name = "PATH")]
    pub(crate) config: Vec<PathBuf>,
    /// Further rule files or folders
    #[arg(long = "rules", value_name = "PATH")]
    rules: Vec<PathBuf>,
    /// A list from a file with one value per line, such as canaries=canaries.txt
    #[arg(long = "list", value_name = "NAME=FILE", value_parser = named_file)]
    lists: Vec<(String, PathBuf)>,
    /// A network that is never unusual, such as 198.51.100.0/24
    #[arg(long = "known-network", value_name = "CIDR")]
    known_networks: Vec<IpNet>,
}

fn named_file(text: &str) -> Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((name, file)) if !name.is_empty() && !file.is_empty() => Ok((name.to_owned(), file.into())),
        _ => Err("write the list's name, = and its file: canaries=canaries.txt".to_owned()),
    }
}

impl Given {
    /// All of it together.
    ///
    /// # Errors
    /// Every mistake in the configuration, or in the list files.
    pub(crate) fn supplied(&self) -> Result<Supplied, ConfigProblems> {
        Ok(self.with_database()?.0)
    }

    /// All of it, and the database the configuration names when there is one.
    ///
    /// # Errors
    /// As [`Self::supplied`].
    pub(crate) fn with_database(&self) -> Result<(Supplied, Option<PathBuf>), ConfigProblems> {
        let (mut supplied, database) = if self.config.is_empty() {
            (Supplied::default(), None)
        } else {
            let layers = Layers::of_files(&self.config);
            config::load_supplied(&layers).map(|(supplied, path)| (supplied, Some(path)))?
        };
        let mut wrong: Vec<Problem> = Vec::new();
        for (name, file) in &self.lists {
            wrong.extend(supplied.add_list(name, file).err().into_iter().flatten());
        }
        supplied.rules.extend(self.rules.iter().cloned());
        supplied.add_known_networks(&self.known_networks);
        if wrong.is_empty() { Ok((supplied, database)) } else { Err(ConfigProblems(wrong)) }
    }
}
