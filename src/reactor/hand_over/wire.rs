//! What two processes say to each other in a hand-over: frames on a Unix socket.
//!
//! A frame is a kind (one byte), the length of what follows (u32, little endian) and that; a
//! descriptor travels with the first byte.

use std::io;
use std::io::ErrorKind;
use std::io::IoSlice;
use std::io::IoSliceMut;
use std::io::Read;
use std::mem::MaybeUninit;
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::os::fd::BorrowedFd;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::event::PollFd;
use rustix::event::PollFlags;
use rustix::event::Timespec;
use rustix::event::poll;
use rustix::io::Errno;
use rustix::net::RecvAncillaryBuffer;
use rustix::net::RecvAncillaryMessage;
use rustix::net::RecvFlags;
use rustix::net::SendAncillaryBuffer;
use rustix::net::SendAncillaryMessage;
use rustix::net::SendFlags;
use rustix::net::recvmsg;
use rustix::net::sendmsg;
use serde::Deserialize;
use serde::Serialize;

use super::Sections;

/// What this program speaks. A process that speaks another refuses, and the old one goes on.
pub(super) const VERSION: u32 = 2;

/// The largest request there may be, twice: no frame is longer.
const FRAME_BYTES_MAX: usize = 2 * crate::protocol::resp::REQUEST_BYTES_MAX;

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Who speaks; `Hello`.
    Hello = 1,
    /// A listening socket.
    Socket = 2,
    /// That were all of them: get ready.
    Begin = 3,
    /// What will be served; `Ready`.
    Ready = 4,
    /// Why not, in words.
    Refused = 5,
    /// Serve; `Commit`.
    Commit = 6,
    /// A client: the length of its pool's address (u16), that, its state.
    Client = 7,
    /// That were all clients.
    End = 8,
    /// They are served.
    Thanks = 9,
    /// The new process serves from now on; before it has said so, it must not.
    Serving = 10,
    /// The new process has the next of the clients that were sent: the old one need not keep it.
    Taken = 11,
    /// Somebody has told the new process to end: both do. The words say more.
    Ended = 12,
}

const KINDS: [Kind; 12] = [
    Kind::Hello,
    Kind::Socket,
    Kind::Begin,
    Kind::Ready,
    Kind::Refused,
    Kind::Commit,
    Kind::Client,
    Kind::End,
    Kind::Thanks,
    Kind::Serving,
    Kind::Taken,
    Kind::Ended,
];

/// The first words of the old process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Hello {
    /// [`VERSION`]; it stays where it is in every version to come.
    pub(super) version: u32,
    /// Ids of clients from there on are free.
    #[serde(default)]
    pub(super) client_ids_from: u64,
    /// What the old process knows.
    #[serde(default)]
    pub(super) known: Sections,
}

/// What the new process is told when it is to serve.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Commit {
    /// What the old process knows by now.
    #[serde(default)]
    pub(super) known: Sections,
}

/// The new process's answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Ready {
    /// Where it has pools that listen, as `listen:` says it.
    pub(super) addresses: Vec<String>,
}

/// A frame that has come.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) kind: Kind,
    pub(super) bytes: Vec<u8>,
    pub(super) socket: Option<OwnedFd>,
}

impl Frame {
    /// What its bytes say to people.
    pub(super) fn words(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    /// What its bytes say.
    pub(super) fn read<T: for<'a> Deserialize<'a>>(&self) -> io::Result<T> {
        serde_json::from_slice(&self.bytes).map_err(invalid)
    }
}

/// One end of the socket. Nothing waits for ever: the other process may stand still anywhere.
#[derive(Debug)]
pub(super) struct Channel {
    stream: UnixStream,
    within: Duration,
}

impl Channel {
    /// Each frame is waited for, and each write, `within` this time.
    pub(super) fn new(stream: UnixStream, within: Duration) -> io::Result<Channel> {
        stream.set_nonblocking(true)?;
        Ok(Channel { stream, within })
    }

    /// The same for what comes from now on.
    pub(super) fn allow(&mut self, within: Duration) {
        self.within = within;
    }

