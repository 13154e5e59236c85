//! Reading records and doing nothing with them: as fast as any consumer of this library can be.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rdkafka::{Message as _, consumer::Consumer as _};
use serde::Serialize;

use crate::topic::Topic;

/// How long nothing may come.
const PATIENCE: Duration = Duration::from_secs(30);

/// What to read.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    topic: Topic,
    /// Records in all.
    #[arg(long)]
    count: u64,
}

/// How fast it went.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    records: u64,
    bytes: u64,
    /// From the first to the last.
    seconds: f64,
}

/// Reads so many records, from the topic's beginning.
///
/// # Errors
/// When they do not come.
pub(crate) fn take(options: &Options) -> Result<Report> {
    let consumer = options.topic.whole()?;
    let (mut begun, mut bytes) = (None, 0);
    for _ in 0..options.count {
        let Some(message) = consumer.poll(PATIENCE) else { bail!("nothing came for {PATIENCE:?}") };
        let message = message.context("reading the topic")?;
        begun.get_or_insert_with(Instant::now);
        bytes += message.payload().map_or(0, <[u8]>::len) as u64;
    }
    let seconds = begun.map_or(0.0, |begun| begun.elapsed().as_secs_f64());
    consumer.unassign()?;
    Ok(Report { records: options.count, bytes, seconds })
}
