"""Others' share of the machine is what is busy and not ours."""

import os
import unittest

from bench.lib.machine import MachineReading
from bench.lib.machine import busy_ticks
from bench.lib.machine import share_of_others


class Busy(unittest.TestCase):
    def test_idle_waiting_and_guests_are_not_counted(self) -> None:
        #            user nice system idle iowait irq softirq steal guest guest_nice
        self.assertEqual(busy_ticks("cpu  100 20 3 4000 500 6 7 80 90 9"), 100 + 20 + 3 + 6 + 7 + 80)

    def test_a_real_reading_grows_and_stays_below_the_machine(self) -> None:
        before, after = MachineReading.now(), MachineReading.now()
        self.assertGreaterEqual(after.busy_ns, before.busy_ns)
        self.assertGreater(before.busy_ns, 0)


class Share(unittest.TestCase):
    def test_it_is_of_the_whole_machine(self) -> None:
        cores = os.cpu_count() or 1
        before, after = MachineReading(0, 0), MachineReading(1_000_000_000, cores * 750_000_000)
        self.assertAlmostEqual(share_of_others(before, after, own_ns=cores * 500_000_000), 0.25)

    def test_ticks_that_lag_behind_do_not_make_it_negative(self) -> None:
        self.assertEqual(share_of_others(MachineReading(0, 0), MachineReading(10**9, 0), own_ns=1000), 0.0)


if __name__ == "__main__":
    unittest.main()
