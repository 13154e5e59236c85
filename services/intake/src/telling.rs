//! What Prometheus learns of announcements.

use chrono::{DateTime, Utc};
use service::metrics::{Counter, Gauge, Histogram, Metrics};

/// Upper bounds in seconds for the time from the record to the settled source.
const LATENCY_BUCKETS: &[f64] = &[0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 1800.0, 7200.0, 86400.0];

/// The figures of intake.
#[derive(Debug)]
pub(crate) struct Telling {
    records: Counter<1>,
    retries: Counter<1>,
    under_way: Gauge<0>,
    lag: Gauge<0>,
    partitions: Gauge<0>,
    latency: Histogram<0>,
}

impl Telling {
    pub(crate) fn new(metrics: &Metrics) -> Self {
        Self {
            records: metrics.counter(
                "announced_records_total",
                "Records of the topic of announcements, by what became of them: passed_over, handed_in, known, \
                 dead, interrupted.",
                ["outcome"],
            ),
            retries: metrics.counter(
                "announced_retries_total",
                "Tries that failed and are repeated, by whose fault it was: theirs (the archive's server), ours \
                 (database, object storage, Kafka).",
                ["fault"],
            ),
            under_way: metrics.gauge(
                "announced_records_under_way",
                "Records that are worked on or wait to be tried again.",
                [],
            ),
            lag: metrics.gauge(
                "announced_lag_records",
                "Records of the topic of announcements, in the partitions of this process, whose offset is not \
                 committed yet, as of a few seconds ago.",
                [],
            ),
            partitions: metrics.gauge(
                "announced_partitions",
                "Partitions of the topic of announcements that this process has.",
                [],
            ),
            latency: metrics.histogram(
                "announced_latency_seconds",
                "Time from a record's Kafka timestamp until its source is settled.",
                [],
                LATENCY_BUCKETS,
            ),
        }
    }

    pub(crate) fn became(&self, outcome: &str, count: u64) {
        self.records.add([outcome], count);
    }

    pub(crate) fn retries(&self, fault: &str) {
        self.retries.inc([fault]);
    }

    #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
    pub(crate) fn under_way(&self, count: usize) {
        self.under_way.set([], count as f64);
    }

    /// What this process has of the topic: partitions, and records in them that are not committed.
    #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
    pub(crate) fn share(&self, partitions: usize, lag: u64) {
        self.partitions.set([], partitions as f64);
        self.lag.set([], lag as f64);
    }

    pub(crate) fn settled(&self, announced_at: Option<DateTime<Utc>>, now: DateTime<Utc>) {
        if let Some(at) = announced_at {
            // Two machines' clocks.
            self.latency.observe([], (now - at).as_seconds_f64().max(0.0));
        }
    }
}
