"""The load generator sends at its rate whatever the replies do, notices every wrong one, and its figures are read."""

import json
import signal
import time
import unittest
from dataclasses import replace
from pathlib import Path

from bench.lib import open_load
from bench.lib.contender import Contender
from bench.lib.database import MEMCACHED
from bench.lib.errors import Failed
from bench.lib.homes import keys_by_server
from bench.lib.homes import route_table
from bench.lib.keyspace import load_value
from bench.lib.open_load import LoadPlan
from bench.lib.process import send_signal
from bench.lib.resp import Client
from bench.lib.servers import fill
from bench.lib.servers import start_server
from bench.tests.support import WithServers
from bench.tests.support import built_load

GROUP = {"good": 5, "errors": {"ERR a": 2, "ERR b": 1}, "connections_lost": 1, "lost_writes_seen": 0}
GROUP |= {"p50_ms": 0.1, "p99_ms": 0.2, "p999_ms": 0.3, "max_ms": 0.4}
JSON = {"schema": open_load.SCHEMA, "counted_s": 2.5, "answered": 7, "lag_p99_ms": 0.1, "mixed": 0, "all": GROUP}
JSON["groups"] = [GROUP | {"name": "s0"}]


class Reading(unittest.TestCase):
    def test_figures_are_read(self) -> None:
        seen = open_load.parse(json.dumps(JSON))
        self.assertEqual((seen.good_per_s, seen.mixed), (2.0, False))
        self.assertEqual(seen.groups["s0"].errors_in_all, 3)

    def test_what_cannot_be_read_is_a_failure(self) -> None:
        for text in ("", json.dumps(JSON | {"schema": "another"})):
            with self.assertRaises(Failed):
                open_load.parse(text)


class Running(WithServers):
    binary: Path

    @classmethod
    def setUpClass(cls) -> None:
        cls.binary = built_load()

    def setUp(self) -> None:
        super().setUp()
        proxy = Contender("direct", {1: self.server.port})
        keys = self.folder / "keys.txt"
        keys.write_text(route_table(keys_by_server(proxy, [self.server], 100)), encoding="utf-8")
        self.plan = LoadPlan(port=self.server.port, rate=500, seconds=1, keys=keys, connections=10)

    def test_it_sends_at_its_rate_and_leaves_the_ledger_of_what_was_written(self) -> None:
        running = open_load.start(self.children, self.binary, replace(self.plan, sets=100), self.folder / "load")
        seen = running.finish(at_once=False)
        self.assertEqual((seen.groups["s0"].good, seen.together.errors), (500, {}))
        self.assertEqual(len(running.trace.read_text(encoding="utf-8").splitlines()), 500)
        with Client(self.server.port) as client:
            for line in running.ledger.read_text(encoding="utf-8").splitlines():
                server, key, run, acked, given = line.split()
                self.assertEqual((server, acked), ("s0", given))
                value = client.call("GET", key)
                assert isinstance(value, bytes)
                self.assertTrue(value.startswith(f"{key}={run}:{acked};".encode()), value)

    def test_a_stall_is_in_the_latencies_of_all_that_was_due_in_it(self) -> None:
        # A client that waits for each reply has one request late; from when they were due, half of them are.
        running = open_load.start(self.children, self.binary, replace(self.plan, seconds=2), self.folder / "load")
        time.sleep(0.3)
        send_signal(self.server.pid, signal.SIGSTOP)
        time.sleep(1)
        send_signal(self.server.pid, signal.SIGCONT)
        seen = running.finish(at_once=False).together
        self.assertEqual((seen.good, seen.errors), (1000, {}))
        self.assertGreater(seen.p50_ms, 1)
        self.assertGreater(seen.max_ms, 900)

    def test_it_ends_in_order_when_told_to(self) -> None:
        running = open_load.start(self.children, self.binary, replace(self.plan, seconds=60), self.folder / "load")
        time.sleep(0.5)
        seen = running.finish(at_once=True)
        self.assertLess(seen.counted_s, 20)
        self.assertEqual((seen.together.errors, seen.mixed), ({}, False))

    def test_another_keys_value_is_a_mixed_reply(self) -> None:
        running = open_load.start(self.children, self.binary, replace(self.plan, sets=0, seconds=60), self.folder)
        key = self.plan.keys.read_text(encoding="utf-8").splitlines()[1].split()[1]
        with Client(self.server.port) as client:
            client.call("SET", key, "another=1:1;")
        seen = running.finish(at_once=False)
        self.assertTrue(seen.mixed)
        self.assertIn(key, seen.complaint)

    def test_a_write_that_is_undone_is_a_lost_write(self) -> None:
        running = open_load.start(self.children, self.binary, replace(self.plan, seconds=60), self.folder)
        time.sleep(0.5)
        with Client(self.server.port) as client:
            client.call("FLUSHALL")
        time.sleep(0.5)
        seen = running.finish(at_once=True)
        self.assertGreater(seen.together.lost_writes_seen, 0)
        self.assertFalse(seen.mixed)

    def test_it_asks_memcached_for_many_keys_at_once_and_checks_each(self) -> None:
        memcached, _ = start_server(self.children, self.folder, "memcached", database=MEMCACHED)
        keys = [line.split()[1] for line in self.plan.keys.read_text(encoding="utf-8").splitlines()[1:]]
        fill([memcached], {key: load_value(key, 64) for key in keys[:-1]})
        plan = replace(self.plan, port=memcached.port, sets=0, memcached=True, keys_per_get=10)
        seen = open_load.run(self.children, self.binary, plan, self.folder / "load")
        self.assertEqual((seen.together.good, seen.together.errors, seen.mixed), (500, {}, False))
        fill([memcached], {keys[5]: load_value(keys[6], 64)})
        seen = open_load.run(self.children, self.binary, plan, self.folder / "load")
        self.assertTrue(seen.mixed)
        self.assertIn(keys[5], seen.complaint)

    def test_a_cache_may_forget_what_it_was_given(self) -> None:
        for may_forget, lost in ((True, False), (False, True)):
            memcached, _ = start_server(self.children, self.folder, "memcached", database=MEMCACHED)
            plan = replace(self.plan, port=memcached.port, seconds=60, memcached=True, may_forget=may_forget)
            running = open_load.start(self.children, self.binary, plan, self.folder)
            time.sleep(0.5)
            with memcached.connect() as client:
                client.delete_many([line.split()[1] for line in plan.keys.read_text().splitlines()[1:]])
            time.sleep(0.5)
            seen = running.finish(at_once=True)
            self.assertEqual((seen.mixed, seen.together.lost_writes_seen > 0), (False, lost))

    def test_nobody_who_listens_is_a_failure_in_words(self) -> None:
        with self.assertRaisesRegex(Failed, "refused"):
            open_load.run(self.children, self.binary, replace(self.plan, port=1), self.folder / "load")


if __name__ == "__main__":
    unittest.main()
