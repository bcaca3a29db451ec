//! Where audit records come from.

use super::aws::{AwsLookup, AwsQueue};
use super::azure::AzureBlob;
use super::gcp::{GcpLogging, GcpPubsub};
use super::kafka::{EventHubs, Kafka};
use super::push::{HttpIngest, VaultDevice};
use crate::config::frame::{At, Origin, Problems, days, default, need, secs, section};
use std::path::PathBuf;
use std::time::Duration;

section! {
    /// One source of audit records.
    pub(crate) struct Source {
        /// Its name, under which positions and figures are kept. A new name reads everything again.
        name: At<String> = need("give the source a name of its own"),
        /// Files and folders to follow; folders are searched, patterns are not expanded.
        files: Option<Vec<At<PathBuf>>>,
        /// An AWS queue that tells of a trail's objects in S3, or carries events.
        aws_queue: Option<AwsQueue>,
        /// CloudTrail's LookupEvents.
        aws_lookup: Option<AwsLookup>,
        /// Topics of a Kafka cluster.
        kafka: Option<Kafka>,
        /// Azure Event Hubs, through their Kafka endpoint.
        event_hubs: Option<EventHubs>,
        /// A container of Azure that diagnostic settings write to.
        azure_blob: Option<AzureBlob>,
        /// Google Cloud Logging.
        gcp_logging: Option<GcpLogging>,
        /// The Pub/Sub subscription of a Google Cloud log sink.
        gcp_pubsub: Option<GcpPubsub>,
        /// Addresses that audit devices of Vault and OpenBao, or syslog, send to.
        vault: Option<VaultDevice>,
        /// An address that records are POSTed to.
        http: Option<HttpIngest>,
        /// The least silence of the source that is told (KW-133s), counted in hours in which it
        /// usually speaks. A source that speaks seldom learns a longer one by itself.
        silent_after: Duration [secs(1)..=days(30)] = default("30m"),
        /// The least delay from event to store that is told (KW-133l), when it does not shrink.
        late_after: Duration [secs(1)..=days(30)] = default("30m"),
    }
    one_of: [files, aws_queue, aws_lookup, gcp_logging, gcp_pubsub, kafka, event_hubs, azure_blob, vault, http];
    check: check;
}

fn check(source: &Source, at: &Origin, problems: &Problems) {
    if source.files.is_none() && source.name.value.contains(':') {
        let message = format!("the name `{}` holds a colon", source.name.value);
        problems.add(&source.name.origin, message, "positions are kept under it; use letters and dashes");
    }
    let Some(files) = &source.files else { return };
    if files.is_empty() {
        problems.add(at, "`files` is empty", "name files or folders to follow");
    }
    for file in files {
        let path = file.value.to_string_lossy();
        if path.contains(['*', '?']) {
            let message = format!("`{path}` is a pattern, and patterns are not expanded");
            problems.add(&file.origin, message, "name the folder");
        }
    }
}
