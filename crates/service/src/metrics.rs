//! Figures for Prometheus: one registry per process, every figure labelled with the service it is of.
//!
//! Names follow Prometheus' rules: base units, `_total` for counters, `_seconds` and `_bytes`.

use std::{collections::HashMap, fmt, sync::Arc};

use prometheus::{
    Gauge as PlainGauge, GaugeVec, HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry, TextEncoder,
    core::{Collector, Desc},
    proto::MetricFamily,
};

/// Upper bounds in seconds for the time that requests and steps take.
pub const SECONDS: &[f64] =
    &[0.001, 0.0025, 0.005, 0.01, 0.02, 0.04, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

/// The registry, as one service sees it: what it makes carries the label `service`.
#[derive(Clone)]
pub struct Metrics {
    registry: Arc<Registry>,
    service: &'static str,
}

impl Metrics {
    /// A new registry, which also tells the process's memory, CPU time, threads and open files.
    pub fn new(service: &'static str) -> Self {
        let metrics = Self { registry: Arc::default(), service };
        #[cfg(target_os = "linux")]
        metrics.register(Box::new(prometheus::process_collector::ProcessCollector::for_self()));
        metrics
    }

    /// The same registry for another service of this process.
    #[must_use]
    pub fn for_service(&self, service: &'static str) -> Self {
        Self { registry: Arc::clone(&self.registry), service }
    }

    /// A counter. Make it once and keep it; a second one of the same name counts for nobody.
    pub fn counter<const N: usize>(&self, name: &str, help: &str, labels: [&str; N]) -> Counter<N> {
        Counter(self.keep(IntCounterVec::new(self.options(name, help), &labels)))
    }

    /// A gauge that is set; see [`Metrics::gauge_of`] for one that is asked.
    pub fn gauge<const N: usize>(&self, name: &str, help: &str, labels: [&str; N]) -> Gauge<N> {
        Gauge(self.keep(GaugeVec::new(self.options(name, help), &labels)))
    }

    /// A histogram with the upper bounds `buckets`, which must rise.
    pub fn histogram<const N: usize>(
        &self,
        name: &str,
        help: &str,
        labels: [&str; N],
        buckets: &[f64],
    ) -> Histogram<N> {
        let options = HistogramOpts { common_opts: self.options(name, help), buckets: buckets.to_vec() };
        Histogram(self.keep(HistogramVec::new(options, &labels)))
    }

    /// A gauge whose value is read from `value` at each scrape; `value` must not block. `labels` are
    /// pairs of name and value, so that several may share a `name`.
    pub fn gauge_of<F>(&self, name: &str, help: &str, labels: &[(&str, &str)], value: F)
    where
        F: Fn() -> f64 + Send + Sync + 'static,
    {
        let constants: HashMap<_, _> =
            labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let options = constants
            .into_iter()
            .fold(self.options(name, help), |options, (name, value)| options.const_label(name, value));
        match PlainGauge::with_opts(options) {
            Ok(gauge) => self.register(Box::new(AskedGauge { gauge, value })),
            Err(error) => broken(&error),
        }
    }

    /// All figures in Prometheus' text format.
    pub fn render(&self) -> String {
        let mut text = String::new();
        if let Err(error) = TextEncoder::new().encode_utf8(&self.registry.gather(), &mut text) {
            tracing::error!(error = &error as &dyn std::error::Error, "metrics cannot be written");
        }
        text
    }

    fn options(&self, name: &str, help: &str) -> Opts {
        Opts::new(name, help).const_label("service", self.service)
    }

    fn keep<C: Collector + Clone + 'static>(&self, made: prometheus::Result<C>) -> Option<C> {
        match made {
            Ok(collector) => {
                self.register(Box::new(collector.clone()));
                Some(collector)
            }
            Err(error) => {
                broken(&error);
                None
            }
        }
    }

    fn register(&self, collector: Box<dyn Collector>) {
        if let Err(error) = self.registry.register(collector) {
            broken(&error);
        }
    }
}

/// A name that is not one or is taken is a mistake in the program; it costs a figure, not the service.
fn broken(error: &prometheus::Error) {
    debug_assert!(false, "metric cannot be made: {error}");
    tracing::error!(error = error as &dyn std::error::Error, "metric cannot be made");
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").field("service", &self.service).finish_non_exhaustive()
    }
}

