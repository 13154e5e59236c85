"""Measures what was asked for; see bench/run --help."""

from __future__ import annotations

import argparse
import importlib
import shutil
import sys
import time
from pathlib import Path

import machine
import table
from bench import FULL, QUICK, Bench
from checks import WrongResult
from report import Results
from rows import Row
from sample import Sample
from servers import ROOT, TARGET, Servers

# Parts in the order they are measured in, and their modules.
PARTS = {
    "create": "create",
    "status": "status",
    "list": "listing",
    "latency": "latency",
    "upload": "upload",
    "ready": "ready",
    "download": "download",
    "settle": "settle",
    "memory": "memory",
    "sql": "sql",
    "passing": "passing",
    "intake": "intake",
}
# Above it the machine is too busy with something else.
QUIET_PERCENT = 10


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench/run")
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], metavar="PART", help=", ".join(PARTS))
    for flag in ("--quick", "--no-build", "--keep"):
        parser.add_argument(flag, action="store_true")
    return parser.parse_args()


def main() -> int:
    chosen = arguments()
    parts = [part for part in PARTS if part in chosen.parts or not chosen.parts]
    folder = TARGET / "bench"
    scratch = folder / "scratch"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    results = Results(folder if chosen.quick else ROOT / "bench", list(PARTS), ROOT / "bench/findings.md")
    servers = Servers(folder, release=not chosen.quick, build=not chosen.no_build, keep=chosen.keep)
    say("Building, then starting PostgreSQL, Kafka, the S3 server and the services …")
    try:
        with servers:
            others = machine.busy_percent(3)
            if others > QUIET_PERCENT:
                say(f"Other programs keep {others} % of the processor busy: figures will be worse than they are.")
            results.machine = machine.describe(folder)
            bench = Bench(servers, QUICK if chosen.quick else FULL, scratch, Sample(scratch))
            wrong = measure(bench, parts, results, others)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    say(f"Written: {results.json_file} and {results.markdown_file}")
    for part, reason in wrong.items():
        say(f"WRONG: {part}: {reason}")
    return 1 if wrong else 0


def measure(bench: Bench, parts: list[str], results: Results, others: float) -> dict[str, str]:
    """Measures the parts, one after the other; returns those that went wrong, with the reason."""
    wrong = {}
    for part in parts:
        begun = time.monotonic()
        say(f"\n== {part}")
        try:
            rows: list[Row] = importlib.import_module(f"figures.{PARTS[part]}").measure(bench)
        except (WrongResult, RuntimeError, OSError) as error:
            wrong[part] = f"{type(error).__name__}: {error}"
            say(wrong[part])
            continue
        circumstances = {
            "measured_at": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
            "commit": machine.commit(),
            "others_busy_percent": others,
        }
        results.put(part, rows, circumstances)
        print(table.terminal(rows), flush=True)
        say(f"({time.monotonic() - begun:.0f} s)")
    return wrong


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent))
    sys.exit(main())
