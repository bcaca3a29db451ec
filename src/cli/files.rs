//! Which files the configuration is read from, on the command line.

use crate::config::Layers;
use clap::Args;
use std::path::PathBuf;

/// Where the configuration is read from unless told otherwise.
const USUAL: &str = "keywatch.yaml";

/// The files of the configuration.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Files {
    /// A configuration file, or a folder of them; several are read in this order
    /// [default: keywatch.yaml]
    #[arg(long, short, value_name = "PATH")]
    config: Vec<PathBuf>,
}

impl Files {
    /// The files that were named, or the usual one; `more` were named in another way.
    pub(crate) fn layers(&self, more: &[PathBuf]) -> Layers {
        let mut paths: Vec<PathBuf> = self.config.iter().chain(more).cloned().collect();
        if paths.is_empty() {
            paths.push(USUAL.into());
        }
        Layers::of_files(&paths)
    }
}
