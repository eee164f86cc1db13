//! The new process's side: takes sockets before it starts, and clients when it serves.
//!
//! Lives on: a thread of its own, for as long as a hand-over takes; it may wait.

use std::io;
use std::io::ErrorKind;
use std::net::Shutdown;
use std::os::fd::BorrowedFd;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::mpsc;
use std::thread;
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::fs::Mode;
use rustix::fs::OFlags;
use thiserror::Error;

use crate::base::PoolIdx;
use crate::proxy::ClientState;
use crate::reactor::Sender;
use crate::reactor::message::ToWorker;

use super::Parcel;
use super::Sections;
use super::step;
use super::successor::VARIABLE;
use super::wire::Channel;
use super::wire::Commit;
use super::wire::Frame;
use super::wire::Hello;
use super::wire::Kind;
use super::wire::Ready;
use super::wire::VERSION;
use super::wire::invalid;
use super::wire::read_client;

/// The old process says all that it has to say at once.
const SOCKETS_WITHIN: Duration = Duration::from_secs(10);

/// Between two words of the old process: it waits for its clients for ten seconds at the most.
const SILENT_WITHIN: Duration = Duration::from_secs(20);

/// A process that dies closes its sockets a moment before it is dead.
const DYING_WITHIN: Duration = Duration::from_secs(2);

/// Why nothing can be taken over.
#[derive(Debug, Error)]
pub enum PredecessorError {
    /// Another version of this program.
    #[error(
        "the running process hands over by version {theirs}, this one takes by version {VERSION}"
    )]
    Version {
        /// What the old process speaks.
        theirs: u32,
    },
    /// It says nothing, or nothing that can be understood.
    #[error("the running process cannot be understood: {0}")]
    Broken(#[from] io::Error),
    /// It died before it had said all that is needed.
    #[error("the running process has died")]
    Died,
}

/// The process that hands over to this one. Dropped, it goes on alone.
#[derive(Debug)]
pub struct Predecessor {
    channel: Channel,
    hello: Hello,
    parent: Parent,
}

/// The process that has started this one.
#[derive(Clone, Copy, Debug)]
struct Parent(rustix::process::Pid);

impl Parent {
    // Its children get another parent then.
    fn is_dead(self) -> bool {
        rustix::process::getppid() != Some(self.0)
    }

    /// The same of one that has just closed its sockets.
    fn dies(self) -> bool {
        const STEP: Duration = Duration::from_millis(10);
        let mut waited = Duration::ZERO;
        while !self.is_dead() && waited < DYING_WITHIN {
            thread::sleep(STEP);
            waited += STEP;
        }
        self.is_dead()
    }
}

impl Predecessor {
    /// The process that has started this one to take over from it, and its listening sockets;
    /// `None` if nobody has, or if it is dead, so that nothing is left to be taken over.
    ///
    /// # Errors
    ///
    /// When it cannot be understood; it is told.
    pub fn find() -> Result<Option<(Predecessor, Vec<OwnedFd>)>, PredecessorError> {
        let Some(parent) = rustix::process::getppid() else {
            return Ok(None);
        };
        // A program that we start is not meant, although it inherits the variable.
        let meant = std::env::var(VARIABLE).ok();
        if meant != Some(parent.as_raw_nonzero().to_string()) {
            // It may have died before this process could ask who it is. What it has sent lies in
            // the channel: listening sockets, which keep the ports taken as long as it is open.
            if meant.is_some() && is_unix_socket(rustix::stdio::stdin()) {
                forget_stdin()?;
            }
            return Ok(None);
        }
        step::reached("new-begins");
        let parent = Parent(parent);
        let stdin = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3);
        let stream = UnixStream::from(stdin.map_err(io::Error::from)?);
        forget_stdin()?;
        let mut channel = Channel::new(stream, SOCKETS_WITHIN)?;
        match introduce(&mut channel) {
            Ok((hello, sockets)) => {
                step::reached("new-introduced");
                let predecessor = Predecessor {
                    channel,
                    hello,
                    parent,
                };
                Ok(Some((predecessor, sockets)))
            }
            Err(PredecessorError::Died) if parent.dies() => Ok(None),
            Err(error) => {
                // If it does not hear this either, it finds that we have ended.
                let _ = channel.send(Kind::Refused, error.to_string().as_bytes(), None);
                Err(error)
            }
        }
    }

    /// Says why this process cannot take over.
    pub fn refuse(mut self, why: &str) {
        // If it does not hear this, it finds that we have ended.
        let _ = self.channel.send(Kind::Refused, why.as_bytes(), None);
    }

    /// Ids of clients are free from there on.
    #[must_use]
    pub fn client_ids_from(&self) -> u64 {
        self.hello.client_ids_from
    }

    /// What it knew when it started this process.
    pub fn known(&mut self) -> Sections {
        std::mem::take(&mut self.hello.known)
    }
}

