//! Writing records as fast as Kafka takes them: what a service under measurement then reads.

use std::{path::PathBuf, thread, time::Duration};

use anyhow::{Context as _, Result, anyhow, bail};
use rdkafka::{
    ClientConfig, ClientContext, Message as _,
    error::{KafkaError, RDKafkaErrorCode},
    message::{DeliveryResult, Header, OwnedHeaders},
    producer::{BaseProducer, BaseRecord, Producer as _, ProducerContext},
};

use crate::topic::Topic;

const SEND_TIMEOUT: Duration = Duration::from_mins(2);

/// A full queue has room again soon.
const QUEUE_WAIT: Duration = Duration::from_millis(5);

/// What to send.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    topic: Topic,
    /// The file that holds the value of each record.
    #[arg(long)]
    value: PathBuf,
    /// Records in all; each has a key of its own.
    #[arg(long)]
    count: u32,
    /// Value of the header `service`.
    #[arg(long)]
    service: String,
}

/// Ends the program at the first record that is not taken.
struct Reports;

impl ClientContext for Reports {}

impl ProducerContext for Reports {
    type DeliveryOpaque = ();

    fn delivery(&self, report: &DeliveryResult<'_>, (): ()) {
        if let Err((error, record)) = report {
            eprintln!("a record for {} was not taken: {error}", record.topic());
            std::process::exit(1);
        }
    }
}

/// Sends the records; returns how many.
///
/// # Errors
/// When a record is not taken.
pub(crate) fn send(options: &Options) -> Result<u32> {
    let value = std::fs::read(&options.value).with_context(|| options.value.display().to_string())?;
    let producer: BaseProducer<Reports> = ClientConfig::new()
        .set("bootstrap.servers", &options.topic.brokers)
        .set("enable.idempotence", "true")
        .set("linger.ms", "5")
        .create_with_context(Reports)
        .context("making a Kafka producer")?;
    let headers =
        OwnedHeaders::new().insert(Header { key: "service", value: Some(options.service.as_str()) });
    for number in 0..options.count {
        let key = number.to_be_bytes();
        let record = BaseRecord::to(&options.topic.topic).key(&key).payload(&value).headers(headers.clone());
        queue(&producer, record)?;
        producer.poll(Duration::ZERO);
    }
    producer.flush(SEND_TIMEOUT)?;
    Ok(options.count)
}

fn queue(producer: &BaseProducer<Reports>, record: BaseRecord<'_, [u8; 4], Vec<u8>>) -> Result<()> {
    let mut record = record;
    loop {
        match producer.send(record) {
            Ok(()) => return Ok(()),
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), refused)) => record = refused,
            Err((error, _)) => bail!(anyhow!(error).context("sending")),
        }
        producer.poll(QUEUE_WAIT);
        thread::yield_now();
    }
}
