//! What two processes say to each other in a hand-over: frames on a Unix socket.
//!
//! A frame is a kind (one byte), the length of what follows (u32, little endian) and that; a
//! descriptor travels with the first byte.

use std::io;
use std::io::ErrorKind;
use std::io::IoSlice;
use std::io::IoSliceMut;
use std::io::Read;
use std::io::Write;
use std::mem::MaybeUninit;
use std::os::fd::AsFd;
use std::os::fd::BorrowedFd;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

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
}

const KINDS: [Kind; 9] = [
    Kind::Hello,
    Kind::Socket,
    Kind::Begin,
    Kind::Ready,
    Kind::Refused,
    Kind::Commit,
    Kind::Client,
    Kind::End,
    Kind::Thanks,
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
    /// What its bytes say.
    pub(super) fn read<T: for<'a> Deserialize<'a>>(&self) -> io::Result<T> {
        serde_json::from_slice(&self.bytes).map_err(invalid)
    }
}

/// One end of the socket.
#[derive(Debug)]
pub(super) struct Channel(pub(super) UnixStream);

impl Channel {
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
        let mut head = [0; 5];
        head[0] = kind as u8;
        head[1..].copy_from_slice(&length.to_le_bytes());
        let sockets: Vec<BorrowedFd<'_>> = socket.into_iter().collect();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !sockets.is_empty() {
            control.push(SendAncillaryMessage::ScmRights(&sockets));
        }
        let sent = loop {
            let (slices, flags) = ([IoSlice::new(&head)], SendFlags::NOSIGNAL);
            match sendmsg(self.0.as_fd(), &slices, &mut control, flags) {
                Err(rustix::io::Errno::INTR) => {}
                sent => break sent?,
            }
        };
        self.0.write_all(&head[sent..])?;
        self.0.write_all(bytes)
    }

    /// Waits for the next frame.
    pub(super) fn receive(&mut self) -> io::Result<Frame> {
        let mut head = [0; 5];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let received = loop {
            let mut slices = [IoSliceMut::new(&mut head)];
            let flags = RecvFlags::CMSG_CLOEXEC;
            match recvmsg(self.0.as_fd(), &mut slices, &mut control, flags) {
                Err(rustix::io::Errno::INTR) => {}
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
        self.0.read_exact(&mut head[received..])?;
        let [kind, length @ ..] = head;
        let kind = KINDS.into_iter().find(|known| *known as u8 == kind);
        let kind = kind.ok_or_else(|| invalid("a frame of an unknown kind"))?;
        let length = usize::try_from(u32::from_le_bytes(length)).map_err(invalid)?;
        if length > FRAME_BYTES_MAX {
            return Err(invalid("a frame that is too long"));
        }
        let mut bytes = vec![0; length];
        self.0.read_exact(&mut bytes)?;
        Ok(Frame {
            kind,
            bytes,
            socket,
        })
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
    use std::net::TcpListener;
    use std::net::TcpStream;

    use super::*;

    #[test]
    fn frames_come_as_they_were_sent_each_with_its_descriptor() {
        let (near, far) = UnixStream::pair().unwrap();
        let (mut near, mut far) = (Channel(near), Channel(far));
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
            Channel(far).receive().unwrap_err();
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
}
