"""What redis-benchmark prints is read as it is meant, and what it does not print is not made up."""

import unittest

from bench.lib import load
from bench.lib.errors import Failed
from bench.lib.point import Kind
from bench.lib.point import Point

TITLES = (
    '"test","rps","avg_latency_ms","min_latency_ms",'
    '"p50_latency_ms","p95_latency_ms","p99_latency_ms","max_latency_ms"\n'
)


class Parse(unittest.TestCase):
    def test_rate_p50_and_p99_are_read_by_their_titles(self) -> None:
        outcome = load.parse(TITLES + '"GET","65274.15","0.399","0.112","0.407","0.487","0.575","1.831"\n')
        self.assertEqual(outcome, load.Outcome(65274.15, 0.407, 0.575))

    def test_a_command_with_quotes_and_commas_in_its_name_is_one_field(self) -> None:
        outcome = load.parse(TITLES + '"mget a,b ""c""","10.00","1","1","2.5","1","3.5","1"\n')
        self.assertEqual(outcome, load.Outcome(10.0, 2.5, 3.5))

    def test_a_run_shorter_than_a_millisecond_has_an_infinite_rate(self) -> None:
        self.assertEqual(load.parse(TITLES + '"GET","inf","0","0","0.1","0","0.2","0"\n').requests_per_s, float("inf"))

    def test_titles_without_figures_are_a_failure(self) -> None:
        with self.assertRaisesRegex(Failed, "0 lines"):
            load.parse(TITLES)

    def test_figures_of_several_tests_are_a_failure(self) -> None:
        row = '"GET","1","1","1","1","1","1","1"\n'
        with self.assertRaisesRegex(Failed, "2 lines"):
            load.parse(TITLES + row + row)

    def test_figures_that_are_no_numbers_are_a_failure(self) -> None:
        for row in ('"GET","nan","1","1","1","1","1","1"\n', '"GET","many","1","1","1","1","1","1"\n', '"GET","1"\n'):
            with self.subTest(row), self.assertRaises(Failed):
                load.parse(TITLES + row)


class Argv(unittest.TestCase):
    def test_a_set_names_size_clients_pipeline_and_count(self) -> None:
        line = " ".join(load.argv(7000, Point("set", 1024, 50, 16), 8000))
        for part in ("-h 127.0.0.1 -p 7000 ", "-c 50 ", "-P 16 ", "-n 8000 ", "-d 1024 ", "-t set"):
            self.assertIn(part, line)

    def test_a_churn_opens_a_connection_for_each_request(self) -> None:
        churn = load.argv(7000, Point("get", 3, 50, 1, kind=Kind.CHURN), 8000)
        self.assertEqual(churn[churn.index("-k") + 1], "0")
        self.assertNotIn("-k", load.argv(7000, Point("get", 3, 50, 1), 8000))

    def test_an_mget_asks_for_as_many_random_keys_as_the_point_says(self) -> None:
        line = load.argv(7000, Point("mget", 100, 50, 1, keys=1000, servers=5), 200)
        self.assertEqual(line[line.index("mget") + 1 :], ["key:__rand_int__"] * 1000)
        self.assertIn("-r", line)


if __name__ == "__main__":
    unittest.main()
