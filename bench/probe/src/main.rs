//! Times what needs one clock at both ends: from a request to its events in Kafka. It uses public
//! surfaces only, and prints one JSON object.

mod events;
mod kafka;
mod settle;
mod summary;
mod topic;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// Times the way from a request to its events in Kafka.
#[derive(Parser)]
#[command(name = "bench-probe")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Create exports at a steady rate and read their events.
    Events(events::Options),
    /// Create exports, deliver for all of their sources, and time each step.
    Settle(settle::Options),
    /// The same as events, without the platform: send records and read them.
    Kafka(kafka::Options),
    /// Tell how many records a topic has taken.
    EndOffsets(topic::Topic),
}

#[tokio::main]
async fn main() -> Result<()> {
    let report = match Arguments::parse().command {
        Command::Events(options) => serde_json::to_value(events::measure(options).await?)?,
        Command::Settle(options) => serde_json::to_value(settle::measure(options).await?)?,
        Command::Kafka(options) => serde_json::to_value(kafka::measure(options).await?)?,
        Command::EndOffsets(topic) => serde_json::json!({ "records": topic.end_offsets()?.total() }),
    };
    println!("{report}");
    Ok(())
}
