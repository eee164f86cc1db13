//! The new process's side: takes sockets before it starts, and clients when it serves.
//!
//! Lives on: a thread of its own, for as long as a hand-over takes; it may wait.

use std::io;
use std::io::ErrorKind;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread;
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
use super::giver::VARIABLE;
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

/// What the old process may take at the most to let clients go, and more.
const CLIENTS_WITHIN: Duration = Duration::from_secs(60);

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
}

/// The process that hands over to this one. Dropped, it goes on alone.
#[derive(Debug)]
pub struct Predecessor {
    channel: Channel,
    hello: Hello,
}

impl Predecessor {
    /// The process that has started this one to take over from it, and its listening sockets;
    /// `None` if nobody has.
    ///
    /// # Errors
    ///
    /// When it cannot be understood; it is told.
    pub fn find() -> Result<Option<(Predecessor, Vec<OwnedFd>)>, PredecessorError> {
        let parent = rustix::process::getppid().map(|pid| pid.as_raw_nonzero().to_string());
        // A program that we start is not meant, although it inherits the variable.
        if parent.is_none() || std::env::var(VARIABLE).ok() != parent {
            return Ok(None);
        }
        let stdin = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3);
        let stream = UnixStream::from(stdin.map_err(io::Error::from)?);
        let null = rustix::fs::open("/dev/null", OFlags::RDONLY, Mode::empty());
        rustix::stdio::dup2_stdin(null.map_err(io::Error::from)?).map_err(io::Error::from)?;
        stream.set_read_timeout(Some(SOCKETS_WITHIN))?;
        let mut channel = Channel(stream);
        match introduce(&mut channel) {
            Ok((hello, sockets)) => Ok(Some((Predecessor { channel, hello }, sockets))),
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

fn introduce(channel: &mut Channel) -> Result<(Hello, Vec<OwnedFd>), PredecessorError> {
    let hello: Hello = expect(channel.receive()?, Kind::Hello)?.read()?;
    if hello.version != VERSION {
        return Err(PredecessorError::Version {
            theirs: hello.version,
        });
    }
    let mut sockets = Vec::new();
    loop {
        let frame = channel.receive()?;
        match frame.kind {
            Kind::Socket => sockets.extend(frame.socket),
            _ => {
                expect(frame, Kind::Begin)?;
                return Ok((hello, sockets));
            }
        }
    }
}

fn expect(frame: Frame, kind: Kind) -> io::Result<Frame> {
    match frame.kind == kind {
        true => Ok(frame),
        false => Err(invalid(format!("{:?} instead of {kind:?}", frame.kind))),
    }
}

/// What clients are taken with.
#[derive(Debug)]
pub struct TakerSetup {
    /// All of them.
    pub workers: Vec<Sender<ToWorker>>,
    /// Where each pool listens, as `PoolIdx` counts them.
    pub addresses: Vec<String>,
}

/// What the control plane is told.
#[derive(Debug)]
pub enum FromTaker {
    /// Serve from now on, and know this.
    Commit(Sections),
    /// The old process goes on alone: end.
    CalledOff(String),
    /// All clients that could come are here.
    Done {
        /// How many.
        clients: u64,
    },
    /// The old process ended before it said that that were all.
    Lost {
        /// How many have come.
        clients: u64,
        /// What happened.
        why: String,
    },
}

/// A hand-over under way.
#[derive(Debug)]
pub struct Taker {
    ready: mpsc::Sender<()>,
}

impl Taker {
    /// Begins; `tell` hears how it goes.
    ///
    /// # Errors
    ///
    /// When the system gives no thread.
    pub fn start(
        predecessor: Predecessor,
        setup: TakerSetup,
        tell: Sender<FromTaker>,
    ) -> io::Result<Taker> {
        let (ready, is_ready) = mpsc::channel();
        let named = thread::Builder::new().name("taker".to_owned());
        named.spawn(move || take(predecessor.channel, &setup, &is_ready, &tell))?;
        Ok(Taker { ready })
    }

    /// This process could serve; after `FromTaker::Commit`: it does, and the old one may end.
    pub fn ready(&self) {
        // Fails when the old process was lost meanwhile, which is told.
        let _ = self.ready.send(());
    }
}

fn take(
    mut channel: Channel,
    setup: &TakerSetup,
    is_ready: &mpsc::Receiver<()>,
    tell: &Sender<FromTaker>,
) {
    let committed = match is_ready.recv() {
        Ok(()) => get_ready(&mut channel, setup),
        // The control plane has ended.
        Err(_) => return,
    };
    match committed {
        Ok(known) => tell.send(FromTaker::Commit(known)),
        Err(error) => return tell.send(FromTaker::CalledOff(error.to_string())),
    }
    let mut clients = 0;
    let ended = take_clients(&mut channel, setup, &mut clients).and_then(|()| {
        // The old process must not end before this one has its doors open and the pid file.
        is_ready.recv().map_err(invalid)?;
        channel.say(Kind::Thanks)
    });
    tell.send(match ended {
        Ok(()) => FromTaker::Done { clients },
        Err(error) => FromTaker::Lost {
            clients,
            why: error.to_string(),
        },
    });
}

fn get_ready(channel: &mut Channel, setup: &TakerSetup) -> io::Result<Sections> {
    let ready = Ready {
        addresses: setup.addresses.clone(),
    };
    channel.tell(Kind::Ready, &ready)?;
    channel.0.set_read_timeout(Some(CLIENTS_WITHIN))?;
    let commit: Commit = expect(channel.receive()?, Kind::Commit)?.read()?;
    Ok(commit.known)
}

fn take_clients(channel: &mut Channel, setup: &TakerSetup, clients: &mut u64) -> io::Result<()> {
    // One after the other: those of one worker of the old process are spread over all of ours.
    let mut workers = setup.workers.iter().cycle();
    loop {
        let frame = channel.receive()?;
        if frame.kind == Kind::End {
            return Ok(());
        }
        let parcel = parcel(expect(frame, Kind::Client)?, &setup.addresses);
        match (parcel, workers.next()) {
            (Ok(parcel), Some(worker)) => {
                worker.send(ToWorker::Adopt(Arc::new(parcel)));
                *clients += 1;
            }
            (Err(error), _) => tracing::warn!(%error, "a client could not be taken over"),
            (Ok(_), None) => return Err(ErrorKind::BrokenPipe.into()),
        }
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
