//! The command line.

use std::path::PathBuf;

/// Answers export requests with the inventory of this machine.
#[derive(Debug, Clone, clap::Parser)]
#[command(name = "inventory-source", version)]
pub struct Arguments {
    /// Kafka, `host:port` of one or more brokers.
    #[arg(long, env = "BROKERS", default_value = "127.0.0.1:9092")]
    pub brokers: String,
    /// The internal API, without path: `http://127.0.0.1:8081`.
    #[arg(long, env = "INTERNAL_URL", default_value = "http://127.0.0.1:8081")]
    pub internal_url: String,
    /// File that holds the application's key.
    #[arg(long, env = "KEY_FILE", value_name = "FILE")]
    pub key_file: PathBuf,
    /// The name under which this application is registered.
    #[arg(long, env = "APPLICATION", default_value = "inventory")]
    pub application: String,
    /// The consumer group; replicas share it.
    #[arg(long, env = "GROUP", default_value = "inventory-source")]
    pub group: String,
    /// The topic of requests.
    #[arg(long, env = "TOPIC", default_value = "platform.export.requests")]
    pub topic: String,
    /// How many requests are answered at the same time.
    #[arg(long, env = "PARALLEL", default_value_t = 4)]
    pub parallel: usize,
}
