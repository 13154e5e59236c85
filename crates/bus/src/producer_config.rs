//! The client properties of a producer.

use domain::ByteSize;
use rdkafka::ClientConfig;

use crate::{client_config::InvalidKafkaSettings, settings::KafkaSettings};

/// The properties of a client that sends records of at most `max_message_bytes`.
pub(crate) fn producer_config(
    settings: &KafkaSettings,
    max_message_bytes: ByteSize,
) -> Result<ClientConfig, InvalidKafkaSettings> {
    let timeout_ms = settings.message_timeout.as_duration().as_millis();
    let linger_ms = settings.linger.as_duration().as_secs_f64() * 1000.0;
    let mut config = settings.client_config()?;
    config
        .set("enable.idempotence", "true")
        .set("acks", "all")
        // What comes while a request is under way makes the next batch, so that batches grow with the load.
        .set("max.in.flight.requests.per.connection", "1")
        // Nothing may follow a batch that failed for good; what is behind it comes back to the caller.
        .set("enable.gapless.guarantee", "true")
        // The library would drop single records out of their order; our deadline drops all at once.
        .set("message.timeout.ms", "0")
        .set("request.timeout.ms", timeout_ms.to_string())
        // Reported before our deadline, with the name of what is missing.
        .set("topic.metadata.propagation.max.ms", (timeout_ms / 2).to_string())
        .set("allow.auto.create.topics", "false")
        .set("linger.ms", linger_ms.to_string())
        .set("compression.type", settings.compression.as_str())
        // Bounds a batch too, so that no batch is larger than the topic takes.
        .set("message.max.bytes", max_message_bytes.bytes().to_string())
        // As the Java client places keys, so that producers of both kinds agree.
        .set("partitioner", "murmur2_random");
    Ok(config)
}
