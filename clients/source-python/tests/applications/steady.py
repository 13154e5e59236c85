"""Answers everything with the same rows, as many as the filter says."""

from collections.abc import Iterator
from dataclasses import replace

from export_source import Request, Settings, SourceApplication, configure_logging


def answer(request: Request) -> Iterator[dict[str, object]]:
    for n in range(request.filters.get("rows", 1000)):
        yield {"n": n, "text": "x" * 100}


configure_logging()
# The place in the group of one that was killed is free soon.
settings = replace(Settings.from_env(), kafka={"session.timeout.ms": "6000"})
SourceApplication(settings, answer).run()
