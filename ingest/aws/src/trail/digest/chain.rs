//! How far each chain of digests is verified.

use chrono::{DateTime, Utc};
use keywatch_ingest::Advance;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// Chains that are followed: one per account, region and trail. Those of a thousand accounts in
/// twenty regions are 20,000, of half a KiB each.
const CHAINS_MAX: usize = 20_000;

/// The last digest of a chain that was verified.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Last {
    /// The end of its hour.
    pub(super) end: DateTime<Utc>,
    pub(super) object: String,
    /// SHA-256 of its content.
    pub(super) hash: String,
    pub(super) signature: String,
}

/// A chain, and what of it is stored.
#[derive(Clone, Debug)]
pub(super) struct Chain {
    pub(super) last: Last,
    stored: Option<String>,
}

/// All chains of a source.
#[derive(Debug, Default)]
pub(super) struct Chains {
    chains: HashMap<String, Chain>,
}

impl Chains {
    /// The chains of a source that the store remembers.
    pub(super) fn of(source: &str, positions: &HashMap<String, String>) -> Self {
        let own = position_name(source, "");
        let chain = |(name, position): (&String, &String)| {
            let last = serde_json::from_str(position).ok()?;
            Some((name.strip_prefix(&own)?.to_owned(), Chain { last, stored: Some(position.clone()) }))
        };
        Self { chains: positions.iter().filter_map(chain).collect() }
    }

    pub(super) fn last(&self, chain: &str) -> Option<&Last> {
        self.chains.get(chain).map(|chain| &chain.last)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &Last)> {
        self.chains.iter().map(|(name, chain)| (name.as_str(), &chain.last))
    }

    /// Goes on to a digest; what the store must take over for it. Too many chains are not followed.
    pub(super) fn advance(&mut self, source: &str, name: &str, last: Last) -> Option<Advance> {
        if self.chains.len() >= CHAINS_MAX && !self.chains.contains_key(name) {
            return None;
        }
        let to = serde_json::to_string(&last).ok()?;
        let chain = Chain { last, stored: Some(to.clone()) };
        let before = self.chains.insert(name.to_owned(), chain);
        Some(Advance { source: position_name(source, name), from: before.and_then(|chain| chain.stored), to })
    }
}

fn position_name(source: &str, chain: &str) -> String {
    format!("aws:{source}:digest:{chain}")
}
