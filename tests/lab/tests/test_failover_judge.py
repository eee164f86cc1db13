"""What the clients saw becomes figures: outages, errors, what is wrong, what is lost; and targets are kept or not."""

import unittest
from dataclasses import replace

from lab.failover_lib.client import BY_PEER
from lab.failover_lib.client import BY_TIMEOUT
from lab.failover_lib.client import ERROR
from lab.failover_lib.client import GET
from lab.failover_lib.client import GOOD
from lab.failover_lib.client import Operation
from lab.failover_lib.client import SET
from lab.failover_lib.client import WRONG
from lab.failover_lib.client import old_value
from lab.failover_lib.gate import Slack
from lab.failover_lib.gate import TARGETS
from lab.failover_lib.gate import judge_targets
from lab.failover_lib.judge import AtTheEnd
from lab.failover_lib.judge import Figures
from lab.failover_lib.judge import judge
from lab.failover_lib.report import summary_rows
from lab.failover_lib.scenario import SCENARIOS

COLD = {1: ["c1"], 2: ["c2"]}
END = AtTheEnd({"c1": "c1=old", "c2": "c2=old"}, {1: {}, 2: {}})


def operation(ended_s: float, **changes: object) -> Operation:
    """A good read of server 1 that took a millisecond."""
    made = Operation(ended_s - 0.001, ended_s, 0, 1, GET, "c1", "c1=old", GOOD, "", "")
    return replace(made, **changes)


def write(key: str, **changes: object) -> Operation:
    return operation(1.0, kind=SET, key=key, value=f"{key}=0.0", **changes)


def figures(operations: list[Operation], end: AtTheEnd = END, end_at_s: float = 10.0) -> Figures:
    return judge(operations, 2.0, end_at_s, COLD, end)


class Judge(unittest.TestCase):
    def test_an_outage_is_the_longest_time_without_a_good_reply_after_the_event(self) -> None:
        row = figures([operation(at) for at in (0.1, 1.9, 2.5, 6.0, 9.0, 9.9)]).servers[1]
        self.assertAlmostEqual(row.outage_s, 3.5)
        self.assertTrue(row.recovered)

    def test_an_outage_until_the_end_has_not_been_recovered_from(self) -> None:
        refused = [operation(at, outcome=ERROR, text="no") for at in (5.0, 9.9)]
        row = figures([operation(2.5), operation(3.0), *refused]).servers[1]
        self.assertAlmostEqual(row.outage_s, 7.0)
        self.assertFalse(row.recovered)
        self.assertEqual(row.errors, 2)

    def test_a_server_that_never_answers_has_an_outage_from_the_event_on(self) -> None:
        row = figures([]).servers[2]
        self.assertEqual((row.outage_s, row.recovered, row.good), (8.0, False, 0))

    def test_a_request_that_was_held_is_late_and_no_error(self) -> None:
        row = figures([operation(2.1), operation(5.0, started_s=2.1), operation(9.9)]).servers[1]
        self.assertAlmostEqual(row.worst_s, 2.9)
        self.assertEqual(row.errors, 0)

    def test_wrong_replies_are_told_apart(self) -> None:
        row = figures(
            [
                operation(3.0, outcome=WRONG, text=""),
                operation(4.0, key="k", value="k=1.2", outcome=WRONG, text="k=old"),
                operation(7.0, outcome=WRONG, text="another=old"),
            ]
        ).servers[1]
        self.assertEqual((row.gone, row.stale, row.foreign, row.wrong), (1, 1, 1, 3))
        self.assertAlmostEqual(row.wrong_s, 4.0)

    def test_what_was_wrong_before_the_event_is_not_counted(self) -> None:
        self.assertEqual(figures([operation(1.0, outcome=ERROR, text="no", dropped=BY_PEER)]).errors, 0)

    def test_dropped_connections_are_counted_whoever_ended_them(self) -> None:
        drops = [operation(3.0, outcome=ERROR, text="x", dropped=by) for by in (BY_PEER, BY_TIMEOUT, "")]
        found = figures(drops)
        self.assertEqual((found.dropped, found.dropped_by_timeout, found.texts), (2, 1, {"x": 3}))

    def test_an_acknowledged_write_is_found_misplaced_or_lost(self) -> None:
        held = {"found": "found=0.0", "there": "there=0.0"}
        end = AtTheEnd({"found": "found=0.0"}, {1: held, 2: {}})
        row = figures([write("found"), write("there"), write("away")], end).servers[1]
        self.assertEqual((row.acknowledged, row.not_found, row.misplaced, row.lost), (3, 2, 1, 1))

    def test_a_write_that_failed_need_not_be_there(self) -> None:
        row = figures([write("k", outcome=ERROR, text="no")]).servers[1]
        self.assertEqual((row.acknowledged, row.not_found), (0, 0))

    def test_a_newer_value_in_place_of_the_acknowledged_one_is_a_loss(self) -> None:
        end = AtTheEnd({"k": old_value("k")}, {1: {"k": old_value("k")}, 2: {}})
        self.assertEqual(figures([write("k")], end).servers[1].lost, 1)

    def test_old_keys_that_the_proxy_does_not_show_are_gone(self) -> None:
        self.assertEqual(figures([]).servers[1].cold_gone, 0)
        self.assertEqual(figures([], AtTheEnd({}, {1: {}, 2: {}})).servers[1].cold_gone, 1)

    def test_a_proxy_that_does_not_answer_at_the_end_is_said_and_loses_nothing(self) -> None:
        found = figures([write("k")], AtTheEnd(None, {1: {"k": "k=0.0"}, 2: {}}))
        self.assertFalse(found.readable)
        self.assertEqual((found.servers[1].not_found, found.servers[1].cold_gone), (0, 0))


