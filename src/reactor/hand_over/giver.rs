//! The old process's side: starts the new one, and gives it sockets and clients.
//!
//! Lives on: a thread of its own, for as long as a hand-over takes; it may wait.

use std::io;
use std::io::ErrorKind;
use std::os::fd::AsFd;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::reactor::Sender;
use crate::reactor::message::ToWorker;

use super::Given;
use super::Parcel;
use super::Sections;
use super::Shown;
use super::wire::Channel;
use super::wire::Commit;
use super::wire::Hello;
use super::wire::Kind;
use super::wire::Ready;
use super::wire::VERSION;
use super::wire::client_frame;

/// A worker shows itself within a pass; one that is stuck must not be handed over from.
const SHOWN_WITHIN: Duration = Duration::from_secs(2);

/// A client's way is microseconds long; a new process that takes nothing for so long is lost.
const TAKEN_WITHIN: Duration = Duration::from_secs(10);

/// How soon it is noticed that the new process is lost while clients are waited for.
const LOOK_PERIOD: Duration = Duration::from_millis(50);

/// Ids that the old process may yet give to clients while the new one starts: more than any kernel
/// accepts in that time.
const CLIENT_IDS_SPARED: u64 = 1 << 24;

/// The new process finds in this variable which process hands over to it, by standard input.
pub(super) const VARIABLE: &str = "COREMUX_HAND_OVER_FROM";

/// What a hand-over begins with.
#[derive(Debug)]
pub struct GiverSetup {
    /// How the new process is started; its standard input is ours to set.
    pub command: Command,
    /// All of them.
    pub workers: Vec<Sender<ToWorker>>,
    /// Where each pool listens, as `PoolIdx` counts them.
    pub addresses: Vec<String>,
    /// Listening sockets that are not the workers'.
    pub doors: Vec<OwnedFd>,
    /// What this process knows, and the new one is to begin with.
    pub known: Sections,
    /// How long the new process may take until it is ready.
    pub start_within: Duration,
    /// How long clients have to come to the end of a request.
    pub hand_over_within: Duration,
}

/// What the control plane is told.
#[derive(Debug)]
pub enum FromGiver {
    /// There is a process that could serve: wait for `commit`.
    Ready {
        /// Its number.
        pid: u32,
    },
    /// There is none, and why. Nothing has changed.
    Failed(String),
    /// It was serving, and is lost; clients that it has not taken stay here.
    Lost(String),
    /// It has all clients that could go.
    Done {
        /// How many.
        clients: u64,
        /// How long they took.
        within: Duration,
    },
}

/// A hand-over under way; dropped before `commit`, it is called off.
#[derive(Debug)]
pub struct Giver {
    commit: mpsc::Sender<Sections>,
}

impl Giver {
    /// Begins; `tell` hears how it goes.
    ///
    /// # Errors
    ///
    /// When the system gives no thread.
    pub fn start(setup: GiverSetup, tell: Sender<FromGiver>) -> io::Result<Giver> {
        let (commit, committed) = mpsc::channel();
        let named = thread::Builder::new().name("giver".to_owned());
        named.spawn(move || give(setup, &committed, &tell))?;
        Ok(Giver { commit })
    }

    /// Lets the new process serve, with what is known by now.
    pub fn commit(&self, known: Sections) {
        // Fails when the new process was lost meanwhile, which is told.
        let _ = self.commit.send(known);
    }
}

fn give(mut setup: GiverSetup, committed: &mpsc::Receiver<Sections>, tell: &Sender<FromGiver>) {
    let mut successor = match Successor::start(&mut setup) {
        Ok(successor) => successor,
        Err(why) => return tell.send(FromGiver::Failed(why)),
    };
    tell.send(FromGiver::Ready {
        pid: successor.child.id(),
    });
    let Ok(known) = committed.recv() else {
        successor.end();
        return tell.send(FromGiver::Failed("called off".to_owned()));
    };
    let parcels = match successor.commit(&setup, known) {
        Ok(parcels) => parcels,
        Err(why) => {
            successor.end();
            return tell.send(FromGiver::Failed(why));
        }
    };
    tell.send(match successor.give_clients(&setup, parcels) {
        Ok((clients, within)) => FromGiver::Done { clients, within },
        Err(why) => FromGiver::Lost(why),
    });
}

