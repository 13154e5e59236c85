"""Rows, the table and the files."""

import json
import tempfile
import unittest
from pathlib import Path

import table
from report import Results
from rows import Row, at_least, at_most, median, number, size

FAST = Row("create", 3000, "/s", at_least(2500), "pgbench", 5000, at_least(0.5), {"PostgreSQL": 0.9})
SLOW = Row("create, p99", 55, "ms", at_most(40), note="the disk")
CIRCUMSTANCES = {"measured_at": "today", "commit": "abc", "others_busy_percent": 1.5}


class Rows(unittest.TestCase):
    def test_a_missed_target_is_told_with_both_numbers(self):
        self.assertEqual(FAST.misses(), [])
        self.assertEqual(SLOW.misses(), ["55.0 ms instead of ≤ 40.0"])

    def test_a_missed_ratio_is_told_too(self):
        row = Row("upload", 9, "s", limit=10, ratio_target=at_most(0.5))
        self.assertEqual(row.misses(), ["0.90 of the limit instead of ≤ 0.50"])

    def test_a_row_comes_back_from_json_as_it_was(self):
        for row in (FAST, SLOW):
            self.assertEqual(Row.from_json(json.loads(json.dumps(row.as_json()))), row)

    def test_numbers_and_sizes_are_short(self):
        texts = [number(value) for value in (0, 0.0123, 0.5, 9.876, 44.44, 12345.6)]
        self.assertEqual(texts, ["0", "0.012", "0.50", "9.88", "44.4", "12,346"])
        self.assertEqual([size(1 << 20), size(4 << 30), size(100)], ["1 MiB", "4 GiB", "100 B"])
        self.assertEqual([median([3, 1, 2]), median([4, 1, 2, 3])], [2, 2.5])


class Table(unittest.TestCase):
    def test_each_figure_stands_beside_target_and_limit(self):
        self.assertEqual(
            table.cells(FAST), ["create", "3,000 /s", "≥ 2,500 /s ✓", "5,000 /s (pgbench)", "0.60", "≥ 0.50 ✓"]
        )
        self.assertEqual(table.cells(SLOW), ["create, p99", "55.0 ms", "≤ 40.0 ms ✗", "", "", ""])


class Files(unittest.TestCase):
    def test_a_part_that_is_measured_again_replaces_only_itself(self):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            for part, row in (("create", SLOW), ("list", SLOW), ("create", FAST)):
                Results(folder, ["create", "list", "memory"], folder / "none").put(part, [row], CIRCUMSTANCES)
            text = (folder / "RESULTS.md").read_text()
            parts = json.loads((folder / "results.json").read_text())["parts"]
        self.assertEqual([parts[part]["rows"][0]["value"] for part in ("create", "list")], [3000, 55])
        self.assertIn("| create | 3,000 /s |", text)
        self.assertIn("**missed**: create, p99: 55.0 ms instead of ≤ 40.0", text)
        self.assertIn("## Not measured\n\nmemory", text)


if __name__ == "__main__":
    unittest.main()
