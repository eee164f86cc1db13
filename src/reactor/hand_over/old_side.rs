//! The old process's side: starts the new one, and gives it sockets and clients.
//!
//! Lives on: a thread of its own, for as long as a hand-over takes; it may wait.

use std::io;
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::thread;
use std::thread::JoinHandle;
use std::time::Duration;
use std::time::Instant;

use crate::reactor::Sender;
use crate::reactor::message::ToWorker;

use super::Parcel;
use super::Sections;
use super::Shown;
use super::step;
use super::successor::NewProcess;
use super::successor::Successor;
use super::wire::Commit;
use super::wire::Frame;
use super::wire::Hello;
use super::wire::Kind;
use super::wire::Ready;
use super::wire::VERSION;

/// A worker shows itself within a pass; one that is stuck must not be handed over from.
const SHOWN_WITHIN: Duration = Duration::from_secs(2);

/// From `Ready` on the new process needs a pass of its control plane. Nobody accepts meanwhile.
const SERVING_WITHIN: Duration = Duration::from_secs(5);

/// How soon it is noticed that the new process is lost while clients are waited for.
const LOOK_PERIOD: Duration = Duration::from_millis(50);

/// How long the new process is seen to live when it has everything, before this one ends.
const ALIVE_FOR: Duration = Duration::from_millis(100);

/// Ids that the old process may yet give to clients while the new one starts: more than any kernel
/// accepts in that time.
const CLIENT_IDS_SPARED: u64 = 1 << 24;

/// What a hand-over begins with.
#[derive(Debug)]
pub struct OldSideSetup {
    /// How the new process is started; its standard input is ours to set.
    pub command: Command,
    /// All of them.
    pub workers: Vec<Sender<ToWorker>>,
    /// Where each pool listens, as `PoolIdx` counts them.
    pub addresses: Vec<String>,
    /// Listening sockets that are not the workers'.
    pub endpoints: Vec<OwnedFd>,
    /// What this process knows, and the new one is to begin with.
    pub known: Sections,
    /// How long the new process may take until it is ready.
    pub start_within: Duration,
    /// How long clients have to come to the end of a request.
    pub hand_over_within: Duration,
}

/// What the control plane is told.
#[derive(Debug)]
pub enum FromOldSide {
    /// There is a process that could serve: wait for `commit`.
    Ready(NewProcess),
    /// It serves.
    Serving,
    /// There is none, and why. The workers serve as before.
    Failed(String),
    /// It was serving and is dead: clients that it had not taken are here, and others are accepted.
    Lost(String),
    /// It serves and has given us up, and why: what it has not taken is here, and nobody is accepted.
    LeftBehind(String),
    /// It serves no more because somebody has told it to end: nobody is accepted here either.
    BothEnd(String),
    /// It has all clients that could go.
    Done {
        /// How many.
        clients: u64,
        /// How long they took.
        within: Duration,
    },
}

/// A hand-over under way.
#[derive(Debug)]
pub struct OldSide {
    // None once that was said, or never will be.
    commit: Option<mpsc::Sender<Sections>>,
    off: Off,
    thread: JoinHandle<()>,
}

/// Calls a hand-over off, whatever the thread waits for.
#[derive(Clone, Debug)]
struct Off {
    channel: Arc<UnixStream>,
    is_called: Arc<AtomicBool>,
}

impl Off {
    fn call(&self) {
        self.is_called.store(true, Ordering::SeqCst);
        // It fails only when the other end is gone.
        let _ = self.channel.shutdown(Shutdown::Both);
    }

    fn is_called(&self) -> bool {
        self.is_called.load(Ordering::SeqCst)
    }
}

impl OldSide {
    /// Begins; `tell` hears how it goes.
    ///
    /// # Errors
    ///
    /// When the system gives no thread or no socket.
    pub fn start(setup: OldSideSetup, tell: Sender<FromOldSide>) -> io::Result<OldSide> {
        let (ours, theirs) = UnixStream::pair()?;
        let (commit, committed) = mpsc::channel();
        let off = Off {
            channel: Arc::new(ours.try_clone()?),
            is_called: Arc::default(),
        };
        let handing = HandingOver {
            setup,
            off: off.clone(),
            sent: Parcels::default(),
            within: Duration::ZERO,
        };
        let named = thread::Builder::new().name("hand-over-old".to_owned());
        let thread = named.spawn(move || {
            let end = handing.run(ours, theirs, &committed, &tell);
            tell.send(end);
        })?;
        Ok(OldSide {
            commit: Some(commit),
            off,
            thread,
        })
    }

    /// Lets the new process serve, with what is known by now.
    pub fn commit(&mut self, known: Sections) {
        if let Some(commit) = self.commit.take() {
            // Fails when the new process was lost meanwhile, which is told.
            let _ = commit.send(known);
        }
    }

    /// Ends the new process, unless it serves; what became of it is told.
    pub fn call_off(&mut self) {
        self.commit = None;
        self.off.call();
    }

