//! Asking a cluster what it has, without reading from it or joining a group.

use crate::group::Door;
use keywatch_brokers::{Access, Trouble, explain, trouble_of};
use keywatch_secrets::SecretManager;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use std::time::Duration;

/// How long the cluster is waited for.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Asks whether every topic is there; a pattern is not looked for. What was found, in words.
///
/// # Errors
/// What failed and how to mend it.
pub async fn probe(access: &Access, secrets: &SecretManager, topics: &[String]) -> Result<String, String> {
    let config = Door::new(access, secrets).open().await?;
    let (topics, brokers) = (topics.to_vec(), access.brokers.join(", "));
    // The client's questions block, and so may its end.
    let asked = tokio::task::spawn_blocking(move || ask(&config, &topics, &brokers)).await;
    asked.unwrap_or_else(|error| Err(format!("asking the cluster failed: {error}; report this")))
}

fn ask(config: &ClientConfig, topics: &[String], brokers: &str) -> Result<String, String> {
    let unanswered = |what: &str, error: &rdkafka::error::KafkaError| {
        let trouble = error.rdkafka_error_code().map_or(Trouble::Unavailable, trouble_of);
        explain(&format!("asking {brokers} about {what}"), trouble, &error.to_string())
    };
    let consumer: BaseConsumer = config.create().map_err(|error| unanswered("its topics", &error))?;
    let mut partitions = 0;
    for topic in topics.iter().filter(|topic| !topic.starts_with('^')) {
        let found =
            consumer.fetch_metadata(Some(topic), TIMEOUT).map_err(|error| unanswered(topic, &error))?;
        let Some(found) = found.topics().iter().find(|found| found.name() == topic) else { continue };
        if let Some(error) = found.error() {
            let code = rdkafka::types::RDKafkaErrorCode::from(error);
            return Err(unanswered(topic, &rdkafka::error::KafkaError::MetadataFetch(code)));
        }
        partitions += found.partitions().len();
    }
    if partitions == 0 {
        consumer.fetch_metadata(None, TIMEOUT).map_err(|error| unanswered("its topics", &error))?;
    }
    Ok(format!("{brokers} answers, {partitions} partition(s) of named topics"))
}
