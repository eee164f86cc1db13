"""The faults that redis-server has by itself, and those of every server."""

from collections.abc import Mapping

from bench.lib.resp import Client
from bench.lib.resp import Reply
from lab.faults_lib import network_faults
from lab.faults_lib.stage import AGAIN_S
from lab.faults_lib.stage import Fault
from lab.faults_lib.stage import Stage

# What was acknowledged is in the file (of the kernel, if not of the disk) before the acknowledgement leaves, so a
# killed server has lost nothing, and what is missing afterwards was lost by the proxy.
_KEEPS = ("--appendonly", "yes", "--appendfsync", "no")


def _told(stage: Stage, *words: str) -> Reply:
    assert isinstance(stage.control, Client)
    return stage.control.call(*words)


def _no_more_clients(stage: Stage) -> None:
    _told(stage, "CONFIG", "SET", "maxclients", "1")
    _drop_clients(stage)


def _drop_clients(stage: Stage) -> None:
    _told(stage, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")


def _memory_back(stage: Stage) -> None:
    _told(stage, "CONFIG", "SET", "maxmemory", "0")
    stage.wait_until_it_writes()


def _disk_back(stage: Stage) -> None:
    stage.empty_disk()
    stage.wait_until_it_writes()


FAULTS: Mapping[str, Fault] = {
    "kill": Fault("kill -9, then started again", Stage.kill, Stage.restart, arguments=_KEEPS),
    **network_faults.FAULTS,
    "close": Fault(
        f"all its connections closed (CLIENT KILL) every {AGAIN_S * 1000:g} ms",
        lambda stage: stage.repeat(lambda: _drop_clients(stage)),
        Stage.stop_repeating,
    ),
    "maxclients": Fault(
        "takes no client (`maxclients`)",
        _no_more_clients,
        lambda stage: _told(stage, "CONFIG", "SET", "maxclients", "15000"),
    ),
    "disk": Fault(
        "its disk is full (-MISCONF)",
        Stage.fill_disk,
        _disk_back,
        arguments=_KEEPS,
        small_disk=True,
        verb="SET",
    ),
    "memory": Fault(
        "its memory is full (-OOM)",
        lambda stage: _told(stage, "CONFIG", "SET", "maxmemory", "1"),
        _memory_back,
        verb="SET",
    ),
}
