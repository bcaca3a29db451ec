//! Looks at what lately came, read-only, beside whoever writes the database.

use crate::doctor::{Checkup, Findings, stored};
use keywatch_event::Provider;
use keywatch_rules::RuleSet;
use keywatch_store::{History, Picture, StoreError};
use std::path::Path;

/// What lately came; `None` when there is no database yet.
pub(super) async fn picture(database: &Path) -> Result<Option<Picture>, StoreError> {
    if !database.exists() {
        return Ok(None);
    }
    History::open(database).await?.picture().await.map(Some)
}

/// What the store says about each provider that has a source, and about all of them together.
pub(super) fn checkups(
    database: &Path,
    stored: Result<Option<Picture>, StoreError>,
    sources: &[Checkup],
    set: &RuleSet,
) -> Vec<Checkup> {
    let kind = database.display().to_string();
    let about = |name: String, provider: Option<Provider>, findings: Findings| Checkup {
        source: name,
        kind: kind.clone(),
        provider,
        findings,
    };
    let picture = match stored {
        Ok(Some(picture)) => picture,
        Ok(None) => return Vec::new(),
        Err(error) => {
            let mut findings = Findings::default();
            findings.unknown(
                "what lately came",
                "a database of this version that can be read",
                error.to_string(),
            );
            return vec![about("history".to_owned(), None, findings)];
        }
    };
    let has_source = |provider: &Provider| sources.iter().any(|source| source.provider == Some(*provider));
    let came = |provider: &Provider| picture.classes.iter().any(|(of, _, _)| of == provider);
    let every = [Provider::Aws, Provider::Gcp, Provider::Azure, Provider::Vault];
    let mut checkups = Vec::new();
    for provider in every.into_iter().filter(|provider| has_source(provider) || came(provider)) {
        let mut findings = Findings::default();
        stored::of_provider(&picture, provider, &mut findings);
        checkups.push(about(format!("history of {provider}"), Some(provider), findings));
    }
    let mut findings = Findings::default();
    stored::of_all(&picture, set, &mut findings);
    checkups.push(about("history".to_owned(), None, findings));
    checkups
}
