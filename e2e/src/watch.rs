//! What services do by themselves, as a test sees it.

use std::time::Duration;

use anyhow::{Context as _, Result};
use blobs::Blobs;
use bus::reader::{StoredRecord, TopicReader};
use futures_util::TryStreamExt as _;
use serde_json::Value;
use testkit::poll_until;

use crate::{PATIENCE, TestApp};

impl TestApp {
    /// Waits until nothing is left in the outbox.
    ///
    /// # Panics
    /// When something stays.
    pub async fn drain(&self) {
        let drained = self.wait_for_no("outbox").await;
        assert!(drained.is_ok(), "{drained:?}");
    }

    /// The records in the topic of requests once the outbox is empty, in their order: `count` of them, and
    /// what follows them.
    ///
    /// # Panics
    /// When fewer come.
    pub async fn records(&self, count: usize) -> Vec<StoredRecord> {
        self.records_of(&self.settings.events.topic, count).await
    }

    /// The same of any topic.
    ///
    /// # Panics
    /// When fewer come.
    pub async fn records_of(&self, topic: &str, count: usize) -> Vec<StoredRecord> {
        match self.try_records(topic, count).await {
            Ok(records) => records,
            Err(error) => panic!("{topic}: {error:#}"),
        }
    }

    async fn try_records(&self, topic: &str, count: usize) -> Result<Vec<StoredRecord>> {
        self.wait_for_no("outbox").await?;
        let reader = TopicReader::open(&self.settings.kafka, topic).await?;
        let mut records = Vec::with_capacity(count);
        while records.len() < count {
            records.push(reader.next(PATIENCE).await?.context("a record is missing")?);
        }
        while let Some(further) = reader.next(Duration::from_millis(100)).await? {
            records.push(further);
        }
        Ok(records)
    }

    /// Waits until `table` is empty.
    ///
    /// # Errors
    /// When it does not become so, or the database does not answer.
    pub async fn wait_for_no(&self, table: &str) -> Result<()> {
        self.wait_for_count(&format!("SELECT count(*) FROM {table}"), 0).await
    }

    /// Waits until `sql`, which selects a count, says `expected`.
    ///
    /// # Errors
    /// When it does not come to say so, or the database does not answer.
    pub async fn wait_for_count(&self, sql: &str, expected: i64) -> Result<()> {
        let client = self.database.connect().await?;
        let waited = poll_until(PATIENCE, async || {
            let count: i64 = client.query_one(sql, &[]).await?.get(0);
            Ok((count == expected).then_some(()))
        });
        waited.await.with_context(|| format!("waiting for {expected}: {sql}"))
    }

    /// What `sql` counts.
    ///
    /// # Panics
    /// When the database does not answer.
    pub async fn count(&self, sql: &str) -> i64 {
        let count = async { anyhow::Ok(self.database.connect().await?.query_one(sql, &[]).await?.get(0)) };
        match count.await {
            Ok(count) => count,
            Err(error) => panic!("{sql}: {error:#}"),
        }
    }

    /// The keys of all objects in the part of the bucket that is this app's, sorted.
    ///
    /// # Panics
    /// When the store does not answer.
    pub async fn object_keys(&self) -> Vec<String> {
        match self.try_object_keys().await {
            Ok(keys) => keys,
            Err(error) => panic!("{error:#}"),
        }
    }

    async fn try_object_keys(&self) -> Result<Vec<String>> {
        let blobs = Blobs::connect(&self.settings.object_store)?;
        let mut keys: Vec<String> =
            blobs.list().map_ok(|object| object.key.to_string()).try_collect().await?;
        keys.sort();
        Ok(keys)
    }

    /// The events in the topic of requests once the outbox is empty, in their order: `count` of them, and what
    /// follows them.
    ///
    /// # Panics
    /// When fewer come, or one is not JSON.
    pub async fn events(&self, count: usize) -> Vec<Value> {
        let records = self.records(count).await.into_iter();
        let events = records.map(|record| serde_json::from_slice(&record.payload.unwrap_or_default()));
        match events.collect() {
            Ok(events) => events,
            Err(error) => panic!("an event is not JSON: {error}"),
        }
    }

    /// Waits until the services' figures hold `line`, such as `http_requests_in_flight{service="public-api"} 0`.
    ///
    /// # Panics
    /// When they do not come to.
    pub async fn wait_for_metric(&self, line: &str) {
        let metrics = self.context.metrics();
        let waited = poll_until(PATIENCE, async || Ok(metrics.render().contains(line).then_some(()))).await;
        assert!(waited.is_ok(), "{line} does not come about: {}", metrics.render());
    }

    /// Waits until `worker` has ended so many further steps: what was due when this was called is done then, if it
    /// is two.
    ///
    /// # Panics
    /// When it does not.
    pub async fn wait_for_steps(&self, worker: &str, steps: u64) {
        let wanted = self.steps(worker) + steps;
        let waited = poll_until(PATIENCE, async || Ok((self.steps(worker) >= wanted).then_some(()))).await;
        assert!(waited.is_ok(), "{worker} does not go on: {waited:?}");
    }

    fn steps(&self, worker: &str) -> u64 {
        let figures = self.context.metrics().render();
        let label = format!("worker=\"{worker}\"");
        let lines =
            figures.lines().filter(|line| line.starts_with("worker_steps_total") && line.contains(&label));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
    }
}
