"""The figures for applications that serve their own with ``prometheus-client`` (extra ``prometheus``)."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from export_source.metrics import Metrics


class MetricsCollector(Collector):
    """Give it to a registry: ``REGISTRY.register(MetricsCollector(application.metrics))``."""

    def __init__(self, metrics: Metrics) -> None:
        """Show these figures."""
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        """Give each figure as it is now."""
        for figure, values in self._metrics.samples():
            names = [name for name, _ in values[0][0]] if values else []
            kind = CounterMetricFamily if figure.kind == "counter" else GaugeMetricFamily
            family = kind(figure.name, figure.help, labels=names)
            for labels, value in values:
                family.add_metric([text for _, text in labels], value)
            yield family
