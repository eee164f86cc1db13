"""A window is as long as asked, pays for its own work, and what fails in it is said and not guessed."""

import unittest

from bench.lib import contender
from bench.lib.contender import PROXIES
from bench.lib.cpu import process_cpu_ns
from bench.lib.measure import Bench
from bench.lib.measure import requests_that_last
from bench.lib.point import Point
from bench.lib.point import all_points
from bench.lib.point import select
from bench.lib.resp import Client
from bench.lib.summary import Sample
from bench.lib.summary import Spoiled
from bench.tests.support import WithServers

POINT = Point("get", 3, 8, 16)
(IDLE,) = select(all_points(), ["idle-c0"])
POINTS = [POINT, IDLE]


class Requests(unittest.TestCase):
    def test_they_fill_the_window_at_the_rate_that_was_seen(self) -> None:
        self.assertEqual(requests_that_last(1.5, 100_000, step=50), 150_000)

    def test_they_are_whole_pipelines_of_all_clients(self) -> None:
        self.assertEqual(requests_that_last(1.0, 1_234, step=800), 2 * 800)
        self.assertEqual(requests_that_last(1.0, 12_345, step=800) % 800, 0)

    def test_a_slow_contender_still_sends_two_rounds(self) -> None:
        self.assertEqual(requests_that_last(1.0, 0.5, step=50), 100)


class Windows(WithServers):
    def setUp(self) -> None:
        super().setUp()
        self.direct = contender.direct(POINTS, lambda _point: self.servers)
        proxy = PROXIES["nutcracker"]
        binary = contender.find_binary(proxy)
        started = contender.start_for_points(
            self.children, proxy, binary, POINTS, lambda _point: self.servers, self.folder, 1, None
        )
        assert started is not None
        self.proxy = started

    def bench(self, contenders: list[contender.Contender], rounds: int, window_s: float) -> Bench:
        return Bench(self.children, contenders, self.servers, rounds, window_s, self.folder)

    def test_no_cpu_is_charged_twice_and_next_to_none_is_lost_between_windows(self) -> None:
        pid = self.proxy.pids[0]
        # Of Redis, which works for both: what one contender left behind would be charged to the other.
        server = self.servers[0].pid
        before_ns, redis_before_ns = process_cpu_ns(pid), process_cpu_ns(server)
        result = self.bench([self.direct, self.proxy], 2, 0.4).measure_point(POINT)
        used_ns, redis_used_ns = process_cpu_ns(pid) - before_ns, process_cpu_ns(server) - redis_before_ns
        charged_us = redis_charged_us = 0.0
        for name, samples in result.rounds.items():
            self.assertEqual(len(samples), 2)
            for sample in samples:
                assert isinstance(sample, Sample), sample
                redis_charged_us += sample.server_cpu_us * sample.requests
                if name == "nutcracker":
                    assert sample.proxy_cpu_us is not None
                    charged_us += sample.proxy_cpu_us * sample.requests
                else:
                    self.assertIsNone(sample.proxy_cpu_us)
        # The rest is what the check and the probes used: at most 0.2 s of 1 s, and as much again for a slow start.
        for charged, used in ((charged_us * 1e3, used_ns), (redis_charged_us * 1e3, redis_used_ns)):
            self.assertLessEqual(charged, used)
            self.assertGreaterEqual(charged, 0.5 * used)

    def test_the_requests_counted_are_the_requests_served(self) -> None:
        result = self.bench([self.direct], 1, 0.1).measure_point(POINT)
        (sample,) = result.rounds["direct"]
        assert isinstance(sample, Sample), sample
        with Client(self.servers[0].port) as client:
            client.call("CONFIG", "RESETSTAT")
        again = self.bench([self.direct], 2, 0.1).measure_point(POINT)
        with Client(self.servers[0].port) as client:
            stats = client.call("INFO", "commandstats")
        assert isinstance(stats, bytes)
        served = int(stats.partition(b"cmdstat_get:calls=")[2].split(b",")[0])
        counted = [sample.requests for sample in again.rounds["direct"] if isinstance(sample, Sample)]
        # Besides: one GET of the check, and the probes, which are whole pipelines as well.
        self.assertEqual((served - 1 - sum(counted)) % POINT.pipeline, 0)
        self.assertGreaterEqual(served - 1, sum(counted))

    def test_a_contender_that_answers_wrongly_is_spoiled_and_the_others_are_measured(self) -> None:
        self.children.end(self.proxy.process)
        result = self.bench([self.direct, self.proxy], 2, 0.1).measure_point(POINT)
        self.assertEqual([type(sample) for sample in result.rounds["direct"]], [Sample, Sample])
        for sample in result.rounds["nutcracker"]:
            assert isinstance(sample, Spoiled), sample
            self.assertIn("nutcracker ended with -15", sample.reason)

    def test_who_is_idle_has_wake_ups_and_no_requests(self) -> None:
        result = self.bench([self.direct, self.proxy], 1, 0.1).measure_point(IDLE)
        self.assertEqual(list(result.rounds), ["nutcracker"], "who has no proxy has no wake-ups of one")
        (sample,) = result.rounds["nutcracker"]
        assert isinstance(sample, Sample) and sample.wakeups_per_s is not None, sample
        self.assertLess(sample.wakeups_per_s, 100)
        self.assertIsNone(sample.requests_per_s)


if __name__ == "__main__":
    unittest.main()
