//! What a consumer does when its share of the partitions changes.

use std::{error::Error, sync::Arc};

use rdkafka::{
    ClientContext, Statistics, TopicPartitionList,
    client::OAuthToken,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, CommitMode, Consumer as _, ConsumerContext, Rebalance},
    error::{KafkaError, KafkaResult},
};

use super::assignment::Assignments;
use crate::client::Context;

/// Follows the changes of the group. It is called by the client while the consumer is asked for records.
#[derive(Debug)]
pub(super) struct GroupContext {
    client: Context,
    topic: String,
    assignments: Arc<Assignments>,
}

impl GroupContext {
    pub(super) fn new(client: Context, topic: String, assignments: Arc<Assignments>) -> Self {
        Self { client, topic, assignments }
    }
}

impl ClientContext for GroupContext {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = Context::ENABLE_REFRESH_OAUTH_TOKEN;

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.client.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.client.error(error, reason);
    }

    fn stats(&self, statistics: Statistics) {
        let Some(topic) = statistics.topics.get(&self.topic) else { return };
        // What is behind in partitions of others is told by them; -1 stands for what is not known.
        let ours =
            topic.partitions.iter().filter(|(partition, _)| self.assignments.of(**partition).is_some());
        let behind = ours.filter_map(|(_, partition)| u64::try_from(partition.consumer_lag).ok()).sum();
        self.assignments.set_lag(behind);
    }

    fn generate_oauth_token(&self, config: Option<&str>) -> Result<OAuthToken, Box<dyn Error>> {
        self.client.generate_oauth_token(config)
    }
}

impl ConsumerContext for GroupContext {
    fn pre_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        match rebalance {
            Rebalance::Assign(given) => {
                tracing::info!(partitions = ?partitions(given), "partitions were given to this consumer");
                self.assignments.assign(partitions(given));
            }
            Rebalance::Revoke(given_away) => {
                let given_away = partitions(given_away);
                tracing::info!(partitions = ?given_away, "partitions were taken from this consumer");
                self.commit(consumer);
                self.assignments.revoke(given_away);
            }
            Rebalance::Error(error) => tracing::warn!(%error, "the consumer group could not be balanced"),
        }
    }

    fn post_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        // What was full when it was given away is not any more.
        if let Rebalance::Assign(given) = rebalance
            && let Err(error) = consumer.resume(given)
        {
            tracing::debug!(%error, "partitions that were given go on by themselves");
        }
    }

    fn commit_callback(&self, result: KafkaResult<()>, _: &TopicPartitionList) {
        if let Err(error) = result {
            tracing::debug!(%error, "offsets were not committed");
            self.assignments.not_committed();
        }
    }
}

impl GroupContext {
    /// Commits what is done before a partition goes. Nobody waits for it: at worst the next one looks at a few
    /// records again.
    fn commit(&self, consumer: &BaseConsumer<Self>) {
        let positions = self.assignments.to_commit(&self.topic);
        if positions.count() > 0
            && let Err(error) = consumer.commit(&positions, CommitMode::Async)
        {
            tracing::debug!(%error, "offsets were not committed before partitions went");
        }
    }
}

fn partitions(list: &TopicPartitionList) -> Vec<i32> {
    list.elements().iter().map(rdkafka::topic_partition_list::TopicPartitionListElem::partition).collect()
}
