//! Reading a topic and noting when each record came.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, anyhow, bail};
use rdkafka::{
    ClientConfig, Message as _, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _},
};

const BROKER_TIMEOUT: Duration = Duration::from_secs(10);

/// How soon the reader notices that it is to end. A record that comes is handed over at once.
const POLL: Duration = Duration::from_millis(20);

/// Which topic, and where.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Topic {
    /// Brokers, `host:port`.
    #[arg(long)]
    pub(crate) brokers: String,
    /// The topic.
    #[arg(long)]
    pub(crate) topic: String,
}

/// For each partition, the offset that its next record will get.
pub(crate) struct EndOffsets(Vec<(i32, i64)>);

impl EndOffsets {
    /// How many records the topic has taken.
    pub(crate) fn total(&self) -> i64 {
        self.0.iter().map(|(_, offset)| offset).sum()
    }
}

/// A record, and when it could be read.
pub(crate) struct Seen {
    pub(crate) at: Instant,
    pub(crate) key: Vec<u8>,
    pub(crate) payload: Vec<u8>,
}

impl Topic {
    /// The topic's ends.
    ///
    /// # Errors
    /// When the brokers do not answer, or there is no such topic.
    pub(crate) fn end_offsets(&self) -> Result<EndOffsets> {
        self.ends(&self.consumer()?)
    }

    /// A consumer of the whole topic.
    ///
    /// # Errors
    /// When the brokers do not answer, or there is no such topic.
    pub(crate) fn whole(&self) -> Result<BaseConsumer> {
        let consumer = self.consumer()?;
        let mut assignment = TopicPartitionList::new();
        for (partition, _) in self.ends(&consumer)?.0 {
            assignment.add_partition_offset(&self.topic, partition, Offset::Beginning)?;
        }
        consumer.assign(&assignment)?;
        Ok(consumer)
    }

    fn consumer(&self) -> Result<BaseConsumer> {
        let config = ClientConfig::new()
            .set("bootstrap.servers", &self.brokers)
            // The library asks for a group even though none is joined and nothing is committed.
            .set("group.id", "bench-probe")
            .set("enable.auto.commit", "false")
            .set("socket.nagle.disable", "true")
            .create();
        config.context("making a Kafka consumer")
    }

    fn ends(&self, consumer: &BaseConsumer) -> Result<EndOffsets> {
        let topic = self.topic.as_str();
        let metadata =
            consumer.fetch_metadata(Some(topic), BROKER_TIMEOUT).context("asking for the topic")?;
        let described = metadata.topics().first().context("the brokers do not know the topic")?;
        if let Some(error) = described.error() {
            bail!("the topic {topic}: {error:?}");
        }
        let end = |id| anyhow::Ok((id, consumer.fetch_watermarks(topic, id, BROKER_TIMEOUT)?.1));
        let ends = described.partitions().iter().map(|partition| end(partition.id()));
        Ok(EndOffsets(ends.collect::<Result<_>>()?))
    }
}

/// Reads from the topic's end on, on a thread of its own, until it is [finished](Self::finish).
pub(crate) struct Reader {
    ending: Arc<AtomicBool>,
    count: Arc<AtomicUsize>,
    thread: thread::JoinHandle<Result<Vec<Seen>>>,
}

impl Reader {
    /// Begins to read what comes from now on.
    ///
    /// # Errors
    /// When the brokers do not answer, or there is no such topic.
    pub(crate) fn start(topic: &Topic) -> Result<Self> {
        let consumer = topic.consumer()?;
        let mut assignment = TopicPartitionList::new();
        for (partition, end) in topic.ends(&consumer)?.0 {
            assignment.add_partition_offset(&topic.topic, partition, Offset::Offset(end))?;
        }
        consumer.assign(&assignment)?;
        let (ending, count) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (seen_ending, seen_count) = (Arc::clone(&ending), Arc::clone(&count));
        let thread = thread::spawn(move || read(&consumer, &seen_ending, &seen_count));
        Ok(Self { ending, count, thread })
    }

    /// Waits until so many records came, or the time is up, and returns all that came.
    ///
    /// # Errors
    /// When reading failed.
    pub(crate) async fn finish(self, expected: usize, patience: Duration) -> Result<Vec<Seen>> {
        let deadline = Instant::now() + patience;
        while self.count.load(Ordering::Relaxed) < expected
            && Instant::now() < deadline
            && !self.thread.is_finished()
        {
            tokio::time::sleep(POLL).await;
        }
        // What would be too many comes now.
        tokio::time::sleep(Duration::from_millis(300)).await;
        self.ending.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| anyhow!("the reader panicked"))?
    }
}

fn read(consumer: &BaseConsumer, ending: &AtomicBool, count: &AtomicUsize) -> Result<Vec<Seen>> {
    let mut seen = Vec::new();
    while !ending.load(Ordering::Relaxed) {
        let Some(message) = consumer.poll(POLL) else { continue };
        let (at, message) = (Instant::now(), message.context("reading the topic")?);
        let bytes = |part: Option<&[u8]>| part.unwrap_or_default().to_vec();
        seen.push(Seen { at, key: bytes(message.key()), payload: bytes(message.payload()) });
        count.fetch_add(1, Ordering::Relaxed);
    }
    Ok(seen)
}
