"""The executables do what they say, from the command line to the exit code, and leave no process behind.

nutcracker stands in for Coremux.
"""

import json
import os
import signal
import subprocess
import unittest

from bench.lib.cpu import family
from bench.tests.support import REPOSITORY
from bench.tests.support import WithPrograms
from bench.tests.support import built_floor
from bench.tests.support import built_load
from bench.tests.support import is_running
from bench.tests.support import started
from bench.tests.support import wait_until


class Programs(WithPrograms):
    def test_compare_measures_every_contender_and_writes_table_json_and_plots(self) -> None:
        words = ["--only", "get-3B-c8-P16", "--only", "mget10-5srv-*", "--rounds", "2", "--seconds", "0.2"]
        words += ["--proxy", "haproxy", "--proxy", "relay-2", "--proxy", "answer", "--floor", str(built_floor())]
        words += ["--pin"] if len(os.sched_getaffinity(0)) > 1 else []
        done = self.run_program(self.argv("compare", *words))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stdout, (self.out / "report.md").read_text(encoding="utf-8"))
        points = json.loads((self.out / "results.json").read_text(encoding="utf-8"))["points"]
        contenders = {point["name"]: list(point["rounds"]) for point in points}
        self.assertEqual(
            contenders,
            {
                "get-3B-c8-P16": ["direct", "nutcracker", "coremux", "relay", "haproxy", "relay-2", "answer"],
                "mget10-5srv-c50-P1": ["direct", "nutcracker", "coremux"],
            },
        )
        for point in points:
            for name, samples in point["rounds"].items():
                self.assertEqual(len(samples), 2)
                for sample in samples:
                    self.assertGreater(sample["requests_per_s"], 0)
                    self.assertGreaterEqual(sample["server_cpu_us"], 0)
                    self.assertEqual(sample["proxy_cpu_us"] is None, name == "direct")
        for heading in ("coremux ÷ direct", "coremux ÷ nutcracker", "coremux ÷ haproxy"):
            self.assertIn(heading, done.stdout)
        self.assertEqual({path.name for path in self.out.glob("*.svg")}, {"get-3B.svg", "mget.svg"})

    def test_compare_loads_in_every_way(self) -> None:
        words = ["--only", "open-50%", "--only", "crowd-c1000", "--only", "churn-*", "--only", "idle-c0"]
        words += ["--only", "get-3B-c50-P1-1000us", "--rounds", "1", "--seconds", "0.2"]
        words += ["--floor", str(built_floor()), "--load", str(built_load())]
        done = self.run_program(self.argv("compare", *words))
        self.assertEqual(done.returncode, 0, done.stderr)
        points = json.loads((self.out / "results.json").read_text(encoding="utf-8"))["points"]
        rounds = {point["name"]: point["rounds"] for point in points}
        for name, samples in rounds["open-50%"].items():
            self.assertGreater(samples[0]["p999_ms"], 0, name)
        for name, samples in rounds["get-3B-c50-P1-1000us"].items():
            self.assertGreater(samples[0]["p50_ms"], 2, name)
        self.assertLess(rounds["idle-c0"]["nutcracker"][0]["wakeups_per_s"], 1000)
        self.assertGreater(rounds["churn-c50"]["nutcracker"][0]["requests_per_s"], 0)
        self.assertEqual(rounds["crowd-c1000"]["direct"][0]["proxy_cpu_us"], None)

    def test_compare_stands_before_memcached_too(self) -> None:
        words = ["--memcached", "--only", "?et-64B-c50-P16", "--only", "get100-*", "--only", "open-50%"]
        words += ["--rounds", "1", "--seconds", "0.2", "--gate", "--proxy", "haproxy"]
        words += ["--floor", str(built_floor()), "--load", str(built_load())]
        done = self.run_program(self.argv("compare", *words))
        # nutcracker is not faster than itself.
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertNotIn("Measurements that failed", done.stdout)
        self.assertIn("≤ 0.35 × nutcracker", done.stdout)
        points = json.loads((self.out / "results.json").read_text(encoding="utf-8"))["points"]
        rounds = {point["name"]: point["rounds"] for point in points}
        self.assertEqual(list(rounds), ["get-64B-c50-P16", "set-64B-c50-P16", "get100-5srv-c50-P1", "open-50%"])
        self.assertEqual(list(rounds["get-64B-c50-P16"]), ["direct", "nutcracker", "coremux", "relay", "haproxy"])
        self.assertEqual(list(rounds["get100-5srv-c50-P1"]), ["direct", "nutcracker", "coremux"])
        for samples in rounds["get100-5srv-c50-P1"].values():
            self.assertGreater(samples[0]["requests_per_s"], 0)
        self.assertGreater(rounds["open-50%"]["nutcracker"][0]["p50_ms"], 0)

    def test_plot_draws_the_same_from_the_json_alone(self) -> None:
        words = ["--only", "set-3B-c8-P16", "--rounds", "1", "--seconds", "0.1", "--floor", str(built_floor())]
        self.assertEqual(self.run_program(self.argv("compare", *words)).returncode, 0)
        plot = self.out / "set-3B.svg"
        drawn = plot.read_bytes()
        plot.unlink()
        done = self.run_program([str(REPOSITORY / "bench/plot"), str(self.out / "results.json")])
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(plot.read_bytes(), drawn)

    def test_a_gate_that_is_not_reached_is_an_exit_code(self) -> None:
        # nutcracker cannot be 2.3 times as fast as itself.
        words = ["--gate", "--only", "get-3B-c50-P16", "--rounds", "1", "--seconds", "0.2"]
        words += ["--floor", str(built_floor())]
        done = self.run_program(self.argv("compare", *words))
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("**not reached**", done.stdout)
        self.assertIn("of 2 reached", done.stdout)

    def test_what_cannot_run_says_why_and_ends_with_2(self) -> None:
        for words, text in (
            (["--only", "nothing-*"], "nothing-*"),
            (["--coremux", "/nonexistent"], "/nonexistent"),
            (["--memcached", "--server", "redis-server"], "--server"),
        ):
            done = self.run_program(self.argv("compare", *words))
            self.assertEqual(done.returncode, 2)
            self.assertIn(text, done.stderr)
            self.assertEqual(done.stdout, "")

    def test_no_process_is_left_however_a_run_ends(self) -> None:
        words = ["--only", "get-3B-c8-P16", "--rounds", "100", "--seconds", "1", "--floor", str(built_floor())]
        for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 130), (signal.SIGKILL, -signal.SIGKILL)):
            with self.subTest(number), started(
                self.argv("compare", *words), stdout=subprocess.PIPE, stderr=subprocess.PIPE
            ) as bench:
                assert bench.stderr is not None
                while not (line := bench.stderr.readline()).startswith("[1/1]"):
                    self.assertNotEqual(line, "", "it has ended")
                children = family(bench.pid)[1:]
                # Redis, nutcracker, its double, and for most of the time redis-benchmark.
                self.assertGreaterEqual(len(children), 3)
                os.kill(bench.pid, number)
                bench.communicate(timeout=30)
                self.assertEqual(bench.returncode, code)
                for pid in children:
                    wait_until(lambda pid=pid: not is_running(pid), f"process {pid} of {children} has ended")


if __name__ == "__main__":
    unittest.main()
