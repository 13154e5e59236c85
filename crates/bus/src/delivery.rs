//! A producing client of the Kafka library, and the thread that hands out its reports.
//!
//! The library has one of its own (`FutureProducer`). Its thread polls ten times a second, and towards the end
//! of each poll it spins for what is left of a millisecond: 1 % of a core, with nothing to do.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use domain::Record;
use rdkafka::{
    ClientConfig, Message as _,
    error::KafkaError,
    message::{DeliveryResult, Header, OwnedHeaders},
    producer::{BaseProducer, BaseRecord, NoCustomPartitioner, Producer as _, ProducerContext, PurgeConfig},
};
use tokio::sync::oneshot;

use crate::client::Context;

/// How long the thread waits for a report before it looks whether it should end. A report wakes it at once.
const POLL: Duration = Duration::from_millis(500);

/// What became of a record: its place in the partition, or why it was not stored.
pub(crate) type Report = Result<i64, KafkaError>;

/// Where the report on one record arrives. Closed without one when the client is gone.
pub(crate) type Delivery = oneshot::Receiver<Report>;

impl ProducerContext<NoCustomPartitioner> for Context {
    type DeliveryOpaque = Box<oneshot::Sender<Report>>;

    fn delivery(&self, result: &DeliveryResult<'_>, report: Box<oneshot::Sender<Report>>) {
        // Whoever asked may have gone.
        let _ = report.send(match result {
            Ok(message) => Ok(message.offset()),
            Err((error, _)) => Err(error.clone()),
        });
    }
}

/// A record byte for byte, for the brokers.
pub(crate) struct Outgoing<'a> {
    pub(crate) topic: &'a str,
    pub(crate) key: Option<&'a [u8]>,
    pub(crate) headers: OwnedHeaders,
    pub(crate) payload: Option<&'a [u8]>,
}

/// A client. Dropping it waits for its threads.
pub(crate) struct DeliveringClient {
    producer: Arc<BaseProducer<Context>>,
    ended: Arc<AtomicBool>,
    polling: Option<JoinHandle<()>>,
}

impl DeliveringClient {
    /// Starts a client. This does not wait for a broker, but it starts threads and may read certificates.
    pub(crate) fn start(config: &ClientConfig, context: Context) -> Result<Self, KafkaError> {
        let producer: Arc<BaseProducer<Context>> = Arc::new(config.create_with_context(context)?);
        let ended = Arc::new(AtomicBool::new(false));
        let (polled, ending) = (Arc::clone(&producer), Arc::clone(&ended));
        let poll = move || {
            while !ending.load(Ordering::Relaxed) {
                polled.poll(POLL);
            }
        };
        let polling = thread::Builder::new()
            .name("kafka-reports".to_owned())
            .spawn(poll)
            .map_err(|error| KafkaError::ClientCreation(error.to_string()))?;
        Ok(Self { producer, ended, polling: Some(polling) })
    }

    /// Hands a record over; never waits.
    pub(crate) fn send(&self, record: &Record) -> Result<Delivery, KafkaError> {
        let headers = record
            .headers
            .iter()
            .fold(OwnedHeaders::new_with_capacity(record.headers.len()), |headers, (name, value)| {
                headers.insert(Header { key: name, value: Some(value) })
            });
        let (topic, key, payload) = (record.topic.as_str(), record.key.as_bytes(), record.payload.as_slice());
        self.send_raw(Outgoing { topic, key: Some(key), headers, payload: Some(payload) })
    }

    /// As [`DeliveringClient::send`], for what need not be text.
    pub(crate) fn send_raw(&self, record: Outgoing<'_>) -> Result<Delivery, KafkaError> {
        let (report, delivery) = oneshot::channel();
        let mut handed_over: BaseRecord<'_, [u8], [u8], _> =
            BaseRecord::with_opaque_to(record.topic, Box::new(report)).headers(record.headers);
        (handed_over.key, handed_over.payload) = (record.key, record.payload);
        self.producer.send(handed_over).map(|()| delivery).map_err(|(error, _)| error)
    }

    /// Whether the client met an error after which it sends nothing more.
    pub(crate) fn has_fatal_error(&self) -> bool {
        self.producer.client().fatal_error().is_some()
    }

    /// Drops all records that have no report yet, and reports them as not sent. Does not wait.
    pub(crate) fn purge(&self) {
        self.producer.purge(PurgeConfig::default().queue().inflight().non_blocking());
    }

    /// For questions about the cluster.
    pub(crate) fn producer(&self) -> &BaseProducer<Context> {
        &self.producer
    }
}

impl Drop for DeliveringClient {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        if let Some(polling) = self.polling.take()
            && polling.join().is_err()
        {
            tracing::warn!("the thread of a Kafka client ended badly");
        }
    }
}
