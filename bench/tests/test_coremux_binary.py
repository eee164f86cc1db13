"""The Coremux that is measured is the one that was meant."""

import os
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from bench.lib.coremux_binary import coremux_binary
from bench.lib.coremux_binary import is_older_than_sources
from bench.lib.coremux_binary import load_binary
from bench.lib.errors import CannotRun
from bench.tests.support import write_script

BUILDING_CARGO = """#!/bin/sh
echo "$@" >> cargo.calls
mkdir -p target/release && touch target/release/coremux
"""


class Binary(unittest.TestCase):
    def setUp(self) -> None:
        self.repository = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.binary = self.repository / "target/release/coremux"

    def with_cargo(self, script: str) -> None:
        programs = self.repository / "programs"
        programs.mkdir()
        write_script(programs / "cargo", script)
        patch = mock.patch.dict(os.environ, PATH=f"{programs}:{os.environ['PATH']}")
        patch.start()
        self.addCleanup(patch.stop)

    def test_a_missing_release_build_is_made_and_a_present_one_is_left_alone(self) -> None:
        self.with_cargo(BUILDING_CARGO)
        self.assertEqual(coremux_binary(None, self.repository), self.binary)
        self.assertEqual(coremux_binary(None, self.repository), self.binary)
        calls = (self.repository / "cargo.calls").read_text(encoding="utf-8").splitlines()
        self.assertEqual(len(calls), 1)
        self.assertIn("build --release", calls[0])

    def test_the_load_generator_is_an_example(self) -> None:
        self.with_cargo("#!/bin/sh\nmkdir -p target/release/examples && touch target/release/examples/load\n")
        self.assertEqual(load_binary(None, self.repository), self.repository / "target/release/examples/load")

    def test_a_build_that_fails_is_an_error(self) -> None:
        self.with_cargo("#!/bin/sh\nexit 101\n")
        with self.assertRaisesRegex(CannotRun, "does not build"):
            coremux_binary(None, self.repository)

    def test_a_path_that_is_given_must_be_a_program(self) -> None:
        program = write_script(self.repository / "mine", "#!/bin/sh\n")
        self.assertEqual(coremux_binary(program, self.repository), program.resolve())
        for wrong in (self.repository / "none", self.repository):
            with self.assertRaises(CannotRun):
                coremux_binary(wrong, self.repository)

    def test_sources_newer_than_the_build_are_noticed(self) -> None:
        source = self.repository / "src/base/mod.rs"
        source.parent.mkdir(parents=True)
        source.touch()
        self.binary.parent.mkdir(parents=True)
        self.binary.touch()
        os.utime(source, (1000, 1000))
        self.assertFalse(is_older_than_sources(self.binary, self.repository))
        os.utime(self.binary, (999, 999))
        self.assertTrue(is_older_than_sources(self.binary, self.repository))


if __name__ == "__main__":
    unittest.main()