class Gate(unittest.TestCase):
    def good_run(self) -> dict[str, Figures]:
        operations = [operation(2 + at / 100, server=server) for at in range(801) for server in (1, 2)]
        return {name: figures(operations) for name in ("clients", "others")}

    def test_every_scenario_has_targets(self) -> None:
        self.assertEqual({target.scenario for target in TARGETS}, set(SCENARIOS))

    def test_a_run_without_harm_reaches_all_targets(self) -> None:
        verdicts = judge_targets({name: [self.good_run()] for name in SCENARIOS})
        self.assertEqual(len(verdicts), len(TARGETS))
        self.assertEqual([each for each in verdicts if not each.reached], [])

    def test_slack_makes_room_for_a_busy_machine_and_never_for_what_is_wrong(self) -> None:
        runs = {name: [self.good_run()] for name in SCENARIOS}
        limits = [
            {(row.where, row.target): row.limit for row in judge_targets(runs, slack)}
            for slack in (Slack(), Slack(seconds=2.5, errors=12))
        ]
        added = {each: limits[1][each] - limits[0][each] for each in limits[0]}
        self.assertEqual(added["master-1", "time without a good reply, its keys"], 2.5)
        self.assertEqual(added["host-cut", "errors"], 12)
        self.assertEqual(added["master-1", "errors, the other server's keys"], 0)
        self.assertEqual(added["partition", "acknowledged writes lost, cut-off side"], 2.5 * 75)
        strict = [amount for (_, text), amount in added.items() if "wrong" in text or "not found" in text or "misplaced" in text or "of another" in text]
        self.assertEqual(set(strict), {0})

    def test_every_target_can_be_missed(self) -> None:
        bad = {}
        for name in ("clients", "others"):
            operations = [
                operation(9.5, started_s=2.0, server=server, outcome=outcome, text=text, dropped=BY_PEER)
                for server in (1, 2)
                for _ in range(61)
                for outcome, text in ((ERROR, "no"), (WRONG, "another=old"), (GOOD, ""))
            ]
            writes = [write(f"{kind}{number}", server=2) for kind in ("m", "l") for number in range(61)]
            end = AtTheEnd({}, {1: {f"m{number}": f"m{number}=0.0" for number in range(61)}, 2: {}})
            bad[name] = figures([*writes, *operations], end)
        verdicts = judge_targets({name: [bad] for name in SCENARIOS})
        self.assertEqual([f"{each.where}: {each.target}" for each in verdicts if each.reached], [])

    def test_a_scenario_whose_runs_all_failed_is_not_reached(self) -> None:
        verdicts = judge_targets({"reload": []})
        self.assertTrue(verdicts)
        self.assertFalse(any(each.reached for each in verdicts))


class Report(unittest.TestCase):
    def test_what_never_recovered_is_not_given_a_time(self) -> None:
        rows = summary_rows({("recipe", "proxy"): [{"clients": figures([])}]}, ["recipe"], ["proxy"])
        self.assertEqual(rows[1], [SCENARIOS["proxy"].title, "never (8 watched) / never (8 watched) s"])


if __name__ == "__main__":
    unittest.main()
