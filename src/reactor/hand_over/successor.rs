//! The new process as the old one sees it: how it is started, spoken to, and ended for certain.
//!
//! Owns: the child and our end of the channel. Never: decides what follows (`old_side`).

use std::io;
use std::io::ErrorKind;
use std::os::fd::AsFd;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::Child;
use std::process::Command;
use std::process::ExitStatus;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use rustix::process::Pid;
use rustix::process::PidfdFlags;
use rustix::process::Signal;
use rustix::process::pidfd_open;
use rustix::process::pidfd_send_signal;

use super::Parcel;
use super::old_side::Parcels;
use super::step;
use super::wire::Channel;
use super::wire::Frame;
use super::wire::Kind;
use super::wire::client_frame;
use super::wire::invalid;

/// The new process finds in this variable which process hands over to it, by standard input.
pub(super) const VARIABLE: &str = "COREMUX_HAND_OVER_FROM";

/// A client's way is microseconds long; a new process that takes nothing for so long is lost.
const TAKEN_WITHIN: Duration = Duration::from_secs(10);

/// So many may be on their way: fewer than a socket has room for, so that the two never wait for each
/// other, both writing.
const ON_THEIR_WAY_MAX: usize = 64;

/// The kernel ends who was killed within milliseconds; one that hangs in it never runs again.
const DEAD_WITHIN: Duration = Duration::from_secs(5);

/// A process that dies closes its sockets a moment before it is dead.
const DYING_WITHIN: Duration = Duration::from_secs(2);

/// The new process, for whoever signals it: its number is nobody else's while this is held.
#[derive(Debug)]
pub struct NewProcess {
    /// Its number.
    pub pid: u32,
    handle: OwnedFd,
}

impl NewProcess {
    /// Sends it a signal, if it lives.
    pub fn signal(&self, signal: Signal) {
        // Fails when it is dead, which is noticed elsewhere.
        let _ = pidfd_send_signal(&self.handle, signal);
    }
}

/// The new process.
pub(super) struct Successor {
    child: Child,
    pub(super) channel: Channel,
    /// Whose clients it takes, as this process counts pools.
    pub(super) pools: Vec<bool>,
    /// Why it ends, if it has said so.
    pub(super) last_words: Option<String>,
    clients: u64,
    has_thanked: bool,
}

impl Successor {
    pub(super) fn start(
        command: &mut Command,
        ours: UnixStream,
        theirs: UnixStream,
        within: Duration,
    ) -> Result<Successor, String> {
        let channel = Channel::new(ours, within).map_err(|e| e.to_string())?;
        command.stdin(Stdio::from(OwnedFd::from(theirs)));
        command.env(VARIABLE, std::process::id().to_string());
        let program = command.get_program().to_owned();
        let child = command.spawn();
        // The command keeps its end open: without it a process that dies would leave us waiting.
        command.stdin(Stdio::null());
        Ok(Successor {
            child: child.map_err(|e| format!("{} cannot be started: {e}", program.display()))?,
            channel,
            pools: Vec::new(),
            last_words: None,
            clients: 0,
            has_thanked: false,
        })
    }

    /// How many clients it has taken.
    pub(super) fn clients(&self) -> u64 {
        self.clients
    }

    /// To be signalled with.
    pub(super) fn handle(&self) -> io::Result<NewProcess> {
        let pid = self.child.id();
        let raw = i32::try_from(pid).ok().and_then(Pid::from_raw);
        let raw = raw.ok_or_else(|| invalid("no process number"))?;
        let handle = pidfd_open(raw, PidfdFlags::empty())?;
        Ok(NewProcess { pid, handle })
    }

    /// Makes sure that it never serves, or no longer. What it has said before can be heard yet.
    pub(super) fn end(&mut self) {
        self.channel.close();
        // Fails only when it has ended. Also who is stopped dies of it.
        let _ = self.child.kill();
        if self.ended_within(DEAD_WITHIN).is_none() {
            tracing::error!(
                pid = self.child.id(),
                "the killed process hangs in the kernel"
            );
        }
    }

