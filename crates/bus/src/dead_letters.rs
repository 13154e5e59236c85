//! Records that cannot be used, kept in a topic of their own with the reason, byte for byte.

use std::{sync::Arc, time::Duration};

use domain::ByteSize;
use rdkafka::{
    ClientConfig,
    error::KafkaError,
    message::{Header, OwnedHeaders},
    producer::Producer as _,
};
use tokio::{sync::Mutex, task, time::timeout};

use crate::{
    client::Context,
    client_config::InvalidKafkaSettings,
    consumer::TakenRecord,
    delivery::{DeliveringClient, Outgoing},
    error::{CheckError, KafkaFailure, SendError, Unavailable},
    health,
    reader::StoredRecord,
    settings::KafkaSettings,
};

/// Names of the headers that a dead letter has besides its record's own.
const REASON: &str = "dead-letter-reason";
const TOPIC: &str = "dead-letter-topic";
const PARTITION: &str = "dead-letter-partition";
const OFFSET: &str = "dead-letter-offset";
/// There when the brokers took the letter without the record's value only.
const WITHOUT_VALUE: &str = "dead-letter-without-value";
/// There when they took it without the record's key and headers only, too.
const WITHOUT_HEADERS: &str = "dead-letter-without-headers";
const OURS: [&str; 6] = [REASON, TOPIC, PARTITION, OFFSET, WITHOUT_VALUE, WITHOUT_HEADERS];

/// Longest reason, in bytes; of a longer one the beginning is kept.
const MAX_REASON_BYTES: usize = 1024;

/// How much longer than the client a report is waited for.
const REPORT_GRACE: Duration = Duration::from_secs(2);

/// Writes dead letters, and sends their records again. Clones share one connection.
#[derive(Clone)]
pub struct DeadLetters {
    inner: Arc<Inner>,
}

struct Inner {
    topic: String,
    context: Context,
    config: ClientConfig,
    message_timeout: Duration,
    /// None before the first use, after a fatal error, and at the end.
    client: Mutex<Option<Arc<DeliveringClient>>>,
}

/// A dead letter as it lies in its topic.
#[derive(Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// Its partition of the topic of dead letters.
    pub partition: i32,
    /// Its place there.
    pub offset: i64,
    /// Why its record could not be used.
    pub reason: String,
    /// Where the record was: topic, partition, offset.
    pub origin: (String, i32, i64),
    /// Whether the record's value had to be left out; it can be read where the record was.
    pub without_value: bool,
    /// Whether its key and headers had to be left out as well.
    pub without_headers: bool,
    /// The record's key.
    pub key: Option<Vec<u8>>,
    /// The record's own headers.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The record's value.
    pub payload: Option<Vec<u8>>,
}

impl DeadLetters {
    /// Writes to `topic` records of at most `max_message_bytes`. It does not wait for a broker.
    ///
    /// # Errors
    /// [`InvalidKafkaSettings`] when the settings cannot be used.
    pub fn new(
        settings: &KafkaSettings,
        topic: String,
        max_message_bytes: ByteSize,
    ) -> Result<Self, InvalidKafkaSettings> {
        let mut config = settings.client_config()?;
        let message_timeout = settings.message_timeout.as_duration();
        config
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("message.timeout.ms", message_timeout.as_millis().to_string())
            .set("allow.auto.create.topics", "false")
            .set("compression.type", settings.compression.as_str())
            .set("message.max.bytes", max_message_bytes.bytes().to_string())
            // The record's own key decides here too, as Java clients place keys.
            .set("partitioner", "murmur2_random");
        let (context, client) = (Context::new(settings), Mutex::new(None));
        Ok(Self { inner: Arc::new(Inner { topic, context, config, message_timeout, client }) })
    }

    /// Keeps a record that cannot be used for `reason`; returns once the brokers have stored it. Where they take
    /// it only without its value, or without its key and headers either, the letter says where those can be read.
    ///
    /// # Errors
    /// [`SendError`]; it may have been stored nevertheless.
    pub async fn bury(&self, record: &TakenRecord, reason: &str) -> Result<(), SendError> {
        let (topic, key) = (self.inner.topic.as_str(), record.key.as_deref());
        let headers = letter_headers(&record.headers, record, reason);
        let payload = record.payload.as_deref();
        let kept = self.send(Outgoing { topic, key, headers: headers.clone(), payload }).await;
        if !is_rejected(&kept) {
            return kept;
        }
        let headers = headers.insert(flag(WITHOUT_VALUE));
        let kept = self.send(Outgoing { topic, key, headers, payload: None }).await;
        if !is_rejected(&kept) {
            return kept;
        }
        // A record whose headers fill it must not keep its partition waiting for ever.
        let headers =
            letter_headers(&[], record, reason).insert(flag(WITHOUT_VALUE)).insert(flag(WITHOUT_HEADERS));
        self.send(Outgoing { topic, key: None, headers, payload: None }).await
    }

    /// Sends a dead letter's record once more to where it was, as it was.
    ///
    /// # Errors
    /// [`SendError`]; it may have been stored nevertheless.
    pub async fn replay(&self, letter: &DeadLetter) -> Result<(), SendError> {
        let headers = OwnedHeaders::new_with_capacity(letter.headers.len());
        let headers = letter
            .headers
            .iter()
            .fold(headers, |headers, (name, value)| headers.insert(Header { key: name, value: Some(value) }));
        let (topic, key) = (letter.origin.0.as_str(), letter.key.as_deref());
        self.send(Outgoing { topic, key, headers, payload: letter.payload.as_deref() }).await
    }

