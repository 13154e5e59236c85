"""What other programs print, and what becomes of it."""

import json
import unittest

import pgbench
import wrk
from checks import WrongResult

ANSWERED = {
    "requests": 30000,
    "duration_us": 10_000_000,
    "p50_us": 5200,
    "p99_us": 21000,
    "errors": {"connect": 0, "read": 0, "write": 0, "status": 0, "timeout": 0},
}


class Wrk(unittest.TestCase):
    def test_the_last_line_tells_rate_and_percentiles(self):
        load = wrk.parse("Running 10s test\n  some table\n" + json.dumps(ANSWERED))
        self.assertEqual(load, wrk.Load(rate=3000.0, p50=5.2, p99=21.0, requests=30000))

    def test_a_refused_request_makes_the_result_wrong(self):
        refused = ANSWERED | {"errors": ANSWERED["errors"] | {"status": 1}}
        with self.assertRaisesRegex(WrongResult, "status"):
            wrk.parse(json.dumps(refused))

    def test_no_answer_at_all_is_no_result(self):
        with self.assertRaises(WrongResult):
            wrk.parse(json.dumps(ANSWERED | {"requests": 0}))


class Pgbench(unittest.TestCase):
    def test_the_rate_leaves_out_the_time_to_connect(self):
        output = "number of failed transactions: 0 (0.000%)\ntps = 5300.25 (without initial connection time)\n"
        self.assertEqual(pgbench.rate(output), 5300.25)

    def test_a_failed_transaction_makes_the_result_wrong(self):
        output = "number of failed transactions: 3 (0.001%)\ntps = 5300.25 (without initial connection time)\n"
        with self.assertRaises(WrongResult):
            pgbench.rate(output)

    def test_a_percentile_is_a_value_that_was_measured(self):
        values = [float(value) for value in range(1, 201)]
        self.assertEqual([pgbench.percentile(values, percent) for percent in (1, 50, 99, 100)], [2, 100, 198, 200])


if __name__ == "__main__":
    unittest.main()