    /// The same, and waits until it is so: no later than the bound of a step.
    pub fn end(mut self) {
        self.call_off();
        // What it panicked of was said.
        let _ = self.thread.join();
    }
}

/// The thread's own.
struct HandingOver {
    setup: OldSideSetup,
    off: Off,
    sent: Parcels,
    // How long it took to give all clients.
    within: Duration,
}

/// Why clients go no further.
enum Break {
    /// It is or must be dead.
    Lost(String),
    /// It lives, and has closed the channel.
    LeftBehind(String),
    /// Somebody wants both to end.
    BothEnd(String),
}

impl HandingOver {
    fn run(
        mut self,
        ours: UnixStream,
        theirs: UnixStream,
        committed: &mpsc::Receiver<Sections>,
        tell: &Sender<FromOldSide>,
    ) -> FromOldSide {
        step::reached("old-begins");
        let mut successor = match self.start(ours, theirs) {
            Ok(successor) => successor,
            Err(why) => return FromOldSide::Failed(self.reason(why)),
        };
        match successor.handle() {
            Ok(process) => tell.send(FromOldSide::Ready(process)),
            Err(error) => {
                successor.end();
                return FromOldSide::Failed(error.to_string());
            }
        }
        step::reached("old-ready");
        let Ok(known) = committed.recv() else {
            successor.end();
            return FromOldSide::Failed(self.reason(String::new()));
        };
        if let Err(why) = self.commit(&mut successor, known) {
            // Nobody accepts until the other one cannot any more.
            successor.end();
            self.tell_all(|| ToWorker::Accept);
            return FromOldSide::Failed(self.reason(why));
        }
        tell.send(FromOldSide::Serving);
        step::reached("old-serving");
        let (to, given) = mpsc::channel();
        let end = self.give_clients(&mut successor, to, &given);
        match end {
            Ok(()) => FromOldSide::Done {
                clients: successor.clients(),
                within: self.within,
            },
            Err(end) => self.end(end, &mut successor, given),
        }
    }

    // What was called off failed because of that.
    fn reason(&self, why: String) -> String {
        match self.off.is_called() {
            true => "called off".to_owned(),
            false => why,
        }
    }

    fn tell_all(&self, message: impl Fn() -> ToWorker) {
        for worker in &self.setup.workers {
            worker.send(message());
        }
    }

    fn start(&mut self, ours: UnixStream, theirs: UnixStream) -> Result<Successor, String> {
        let shown = look_at(&self.setup.workers)?;
        if self.off.is_called() {
            return Err(String::new());
        }
        let within = self.setup.start_within;
        let mut successor = Successor::start(&mut self.setup.command, ours, theirs, within)?;
        step::reached("old-started");
        match self.make_ready(&mut successor, &shown) {
            Ok(ready) => {
                let takes = |address| ready.addresses.contains(address);
                successor.pools = self.setup.addresses.iter().map(takes).collect();
                Ok(successor)
            }
            Err(why) => {
                successor.end();
                Err(why)
            }
        }
    }

    fn make_ready(&self, successor: &mut Successor, shown: &[Shown]) -> Result<Ready, String> {
        let within = self.setup.start_within.as_secs();
        let late = format!("was not ready within {within} s");
        let answer = self.introduce(successor, shown);
        let frame = answer.map_err(|error| successor.fate(&error, &late))?;
        match frame.kind {
            Kind::Ready => frame.read().map_err(|e: io::Error| e.to_string()),
            Kind::Refused => Err(frame.words()),
            kind => Err(format!("the new process answers {kind:?}")),
        }
    }

    fn introduce(&self, successor: &mut Successor, shown: &[Shown]) -> io::Result<Frame> {
        let used = shown.iter().map(|worker| worker.next_client_id).max();
        let hello = Hello {
            version: VERSION,
            client_ids_from: used.unwrap_or_default() + CLIENT_IDS_SPARED,
            known: self.setup.known.clone(),
        };
        let told = self.tell_all_sockets(successor, &hello, shown);
        step::reached("old-introduced");
        successor.answer(told)
    }

    fn tell_all_sockets(
        &self,
        successor: &mut Successor,
        hello: &Hello,
        shown: &[Shown],
    ) -> io::Result<()> {
        let channel = &mut successor.channel;
        channel.tell(Kind::Hello, hello)?;
        let listeners = shown.iter().flat_map(|worker| &worker.listeners);
        for socket in listeners.chain(&self.setup.endpoints) {
            channel.send(Kind::Socket, &[], Some(socket.as_fd()))?;
        }
        channel.say(Kind::Begin)
    }

