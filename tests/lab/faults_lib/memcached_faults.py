"""The faults that memcached has by itself, and those of every server. It has no disk."""

from collections.abc import Mapping

from bench.lib import keyspace
from bench.lib.errors import Failed
from lab.faults_lib import network_faults
from lab.faults_lib.stage import AGAIN_S
from lab.faults_lib.stage import Fault
from lab.faults_lib.stage import Stage

# More than the proxy and the lab have at once.
_PLACES = 32
# More than two MiB of the smallest items.
_FILLERS = 20_000
_BATCH = 500


def _no_more_clients(stage: Stage) -> None:
    def take_a_place() -> None:
        stage.close_connections()
        stage.occupy(_PLACES)

    # Until none is the proxy's, who is as fast.
    stage.repeat(take_a_place)


def _room_for_clients(stage: Stage) -> None:
    stage.stop_repeating()
    stage.leave()
    stage.wait_until_it_accepts()


# As long as the keys of the load: memory is full for items of their size.
def _filler(index: int) -> str:
    return f"fill:{keyspace.spread(index)}"


def _fill_memory(stage: Stage) -> None:
    for first in range(0, _FILLERS, _BATCH):
        try:
            stage.control.set_many([(_filler(index), b"x" * 64) for index in range(first, first + _BATCH)])
        except Failed:
            return
    raise Failed("memory is not full")


def _empty_memory(stage: Stage) -> None:
    for first in range(0, _FILLERS, _BATCH):
        stage.control.delete_many([_filler(index) for index in range(first, first + _BATCH)])
    stage.wait_until_it_writes()


FAULTS: Mapping[str, Fault] = {
    "kill": Fault("kill -9, then started again, empty", Stage.kill, Stage.restart, forgets=True),
    **network_faults.FAULTS,
    "close": Fault(
        f"all its connections closed (relay) every {AGAIN_S * 1000:g} ms",
        lambda stage: stage.repeat(stage.close_connections),
        Stage.stop_repeating,
        relay=True,
    ),
    "maxclients": Fault(
        "takes no client (`-c`: others have all places)",
        _no_more_clients,
        _room_for_clients,
        arguments=("-c", str(_PLACES)),
        relay=True,
    ),
    # A write for which there is no memory removes the value that was there.
    "memory": Fault(
        "its memory is full (`-M`)",
        _fill_memory,
        _empty_memory,
        arguments=("-M", "-m", "2", "-I", "1m"),
        verb="SET",
        forgets=True,
    ),
}
