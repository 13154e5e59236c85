//! A Kafka topic that only one test uses.

use anyhow::Result;
use devservers::TestServers;

use crate::unique_name;

/// A topic name of a test's own on the shared broker. The broker makes the topic, with one partition,
/// when it is first used.
#[derive(Debug, Clone)]
pub struct TestTopic {
    /// The shared broker, `127.0.0.1:PORT`.
    pub brokers: String,
    /// The topic; a good consumer group id as well.
    pub name: String,
}

impl TestTopic {
    /// A new name that begins with `prefix`.
    ///
    /// # Errors
    /// When the test servers do not run.
    pub fn new(prefix: &str) -> Result<Self> {
        Ok(Self { brokers: TestServers::find()?.kafka_brokers, name: unique_name(prefix) })
    }
}
