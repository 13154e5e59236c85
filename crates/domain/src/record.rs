//! A record for Kafka, between the outbox and the broker.

/// What is sent to Kafka, byte for byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The topic.
    pub topic: String,
    /// Records with the same key keep their order.
    pub key: String,
    /// Names and values, in order.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub payload: Vec<u8>,
}
