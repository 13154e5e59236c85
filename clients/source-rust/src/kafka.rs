//! The Kafka client, and what it commits.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use rdkafka::{
    ClientConfig, ClientContext, Offset, TopicPartitionList,
    consumer::{
        BaseConsumer, CommitMode, Consumer as KafkaConsumer, ConsumerContext, Rebalance, StreamConsumer,
    },
    error::{KafkaError, KafkaResult},
};
use tokio::{sync::oneshot, time::timeout};

use crate::{
    Settings,
    offsets::{Offsets, Place},
};

/// How long leaving the group may take.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(5);

/// A consumer that commits what is done.
pub(crate) type Consumer = StreamConsumer<Partitions>;

/// Lets partitions go with all that is done in them committed.
pub(crate) struct Partitions {
    topic: String,
    offsets: Mutex<Offsets>,
}

impl Partitions {
    pub(crate) fn offsets(&self) -> MutexGuard<'_, Offsets> {
        self.offsets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands what is done to the client, which commits it each second and when it lets a partition go.
    fn store(&self, consumer: &impl KafkaConsumer<Self>) {
        let advanced = self.offsets().advanced();
        if let Err(error) = self.list(&advanced).and_then(|list| consumer.store_offsets(&list)) {
            // The partition is another consumer's by now, which asks once more.
            tracing::debug!(%error, "offsets not stored");
        }
    }

    fn list(&self, places: &[Place]) -> KafkaResult<TopicPartitionList> {
        let mut list = TopicPartitionList::with_capacity(places.len());
        for Place { partition, offset } in places {
            list.add_partition_offset(&self.topic, *partition, Offset::Offset(*offset))?;
        }
        Ok(list)
    }
}

impl ClientContext for Partitions {}

impl ConsumerContext for Partitions {
    fn pre_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if let Rebalance::Revoke(list) = rebalance {
            self.store(consumer);
            for partition in list.elements() {
                self.offsets().forget(partition.partition());
            }
            tracing::info!(partitions = list.count(), "partitions go to other consumers");
        }
    }

    fn post_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if let Rebalance::Assign(list) = rebalance {
            tracing::info!(partitions = list.count(), "partitions come to this consumer");
        }
    }
}

/// A consumer in its group. It connects by itself, now or later.
pub(crate) fn consumer(settings: &Settings) -> Result<Arc<Consumer>, KafkaError> {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", &settings.brokers)
        .set("group.id", &settings.group)
        .set("auto.offset.reset", "earliest")
        // Uploads go on in partitions that stay when other consumers come and go.
        .set("partition.assignment.strategy", "cooperative-sticky")
        // Offsets are stored once their requests are answered, and committed from there.
        .set("enable.auto.offset.store", "false")
        .set("auto.commit.interval.ms", "1000")
        .set("allow.auto.create.topics", "false")
        .set("socket.keepalive.enable", "true")
        .set("reconnect.backoff.max.ms", "2000");
    for (name, value) in &settings.kafka {
        config.set(name, value);
    }
    let context = Partitions { topic: settings.topic.clone(), offsets: Mutex::default() };
    let consumer: Consumer = config.create_with_context(context)?;
    consumer.subscribe(&[&settings.topic])?;
    Ok(Arc::new(consumer))
}

/// Takes nothing more of the partitions that are assigned now. What was fetched ahead of them is thrown away.
pub(crate) fn pause(consumer: &Consumer) -> KafkaResult<()> {
    consumer.pause(&consumer.assignment()?)
}

/// Takes more of the partitions that are assigned now.
pub(crate) fn resume(consumer: &Consumer) -> KafkaResult<()> {
    consumer.resume(&consumer.assignment()?)
}

/// Hands what is done to the client, which commits it each second.
pub(crate) fn store_done(consumer: &Consumer) {
    consumer.context().store(consumer);
}

/// Commits what is done and leaves the group. False when that did not end within a few seconds: without a broker the
/// client waits for one, and nobody waits for the client then.
pub(crate) async fn leave(consumer: Arc<Consumer>) -> bool {
    let (left, leaving) = oneshot::channel();
    // Not a thread of the runtime, which would wait for it at its end.
    let started = thread::Builder::new().name("leaving".to_owned()).spawn(move || {
        store_done(&consumer);
        if let Err(error) = consumer.commit_consumer_state(CommitMode::Sync) {
            // Nothing to commit, or a broker that is away: what was not committed is asked again.
            tracing::debug!(%error, "not committed at the end");
        }
        drop(consumer);
        let _ = left.send(());
    });
    started.is_ok() && matches!(timeout(LEAVE_TIMEOUT, leaving).await, Ok(Ok(())))
}
