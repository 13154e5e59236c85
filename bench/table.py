"""The table, for a terminal and for Markdown."""

from __future__ import annotations

from rows import Row, Target, number

HEADER = ["figure", "measured", "target", "limit in the same run", "ratio", "target"]


def cells(row: Row) -> list[str]:
    """The texts of one line."""
    limit = f"{number(row.limit)} {row.unit} ({row.limit_name})" if row.limit is not None else ""
    ratio = number(row.ratio) if row.ratio is not None else ""
    return [
        row.what,
        f"{number(row.value)} {row.unit}",
        judged(row.target, row.value, row.unit),
        limit,
        ratio,
        judged(row.ratio_target, row.ratio, ""),
    ]


def judged(target: Target | None, value: float | None, unit: str) -> str:
    """The target, and whether it is reached."""
    if target is None or value is None:
        return ""
    verdict = "✓" if target.met_by(value) else "✗"
    return f"{target.sign} {number(target.bound)} {unit}".rstrip() + f" {verdict}"


def terminal(rows: list[Row]) -> str:
    """Columns of equal width."""
    lines = [HEADER, *(cells(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADER))]
    padded = [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    ]
    return "\n".join([padded[0], "  ".join("-" * width for width in widths), *padded[1:]])


def markdown(rows: list[Row]) -> str:
    return markdown_table(HEADER, [cells(row) for row in rows])


def processor(rows: list[Row]) -> str:
    """Which program kept how many cores busy, in Markdown; empty when nothing was counted."""
    counted = [row for row in rows if row.cores]
    if not counted:
        return ""
    programs = sorted({program for row in counted for program in row.cores})
    lines = [
        [row.what, *(number(row.cores.get(program, 0)) for program in programs), number(sum(row.cores.values()))]
        for row in counted
    ]
    return markdown_table(["cores busy during", *programs, "all"], lines)


def markdown_table(header: list[str], lines: list[list[str]]) -> str:
    texts = [header, ["---"] * len(header), *lines]
    return "\n".join("| " + " | ".join(line) + " |" for line in texts)
