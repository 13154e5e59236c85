//! Measures how fast records that are for others pass a consumer by.
//!
//! `cargo run --release -p bus --example passing -- BROKERS`
#![expect(clippy::cast_precision_loss, reason = "figures for people")]

use std::time::{Duration, Instant};

use bus::{Consumer, KafkaSettings, Producer, Record, Subscription, topics::ensure_topics};
use domain::{ByteSize, ids::EventId};

const COUNT: u64 = 200_000;
const BATCH: u64 = 1_000;
const PARTITIONS: i32 = 4;

/// As large as announcements are with their URL and identity.
const PAYLOAD_BYTES: usize = 1_500;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let brokers = std::env::args().nth(1).ok_or("which brokers?")?;
    let settings = KafkaSettings { brokers, ..KafkaSettings::default() };
    let topic = format!("passing-{}", EventId::random());
    ensure_topics(&settings, &[&topic], PARTITIONS).await?;
    fill(&settings, &topic).await?;

    let wanted = ("service".to_owned(), "ours".to_owned());
    let subscription = Subscription { group: topic.clone(), topic, wanted, most_under_way: 64 };
    let mut consumer = Consumer::join(&settings, subscription)?;
    let (mut passed, mut first) = (0, None);
    while passed < COUNT {
        // Nothing is for us: it ends with the wait.
        let _ = tokio::time::timeout(Duration::from_millis(20), consumer.next()).await;
        passed += consumer.take_passed_over();
        // The group takes its time to form.
        if passed > 0 && first.is_none() {
            first = Some((Instant::now(), passed));
        }
    }
    if let Some((begun, before)) = first {
        let rate = (passed - before) as f64 / begun.elapsed().as_secs_f64();
        println!("{passed} records of {PAYLOAD_BYTES} bytes passed by, {rate:.0} a second");
    }
    consumer.leave().await;
    Ok(())
}

async fn fill(settings: &KafkaSettings, topic: &str) -> Result<(), Box<dyn std::error::Error>> {
    let producer = Producer::new(settings, ByteSize::from_kib(1024))?;
    for batch in 0..COUNT / BATCH {
        let record = |number: u64| Record {
            topic: topic.to_owned(),
            key: format!("{batch}-{number}"),
            headers: vec![("service".to_owned(), "another".to_owned())],
            payload: vec![b'x'; PAYLOAD_BYTES],
        };
        let records: Vec<_> = (0..BATCH).map(record).collect();
        for result in producer.send_all(&records).await {
            result?;
        }
    }
    producer.close().await;
    Ok(())
}