/// A number that only rises, per combination of its `N` labels' values.
#[derive(Debug, Clone)]
pub struct Counter<const N: usize>(Option<IntCounterVec>);

impl<const N: usize> Counter<N> {
    /// Adds one.
    pub fn inc(&self, labels: [&str; N]) {
        self.add(labels, 1);
    }

    /// Adds `count`.
    pub fn add(&self, labels: [&str; N], count: u64) {
        if let Some(Ok(counter)) = self.0.as_ref().map(|family| family.get_metric_with_label_values(&labels))
        {
            counter.inc_by(count);
        }
    }
}

/// A number that rises and falls, per combination of its `N` labels' values.
#[derive(Debug, Clone)]
pub struct Gauge<const N: usize>(Option<GaugeVec>);

impl<const N: usize> Gauge<N> {
    /// Sets the value.
    pub fn set(&self, labels: [&str; N], value: f64) {
        if let Some(Ok(gauge)) = self.0.as_ref().map(|family| family.get_metric_with_label_values(&labels)) {
            gauge.set(value);
        }
    }

    /// Adds `value`, which may be negative.
    pub fn add(&self, labels: [&str; N], value: f64) {
        if let Some(Ok(gauge)) = self.0.as_ref().map(|family| family.get_metric_with_label_values(&labels)) {
            gauge.add(value);
        }
    }
}

/// How values spread, per combination of its `N` labels' values.
#[derive(Debug, Clone)]
pub struct Histogram<const N: usize>(Option<HistogramVec>);

impl<const N: usize> Histogram<N> {
    /// Takes in `value`.
    pub fn observe(&self, labels: [&str; N], value: f64) {
        if let Some(Ok(histogram)) =
            self.0.as_ref().map(|family| family.get_metric_with_label_values(&labels))
        {
            histogram.observe(value);
        }
    }
}

/// A gauge that is asked at each scrape.
struct AskedGauge<F> {
    gauge: PlainGauge,
    value: F,
}

impl<F: Fn() -> f64 + Send + Sync> Collector for AskedGauge<F> {
    fn desc(&self) -> Vec<&Desc> {
        self.gauge.desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        self.gauge.set((self.value)());
        self.gauge.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_of_one_process_share_names_and_differ_by_label() {
        let first = Metrics::new("first");
        let second = first.for_service("second");
        first.counter("steps_total", "Steps.", ["outcome"]).inc(["done"]);
        second.counter("steps_total", "Steps.", ["outcome"]).add(["done"], 2);
        let text = second.render();
        assert!(text.contains(r#"steps_total{outcome="done",service="first"} 1"#), "{text}");
        assert!(text.contains(r#"steps_total{outcome="done",service="second"} 2"#), "{text}");
        assert_eq!(text.matches("# TYPE steps_total counter").count(), 1, "{text}");
    }

    #[test]
    fn an_asked_gauge_is_read_at_each_scrape() {
        let metrics = Metrics::new("s");
        let depth = Arc::new(std::sync::atomic::AtomicU32::new(3));
        let asked = Arc::clone(&depth);
        metrics.gauge_of("depth", "Depth.", &[("queue", "a")], move || {
            asked.load(std::sync::atomic::Ordering::Relaxed).into()
        });
        metrics.gauge_of("depth", "Depth.", &[("queue", "b")], || 9.0);
        assert!(metrics.render().contains(r#"depth{queue="a",service="s"} 3"#));
        depth.store(4, std::sync::atomic::Ordering::Relaxed);
        assert!(metrics.render().contains(r#"depth{queue="a",service="s"} 4"#));
        assert!(metrics.render().contains(r#"depth{queue="b",service="s"} 9"#));
    }

    #[test]
    fn gauges_and_histograms_are_written() {
        let metrics = Metrics::new("s");
        let gauge = metrics.gauge("in_flight", "Running.", []);
        gauge.set([], 2.0);
        gauge.add([], -1.0);
        metrics.histogram("wait_seconds", "Waits.", ["what"], SECONDS).observe(["pool"], 0.003);
        let text = metrics.render();
        assert!(text.contains(r#"in_flight{service="s"} 1"#), "{text}");
        assert!(text.contains(r#"wait_seconds_bucket{service="s",what="pool",le="0.005"} 1"#), "{text}");
        assert!(text.contains("process_resident_memory_bytes"), "{text}");
    }
}
