//! One question to a server, and its answer, on a connection of their own.
//!
//! Owns: the connection. Never: knows what is asked or when the answer is whole; how long it may
//! take is the caller's to say.

use std::io;

use futures_lite::AsyncRead;
use futures_lite::AsyncReadExt;
use futures_lite::AsyncWrite;
use futures_lite::AsyncWriteExt;
use glommio::GlommioError;
use glommio::net::TcpStream;
use glommio::net::UnixStream;

use crate::messages::SocketAddress;

/// What is read at once.
const PIECE_BYTES: usize = 16 << 10;

/// Sends `question` and gives `hear` what the server says, piece by piece, until it knows.
///
/// # Errors
/// Those of the socket, and a server that closes before.
pub(super) async fn ask<T>(
    address: &SocketAddress,
    question: &[u8],
    hear: impl FnMut(&[u8]) -> Option<T>,
) -> io::Result<T> {
    match address {
        SocketAddress::Tcp(address) => {
            let stream = TcpStream::connect(address).await.map_err(io_error)?;
            converse(stream, question, hear).await
        }
        SocketAddress::Unix(path) => {
            let stream = UnixStream::connect(path).await.map_err(io_error)?;
            converse(stream, question, hear).await
        }
    }
}

fn io_error(error: GlommioError<()>) -> io::Error {
    error.into()
}

async fn converse<T>(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    question: &[u8],
    mut hear: impl FnMut(&[u8]) -> Option<T>,
) -> io::Result<T> {
    stream.write_all(question).await?;
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        let count = stream.read(&mut piece).await?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if let Some(known) = hear(&piece[..count]) {
            return Ok(known);
        }
    }
}