    /// The same end once more, for a thread that does not wait.
    pub(super) fn other_handle(&self) -> io::Result<UnixStream> {
        self.stream.try_clone()
    }

    /// From now on the other process can neither be told anything, nor tell; what it has told is
    /// here yet.
    pub(super) fn close(&self) {
        // It fails only when the other end is gone.
        let _ = self.stream.shutdown(Shutdown::Both);
    }

    /// Sends a frame without anything in it.
    pub(super) fn say(&mut self, kind: Kind) -> io::Result<()> {
        self.send(kind, &[], None)
    }

    /// Sends a frame that says `words`.
    pub(super) fn tell(&mut self, kind: Kind, words: &impl Serialize) -> io::Result<()> {
        self.send(kind, &serde_json::to_vec(words).map_err(invalid)?, None)
    }

    /// Sends a frame, and a descriptor with it.
    pub(super) fn send(
        &mut self,
        kind: Kind,
        bytes: &[u8],
        socket: Option<BorrowedFd<'_>>,
    ) -> io::Result<()> {
        let length = u32::try_from(bytes.len()).map_err(invalid)?;
        let mut frame = vec![kind as u8];
        frame.extend_from_slice(&length.to_le_bytes());
        frame.extend_from_slice(bytes);
        let sockets: Vec<BorrowedFd<'_>> = socket.into_iter().collect();
        let mut patience = Patience::of(self.within);
        let mut sent = 0;
        while sent < frame.len() {
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
            let mut control = SendAncillaryBuffer::new(&mut space);
            // The descriptor goes with the first byte.
            if !sockets.is_empty() && sent == 0 {
                control.push(SendAncillaryMessage::ScmRights(&sockets));
            }
            let slices = [IoSlice::new(&frame[sent..])];
            match sendmsg(
                self.stream.as_fd(),
                &slices,
                &mut control,
                SendFlags::NOSIGNAL,
            ) {
                Ok(more) => sent += more,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => patience.wait(&self.stream, PollFlags::OUT)?,
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(())
    }

    /// Waits for the next frame.
    pub(super) fn receive(&mut self) -> io::Result<Frame> {
        let mut patience = Patience::of(self.within);
        loop {
            if let Some(frame) = self.received()? {
                return Ok(frame);
            }
            patience.wait(&self.stream, PollFlags::IN)?;
        }
    }

    /// The next frame, if one has come or begun to come.
    pub(super) fn received(&mut self) -> io::Result<Option<Frame>> {
        let mut head = [0; 5];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let received = loop {
            let mut slices = [IoSliceMut::new(&mut head)];
            let flags = RecvFlags::CMSG_CLOEXEC;
            match recvmsg(self.stream.as_fd(), &mut slices, &mut control, flags) {
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(None),
                received => break received?.bytes,
            }
        };
        let socket = control.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut sockets) => sockets.next(),
            _ => None,
        });
        if received == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        self.fill(&mut head[received..])?;
        let [kind, length @ ..] = head;
        let kind = KINDS.into_iter().find(|known| *known as u8 == kind);
        let kind = kind.ok_or_else(|| invalid("a frame of an unknown kind"))?;
        let length = usize::try_from(u32::from_le_bytes(length)).map_err(invalid)?;
        if length > FRAME_BYTES_MAX {
            return Err(invalid("a frame that is too long"));
        }
        let mut bytes = vec![0; length];
        self.fill(&mut bytes)?;
        Ok(Some(Frame {
            kind,
            bytes,
            socket,
        }))
    }

