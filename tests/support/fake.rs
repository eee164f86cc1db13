//! A server that does whatever a test wants: answers late, wrongly, in pieces, or not at all.

use std::collections::HashMap;
use std::io::BufRead;
use std::io::BufReader;
use std::io::Write;
use std::net::Ipv4Addr;
use std::net::Shutdown;
use std::net::SocketAddr;
use std::net::TcpListener;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;

use super::PATIENCE;
use super::Reply;

/// A listening socket of the test's own; every connection runs the test's function on a thread.
///
/// Dropping it closes everything and waits for the threads; one that panicked fails the test.
#[derive(Debug)]
pub struct FakeServer {
    address: SocketAddr,
    state: Arc<State>,
    accepting: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct State {
    ended: AtomicBool,
    connections: AtomicUsize,
    asked: AtomicUsize,
    streams: Mutex<HashMap<usize, TcpStream>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// One connection that the proxy has made.
#[derive(Debug)]
pub struct FakeConn {
    stream: BufReader<TcpStream>,
    /// How many were made before it.
    pub number: usize,
    asked: bool,
    state: Arc<State>,
}

impl FakeServer {
    /// Starts one; `serve` has the connection until it returns, which closes it.
    pub fn start(serve: impl Fn(FakeConn) + Send + Sync + 'static) -> FakeServer {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State::default());
        let accepting = std::thread::spawn({
            let state = Arc::clone(&state);
            move || accept(&listener, &state, &Arc::new(serve))
        });
        FakeServer {
            address,
            state,
            accepting: Some(accepting),
        }
    }

    /// The same where each request is answered by itself: with the bytes to send, or `None` to
    /// close.
    pub fn answering(
        answer: impl Fn(&[Vec<u8>]) -> Option<Vec<u8>> + Send + Sync + 'static,
    ) -> FakeServer {
        FakeServer::start(move |mut conn| {
            while let Some(request) = conn.request() {
                match answer(&request) {
                    Some(reply) => conn.send(&reply),
                    None => return,
                }
            }
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many connections were made to it.
    pub fn connections(&self) -> usize {
        self.state.connections.load(Ordering::SeqCst)
    }

    /// On how many of them it was asked for more than that it serves.
    pub fn asked(&self) -> usize {
        self.state.asked.load(Ordering::SeqCst)
    }
}

impl Drop for FakeServer {
    fn drop(&mut self) {
        self.state.ended.store(true, Ordering::SeqCst);
        // It waits in accept(2); a connection wakes it.
        let _ = TcpStream::connect(self.address);
        let accepted = self.accepting.take().map(JoinHandle::join);
        for (_, stream) in self.state.streams.lock().unwrap().drain() {
            let _ = stream.shutdown(Shutdown::Both);
        }
        let threads: Vec<_> = self.state.threads.lock().unwrap().drain(..).collect();
        let all_well = threads
            .into_iter()
            .map(JoinHandle::join)
            .chain(accepted)
            .all(|end| end.is_ok());
        assert!(
            all_well || std::thread::panicking(),
            "a fake server's thread panicked"
        );
    }
}

fn accept(
    listener: &TcpListener,
    state: &Arc<State>,
    serve: &Arc<impl Fn(FakeConn) + Send + Sync + 'static>,
) {
    loop {
        let (stream, _) = listener.accept().unwrap();
        if state.ended.load(Ordering::SeqCst) {
            return;
        }
        let number = state.connections.fetch_add(1, Ordering::SeqCst);
        stream.set_nodelay(true).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        state
            .streams
            .lock()
            .unwrap()
            .insert(number, stream.try_clone().unwrap());
        let (serve, of_conn) = (Arc::clone(serve), Arc::clone(state));
        let thread = std::thread::spawn(move || {
            serve(FakeConn {
                stream: BufReader::new(stream),
                number,
                asked: false,
                state: Arc::clone(&of_conn),
            });
            of_conn.close(number);
        });
        state.threads.lock().unwrap().push(thread);
    }
}

impl State {
    /// Closes the copy that is kept to end a connection from outside.
    fn close(&self, number: usize) {
        if let Some(stream) = self.streams.lock().unwrap().remove(&number) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl FakeConn {
    /// The next request's arguments; `None` when the proxy has closed. That it serves, which the
    /// proxy asks a server that has failed, it says by itself.
    pub fn request(&mut self) -> Option<Vec<Vec<u8>>> {
        loop {
            let request = self.any_request()?;
            if request != [b"PING"] {
                if !std::mem::replace(&mut self.asked, true) {
                    self.state.asked.fetch_add(1, Ordering::SeqCst);
                }
                return Some(request);
            }
            self.send(b"+PONG\r\n");
        }
    }

    /// The next line, with its end; `None` when the proxy has closed.
    pub fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let read = self.stream.read_line(&mut line);
        read.is_ok_and(|bytes| bytes > 0).then_some(line)
    }

    fn any_request(&mut self) -> Option<Vec<Vec<u8>>> {
        match Reply::read(&mut self.stream) {
            Ok(Reply::Array(args)) => Some(
                args.into_iter()
                    .map(|arg| match arg {
                        Reply::Bulk(bytes) => bytes,
                        other => panic!("no argument: {other:?}"),
                    })
                    .collect(),
            ),
            Ok(other) => panic!("no request: {other:?}"),
            Err(_) => None,
        }
    }

    /// Sends bytes as they are; that the proxy has closed is no failure.
    pub fn send(&mut self, bytes: &[u8]) {
        let _ = self.stream.get_mut().write_all(bytes);
    }

    /// Sends bytes and an end, in one segment if they fit.
    pub fn send_and_end(&mut self, bytes: &[u8]) {
        let _ = socket2::SockRef::from(self.stream.get_ref()).set_tcp_cork(true);
        self.send(bytes);
        self.shutdown_write();
    }

    /// Waits until the proxy closes, and throws away what comes.
    pub fn wait_for_end(&mut self) {
        let _ = std::io::copy(&mut self.stream, &mut std::io::sink());
    }

    /// Sends nothing more, and goes on receiving.
    pub fn shutdown_write(&self) {
        let _ = self.stream.get_ref().shutdown(Shutdown::Write);
    }

    /// Closes with a reset in place of an end.
    pub fn reset(self) {
        let socket = socket2::SockRef::from(self.stream.get_ref());
        socket.set_linger(Some(std::time::Duration::ZERO)).unwrap();
        self.state.streams.lock().unwrap().remove(&self.number);
    }
}
