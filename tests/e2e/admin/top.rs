//! `coremux ctl top` in a real terminal: it shows what happens, hears keys, takes another size, and
//! leaves the terminal as it was, whatever ends it.

use std::fs::File;
use std::fs::OpenOptions;
use std::io::Read;
use std::io::Write;
use std::num::NonZero;
use std::os::fd::AsFd;
use std::os::fd::OwnedFd;
use std::process::Child;
use std::process::Command;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

use rustix::pty::OpenptFlags;
use rustix::pty::grantpt;
use rustix::pty::openpt;
use rustix::pty::ptsname;
use rustix::pty::unlockpt;
use rustix::termios::Termios;
use rustix::termios::Winsize;
use rustix::termios::tcgetattr;
use rustix::termios::tcsetwinsize;

use crate::support::Admin;
use crate::support::Load;
use crate::support::Pool;
use crate::support::Redis;
use crate::support::Reply;
use crate::support::eventually;

const ROWS: NonZero<u16> = NonZero::new(30).unwrap();
const COLUMNS: NonZero<u16> = NonZero::new(150).unwrap();
const FEW_ROWS: NonZero<u16> = NonZero::new(12).unwrap();
const FEW_COLUMNS: NonZero<u16> = NonZero::new(60).unwrap();

/// A terminal, and the program that has it.
struct Terminal {
    master: File,
    slave: OwnedFd,
    screen: Arc<Mutex<vt100::Parser>>,
    // All that was written to it.
    written: Arc<Mutex<Vec<u8>>>,
    before: Termios,
    child: Child,
    // Nobody is to read it any more.
    gone: Arc<AtomicBool>,
}

fn size(rows: NonZero<u16>, columns: NonZero<u16>) -> Winsize {
    Winsize {
        ws_row: rows.get(),
        ws_col: columns.get(),
        ws_xpixel: 0,
        ws_ypixel: 0,
    }
}

impl Terminal {
    fn start(admin: &Admin, environment: &[(&str, &str)]) -> Terminal {
        let master =
            openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
        let slave: OwnedFd = OpenOptions::new()
            .read(true)
            .write(true)
            .open(name)
            .unwrap()
            .into();
        tcsetwinsize(&slave, size(ROWS, COLUMNS)).unwrap();
        let before = tcgetattr(&slave).unwrap();
        let stdio = || slave.try_clone().unwrap();
        let child = Command::new("setsid")
            .args(["--ctty", "--wait", env!("CARGO_BIN_EXE_coremux")])
            .args(["ctl", "--socket"])
            .arg(admin.socket_path())
            .arg("top")
            .env_remove("NO_COLOR")
            .envs([("TERM", "xterm-256color"), ("LC_ALL", "C.UTF-8")])
            .envs(environment.iter().copied())
            .stdin(stdio())
            .stdout(stdio())
            .stderr(stdio())
            .spawn()
            .unwrap();
        let screen = Arc::new(Mutex::new(vt100::Parser::new(ROWS, COLUMNS, 0)));
        let written = Arc::new(Mutex::new(Vec::new()));
        let mut reading = File::from(master.try_clone().unwrap());
        let (shown, all) = (Arc::clone(&screen), Arc::clone(&written));
        let gone = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&gone);
        std::thread::spawn(move || {
            let mut piece = [0; 4096];
            // It draws at least once a second.
            while let Ok(read @ 1..) = reading.read(&mut piece) {
                if over.load(Ordering::Relaxed) {
                    break;
                }
                shown.lock().unwrap().process(&piece[..read]);
                all.lock().unwrap().extend_from_slice(&piece[..read]);
            }
        });
        Terminal {
            master: master.into(),
            slave,
            screen,
            written,
            before,
            child,
            gone,
        }
    }

    /// Its window is closed, or its line is cut.
    fn hang_up(self) -> Child {
        self.gone.store(true, Ordering::Relaxed);
        eventually("nobody reads it any more", || {
            (Arc::strong_count(&self.gone) == 1).then_some(())
        });
        self.child
    }

    fn text(&self) -> String {
        self.screen.lock().unwrap().screen().contents()
    }

    fn shows(&self, what: &str) {
        let shown = || self.text().contains(what).then_some(());
        let begun = crate::support::now();
        while shown().is_none() {
            assert!(
                begun.elapsed() < crate::support::PATIENCE,
                "no {what:?} in:\n{}",
                self.text()
            );
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }

    fn press(&mut self, keys: &str) {
        self.master.write_all(keys.as_bytes()).unwrap();
    }

    // `setsid` became the program: it only forks where it leads a group already.
    fn signal(&self, name: &str) {
        let process = self.child.id().to_string();
        let kill = Command::new("kill")
            .args([&format!("-{name}"), &process])
            .status();
        assert!(kill.unwrap().success());
    }

    // The exit code, once the terminal is as it was.
    fn ends(mut self) -> (i32, String) {
        let status = eventually("it ends", || self.child.try_wait().unwrap());
        let after = tcgetattr(self.slave.as_fd()).unwrap();
        assert_eq!(
            format!("{:?}", self.before),
            format!("{after:?}"),
            "raw mode is off"
        );
        let leaves = b"\x1b[?1049l";
        eventually("the other screen is left, the cursor is there", || {
            let all = self.written.lock().unwrap();
            let left = all.windows(leaves.len()).any(|window| window == leaves);
            let screen = self.screen.lock().unwrap();
            (left && !screen.screen().alternate_screen() && !screen.screen().hide_cursor())
                .then_some(())
        });
        (status.code().unwrap(), self.text())
    }
}