    /// How it has ended, if it has.
    fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// The same, when it may be about to.
    pub(super) fn ended_within(&mut self, within: Duration) -> Option<ExitStatus> {
        const STEP: Duration = Duration::from_millis(5);
        let mut waited = Duration::ZERO;
        loop {
            if let Some(status) = self.ended() {
                return Some(status);
            }
            if waited >= within {
                return None;
            }
            thread::sleep(STEP);
            waited += STEP;
        }
    }

    /// Whether `error` means that the channel was closed, and not because the process has died.
    pub(super) fn is_closed_by_a_living(&mut self, error: &io::Error) -> bool {
        let closed = [
            ErrorKind::UnexpectedEof,
            ErrorKind::BrokenPipe,
            ErrorKind::ConnectionReset,
        ];
        closed.contains(&error.kind()) && self.ended_within(DYING_WITHIN).is_none()
    }

    /// What has become of it, when it cannot be spoken to: it is dead, or `late`, or what `error` says.
    pub(super) fn fate(&mut self, error: &io::Error, late: &str) -> String {
        if error.kind() == ErrorKind::TimedOut {
            return format!("the new process {late}");
        }
        match self.ended_within(DYING_WITHIN) {
            Some(status) => format!("the new process ended ({status})"),
            None => format!("the new process cannot be spoken to: {error}"),
        }
    }

    /// From now on it answers to each client.
    pub(super) fn expect_clients_to_be_taken(&mut self) {
        self.channel.allow(TAKEN_WITHIN);
    }

    /// Sends a client. It is the new process's when that says so.
    pub(super) fn give(&mut self, parcel: &Parcel, address: &str) -> io::Result<()> {
        let state = parcel.state.encode();
        let frame = state.and_then(|state| client_frame(address, &state));
        // Longer than any request: it cannot be, and is closed rather than kept from all others.
        let frame = frame.unwrap_or_default();
        self.channel
            .send(Kind::Client, &frame, Some(parcel.socket.as_fd()))
    }

    /// What it answers to what was `told`; if it could not be told, it has perhaps said why.
    pub(super) fn answer(&mut self, told: io::Result<()>) -> io::Result<Frame> {
        match told {
            Err(error) if error.kind() == ErrorKind::TimedOut => Err(error),
            Err(error) => self.channel.receive().map_err(|_| error),
            Ok(()) => self.channel.receive(),
        }
    }

    /// Hears what it says until it is silent, dead or has closed the channel.
    pub(super) fn hear_last_words(&mut self, sent: &mut Parcels) {
        self.channel.allow(DYING_WITHIN);
        while let Ok(frame) = self.channel.receive() {
            if self.heard(&frame, sent).is_err() {
                return;
            }
        }
    }

    /// Hears what it has said; waits if much was sent that it has not answered.
    pub(super) fn hear(&mut self, sent: &mut Parcels) -> io::Result<()> {
        while self.hear_one(sent)?.is_some() {}
        while sent.len() >= ON_THEIR_WAY_MAX {
            let frame = self.channel.receive()?;
            self.heard(&frame, sent)?;
        }
        Ok(())
    }

    /// Hears one word, if there is one.
    pub(super) fn hear_one(&mut self, sent: &mut Parcels) -> io::Result<Option<()>> {
        match self.channel.received()? {
            Some(frame) => self.heard(&frame, sent).map(Some),
            None => Ok(None),
        }
    }

    /// It has all, and serves them.
    pub(super) fn hear_thanks(&mut self, sent: &mut Parcels) -> io::Result<()> {
        while !self.has_thanked {
            let frame = self.channel.receive()?;
            self.heard(&frame, sent)?;
        }
        Ok(())
    }

    fn heard(&mut self, frame: &Frame, sent: &mut Parcels) -> io::Result<()> {
        match frame.kind {
            Kind::Taken => {
                sent.taken();
                self.clients += 1;
                step::reached("old-client");
                Ok(())
            }
            Kind::Thanks => {
                self.has_thanked = true;
                Ok(())
            }
            Kind::Ended => {
                self.last_words = Some(frame.words());
                Err(ErrorKind::UnexpectedEof.into())
            }
            kind => Err(invalid(format!("the new process answers {kind:?}"))),
        }
    }
}
