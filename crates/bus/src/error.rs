//! Why a record was not sent, and why Kafka is not ready.

use std::time::Duration;

use rdkafka::{error::KafkaError, types::RDKafkaErrorCode};

/// What the Kafka client or a broker said.
#[derive(Debug, Clone, thiserror::Error)]
#[error(transparent)]
pub struct KafkaFailure(KafkaError);

/// The one way in. A refused property comes with its value, which may be a password: only the property's
/// name and what is wrong with it are kept.
impl From<KafkaError> for KafkaFailure {
    fn from(error: KafkaError) -> Self {
        Self(match error {
            KafkaError::ClientConfig(_, reason, property, value) => {
                let shows_value = !value.is_empty() && reason.contains(&value);
                let reason = if shows_value { "the value is refused" } else { reason.as_str() };
                KafkaError::ClientCreation(format!("property `{property}`: {reason}"))
            }
            other => other,
        })
    }
}

/// Why a record was not sent.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SendError {
    /// Not now. The record may be sent again later; it may even have been stored already, without our
    /// learning of it.
    #[error("Kafka did not acknowledge the record")]
    Unavailable(#[source] Unavailable),
    /// Never: the brokers refuse this very record, whenever it is sent.
    #[error("Kafka refuses the record")]
    Rejected(#[source] KafkaFailure),
}

impl SendError {
    /// Whether sending the same record again later makes sense.
    pub const fn is_temporary(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }

    pub(crate) fn from_client(error: KafkaError) -> Self {
        if blames_the_record(&error) {
            Self::Rejected(error.into())
        } else {
            Self::Unavailable(Unavailable::Failed(error.into()))
        }
    }
}

/// Why a record cannot be sent now.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Unavailable {
    /// No acknowledgement within the time that a record may take.
    #[error("no acknowledgement within {0:?}")]
    TimedOut(Duration),
    /// The client or a broker says so.
    #[error(transparent)]
    Failed(KafkaFailure),
    /// The client that was to send it was given up, because another record of it failed; or an earlier
    /// record of the same call could not be handed to it.
    #[error("an earlier record failed")]
    Abandoned,
    /// The report did not say where the record is stored, which leaves open whether it is.
    #[error("the acknowledgement does not say where the record is stored")]
    Unproven,
    /// The producer was closed.
    #[error("the producer is closed")]
    Closed,
}

/// Why Kafka is not ready to take records for a topic.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CheckError {
    /// No broker answered in time.
    #[error("no Kafka broker answers")]
    NoBroker(#[source] KafkaFailure),
    /// The brokers answered, but the topic does not exist or may not be used.
    #[error("topic `{0}` cannot be used")]
    Topic(String, #[source] KafkaFailure),
    /// The topic exists, but this partition has no leader.
    #[error("partition {1} of topic `{0}` has no leader")]
    NoLeader(String, i32),
    /// The producer cannot be used.
    #[error("the Kafka producer cannot be used")]
    Producer(#[source] SendError),
    /// The check itself did not come to an end.
    #[error("the check of Kafka was interrupted")]
    Interrupted,
}

/// Whether a consumer's client mends this by itself, as a lost connection.
pub(crate) fn passes(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::BrokerTransportFailure
                | RDKafkaErrorCode::AllBrokersDown
                | RDKafkaErrorCode::OperationTimedOut
                | RDKafkaErrorCode::Resolve
        )
    )
}

/// Whether `error` would come again for the same record with another broker, another connection, other
/// permissions or another day. What an operator can mend without touching the record (an unknown topic,
/// a missing permission) is not the record's fault.
fn blames_the_record(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::MessageSizeTooLarge
                | RDKafkaErrorCode::InvalidMessageSize
                | RDKafkaErrorCode::InvalidRecord
                | RDKafkaErrorCode::InvalidTimestamp
                | RDKafkaErrorCode::PolicyViolation
        )
    )
}

#[cfg(test)]
mod tests {
    use domain::ByteSize;

    use super::*;
    use crate::{KafkaSettings, Producer, reader::TopicReader, topics::max_message_bytes};

    #[test]
    fn only_errors_of_the_record_itself_reject_it() {
        for (code, temporary) in [
            (RDKafkaErrorCode::MessageSizeTooLarge, false),
            (RDKafkaErrorCode::InvalidRecord, false),
            (RDKafkaErrorCode::PurgeQueue, true),
            (RDKafkaErrorCode::Fatal, true),
            (RDKafkaErrorCode::UnknownTopic, true),
            (RDKafkaErrorCode::TopicAuthorizationFailed, true),
            (RDKafkaErrorCode::QueueFull, true),
        ] {
            let error = SendError::from_client(KafkaError::MessageProduction(code));
            assert_eq!(error.is_temporary(), temporary, "{code:?}");
        }
    }

    #[tokio::test]
    async fn a_refused_property_is_named_and_its_value_is_not_shown() {
        for property in ["sasl.pasword", "sasl.oauthbearer.client.secret", "broker.address.family"] {
            let toml = format!("[properties]\n'{property}' = 'hunter2'");
            let settings: KafkaSettings = toml::from_str(&toml).unwrap();
            let refused = [
                format!("{:?}", Producer::new(&settings, ByteSize::from_kib(1024)).err().unwrap()),
                format!("{:?}", max_message_bytes(&settings, "any").await.unwrap_err()),
                format!("{:?}", TopicReader::open(&settings, "any").await.err().unwrap()),
            ];
            for shown in refused {
                assert!(shown.contains(property) && !shown.contains("hunter2"), "{shown}");
            }
        }
    }
}
