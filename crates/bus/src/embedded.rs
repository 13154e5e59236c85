//! A Kafka in this process.

use std::{
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread::{self, JoinHandle},
};

use rdkafka::{error::KafkaError, mocking::MockCluster, producer::DefaultProducerContext};

use crate::error::KafkaFailure;

/// A Kafka broker in this process, on a free port of the loopback address, for any client.
///
/// It is volatile: what it holds is gone when it is dropped or the process ends. A partition keeps at
/// most 5 MiB or 100,000 records; the oldest go without a word. It knows no admin requests (topics are
/// made by [`EmbeddedBroker::create_topic`]) and no lookup of offsets by time, and a consumer group takes
/// about three seconds to form.
#[derive(Debug)]
pub struct EmbeddedBroker {
    bootstrap_servers: String,
    /// None only while it is being dropped.
    commands: Option<SyncSender<CreateTopic>>,
    thread: Option<JoinHandle<()>>,
}

/// Why there is no embedded broker, or no topic on it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum EmbeddedBrokerError {
    /// It could not be started, or has ended.
    #[error("the embedded Kafka broker is not running")]
    NotRunning,
    /// The topic could not be made.
    #[error("the embedded Kafka broker did not make the topic")]
    Topic(#[source] KafkaFailure),
}

struct CreateTopic {
    name: String,
    partitions: i32,
    made: SyncSender<Result<(), KafkaError>>,
}

impl EmbeddedBroker {
    /// Starts a broker; it takes a few milliseconds.
    ///
    /// # Errors
    /// [`EmbeddedBrokerError::NotRunning`] when it cannot be started.
    pub fn start() -> Result<Self, EmbeddedBrokerError> {
        let (commands, received) = sync_channel(0);
        let (started, start) = sync_channel(1);
        // The library's handle cannot leave the thread that made it.
        let thread = thread::Builder::new()
            .name("embedded-kafka".to_owned())
            .spawn(move || match MockCluster::new(1) {
                Ok(cluster) => {
                    let _ = started.send(cluster.bootstrap_servers());
                    serve(&cluster, &received);
                }
                Err(error) => tracing::warn!(%error, "the embedded Kafka broker did not start"),
            })
            .map_err(|_| EmbeddedBrokerError::NotRunning)?;
        let bootstrap_servers = start.recv().map_err(|_| EmbeddedBrokerError::NotRunning)?;
        Ok(Self { bootstrap_servers, commands: Some(commands), thread: Some(thread) })
    }

    /// Its address, `host:port`, for the setting `kafka.brokers`.
    pub fn bootstrap_servers(&self) -> &str {
        &self.bootstrap_servers
    }

    /// Makes a topic.
    ///
    /// # Errors
    /// [`EmbeddedBrokerError::Topic`] when it exists already or its name or number of partitions is
    /// refused.
    pub fn create_topic(&self, name: &str, partitions: i32) -> Result<(), EmbeddedBrokerError> {
        let (made, outcome) = sync_channel(1);
        let command = CreateTopic { name: name.to_owned(), partitions, made };
        let commands = self.commands.as_ref().ok_or(EmbeddedBrokerError::NotRunning)?;
        commands.send(command).map_err(|_| EmbeddedBrokerError::NotRunning)?;
        outcome
            .recv()
            .map_err(|_| EmbeddedBrokerError::NotRunning)?
            .map_err(|error| EmbeddedBrokerError::Topic(error.into()))
    }
}

impl Drop for EmbeddedBroker {
    fn drop(&mut self) {
        // Closing the channel ends the thread, and with it the broker.
        drop(self.commands.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::warn!("the embedded Kafka broker ended badly");
        }
    }
}

fn serve(cluster: &MockCluster<'_, DefaultProducerContext>, commands: &Receiver<CreateTopic>) {
    while let Ok(CreateTopic { name, partitions, made }) = commands.recv() {
        let _ = made.send(cluster.create_topic(&name, partitions, 1));
    }
}
