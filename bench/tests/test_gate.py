"""A target is reached by the median, said to be in doubt when rounds disagree, and never reached unmeasured."""

import unittest
from dataclasses import replace

from bench.lib import gate
from bench.lib import memory_gate
from bench.lib.gate import Target
from bench.lib.memory_gate import MIB
from bench.lib.memory_gate import BurstCost
from bench.lib.memory_gate import IdleCost
from bench.lib.memory_gate import MemoryResult
from bench.lib.memory_gate import SlowCost
from bench.lib.point import Point
from bench.lib.point import all_points
from bench.lib.point import memcached_points
from bench.lib.summary import METRICS
from bench.lib.summary import PointResult
from bench.lib.summary import Spoiled
from bench.lib.summary import Spread
from bench.lib.verdict import Verdict
from bench.lib.verdict import verdict_rows
from bench.tests.test_summary import SAMPLE

POINT = Point("get", 3, 50, 1)


def verdict(limit: float, measured: Spread | None, at_most: bool = True) -> Verdict:
    return Verdict("t", "w", limit, at_most, "x", measured)


class Verdicts(unittest.TestCase):
    def test_the_limit_itself_is_reached(self) -> None:
        self.assertTrue(verdict(0.65, Spread(0.65, 0.65, 0.65)).reached)
        self.assertTrue(verdict(0.95, Spread(0.95, 0.95, 0.95), at_most=False).reached)

    def test_the_median_decides_and_the_range_says_how_surely(self) -> None:
        for measured, answer in (
            (Spread(0.5, 0.4, 0.6), "reached"),
            (Spread(0.5, 0.4, 0.7), "reached, in doubt"),
            (Spread(0.8, 0.6, 0.9), "**not reached**, in doubt"),
            (Spread(0.8, 0.7, 0.9), "**not reached**"),
            (None, "**not measured**"),
        ):
            with self.subTest(answer):
                self.assertEqual(verdict(0.65, measured).answer, answer)

    def test_a_floor_is_judged_the_other_way_round(self) -> None:
        self.assertEqual(verdict(2.3, Spread(2.5, 2.4, 2.9), at_most=False).answer, "reached")
        self.assertEqual(verdict(2.3, Spread(2.0, 1.9, 2.1), at_most=False).answer, "**not reached**")

    def test_the_table_shows_limit_figure_and_answer(self) -> None:
        rows = verdict_rows([verdict(2.3, Spread(2.5, 2.4, 2.9), at_most=False)])
        self.assertEqual(rows[1], ["t", "w", "≥ 2.3 x", "2.50", "2.40..2.90", "reached"])


class Judge(unittest.TestCase):
    def test_every_target_names_a_point_and_a_metric_that_exist(self) -> None:
        for memcached, points in ((False, all_points()), (True, memcached_points())):
            names = {point.name for point in points}
            for target in gate.targets(memcached):
                with self.subTest(target):
                    self.assertIn(target.point, names)
                    self.assertIn(target.metric, METRICS)

    def test_a_run_is_judged_by_what_it_has_and_how_it_was_placed(self) -> None:
        for is_pinned, limit in ((True, 0.75), (False, 0.80)):
            chosen = gate.chosen(gate.TARGETS, is_pinned, ["direct", "nutcracker", "coremux"])
            limits = [each for target, each in chosen if (target.point, target.metric) == ("get-3B-c50-P1", "p50_ms")]
            self.assertEqual(limits, [limit])
            self.assertFalse({"envoy", "relay"} & {name for target, _ in chosen for name in target.others})
        chosen = gate.chosen(gate.TARGETS, True, ["coremux", "envoy"])
        self.assertTrue(any(target.against == "envoy" for target, _ in chosen))

    def test_what_is_missed_is_told_with_its_figure(self) -> None:
        self.assertEqual(verdict(0.65, Spread(0.714, 0.7, 0.8)).missed_text, "t 0.71 x, to be ≤ 0.65")
        self.assertEqual(verdict(1.1, None, at_most=False).missed_text, "t not measured, to be ≥ 1.1")

    def test_a_target_is_judged_by_the_pairs_of_its_point(self) -> None:
        target = Target(POINT.name, "proxy_cpu_us", "nutcracker", 0.65, None)
        cheap = [replace(SAMPLE, proxy_cpu_us=cost) for cost in (6.0, 5.0, 7.0)]
        dear = [replace(SAMPLE, proxy_cpu_us=10.0)] * 3
        (judged,) = gate.judge([PointResult(POINT, {"coremux": cheap, "nutcracker": dear})], [(target, 0.65)])
        self.assertEqual(judged.measured, Spread(0.6, 0.5, 0.7))
        self.assertEqual(judged.answer, "reached, in doubt")

    def test_a_target_without_its_point_or_its_figures_is_not_measured(self) -> None:
        target = Target(POINT.name, "proxy_cpu_us", "nutcracker", 0.65, None)
        broken = PointResult(POINT, {"coremux": [Spoiled("gone")], "nutcracker": [SAMPLE]})
        for results in ([], [broken]):
            with self.subTest(results):
                self.assertEqual(gate.judge(results, [(target, 0.65)])[0].answer, "**not measured**")


