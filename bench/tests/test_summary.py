"""Ratios are of pairs that saw the same machine; medians and ranges are of what was measured."""

import unittest
from dataclasses import replace

from bench.lib.point import Point
from bench.lib.summary import PointResult
from bench.lib.summary import Sample
from bench.lib.summary import Spoiled
from bench.lib.summary import Spread
from bench.lib.summary import best_ratios
from bench.lib.summary import metric_values
from bench.lib.summary import ratios
from bench.lib.summary import spread
from bench.lib.summary import uneven_contenders
from bench.lib.summary import unevenness

SAMPLE = Sample(
    requests=1000,
    requests_per_s=1.0,
    p50_ms=1.0,
    p99_ms=1.0,
    proxy_cpu_us=1.0,
    server_cpu_us=1.0,
    client_cpu_us=1.0,
    others_share=0.0,
    quiet=True,
)
POINT = Point("get", 3, 50, 1)


def samples(*rates: float) -> list[Sample | Spoiled]:
    return [replace(SAMPLE, requests_per_s=rate) for rate in rates]


class Spreads(unittest.TestCase):
    def test_the_median_is_the_middle_and_the_range_the_ends(self) -> None:
        self.assertEqual(spread([5.0, 1.0, 2.0]), Spread(2.0, 1.0, 5.0))

    def test_missing_values_are_left_out(self) -> None:
        self.assertEqual(spread([None, 4.0, None, 2.0]), Spread(3.0, 2.0, 4.0))

    def test_nothing_has_no_median(self) -> None:
        self.assertIsNone(spread([None, None]))
        self.assertIsNone(spread([]))


class Ratios(unittest.TestCase):
    def test_a_machine_that_slows_down_between_rounds_does_not_change_the_ratio(self) -> None:
        result = PointResult(POINT, {"coremux": samples(100, 10, 50), "nutcracker": samples(50, 5, 25)})
        self.assertEqual(ratios(result, "requests_per_s", "coremux", "nutcracker"), [2.0, 2.0, 2.0])

    def test_the_median_of_ratios_is_not_the_ratio_of_medians(self) -> None:
        result = PointResult(POINT, {"coremux": samples(10, 20, 90), "nutcracker": samples(10, 40, 30)})
        self.assertEqual(spread(ratios(result, "requests_per_s", "coremux", "nutcracker")), Spread(1.0, 0.5, 3.0))

    def test_a_spoiled_round_spoils_its_pair_only(self) -> None:
        result = PointResult(
            POINT, {"coremux": samples(4, 4, 4), "nutcracker": [*samples(1), Spoiled("it broke"), *samples(2)]}
        )
        self.assertEqual(ratios(result, "requests_per_s", "coremux", "nutcracker"), [4.0, None, 2.0])

    def test_direct_has_no_proxy_to_compare_with(self) -> None:
        result = PointResult(POINT, {"coremux": samples(1), "direct": [replace(SAMPLE, proxy_cpu_us=None)]})
        self.assertEqual(ratios(result, "proxy_cpu_us", "coremux", "direct"), [None])

    def test_a_contender_that_was_not_at_the_point_gives_no_ratio(self) -> None:
        self.assertEqual(ratios(PointResult(POINT, {"coremux": samples(1)}), "p50_ms", "coremux", "haproxy"), [])

    def test_a_figure_of_nothing_gives_no_ratio(self) -> None:
        result = PointResult(POINT, {"coremux": samples(1), "direct": samples(0)})
        self.assertEqual(ratios(result, "requests_per_s", "coremux", "direct"), [None])

    def test_values_keep_their_rounds(self) -> None:
        self.assertEqual(metric_values([*samples(7), Spoiled("gone")], "requests_per_s"), [7.0, None])

    def test_the_best_of_several_is_the_one_whose_median_is(self) -> None:
        rounds = {"auto": samples(4, 4, 4), "one": samples(2, 2, 40), "two": samples(5, 5, 5)}
        result = PointResult(POINT, rounds)
        of_best = best_ratios(result, "requests_per_s", "auto", ("one", "two"), less_is_better=False)
        self.assertEqual(of_best, [0.8, 0.8, 0.8])
        self.assertEqual(best_ratios(result, "requests_per_s", "auto", ("gone",), less_is_better=False), [])


class Evenness(unittest.TestCase):
    def test_one_disturbed_round_of_five_makes_no_row_uneven(self) -> None:
        self.assertLess(unevenness(samples(100, 101, 99, 100, 10), "requests_per_s"), 0.02)

    def test_rounds_that_disagree_do(self) -> None:
        self.assertEqual(unevenness(samples(50, 100, 150), "requests_per_s"), 0.5)
        result = PointResult(POINT, {"direct": samples(1, 1, 1), "coremux": samples(50, 100, 150)})
        self.assertEqual(uneven_contenders(result), {"coremux": 0.5})

    def test_two_rounds_say_nothing(self) -> None:
        self.assertIsNone(unevenness([*samples(1, 9), Spoiled("gone")], "requests_per_s"))


if __name__ == "__main__":
    unittest.main()
