"""The rate of records that pass by."""

import unittest

from figures.passing import rate


class Passing(unittest.TestCase):
    def test_the_first_and_the_last_step_do_not_count(self):
        # Nothing for three seconds, steps of a second, and the rest.
        told = [(0, 100), (3, 350), (4, 1350), (5, 2350), (5.2, 2400)]
        self.assertEqual(rate(told), 1000)

    def test_of_few_steps_all_counts(self):
        self.assertEqual(rate([(0, 100), (2, 300)]), 100)


if __name__ == "__main__":
    unittest.main()
