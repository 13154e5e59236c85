//! Reading a topic from its beginning, apart from any consumer group: for tests, and for operators who
//! want to see what was sent.

use std::{sync::Arc, time::Duration};

use rdkafka::{
    Message as _, Offset, TopicPartitionList,
    consumer::{Consumer as _, StreamConsumer},
    error::KafkaError,
    message::BorrowedMessage,
    types::RDKafkaErrorCode,
};
use tokio::{
    task,
    time::{Instant, timeout_at},
};

use crate::{
    client::Context,
    client_config::InvalidKafkaSettings,
    error::{KafkaFailure, passes},
    headers,
    settings::KafkaSettings,
};

/// How long the brokers may take to say which partitions the topic has.
const METADATA_TIMEOUT: Duration = Duration::from_secs(10);

/// Reads all partitions of one topic. It commits nothing and disturbs nobody.
pub struct TopicReader {
    topic: String,
    consumer: Arc<StreamConsumer<Context>>,
}

/// A record as it lies in the topic.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredRecord {
    /// The partition that holds it.
    pub partition: i32,
    /// Its place in the partition.
    pub offset: i64,
    /// None when it has no key.
    pub key: Option<Vec<u8>>,
    /// Names and values; a header without a value has an empty one here. Of a record that has a name that is not
    /// UTF-8 there are none.
    pub headers: Vec<(String, Vec<u8>)>,
    /// None for a tombstone.
    pub payload: Option<Vec<u8>>,
}

/// Its place: the rest may carry identities and signed URLs.
impl std::fmt::Debug for StoredRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "[{}]@{}", self.partition, self.offset)
    }
}

/// Why a topic cannot be read.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ReadError {
    /// The settings cannot be used.
    #[error(transparent)]
    Settings(#[from] InvalidKafkaSettings),
    /// The brokers do not answer, or refuse.
    #[error("topic `{0}` cannot be read")]
    Topic(String, #[source] KafkaFailure),
    /// The reader was interrupted.
    #[error("the reader was interrupted")]
    Interrupted,
}

impl TopicReader {
    /// Opens `topic` at its first record.
    ///
    /// # Errors
    /// [`ReadError`], also when the topic does not exist.
    pub async fn open(settings: &KafkaSettings, topic: &str) -> Result<Self, ReadError> {
        let mut config = settings.client_config()?;
        // The library asks for a group even though none is joined and nothing is committed.
        config.set("group.id", "topic-reader").set("enable.auto.commit", "false");
        let failed = |error: KafkaError| ReadError::Topic(topic.to_owned(), error.into());
        let consumer: StreamConsumer<Context> =
            config.create_with_context(Context::new(settings)).map_err(failed)?;
        let consumer = Arc::new(consumer);
        let assignment = task::spawn_blocking({
            let (consumer, topic) = (Arc::clone(&consumer), topic.to_owned());
            move || all_partitions(&consumer, &topic)
        });
        // A token is fetched when the client is listened to, and without one no broker answers.
        let listen = async { while consumer.recv().await.is_err() {} };
        let assignment = tokio::select! {
            assignment = assignment => assignment.map_err(|_| ReadError::Interrupted)?.map_err(failed)?,
            () = listen => return Err(ReadError::Interrupted),
        };
        consumer.assign(&assignment).map_err(failed)?;
        Ok(Self { topic: topic.to_owned(), consumer })
    }

    /// The next record, or None when none came within `wait`. The records of one partition come in their
    /// order; those of different partitions come mixed.
    ///
    /// # Errors
    /// [`ReadError::Topic`]. A passing loss of connection is none: the reader waits for it to mend.
    pub async fn next(&self, wait: Duration) -> Result<Option<StoredRecord>, ReadError> {
        let deadline = Instant::now() + wait;
        loop {
            match timeout_at(deadline, self.consumer.recv()).await {
                Err(_) => return Ok(None),
                Ok(Ok(message)) => return Ok(Some(stored_record(&message))),
                Ok(Err(error)) if passes(&error) => {}
                Ok(Err(error)) => return Err(ReadError::Topic(self.topic.clone(), error.into())),
            }
        }
    }
}

/// All partitions of a topic, from their beginnings.
fn all_partitions(consumer: &StreamConsumer<Context>, topic: &str) -> Result<TopicPartitionList, KafkaError> {
    let metadata = consumer.fetch_metadata(Some(topic), METADATA_TIMEOUT)?;
    let mut assignment = TopicPartitionList::new();
    for described in metadata.topics() {
        if let Some(code) = described.error() {
            return Err(KafkaError::MetadataFetch(code.into()));
        }
        for partition in described.partitions() {
            assignment.add_partition_offset(topic, partition.id(), Offset::Beginning)?;
        }
    }
    if assignment.count() == 0 {
        return Err(KafkaError::MetadataFetch(RDKafkaErrorCode::UnknownTopic));
    }
    Ok(assignment)
}

fn stored_record(message: &BorrowedMessage<'_>) -> StoredRecord {
    // One whose headers cannot be read is shown without them.
    let headers = headers::of(message).unwrap_or_default();
    let headers = headers.into_iter().map(|(name, value)| (name, value.unwrap_or_default())).collect();
    StoredRecord {
        partition: message.partition(),
        offset: message.offset(),
        key: message.key().map(<[u8]>::to_vec),
        headers,
        payload: message.payload().map(<[u8]>::to_vec),
    }
}
