"""The lab's hosts are apart from the machine and from each other as they should be, and nothing of them is left."""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

from bench.tests.support import REPOSITORY
from bench.tests.support import is_running
from bench.tests.support import started
from bench.tests.support import wait_until
from lab.failover_lib.host import CannotStart
from lab.failover_lib.host import Host
from lab.failover_lib.network import Network
from lab.failover_lib.network import PREFIX
from lab.failover_lib.network import check_allowed
from lab.failover_lib.network import clean

VIP = "10.0.0.9"
REDIS = ["redis-server", "--port", "6379", "--save", "", "--bind", "0.0.0.0", "--protected-mode", "no"]

# A lab in small: one host, its process 1's pid told, then waiting to be ended.
_LAB = """
import sys, time
from pathlib import Path
from lab.failover_lib.host import Host
from lab.failover_lib.network import Network
with Network(1) as network:
    host = Host("a", "10.0.0.1", network.add("a", "10.0.0.1"), Path(sys.argv[1]))
    running = host.start("sleep", ["sleep", "1000"])
    print(running.pid, flush=True)
    time.sleep(1000)
"""


def setUpModule() -> None:
    """Says that root is needed, if it is, once."""
    check_allowed()


def namespaces(pid: int) -> list[str]:
    """Those of the lab that is, or was, this process."""
    return [name for name in os.listdir("/run/netns") if name.startswith(f"{PREFIX}-{pid}-")]


class Hosts(unittest.TestCase):
    def setUp(self) -> None:
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.network = self.enterContext(Network(1))
        self.hosts = {name: self.host(name, number) for number, name in enumerate("abc", 1)}

    def host(self, name: str, number: int) -> Host:
        address = f"10.0.0.{number}"
        host = Host(name, address, self.network.add(name, address), self.folder / name)
        self.addCleanup(host.off)
        return host

    def reaches(self, of: str, to: str) -> bool:
        try:
            with self.hosts[of].client(self.hosts[to].address, 6379, timeout_s=0.3) as client:
                return client.call("PING") == b"PONG"
        except OSError:
            return False

    def start_redis(self, *names: str) -> None:
        for name in names:
            self.hosts[name].start("redis", REDIS)
            wait_until(lambda name=name: self.reaches(name, name), f"{name} reaches itself")

    def test_a_cable_that_is_pulled_cuts_a_host_off_until_it_is_plugged_in_again(self) -> None:
        self.start_redis("b")
        wait_until(lambda: self.reaches("a", "b"), "a reaches b")
        self.network.pull("b")
        self.assertFalse(self.reaches("a", "b"))
        self.network.plug("b")
        wait_until(lambda: self.reaches("a", "b"), "a reaches b again")

    def test_a_split_parts_the_hosts_and_keeps_those_of_a_side_together(self) -> None:
        self.start_redis("b", "c")
        wait_until(lambda: self.reaches("a", "b") and self.reaches("a", "c"), "a reaches b and c")
        self.network.split(["a", "b"])
        wait_until(lambda: self.reaches("a", "b"), "a reaches b, with which it was parted from c")
        self.assertFalse(self.reaches("a", "c"))
        self.network.heal(["a", "b"])
        wait_until(lambda: self.reaches("a", "c"), "a reaches c again")

    def test_vip_setup_leads_the_virtual_ip_to_the_port_and_nothing_else(self) -> None:
        host = self.hosts["b"]
        host.start("redis", [*REDIS, "--port", "7000"])
        host.start("other", [*REDIS, "--port", "7001"])
        host.must_run(["ip", "address", "add", f"{VIP}/24", "dev", "eth0"])
        script = str(REPOSITORY / "scripts/vip-setup.sh")

        def port_behind(name: str) -> int:
            with self.hosts[name].client(VIP, 6379, timeout_s=1) as client:
                info = client.call("INFO", "server")
            assert isinstance(info, bytes)
            return int(info.partition(b"tcp_port:")[2].split()[0])

        def is_refused(name: str) -> bool:
            with self.assertRaises(ConnectionRefusedError):
                port_behind(name)
            return True

        for port in (7000, 7001):
            wait_until(lambda port=port: self.answers(host, port), f"redis answers at {port}")
        for tool in ("nft", "iptables"):
            with self.subTest(tool):
                before = host.must_run(["nft", "list", "ruleset"])
                for to_port in (7000, 7000, 7001):
                    host.must_run([script, "--with", tool, VIP, "6379", str(to_port)])
                    # From another host, and on the host that has the address.
                    self.assertEqual([port_behind("a"), port_behind("b")], [to_port, to_port])
                self.assertFalse(self.reaches("a", "b"), "the host's own address is not the virtual one")
                rules = host.must_run(["nft", "list", "ruleset"])
                self.assertEqual(rules.count("redirect to :7001"), 2, rules)
                self.assertNotIn(":7000", rules)
                for _ in range(2):
                    host.must_run([script, "--with", tool, "--remove", VIP, "6379"])
                self.assertTrue(is_refused("a") and is_refused("b"))
                if tool == "nft":
                    self.assertEqual(host.must_run(["nft", "list", "ruleset"]), before)
        wrong = ([VIP], [VIP, "0", "1"], [VIP, "6379", "70000"], ["x;y", "1", "1"], ["--with", "pf", VIP, "1", "1"])
        for words in wrong:
            self.assertEqual(host.run([script, *words]).returncode, 2, words)

    @staticmethod
    def answers(host: Host, port: int) -> bool:
        try:
            return host.ask(port, "PING") == b"PONG"
        except OSError:
            return False

    def test_a_host_sees_its_own_processes_and_files_only(self) -> None:
        host = self.hosts["a"]
        host.write("/etc/lab-test", "text")
        self.assertEqual(host.must_run(["cat", "/etc/lab-test"]), "text")
        self.assertFalse(Path("/etc/lab-test").exists())
        outside = str(os.getpid())
        self.assertNotEqual(host.run(["kill", "-0", outside]).returncode, 0)
        self.assertNotIn("python", host.must_run(["ps", "-eo", "comm"]))

    def test_a_program_that_has_ended_is_known_to_have(self) -> None:
        # Ended before or after it was first looked at.
        with contextlib.suppress(CannotStart):
            wait_until(self.hosts["a"].start("brief", ["false"]).ended, "it has ended")
        running = self.hosts["a"].start("sleep", ["sleep", "1000"])
        self.assertFalse(running.ended())
        running.end(signal.SIGKILL)
        self.assertTrue(running.ended())

    def test_power_off_ends_every_process_of_a_host_and_daemons_too(self) -> None:
        running = self.hosts["a"].start("sleep", ["sleep", "1000"])
        self.hosts["a"].must_run(["sh", "-c", "setsid sleep 1001 & "])
        self.hosts["a"].off()
        self.assertTrue(running.ended())
        self.assertFalse(is_running(running.pid))
        argv = ["ip", "netns", "pids", self.hosts["a"].namespace]
        shown = subprocess.run(argv, capture_output=True, text=True, check=True)
        self.assertEqual(shown.stdout, "")


