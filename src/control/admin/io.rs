//! glommio's streams as hyper reads and writes them.

use std::io;
use std::pin::Pin;
use std::task::Context;
use std::task::Poll;
use std::task::ready;

use futures_lite::AsyncRead;
use futures_lite::AsyncWrite;
use hyper::rt::ReadBufCursor;

/// What is read at once: requests are smaller.
const PIECE: usize = 4 << 10;

/// What a peer may send after the answer, and is read away: more than any request that was refused
/// halfway.
const UNWANTED_BYTES_MAX: usize = 256 << 10;

/// A stream for hyper.
#[derive(Debug)]
pub(super) struct Io<S> {
    stream: S,
    said_goodbye: bool,
    unwanted: usize,
}

impl<S> Io<S> {
    pub(super) fn new(stream: S) -> Io<S> {
        Io {
            stream,
            said_goodbye: false,
            unwanted: 0,
        }
    }
}

impl<S: AsyncRead + Unpin> hyper::rt::Read for Io<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let mut piece = [0; PIECE];
        let room = buffer.remaining().min(PIECE);
        let piece = &mut piece[..room];
        let read = ready!(Pin::new(&mut self.stream).poll_read(cx, piece))?;
        buffer.put_slice(&piece[..read]);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> hyper::rt::Write for Io<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    // Closing with unread input would send a reset, which can overtake the answer: so what the peer
    // still sends (the rest of a head that was too long) is read away until it closes, too.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.said_goodbye {
            ready!(Pin::new(&mut self.stream).poll_close(cx))?;
            self.said_goodbye = true;
        }
        let mut piece = [0; PIECE];
        while self.unwanted < UNWANTED_BYTES_MAX {
            match ready!(Pin::new(&mut self.stream).poll_read(cx, &mut piece))? {
                0 => break,
                read => self.unwanted += read,
            }
        }
        Poll::Ready(Ok(()))
    }
}
