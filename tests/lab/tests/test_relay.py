"""The relay is a good server, a late one, one that answers garbage, and one that answers half."""

import socket
import time
import unittest

from bench.lib.errors import Failed
from bench.lib.resp import Client
from bench.lib.resp import encode
from bench.tests.support import WithServers
from lab.faults_lib.relay import Mode
from lab.faults_lib.relay import Relay

DELAY_S = 0.2


class Modes(WithServers):
    def setUp(self) -> None:
        super().setUp()
        self.relay = self.enterContext(Relay(self.server.port, DELAY_S))
        self.client = self.enterContext(Client(self.relay.port))
        self.client.call("SET", "key", "value")

    def test_it_passes_everything_on(self) -> None:
        large = b"x" * (1 << 20)
        self.client.call("SET", "large", large)
        self.assertEqual(self.client.call("GET", "large"), large)

    def test_late_replies_are_late_and_in_order(self) -> None:
        self.relay.set_mode(Mode.DELAY)
        began = time.monotonic()
        self.assertEqual(self.client.call("GET", "key"), b"value")
        self.assertGreaterEqual(time.monotonic() - began, DELAY_S)
        self.relay.set_mode(Mode.PASS)
        self.assertEqual(self.client.call("ECHO", "a"), b"a")

    def test_garbage_is_no_reply_and_the_server_is_not_asked(self) -> None:
        self.relay.set_mode(Mode.GARBAGE)
        with self.assertRaisesRegex(Failed, "not a RESP2 reply"):
            self.client.call("SET", "key", "never")
        with Client(self.server.port) as direct:
            self.assertEqual(direct.call("GET", "key"), b"value")

    def test_half_a_reply_is_followed_by_silence_until_the_end_of_the_fault(self) -> None:
        self.relay.set_mode(Mode.HALF)
        with socket.create_connection(("127.0.0.1", self.relay.port), 10) as client:
            client.sendall(encode(("GET", "key")))
            self.assertEqual(client.recv(100), b"$5\r\nv")
            client.settimeout(0.2)
            with self.assertRaises(TimeoutError):
                client.recv(100)
            client.settimeout(10)
            self.relay.set_mode(Mode.PASS)
            self.assertEqual(client.recv(100), b"")
        self.assertEqual(self.client.call("GET", "key"), b"value")

    def test_it_closes_what_is_open_and_goes_on_with_what_comes(self) -> None:
        self.relay.close_connections()
        with self.assertRaises(ConnectionResetError):
            self.client.call("GET", "key")
        with Client(self.relay.port) as client:
            self.assertEqual(client.call("GET", "key"), b"value")

    def test_it_closes_when_the_server_does(self) -> None:
        with Client(self.server.port) as direct:
            direct.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        with self.assertRaises(ConnectionResetError):
            self.client.call("GET", "key")


if __name__ == "__main__":
    unittest.main()
