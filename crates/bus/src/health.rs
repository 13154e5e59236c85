//! Whether Kafka takes records, asked without hammering it.

use std::{sync::Arc, time::Duration};

use rdkafka::{
    client::Client,
    error::KafkaError,
    metadata::{MetadataPartition, MetadataTopic},
    producer::Producer as _,
    types::RDKafkaErrorCode,
};
use tokio::{sync::Mutex, task, time::Instant};

use crate::{client::Context, error::CheckError, generation::Generation};

/// How long a broker may take to answer: less than the two seconds after which a readiness check is dropped, and
/// what it found out with it.
const ANSWER_TIMEOUT: Duration = Duration::from_millis(1500);

/// How long an answer is good for.
const ANSWER_KEPT: Duration = Duration::from_secs(1);

/// The last answer. The lock is held while the brokers are asked: those who come meanwhile wait for the
/// same answer, and at most one thread waits for a broker.
#[derive(Default)]
pub(crate) struct Health {
    last: Mutex<Option<Answer>>,
}

struct Answer {
    topic: String,
    at: Instant,
    result: Result<(), CheckError>,
}

impl Health {
    /// Asks the brokers for `topic`, or returns the last answer when it is fresh.
    pub(crate) async fn check(&self, generation: Arc<Generation>, topic: &str) -> Result<(), CheckError> {
        let mut last = self.last.lock().await;
        if let Some(answer) = last.as_ref()
            && answer.topic == topic
            && answer.at.elapsed() < ANSWER_KEPT
        {
            return answer.result.clone();
        }
        let name = topic.to_owned();
        let asked = task::spawn_blocking(move || {
            ask(generation.client().ok_or(CheckError::Interrupted)?.client(), &name)
        })
        .await;
        let result = asked.unwrap_or(Err(CheckError::Interrupted));
        *last = Some(Answer { topic: topic.to_owned(), at: Instant::now(), result: result.clone() });
        result
    }
}

/// Asks the brokers whether the topic `name` can be used; waits for their answer.
pub(crate) fn ask(client: &Client<Context>, name: &str) -> Result<(), CheckError> {
    let metadata = client
        .fetch_metadata(Some(name), ANSWER_TIMEOUT)
        .map_err(|error| CheckError::NoBroker(error.into()))?;
    let unusable =
        |code: RDKafkaErrorCode| CheckError::Topic(name.to_owned(), KafkaError::MetadataFetch(code).into());
    let topic = metadata
        .topics()
        .iter()
        .find(|topic| topic.name() == name)
        .ok_or_else(|| unusable(RDKafkaErrorCode::UnknownTopic))?;
    if let Some(error) = topic.error() {
        return Err(unusable(error.into()));
    }
    leaderless(topic).map_or(Ok(()), |partition| Err(CheckError::NoLeader(name.to_owned(), partition)))
}

fn leaderless(topic: &MetadataTopic) -> Option<i32> {
    topic.partitions().iter().find(|partition| partition.leader() < 0).map(MetadataPartition::id)
}