/// The new process.
struct Successor {
    child: Child,
    channel: Channel,
    pools: Vec<bool>,
}

impl Successor {
    fn start(setup: &mut GiverSetup) -> Result<Successor, String> {
        let shown = look_at(&setup.workers)?;
        let (ours, theirs) = UnixStream::pair().map_err(|e| format!("no socket pair: {e}"))?;
        let waits = ours.set_read_timeout(Some(setup.start_within));
        waits.map_err(|e| e.to_string())?;
        setup.command.stdin(Stdio::from(OwnedFd::from(theirs)));
        setup.command.env(VARIABLE, std::process::id().to_string());
        let program = setup.command.get_program().to_owned();
        let child = setup.command.spawn();
        // The command keeps its end open: without it a process that dies would leave us waiting.
        setup.command.stdin(Stdio::null());
        let mut successor = Successor {
            child: child.map_err(|e| format!("{} cannot be started: {e}", program.display()))?,
            channel: Channel(ours),
            pools: Vec::new(),
        };
        match successor.make_ready(&shown, setup) {
            Ok(ready) => {
                let takes = |address| ready.addresses.contains(address);
                successor.pools = setup.addresses.iter().map(takes).collect();
                Ok(successor)
            }
            Err(why) => {
                successor.end();
                Err(why)
            }
        }
    }

    fn make_ready(&mut self, shown: &[Shown], setup: &GiverSetup) -> Result<Ready, String> {
        let frame = self.introduce(shown, setup);
        let frame = frame.map_err(|error| self.fate(&error))?;
        match frame.kind {
            Kind::Ready => frame.read().map_err(|e: io::Error| e.to_string()),
            Kind::Refused => Err(String::from_utf8_lossy(&frame.bytes).into_owned()),
            kind => Err(format!("the new process answers {kind:?}")),
        }
    }

    fn introduce(&mut self, shown: &[Shown], setup: &GiverSetup) -> io::Result<super::wire::Frame> {
        let used = shown.iter().map(|worker| worker.next_client_id).max();
        let hello = Hello {
            version: VERSION,
            client_ids_from: used.unwrap_or_default() + CLIENT_IDS_SPARED,
            known: setup.known.clone(),
        };
        self.channel.tell(Kind::Hello, &hello)?;
        let listeners = shown.iter().flat_map(|worker| &worker.listeners);
        for socket in listeners.chain(&setup.doors) {
            self.channel.send(Kind::Socket, &[], Some(socket.as_fd()))?;
        }
        self.channel.say(Kind::Begin)?;
        self.channel.receive()
    }

