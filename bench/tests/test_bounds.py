"""No test hangs, and none depends on what the shell that has started it ignores."""

import signal
import subprocess
import sys
import unittest
from unittest import mock

import bench.tests
from bench.tests.support import REPOSITORY
from bench.tests.support import started

# Tells what of it this process ignores.
IGNORED = "print(*[s.name for s in (signal.SIGINT, signal.SIGHUP) if signal.getsignal(s) == signal.SIG_IGN])"
UNWINDING = f"import signal; from bench.lib.process import end_on_signals; end_on_signals(); {IGNORED}"


class Hanging(unittest.TestCase):
    """Run by the test below, and not by itself."""

    def hang(self) -> None:
        self.addCleanup(signal.pause)
        signal.pause()


class Bounds(unittest.TestCase):
    def test_a_test_that_hangs_fails_and_so_does_its_cleaning_up(self) -> None:
        result = unittest.TestResult()
        with mock.patch.multiple(bench.tests, BOUND_S=0.2, AGAIN_S=0.2):
            Hanging("hang").run(result)
        self.assertEqual(len(result.errors), 2, result)
        for _, text in result.errors:
            self.assertIn("not within 0.2 s", text)

    def test_every_test_has_a_bound_also_after_one_of_its_own(self) -> None:
        self.assertGreater(signal.getitimer(signal.ITIMER_REAL)[0], 0)
        with bench.tests.bounded(1, 1):
            pass
        self.assertGreater(signal.getitimer(signal.ITIMER_REAL)[0], 0)


class Ignored(unittest.TestCase):
    """As under nohup, in a shell's background and in some CI systems."""

    def test_what_was_ignored_at_the_start_stays_so(self) -> None:
        for ignored in ("", "SIGINT", "SIGHUP", "SIGINT SIGHUP"):
            names = ignored.replace(" ", ",").replace("SIG", "")
            ignoring = ["env", "--default-signal=INT,HUP", *([f"--ignore-signal={names}"] if names else [])]
            argv = [*ignoring, sys.executable, "-c", UNWINDING]
            done = subprocess.run(argv, cwd=REPOSITORY, capture_output=True, text=True, timeout=60, check=True)
            self.assertEqual(done.stdout.strip(), ignored)

    def test_what_a_test_starts_ignores_nothing(self) -> None:
        before = [(number, signal.signal(number, signal.SIG_IGN)) for number in (signal.SIGINT, signal.SIGHUP)]
        try:
            with started([sys.executable, "-c", f"import signal; {IGNORED}"], stdout=subprocess.PIPE) as process:
                self.assertEqual(process.communicate(timeout=60)[0], "\n")
        finally:
            for number, handler in before:
                signal.signal(number, handler)


if __name__ == "__main__":
    unittest.main()
