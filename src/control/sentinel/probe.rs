//! Asks a server for its `ROLE`, or how far its data goes.
//!
//! Owns: the socket of one question. Never: reads the answer, which `sentinel` does.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use futures_lite::AsyncReadExt;
use futures_lite::AsyncWriteExt;
use futures_lite::future;
use glommio::net::TcpStream;

use crate::config::HostPort;
use crate::config::Secret;
use crate::sentinel::Measured;
use crate::sentinel::Probed;
use crate::sentinel::Replication;
use crate::sentinel::ReplicationQuestion;
use crate::sentinel::RoleAnswer;
use crate::sentinel::RoleQuestion;

use super::names::Names;

/// A server that is alive answers in milliseconds; one that does not is asked again.
const WITHIN: Duration = Duration::from_secs(1);

/// A replica that does not answer is read no longer; one that has too much to do to answer soon had
/// better not be read either.
const MEASURED_WITHIN: Duration = Duration::from_millis(400);

/// `ROLE` names the replicas: some 50 bytes each.
const RECV_BYTES: usize = 4 << 10;

/// Asks the server at `address`, which logs in with `password`.
pub(super) async fn ask(
    address: &HostPort,
    password: Option<&Secret>,
    names: &Rc<Names>,
) -> Probed {
    let too_late = async {
        glommio::timer::sleep(WITHIN).await;
        Probed::Failed
    };
    future::or(ask_all(address, password, names), too_late).await
}

// Of the addresses that a name has, the first that is a master's.
async fn ask_all(address: &HostPort, password: Option<&Secret>, names: &Rc<Names>) -> Probed {
    let mut answer = Probed::Failed;
    for at in names.resolve(address).await {
        match ask_one(at, password).await {
            Ok(RoleAnswer::Master) => return Probed::Master { at },
            Ok(RoleAnswer::NotMaster) => answer = Probed::NotMaster,
            Ok(RoleAnswer::Refused(words)) => {
                tracing::debug!(%at, words, "server does not tell its role");
            }
            Err(error) => tracing::debug!(%at, %error, "server cannot be asked for its role"),
        }
    }
    answer
}

/// Asks the server at `address` how far its data goes.
pub(super) async fn measure(
    address: &HostPort,
    password: Option<&Secret>,
    names: &Rc<Names>,
) -> Measured {
    let too_late = async {
        glommio::timer::sleep(MEASURED_WITHIN).await;
        Measured::Failed
    };
    let asking = async {
        for at in names.resolve(address).await {
            match measure_one(at, password).await {
                Ok(Some(says)) => return Measured::Answer { at, says },
                Ok(None) => tracing::debug!(%at, "server does not tell its replication"),
                Err(error) => tracing::debug!(%at, %error, "server cannot be measured"),
            }
        }
        Measured::Failed
    };
    future::or(asking, too_late).await
}

async fn measure_one(at: SocketAddr, password: Option<&Secret>) -> io::Result<Option<Replication>> {
    let (mut question, bytes) = ReplicationQuestion::new(password);
    converse(at, &bytes, |bytes| question.received(bytes)).await
}

async fn ask_one(at: SocketAddr, password: Option<&Secret>) -> io::Result<RoleAnswer> {
    let (mut question, bytes) = RoleQuestion::new(password);
    converse(at, &bytes, |bytes| question.received(bytes)).await
}

/// Sends `question` on a new connection and gives what comes back to `received` until that has the
/// answer.
async fn converse<T>(
    at: SocketAddr,
    question: &[u8],
    mut received: impl FnMut(&[u8]) -> Option<T>,
) -> io::Result<T> {
    let mut stream = TcpStream::connect(at).await?;
    stream.set_nodelay(true)?;
    stream.write_all(question).await?;
    let mut bytes = [0; RECV_BYTES];
    loop {
        let count = stream.read(&mut bytes).await?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if let Some(answer) = received(&bytes[..count]) {
            return Ok(answer);
        }
    }
}