    /// What has become of it, when it cannot be spoken to.
    fn fate(&mut self, error: &io::Error) -> String {
        match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut => {
                "the new process was not ready in time".to_owned()
            }
            // It closes the socket a moment before it has ended.
            _ => match self.wait() {
                Some(status) => format!("the new process ended ({status}) before it was ready"),
                None => format!("the new process cannot be spoken to: {error}"),
            },
        }
    }

    fn wait(&mut self) -> Option<std::process::ExitStatus> {
        const STEP: Duration = Duration::from_millis(10);
        for _ in 0..50 {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Some(status);
            }
            thread::sleep(STEP);
        }
        None
    }

    fn end(&mut self) {
        // Both fail only when it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Lets the new process serve, once nobody here accepts any more.
    fn commit(&mut self, setup: &GiverSetup, known: Sections) -> Result<Parcels, String> {
        let (to, given) = mpsc::channel();
        let pools = Arc::new(self.pools.clone());
        for worker in &setup.workers {
            worker.send(ToWorker::HandOver {
                pools: Arc::clone(&pools),
                to: to.clone(),
                within: setup.hand_over_within,
            });
        }
        drop(to);
        let (mut early, mut accepting) = (Vec::new(), setup.workers.len());
        while accepting > 0 {
            match given.recv_timeout(SHOWN_WITHIN) {
                Ok(Given::Stopped) => accepting -= 1,
                Ok(Given::Client(parcel)) => early.push(parcel),
                Err(_) => {
                    take_back(setup, Parcels { early, given });
                    return Err("a worker is stuck".to_owned());
                }
            }
        }
        let parcels = Parcels { early, given };
        match self.channel.tell(Kind::Commit, &Commit { known }) {
            Ok(()) => Ok(parcels),
            Err(error) => {
                take_back(setup, parcels);
                Err(self.fate(&error))
            }
        }
    }

    fn give_clients(
        &mut self,
        setup: &GiverSetup,
        mut parcels: Parcels,
    ) -> Result<(u64, Duration), String> {
        #[allow(clippy::disallowed_methods, reason = "not on a request's way")]
        let began = std::time::Instant::now();
        let mut clients = 0;
        // It ends when each worker has given all that it could.
        loop {
            match parcels.next_within(LOOK_PERIOD) {
                Ok(Some(parcel)) => {
                    if let Err(error) = self.give_client(&parcel, &setup.addresses) {
                        parcels.early.push(parcel);
                        take_back(setup, parcels);
                        return Err(self.fate(&error));
                    }
                    clients += 1;
                }
                Ok(None) => break,
                // Nobody accepts while the new process is gone and the last clients are waited for.
                Err(_) => {
                    if let Ok(Some(status)) = self.child.try_wait() {
                        take_back(setup, parcels);
                        return Err(format!("the new process ended ({status})"));
                    }
                }
            }
        }
        let within = began.elapsed();
        let end = self.channel.say(Kind::End);
        let waits = self.channel.0.set_read_timeout(Some(TAKEN_WITHIN));
        let thanks = end.and(waits).and_then(|()| self.channel.receive());
        match thanks {
            Ok(frame) if frame.kind == Kind::Thanks => Ok((clients, within)),
            Ok(frame) => Err(format!("the new process answers {:?}", frame.kind)),
            Err(error) => Err(self.fate(&error)),
        }
    }

    fn give_client(&mut self, parcel: &Parcel, addresses: &[String]) -> io::Result<()> {
        let address = &addresses[parcel.pool.index()];
        let state = parcel.state.encode();
        let frame = state.and_then(|state| client_frame(address, &state));
        // Longer than any request: it cannot be, and is closed rather than kept from all others.
        let Some(frame) = frame else { return Ok(()) };
        self.channel
            .send(Kind::Client, &frame, Some(parcel.socket.as_fd()))
    }
}

/// Clients that the workers have given.
struct Parcels {
    /// Those from before the new process was told to serve.
    early: Vec<Parcel>,
    given: mpsc::Receiver<Given>,
}

impl Parcels {
    /// The next one; none when no more will come.
    fn next_within(&mut self, period: Duration) -> Result<Option<Parcel>, mpsc::RecvTimeoutError> {
        if let Some(parcel) = self.early.pop() {
            return Ok(Some(parcel));
        }
        loop {
            match self.given.recv_timeout(period) {
                Ok(Given::Client(parcel)) => return Ok(Some(parcel)),
                Ok(Given::Stopped) => {}
                Err(mpsc::RecvTimeoutError::Disconnected) => return Ok(None),
                Err(timeout) => return Err(timeout),
            }
        }
    }
}

impl Iterator for Parcels {
    type Item = Parcel;

    fn next(&mut self) -> Option<Parcel> {
        if let Some(parcel) = self.early.pop() {
            return Some(parcel);
        }
        loop {
            match self.given.recv().ok()? {
                Given::Client(parcel) => return Some(parcel),
                Given::Stopped => {}
            }
        }
    }
}

/// Gives the workers back what the new process has not taken.
fn take_back(setup: &GiverSetup, parcels: Parcels) {
    for worker in &setup.workers {
        worker.send(ToWorker::KeepClients);
    }
    // It ends when the workers have heard that their clients stay.
    for (parcel, worker) in parcels.zip(setup.workers.iter().cycle()) {
        worker.send(ToWorker::Adopt(Arc::new(parcel)));
    }
}

fn look_at(workers: &[Sender<ToWorker>]) -> Result<Vec<Shown>, String> {
    let (to, shown) = mpsc::channel();
    for worker in workers {
        worker.send(ToWorker::Show(to.clone()));
    }
    let each = workers.iter().map(|_| shown.recv_timeout(SHOWN_WITHIN));
    let all: Result<_, _> = each.collect();
    all.map_err(|_| "a worker is stuck".to_owned())
}
