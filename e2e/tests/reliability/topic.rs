//! The topic of request events, read all along.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use anyhow::{Context as _, Result};
use bus::{
    KafkaSettings,
    reader::{StoredRecord, TopicReader},
    topics,
};
use e2e::PATIENCE;
use serde_json::Value;
use testkit::poll_until;
use tokio::task::JoinHandle;

/// Enough that two exports are likely to lie apart.
const PARTITIONS: i32 = 3;

/// An event as a source application understands it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) id: String,
    pub(crate) export: String,
    pub(crate) source: String,
    /// All of it.
    pub(crate) payload: Vec<u8>,
}

/// Everything that came so far; the events of one export in the order in which they were stored.
#[derive(Debug, Clone, Default)]
pub(crate) struct Events(Arc<Mutex<Vec<Event>>>);

impl Events {
    /// What came after the first `seen` events.
    pub(crate) fn after(&self, seen: usize) -> Vec<Event> {
        self.0.lock().unwrap()[seen..].to_vec()
    }
}

/// A topic and everything that came into it; beside it is one for what is told of exports. Reading ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Topic {
    pub(crate) name: String,
    events: Events,
    reading: JoinHandle<()>,
}

impl Topic {
    /// Makes both topics and begins to read.
    pub(crate) async fn create(brokers: &str, name: &str) -> Result<Self> {
        let settings = KafkaSettings { brokers: brokers.to_owned(), ..KafkaSettings::default() };
        topics::ensure_topics(&settings, &[name, &format!("{name}-lifecycle")], PARTITIONS).await?;
        Self::read(brokers, name, Events::default()).await
    }

    /// Begins to read a topic that somebody else made, and adds to `events`.
    pub(crate) async fn read(brokers: &str, name: &str, events: Events) -> Result<Self> {
        let settings = KafkaSettings { brokers: brokers.to_owned(), ..KafkaSettings::default() };
        // A topic is known to all threads of a broker a moment after it was made.
        let reader =
            poll_until(PATIENCE, async || Ok(Some(TopicReader::open(&settings, name).await?))).await?;
        let collected = events.clone();
        let reading = tokio::spawn(async move {
            loop {
                if let Ok(Some(record)) = reader.next(Duration::from_secs(1)).await {
                    collected.0.lock().unwrap().push(event(&record).expect("what is sent is an event"));
                }
            }
        });
        Ok(Self { name: name.to_owned(), events, reading })
    }

    /// All that came so far.
    pub(crate) fn events(&self) -> Vec<Event> {
        self.events.after(0)
    }

    /// All that came and comes.
    pub(crate) fn all(&self) -> &Events {
        &self.events
    }

    /// Waits until there are at least `count` events.
    pub(crate) async fn wait_for(&self, count: usize) -> Vec<Event> {
        let waited = poll_until(PATIENCE, async || {
            let events = self.events();
            Ok((events.len() >= count).then_some(events))
        });
        waited.await.unwrap_or_else(|_| panic!("{} of {count} events came", self.events().len()))
    }
}

impl Drop for Topic {
    fn drop(&mut self) {
        self.reading.abort();
    }
}

fn event(record: &StoredRecord) -> Result<Event> {
    let payload = record.payload.clone().context("a payload")?;
    let value: Value = serde_json::from_slice(&payload)?;
    let request = &value["data"]["resource_request"];
    let text = |value: &Value| value.as_str().map(str::to_owned).context("a text");
    Ok(Event {
        id: text(&value["id"])?,
        export: text(&request["export_request_uuid"])?,
        source: text(&request["uuid"])?,
        payload,
    })
}
