"""What the runs of programs' own clients share: installing them, servers with a proxy before them, and each program's run."""

import contextlib
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent

# What a program of a client may take; installing waits for a registry.
RUN_S = 60
INSTALL_S = 240

# Exit code: a client cannot be had.
NOT_TO_BE_HAD = 3


class Clients:
    """Clients from PyPI and npm, by their versions, in a folder below target/."""

    def __init__(self, folder, from_pypi, from_npm):
        self.kept = ROOT / "target" / folder
        self.from_pypi, self.from_npm = from_pypi, from_npm
        self.python = self.kept / "venv" / "bin" / "python"

    def install(self):
        """The first time, and when a version is another."""
        mark, wanted = self.kept / "installed", "\n".join(self.from_pypi + self.from_npm)
        if mark.exists() and mark.read_text() == wanted:
            return
        self.kept.mkdir(parents=True, exist_ok=True)
        pip = [str(self.python), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
        npm = ["npm", "install", "--prefix", str(self.kept), "--no-audit", "--no-fund", "--silent"]
        steps = [
            # Debian's: another Python on the path may have no venv.
            ["/usr/bin/python3", "-m", "venv", "--clear", str(self.kept / "venv")],
            [*pip, *self.from_pypi],
            [*npm, *self.from_npm],
        ]
        for step in steps:
            try:
                subprocess.run(step, check=True, timeout=INSTALL_S)
            except (OSError, subprocess.SubprocessError) as error:
                print(f"the clients cannot be had: {error}", file=sys.stderr)
                sys.exit(NOT_TO_BE_HAD)
        mark.write_text(wanted)

    def programs(self, prefix):
        """What is run: each file beside this one whose name begins so."""
        for path in sorted(HERE.glob(f"{prefix}_*")):
            runner = {".py": str(self.python), ".js": "node"}.get(path.suffix)
            if runner:
                yield path.name, [runner, str(path)]

    def run(self, prefix, port, environment, before_each=lambda: None):
        """Runs each program with that port; the names of those that failed."""
        environment = os.environ | {"NODE_PATH": str(self.kept / "node_modules")} | environment
        failed = []
        for name, command in self.programs(prefix):
            before_each()
            try:
                done = subprocess.run(
                    [*command, str(port)], env=environment, capture_output=True, text=True, timeout=RUN_S
                )
                output, bad = done.stdout + done.stderr, done.returncode != 0
            except subprocess.TimeoutExpired as error:
                output, bad = f"it hangs: {error}", True
            print(f"{name}: {'FAILED' if bad else 'ok'}")
            if bad:
                failed.append(name)
                print(output)
        return failed


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as found:
        return found.getsockname()[1]


def wait_for(port):
    deadline = time.monotonic() + 20
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            if time.monotonic() > deadline:
                sys.exit(f"nobody listens on port {port}")
            time.sleep(0.02)


class Stand:
    """Servers, and a proxy with two workers before them; all of it ends with the stand."""

    def __init__(self, folder, started):
        self.folder, self.started = folder, started
        self.servers, self.port = [], None

    def serve(self, command):
        """Starts a server, whose port is the last argument."""
        port = free_port()
        self.started.append(subprocess.Popen([*command, str(port)], stdout=subprocess.DEVNULL))
        wait_for(port)
        self.servers.append(port)
        self.port = self.servers[0]

    def proxy(self, coremux, protocol):
        """Starts the proxy, with that line in the pool."""
        self.port, config = free_port(), pathlib.Path(self.folder, "a.yml")
        entries = "".join(f"    - 127.0.0.1:{server}:1 s{server}\n" for server in self.servers)
        config.write_text(f"alpha:\n  listen: 127.0.0.1:{self.port}\n  {protocol}\n  servers:\n{entries}")
        stats = ["-a", "127.0.0.1", "-s", str(free_port())]
        command = [coremux, "-c", str(config), "-o", f"{self.folder}/log", "--cores", "2", *stats]
        self.started.append(subprocess.Popen(command))
        wait_for(self.port)

    def log(self):
        return pathlib.Path(self.folder, "log").read_text()


@contextlib.contextmanager
def stand():
    started = []
    with tempfile.TemporaryDirectory() as folder:
        try:
            yield Stand(folder, started)
        finally:
            for process in started:
                process.kill()
                process.wait()
