//! Tells operators when the topic takes less than what the create call accepts: such requests end up parked.

use std::{sync::Arc, time::Duration};

use bus::{EventSettings, KafkaSettings, topics::max_message_bytes};
use service::{
    BoxError, Context,
    worker::{Outcome, Worker},
};

/// A topic's settings may change at any time, and seldom do.
const EVERY: Duration = Duration::from_mins(10);

/// Starts the loop. A broker that does not tell, or must not, is not asked for more.
pub(crate) fn start(context: &Context, kafka: &KafkaSettings, events: &EventSettings) {
    let limit = context.metrics().gauge(
        "kafka_topic_max_message_bytes",
        "Largest batch that the topic of request events takes (max.message.bytes).",
        [],
    );
    let asked = Arc::new((kafka.clone(), events.topic.clone(), events.max_message_bytes.bytes()));
    Worker::new("topic-limit", EVERY).start(context, move || {
        let (asked, limit) = (Arc::clone(&asked), limit.clone());
        async move {
            let (kafka, topic, wanted) = asked.as_ref();
            match max_message_bytes(kafka, topic).await {
                Ok(Some(takes)) => {
                    #[expect(clippy::cast_precision_loss, reason = "a batch is far below 2^52 bytes")]
                    limit.set([], takes as f64);
                    if takes < *wanted {
                        tracing::warn!(
                            topic,
                            max.message.bytes = takes,
                            events.max_message_bytes = wanted,
                            "the topic takes less than what customers may ask for; larger requests will be parked"
                        );
                    }
                }
                Ok(None) => {}
                // The embedded broker does not know the question; that Kafka is away others say.
                Err(error) => tracing::debug!(%error, "the topic's limit is not known"),
            }
            Ok::<_, BoxError>(Outcome::Idle)
        }
    });
}
