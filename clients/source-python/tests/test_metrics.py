from __future__ import annotations

import json
import logging

import httpx
import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from export_source import Metrics
from export_source.logs import JsonFormatter
from export_source.metrics import REQUESTS, RETRIES, RUNNING, MetricsServer
from export_source.prometheus import MetricsCollector


@pytest.fixture
def metrics() -> Metrics:
    metrics = Metrics()
    metrics.add(REQUESTS, outcome="uploaded")
    metrics.add(REQUESTS, 2, outcome="gone")
    metrics.add(RETRIES, reason='a"b\\c\nd')
    metrics.add(RUNNING)
    return metrics


def samples(text: str) -> dict[tuple[str, str], float]:
    return {
        (sample.name, next(iter(sample.labels.values()), "")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_the_text_is_what_prometheus_reads(metrics: Metrics) -> None:
    assert samples(metrics.text()) == {
        ("export_source_requests_total", "uploaded"): 1,
        ("export_source_requests_total", "gone"): 2,
        ("export_source_retries_total", 'a"b\\c\nd'): 1,
        ("export_source_upload_bytes_total", ""): 0,
        ("export_source_answer_seconds_total", ""): 0,
        ("export_source_running", ""): 1,
    }


def test_a_registry_of_prometheus_client_shows_the_same(metrics: Metrics) -> None:
    registry = CollectorRegistry()
    registry.register(MetricsCollector(metrics))
    assert samples(generate_latest(registry).decode()) == samples(metrics.text())


def test_the_page_is_served(metrics: Metrics) -> None:
    server = MetricsServer(metrics, ("127.0.0.1", 0))
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{server.port}", trust_env=False) as client:
            assert client.get("/metrics").text == metrics.text()
            assert [client.get(path).status_code for path in ("/livez", "/other")] == [200, 404]
    finally:
        server.close()


def test_a_log_line_is_one_json_object() -> None:
    error = ValueError("of\nlines")
    fields = {"msg": "a\nb %s", "args": ("c",), "exc_info": (ValueError, error, None), "export": "e1"}
    record = logging.makeLogRecord(fields)
    line = JsonFormatter().format(record)
    assert "\n" not in line
    assert {"message": "a\nb c", "export": "e1"}.items() <= json.loads(line).items()
    assert "of\nlines" in json.loads(line)["exception"]
