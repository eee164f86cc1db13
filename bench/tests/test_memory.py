"""Memory is read of the right process; the crowd and the burst notice every answer that is missing or wrong."""

import socket
import subprocess
import sys
import threading
import unittest
from pathlib import Path

from bench.lib import burst
from bench.lib import rss
from bench.lib.burst import Burst
from bench.lib.crowd import Crowd
from bench.lib.errors import Failed
from bench.lib.resp import Client
from bench.lib.servers import fill_value
from bench.lib.slow_readers import SlowReaders
from bench.lib.slow_readers import write_value
from bench.tests.support import WithServers
from bench.tests.support import wait_until

MIB = 1 << 20
# Takes 64 MiB when it is told to and gives them back when told again.
EATER = """
import sys
for line in sys.stdin:
    eaten = b"x" * (64 << 20) if line.startswith("eat") else b""
    print("done", flush=True)
"""


class Resident(unittest.TestCase):
    def setUp(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", EATER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.addCleanup(self.process.communicate)
        self.addCleanup(self.process.kill)
        self.pids = [self.process.pid]
        self.tell("start")

    def tell(self, word: str) -> None:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(f"{word}\n")
        self.process.stdin.flush()
        self.process.stdout.readline()

    def test_what_a_process_takes_and_gives_back_is_seen_and_its_peak_is_kept(self) -> None:
        rss.forget_peak(self.pids)
        before = rss.rss_bytes(self.pids)
        self.tell("eat")
        self.assertAlmostEqual(rss.rss_bytes(self.pids) - before, 64 * MIB, delta=2 * MIB)
        self.assertEqual(rss.seconds_until_below(self.pids, before + 20 * MIB, 0.2)[0], None)
        self.tell("give back")
        back_s, after = rss.seconds_until_below(self.pids, before + 20 * MIB, 10)
        self.assertIsNotNone(back_s)
        self.assertAlmostEqual(after, before, delta=2 * MIB)
        self.assertAlmostEqual(rss.peak_bytes(self.pids) - before, 64 * MIB, delta=2 * MIB)

    def test_a_process_that_is_gone_is_an_error_and_not_zero(self) -> None:
        self.process.kill()
        self.process.wait()
        for read in (rss.rss_bytes, rss.peak_bytes):
            with self.assertRaises(ProcessLookupError):
                read(self.pids)

    def test_a_figure_is_read_from_its_line(self) -> None:
        self.assertEqual(rss.kib_of("Size:  9 kB\nRss:          1234 kB\nPss: 3 kB\n", "Rss:"), 1234)
        with self.assertRaises(ValueError):
            rss.kib_of("Pss: 3 kB\n", "Rss:")


class Clients(WithServers):
    def connected(self) -> int:
        with Client(self.server.port) as client:
            info = client.call("INFO", "clients")
        assert isinstance(info, bytes)
        return int(info.partition(b"connected_clients:")[2].split()[0]) - 1

    def test_a_crowd_stays_connected(self) -> None:
        fill_value(self.server, 3)
        with Crowd(self.server.port, 300, b"xxx") as crowd:
            self.assertEqual(self.connected(), 300)
            crowd.ask()

    def test_a_crowd_that_is_answered_wrongly_fails(self) -> None:
        fill_value(self.server, 3)
        with self.assertRaisesRegex(Failed, "10 of 10 clients were not answered rightly"):
            Crowd(self.server.port, 10, b"yyy").__enter__()

    def test_a_crowd_of_which_one_was_dropped_fails(self) -> None:
        fill_value(self.server, 3)
        with Crowd(self.server.port, 10, b"xxx") as crowd:
            with Client(self.server.port) as client:
                clients = client.call("CLIENT", "LIST", "TYPE", "normal")
                assert isinstance(clients, bytes)
                client.call("CLIENT", "KILL", "ID", clients.split()[0].removeprefix(b"id="))
            with self.assertRaises(Failed):
                crowd.ask()

    def test_a_burst_writes_and_reads_every_value(self) -> None:
        total = 2 * burst.CLIENTS * burst.VALUE_BYTES
        with Burst(self.server.port) as each:
            each.write(total)
            each.read(total)
            self.assertEqual(self.connected(), burst.CLIENTS)
        with Client(self.server.port) as client:
            stats = client.call("INFO", "commandstats")
        assert isinstance(stats, bytes)
        self.assertIn(b"cmdstat_set:calls=%d," % (2 * burst.CLIENTS), stats)
        self.assertIn(b"cmdstat_get:calls=%d," % (2 * burst.CLIENTS), stats)

    def test_a_burst_that_reads_what_was_not_written_fails(self) -> None:
        with Burst(self.server.port) as each, self.assertRaisesRegex(Failed, r"wrong answer in the burst: b'\$-1"):
            each.read(MIB)

    def test_slow_readers_ask_and_do_not_read_and_are_counted_when_they_are_closed(self) -> None:
        write_value(self.server)
        with SlowReaders(self.server.port, 5, 3) as slow:
            self.assertEqual(self.connected(), 5)
            with Client(self.server.port) as client:

                def asked() -> bool:
                    stats = client.call("INFO", "commandstats")
                    assert isinstance(stats, bytes)
                    return b"cmdstat_get:calls=15," in stats

                wait_until(asked, "all of them have asked")
                self.assertEqual(slow.closed(), 0)
                client.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
                wait_until(lambda: slow.closed() == 5, "all of them are closed")

    def test_a_burst_that_is_cut_off_fails(self) -> None:
        listener = socket.create_server(("127.0.0.1", 0), backlog=burst.CLIENTS)

        def accept_and_close() -> None:
            for _ in range(burst.CLIENTS):
                listener.accept()[0].close()

        acceptor = threading.Thread(target=accept_and_close)
        acceptor.start()
        with Burst(listener.getsockname()[1]) as each, self.assertRaises((Failed, OSError)):
            each.write(MIB)
        acceptor.join()
        listener.close()

    def test_a_gibibyte_is_sixteen_values_a_client(self) -> None:
        self.assertEqual(burst.values_of_each(1 << 30), 16)
        self.assertEqual(burst.values_of_each(1), 1)


class Files(unittest.TestCase):
    def test_more_clients_than_files_is_said_with_the_remedy(self) -> None:
        # In a process of its own: a lowered limit cannot be raised again.
        code = (
            "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (100, 500))\n"
            "from bench.lib.crowd import allow_files\n"
            "allow_files(200); print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])\n"
            "allow_files(1000)"
        )
        root = Path(__file__).resolve().parents[2]
        done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=False)
        self.assertEqual(done.stdout, "500\n")
        self.assertIn("CannotRun: 1000 clients need 1256 open files, but `ulimit -Hn` is 500", done.stderr)


if __name__ == "__main__":
    unittest.main()
