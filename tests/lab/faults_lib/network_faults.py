"""The faults that servers of every kind have: of their process, and of the way to them."""

import signal
from collections.abc import Mapping

from lab.faults_lib import namespace
from lab.faults_lib.relay import Mode
from lab.faults_lib.stage import AGAIN_S
from lab.faults_lib.stage import DELAY_S
from lab.faults_lib.stage import Fault
from lab.faults_lib.stage import Stage

LOSS_PERCENT = 10

# Beside `kill`, of which each kind has its own.
FAULTS: Mapping[str, Fault] = {
    "stop": Fault(
        "SIGSTOP, then SIGCONT",
        lambda stage: stage.signal(signal.SIGSTOP),
        lambda stage: stage.signal(signal.SIGCONT),
    ),
    "drop": Fault(
        "all its packets dropped (nftables)",
        lambda stage: namespace.drop_packets(stage.port, 100),
        lambda _: namespace.pass_packets(),
    ),
    "reset": Fault(
        f"all its connections reset (ss -K) every {AGAIN_S * 1000:g} ms",
        lambda stage: stage.repeat(lambda: namespace.reset_connections(stage.port)),
        Stage.stop_repeating,
    ),
    "delay": Fault(
        f"its replies {DELAY_S * 1000:g} ms late (relay)",
        lambda stage: stage.set_mode(Mode.DELAY),
        lambda stage: stage.set_mode(Mode.PASS),
        relay=True,
    ),
    "loss": Fault(
        f"{LOSS_PERCENT}% of its packets lost (nftables)",
        lambda stage: namespace.drop_packets(stage.port, LOSS_PERCENT),
        lambda _: namespace.pass_packets(),
    ),
    "garbage": Fault(
        "answers garbage (relay)",
        lambda stage: stage.set_mode(Mode.GARBAGE),
        lambda stage: stage.set_mode(Mode.PASS),
        relay=True,
    ),
    "half": Fault(
        "answers half a reply and stalls (relay)",
        lambda stage: stage.set_mode(Mode.HALF),
        lambda stage: stage.set_mode(Mode.PASS),
        relay=True,
    ),
}
