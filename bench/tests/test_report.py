"""What is written can be read: by people, and by `bench/plot`."""

import tempfile
import unittest
from dataclasses import replace
from pathlib import Path

from bench.lib import report
from bench.lib.errors import CannotRun
from bench.lib.point import Point
from bench.lib.summary import PointResult
from bench.lib.summary import Spoiled
from bench.tests.test_summary import SAMPLE

RESULT = PointResult(
    Point("get", 3, 50, 1),
    {
        "direct": [replace(SAMPLE, proxy_cpu_us=None, requests_per_s=rate) for rate in (50_000.0, 60_000.0, 40_000.0)],
        "coremux": [replace(SAMPLE, requests_per_s=25_000.0, quiet=False), Spoiled("it broke"), SAMPLE],
    },
)


class Tables(unittest.TestCase):
    def test_a_figure_is_its_median_with_its_range(self) -> None:
        row = report.figure_rows([RESULT])[1]
        self.assertEqual(row[:3], ["get-3B-c50-P1", "direct", "50,000 (40,000..60,000)"])

    def test_a_contender_without_a_proxy_has_no_cpu_of_one(self) -> None:
        titles, row, *_ = report.figure_rows([RESULT])
        self.assertEqual(row[titles.index("proxy µs/req")], "")

    def test_ratios_are_given_for_points_that_have_any(self) -> None:
        other = replace(RESULT, rounds={"direct": [SAMPLE]})
        rows = report.ratio_rows([RESULT, other], "coremux", "direct")
        self.assertEqual([row[0] for row in rows], ["point", "get-3B-c50-P1"])

    def test_columns_line_up(self) -> None:
        lines = report.markdown([["a", "long title"], ["longer than its title", "b"]]).splitlines()
        self.assertEqual(len({len(line) for line in lines}), 1)
        self.assertRegex(lines[1], r"^\|-+\|-+\|$")

    def test_numbers_keep_three_digits(self) -> None:
        texts = {84210.4: "84,210", 123.4: "123", 65.04: "65.0", 6.512: "6.51", 0.0912: "0.091"}
        for value, text in texts.items():
            self.assertEqual(report.number_text(value), text)

    def test_what_failed_and_what_was_restless_is_named_once(self) -> None:
        twice = replace(RESULT, rounds={"coremux": [Spoiled("it broke"), Spoiled("it broke")]})
        self.assertEqual(report.spoiled_lines([twice]), ["get-3B-c50-P1: coremux: it broke"])
        self.assertEqual(len(report.restless_lines([RESULT])), 1)
        self.assertIn("1 of 3 windows", report.restless_lines([RESULT])[0])

    def test_a_machine_that_others_use_makes_the_figures_doubtful(self) -> None:
        def with_others(*shares: float) -> str:
            samples = [replace(SAMPLE, others_share=share) for share in shares]
            return report.noise_text([replace(RESULT, rounds={"direct": samples})])

        self.assertEqual(with_others(0.01, 0.02, 0.3), "Others took 2% of the machine (1%..30%).")
        self.assertIn("Noisy", with_others(0.2, 0.5, 0.6))
        self.assertEqual(report.noise_text([]), "Nothing was measured.")


class Json(unittest.TestCase):
    def test_results_survive_being_written_and_read(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "results.json"
            report.write_json(path, {"cores": 2}, [RESULT])
            self.assertEqual(report.read_json(path), [RESULT])

    def test_a_file_that_is_no_result_is_refused(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "other.json"
            for text in ('{"schema": "coremux-bench-memory/1"}', "[]", "no json"):
                path.write_text(text, encoding="utf-8")
                with self.subTest(text), self.assertRaises(CannotRun):
                    report.read_json(path)


if __name__ == "__main__":
    unittest.main()
