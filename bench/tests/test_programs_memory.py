"""`bench/memory` does what it says, from the command line to the exit code.

nutcracker stands in for Coremux.
"""

import json
import unittest

from bench.tests.support import WithPrograms
from bench.tests.support import built_load


class Memory(WithPrograms):
    def test_memory_measures_both_and_judges(self) -> None:
        words = ["--clients", "500", "--burst-mib", "64", "--rounds", "1", "--gate", "--only", "idle"]
        done = self.run_program(self.argv("memory", *words, "--only", "burst"))
        # nutcracker keeps what the burst took.
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("not in 10 s: 1 of 1", done.stdout)
        results = json.loads((self.out / "results.json").read_text(encoding="utf-8"))["results"]
        self.assertEqual(list(results), ["nutcracker", "coremux"])
        for result in results.values():
            self.assertGreater(result["idle"][0]["with_clients_bytes"], result["idle"][0]["before_bytes"])
            self.assertGreater(result["burst"][0]["peak_bytes"], 20 << 20)

    def test_memory_measures_clients_that_do_not_read(self) -> None:
        words = ["--only", "slow", "--slow-clients", "20", "--slow-seconds", "1", "--rounds", "1", "--gate"]
        done = self.run_program(self.argv("memory", *words, "--load", str(built_load())))
        # The stand-in takes no limit.
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("**not measured**", done.stdout)
        results = json.loads((self.out / "results.json").read_text(encoding="utf-8"))["results"]
        for result in results.values():
            (slow,) = result["slow"]
            self.assertEqual((slow["good"], slow["failed"], slow["limit_bytes"]), (500, 0, None))
            # Nobody takes the replies, so they are in the proxy, but for what the sockets hold.
            self.assertGreater(slow["peak_bytes"] - slow["before_bytes"], 10 << 20)


if __name__ == "__main__":
    unittest.main()
