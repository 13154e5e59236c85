"""Figures, and Prometheus' text format for them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Labels = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Figure:
    """What a figure is."""

    name: str
    kind: str
    """``counter`` or ``gauge``."""
    help: str


REQUESTS = Figure("export_source_requests_total", "counter", "Requests dealt with, by outcome.")
UPLOADED = Figure("export_source_upload_bytes_total", "counter", "Bytes sent, of all tries.")
RETRIES = Figure("export_source_retries_total", "counter", "Answers that were tried again, by reason.")
SECONDS = Figure("export_source_answer_seconds_total", "counter", "Time spent on requests dealt with.")
RUNNING = Figure("export_source_running", "gauge", "Requests that are being answered.")

FIGURES = (REQUESTS, UPLOADED, RETRIES, SECONDS, RUNNING)


class Metrics:
    """The figures of one application. All methods may be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._values: dict[str, dict[Labels, float]] = {figure.name: {} for figure in FIGURES}
        for figure in (UPLOADED, SECONDS, RUNNING):
            self._values[figure.name][()] = 0

    def add(self, figure: Figure, amount: float = 1, **labels: str) -> None:
        """Add to a figure; a negative amount only to a gauge."""
        key = tuple(sorted(labels.items()))
        with self._lock:
            values = self._values[figure.name]
            values[key] = values.get(key, 0) + amount

    def value(self, figure: Figure, **labels: str) -> float:
        """Give the present value, 0 for labels that were not seen."""
        with self._lock:
            return self._values[figure.name].get(tuple(sorted(labels.items())), 0)

    def samples(self) -> Iterator[tuple[Figure, list[tuple[Labels, float]]]]:
        """Give each figure with its values."""
        for figure in FIGURES:
            with self._lock:
                values = sorted(self._values[figure.name].items())
            yield figure, values

    def text(self) -> str:
        """Give all figures in Prometheus' text format."""
        lines: list[str] = []
        for figure, values in self.samples():
            lines.append(f"# HELP {figure.name} {figure.help}")
            lines.append(f"# TYPE {figure.name} {figure.kind}")
            lines.extend(f"{figure.name}{_braced(labels)} {value:.15g}" for labels, value in values)
        return "\n".join(lines) + "\n"


def _braced(labels: Labels) -> str:
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels) + "}" if labels else ""


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


class MetricsServer:
    """Serves ``/metrics``, and ``/livez`` for a probe, on a thread of its own."""

    def __init__(self, metrics: Metrics, address: tuple[str, int]) -> None:
        """Listen on ``address``; port 0 is any free one.

        Raises:
            OSError: when the address is taken or is not this machine's.

        """

        class Handler(BaseHTTPRequestHandler):
            timeout = 10

            def do_GET(self) -> None:
                pages = {"/metrics": metrics.text(), "/livez": "ok\n"}
                page = pages.get(self.path)
                self.send_response(404 if page is None else 200)
                self.send_header("content-type", "text/plain; version=0.0.4; charset=utf-8")
                self.end_headers()
                self.wfile.write((page or "not found\n").encode())

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing: a probe every few seconds is no news."""

        self._server = ThreadingHTTPServer(address, Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=[0.1], name="metrics", daemon=True).start()

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.server_address[1])

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()
