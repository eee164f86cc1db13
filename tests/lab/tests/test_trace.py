"""What is said of a fault is in the trace and the ledger; a lost write is told from one whose outcome is open."""

import unittest

from lab.faults_lib import trace
from lab.faults_lib.trace import Entry

# The server was away from 1,000 to 2,000 µs.
BACK_US = 2_000
TRACE = """\
100,200,s0,0,SET,ok
150,350,s1,1,GET,ok
1000,1400,s0,0,SET,ERR Connection timed out, alas
1100,1900,s1,1,GET,ok
1500,2100,s0,0,GET,ERR Connection timed out
1600,2500,s0,2,GET,ok
1700,2900,s0,0,SET,ok
1800,2950,s0,2,GET,lost write
1900,9999,s0,2,GE"""
REQUESTS = trace.parse_trace(TRACE)


class Requests(unittest.TestCase):
    def test_every_whole_line_is_a_request(self) -> None:
        self.assertEqual(len(REQUESTS), 8)
        self.assertEqual(REQUESTS[2].result, "ERR Connection timed out, alas")

    def test_failures_are_counted_by_server_and_text(self) -> None:
        failed = trace.failures(REQUESTS, lambda server: server == "s0")
        self.assertEqual(failed, {"ERR Connection timed out, alas": 1, "ERR Connection timed out": 1})
        self.assertEqual(trace.failures(REQUESTS, lambda server: server != "s0"), {})

    def test_recovery_is_the_first_good_reply_after_the_server_was_back(self) -> None:
        self.assertEqual(trace.recovery_ms(REQUESTS, "s0", BACK_US, None), 0.5)
        self.assertEqual(trace.recovery_ms(REQUESTS, "s0", BACK_US, "SET"), 0.9)
        self.assertIsNone(trace.recovery_ms(REQUESTS, "s0", 5_000, None))

    def test_failures_that_go_on_after_it_was_back_are_timed(self) -> None:
        self.assertEqual(trace.last_failure_ms(REQUESTS, "s0", BACK_US), 0.1)
        self.assertEqual(trace.last_failure_ms(REQUESTS, "s0", 3_000), 0)

    def test_the_longest_is_of_the_others_and_from_when_it_was_due(self) -> None:
        self.assertEqual(trace.longest_ms(REQUESTS, "s0", 1_000), 0.8)
        self.assertEqual(trace.longest_ms(REQUESTS, "s0", 1_200), 0)


class Ledger(unittest.TestCase):
    ENTRY = Entry("s0", "k", 7, acked=5, given=8)

    def test_a_line_is_a_key(self) -> None:
        self.assertEqual(trace.parse_ledger("s0 k 7 5 8\n"), [self.ENTRY])

    def test_the_value_acknowledged_last_or_one_sent_later_is_there(self) -> None:
        for number in (5, 6, 8):
            self.assertFalse(trace.is_lost(self.ENTRY, b"k=7:%d;xxx" % number), number)

    def test_an_older_value_none_or_another_runs_is_a_lost_write(self) -> None:
        for value in (b"k=7:4;xxx", b"k=6:9;xxx", b"other", None):
            self.assertTrue(trace.is_lost(self.ENTRY, value), value)

    def test_a_cache_may_forget_but_not_hold_an_older_value(self) -> None:
        self.assertFalse(trace.is_lost(self.ENTRY, None, may_forget=True))
        self.assertTrue(trace.is_lost(self.ENTRY, b"k=7:4;xxx", may_forget=True))

    def test_a_value_that_was_never_sent_is_no_write_that_was_kept(self) -> None:
        self.assertTrue(trace.is_lost(self.ENTRY, b"k=7:9;xxx"))

    def test_where_nothing_was_acknowledged_nothing_can_be_lost(self) -> None:
        for value in (b"k=7:2;", b"k=1:2;", None):
            self.assertFalse(trace.is_lost(Entry("s0", "k", 7, 0, 2), value))


if __name__ == "__main__":
    unittest.main()