/// Nothing is read from there any more.
fn forget_stdin() -> io::Result<()> {
    let null = rustix::fs::open("/dev/null", OFlags::RDONLY, Mode::empty())?;
    rustix::stdio::dup2_stdin(null)?;
    Ok(())
}

fn is_unix_socket(fd: BorrowedFd<'_>) -> bool {
    socket2::SockRef::from(&fd)
        .domain()
        .is_ok_and(|domain| domain == socket2::Domain::UNIX)
}

fn introduce(channel: &mut Channel) -> Result<(Hello, Vec<OwnedFd>), PredecessorError> {
    let hello: Hello = expect(said(channel)?, Kind::Hello)?.read()?;
    if hello.version != VERSION {
        return Err(PredecessorError::Version {
            theirs: hello.version,
        });
    }
    let mut sockets = Vec::new();
    loop {
        let frame = said(channel)?;
        match frame.kind {
            Kind::Socket => sockets.extend(frame.socket),
            _ => {
                expect(frame, Kind::Begin)?;
                return Ok((hello, sockets));
            }
        }
    }
}

fn said(channel: &mut Channel) -> Result<Frame, PredecessorError> {
    channel.receive().map_err(|error| match error.kind() {
        ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset => PredecessorError::Died,
        _ => PredecessorError::Broken(error),
    })
}

fn expect(frame: Frame, kind: Kind) -> io::Result<Frame> {
    match frame.kind == kind {
        true => Ok(frame),
        false => Err(invalid(format!("{:?} instead of {kind:?}", frame.kind))),
    }
}

/// What clients are taken with.
#[derive(Debug)]
pub struct NewSideSetup {
    /// All of them.
    pub workers: Vec<Sender<ToWorker>>,
    /// Where each pool listens, as `PoolIdx` counts them.
    pub addresses: Vec<String>,
}

/// What the control plane is told.
#[derive(Debug)]
pub enum FromNewSide {
    /// Serve from now on, and know this.
    Commit(Sections),
    /// Serve from now on: the old process is dead, and nothing more comes from it.
    Alone,
    /// The old process goes on alone: end.
    CalledOff(String),
    /// All clients that could come are here.
    Done {
        /// How many.
        clients: u64,
    },
    /// The old process said no more before it had said that that were all.
    Lost {
        /// How many have come.
        clients: u64,
        /// What happened.
        why: String,
    },
}

/// A hand-over under way.
#[derive(Debug)]
pub struct NewSide {
    ready: mpsc::Sender<()>,
    end: End,
    thread: JoinHandle<()>,
}

/// That this process has been told to end, whatever the thread waits for.
#[derive(Clone, Debug)]
struct End {
    channel: Arc<UnixStream>,
    why: Arc<OnceLock<&'static str>>,
}

impl NewSide {
    /// Begins; `tell` hears how it goes.
    ///
    /// # Errors
    ///
    /// When the system gives no thread.
    pub fn start(
        predecessor: Predecessor,
        setup: NewSideSetup,
        tell: Sender<FromNewSide>,
    ) -> io::Result<NewSide> {
        let (ready, is_ready) = mpsc::channel();
        let end = End {
            channel: Arc::new(predecessor.channel.other_handle()?),
            why: Arc::default(),
        };
        let taking = Taking {
            channel: predecessor.channel,
            parent: predecessor.parent,
            setup,
            end: end.clone(),
            clients: 0,
        };
        let named = thread::Builder::new().name("hand-over-new".to_owned());
        let thread = named.spawn(move || taking.run(&is_ready, &tell))?;
        Ok(NewSide { ready, end, thread })
    }

    /// This process could serve; after `FromNewSide::Commit`: it does, and the old one may end.
    pub fn ready(&self) {
        // Fails when the old process was lost meanwhile, which is told.
        let _ = self.ready.send(());
    }

    /// This process ends, and why. The old one serves on if it serves yet, else it ends, too.
    pub fn end(&self, why: &'static str) {
        let _ = self.end.why.set(why);
        // Nothing is waited for any more. It fails only when the other end is gone.
        let _ = self.end.channel.shutdown(Shutdown::Read);
        self.ready();
    }

