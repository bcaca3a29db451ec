//! Produces to a topic: every message is acknowledged by all replicas in sync before it counts as
//! delivered.
//!
//! The brokers of the configuration pass the egress policy before every attempt. The client dials
//! them itself, and those the cluster names; see docs/receivers.md.

use super::{Carried, Parcel};
use crate::egress::Egress;
use crate::receiver::{Kafka, KafkaProduced, Receiver};
use crate::reply::{Reply, Verdict};
use keywatch_brokers::{Trouble, explain, trouble_of};
use keywatch_secrets::SecretRef;
use rdkafka::ClientContext;
use rdkafka::config::{FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::time::timeout_at;
use url::Url;

/// Messages and KiB that may wait in the client: more than one attempt of every sender has.
const QUEUE_MESSAGES: &str = "10000";
const QUEUE_KIB: &str = "32768";

/// A topic and the client it is reached with.
pub(crate) struct Producing {
    kafka: Kafka,
    egress: Egress,
    client: Mutex<Option<Arc<Client>>>,
}

/// A client, and the credentials it was made with.
struct Client {
    shown: Vec<String>,
    producer: Option<FutureProducer<Ear>>,
    ear: Ear,
}

/// What the client says besides the fate of each message.
#[derive(Clone, Default)]
struct Ear(Arc<Heard>);

#[derive(Default)]
struct Heard {
    said: Mutex<String>,
    refused: Mutex<Option<String>>,
    is_refused: Notify,
}

impl ClientContext for Ear {
    /// The client hands over as an error what matters of its log.
    fn log(&self, _level: RDKafkaLogLevel, facility: &str, text: &str) {
        tracing::debug!(facility, "{text}");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail);
        if trouble_of(code) == Trouble::Credentials {
            *self.0.refused.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason.to_owned());
            self.0.is_refused.notify_waiters();
        } else {
            *self.0.said.lock().unwrap_or_else(PoisonError::into_inner) = format!(" ({reason})");
        }
    }
}

impl Ear {
    /// Waits until the cluster refuses the login; what it said.
    async fn refusal(&self) -> String {
        loop {
            let told = self.0.is_refused.notified();
            if let Some(said) = self.0.refused.lock().unwrap_or_else(PoisonError::into_inner).clone() {
                return said;
            }
            told.await;
        }
    }

    fn said(&self) -> String {
        self.0.said.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Client {
    /// Giving a client up waits for its threads.
    fn drop(&mut self) {
        let producer = self.producer.take();
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn_blocking(move || drop(producer));
        }
    }
}

impl Producing {
    pub(super) fn new(receiver: &Receiver, kafka: &Kafka, egress: &Egress) -> Self {
        let mut kafka = kafka.clone();
        if let Some(tls) = &mut kafka.access.tls
            && tls.ca_file.is_none()
        {
            tls.ca_file.clone_from(&receiver.ca_file);
        }
        Self { kafka, egress: egress.clone(), client: Mutex::new(None) }
    }

    pub(super) async fn carry(&self, parcel: &Parcel<'_>) -> Carried {
        let messages = match self.kafka.messages(parcel.notification) {
            Ok(messages) => messages,
            Err(error) => return Reply::unsendable(error.to_string()).into(),
        };
        let shown = if parcel.rehearsal {
            messages.iter().map(|message| message.shown(&self.kafka, parcel.held)).collect()
        } else {
            vec![]
        };
        let sent = timeout_at(parcel.deadline, self.produce(&messages, parcel)).await;
        let reply = sent.unwrap_or_else(|_elapsed| {
            let said = self
                .client
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .as_ref()
                .map(|client| client.ear.said());
            self.failed(
                Trouble::Unavailable,
                &format!("no answer within {:?}{}", parcel.limit, said.unwrap_or_default()),
            )
        });
        Carried { reply, shown }
    }

