//! From the configuration to what is published to CloudWatch.

use crate::clock;
use crate::config::section::CloudWatch;
use keywatch_cloudwatch::alarm::Alarm;
use keywatch_cloudwatch::{Client, Publisher, Settings};
use keywatch_store::Store;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Where to publish.
pub(crate) fn settings(section: &CloudWatch) -> Settings {
    Settings {
        namespace: section.namespace.clone(),
        region: section.region.clone(),
        endpoint: section.endpoint.clone(),
    }
}

/// The alarm that is described, if one is.
pub(crate) fn alarm(section: &CloudWatch) -> Option<Alarm> {
    let alarm = section.alarm.as_ref()?;
    Some(Alarm {
        name: alarm.name.clone(),
        metric: "SecretAccessCount".to_owned(),
        period_secs: i32::try_from(alarm.period.as_secs()).unwrap_or(i32::MAX),
        threshold: u32::try_from(alarm.threshold).map_or(f64::from(u32::MAX), f64::from),
        topics: vec![alarm.topic.value.clone()],
    })
}

/// A publisher of what is stored from now on. The first rules by name get metrics of their own.
pub(crate) async fn publisher(
    section: &CloudWatch,
    store: &Store,
    rules: &BTreeSet<String>,
) -> anyhow::Result<Publisher> {
    let own = rules.iter().take(section.rules_max).cloned().collect();
    let client = Client::new(&settings(section)).await;
    Ok(Publisher::start(store.clone(), client, own, Arc::new(clock::now)).await?)
}