    /// This process is over; if it was told to end the old one hears that first.
    pub fn finish(self) {
        if self.end.why.get().is_some() {
            // What it panicked of was said.
            let _ = self.thread.join();
        }
    }
}

/// The thread's own.
struct Taking {
    channel: Channel,
    parent: Parent,
    setup: NewSideSetup,
    end: End,
    clients: u64,
}

impl Taking {
    fn run(mut self, is_ready: &mpsc::Receiver<()>, tell: &Sender<FromNewSide>) {
        // The control plane has ended.
        if is_ready.recv().is_err() {
            return;
        }
        match self.become_ready() {
            Ok(known) => tell.send(FromNewSide::Commit(known)),
            Err(error) => return tell.send(self.not_committed(&error)),
        }
        step::reached("new-serving");
        let ended = self.take_clients().and_then(|()| {
            step::reached("new-end");
            // The old process must not end before this one has its doors open and the pid file.
            is_ready.recv().map_err(invalid)?;
            self.channel.say(Kind::Thanks)
        });
        if let Some(why) = self.end.why.get() {
            // If it does not hear this, it finds that we have ended.
            let _ = self.channel.send(Kind::Ended, why.as_bytes(), None);
        }
        step::reached("new-thanked");
        let clients = self.clients;
        tell.send(match ended {
            Ok(()) => FromNewSide::Done { clients },
            Err(error) => FromNewSide::Lost {
                clients,
                why: in_words(&error),
            },
        });
    }

    fn become_ready(&mut self) -> io::Result<Sections> {
        let ready = Ready {
            addresses: self.setup.addresses.clone(),
        };
        self.channel.allow(SILENT_WITHIN);
        if self.end.why.get().is_some() {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        self.channel.tell(Kind::Ready, &ready)?;
        step::reached("new-ready");
        let commit: Commit = expect(self.channel.receive()?, Kind::Commit)?.read()?;
        step::reached("new-committed");
        if self.end.why.get().is_some() {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        // When this has been said the old process serves no more, and not before.
        self.channel.say(Kind::Serving)?;
        Ok(commit.known)
    }

    fn not_committed(&mut self, error: &io::Error) -> FromNewSide {
        if let Some(why) = self.end.why.get() {
            let _ = self.channel.send(Kind::Refused, why.as_bytes(), None);
            return FromNewSide::CalledOff((*why).to_owned());
        }
        let is_closed = error.kind() != ErrorKind::TimedOut;
        // A process that lives and has closed the channel serves.
        if is_closed && self.parent.dies() {
            return FromNewSide::Alone;
        }
        // From here on it finds the channel closed.
        self.channel.close();
        FromNewSide::CalledOff(in_words(error))
    }

    fn take_clients(&mut self) -> io::Result<()> {
        let workers = self.setup.workers.clone();
        // One after the other: those of one worker of the old process are spread over all of ours.
        for worker in workers.iter().cycle() {
            let frame = self.channel.receive()?;
            if frame.kind == Kind::End {
                return Ok(());
            }
            step::reached("new-client");
            let parcel = parcel(expect(frame, Kind::Client)?, &self.setup.addresses);
            // Who is not ours by that is the old process's.
            self.channel.say(Kind::Taken)?;
            match parcel {
                Ok(parcel) => {
                    worker.send(ToWorker::Adopt(Arc::new(parcel)));
                    self.clients += 1;
                }
                Err(error) => tracing::warn!(%error, "a client could not be taken over"),
            }
            step::reached("new-taken");
        }
        Err(ErrorKind::BrokenPipe.into())
    }
}

fn in_words(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::TimedOut => {
            let within = SILENT_WITHIN.as_secs();
            format!("the old process has said nothing for {within} s")
        }
        ErrorKind::UnexpectedEof | ErrorKind::BrokenPipe | ErrorKind::ConnectionReset => {
            "the old process has closed the channel".to_owned()
        }
        _ => error.to_string(),
    }
}

fn parcel(frame: Frame, addresses: &[String]) -> io::Result<Parcel> {
    let socket = frame.socket;
    let socket = socket.ok_or_else(|| invalid("a client without a socket"))?;
    let client = read_client(&frame.bytes);
    let (address, state) = client.ok_or_else(|| invalid("a client without a pool"))?;
    let mut pools = (0u16..).map(PoolIdx).zip(addresses);
    let pool = pools.find(|(_, known)| *known == address);
    let (pool, _) = pool.ok_or_else(|| invalid("a client of no pool"))?;
    Ok(Parcel {
        pool,
        socket,
        state: ClientState::decode(state).map_err(invalid)?,
    })
}
