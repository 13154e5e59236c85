"""Begins its rows and goes on when the file GO_ON is there."""

import logging
import os
import time
from collections.abc import Iterator
from pathlib import Path

from export_source import Request, SourceApplication, configure_logging


def answer(_: Request) -> Iterator[dict[str, object]]:
    logging.info("rows begin")
    yield {"n": 1}
    while not Path(os.environ["GO_ON"]).exists():
        time.sleep(0.02)
        yield {"text": "x" * 10_000}
    yield {"n": 2}


configure_logging()
SourceApplication.from_env(answer).run()
