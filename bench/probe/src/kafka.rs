//! The part of the way that is Kafka's own: from sending a record to reading it.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow};
use rdkafka::{
    ClientConfig,
    producer::{FutureProducer, FutureRecord, Producer as _},
};
use serde::Serialize;

use crate::{
    summary::Summary,
    topic::{Reader, Topic},
};

const WARM_UP: u32 = 20;
const SEND_TIMEOUT: Duration = Duration::from_secs(10);

/// What to send.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    topic: Topic,
    /// Length of a record.
    #[arg(long)]
    bytes: usize,
    /// Records a second.
    #[arg(long)]
    rate: f64,
    /// Records in all.
    #[arg(long)]
    count: u32,
}

/// What came of it.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    expected: usize,
    events: usize,
    /// From sending a record to reading it.
    event: Summary,
}

/// Sends records and reads them.
///
/// # Errors
/// When a record is not taken, or Kafka cannot be read.
pub(crate) async fn measure(options: Options) -> Result<Report> {
    let producer: FutureProducer = ClientConfig::new()
        .set("bootstrap.servers", &options.topic.brokers)
        .set("enable.idempotence", "true")
        .set("linger.ms", "0")
        .set("socket.nagle.disable", "true")
        .create()
        .context("making a Kafka producer")?;
    let payload = vec![b'x'; options.bytes];
    // The first one makes the topic.
    for number in 0..WARM_UP {
        send(&producer, &options.topic.topic, number, &payload).await?;
    }
    let reader = Reader::start(&options.topic)?;
    let (started, mut begun, mut sending) = (Instant::now(), Vec::new(), Vec::new());
    for number in 0..options.count {
        let due = started + Duration::from_secs_f64(f64::from(number) / options.rate);
        tokio::time::sleep_until(due.into()).await;
        let (producer, topic, payload) = (producer.clone(), options.topic.topic.clone(), payload.clone());
        begun.push(Instant::now());
        sending.push(tokio::spawn(async move { send(&producer, &topic, number, &payload).await }));
    }
    for sent in sending {
        sent.await??;
    }
    let seen = reader.finish(begun.len(), SEND_TIMEOUT).await?;
    producer.flush(SEND_TIMEOUT)?;
    let mut latencies = Vec::new();
    for record in &seen {
        let number = u32::from_be_bytes(record.key.as_slice().try_into().context("a foreign record")?);
        let begun = begun.get(usize::try_from(number)?).context("a record that was not sent")?;
        latencies.push(record.at - *begun);
    }
    Ok(Report { expected: begun.len(), events: latencies.len(), event: Summary::of(latencies) })
}

async fn send(producer: &FutureProducer, topic: &str, number: u32, payload: &[u8]) -> Result<()> {
    let key = number.to_be_bytes();
    let record = FutureRecord::to(topic).key(&key).payload(payload);
    producer.send(record, SEND_TIMEOUT).await.map_err(|(error, _)| anyhow!(error).context("sending"))?;
    Ok(())
}
