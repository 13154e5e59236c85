//! Making and inspecting topics.

use rdkafka::{
    admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication},
    error::KafkaError,
    types::RDKafkaErrorCode,
};

use crate::{
    client::Context, client_config::InvalidKafkaSettings, error::KafkaFailure, settings::KafkaSettings,
};

/// The replication that the brokers are set to.
const BROKERS_REPLICATION: TopicReplication<'_> = TopicReplication::Fixed(-1);

/// Why a topic could not be made or inspected.
#[derive(Debug, Clone, thiserror::Error)]
pub enum TopicError {
    /// The settings cannot be used.
    #[error(transparent)]
    Settings(#[from] InvalidKafkaSettings),
    /// No broker took the request.
    #[error("no Kafka broker took the request")]
    Unavailable(#[source] KafkaFailure),
    /// The brokers refuse it for this topic.
    #[error("topic `{0}`")]
    Topic(String, #[source] KafkaFailure),
}

/// Makes those of `names` that do not exist, each with so many partitions and the brokers' own
/// replication. A topic that exists is left as it is.
///
/// # Errors
/// [`TopicError`]; topics made before the one that failed stay.
pub async fn ensure_topics(
    settings: &KafkaSettings,
    names: &[&str],
    partitions: i32,
) -> Result<(), TopicError> {
    let topics: Vec<_> =
        names.iter().map(|name| NewTopic::new(name, partitions, BROKERS_REPLICATION)).collect();
    let made = admin(settings)?
        .create_topics(&topics, &options(settings))
        .await
        .map_err(|error| TopicError::Unavailable(error.into()))?;
    for outcome in made {
        match outcome {
            Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((name, code)) => return Err(TopicError::Topic(name, KafkaError::AdminOp(code).into())),
        }
    }
    Ok(())
}

/// The topic's `max.message.bytes`, the largest batch that it takes, in bytes; None when the brokers do
/// not say, because they do not know the topic or this client may not ask.
///
/// # Errors
/// [`TopicError`] when they cannot be asked.
pub async fn max_message_bytes(settings: &KafkaSettings, name: &str) -> Result<Option<u64>, TopicError> {
    let described = admin(settings)?
        .describe_configs(&[ResourceSpecifier::Topic(name)], &options(settings))
        .await
        .map_err(|error| TopicError::Unavailable(error.into()))?;
    let Some(described) = described.into_iter().next() else { return Ok(None) };
    let config =
        described.map_err(|code| TopicError::Topic(name.to_owned(), KafkaError::AdminOp(code).into()))?;
    let entry = config.entries.into_iter().find(|entry| entry.name == "max.message.bytes");
    Ok(entry.and_then(|entry| entry.value?.parse().ok()))
}

fn admin(settings: &KafkaSettings) -> Result<AdminClient<Context>, TopicError> {
    settings
        .client_config()?
        .create_with_context(Context::new(settings))
        .map_err(|error| InvalidKafkaSettings::Refused(KafkaFailure::from(error).to_string()).into())
}

fn options(settings: &KafkaSettings) -> AdminOptions {
    let timeout = Some(settings.message_timeout.as_duration());
    AdminOptions::new().request_timeout(timeout).operation_timeout(timeout)
}
