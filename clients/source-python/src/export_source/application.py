"""The application: a function, and everything between it and the platform."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager

from export_source.answering import Answering, Function, Stop
from export_source.body import Answer
from export_source.consumption import Consumption
from export_source.errors import ConfigurationError, SourceError
from export_source.internal_api import InternalApi
from export_source.metrics import Metrics, MetricsServer
from export_source.request import Request
from export_source.settings import Settings

_log = logging.getLogger(__name__)


class SourceApplication:
    """Consumes requests and answers each with what a function gives.

    The function is called on several threads, and again for a request whose upload broke off or that came
    twice: it must do nothing but read.
    """

    def __init__(self, settings: Settings, function: Function) -> None:
        """Prepare; nothing is connected yet."""
        self.settings = settings
        self.metrics = Metrics()
        self._function = function
        self._stop = Stop()

    @classmethod
    def from_env(cls, function: Function) -> SourceApplication:
        """Prepare with the settings of the environment.

        Raises:
            ConfigurationError: names the variable that is missing or wrong.

        """
        return cls(Settings.from_env(), function)

    def run(self) -> None:
        """Work until `stop`, or until SIGTERM or SIGINT when this is the main thread.

        Raises:
            ConfigurationError: for an address that is none, or a ca_file that cannot be read.
            OSError: when the address of the metrics is taken.
            KafkaException: for what Kafka does not heal; let the process end and be started again.

        """
        settings = self.settings
        api = InternalApi(
            settings.internal_url,
            settings.application,
            settings.credentials,
            connections=settings.parallel,
            ca_file=settings.ca_file,
        )
        answering = Answering(self._function, api, self.metrics, self._stop, resumable=settings.resumable)
        consumption = Consumption(settings, answering.answer, self.metrics, self._stop)
        with closing(api), self._signals(), self._metrics_page():
            _log.info("waiting for requests", extra={"topic": settings.topic, "group": settings.group})
            consumption.run()
        _log.info("stopped")

    def stop(self) -> None:
        """Take no more requests, end those under way, and let `run` return. May be called from any thread."""
        self._stop.soft.set()

    @contextmanager
    def _signals(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        numbers = (signal.SIGTERM, signal.SIGINT)
        before = {number: signal.signal(number, lambda *_: self.stop()) for number in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextmanager
    def _metrics_page(self) -> Iterator[None]:
        if self.settings.metrics_listen is None:
            yield
            return
        server = MetricsServer(self.metrics, _address(self.settings.metrics_listen))
        try:
            yield
        finally:
            server.close()


def resources(functions: Mapping[str, Callable[[Request], Answer]]) -> Function:
    """Make one function of several, by the name of the resource; others are refused with 404."""

    def answer(request: Request) -> Answer:
        function = functions.get(request.resource)
        if function is None:
            known = ", ".join(sorted(functions))
            raise SourceError(404, f"there is no such resource; there are: {known}")
        return function(request)

    return answer


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise ConfigurationError("the address of the metrics page is not host:port")
    return host, int(port)
