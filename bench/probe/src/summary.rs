//! Many durations in a few figures.

use std::time::Duration;

use serde::Serialize;

/// Percentiles in milliseconds, exact: nothing is sampled or put into buckets. Zero where nothing was
/// measured.
#[derive(Debug, PartialEq, Serialize)]
pub(crate) struct Summary {
    count: usize,
    p50_ms: f64,
    p90_ms: f64,
    p99_ms: f64,
    max_ms: f64,
}

impl Summary {
    pub(crate) fn of(mut durations: Vec<Duration>) -> Self {
        durations.sort_unstable();
        let at = |percent| percentile(&durations, percent).as_secs_f64() * 1e3;
        Self { count: durations.len(), p50_ms: at(50), p90_ms: at(90), p99_ms: at(99), max_ms: at(100) }
    }
}

/// The nearest-rank percentile: the smallest value that so many of a hundred do not exceed.
fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let summary = Summary::of((1..=200).rev().map(Duration::from_millis).collect());
        assert_eq!(
            summary,
            Summary { count: 200, p50_ms: 100.0, p90_ms: 180.0, p99_ms: 198.0, max_ms: 200.0 }
        );
        let alone = Summary::of(vec![Duration::from_millis(3)]);
        assert_eq!(alone, Summary { count: 1, p50_ms: 3.0, p90_ms: 3.0, p99_ms: 3.0, max_ms: 3.0 });
    }

    #[test]
    fn nothing_measured_is_zero() {
        let nothing = Summary::of(Vec::new());
        assert_eq!(nothing, Summary { count: 0, p50_ms: 0.0, p90_ms: 0.0, p99_ms: 0.0, max_ms: 0.0 });
    }
}
