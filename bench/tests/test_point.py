"""The matrix has the points it promises, under names that can be asked for."""

import unittest
from dataclasses import replace

from bench.lib.errors import CannotRun
from bench.lib.point import IN_FLIGHT_BYTES_MAX
from bench.lib.point import Point
from bench.lib.point import all_points
from bench.lib.point import memcached_points
from bench.lib.point import select
from bench.lib.point import size_text


class Points(unittest.TestCase):
    def test_names_tell_points_apart(self) -> None:
        for points in (all_points(), memcached_points()):
            names = [point.name for point in points]
            self.assertEqual(len(names), len(set(names)))
        self.assertEqual(Point("mget", 100, 50, 1, keys=1000, servers=5).name, "mget1000-5srv-c50-P1")
        self.assertEqual(Point("mget", 100, 50, 1, 100, 5, memcached=True).name, "get100-5srv-c50-P1")

    def test_every_command_load_and_size_is_there(self) -> None:
        names = {point.name for point in all_points()}
        for command in ("get", "set"):
            for size in ("3B", "1KiB"):
                for clients in (1, 8, 20, 50, 200):
                    for pipeline in (1, 16):
                        self.assertIn(f"{command}-{size}-c{clients}-P{pipeline}", names)
            for size in ("100KiB", "1MiB"):
                for clients in (1, 8, 20, 50, 200):
                    self.assertIn(f"{command}-{size}-c{clients}-P1", names)
        for keys in (10, 100, 1000):
            for servers in (2, 5):
                self.assertIn(f"mget{keys}-{servers}srv-c50-P1", names)
        for name in ("open-10%", "open-80%", "crowd-c10000", "churn-c50", "idle-c0", "get-3B-c50-P1-1000us"):
            self.assertIn(name, names)

    def test_a_request_and_its_reply_are_as_long_as_a_floor_is_told(self) -> None:
        asked, answered = "*2..$3..GET..$16..key:__rand_int__..", "$3..xxx.."
        self.assertEqual(Point("get", 3, 50, 1).lengths, (len(asked), len(answered)))
        self.assertEqual(Point("set", 1024, 50, 1).reply_bytes, len("+OK.."))
        self.assertEqual(Point("mget", 100, 50, 1, keys=2).reply_bytes, len("*2..") + 2 * len("$100....") + 200)

    def test_so_are_those_before_memcached(self) -> None:
        get, key = Point("get", 64, 50, 1, memcached=True), "load:00000000"
        self.assertEqual(get.lengths, (len(f"get {key}.."), len(f"VALUE {key} 0 64....END..") + 64))
        self.assertEqual(replace(get, command="set").lengths, (len(f"set {key} 0 0 64....") + 64, len("STORED..")))
        many = Point("mget", 100, 50, 1, keys=2, servers=5, memcached=True)
        self.assertEqual(many.request, b"get load:00000000 load:9e3779b1\r\n")

    def test_no_point_has_more_in_flight_than_a_machine_can_hold(self) -> None:
        for point in [*all_points(), *memcached_points()]:
            self.assertLessEqual(point.value_bytes * point.keys * point.step, IN_FLIGHT_BYTES_MAX, point.name)

    def test_patterns_choose_and_several_add_up(self) -> None:
        names = [point.name for point in select(all_points(), ["get-3B-c50-P1", "mget10-*"])]
        self.assertEqual(names, ["get-3B-c50-P1", "mget10-2srv-c50-P1", "mget10-5srv-c50-P1"])

    def test_a_pattern_that_matches_nothing_is_an_error(self) -> None:
        with self.assertRaisesRegex(CannotRun, "get-4B"):
            select(all_points(), ["get-3B-*", "get-4B-*"])

    def test_sizes_are_written_in_the_largest_unit_that_fits(self) -> None:
        sizes = {3: "3B", 1024: "1KiB", 1500: "1500B", 102400: "100KiB", 1 << 20: "1MiB", 1 << 30: "1GiB"}
        for size_bytes, text in sizes.items():
            self.assertEqual(size_text(size_bytes), text)


if __name__ == "__main__":
    unittest.main()
