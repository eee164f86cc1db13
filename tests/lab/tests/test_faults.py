"""Every fault does what it says and ends; what may never happen is judged by the worst round."""

import json
import os
import subprocess
import tempfile
import unittest
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from bench.lib.summary import Spoiled
from bench.tests.support import REPOSITORY
from bench.tests.support import built_load
from bench.tests.support import write_stand_in
from lab.faults_lib.faults import FAULTS
from lab.faults_lib.gate import FaultOutcome
from lab.faults_lib.gate import FaultResult
from lab.faults_lib.gate import judge

GOOD = FaultOutcome(
    good=1000,
    mixed=0,
    lost=0,
    failed={"ERR Connection refused": 90},
    failed_others={},
    dropped=3,
    dropped_others=0,
    recovery_ms=20.0,
    last_failure_ms=5.0,
    longest_other_ms=4.0,
)
# What nutcracker says of a server's fault, and with it that the fault was there.
ERRORS = {
    "kill": "Connection refused",
    "stop": "Connection timed out",
    "drop": "Connection timed out",
    "garbage": "Invalid argument",
    "half": "Connection timed out",
    "maxclients": "max number of clients reached",
    "disk": "No space left on device",
    "memory": "Invalid argument",
}
# The same before memcached, which closes whom it does not take.
MEMCACHED_ERRORS = {name: ERRORS[name] for name in ("kill", "stop", "drop", "garbage", "half")}
MEMCACHED_ERRORS |= {"memory": "out of memory storing object"}


def reached(*outcomes: FaultOutcome | Spoiled) -> list[bool]:
    return [verdict.reached for verdict in judge({"kill": FaultResult(list(outcomes))})]


class Judging(unittest.TestCase):
    def test_failures_of_the_faulty_server_are_no_fault_of_the_proxy(self) -> None:
        self.assertEqual(reached(GOOD, GOOD), [True] * 4)

    def test_one_bad_round_of_many_is_enough_for_what_must_never_happen(self) -> None:
        for index, bad in enumerate(
            (
                replace(GOOD, mixed=1),
                replace(GOOD, lost=1),
                replace(GOOD, failed_others={"ERR a": 1}),
            )
        ):
            expected = [place != index for place in range(3)] + [True]
            self.assertEqual(reached(GOOD, GOOD, bad), expected)
        self.assertEqual(reached(GOOD, replace(GOOD, dropped_others=1))[2], False)

    def test_recovery_is_judged_by_its_median_and_never_is_for_ever(self) -> None:
        slow, never = replace(GOOD, recovery_ms=101.0), replace(GOOD, recovery_ms=None)
        self.assertTrue(reached(GOOD, GOOD, never)[3])
        for bad in ((slow,), (never,), (GOOD, slow, never)):
            self.assertFalse(reached(*bad)[3])

    def test_a_spoiled_round_and_no_round_are_not_measured(self) -> None:
        self.assertEqual(reached(GOOD, Spoiled("why")), [False] * 4)
        self.assertEqual(reached(), [False] * 4)


class Program(unittest.TestCase):
    def test_every_fault_happens_and_ends(self) -> None:
        self.check_faults("redis", [], ERRORS)

    def test_every_fault_of_memcached_happens_and_ends(self) -> None:
        self.check_faults("memcached", ["--memcached"], MEMCACHED_ERRORS)

    def check_faults(self, database: str, words: list[str], errors: Mapping[str, str]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "out"
            argv = [REPOSITORY / "tests/lab/faults", "--coremux", write_stand_in(Path(folder)), "--load", built_load()]
            argv += ["--out", out, "--short", *words]
            done = subprocess.run(argv, capture_output=True, text=True, timeout=300, check=False)
            self.assertEqual(done.returncode, 0, done.stderr)
            results = json.loads((out / "results.json").read_text(encoding="utf-8"))["results"]
        self.assertEqual(list(results), list(FAULTS[database]))
        for fault, row in results.items():
            (outcome,) = row["coremux"]["outcomes"]
            with self.subTest(fault):
                self.assertEqual((outcome["mixed"], outcome["failed_others"]), (0, {}), outcome)
                self.assertGreater(outcome["good"], 1000)
                self.assertIsNotNone(outcome["recovery_ms"])
                if fault in errors:
                    self.assertIn(errors[fault], " ".join(outcome["failed"]))
                if fault == "delay":
                    self.assertEqual(outcome["failed"], {})

    def test_faults_can_be_chosen_and_a_wrong_name_is_said(self) -> None:
        program = str(REPOSITORY / "tests/lab/faults")
        listed = subprocess.run([program, "--list", "--only", "d*"], capture_output=True, text=True, check=False)
        self.assertEqual([line.split()[0] for line in listed.stdout.splitlines()], ["drop", "delay", "disk"])
        wrong = subprocess.run([program, "--only", "x*"], capture_output=True, text=True, check=False)
        self.assertEqual(wrong.returncode, 2)
        self.assertIn("no fault is called x*", wrong.stderr)

    def test_nothing_of_it_is_seen_outside(self) -> None:
        # The mounts and the filter are the namespace's; only root can list a filter.
        self.assertNotIn("disk-coremux-", Path("/proc/mounts").read_text(encoding="utf-8"))
        if os.geteuid() == 0:
            rules = subprocess.run(["nft", "list", "ruleset"], capture_output=True, text=True, check=True)
            self.assertNotIn("table ip faults", rules.stdout)


if __name__ == "__main__":
    unittest.main()
