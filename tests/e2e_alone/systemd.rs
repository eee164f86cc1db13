//! Under systemd the proxy says when it serves, which process does after an upgrade, that it lives
//! and that it ends; and it listens on sockets that systemd has opened.

use std::fs;
use std::io::ErrorKind;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;

use crate::alone;
use crate::support::Client;
use crate::support::PATIENCE;
use crate::support::Port;
use crate::support::Process;
use crate::support::Reply;
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_coremux");

/// Killed when this is dropped.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What systemd hears of a service.
struct Manager {
    directory: TempDir,
    socket: UnixDatagram,
}

impl Manager {
    fn new() -> Manager {
        let directory = TempDir::new().unwrap();
        let socket = UnixDatagram::bind(directory.path().join("notify")).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Manager { directory, socket }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The program, with a pool at `address`.
    fn command(&self, program: &str, address: &str, stats: &Port) -> Command {
        let yml = format!(
            "alpha:\n  listen: {address}\n  redis: true\n  servers:\n   - 127.0.0.1:1:1 one\n"
        );
        fs::write(self.path("proxy.yml"), yml).unwrap();
        let mut command = Command::new(program);
        command.env("NOTIFY_SOCKET", self.path("notify"));
        command.current_dir(self.directory.path());
        command.args([
            "-c",
            "proxy.yml",
            "-p",
            "pid",
            "--ctl",
            "ctl",
            "-a",
            "127.0.0.1",
        ]);
        command.args(["-s", &stats.number().to_string(), "--cores", "1"]);
        command
    }

    /// Reads on until a message has a line that begins so: the rest of that line.
    fn hear(&self, what: &str) -> String {
        let mut bytes = [0; 1024];
        loop {
            let length = match self.socket.recv(&mut bytes) {
                Ok(length) => length,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => panic!("no {what}: {error}"),
            };
            let message = String::from_utf8_lossy(&bytes[..length]).into_owned();
            if let Some(rest) = message.lines().find_map(|line| line.strip_prefix(what)) {
                return rest.to_owned();
            }
        }
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        // Whoever has taken over runs in our directory.
        let pid = fs::read_to_string(self.path("pid")).unwrap_or_default();
        let ours = fs::read_link(format!("/proc/{pid}/cwd"));
        if ours.is_ok_and(|cwd| cwd == self.directory.path()) {
            let _ = Command::new("kill").args(["-KILL", &pid]).status();
        }
    }
}

#[test]
fn systemd_hears_of_the_start_of_its_life_of_an_upgrade_and_of_the_end() {
    let _alone = alone(module_path!());
    let (manager, port, stats) = (Manager::new(), Port::reserve(), Port::reserve());
    let mut command = manager.command(PROGRAM, &port.address().to_string(), &stats);
    command.env("WATCHDOG_USEC", "500000");
    let mut old = Process::start(&mut command, &manager.path("log"));
    assert_eq!(manager.hear("READY="), "1");
    assert_eq!(manager.hear("WATCHDOG="), "1");
    let mut client = Client::connect(port.address());
    let pong = Reply::Simple("PONG".to_owned());
    assert_eq!(client.call(["PING"]), pong);
    let told = Command::new(PROGRAM)
        .args(["--upgrade", "--ctl"])
        .arg(manager.path("ctl"))
        .output()
        .unwrap();
    assert!(told.status.success(), "{told:?}");
    // The new one's word does not count before this.
    let new = manager.hear("MAINPID=");
    assert_eq!(new, fs::read_to_string(manager.path("pid")).unwrap());
    assert!(old.wait().success());
    // It was the old one's variable, and is the new one's life.
    assert_eq!(manager.hear("WATCHDOG="), "1");
    assert_eq!(client.call(["PING"]), pong);
    let status = Command::new("kill").arg(&new).status().unwrap();
    assert!(status.success());
    assert_eq!(manager.hear("STOPPING="), "1");
}

#[test]
fn sockets_that_systemd_has_opened_are_listened_on() {
    let _alone = alone(module_path!());
    let (manager, stats) = (Manager::new(), Port::reserve());
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    // As systemd passes it: number 3, and the number of the process that it is for.
    let wrapper = manager.path("wrapper");
    let script = format!(
        "#!/bin/bash\nexec 3<&0 0</dev/null\nLISTEN_FDS=1 LISTEN_PID=$$ exec '{PROGRAM}' \"$@\"\n"
    );
    fs::write(&wrapper, script).unwrap();
    let direct = manager.command(PROGRAM, &address.to_string(), &stats);
    let mut command = Command::new("/bin/bash");
    command.current_dir(manager.directory.path());
    command.env("NOTIFY_SOCKET", manager.path("notify"));
    command.arg(&wrapper).args(direct.get_args());
    command.stdin(OwnedFd::from(socket));
    command.stderr(fs::File::create(manager.path("log")).unwrap());
    // Connected before there is a proxy, and answered when there is one.
    let mut early = Client::connect(address);
    early.send(["PING"]);
    let _process = Killed(command.spawn().unwrap());
    assert_eq!(manager.hear("READY="), "1");
    let pong = Reply::Simple("PONG".to_owned());
    assert_eq!(early.read(), pong);
    assert_eq!(Client::connect(address).call(["PING"]), pong);
}
