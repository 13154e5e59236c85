//! Kafka and CloudEvents: request events, the producer, the consumer loop.
