//! A record for Kafka, between the outbox and the broker.

use std::fmt;

/// One record for one topic, byte for byte. Records of the same topic and key keep their order.
#[derive(Clone, PartialEq, Eq)]
pub struct Record {
    /// The topic it goes to.
    pub topic: String,
    /// Decides the partition.
    pub key: String,
    /// Header names and values, in the order in which they are sent.
    pub headers: Vec<(String, String)>,
    /// The message itself.
    pub payload: Vec<u8>,
}

/// What a batch of version 2 adds to its records: the batch's header, and for a record its length,
/// attributes, the two deltas, and the lengths of key, value and header list, each at its longest.
const BATCH_OVERHEAD_BYTES: usize = 61 + 36;

/// What a header adds to its name and value: their two lengths, each at its longest.
const HEADER_OVERHEAD_BYTES: usize = 5 + 5;

impl Record {
    /// How large a batch that holds nothing but this record is at most, uncompressed, in bytes. This is
    /// what a topic's `max.message.bytes` limits.
    pub fn size_bytes(&self) -> usize {
        let headers: usize =
            self.headers.iter().map(|(name, value)| HEADER_OVERHEAD_BYTES + name.len() + value.len()).sum();
        BATCH_OVERHEAD_BYTES + self.key.len() + headers + self.payload.len()
    }
}

/// Topic, key and sizes: headers and payload carry the identity of the customer.
impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("topic", &self.topic)
            .field("key", &self.key)
            .field("headers", &self.headers.len())
            .field("payload_bytes", &self.payload.len())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_counts_key_headers_payload_and_framing() {
        let record = Record {
            topic: "t".to_owned(),
            key: "k".repeat(36),
            headers: vec![("application".to_owned(), "inventory".to_owned())],
            payload: vec![0; 1000],
        };
        assert_eq!(record.size_bytes(), 97 + 36 + (10 + 11 + 9) + 1000);
    }

    #[test]
    fn debug_output_has_topic_key_and_sizes_and_no_contents() {
        let record = Record {
            topic: "requests".to_owned(),
            key: "an-export".to_owned(),
            headers: vec![("x-rh-identity".to_owned(), "aWRlbnRpdHk=".to_owned())],
            payload: b"hunter2".to_vec(),
        };
        assert_eq!(
            format!("{record:?}"),
            r#"Record { topic: "requests", key: "an-export", headers: 1, payload_bytes: 7 }"#
        );
    }
}
