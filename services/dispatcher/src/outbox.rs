//! Outbox → Kafka.
//!
//! Invariant: a record leaves the outbox only when the broker has reported it stored, and only while its
//! lease is still held. A dispatcher that dies in between leaves the row: it is sent again, with the same
//! event id.

use bus::{Producer, SendError};
use chrono::TimeDelta;
use domain::{SharedClock, ids::LeaseToken};
use service::{
    BoxError, Context,
    metrics::{Counter, Histogram},
    worker::Outcome,
};
use store::{LeasedRecord, Store};

use crate::settings::DispatcherSettings;

/// Upper bounds in seconds for the time from the request to the broker's report.
const LATENCY_BUCKETS: &[f64] = &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0, 300.0, 3600.0];

/// The loop that empties the outbox.
pub(crate) struct Outbox {
    store: Store,
    producer: Producer,
    clock: SharedClock,
    batch: u32,
    lease: TimeDelta,
    max_attempts: u32,
    retry_after: TimeDelta,
    records: Counter<1>,
    latency: Histogram<0>,
}

impl Outbox {
    pub(crate) fn new(
        context: &Context,
        store: Store,
        producer: Producer,
        settings: &DispatcherSettings,
    ) -> Self {
        let metrics = context.metrics();
        Self {
            store,
            producer,
            clock: context.clock().clone(),
            batch: settings.batch.max(1),
            lease: settings.lease.as_time_delta(),
            max_attempts: settings.max_attempts,
            retry_after: settings.retry_after.as_time_delta(),
            records: metrics.counter(
                "outbox_records_total",
                "Records taken from the outbox, by what became of them: sent, returned, retried, parked.",
                ["outcome"],
            ),
            latency: metrics.histogram(
                "outbox_latency_seconds",
                "Time from the transaction that wrote a record to the broker's report.",
                [],
                LATENCY_BUCKETS,
            ),
        }
    }

    /// Sends one batch.
    ///
    /// # Errors
    /// When the database or Kafka is not available. Nothing is lost: what was not sent is due again, at
    /// once where it could be given back, else when its lease ends.
    pub(crate) async fn step(&self) -> Result<Outcome, BoxError> {
        let (token, now) = (LeaseToken::random(), self.clock.now());
        let leased = self.store.lease_records(token, now, now + self.lease, self.batch).await?;
        if leased.is_empty() {
            return Ok(Outcome::Idle);
        }
        service::failpoint!("dispatcher::leased");
        let (rows, records): (Vec<Row>, Vec<_>) = leased.into_iter().map(Row::split).unzip();
        let reports = self.producer.send_all(&records).await;
        service::failpoint!("dispatcher::sent");
        self.settle(token, &rows, reports).await?;
        Ok(Outcome::Done)
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
                    self.latency.observe([], waited);
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
            self.records.add(["sent"], sent.len() as u64);
            self.store.finish_records(token, sent).await?;
        }
        if !unsent.is_empty() {
            self.records.add(["returned"], unsent.len() as u64);
            self.store.return_records(token, unsent, now, None).await?;
        }
        for (row, error) in refused {
            self.refused(token, row, &error).await?;
        }
        unavailable.map_or(Ok(()), |error| Err(error.into()))
    }

    /// A record that the broker refuses is tried again a few times, because a person may mend the topic,
    /// and then parked, so that it does not hold up its export for ever.
    async fn refused(&self, token: LeaseToken, row: &Row, error: &SendError) -> Result<(), BoxError> {
        let now = self.clock.now();
        let reason = service::chain(error);
        if row.attempts < self.max_attempts {
            self.records.inc(["retried"]);
            self.store.return_records(token, vec![row.id], now + self.retry_after, Some(reason)).await?;
        } else {
            self.records.inc(["parked"]);
            tracing::error!(outbox.id = row.id, reason, "a record is parked: the broker keeps refusing it");
            self.store.park_record(token, row.id, reason, now).await?;
        }
        Ok(())
    }
}

/// What is kept of a leased record while it is sent.
struct Row {
    id: i64,
    attempts: u32,
    created_at: chrono::DateTime<chrono::Utc>,
}

impl Row {
    fn split(leased: LeasedRecord) -> (Self, domain::Record) {
        (Self { id: leased.id, attempts: leased.attempts, created_at: leased.created_at }, leased.record)
    }
}
