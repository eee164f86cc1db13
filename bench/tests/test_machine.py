"""Others' share of the machine is what is busy and not ours."""

import os
import unittest

from bench.lib.errors import CannotRun
from bench.lib.machine import MachineReading
from bench.lib.machine import Pins
from bench.lib.machine import available_bytes
from bench.lib.machine import busy_ticks
from bench.lib.machine import pins
from bench.lib.machine import share_of_others
from bench.lib.machine import tcp_bytes
from bench.lib.machine import tcp_pages


class Busy(unittest.TestCase):
    def test_idle_waiting_and_guests_are_not_counted(self) -> None:
        #            user nice system idle iowait irq softirq steal guest guest_nice
        self.assertEqual(busy_ticks("cpu  100 20 3 4000 500 6 7 80 90 9"), 100 + 20 + 3 + 6 + 7 + 80)

    def test_a_real_reading_grows_and_stays_below_the_machine(self) -> None:
        before, after = MachineReading.now(), MachineReading.now()
        self.assertGreaterEqual(after.busy_ns, before.busy_ns)
        self.assertGreater(before.busy_ns, 0)


class KernelMemory(unittest.TestCase):
    def test_tcp_pages_are_read_from_their_line(self) -> None:
        sockstat = "sockets: used 15\nTCP: inuse 2 orphan 0 tw 7 alloc 3 mem 188\nUDP: inuse 0 mem 5\n"
        self.assertEqual(tcp_pages(sockstat), 188)
        with self.assertRaises(OSError):
            tcp_pages("UDP: inuse 0 mem 5\n")

    def test_real_readings_are_there(self) -> None:
        self.assertGreaterEqual(tcp_bytes(), 0)
        self.assertGreater(available_bytes(), 0)


class Share(unittest.TestCase):
    def test_it_is_of_the_whole_machine(self) -> None:
        cores = os.cpu_count() or 1
        before, after = MachineReading(0, 0), MachineReading(1_000_000_000, cores * 750_000_000)
        self.assertAlmostEqual(share_of_others(before, after, own_ns=cores * 500_000_000), 0.25)

    def test_ticks_that_lag_behind_do_not_make_it_negative(self) -> None:
        self.assertEqual(share_of_others(MachineReading(0, 0), MachineReading(10**9, 0), own_ns=1000), 0.0)


class Pinning(unittest.TestCase):
    def test_of_two_cores_the_client_has_one_and_of_three_everybody(self) -> None:
        self.assertEqual(pins([4, 5]), Pins(client=4, proxy=5, servers=5))
        self.assertEqual(pins([0, 1, 2, 3]), Pins(client=0, proxy=2, servers=1))
        with self.assertRaises(CannotRun):
            pins([0])


if __name__ == "__main__":
    unittest.main()
