//! Sources that are asked over the network, as their sections mean them.

use super::section::Source;
use keywatch_aws::{Access, lookup, trail};
use keywatch_azure::Access as AzureAccess;
use keywatch_event::Provider;
use keywatch_gcp::{Access as GcpAccess, logging, pubsub};
use keywatch_kafka as kafka;
use keywatch_objects as objects;
use keywatch_push as push;
use std::path::Path;

/// A source that runs as a task.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct LiveSource {
    pub(crate) name: String,
    pub(crate) way: Way,
}

/// How its events come.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Way {
    /// Through a queue.
    Trail(Access, trail::Settings),
    /// By asking CloudTrail.
    Lookup(Access, lookup::Settings),
    /// As messages of a Kafka cluster or of Event Hubs.
    Kafka(keywatch_brokers::Access, kafka::Settings),
    /// By asking Cloud Logging.
    Logging(GcpAccess, logging::Settings),
    /// Through the subscription of a log sink.
    PubSub(GcpAccess, pubsub::Settings),
    /// As blobs of a container.
    Blob(AzureAccess, objects::Settings),
    /// As objects of a bucket.
    Bucket(String, GcpAccess, objects::Settings),
    /// By being pushed to.
    Push(push::Settings),
}

impl LiveSource {
    /// Whether it may go back in time by itself, beyond what waits for it.
    pub(crate) const fn reads_old(&self) -> bool {
        match &self.way {
            Way::Trail(_, settings) => settings.backfill.is_some(),
            Way::Lookup(..) | Way::Logging(..) | Way::Blob(..) | Way::Bucket(..) => true,
            Way::Kafka(..) | Way::PubSub(..) | Way::Push(_) => false,
        }
    }

    /// What a section means; `None` for files. Spools lie beside the database unless told.
    pub(crate) fn of(source: &Source, database: &Path) -> Option<Self> {
        let name = source.name.value.clone();
        if let Some(device) = &source.vault {
            let way = push::Way::Device(device.meaning());
            let settings = push::Settings { storage: device.spool.meaning(&name, database), way };
            return Some(Self { name, way: Way::Push(settings) });
        }
        if let Some(http) = &source.http {
            let way = push::Way::Http(http.meaning());
            let settings = push::Settings { storage: http.spool.meaning(&name, database), way };
            return Some(Self { name, way: Way::Push(settings) });
        }
        if let Some(queue) = &source.aws_queue {
            let (access, settings) = queue.meaning();
            return Some(Self { name, way: Way::Trail(access, settings) });
        }
        if let Some(lookup) = &source.aws_lookup {
            let (access, settings) = lookup.meaning();
            return Some(Self { name, way: Way::Lookup(access, settings) });
        }
        if let Some(logging) = &source.gcp_logging {
            let (access, settings) = logging.meaning();
            return Some(Self { name, way: Way::Logging(access, settings) });
        }
        if let Some(pubsub) = &source.gcp_pubsub {
            let (access, settings) = pubsub.meaning();
            return Some(Self { name, way: Way::PubSub(access, settings) });
        }
        if let Some(objects) = &source.gcp_objects {
            let (bucket, access, settings) = objects.meaning();
            return Some(Self { name, way: Way::Bucket(bucket, access, settings) });
        }
        if let Some(blob) = &source.azure_blob {
            let (access, settings) = blob.meaning();
            return Some(Self { name, way: Way::Blob(access, settings) });
        }
        let kafka = source.kafka.as_ref().map(|kafka| kafka.meaning(&name));
        let hubs = source.event_hubs.as_ref().map(|hubs| hubs.meaning(&name));
        let (access, settings) = kafka.or(hubs)?;
        Some(Self { name, way: Way::Kafka(access, settings) })
    }

    /// Whose records it brings, before any has come.
    pub(crate) const fn provider(&self) -> Provider {
        match &self.way {
            Way::Trail(..) | Way::Lookup(..) => Provider::Aws,
            Way::Logging(..) | Way::PubSub(..) | Way::Bucket(..) => Provider::Gcp,
            // A topic may carry any of them; Event Hubs carry Azure's.
            Way::Kafka(..) | Way::Blob(..) => Provider::Azure,
            Way::Push(_) => Provider::Vault,
        }
    }

    /// What it is, in words.
    pub(crate) fn kind(&self) -> String {
        match &self.way {
            Way::Push(settings) => settings.way.told(),
            Way::Trail(_, settings) => match settings.carries {
                trail::Carries::Objects => format!("trail in S3, announced by {}", settings.queue),
                trail::Carries::Events => format!("events in {}", settings.queue),
            },
            Way::Lookup(_, settings) => {
                let accounts = match settings.roles.len() {
                    0 => "its own account".to_owned(),
                    count => format!("{count} account(s)"),
                };
                format!("CloudTrail LookupEvents: {accounts} in {}", settings.regions.join(", "))
            }
            Way::Logging(_, settings) => format!("Cloud Logging: {}", settings.resources.join(", ")),
            Way::PubSub(_, settings) => format!("log sink to Pub/Sub: {}", settings.subscription),
            Way::Bucket(bucket, _, _) => format!("log sink to gs://{bucket}"),
            Way::Blob(access, _) => {
                let account = access.account.as_deref().unwrap_or("the account of its connection string");
                format!("blobs of {} in {account}", access.container)
            }
            Way::Kafka(access, settings) => {
                format!("Kafka topics {} on {}", settings.topics.join(", "), access.brokers.join(", "))
            }
        }
    }
}
