//! Measures what the bus costs: rendering an event, one record alone, batches under load.
//!
//! `cargo run --release -p bus --example speed -- [BROKERS]`; without brokers only the rendering.
#![expect(clippy::cast_precision_loss, reason = "figures for people")]

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use bus::{EventSettings, KafkaSettings, Producer, Record, RequestEvents, topics::ensure_topics};
use domain::{
    ApplicationName, ExportFormat, Period, RequestEvent, ResourceName,
    ids::{EventId, ExportId, ResourceId},
};

const TOPIC: &str = "speed";
const PARTITIONS: i32 = 12;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let settings = EventSettings { topic: TOPIC.to_owned(), ..EventSettings::default() };
    let events = RequestEvents::new(&settings)?;
    measure_rendering(&events)?;
    let Some(brokers) = std::env::args().nth(1) else { return Ok(()) };
    tokio::runtime::Runtime::new()?.block_on(measure_sending(&events, &settings, brokers))
}

fn event(export_id: ExportId) -> Result<RequestEvent, Box<dyn std::error::Error>> {
    Ok(RequestEvent {
        id: EventId::random(),
        time: "2024-01-01T00:00:00Z".parse()?,
        export_id,
        resource_id: ResourceId::random(),
        org_id: "3253334042".to_owned(),
        application: ApplicationName::parse("inventory")?,
        resource: ResourceName::parse("packages")?,
        format: ExportFormat::Json,
        identity: "eyJpZGVudGl0eSI6".repeat(20),
        filters: serde_json::json!({"section": ["libs", "admin"], "since": "2024-01-01"})
            .as_object()
            .cloned(),
    })
}

fn measure_rendering(events: &RequestEvents) -> Result<(), Box<dyn std::error::Error>> {
    let event = event(ExportId::random())?;
    println!("event: {} bytes as a record", events.render(&event)?.size_bytes());
    let count = 50_000;
    let start = Instant::now();
    for _ in 0..count {
        black_box(events.render(black_box(&event))?);
    }
    println!(
        "render, schema and size check: {:.2} µs",
        start.elapsed().as_secs_f64() * 1e6 / f64::from(count)
    );
    Ok(())
}

async fn measure_sending(
    events: &RequestEvents,
    settings: &EventSettings,
    brokers: String,
) -> Result<(), Box<dyn std::error::Error>> {
    let defaults = KafkaSettings { brokers, ..KafkaSettings::default() };
    ensure_topics(&defaults, &[TOPIC], PARTITIONS).await?;
    for linger in [0, 1] {
        let kafka = KafkaSettings { linger: Period::from_millis(linger), ..defaults.clone() };
        let producer = Producer::new(&kafka, settings.max_message_bytes)?;
        send(&producer, vec![record(events)?]).await;
        println!("linger {linger} ms");
        measure_idle(events, &producer).await?;
        for (calls, batch) in [(1, 200), (4, 200), (16, 10)] {
            measure_load(events, &producer, calls, batch).await?;
        }
        producer.close().await;
    }
    Ok(())
}

fn record(events: &RequestEvents) -> Result<Record, Box<dyn std::error::Error>> {
    Ok(events.render(&event(ExportId::random())?)?)
}

async fn send(producer: &Producer, records: Vec<Record>) {
    for result in producer.send_all(&records).await {
        if let Err(error) = result {
            println!("not sent: {error}");
        }
    }
}

/// One record every 20 ms.
async fn measure_idle(events: &RequestEvents, producer: &Producer) -> Result<(), Box<dyn std::error::Error>> {
    let mut taken = Vec::new();
    for _ in 0..200 {
        tokio::time::sleep(Duration::from_millis(20)).await;
        let records = vec![record(events)?];
        let start = Instant::now();
        send(producer, records).await;
        taken.push(start.elapsed());
    }
    taken.sort();
    println!(
        "  one record alone: median {:?}, p99 {:?}",
        taken[taken.len() / 2],
        taken[taken.len() * 99 / 100]
    );
    Ok(())
}

/// `calls` tasks, each sending `batch` records again and again.
async fn measure_load(
    events: &RequestEvents,
    producer: &Producer,
    calls: usize,
    batch: usize,
) -> Result<(), Box<dyn std::error::Error>> {
    let rounds = 20_000 / (calls * batch);
    let mut tasks = Vec::new();
    let start = Instant::now();
    for _ in 0..calls {
        let producer = producer.clone();
        let records = (0..batch).map(|_| record(events)).collect::<Result<Vec<_>, _>>()?;
        tasks.push(tokio::spawn(async move {
            for _ in 0..rounds {
                send(&producer, records.clone()).await;
            }
        }));
    }
    for task in tasks {
        task.await?;
    }
    let sent = calls * batch * rounds;
    let seconds = start.elapsed().as_secs_f64();
    let each_ms = seconds * 1000.0 / rounds as f64;
    println!("  {calls} calls of {batch}: {:.0} records/s, {each_ms:.1} ms a call", sent as f64 / seconds);
    Ok(())
}