    async fn produce(&self, messages: &[KafkaProduced], parcel: &Parcel<'_>) -> Reply {
        if let Err(refusal) = self.check_brokers().await {
            return Reply::failed(refusal);
        }
        let client = match self.client(parcel) {
            Ok(client) => client,
            Err(error) => return Reply::failed(error),
        };
        let Some(producer) = &client.producer else {
            return Reply::failed("the client has ended".to_owned());
        };
        let mut places = Vec::new();
        for message in messages {
            let record = FutureRecord::to(&self.kafka.topic)
                .key(&message.key)
                .payload(&message.value)
                .headers(headers(&message.headers));
            let delivered = tokio::select! {
                delivered = producer.send(record, Duration::ZERO) => delivered,
                said = client.ear.refusal() => {
                    self.forget();
                    return Reply { credentials_refused: true, ..self.failed(Trouble::Credentials, &said) };
                }
            };
            match delivered {
                Ok(done) => places.push(format!("partition {}, offset {}", done.partition, done.offset)),
                Err((error, _)) => return self.judged(&error, &client.ear.said()),
            }
        }
        Reply { excerpt: Some(places.join("; ")), ..Reply::delivered(None) }
    }

    async fn check_brokers(&self) -> Result<(), String> {
        for url in self.kafka.urls() {
            let url =
                Url::parse(&url).map_err(|error| format!("a broker's address cannot be read: {error}"))?;
            self.egress.check(&url).await.map_err(|refusal| refusal.to_string())?;
        }
        Ok(())
    }

    fn judged(&self, error: &KafkaError, said: &str) -> Reply {
        let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail);
        // An idempotent client that has met what it cannot repair answers nothing else any more.
        if matches!(code, RDKafkaErrorCode::Fatal | RDKafkaErrorCode::OutOfOrderSequenceNumber) {
            self.forget();
        }
        let trouble = trouble_of(code);
        let reply = self.failed(trouble, &format!("{code}{said}"));
        match trouble {
            Trouble::Credentials | Trouble::Denied => Reply { credentials_refused: true, ..reply },
            Trouble::Large => Reply { verdict: Verdict::GiveUp, ..reply },
            Trouble::Missing | Trouble::Unavailable => reply,
        }
    }

    fn failed(&self, trouble: Trouble, said: &str) -> Reply {
        Reply::failed(explain(&format!("could not produce to {}", self.kafka.topic), trouble, said))
    }

    fn forget(&self) {
        self.client.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// The client for the credentials in hand; they may have been rotated.
    fn client(&self, parcel: &Parcel<'_>) -> Result<Arc<Client>, String> {
        let text = |reference: &SecretRef| parcel.held.text(reference).ok();
        let shown: Vec<String> =
            self.kafka.access.secrets().into_iter().filter_map(text).map(str::to_owned).collect();
        let mut kept = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = kept.as_ref().filter(|client| client.shown == shown) {
            return Ok(Arc::clone(client));
        }
        let mut config = self.kafka.access.config(text);
        config
            .set("acks", "all")
            .set("enable.idempotence", "true")
            .set("linger.ms", "0")
            // The outbox tries again, and every attempt is recorded.
            .set("message.timeout.ms", (parcel.limit * 9 / 10).as_millis().to_string())
            .set("queue.buffering.max.messages", QUEUE_MESSAGES)
            .set("queue.buffering.max.kbytes", QUEUE_KIB);
        let ear = Ear::default();
        let producer = FutureProducer::from_config_and_context(&config, ear.clone());
        let producer = producer.map_err(|error| format!("the Kafka client could not be set up: {error}"))?;
        let client = Arc::new(Client { shown, producer: Some(producer), ear });
        *kept = Some(Arc::clone(&client));
        Ok(client)
    }
}

fn headers(all: &[(String, String)]) -> OwnedHeaders {
    all.iter().fold(OwnedHeaders::new_with_capacity(all.len()), |headers, (key, value)| {
        headers.insert(Header { key, value: Some(value) })
    })
}

#[cfg(test)]
mod tests;