    /// Lets the new process serve, once nobody here accepts any more.
    fn commit(&self, successor: &mut Successor, known: Sections) -> Result<(), String> {
        let (to, resting) = mpsc::channel();
        self.tell_all(|| ToWorker::Rest(to.clone()));
        for _ in &self.setup.workers {
            let rests = resting.recv_timeout(SHOWN_WITHIN);
            rests.map_err(|_| "a worker is stuck".to_owned())?;
        }
        step::reached("old-rests");
        if self.off.is_called() {
            return Err(String::new());
        }
        successor.channel.allow(SERVING_WITHIN);
        let told = successor.channel.tell(Kind::Commit, &Commit { known });
        step::reached("old-committed");
        let within = SERVING_WITHIN.as_secs();
        let late = format!("did not begin to serve within {within} s");
        let answer = successor.answer(told);
        let frame = answer.map_err(|error| successor.fate(&error, &late))?;
        match frame.kind {
            Kind::Serving => Ok(()),
            Kind::Refused => Err(frame.words()),
            kind => Err(format!("the new process answers {kind:?}")),
        }
    }

    fn give_clients(
        &mut self,
        successor: &mut Successor,
        to: mpsc::Sender<Parcel>,
        given: &mpsc::Receiver<Parcel>,
    ) -> Result<(), Break> {
        #[allow(clippy::disallowed_methods, reason = "not on a request's way")]
        let began = Instant::now();
        let pools = Arc::new(std::mem::take(&mut successor.pools));
        self.tell_all(|| ToWorker::HandOver {
            pools: Arc::clone(&pools),
            to: to.clone(),
            within: self.setup.hand_over_within,
        });
        drop(to);
        successor.expect_clients_to_be_taken();
        // It ends when each worker has given all that it could.
        loop {
            match given.recv_timeout(LOOK_PERIOD) {
                Ok(parcel) => {
                    let address = &self.setup.addresses[parcel.pool.index()];
                    let sent = successor.give(&parcel, address);
                    self.sent.keep(parcel);
                    sent.map_err(|error| self.broken(successor, &error))?;
                }
                Err(mpsc::RecvTimeoutError::Timeout) => {}
                Err(mpsc::RecvTimeoutError::Disconnected) => break,
            }
            let heard = successor.hear(&mut self.sent);
            heard.map_err(|error| self.broken(successor, &error))?;
        }
        let said = successor.channel.say(Kind::End);
        step::reached("old-end");
        let thanks = said.and_then(|()| successor.hear_thanks(&mut self.sent));
        thanks.map_err(|error| self.broken(successor, &error))?;
        self.within = began.elapsed();
        // Who is being killed in this moment will serve nobody.
        match successor.ended_within(ALIVE_FOR) {
            None => Ok(()),
            Some(status) if status.success() => {
                Err(Break::BothEnd("the new process has ended".to_owned()))
            }
            Some(status) => Err(Break::Lost(format!("the new process ended ({status})"))),
        }
    }

    /// What it means that the new process, which serves, cannot be spoken to any more.
    fn broken(&mut self, successor: &mut Successor, error: &io::Error) -> Break {
        if error.kind() != io::ErrorKind::TimedOut {
            successor.hear_last_words(&mut self.sent);
        }
        if let Some(words) = successor.last_words.take() {
            return Break::BothEnd(words);
        }
        if self.off.is_called() {
            return Break::BothEnd("called off".to_owned());
        }
        match successor.is_closed_by_a_living(error) {
            true => Break::LeftBehind("it has given this process up".to_owned()),
            false => Break::Lost(successor.fate(error, "took no client for 10 s")),
        }
    }

    /// What the new process has not taken stays here.
    fn end(
        &mut self,
        end: Break,
        successor: &mut Successor,
        given: mpsc::Receiver<Parcel>,
    ) -> FromOldSide {
        match &end {
            Break::Lost(_) => {
                successor.end();
                // What it had said before its end counts.
                while let Ok(Some(())) = successor.hear_one(&mut self.sent) {}
            }
            Break::LeftBehind(_) | Break::BothEnd(_) => successor.channel.close(),
        }
        self.tell_all(|| ToWorker::KeepClients);
        let mut workers = self.setup.workers.iter().cycle();
        let mut keep = |parcel| {
            if let Some(worker) = workers.next() {
                worker.send(ToWorker::Adopt(Arc::new(parcel)));
            }
        };
        std::mem::take(&mut self.sent)
            .into_iter()
            .for_each(&mut keep);
        // It ends when the workers have heard that their clients stay; one that is stuck never does.
        while let Ok(parcel) = given.recv_timeout(SHOWN_WITHIN) {
            keep(parcel);
        }
        match end {
            Break::Lost(why) => {
                self.tell_all(|| ToWorker::Accept);
                FromOldSide::Lost(why)
            }
            Break::LeftBehind(why) => FromOldSide::LeftBehind(why),
            Break::BothEnd(why) => FromOldSide::BothEnd(why),
        }
    }
}

/// Clients that were sent, the oldest first, of which it is not known whether they were taken.
#[derive(Default)]
pub(super) struct Parcels(std::collections::VecDeque<Parcel>);

impl Parcels {
    fn keep(&mut self, parcel: Parcel) {
        self.0.push_back(parcel);
    }

    /// The oldest one was taken.
    pub(super) fn taken(&mut self) {
        // Ours is closed by that.
        self.0.pop_front();
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

impl IntoIterator for Parcels {
    type Item = Parcel;
    type IntoIter = std::collections::vec_deque::IntoIter<Parcel>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
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