    /// Asks the brokers whether `topic` can be used. Takes at most two seconds or so.
    ///
    /// # Errors
    /// [`CheckError`] says what is missing.
    pub async fn check(&self, topic: &str) -> Result<(), CheckError> {
        let client = self.client().await.map_err(CheckError::Producer)?;
        let topic = topic.to_owned();
        let asked = task::spawn_blocking(move || health::ask(client.producer().client(), &topic)).await;
        asked.unwrap_or(Err(CheckError::Interrupted))
    }

    /// Waits for the client's threads to end, which they should do before the process does.
    pub async fn close(&self) {
        let client = self.inner.client.lock().await.take();
        if task::spawn_blocking(move || drop(client)).await.is_err() {
            tracing::warn!("the Kafka client of the dead letters did not end well");
        }
    }

    async fn send(&self, record: Outgoing<'_>) -> Result<(), SendError> {
        let client = self.client().await?;
        let delivery = client.send_raw(record).map_err(SendError::from_client)?;
        let patience = self.inner.message_timeout + REPORT_GRACE;
        match timeout(patience, delivery).await {
            Ok(Ok(Ok(_))) => Ok(()),
            Ok(Ok(Err(error))) => Err(SendError::from_client(error)),
            Ok(Err(_)) => Err(SendError::Unavailable(Unavailable::Abandoned)),
            Err(_) => Err(SendError::Unavailable(Unavailable::TimedOut(patience))),
        }
    }

    /// The client to send with; a new one when the last can send no more.
    async fn client(&self) -> Result<Arc<DeliveringClient>, SendError> {
        let mut current = self.inner.client.lock().await;
        if let Some(client) = current.as_ref().filter(|client| !client.has_fatal_error()) {
            return Ok(Arc::clone(client));
        }
        let ended = current.take();
        let inner = Arc::clone(&self.inner);
        let started = task::spawn_blocking(move || {
            drop(ended);
            DeliveringClient::start(&inner.config, inner.context.clone())
        });
        let failed =
            |error: KafkaError| SendError::Unavailable(Unavailable::Failed(KafkaFailure::from(error)));
        let client = started.await.map_err(|_| SendError::Unavailable(Unavailable::Abandoned))?;
        let client = Arc::new(client.map_err(failed)?);
        *current = Some(Arc::clone(&client));
        Ok(client)
    }
}

fn is_rejected(sent: &Result<(), SendError>) -> bool {
    matches!(sent, Err(SendError::Rejected(_)))
}

fn flag(key: &'static str) -> Header<'static, &'static str> {
    Header { key, value: Some("true") }
}

/// Those of the record's own headers that are kept, then ours.
fn letter_headers(own: &[(String, Option<Vec<u8>>)], record: &TakenRecord, reason: &str) -> OwnedHeaders {
    let headers = OwnedHeaders::new_with_capacity(own.len() + OURS.len());
    let headers = own
        .iter()
        .fold(headers, |headers, (name, value)| headers.insert(Header { key: name, value: value.as_ref() }));
    let reason = &reason[..reason.floor_char_boundary(MAX_REASON_BYTES)];
    let (partition, offset) = (record.partition.to_string(), record.offset.to_string());
    [(REASON, reason), (TOPIC, record.topic.as_str()), (PARTITION, &partition), (OFFSET, &offset)]
        .into_iter()
        .fold(headers, |headers, (key, value)| headers.insert(Header { key, value: Some(value) }))
}

/// Reads a dead letter; None for a record that is none.
pub fn read_dead_letter(record: StoredRecord) -> Option<DeadLetter> {
    // The last of a name: a record may have come with such headers of its own.
    let last = |name: &str| {
        let value = record.headers.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value);
        value.and_then(|value| String::from_utf8(value.clone()).ok())
    };
    let origin = (last(TOPIC)?, last(PARTITION)?.parse().ok()?, last(OFFSET)?.parse().ok()?);
    let reason = last(REASON)?;
    // Ours come behind the reason, whatever its record claims of itself.
    let is_flagged = |name: &str| {
        record.headers.iter().rev().take_while(|(known, _)| known != REASON).any(|(known, _)| known == name)
    };
    let (without_value, without_headers) = (is_flagged(WITHOUT_VALUE), is_flagged(WITHOUT_HEADERS));
    let is_own = |(name, _): &(String, Vec<u8>)| !OURS.contains(&name.as_str());
    Some(DeadLetter {
        partition: record.partition,
        offset: record.offset,
        reason,
        origin,
        without_value,
        without_headers,
        key: record.key,
        headers: record.headers.into_iter().filter(is_own).collect(),
        payload: record.payload,
    })
}

/// Its place and its reason: the rest carries identities and signed URLs.
impl std::fmt::Debug for DeadLetter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DeadLetter")
            .field("partition", &self.partition)
            .field("offset", &self.offset)
            .field("reason", &self.reason)
            .field("origin", &self.origin)
            .finish_non_exhaustive()
    }
}
