//! Times what needs one clock at both ends: from a request to its events in Kafka. It uses public
//! surfaces only, and prints one JSON object.

mod events;
mod kafka;
mod send;
mod settle;
mod summary;
mod take;
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
    /// Write records as fast as Kafka takes them.
    Send(send::Options),
    /// Read a topic as fast as it comes.
    Take(take::Options),
    /// Tell how many records a topic has taken.
    EndOffsets(topic::Topic),
}

#[tokio::main]
async fn main() -> Result<()> {
    let report = match Arguments::parse().command {
        Command::Events(options) => serde_json::to_value(events::measure(options).await?)?,
        Command::Settle(options) => serde_json::to_value(settle::measure(options).await?)?,
        Command::Kafka(options) => serde_json::to_value(kafka::measure(options).await?)?,
        Command::Send(options) => serde_json::json!({ "records": send::send(&options)? }),
        Command::Take(options) => serde_json::to_value(take::take(&options)?)?,
        Command::EndOffsets(topic) => serde_json::json!({ "records": topic.end_offsets()?.total() }),
    };
    println!("{report}");
    Ok(())
}
