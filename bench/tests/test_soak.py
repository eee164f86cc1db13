"""Growth is told from swings, every way of leaving is taken, and a proxy that leaks is found out."""

import json
import socket
import subprocess
import sys
import tempfile
import unittest
from dataclasses import replace
from pathlib import Path

from bench.lib.churn import KINDS
from bench.lib.churn import Churn
from bench.lib.process import Children
from bench.lib.resp import encode
from bench.lib.servers import start_server
from bench.lib.soak_gate import MIB
from bench.lib.soak_gate import Sample
from bench.lib.soak_gate import SoakResult
from bench.lib.soak_gate import judge
from bench.lib.trend import rise
from bench.lib.trend import second_half
from bench.tests.support import REPOSITORY
from bench.tests.support import write_script
from bench.tests.support import write_stand_in

# Takes nutcracker's command line and is a proxy that keeps what its clients leave: memory and descriptors.
LEAK = f"""#!{sys.executable}
import asyncio, re, sys, pathlib
config = pathlib.Path(sys.argv[sys.argv.index("-c") + 1]).read_text()
port, first = (int(number) for number in re.findall(r"127.0.0.1:([0-9]+)", config)[:2])
kept = []
async def serve(reader, writer):
    kept.append((bytearray(b"x" * 5000), open("/dev/null")))
    try:
        server_reader, server = await asyncio.open_connection("127.0.0.1", first)
        async def back():
            while data := await server_reader.read(65536):
                writer.write(data)
        task = asyncio.ensure_future(back())
        while data := await reader.read(65536):
            server.write(data)
        server.write_eof()
        await task
        server.close()
    except OSError:
        pass
    writer.close()
async def main():
    async with await asyncio.start_server(serve, "127.0.0.1", port, backlog=1024) as server:
        await server.serve_forever()
asyncio.run(main())
"""


class Trend(unittest.TestCase):
    def test_a_line_rises_by_what_it_rises(self) -> None:
        self.assertAlmostEqual(rise([(when, 5 + 2 * when) for when in range(11)]), 20)
        self.assertAlmostEqual(rise([(when, 5 - when) for when in range(11)]), -10)

    def test_swings_do_not_rise_and_a_step_does(self) -> None:
        swings = [(float(when), float(when % 2)) for when in range(101)]
        self.assertLess(abs(rise(swings)), 0.1)
        step = [(float(when), 10.0 * (when >= 50)) for when in range(100)]
        self.assertGreater(rise(step), 10)

    def test_one_sample_or_none_shows_nothing(self) -> None:
        for samples in ([], [(1.0, 5.0)], [(1.0, 5.0), (1.0, 9.0)]):
            self.assertEqual(rise(samples), 0)

    def test_the_second_half_is_of_the_time(self) -> None:
        self.assertEqual(second_half([(0, 9), (1, 8), (6, 7), (10, 6)]), [(6, 7), (10, 6)])
        self.assertEqual(second_half([]), [])


class Judging(unittest.TestCase):
    def result(self, rss_a_second: int = 0, files_a_second: int = 0) -> SoakResult:
        samples = [
            # The start needs much, and is not judged.
            Sample(at_s, min(at_s, 20) * MIB + at_s * rss_a_second, 50 + at_s * files_a_second) for at_s in range(60)
        ]
        return SoakResult(60, {"ask": 1000}, {}, samples, files_before=20, files_left=20, rss_left_bytes=MIB)

    def reached(self, result: SoakResult) -> list[bool]:
        return [verdict.reached for verdict in judge(result)]

    def test_what_levels_off_is_no_growth(self) -> None:
        self.assertEqual(self.reached(self.result()), [True] * 4)

    def test_growth_what_is_left_and_who_is_not_served_are_found(self) -> None:
        self.assertEqual(self.reached(self.result(rss_a_second=MIB)), [False, True, True, True])
        self.assertEqual(self.reached(self.result(files_a_second=1)), [True, False, True, True])
        self.assertEqual(self.reached(replace(self.result(), files_left=21)), [True, True, False, True])
        self.assertEqual(self.reached(replace(self.result(), failures={"why": 1})), [True, True, True, False])

    def test_without_samples_nothing_is_proved(self) -> None:
        self.assertEqual(self.reached(replace(self.result(), samples=[])), [False] * 4)


class Coming(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        children = Children()
        self.addCleanup(children.__exit__, None, None, None)
        # Its clients come from all of 127/8, which it takes for strangers.
        self.server, _ = start_server(children, Path(folder.name), "redis", ["--protected-mode", "no"])

    def test_all_ways_to_leave_happen_and_are_served(self) -> None:
        churn = Churn(self.server.port, 0)
        churn.run(rate=500, seconds=1)
        self.assertEqual(churn.failures, {})
        self.assertEqual(set(churn.ends), set(KINDS))
        self.assertAlmostEqual(sum(churn.ends.values()), 500, delta=50)

    def test_nobody_there_and_a_wrong_reply_are_failures(self) -> None:
        nobody = Churn(1, 0)
        nobody.run(rate=100, seconds=0.1)
        self.assertEqual(sum(nobody.failures.values()), sum(nobody.ends.values()))
        churn = Churn(self.server.port, 0)
        with socket.create_connection(("127.0.0.1", self.server.port)) as client:
            client.sendall(encode(("PING",)))
            churn.expect(client, b"+OK\r\n", "ask")
        self.assertEqual(churn.failures, {"ask: a wrong reply": 1})


class Program(unittest.TestCase):
    def soak(self, coremux: Path, folder: Path, *words: str) -> tuple[int, dict[str, object], str]:
        out = folder / "out"
        argv = [REPOSITORY / "bench/soak", "--coremux", coremux, "--out", out, "--gate", *words]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=300, check=False)
        self.assertIn(done.returncode, (0, 1), done.stderr)
        return done.returncode, json.loads((out / "results.json").read_text(encoding="utf-8"))["results"], done.stdout

    def test_a_run_samples_each_second_and_counts_every_connection(self) -> None:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            _, results, text = self.soak(write_stand_in(folder), folder, "--seconds", "4", "--rate", "500", "--both")
        self.assertEqual(list(results), ["nutcracker", "coremux"])
        for result in results.values():
            assert isinstance(result, dict)
            self.assertEqual(len(result["samples"]), 4)
            self.assertGreater(sum(result["ends"].values()), 500)
            self.assertGreater(result["files_before"], 0)
        self.assertIn("descriptors left", text)

    def test_a_proxy_that_leaks_is_found_out(self) -> None:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            leak = write_script(folder / "leak", LEAK)
            code, results, text = self.soak(leak, folder, "--seconds", "6", "--rate", "300")
        self.assertEqual(code, 1)
        rows = [line for line in text.splitlines() if "**not reached**" in line]
        for what in ("memory's rise", "descriptors' rise", "descriptors left"):
            self.assertTrue(any(what in row for row in rows), text)


if __name__ == "__main__":
    unittest.main()
