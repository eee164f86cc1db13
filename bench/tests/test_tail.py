"""The verdict on the tail is of pairs; a run measures both configurations and both proxies."""

import json
import subprocess
import tempfile
import unittest
from pathlib import Path

from bench.lib.summary import Spoiled
from bench.lib.tail_gate import TailPair
from bench.lib.tail_gate import TailResult
from bench.lib.tail_gate import judge
from bench.tests.support import REPOSITORY
from bench.tests.support import built_load
from bench.tests.support import write_stand_in


class Judging(unittest.TestCase):
    def test_the_ratio_is_of_each_pair_and_its_median_is_judged(self) -> None:
        pairs = [TailPair(1.0, 1.1, 0), TailPair(10.0, 11.5, 0), TailPair(1.0, 5.0, 0)]
        tail, errors = judge({"timeout: 400": TailResult(pairs=list(pairs))})
        assert tail.measured is not None
        self.assertAlmostEqual(tail.measured.median, 1.15)
        self.assertEqual((tail.reached, tail.certain, errors.reached), (True, False, True))

    def test_a_tail_that_grows_and_a_failed_request_are_not_reached(self) -> None:
        result = TailResult(pairs=[TailPair(1.0, 1.3, 2), TailPair(1.0, 1.3, 1)])
        self.assertEqual([verdict.reached for verdict in judge({"": result})], [False, False])

    def test_a_spoiled_round_and_no_round_are_not_measured(self) -> None:
        for pairs in ([], [TailPair(1.0, 1.0, 0), Spoiled("why")]):
            self.assertEqual([verdict.measured for verdict in judge({"": TailResult(pairs=pairs)})], [None, None])


class Program(unittest.TestCase):
    def test_both_configurations_and_proxies_are_measured(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "out"
            argv = [REPOSITORY / "bench/tail", "--coremux", write_stand_in(Path(folder)), "--load", built_load()]
            argv += ["--out", out, "--rounds", "1", "--seconds", "1", "--rate", "1000"]
            done = subprocess.run(argv, capture_output=True, text=True, timeout=300, check=False)
            self.assertEqual(done.returncode, 0, done.stderr)
            results = json.loads((out / "results.json").read_text(encoding="utf-8"))["results"]
        self.assertEqual(list(results), ["timeout: 400", "no timeout"])
        for proxies in results.values():
            self.assertEqual(list(proxies), ["nutcracker", "coremux"])
            for result in proxies.values():
                self.assertGreater(result["saturation_per_s"], 0)
                self.assertEqual((len(result["pairs"]), result["pairs"][0]["errors"]), (1, 0))


if __name__ == "__main__":
    unittest.main()