#[test]
fn it_shows_what_happens_hears_keys_and_leaves_the_terminal_as_it_was() {
    let mut fleet = Redis::fleet(2);
    let (admin, proxy) = Admin::start(
        &["--cores", "1"],
        &[Pool::over("alpha", &fleet), Pool::over("beta", &fleet)],
    );
    let load = Load::start_with_errors(proxy.address("alpha"), 2, 3);
    let mut terminal = Terminal::start(&admin, &[]);
    terminal.shows("healthy");
    terminal.shows("1 pools");
    terminal.shows("alpha");
    eventually("a rate is shown", || {
        let text = terminal.text();
        let line = text.lines().nth(1)?;
        (!line.starts_with("0 req/s") && line.contains("req/s")).then_some(())
    });
    terminal.press("t");
    terminal.shows("by req/s, greatest first");
    terminal.press("/beta\r");
    terminal.shows("only: beta");
    eventually("the other pool is not there", || {
        (!terminal.text().contains("alpha")).then_some(())
    });
    terminal.press("\x1b");
    terminal.shows("alpha");
    fleet[1].kill();
    terminal.shows("failing");
    terminal.shows("servers down");
    terminal.press("3");
    terminal.shows("server connection failed");
    let mut client = proxy.client("beta");
    client.call(["CLIENT", "SETNAME", "batch"]);
    let mut direct = fleet[0].client();
    let key = (0..).map(|nth| format!("key:{nth}"));
    // One of those that the living server has.
    let key = key
        .clone()
        .find(|key| client.call(["GET", key]) == Reply::Null);
    let key = key.unwrap();
    direct.call(["CLIENT", "PAUSE", "150", "ALL"]);
    assert_eq!(client.call(["STRLEN", &key]), Reply::Integer(0));
    terminal.press("4");
    terminal.shows("4 slow requests");
    terminal.shows("by took ms, greatest first");
    terminal.press("/batch\r");
    eventually("it is shown with its command and key", || {
        let text = terminal.text();
        let mut lines = text.lines().filter(|line| line.contains(" batch "));
        let whole = |line: &str| line.contains(" strlen ") && line.contains(&format!(" {key} "));
        lines.any(whole).then_some(())
    });
    terminal.press("\x1b");
    terminal
        .screen
        .lock()
        .unwrap()
        .screen_mut()
        .set_size(FEW_ROWS, FEW_COLUMNS);
    tcsetwinsize(&terminal.slave, size(FEW_ROWS, FEW_COLUMNS)).unwrap();
    eventually("the last line is at the new end", || {
        let text = terminal.text();
        text.lines().nth(11)?.starts_with("q end").then_some(())
    });
    let colored = terminal
        .written
        .lock()
        .unwrap()
        .windows(5)
        .any(|w| w == b"\x1b[38;");
    assert!(colored, "in colour");
    terminal.press("q");
    assert_eq!(terminal.ends().0, 0);
    load.end();
}

#[test]
fn a_signal_a_lost_proxy_and_a_terminal_without_colours_are_taken_well() {
    let redis = Redis::start();
    let (admin, mut proxy) = Admin::start(&[], &[Pool::new("alpha").server(redis.address())]);
    let terminal = Terminal::start(&admin, &[("NO_COLOR", "1")]);
    terminal.shows("alpha");
    let written = terminal.written.lock().unwrap().clone();
    assert!(
        !written
            .windows(5)
            .any(|window| window == b"\x1b[38;" || window == b"\x1b[48;")
    );
    terminal.signal("TERM");
    assert_eq!(terminal.ends().0, 0);

    let terminal = Terminal::start(&admin, &[]);
    terminal.shows("alpha");
    proxy.process().kill();
    terminal.shows("no answer, what is shown is old");
    let (code, text) = terminal.ends();
    assert_eq!(code, 2);
    assert!(text.contains("cannot reach the proxy at"), "{text}");

    let top = |environment: &[(&str, &str)]| {
        let mut terminal = Terminal::start(&admin, environment);
        let status = eventually("it says why not", || terminal.child.try_wait().unwrap());
        eventually("it is said", || {
            terminal.text().contains("coremux:").then_some(())
        });
        (status.code().unwrap(), terminal.text())
    };
    let (code, text) = top(&[("TERM", "dumb")]);
    assert_eq!(code, 1);
    assert!(
        text.contains("TERM is dumb; `coremux ctl status` needs none"),
        "{text}"
    );
    let (code, text) = top(&[]);
    assert_eq!(code, 2, "{text}");
    let (code, _) = admin.ctl("top");
    assert_eq!(code, 1, "a pipe is no terminal");
}

#[test]
fn it_ends_when_its_terminal_is_gone() {
    let redis = Redis::start();
    let (admin, _proxy) = Admin::start(&[], &[Pool::new("alpha").server(redis.address())]);
    let terminal = Terminal::start(&admin, &[]);
    terminal.shows("alpha");
    let mut child = terminal.hang_up();
    eventually("it ends", || child.try_wait().unwrap());
}
