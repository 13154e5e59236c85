//! Outbox → Kafka, one loop for each kind of record.
//!
//! Invariant: a record leaves the outbox only when the broker has reported it stored, or when nobody wants it
//! any more, and only while its lease is still held. A dispatcher that dies in between leaves the row: it is
//! sent again, with the same event id.

use bus::{Producer, SendError};
use chrono::{DateTime, TimeDelta, Utc};
use domain::{Record, SharedClock, ids::LeaseToken};
use service::{
    BoxError,
    metrics::{Counter, Histogram, Metrics},
    worker::Outcome,
};
use store::{LeasedRecord, OutboxKind, Store};

use crate::{render::Renderer, settings::DispatcherSettings, unsent::Unsent};

/// Upper bounds in seconds for the time from the request to the broker's report.
const LATENCY_BUCKETS: &[f64] = &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0, 300.0, 3600.0];

/// What became of the records of all kinds.
#[derive(Clone)]
pub(crate) struct Figures {
    records: Counter<2>,
    latency: Histogram<1>,
}

impl Figures {
    pub(crate) fn new(metrics: &Metrics) -> Self {
        Self {
            records: metrics.counter(
                "outbox_records_total",
                "Records taken from the outbox, by kind and by what became of them: sent, returned, retried, \
                 parked, dropped.",
                ["kind", "outcome"],
            ),
            latency: metrics.histogram(
                "outbox_latency_seconds",
                "Time from the transaction that wrote a record to the broker's report, by kind.",
                ["kind"],
                LATENCY_BUCKETS,
            ),
        }
    }
}

/// The loop that empties the outbox of one kind of record.
pub(crate) struct Outbox {
    store: Store,
    producer: Producer,
    clock: SharedClock,
    kind: OutboxKind,
    renderer: Renderer,
    batch: u32,
    lease: TimeDelta,
    max_attempts: u32,
    retry_after: TimeDelta,
    figures: Figures,
}

/// What is kept of a leased record while it is sent.
struct Row {
    id: i64,
    attempts: u32,
    created_at: DateTime<Utc>,
}

impl Outbox {
    pub(crate) fn new(
        store: Store,
        producer: Producer,
        clock: SharedClock,
        renderer: Renderer,
        settings: &DispatcherSettings,
        figures: Figures,
    ) -> Self {
        Self {
            store,
            producer,
            clock,
            kind: renderer.kind(),
            renderer,
            batch: settings.batch.max(1),
            lease: settings.lease.as_time_delta(),
            max_attempts: settings.max_attempts,
            retry_after: settings.retry_after.as_time_delta(),
            figures,
        }
    }

    /// Sends one batch.
    ///
    /// # Errors
    /// When the database, Kafka or what records are made with is not available. Nothing is lost: what was not
    /// sent is due again, at once where it could be given back, else when its lease ends.
    pub(crate) async fn step(&self) -> Result<Outcome, BoxError> {
        let (token, now) = (LeaseToken::random(), self.clock.now());
        let leased = self.store.lease_records(self.kind, token, now, now + self.lease, self.batch).await?;
        if leased.is_empty() {
            return Ok(Outcome::Idle);
        }
        service::failpoint!("dispatcher::leased");
        let (rows, records) = self.render(token, leased).await?;
        let reports = self.producer.send_all(&records).await;
        service::failpoint!("dispatcher::sent");
        self.settle(token, &rows, reports).await?;
        Ok(Outcome::Done)
    }

    /// The records to send. What is not wanted or cannot be made leaves the batch here.
    async fn render(
        &self,
        token: LeaseToken,
        leased: Vec<LeasedRecord>,
    ) -> Result<(Vec<Row>, Vec<Record>), BoxError> {
        let (mut rows, mut records, mut unwanted) = (Vec::new(), Vec::new(), Vec::new());
        let mut leased = leased.into_iter();
        while let Some(LeasedRecord { id, attempts, created_at, message }) = leased.next() {
            match self.renderer.render(message).await {
                Ok(record) => {
                    rows.push(Row { id, attempts, created_at });
                    records.push(record);
                }
                Err(Unsent::Unwanted(reason)) => {
                    tracing::info!(outbox.id = id, reason, "a record is not sent any more");
                    unwanted.push(id);
                }
                Err(Unsent::Broken(reason)) => self.park(token, id, reason).await?,
                Err(Unsent::NotNow(error)) => {
                    let untried = rows.iter().map(|row: &Row| row.id).chain([id]);
                    let ids = untried.chain(leased.map(|row| row.id)).collect();
                    self.give_back(token, ids).await?;
                    return Err(error);
                }
            }
        }
        if !unwanted.is_empty() {
            self.count("dropped", unwanted.len());
            self.store.finish_records(token, unwanted).await?;
        }
        Ok((rows, records))
    }

    async fn settle(
        &self,
        token: LeaseToken,
        rows: &[Row],
        reports: Vec<Result<(), SendError>>,
    ) -> Result<(), BoxError> {
        let now = self.clock.now();
        let (mut sent, mut unsent, mut unavailable) = (Vec::new(), Vec::new(), None);
        let mut refused = Vec::new();
        for (row, report) in rows.iter().zip(reports) {
            match report {
                Ok(()) => {
                    sent.push(row.id);
                    // Two machines' clocks; a sum that falls would look like a restart.
                    let waited = (now - row.created_at).as_seconds_f64().max(0.0);
                    self.figures.latency.observe([self.kind.as_str()], waited);
                }
                Err(error @ SendError::Rejected(_)) => refused.push((row, error)),
                Err(error @ SendError::Unavailable(_)) => {
                    unsent.push(row.id);
                    unavailable = Some(error);
                }
            }
        }
        // What was sent first: the sooner it is gone, the less is sent twice.
        if !sent.is_empty() {
            self.count("sent", sent.len());
            self.store.finish_records(token, sent).await?;
        }
        if !unsent.is_empty() {
            self.give_back(token, unsent).await?;
        }
        for (row, error) in refused {
            self.refused(token, row, &error).await?;
        }
        unavailable.map_or(Ok(()), |error| Err(error.into()))
    }

    /// A record that the broker refuses is tried again a few times, because a person may mend the topic,
    /// and then parked, so that it does not hold up its export for ever.
    async fn refused(&self, token: LeaseToken, row: &Row, error: &SendError) -> Result<(), BoxError> {
        let reason = service::chain(error);
        if row.attempts < self.max_attempts {
            self.count("retried", 1);
            let due_at = self.clock.now() + self.retry_after;
            self.store.return_records(token, vec![row.id], due_at, Some(reason)).await?;
            return Ok(());
        }
        self.park(token, row.id, reason).await
    }

    async fn park(&self, token: LeaseToken, id: i64, reason: String) -> Result<(), BoxError> {
        self.count("parked", 1);
        tracing::error!(outbox.id = id, reason, "a record is parked: it cannot be sent as it is");
        self.store.park_record(token, id, reason, self.clock.now()).await?;
        Ok(())
    }

    /// Gives back what was not tried.
    async fn give_back(&self, token: LeaseToken, ids: Vec<i64>) -> Result<(), BoxError> {
        self.count("returned", ids.len());
        self.store.return_records(token, ids, self.clock.now(), None).await?;
        Ok(())
    }

    fn count(&self, outcome: &str, records: usize) {
        self.figures.records.add([self.kind.as_str(), outcome], records as u64);
    }
}
