//! Which log source each rule reads: its own, or those of the rules it counts.

use super::files::Opened;
use keywatch_rules::yaml::Node;
use keywatch_rules::{LogSource, Rule, names_of};
use std::collections::{BTreeMap, BTreeSet};

/// Most names of log sources shown for one rule.
const SHOWN_MAX: usize = 4;
/// How far a chain of rules that count rules is followed.
const DEPTH_MAX: usize = 8;

/// The log sources of every document.
#[derive(Clone, Debug, Default)]
pub(crate) struct Origins {
    documents: BTreeMap<String, Document>,
}

/// What a document says of where its events come from.
#[derive(Clone, Debug, Default)]
struct Document {
    own: Option<String>,
    counts: Vec<String>,
}

impl Origins {
    /// Reads it out of rule files that were loaded.
    pub(super) fn of(files: &[Opened]) -> Self {
        let mut documents = BTreeMap::new();
        for node in files.iter().flat_map(|file| file.read.documents()) {
            let document = Document::of(node);
            documents.extend(names_of(node).into_iter().map(|name| (name, document.clone())));
        }
        Self { documents }
    }

    /// The log sources of a rule: `keywatch/audit`, `aws/cloudtrail`.
    pub(crate) fn of_rule(&self, rule: &Rule) -> String {
        let mut found = BTreeSet::new();
        self.collect(&rule.id, DEPTH_MAX, &mut found);
        let mut shown: Vec<&str> = found.iter().take(SHOWN_MAX).map(String::as_str).collect();
        if shown.is_empty() {
            shown.push("any");
        } else if found.len() > SHOWN_MAX {
            shown.push("…");
        }
        shown.join(", ")
    }

    fn collect(&self, name: &str, depth: usize, found: &mut BTreeSet<String>) {
        let Some(document) = self.documents.get(name).filter(|_| depth > 0) else { return };
        found.extend(document.own.clone());
        document.counts.iter().for_each(|counted| self.collect(counted, depth - 1, found));
    }
}

impl Document {
    fn of(node: &Node) -> Self {
        let part = |key: &str| node.get("logsource")?.get(key)?.text();
        let (product, service, category) = (part("product"), part("service"), part("category"));
        let own = LogSource::parse(product.as_deref(), service.as_deref(), category.as_deref()).name();
        let counted = node.get("correlation").and_then(|correlation| correlation.get("rules"));
        Self {
            own: node.get("logsource").map(|_| own),
            counts: counted.map(Node::items).unwrap_or_default().iter().filter_map(Node::text).collect(),
        }
    }
}