class Ending(unittest.TestCase):
    def test_a_lab_that_is_killed_takes_its_processes_along_and_clean_removes_the_rest(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            lab = self.enterContext(
                started([sys.executable, "-c", _LAB, folder], cwd=REPOSITORY / "tests", stdout=subprocess.PIPE)
            )
            assert lab.stdout is not None
            inner = int(lab.stdout.readline())
            self.assertTrue(is_running(inner))
            self.assertTrue(namespaces(lab.pid))
            self.assertFalse([name for name in clean() if name.startswith(f"{PREFIX}-{lab.pid}-")], "it still runs")
            lab.send_signal(signal.SIGKILL)
            lab.wait()
            wait_until(lambda: not is_running(inner), "the lab's processes have ended with it")
            clean()
            self.assertEqual(namespaces(lab.pid), [])

    def test_an_interrupted_lab_leaves_nothing(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "out"
            argv = [str(REPOSITORY / "tests/lab/failover"), "--variant", "tuned", "--scenario", "keepalived"]
            argv += ["--runs", "1", "--out", str(out)]
            lab = self.enterContext(started(argv, stderr=subprocess.PIPE))
            wait_until(lambda: len(namespaces(lab.pid)) > 5, "the lab is being built")
            begun = time.monotonic()
            lab.send_signal(signal.SIGINT)
            _, words = lab.communicate(timeout=30)
            self.assertEqual(lab.returncode, 130, words)
            self.assertLess(time.monotonic() - begun, 15)
            self.assertEqual(namespaces(lab.pid), [])


if __name__ == "__main__":
    unittest.main()
