"""Keeps results from run to run, and writes the report."""

from __future__ import annotations

import json
from pathlib import Path

import table
from rows import Row

INTRODUCTION = """\
# Results

Written by `./bench/run`, which measures this anew; see [README.md](README.md) for how. Services, servers and load share the
machine. The limit is what the servers do on the same machine, in the same run, without the platform; the ratio is the figure as a
multiple of it.
"""


class Results:
    """`results.json` and `RESULTS.md` in a folder. A part that is measured again replaces its older result;
    the others stay, each with the commit it was measured at."""

    def __init__(self, folder: Path, parts: list[str], findings: Path):
        self.json_file, self.markdown_file = folder / "results.json", folder / "RESULTS.md"
        self.order, self.findings = parts, findings
        stored = json.loads(self.json_file.read_text()) if self.json_file.exists() else {}
        self.machine: dict[str, str] = stored.get("machine", {})
        self.parts: dict[str, dict] = stored.get("parts", {})

    def put(self, part: str, rows: list[Row], circumstances: dict) -> None:
        """Takes the result of a part and writes both files."""
        self.parts[part] = circumstances | {"rows": [row.as_json() for row in rows]}
        content = {"machine": self.machine, "parts": self.parts}
        self.json_file.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")
        self.markdown_file.write_text(self.markdown())

    def markdown(self) -> str:
        machine = "\n".join(f"- {what}: {is_}" for what, is_ in self.machine.items())
        sections = [INTRODUCTION, f"## Machine\n\n{machine}\n"]
        sections += [self.section(part) for part in self.order if part in self.parts]
        missing = [part for part in self.order if part not in self.parts]
        if missing:
            sections.append(f"## Not measured\n\n{', '.join(missing)}\n")
        if self.findings.exists():
            sections.append(self.findings.read_text())
        return "\n".join(sections)

    def section(self, part: str) -> str:
        result = self.parts[part]
        rows = [Row.from_json(stored) for stored in result["rows"]]
        lines = [f"## {part}", "", table.markdown(rows), ""]
        notes = [f"- {row.what}: {row.note}" for row in rows if row.note]
        notes += [f"- **missed**: {row.what}: {miss}" for row in rows for miss in row.misses()]
        lines += [*notes, ""] if notes else []
        processor = table.processor(rows)
        lines += [processor, ""] if processor else []
        lines.append(
            f"Measured {result['measured_at']} at commit {result['commit']}; other programs kept "
            f"{result['others_busy_percent']} % of the processor busy before it began.\n"
        )
        return "\n".join(lines)
