//! Asks the stores what time it is: the date every answer over HTTP carries, asked without a login.

use crate::clock;
use crate::config::Config;
use crate::config::live::Way;
use crate::doctor::clock::{Reading, judge};
use crate::doctor::{Checkup, Findings};
use chrono::{DateTime, TimeDelta};
use futures_util::StreamExt as _;
use futures_util::stream;
use keywatch_secrets::{Trouble, Unanswered, date_of};
use std::path::PathBuf;
use url::Url;

/// Most stores that are asked, a request each: their clocks are those of four providers and of each
/// Vault.
const STORES_MAX: usize = 16;

/// A store, and whom to trust for it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Store {
    url: Url,
    ca_file: Option<PathBuf>,
}

/// What the clocks of the stores say; `None` when the configuration names none.
pub(super) async fn checkup(config: &Config) -> Option<Checkup> {
    let stores = stores(config);
    if stores.is_empty() {
        return None;
    }
    let kind = format!("this machine's, beside that of {} store(s)", stores.len());
    let asked = stream::iter(stores).map(ask).buffered(super::ASKED_AT_ONCE).collect::<Vec<_>>().await;
    let (mut readings, mut findings) = (Vec::new(), Findings::default());
    for answer in asked {
        match answer {
            Ok(reading) => readings.push(reading),
            Err((store, unanswered)) => super::refused(
                &mut findings,
                &format!("what time it is for {store}"),
                "an answer with a date",
                &unanswered,
            ),
        }
    }
    judge(&readings, &mut findings);
    Some(Checkup { source: "clock".to_owned(), kind, provider: None, findings })
}

/// Half of the time the answer took is how long it was under way, as far as one can know. A date has
/// whole seconds: on average half of one has passed.
async fn ask(store: Store) -> Result<Reading, (String, Unanswered)> {
    let name = store.url.origin().ascii_serialization();
    let before = clock::now();
    let said = match date_of(&store.url, store.ca_file.as_deref()).await {
        Ok(said) => said,
        Err(unanswered) => return Err((name, unanswered)),
    };
    let took = clock::now() - before;
    let here = before + took / 2 - TimeDelta::milliseconds(500);
    let Ok(there) = DateTime::parse_from_rfc2822(&said) else {
        let (detail, remedy) = ("the date it says is none", "see what stands between it and Keywatch");
        let (detail, remedy) = (detail.to_owned(), remedy.to_owned());
        return Err((name, Unanswered { trouble: Trouble::Unusable, detail, remedy }));
    };
    let unsure = took / 2 + TimeDelta::seconds(1);
    Ok(Reading { store: name, ahead: here - there.to_utc(), unsure })
}

/// Whom the sources and the doctor talk to, each once.
fn stores(config: &Config) -> Vec<Store> {
    let mut stores: Vec<Store> = Vec::new();
    let mut add = |url: &str, ca_file: Option<PathBuf>| {
        let Ok(url) = Url::parse(url) else { return };
        let is_known = stores.iter().any(|known| known.url.origin() == url.origin());
        if !is_known && stores.len() < STORES_MAX {
            stores.push(Store { url, ca_file });
        }
    };
    for source in &config.live {
        if let Some(url) = address(&source.way) {
            add(&url, None);
        }
    }
    for vault in &config.doctor.vaults {
        let settings = vault.settings();
        if let Some(address) = settings.address {
            add(address.as_str(), settings.ca_file);
        }
    }
    for azure in &config.doctor.azure {
        add(azure.resource_manager.as_str(), None);
    }
    stores
}

/// Where a source asks, when it asks over HTTP.
fn address(way: &Way) -> Option<String> {
    let of_google = |endpoint: &Option<String>, service: &str| {
        endpoint.clone().unwrap_or_else(|| format!("https://{service}.googleapis.com"))
    };
    match way {
        Way::Trail(_, settings) => Some(settings.queue.clone()),
        Way::Lookup(access, settings) => access.endpoint.clone().or_else(|| {
            let region = settings.regions.first()?;
            let china = if region.starts_with("cn-") { ".cn" } else { "" };
            Some(format!("https://cloudtrail.{region}.amazonaws.com{china}"))
        }),
        Way::Logging(access, _) => Some(of_google(&access.endpoint, "logging")),
        Way::PubSub(access, _) => Some(of_google(&access.endpoint, "pubsub")),
        Way::Bucket(_, access, _) => Some(of_google(&access.endpoint, "storage")),
        Way::Blob(access, _) => access.endpoint.clone().or_else(|| {
            access.account.as_ref().map(|account| format!("https://{account}.blob.core.windows.net"))
        }),
        Way::Kafka(..) | Way::Push(_) => None,
    }
}
