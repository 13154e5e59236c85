//! What services do by themselves, as a test sees it.

use serde_json::Value;
use testkit::poll_until;

use crate::{PATIENCE, TestApp};

impl TestApp {
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