class MemoryJudge(unittest.TestCase):
    def test_a_kibibyte_a_client_and_twenty_mebibytes_after_a_burst_are_reached(self) -> None:
        result = MemoryResult(
            idle=[IdleCost(10_000, 5 * MIB, 5 * MIB + 10_000 * 1024)],
            burst=[BurstCost(5 * MIB, 900 * MIB, 25 * MIB, 0.4)],
        )
        self.assertEqual([each.answer for each in memory_gate.judge(result, 10_000, "1GiB")], ["reached", "reached"])

    def test_a_byte_more_is_not_reached(self) -> None:
        result = MemoryResult(
            idle=[IdleCost(10_000, 5 * MIB, 5 * MIB + 10_000 * 1024 + 1)],
            burst=[BurstCost(5 * MIB, 900 * MIB, 25 * MIB + 1, None)],
        )
        self.assertEqual([each.reached for each in memory_gate.judge(result, 10_000, "1GiB")], [False, False])

    def test_a_round_that_failed_leaves_the_target_unmeasured(self) -> None:
        good = IdleCost(10_000, MIB, 2 * MIB)
        result = MemoryResult(idle=[good, Spoiled("dropped")], burst=[Spoiled("dropped")])
        for each in memory_gate.judge(result, 10_000, "1GiB"):
            self.assertEqual(each.answer, "**not measured**")


class SlowJudge(unittest.TestCase):
    GOOD = SlowCost(
        before_bytes=7 * MIB,
        peak_bytes=256 * MIB,
        limit_bytes=256 * MIB,
        alone_p99_ms=1.0,
        good=5000,
        failed=0,
        p99_ms=9.0,
        closed=10,
        tcp_bytes=0,
    )

    def reached(self, *rounds: SlowCost | Spoiled) -> list[bool]:
        verdicts = memory_gate.judge_slow(MemoryResult(slow=list(rounds)), 256 * MIB, 1000)
        return [verdict.reached for verdict in verdicts]

    def test_a_limit_that_is_kept_and_bystanders_that_are_served_are_reached(self) -> None:
        self.assertEqual(self.reached(self.GOOD, self.GOOD), [True, True])

    def test_one_round_above_the_limit_or_with_a_failed_bystander_is_enough(self) -> None:
        self.assertEqual(self.reached(self.GOOD, self.GOOD, replace(self.GOOD, peak_bytes=257 * MIB)), [False, True])
        self.assertEqual(self.reached(self.GOOD, self.GOOD, replace(self.GOOD, failed=1)), [True, False])

    def test_a_proxy_that_takes_no_limit_has_not_kept_to_it(self) -> None:
        self.assertEqual(self.reached(replace(self.GOOD, limit_bytes=None)), [False, True])

    def test_a_spoiled_round_is_not_measured(self) -> None:
        self.assertEqual(self.reached(self.GOOD, Spoiled("why")), [False, False])


if __name__ == "__main__":
    unittest.main()