    // The rest of a frame that has begun.
    fn fill(&mut self, mut bytes: &mut [u8]) -> io::Result<()> {
        let mut patience = Patience::of(self.within);
        while !bytes.is_empty() {
            match self.stream.read(bytes) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(more) => bytes = &mut bytes[more..],
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    patience.wait(&self.stream, PollFlags::IN)?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// How long the other process is waited for. Only time in which this one runs counts: if it was
/// stopped itself, the other has perhaps answered long since, or was stopped with it.
struct Patience {
    left: Duration,
}

impl Patience {
    const STEP: Duration = Duration::from_millis(50);

    fn of(within: Duration) -> Patience {
        Patience { left: within }
    }

    fn wait(&mut self, stream: &UnixStream, event: PollFlags) -> io::Result<()> {
        loop {
            let step = Patience::STEP.min(self.left);
            let timeout = Timespec::try_from(step).map_err(invalid)?;
            let mut fds = [PollFd::new(stream, event)];
            match poll(&mut fds, Some(&timeout)) {
                Ok(0) if self.left.is_zero() => return Err(ErrorKind::TimedOut.into()),
                Ok(0) => self.left -= step,
                Ok(_) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }
}

pub(super) fn invalid(why: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, why)
}

/// A client's frame; `None` if it cannot be told.
pub(super) fn client_frame(address: &str, state: &[u8]) -> Option<Vec<u8>> {
    let length = u16::try_from(address.len()).ok()?;
    let mut frame = Vec::with_capacity(2 + address.len() + state.len());
    frame.extend_from_slice(&length.to_le_bytes());
    frame.extend_from_slice(address.as_bytes());
    frame.extend_from_slice(state);
    (frame.len() <= FRAME_BYTES_MAX).then_some(frame)
}

/// The address of the pool, and the state, of a client's frame.
pub(super) fn read_client(frame: &[u8]) -> Option<(&str, &[u8])> {
    let (length, rest) = frame.split_first_chunk()?;
    let (address, state) = rest.split_at_checked(usize::from(u16::from_le_bytes(*length)))?;
    Some((std::str::from_utf8(address).ok()?, state))
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::TcpListener;
    use std::net::TcpStream;

    use serde_json::Value;

    use super::*;
    use crate::proxy::ClientState;

    const WITHIN: Duration = Duration::from_millis(200);

    fn channel(stream: UnixStream) -> Channel {
        Channel::new(stream, WITHIN).unwrap()
    }

    #[test]
    fn who_says_nothing_or_reads_nothing_is_not_waited_for_for_ever() {
        let (near, far) = UnixStream::pair().unwrap();
        let mut near = channel(near);
        assert!(near.received().unwrap().is_none());
        assert_eq!(near.receive().unwrap_err().kind(), ErrorKind::TimedOut);
        let large = vec![0; 8 << 20];
        let error = near.send(Kind::Client, &large, None).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        // Part of a frame, and no more.
        let (near, mut part) = UnixStream::pair().unwrap();
        part.write_all(&[Kind::Client as u8, 9, 0, 0, 0, 1])
            .unwrap();
        let error = channel(near).receive().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        drop((far, part));
    }

    #[test]
    fn a_closed_channel_takes_nothing_more_and_what_was_said_before_is_heard() {
        let (near, far) = UnixStream::pair().unwrap();
        let (mut near, mut far) = (channel(near), channel(far));
        far.say(Kind::Serving).unwrap();
        near.close();
        far.say(Kind::Taken).unwrap_err();
        assert_eq!(near.receive().unwrap().kind, Kind::Serving);
        let error = near.receive().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
    }

    #[test]
    fn frames_come_as_they_were_sent_each_with_its_descriptor() {
        let (near, far) = UnixStream::pair().unwrap();
        let (mut near, mut far) = (channel(near), channel(far));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let hello = Hello {
            version: VERSION,
            client_ids_from: 7,
            known: Sections::from_iter([("mood".to_owned(), "good".into())]),
        };
        near.tell(Kind::Hello, &hello).unwrap();
        near.send(Kind::Socket, &[], Some(listener.as_fd()))
            .unwrap();
        near.say(Kind::Begin).unwrap();
        near.send(Kind::Client, b"state", Some(listener.as_fd()))
            .unwrap();
        drop((near, listener));
        let frame = far.receive().unwrap();
        assert_eq!(frame.kind, Kind::Hello);
        assert_eq!(frame.read::<Hello>().unwrap(), hello);
        assert!(frame.socket.is_none());
        let socket = far.receive().unwrap().socket.unwrap();
        TcpStream::connect(address).unwrap();
        assert_eq!(far.receive().unwrap().kind, Kind::Begin);
        let client = far.receive().unwrap();
        assert_eq!(client.bytes, b"state");
        assert!(client.socket.is_some());
        assert_eq!(far.receive().unwrap_err().kind(), ErrorKind::UnexpectedEof);
        drop((socket, client));
        TcpStream::connect(address).unwrap_err();
    }

    #[test]
    fn what_is_no_frame_is_an_error() {
        for bytes in [&[99, 0, 0, 0, 0][..], &[1, 255, 255, 255, 255], &[1, 0]] {
            let (mut near, far) = UnixStream::pair().unwrap();
            near.write_all(bytes).unwrap();
            drop(near);
            channel(far).receive().unwrap_err();
        }
    }

    #[test]
    fn a_clients_frame_is_read_as_it_was_written_and_garbage_is_none() {
        let frame = client_frame("127.0.0.1:1", b"state").unwrap();
        let expected = Some(("127.0.0.1:1", &b"state"[..]));
        assert_eq!(read_client(&frame), expected);
        for end in 0..frame.len() - 5 {
            assert_eq!(read_client(&frame[..end]), None);
        }
        assert_eq!(read_client(&[1, 0, 0xff]), None);
    }

    /// All that the old process of the first release says, with everything set, and all that the new one
    /// answers.
    const OLD: &[u8] = include_bytes!("../../../tests/fixtures/hand_over/old-to-new-0.1.bin");
    const NEW: &[u8] = include_bytes!("../../../tests/fixtures/hand_over/new-to-old-0.1.bin");

    fn frames(bytes: &[u8]) -> Vec<Frame> {
        let (mut near, far) = UnixStream::pair().unwrap();
        near.write_all(bytes).unwrap();
        drop(near);
        let mut far = channel(far);
        std::iter::from_fn(|| far.receive().ok()).collect()
    }

    fn kinds(frames: &[Frame]) -> Vec<Kind> {
        frames.iter().map(|frame| frame.kind).collect()
    }

    /// Whether whoever knows all of `before` finds it in `now`, too: more may be said beside it.
    fn still_says(now: &Value, before: &Value) -> bool {
        match (now, before) {
            (Value::Object(now), Value::Object(before)) => before
                .iter()
                .all(|(name, before)| now.get(name).is_some_and(|now| still_says(now, before))),
            (now, before) => now == before,
        }
    }

    fn is_understood<T: Serialize + for<'a> Deserialize<'a>>(frame: &Frame) -> T {
        let words: T = frame.read().unwrap();
        let before: Value = frame.read().unwrap();
        let now = serde_json::to_value(&words).unwrap();
        assert!(
            still_says(&now, &before),
            "{now} does not say all of {before}"
        );
        words
    }

    #[test]
    fn what_the_first_release_says_is_understood_and_what_is_said_now_it_understands() {
        let old = frames(OLD);
        let expected = [
            Kind::Hello,
            Kind::Socket,
            Kind::Begin,
            Kind::Commit,
            Kind::Client,
            Kind::End,
        ];
        assert_eq!(kinds(&old), expected);
        let hello: Hello = is_understood(&old[0]);
        assert_eq!((hello.version, hello.client_ids_from), (VERSION, 11));
        let commit: Commit = is_understood(&old[3]);
        assert_eq!(commit.known, hello.known);
        let (address, state) = read_client(&old[4].bytes).unwrap();
        assert_eq!(address, "127.0.0.1:22121");
        assert_eq!(client_frame(address, state).unwrap(), old[4].bytes);
        ClientState::decode(state).unwrap();

        let new = frames(NEW);
        let expected = [Kind::Ready, Kind::Serving, Kind::Taken, Kind::Thanks];
        assert_eq!(kinds(&new), expected);
        let ready: Ready = is_understood(&new[0]);
        assert_eq!(ready.addresses, ["127.0.0.1:22121"]);
    }
}
