//! Kafka, as the platform uses it, and what can be seen of the application's consumer group.

use std::{fs, sync::Arc, time::Duration};

use anyhow::{Context as _, ensure};
use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _},
    error::KafkaResult,
    message::{Header, OwnedHeaders},
    metadata::MetadataTopic,
    producer::{FutureProducer, FutureRecord, Producer as _},
    types::RDKafkaErrorCode,
};

use super::{
    arguments::{Arguments, Property},
    request::Record,
};

/// How long the broker may take for one answer.
const BROKER_TIMEOUT: Duration = Duration::from_secs(10);

/// Where a record lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// The partition.
    pub(crate) partition: i32,
    /// The record's offset in it.
    pub(crate) offset: i64,
}

/// Sends requests, and looks at the application's group.
pub(crate) struct Kafka {
    topic: String,
    producer: FutureProducer,
    group: Option<(String, Arc<BaseConsumer>)>,
}

impl Kafka {
    /// Connects, and makes sure that the topic is there.
    ///
    /// # Errors
    /// When a property is refused, the broker does not answer, or there is no such topic.
    pub(crate) async fn connect(arguments: &Arguments) -> anyhow::Result<Self> {
        let mut config = client_config(arguments)?;
        config.set("message.timeout.ms", BROKER_TIMEOUT.as_millis().to_string());
        let producer: FutureProducer = config.create().context("Kafka")?;
        let group = match &arguments.group {
            Some(group) => Some((group.clone(), Arc::new(group_client(arguments, group)?))),
            None => None,
        };
        let kafka = Self { topic: arguments.topic.clone(), producer, group };
        kafka.check_topic(&arguments.brokers).await?;
        Ok(kafka)
    }

    async fn check_topic(&self, brokers: &str) -> anyhow::Result<()> {
        let (producer, topic) = (self.producer.clone(), self.topic.clone());
        let look = move || {
            let found = producer.client().fetch_metadata(Some(&topic), BROKER_TIMEOUT)?;
            let errors = found.topics().iter().filter_map(MetadataTopic::error);
            KafkaResult::Ok(errors.map(RDKafkaErrorCode::from).next())
        };
        let error = tokio::task::spawn_blocking(look).await?.with_context(|| {
            format!("no Kafka broker answers at {brokers}; --kafka sets its TLS and login")
        })?;
        match error {
            // A topic that the broker is about to make.
            None | Some(RDKafkaErrorCode::LeaderNotAvailable) => Ok(()),
            Some(code) => anyhow::bail!("the topic {} cannot be used: {code}", self.topic),
        }
    }

    /// Sends a record and returns where it lies.
    ///
    /// # Errors
    /// When the broker does not take it.
    pub(crate) async fn send(&self, record: &Record) -> anyhow::Result<Place> {
        let header = |key, value| Header { key, value: Some(value) };
        let headers = OwnedHeaders::new()
            .insert(header("application", record.application.as_str()))
            .insert(header("x-rh-identity", record.identity.as_str()));
        let mut message = FutureRecord::to(&self.topic).key(&record.key).headers(headers);
        message.payload = record.payload.as_ref();
        let sent = self.producer.send(message, BROKER_TIMEOUT).await;
        let delivery = sent
            .map_err(|(error, _)| error)
            .with_context(|| format!("the topic {} took no record", self.topic))?;
        Ok(Place { partition: delivery.partition, offset: delivery.offset })
    }

    /// The offset from which the application's group would read on; None when it committed none.
    ///
    /// # Errors
    /// When no group was named or the broker does not tell.
    pub(crate) async fn committed(&self, partition: i32) -> anyhow::Result<Option<i64>> {
        let (_, client) = self.group.as_ref().context("no group was named")?;
        let (client, topic) = (Arc::clone(client), self.topic.clone());
        tokio::task::spawn_blocking(move || {
            let mut wanted = TopicPartitionList::new();
            wanted.add_partition(&topic, partition);
            let found = client.committed_offsets(wanted, BROKER_TIMEOUT)?;
            let offset = found.find_partition(&topic, partition).map(|found| found.offset());
            Ok(match offset {
                Some(Offset::Offset(offset)) => Some(offset),
                _ => None,
            })
        })
        .await?
    }

    /// How many consumers the application's group has; None when no group was named or the broker does not
    /// tell.
    pub(crate) async fn members(&self) -> Option<usize> {
        let (group, client) = self.group.as_ref()?;
        let (group, client) = (group.clone(), Arc::clone(client));
        let count = move || {
            let listed = client.fetch_group_list(Some(&group), BROKER_TIMEOUT).ok()?;
            Some(listed.groups().iter().map(|group| group.members().len()).sum())
        };
        tokio::task::spawn_blocking(count).await.ok().flatten()
    }
}

/// A client of the group that never joins it.
fn group_client(arguments: &Arguments, group: &str) -> anyhow::Result<BaseConsumer> {
    let mut config = client_config(arguments)?;
    config.set("group.id", group).set("enable.auto.commit", "false");
    config.create().context("Kafka")
}

fn client_config(arguments: &Arguments) -> anyhow::Result<ClientConfig> {
    let mut config = ClientConfig::new();
    config.set("client.id", "exportctl");
    if let Some(file) = &arguments.kafka_file {
        let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            // The line may hold a password: it is not repeated.
            let property: Property = line
                .parse()
                .map_err(|_| anyhow::anyhow!("{} has a line that is not KEY=VALUE", file.display()))?;
            config.set(property.key, property.value);
        }
    }
    for property in &arguments.kafka {
        config.set(&property.key, &property.value);
    }
    ensure!(!arguments.brokers.trim().is_empty(), "--brokers is empty");
    config.set("bootstrap.servers", &arguments.brokers);
    Ok(config)
}
