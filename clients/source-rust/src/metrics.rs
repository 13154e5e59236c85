//! What a source counts.

use std::{
    fmt::Write as _,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

/// What a source counts, from its start. Clones count together.
#[derive(Debug, Clone, Default)]
pub struct Metrics(Arc<Counters>);

#[derive(Debug, Default)]
struct Counters {
    passed_over: AtomicU64,
    undecodable: AtomicU64,
    duplicates: AtomicU64,
    running: AtomicU64,
    uploaded: AtomicU64,
    reported: AtomicU64,
    settled_before: AtomicU64,
    gone: AtomicU64,
    refused: AtomicU64,
    tries: AtomicU64,
    bytes: AtomicU64,
}

/// The counts of one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Records of other applications.
    pub passed_over: u64,
    /// Records that claim to be for this application and are no requests.
    pub undecodable: u64,
    /// Requests that came again while they were answered or soon after.
    pub duplicates: u64,
    /// Requests that are being answered now.
    pub running: u64,
    /// Requests whose data the platform has taken.
    pub uploaded: u64,
    /// Requests whose refusal the platform has taken.
    pub reported: u64,
    /// Requests that the platform said were answered otherwise before (410).
    pub settled_before: u64,
    /// Requests whose export was deleted or has expired (404).
    pub gone: u64,
    /// Answers that the platform did not take and never will, such as ones over the size limit.
    pub refused: u64,
    /// Tries that failed and were, or will be, followed by another.
    pub failed_tries: u64,
    /// Bytes of data given to the network, those of failed tries included.
    pub bytes: u64,
}

/// What became of an answer for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Uploaded,
    Reported,
    SettledBefore,
    Gone,
    Refused,
}

impl Metrics {
    /// The counts of this moment.
    pub fn counts(&self) -> Counts {
        let counters = &self.0;
        Counts {
            passed_over: counters.passed_over.load(Relaxed),
            undecodable: counters.undecodable.load(Relaxed),
            duplicates: counters.duplicates.load(Relaxed),
            running: counters.running.load(Relaxed),
            uploaded: counters.uploaded.load(Relaxed),
            reported: counters.reported.load(Relaxed),
            settled_before: counters.settled_before.load(Relaxed),
            gone: counters.gone.load(Relaxed),
            refused: counters.refused.load(Relaxed),
            failed_tries: counters.tries.load(Relaxed),
            bytes: counters.bytes.load(Relaxed),
        }
    }

    /// The counts of this moment in the text format of Prometheus, for your own `/metrics`.
    pub fn render(&self) -> String {
        let counts = self.counts();
        let mut text = String::new();
        let mut family = |name: &str, kind: &str, help: &str, samples: &[(&str, u64)]| {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
            for (labels, value) in samples {
                let _ = writeln!(text, "{name}{labels} {value}");
            }
        };
        family(
            "export_source_records_total",
            "counter",
            "Records that needed no answer.",
            &[
                ("{kind=\"passed_over\"}", counts.passed_over),
                ("{kind=\"undecodable\"}", counts.undecodable),
                ("{kind=\"duplicate\"}", counts.duplicates),
            ],
        );
        family(
            "export_source_requests_total",
            "counter",
            "Requests that are dealt with, by what became of the answer.",
            &[
                ("{outcome=\"uploaded\"}", counts.uploaded),
                ("{outcome=\"reported\"}", counts.reported),
                ("{outcome=\"settled_before\"}", counts.settled_before),
                ("{outcome=\"gone\"}", counts.gone),
                ("{outcome=\"refused\"}", counts.refused),
            ],
        );
        let running = counts.running;
        family(
            "export_source_requests_running",
            "gauge",
            "Requests that are being answered.",
            &[("", running)],
        );
        let tries = counts.failed_tries;
        family("export_source_failed_tries_total", "counter", "Tries that failed for now.", &[("", tries)]);
        let bytes = counts.bytes;
        family(
            "export_source_uploaded_bytes_total",
            "counter",
            "Bytes given to the network.",
            &[("", bytes)],
        );
        text
    }

    pub(crate) fn passed_over(&self) {
        self.0.passed_over.fetch_add(1, Relaxed);
    }

    pub(crate) fn undecodable(&self) {
        self.0.undecodable.fetch_add(1, Relaxed);
    }

    pub(crate) fn duplicate(&self) {
        self.0.duplicates.fetch_add(1, Relaxed);
    }

    pub(crate) fn running(&self, count: usize) {
        self.0.running.store(count as u64, Relaxed);
    }

    pub(crate) fn failed_try(&self) {
        self.0.tries.fetch_add(1, Relaxed);
    }

    pub(crate) fn sent(&self, bytes: usize) {
        self.0.bytes.fetch_add(bytes as u64, Relaxed);
    }

    pub(crate) fn ended(&self, outcome: Outcome) {
        let counter = match outcome {
            Outcome::Uploaded => &self.0.uploaded,
            Outcome::Reported => &self.0.reported,
            Outcome::SettledBefore => &self.0.settled_before,
            Outcome::Gone => &self.0.gone,
            Outcome::Refused => &self.0.refused,
        };
        counter.fetch_add(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_rendered_for_prometheus() {
        let metrics = Metrics::default();
        metrics.clone().ended(Outcome::Uploaded);
        metrics.sent(7);
        let text = metrics.render();
        assert!(text.contains("export_source_requests_total{outcome=\"uploaded\"} 1\n"), "{text}");
        assert!(text.contains(
            "# TYPE export_source_uploaded_bytes_total counter\nexport_source_uploaded_bytes_total 7\n"
        ));
    }
}
