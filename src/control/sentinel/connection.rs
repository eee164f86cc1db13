//! A connection to a Sentinel.
//!
//! Owns: the socket, from its name's lookup to its end. Never: how long anything may take; the
//! watcher closes what takes too long.

use std::io;
use std::rc::Rc;

use futures_lite::AsyncReadExt;
use futures_lite::AsyncWriteExt;
use futures_lite::future;
use glommio::Task;
use glommio::channels::local_channel;
use glommio::channels::local_channel::LocalReceiver;
use glommio::channels::local_channel::LocalSender;
use glommio::net::TcpStream;

use crate::config::HostPort;
use crate::sentinel::LinkId;

use super::drive::Happening;
use super::drive::Happenings;
use super::names::Names;

/// Most of what a Sentinel sends is a few hundred bytes.
const RECV_BYTES: usize = 4 << 10;

/// An open connection, or one that is being opened; dropping it closes it.
pub(super) struct Connection {
    outbox: LocalSender<Vec<u8>>,
    _task: Task<()>,
}

impl Connection {
    /// Opens a connection and tells `happenings` what becomes of it.
    pub(super) fn open(
        link: LinkId,
        address: HostPort,
        names: &Rc<Names>,
        happenings: &Rc<Happenings>,
    ) -> Connection {
        let (outbox, out) = local_channel::new_unbounded();
        let (names, happenings) = (Rc::clone(names), Rc::clone(happenings));
        let task = glommio::spawn_local(async move {
            let why = match connect(&address, &names).await {
                Ok(stream) => {
                    happenings.tell(Happening::Connected(link));
                    converse(stream, link, out, &happenings).await
                }
                Err(error) => error.to_string(),
            };
            happenings.tell(Happening::Closed(link, why));
        });
        Connection {
            outbox,
            _task: task,
        }
    }

    /// Sends bytes behind those given before.
    pub(super) fn send(&self, bytes: Vec<u8>) {
        // It fails only when the connection has ended, which is told.
        let _ = self.outbox.try_send(bytes);
    }
}

/// Connects to the first address that accepts.
async fn connect(address: &HostPort, names: &Rc<Names>) -> io::Result<TcpStream> {
    let mut end = io::Error::new(io::ErrorKind::NotFound, "its name is not known");
    for at in names.resolve(address).await {
        match TcpStream::connect(at).await {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(error) => end = error.into(),
        }
    }
    Err(end)
}

/// Sends and receives until the connection ends: why it did.
async fn converse(
    stream: TcpStream,
    link: LinkId,
    out: LocalReceiver<Vec<u8>>,
    happenings: &Happenings,
) -> String {
    let (mut read, mut write) = futures_lite::io::split(stream);
    let receive = async {
        let mut bytes = [0; RECV_BYTES];
        loop {
            match read.read(&mut bytes).await {
                Ok(0) => return "closed by the Sentinel".to_owned(),
                Ok(count) => {
                    happenings.tell(Happening::Received(link, bytes[..count].to_vec()));
                }
                Err(error) => return error.to_string(),
            }
        }
    };
    let send = async {
        while let Some(bytes) = out.recv().await {
            if let Err(error) = write.write_all(&bytes).await {
                return error.to_string();
            }
        }
        "no longer wanted".to_owned()
    };
    future::or(receive, send).await
}
