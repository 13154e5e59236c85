//! One client of the Kafka library, from its making to its end.
//!
//! [`crate::Producer`] uses one generation after the other: a generation that was abandoned, or that met
//! a fatal error, sends nothing any more and is followed by a new one.

use std::{
    sync::{PoisonError, RwLock},
    thread,
};

use domain::Record;
use rdkafka::{ClientConfig, error::KafkaError, producer::BaseProducer};
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::{
    client::Context,
    delivery::{DeliveringClient, Delivery},
    error::{SendError, Unavailable},
};

/// One client of the Kafka library.
pub(crate) struct Generation {
    /// There until the generation is dropped.
    client: Option<DeliveringClient>,
    /// Whether records may still be handed over. Whoever hands some over holds it for reading, so that
    /// no record slips in behind a purge.
    open: RwLock<bool>,
    /// Returned when the client's threads have ended.
    alive: Option<TaskTrackerToken>,
}

impl Generation {
    /// Starts a client. This does not wait for a broker, but it starts threads and may read certificates.
    pub(crate) fn start(
        config: &ClientConfig,
        context: Context,
        alive: TaskTrackerToken,
    ) -> Result<Self, KafkaError> {
        let client = DeliveringClient::start(config, context)?;
        Ok(Self { client: Some(client), open: RwLock::new(true), alive: Some(alive) })
    }

    /// The client, for questions about the cluster. None only while the generation is being dropped.
    pub(crate) fn client(&self) -> Option<&BaseProducer<Context>> {
        self.client.as_ref().map(DeliveringClient::producer)
    }

    /// Whether records can still be sent.
    pub(crate) fn is_usable(&self) -> bool {
        let open = *self.open.read().unwrap_or_else(PoisonError::into_inner);
        open && self.client.as_ref().is_some_and(|client| !client.has_fatal_error())
    }

    /// Hands `records` over, in order. After the first that could not be handed over now, the later ones
    /// are held back: one of them might have the same key.
    pub(crate) fn enqueue(&self, records: &[&Record]) -> Vec<Result<Delivery, SendError>> {
        let open = self.open.read().unwrap_or_else(PoisonError::into_inner);
        let client = self.client.as_ref().filter(|_| *open);
        let mut held_back = client.is_none();
        records
            .iter()
            .map(|record| match client {
                Some(client) if !held_back => client.send(record).map_err(|error| {
                    let error = SendError::from_client(error);
                    held_back = error.is_temporary();
                    error
                }),
                _ => Err(SendError::Unavailable(Unavailable::Abandoned)),
            })
            .collect()
    }

    /// Sends nothing more and reports every record that has no report yet as not sent. Does not wait.
    ///
    /// What was on its way may still be stored by the broker. It is the beginning of what was handed
    /// over for a partition, never a part from its middle: one request is on its way at a time, and the
    /// purge takes the queue behind it as a whole.
    pub(crate) fn abandon(&self) {
        *self.open.write().unwrap_or_else(PoisonError::into_inner) = false;
        if let Some(client) = &self.client {
            client.purge();
        }
    }
}

impl Drop for Generation {
    /// Ending a client waits for its threads, one of which may be looking up a host name: not on a
    /// server's worker. Should no thread be had, the closure is dropped here, which does the same.
    fn drop(&mut self) {
        let client = self.client.take();
        let alive = self.alive.take();
        let end = move || {
            drop(client);
            drop(alive);
        };
        if let Err(error) = thread::Builder::new().name("kafka-client-end".to_owned()).spawn(end) {
            tracing::warn!(%error, "a Kafka client had to be ended on the spot");
        }
    }
}
