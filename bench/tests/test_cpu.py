"""CPU time is counted whole, by the process that used it, and no window closes on unfinished work."""

import os
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from pathlib import Path

from bench.lib.cpu import family
from bench.lib.cpu import process_cpu_ns
from bench.lib.cpu import total_cpu_ns
from bench.lib.cpu import wait_until_quiet
from bench.tests.support import wait_until

TICK_NS = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
# Burns CPU on two threads, one of which ends, then waits for its stdin to be closed.
BURNER = """
import sys, threading, time
def burn():
    while time.thread_time() < 0.3: pass
thread = threading.Thread(target=burn); thread.start(); thread.join(); burn()
print("burnt", flush=True)
sys.stdin.read()
"""


class CpuTime(unittest.TestCase):
    def start(self, code: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        return process

    def test_it_agrees_with_the_ticks_of_proc_stat_and_has_the_threads_that_ended(self) -> None:
        process = self.start(BURNER)
        assert process.stdout is not None
        process.stdout.readline()
        fields = Path(f"/proc/{process.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        ticks_ns = (int(fields[11]) + int(fields[12])) * TICK_NS
        used_ns = process_cpu_ns(process.pid)
        self.assertGreaterEqual(used_ns, 600_000_000)
        self.assertAlmostEqual(used_ns, ticks_ns, delta=3 * TICK_NS)

    def test_it_agrees_with_the_process_itself(self) -> None:
        # Of ourselves, since only a process can read its own clock at a moment of its choosing.
        before = time.process_time_ns()
        measured = total_cpu_ns([os.getpid()])
        after = time.process_time_ns()
        self.assertLessEqual(before, measured)
        self.assertLessEqual(measured, after)

    def test_a_process_at_rest_uses_none(self) -> None:
        process = self.start(BURNER)
        assert process.stdout is not None
        process.stdout.readline()
        self.assertTrue(wait_until_quiet([process.pid], deadline_s=20))
        before = process_cpu_ns(process.pid)
        threading.Event().wait(0.05)
        self.assertEqual(process_cpu_ns(process.pid), before)

    def test_a_process_that_never_rests_is_said_to(self) -> None:
        process = self.start("while True: pass")
        wait_until(lambda: process_cpu_ns(process.pid) > 50_000_000, "the process burns")
        self.assertFalse(wait_until_quiet([process.pid], deadline_s=0.2))

    def test_a_process_that_is_gone_is_an_error_and_not_zero(self) -> None:
        process = subprocess.Popen([sys.executable, "-c", ""])
        process.wait()
        with self.assertRaises(ProcessLookupError):
            process_cpu_ns(process.pid)


class Family(unittest.TestCase):
    def test_children_of_children_belong_to_a_process(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            pids = Path(folder) / "pids"
            pids.touch()
            script = f"sh -c 'sleep 60 & echo $$ $! >\"{pids}\"; wait' & wait"
            process = subprocess.Popen(["sh", "-c", script], start_new_session=True)
            try:
                wait_until(lambda: pids.read_text(encoding="ascii").endswith("\n"), "the processes have started")
                child, grandchild = (int(text) for text in pids.read_text(encoding="ascii").split())
                self.assertEqual(family(process.pid), (process.pid, child, grandchild))
            finally:
                os.killpg(process.pid, 9)
                process.wait()


if __name__ == "__main__":
    unittest.main()
