"""What the bench starts ends with it, by its own pid and however it ends; nothing else does."""

import os
import signal
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from bench.lib.process import Children
from bench.lib.process import free_ports
from bench.lib.process import tail
from bench.tests.support import REPOSITORY
from bench.tests.support import is_running
from bench.tests.support import started
from bench.tests.support import wait_until

# A bench in small: starts a child, tells its pid, and waits to be ended itself.
BENCH = """
import signal
from pathlib import Path
from bench.lib.process import Children, end_on_signals
end_on_signals()
try:
    with Children() as children:
        print(children.start(["sleep", "600"], Path("/dev/null")).pid, flush=True)
        signal.pause()
except KeyboardInterrupt:
    raise SystemExit(130)
"""


class Ending(unittest.TestCase):
    def test_children_do_not_outlive_the_block_and_strangers_do(self) -> None:
        stranger = subprocess.Popen(["sleep", "600"])
        self.addCleanup(stranger.wait)
        self.addCleanup(stranger.kill)
        with Children() as children:
            child = children.start(["sleep", "600"], Path("/dev/null"))
            self.assertTrue(is_running(child.pid))
        self.assertFalse(is_running(child.pid))
        self.assertTrue(is_running(stranger.pid))

    def test_a_child_that_ignores_sigterm_is_ended_all_the_same(self) -> None:
        with tempfile.TemporaryDirectory() as folder, Children() as children:
            log = Path(folder) / "log"
            ignore = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)"
            stubborn = f"{ignore}; print('deaf', flush=True); signal.pause()"
            child = children.start([sys.executable, "-c", stubborn], log)
            wait_until(lambda: "deaf" in log.read_text(encoding="utf-8"), "the child ignores SIGTERM")
            children.end(child)
            self.assertEqual(child.returncode, -signal.SIGKILL)

    def test_an_error_in_the_block_ends_the_children(self) -> None:
        with self.assertRaises(ZeroDivisionError), Children() as children:
            child = children.start(["sleep", "600"], Path("/dev/null"))
            raise ZeroDivisionError
        self.assertFalse(is_running(child.pid))

    def test_signals_end_the_children_and_so_does_being_killed(self) -> None:
        for number, code in (
            (signal.SIGINT, 130),
            (signal.SIGTERM, 130),
            (signal.SIGHUP, 130),
            (signal.SIGKILL, -signal.SIGKILL),
        ):
            with self.subTest(number), started(
                [sys.executable, "-c", BENCH], cwd=REPOSITORY, stdout=subprocess.PIPE
            ) as bench:
                assert bench.stdout is not None
                child = int(bench.stdout.readline())
                # The child is setpriv until it has become sleep; before that nobody has asked for its end.
                became = Path(f"/proc/{child}/comm")
                wait_until(lambda: became.read_text(encoding="ascii") == "sleep\n", "the child runs its program")
                os.kill(bench.pid, number)
                self.assertEqual(bench.wait(20), code)
                wait_until(lambda: not is_running(child), "the child has ended")


class Running(unittest.TestCase):
    def test_a_program_that_is_run_gives_code_and_output(self) -> None:
        with Children() as children:
            self.assertEqual(children.run(["sh", "-c", "echo out; echo err >&2; exit 3"], 10), (3, "out\n", "err\n"))

    def test_a_program_that_hangs_is_ended(self) -> None:
        with tempfile.TemporaryDirectory() as folder, Children() as children:
            told = Path(folder) / "pid"
            with self.assertRaises(subprocess.TimeoutExpired):
                children.run(["sh", "-c", f"echo $$ > '{told}'; exec sleep 600"], 0.5)
            self.assertFalse(is_running(int(told.read_text(encoding="ascii"))))


class Ports(unittest.TestCase):
    def test_ports_of_one_asking_differ(self) -> None:
        self.assertEqual(len(set(free_ports(20))), 20)


class Tail(unittest.TestCase):
    def test_the_last_lines_are_shown_and_silence_is_said(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            log = Path(folder) / "log"
            self.assertEqual(tail(log), "(it wrote nothing)")
            log.write_text("1\n2\n3\n", encoding="utf-8")
            self.assertEqual(tail(log, 2), "2\n3")


if __name__ == "__main__":
    unittest.main()
