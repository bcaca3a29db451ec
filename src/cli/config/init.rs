//! `keywatch config init`: a configuration to start from.

use super::super::say;
use anyhow::Context;
use clap::{Args, ValueEnum};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::process::ExitCode;

/// Where audit records come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Provider {
    /// AWS CloudTrail
    Aws,
    /// Google Cloud audit logs
    Gcp,
    /// Azure Key Vault and Activity logs
    Azure,
    /// HashiCorp Vault or OpenBao
    Vault,
}

/// Write a configuration to start from. A file that is there already is left alone.
#[derive(Debug, Args)]
pub(crate) struct Init {
    /// The file to write; - prints it
    #[arg(default_value = "keywatch.yaml")]
    path: PathBuf,
    /// The providers whose audit logs are read [default: all]
    #[arg(long = "for", value_name = "PROVIDER", value_enum, value_delimiter = ',')]
    providers: Vec<Provider>,
}

impl Init {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let text = start(&self.providers);
        if self.path.as_os_str() == "-" {
            std::io::stdout().lock().write_all(text.as_bytes())?;
            return Ok(ExitCode::SUCCESS);
        }
        let path = self.path.display();
        // Readable by its owner: what will stand in it names where secrets lie.
        let opened = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&self.path);
        let mut file = opened.with_context(|| {
            format!("{path} is not written; name another file, or remove it if it is not needed")
        })?;
        file.write_all(text.as_bytes()).with_context(|| format!("cannot write {path}"))?;
        say(&format!("{path} is written; next: look through it, then `keywatch config check {path}`"));
        Ok(ExitCode::SUCCESS)
    }
}

/// The text for these providers; for all of them when none is named.
pub(crate) fn start(providers: &[Provider]) -> String {
    let is_meant = |provider: &&Provider| providers.is_empty() || providers.contains(provider);
    let sources: String = Provider::value_variants().iter().filter(is_meant).map(|p| source(*p)).collect();
    let mut text = include_str!("init/head.yaml").to_owned();
    text.push_str(&sources);
    text.push_str(include_str!("init/tail.yaml"));
    text
}

const fn source(provider: Provider) -> &'static str {
    match provider {
        Provider::Aws => include_str!("init/aws.yaml"),
        Provider::Gcp => include_str!("init/gcp.yaml"),
        Provider::Azure => include_str!("init/azure.yaml"),
        Provider::Vault => include_str!("init/vault.yaml"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::testing::read_root;

    #[test]
    fn every_choice_of_providers_is_a_configuration() {
        let all = Provider::value_variants();
        for chosen in 0..1usize << all.len() {
            let providers: Vec<Provider> =
                (0..all.len()).filter(|n| chosen >> n & 1 == 1).map(|n| all[n]).collect();
            let (root, found) = read_root(&start(&providers));
            assert_eq!(found, Vec::<String>::new(), "{providers:?}");
            let wanted = if providers.is_empty() { all.len() } else { providers.len() };
            assert_eq!(root.unwrap().sources.len(), wanted, "{providers:?}");
        }
    }
}
