//! A worker: one thread, one ring, one `Proxy`.
//!
//! Owns: the pass. Reap every completion and feed the `Proxy`; do what it asks; one send for every
//! connection that has bytes; one system call that submits all of it and waits.
#![expect(
    unsafe_code,
    reason = "promises the ring that what it points to stays in place"
)]

mod hand_over;

use std::os::fd::AsFd;
use std::os::fd::AsRawFd;
use std::os::fd::FromRawFd;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crate::base::PoolIdx;
use crate::base::Time;
use crate::base::WorkerIdx;
use crate::config::Config;
use crate::proxy::ConnId;
use crate::proxy::Output;
use crate::proxy::Proxy;
use crate::proxy::ProxySetup;
use crate::proxy::SocketAddress;
use crate::reactor::Receiver;
use crate::reactor::Sender;
use crate::reactor::admission::Admission;
use crate::reactor::admission::Entry;
use crate::reactor::admission::TurnedAway;
use crate::reactor::block::Filled;
use crate::reactor::clock::Clock;
use crate::reactor::memory::Memory;
use crate::reactor::memory::Watch;
use crate::reactor::message::Farewell;
use crate::reactor::message::FromWorker;
use crate::reactor::message::ToWorker;
use crate::reactor::ring::Completion;
use crate::reactor::ring::Patience;
use crate::reactor::ring::Ring;
use crate::reactor::socket::Outgoing;
use crate::reactor::socket::Rest;
use crate::reactor::socket::Socket;
use crate::reactor::token::Place;
use crate::reactor::token::Token;
use crate::reactor::wait::Wait;
use crate::stats::WorkerStats;

use hand_over::Leaving;

/// What a worker is given at its birth.
#[derive(Debug)]
pub struct WorkerSetup {
    /// Which worker.
    pub idx: WorkerIdx,
    /// How many there are.
    pub workers: u16,
    /// Where it runs; `None` lets the system choose.
    pub core: Option<core_affinity::CoreId>,
    /// Its own listening sockets.
    pub listeners: Vec<(PoolIdx, OwnedFd)>,
    /// The pools.
    pub config: Arc<Config>,
    /// Where it counts.
    pub stats: Arc<WorkerStats>,
    /// Which clients the process has room for.
    pub admission: Arc<Admission>,
    /// How much memory the process may have.
    pub memory: Arc<Memory>,
    /// What it is told.
    pub inbox: Receiver<ToWorker>,
    /// Where it tells.
    pub outbox: Sender<FromWorker>,
    /// Whether it is to wait for `Accept` before it does, and the id of its first client then.
    pub stands_by: Option<u64>,
    /// Where its random numbers begin.
    pub seed: u64,
    /// All workers have the same: they tell each other when a server failed.
    pub clock: Clock,
}

/// Starts a worker. It says `Started` when it serves, and `Stopped` at its end, with the cause.
///
/// # Errors
/// When the system gives no thread.
pub fn spawn(setup: WorkerSetup) -> std::io::Result<thread::JoinHandle<()>> {
    let name = format!("worker-{}", setup.idx.0);
    thread::Builder::new().name(name).spawn(move || {
        let farewell = Farewell::of(setup.idx, setup.outbox.clone());
        let ended = Worker::new(setup).and_then(Worker::run);
        farewell.say(ended.err().map(|error| error.to_string()));
    })
}

/// How long accepting rests when the process has no descriptor left.
const ACCEPT_REST: Duration = Duration::from_millis(100);

/// How often surplus memory is given back.
const TRIM_PERIOD: Duration = Duration::from_secs(1);

/// A longer send is likely to be cut short by a full socket, and is then gone on with at once.
const SILENT_BYTES_MAX: usize = 64 << 10;

/// When a short send that a full socket has cut is gone on with at the latest. Its reader has
/// megabytes yet to read by then.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// A server that vanishes without a word is found out in half a minute, also without `timeout`: by
/// probes while nothing is sent, and by what it does not acknowledge otherwise.
const PROBES: socket2::TcpKeepalive = socket2::TcpKeepalive::new()
    .with_time(Duration::from_secs(15))
    .with_interval(Duration::from_secs(5))
    .with_retries(3);
const UNACKNOWLEDGED_MAX: Duration = Duration::from_secs(30);

struct Listener {
    pool: PoolIdx,
    // None once it is closed, by a drain.
    fd: Option<OwnedFd>,
    armed: bool,
}

struct Worker {
    // Dropped first, see `Ring`.
    ring: Ring,
    proxy: Proxy,
    stats: Arc<WorkerStats>,
    idx: WorkerIdx,
    clock: Clock,
    wait: Wait,
    listeners: Vec<Listener>,
    clients: Vec<Option<Socket>>,
    servers: Vec<Option<Socket>>,
    admission: Arc<Admission>,
    inbox: Receiver<ToWorker>,
    outbox: Sender<FromWorker>,
    completions: Vec<Completion>,
    mail: Vec<ToWorker>,
    // When the ring's timer comes up.
    timer: Option<Time>,
    trim_at: Option<Time>,
    accept_again_at: Option<Time>,
    turned_away: TurnedAway,
    watch: Watch,
    // Sends are under way whose completions end no wait, see `Patience`.
    sent_silently: bool,
    look_again_at: Option<Time>,
    stands_by: bool,
    leaving: Option<Leaving>,
    drain_until: Option<Time>,
    drained: bool,
    stopped: bool,
}

impl Worker {
    fn new(setup: WorkerSetup) -> std::io::Result<Worker> {
        if let Some(core) = setup.core {
            if !core_affinity::set_for_current(core) {
                tracing::warn!(
                    worker = setup.idx.0,
                    core = core.id,
                    "worker could not be pinned"
                );
            }
        }
        let clock = setup.clock;
        let mut proxy = Proxy::new(ProxySetup {
            config: Arc::clone(&setup.config),
            stats: Arc::clone(&setup.stats),
            worker: setup.idx,
            workers: setup.workers,
            seed: setup.seed,
            epoch: clock.epoch(),
            process: std::process::id(),
        });
        proxy.number_clients_from(setup.stands_by.unwrap_or_default());
        let listeners = setup.listeners.into_iter().map(|(pool, fd)| {
            let socket = socket2::SockRef::from(&fd);
            // A non-blocking listener's accept would complete with EAGAIN instead of waiting.
            socket.set_nonblocking(false)?;
            Ok(Listener {
                pool,
                armed: false,
                fd: Some(fd),
            })
        });
        Ok(Worker {
            ring: Ring::new()?,
            proxy,
            stats: setup.stats,
            idx: setup.idx,
            clock,
            wait: Wait::default(),
            listeners: listeners.collect::<std::io::Result<_>>()?,
            clients: Vec::new(),
            servers: Vec::new(),
            admission: setup.admission,
            inbox: setup.inbox,
            outbox: setup.outbox,
            completions: Vec::new(),
            mail: Vec::new(),
            timer: None,
            trim_at: None,
            accept_again_at: None,
            turned_away: TurnedAway::default(),
            watch: Watch::new(setup.memory, setup.idx),
            sent_silently: false,
            look_again_at: None,
            stands_by: setup.stands_by.is_some(),
            leaving: None,
            drain_until: None,
            drained: false,
            stopped: false,
        })
    }

    fn run(mut self) -> std::io::Result<()> {
        self.ring
            .poll(self.inbox.as_fd().as_raw_fd(), Token::Mail.pack());
        let mut now = self.clock.now();
        self.accept_all();
        self.proxy.relieve(self.watch.at_rest(), now);
        self.proxy.start(now);
        self.outbox.send(FromWorker::Started(self.idx));
        while !self.stopped {
            self.act(now);
            self.transmit();
            self.watch_the_time(now);
            let plan = self.wait.plan();
            self.ring.submit_and_wait(plan.completions, plan.at_most)?;
            now = self.clock.now();
            self.stats.counters.passes.add(1);
            self.wait.turn(now);
            let mut completions = std::mem::take(&mut self.completions);
            self.ring.reap(&mut completions);
            for completion in completions.drain(..) {
                self.complete(completion, now)?;
            }
            self.completions = completions;
            self.look_at_the_time(now);
        }
        Ok(())
    }

    fn complete(&mut self, completion: Completion, now: Time) -> std::io::Result<()> {
        match Token::unpack(completion.token) {
            Token::Receive(place) => self.received(place, completion, now)?,
            Token::Send(place) => self.sent(place, completion, now),
            Token::Accept(listener) => self.accepted(listener, completion, now),
            Token::Connect(place) => self.connected(place, completion, now),
            Token::Cancel(place) => {
                if let Some(socket) = self.socket(place) {
                    socket.under_way -= 1;
                }
                self.close_if_idle(place);
            }
            Token::Timer => self.timer = None,
            Token::Mail => {
                if !completion.more {
                    self.ring
                        .poll(self.inbox.as_fd().as_raw_fd(), Token::Mail.pack());
                }
                self.read_mail(now);
            }
            Token::Nothing => {}
        }
        Ok(())
    }

    // --- receiving ---

    #[inline]
    fn received(&mut self, place: Place, completion: Completion, now: Time) -> std::io::Result<()> {
        let block = completion
            .buffer
            .and_then(|buffer| self.ring.take_buffer(buffer));
        let blocks = Arc::clone(self.ring.blocks());
        let kept = match self.socket(place) {
            None => block,
            Some(socket) => {
                if !completion.more {
                    socket.receiving = false;
                    socket.under_way -= 1;
                }
                let (conn, usable) = (socket.conn, !socket.closing && !socket.ended);
                match (usize::try_from(completion.result), block) {
                    (Ok(len), Some(block)) if usable && len > 0 => {
                        let mut seen = socket.seen;
                        self.wait.received(&mut seen);
                        if let Some(socket) = self.socket(place) {
                            socket.seen = seen;
                        }
                        let filled = Filled::new(block, len, &blocks);
                        self.proxy.received(conn, &filled, now);
                        filled.into_block()
                    }
                    (Ok(0), block) if usable => {
                        socket.ended = true;
                        self.proxy.received_end(conn, now);
                        block
                    }
                    (Err(_), block) if usable => {
                        self.receive_failed(place, -completion.result, now);
                        block
                    }
                    (_, block) => block,
                }
            }
        };
        if let Some(buffer) = completion.buffer {
            self.ring.recycle(buffer, kept)?;
            // A pass may bring more than there is between the thresholds.
            if self.watch.is_high() {
                self.look_at_memory(now);
            }
        }
        if !completion.more {
            self.receive_again(place);
            self.close_if_idle(place);
            self.go_if_idle(place, now);
        }
        Ok(())
    }

    fn receive_failed(&mut self, place: Place, errno: i32, now: Time) {
        let Some(socket) = self.socket(place) else {
            return;
        };
        match errno {
            // All buffers are in use until this pass ends, or the proxy had paused it.
            libc::ENOBUFS | libc::ECANCELED | libc::EINTR | libc::EAGAIN => {}
            errno => {
                socket.ended = true;
                let conn = socket.conn;
                self.proxy.failed(conn, errno, now);
            }
        }
    }

    fn receive_again(&mut self, place: Place) {
        let sockets = if place.is_server {
            &mut self.servers
        } else {
            &mut self.clients
        };
        let Some(Some(socket)) = sockets.get_mut(place.index as usize) else {
            return;
        };
        if socket.wants_receive && !socket.receiving && !socket.ended && !socket.closing {
            socket.receiving = true;
            socket.under_way += 1;
            self.ring.receive(socket.fd(), Token::Receive(place).pack());
        }
    }

    // --- sending ---

    fn transmit(&mut self) {
        while let Some((conn, batch)) = self.proxy.poll_transmit() {
            let place = Place::of(conn);
            let wake = self.proxy.awaits_sent(conn) || batch.len() > SILENT_BYTES_MAX;
            let patience = if wake {
                Patience::NoneAndWake
            } else {
                Patience::None
            };
            self.sent_silently |= !wake;
            let sockets = if place.is_server {
                &mut self.servers
            } else {
                &mut self.clients
            };
            let Some(Some(socket)) = sockets.get_mut(place.index as usize) else {
                continue;
            };
            let outgoing = socket.outgoing.insert(Outgoing::new(batch));
            socket.under_way += 1;
            let fd = socket.fd.as_raw_fd();
            send(&mut self.ring, fd, outgoing, patience, place);
        }
    }

    fn sent(&mut self, place: Place, completion: Completion, now: Time) {
        let sockets = if place.is_server {
            &mut self.servers
        } else {
            &mut self.clients
        };
        let Some(Some(socket)) = sockets.get_mut(place.index as usize) else {
            return;
        };
        socket.under_way -= 1;
        let conn = socket.conn;
        let Some(outgoing) = &mut socket.outgoing else {
            return;
        };
        let (taken, errno) = match usize::try_from(completion.result) {
            Ok(taken) => (taken, 0),
            Err(_) => (0, -completion.result),
        };
        outgoing.advance(taken);
        let goes_on = matches!(errno, 0 | libc::EAGAIN | libc::EINTR) && !socket.closing;
        if goes_on && !outgoing.is_done() {
            socket.under_way += 1;
            let fd = socket.fd.as_raw_fd();
            send(
                &mut self.ring,
                fd,
                outgoing,
                Patience::UntilAllIsSent,
                place,
            );
            return;
        }
        let broke = !outgoing.is_done() && !socket.closing;
        let batch = socket
            .outgoing
            .take()
            .map(Outgoing::into_batch)
            .unwrap_or_default();
        if broke {
            self.proxy.failed(conn, errno, now);
        }
        self.proxy.sent(conn, batch, now);
        self.close_if_idle(place);
        self.go_if_idle(place, now);
    }

    // --- opening and closing ---

    fn accepts(&self) -> bool {
        !self.stands_by && self.leaving.is_none() && self.drain_until.is_none()
    }

    fn accept_all(&mut self) {
        if !self.accepts() {
            return;
        }
        for (index, listener) in (0u32..).zip(&mut self.listeners) {
            if let (Some(fd), false) = (&listener.fd, listener.armed) {
                listener.armed = true;
                self.ring
                    .accept(fd.as_raw_fd(), Token::Accept(index).pack());
            }
        }
    }

    fn accepted(&mut self, index: u32, completion: Completion, now: Time) {
        let draining = self.drain_until.is_some();
        let Some(listener) = self.listeners.get_mut(index as usize) else {
            return;
        };
        if !completion.more {
            listener.armed = false;
            if draining {
                listener.fd = None;
            }
        }
        if completion.result < 0 {
            if self.accepts() {
                self.accept_failed(-completion.result, now);
            }
            return;
        }
        // SAFETY: the kernel has just made this descriptor for us, and nobody else knows it.
        let fd = unsafe { OwnedFd::from_raw_fd(completion.result) };
        let pool = listener.pool;
        // TCP_NODELAY and keepalive are inherited from the listener.
        let peer = socket2::SockRef::from(&fd)
            .peer_addr()
            .ok()
            .and_then(|peer| peer.as_socket());
        let entry = self.admission.enter(pool);
        if entry == Entry::NoFile {
            self.turned_away.say(self.idx, now);
        } else {
            let admitted = entry == Entry::Admitted;
            let conn = self.proxy.client_accepted(pool, peer, admitted, now);
            self.insert(Socket::new(conn, fd, Some(pool)));
            self.receive_again(Place::of(conn));
        }
        if !completion.more {
            self.accept_all();
        }
    }

    fn accept_failed(&mut self, errno: i32, now: Time) {
        match errno {
            libc::ECONNABORTED | libc::EINTR | libc::EAGAIN | libc::EPERM | libc::EPROTO => {
                self.accept_all();
            }
            errno => {
                let error = std::io::Error::from_raw_os_error(errno);
                if self.accept_again_at.is_none() {
                    tracing::warn!(worker = self.idx.0, %error, "accepting clients rests");
                }
                self.accept_again_at = Some(now + ACCEPT_REST);
            }
        }
    }

    fn connect(&mut self, conn: ConnId, address: &SocketAddress, keepalive: bool, now: Time) {
        let place = Place::of(conn);
        match open_socket(address, keepalive) {
            Ok((fd, address)) => {
                let mut socket = Socket::new(conn, fd, None);
                socket.wants_receive = false;
                socket.under_way = 1;
                let address = &**socket.address.insert(Box::new(address));
                // SAFETY: the address is boxed in the socket, which stays while this is under way.
                unsafe {
                    self.ring
                        .connect(socket.fd.as_raw_fd(), address, Token::Connect(place).pack());
                }
                self.insert(socket);
            }
            Err(error) => {
                let errno = error.raw_os_error().unwrap_or(libc::EINVAL);
                self.proxy.failed(conn, errno, now);
            }
        }
    }

    fn connected(&mut self, place: Place, completion: Completion, now: Time) {
        let Some(socket) = self.socket(place) else {
            return;
        };
        socket.under_way -= 1;
        socket.address = None;
        let conn = socket.conn;
        if socket.closing {
            self.close_if_idle(place);
        } else if completion.result < 0 {
            // The next attempt has a socket of its own.
            self.servers[place.index as usize] = None;
            self.proxy.failed(conn, -completion.result, now);
        } else {
            socket.wants_receive = true;
            self.receive_again(place);
            self.proxy.connected(conn, now);
        }
    }

    fn close(&mut self, conn: ConnId) {
        let place = Place::of(conn);
        let Some(socket) = self.socket(place) else {
            self.proxy.closed(conn);
            return;
        };
        socket.closing = true;
        if place.is_server {
            socket.forget_unsent();
        }
        if socket.under_way > 0 {
            socket.under_way += 1;
            let fd = socket.fd();
            self.ring.cancel_all(fd, Token::Cancel(place).pack());
        }
        self.close_if_idle(place);
    }

    fn close_if_idle(&mut self, place: Place) {
        let Some(socket) = self.socket(place) else {
            return;
        };
        if !socket.closing || socket.under_way > 0 {
            return;
        }
        let (conn, pool) = (socket.conn, socket.pool);
        let sockets = if place.is_server {
            &mut self.servers
        } else {
            &mut self.clients
        };
        sockets[place.index as usize] = None;
        if let Some(pool) = pool {
            self.admission.leave(pool);
        }
        self.proxy.closed(conn);
        if self.accept_again_at.take().is_some() {
            self.accept_all();
        }
    }

    fn insert(&mut self, socket: Socket) {
        let place = Place::of(socket.conn);
        let sockets = if place.is_server {
            &mut self.servers
        } else {
            &mut self.clients
        };
        let index = place.index as usize;
        if sockets.len() <= index {
            sockets.resize_with(index + 1, || None);
        }
        debug_assert!(sockets[index].is_none(), "a place is given twice");
        sockets[index] = Some(socket);
    }

    #[inline]
    fn socket(&mut self, place: Place) -> Option<&mut Socket> {
        let sockets = if place.is_server {
            &mut self.servers
        } else {
            &mut self.clients
        };
        sockets.get_mut(place.index as usize)?.as_mut()
    }

    // --- what the proxy asks, and what the control plane tells ---

    fn act(&mut self, now: Time) {
        while let Some(output) = self.proxy.poll_output(now) {
            match output {
                Output::Connect {
                    conn,
                    address,
                    keepalive,
                } => {
                    self.connect(conn, &address, keepalive, now);
                }
                Output::Pause(conn) => {
                    let place = Place::of(conn);
                    let Some(socket) = self.socket(place) else {
                        continue;
                    };
                    socket.wants_receive = false;
                    if socket.receiving {
                        self.ring
                            .cancel(Token::Receive(place).pack(), Token::Nothing.pack());
                    }
                }
                Output::Resume(conn) => {
                    let place = Place::of(conn);
                    if let Some(socket) = self.socket(place) {
                        socket.wants_receive = true;
                    }
                    self.receive_again(place);
                }
                Output::ShutdownWrite(conn) => {
                    if let Some(socket) = self.socket(Place::of(conn)) {
                        // Fails only if the peer has gone, which its receive says.
                        let _ =
                            socket2::SockRef::from(&socket.fd).shutdown(std::net::Shutdown::Write);
                    }
                }
                Output::Close(conn) => self.close(conn),
                Output::HandOver(conn) => self.let_go(conn, now),
                Output::Abort(conn) => {
                    if let Some(socket) = self.socket(Place::of(conn)) {
                        socket.forget_unsent();
                    }
                    self.close(conn);
                }
                Output::Resolve { pool, server } => {
                    self.outbox.send(FromWorker::Resolve { pool, server });
                }
                Output::Report(report) => self.outbox.send(FromWorker::Report(report)),
            }
        }
        self.look_who_leaves(now);
        if self.drain_until.is_some() && !self.drained && self.proxy.is_drained() {
            self.drained = true;
            self.outbox.send(FromWorker::Drained(self.idx));
        }
    }

    fn read_mail(&mut self, now: Time) {
        let mut mail = std::mem::take(&mut self.mail);
        self.inbox.take(&mut mail);
        for message in mail.drain(..) {
            match message {
                ToWorker::Change(change) => self.proxy.apply(&change, now),
                ToWorker::ShortOfMemory => {
                    let blocks = Arc::clone(self.ring.blocks());
                    self.watch.look(&mut self.proxy, &blocks, None, now);
                }
                ToWorker::Drain { within } => self.drain(within, now),
                ToWorker::LetGo { within } => self.proxy.let_go(within, now),
                ToWorker::Keep => self.proxy.keep(),
                ToWorker::Show(to) => self.show(&to),
                ToWorker::Accept => {
                    self.stands_by = false;
                    self.accept_all();
                }
                ToWorker::HandOver { pools, to, within } => {
                    self.hand_over(&pools, to, within, now);
                }
                ToWorker::KeepClients => self.keep_clients(),
                ToWorker::Adopt(parcel) => self.adopt_shared(parcel, now),
                // That there was a pass is the answer.
                ToWorker::Pass => {}
                ToWorker::Stop => self.stopped = true,
            }
        }
        self.mail = mail;
    }

    fn drain(&mut self, within: Duration, now: Time) {
        self.drain_until = Some(now + within);
        for (index, listener) in (0u32..).zip(&mut self.listeners) {
            if listener.armed {
                self.ring
                    .cancel(Token::Accept(index).pack(), Token::Nothing.pack());
            } else {
                listener.fd = None;
            }
        }
        self.proxy.drain(now);
    }

    // --- time ---

    /// Sees that the ring completes something when the nearest deadline comes.
    fn watch_the_time(&mut self, now: Time) {
        if self.trim_at.is_none() && self.ring.blocks().keeps_any() {
            self.trim_at = Some(now + TRIM_PERIOD);
        }
        if std::mem::take(&mut self.sent_silently) && self.look_again_at.is_none() {
            self.look_again_at = Some(now + LOOK_AGAIN);
        }
        let deadlines = [
            self.proxy.next_timeout(),
            self.look_again_at,
            self.trim_at,
            self.accept_again_at,
            self.watch.look_at(),
            self.leaving.as_ref().and_then(Leaving::until),
            self.drain_until.filter(|_| !self.drained),
        ];
        let Some(next) = deadlines.into_iter().flatten().min() else {
            return;
        };
        // One that comes up too early costs a pass; arming it anew each time costs every pass.
        if self.timer.is_none_or(|timer| next < timer) {
            self.timer = Some(next);
            self.ring.timeout(next.since(now), Token::Timer.pack());
        }
    }

    fn look_at_memory(&mut self, now: Time) {
        let blocks = Arc::clone(self.ring.blocks());
        let tell = Some(&self.outbox);
        self.watch.look(&mut self.proxy, &blocks, tell, now);
    }

    fn look_at_the_time(&mut self, now: Time) {
        if self.watch.is_high() || self.watch.look_at().is_some_and(|at| at <= now) {
            self.look_at_memory(now);
        }
        if self.proxy.next_timeout().is_some_and(|next| next <= now) {
            self.proxy.handle_timeout(now);
        }
        // That there was a pass is all that it takes.
        self.look_again_at = self.look_again_at.filter(|at| *at > now);
        if self.trim_at.is_some_and(|at| at <= now) {
            self.trim_at = None;
            self.ring.blocks().trim();
        }
        if self.accept_again_at.is_some_and(|at| at <= now) {
            self.accept_again_at = None;
            self.accept_all();
        }
        if self.drain_until.is_some_and(|until| until <= now) && !self.drained {
            self.drained = true;
            tracing::warn!(
                worker = self.idx.0,
                clients = self.proxy.client_count(),
                "clients were cut because draining took too long"
            );
            self.outbox.send(FromWorker::Drained(self.idx));
        }
    }
}

/// Submits the rest of a batch.
fn send(
    ring: &mut Ring,
    socket: std::os::fd::RawFd,
    outgoing: &mut Outgoing,
    patience: Patience,
    place: Place,
) {
    let token = Token::Send(place).pack();
    // SAFETY: the batch and the message stay in the socket's `Outgoing` until the completion has
    // come, and the socket stays in its place as long as anything is under way.
    unsafe {
        match outgoing.next() {
            Rest::Bytes(bytes) => ring.send(socket, bytes, patience, token),
            Rest::Message(message) => ring.send_message(socket, message, patience, token),
        }
    }
}

fn open_socket(
    address: &SocketAddress,
    keepalive: bool,
) -> std::io::Result<(OwnedFd, socket2::SockAddr)> {
    let (domain, address) = match address {
        SocketAddress::Tcp(address) => (
            socket2::Domain::for_address(*address),
            socket2::SockAddr::from(*address),
        ),
        SocketAddress::Unix(path) => (socket2::Domain::UNIX, socket2::SockAddr::unix(path)?),
    };
    let kind = socket2::Type::STREAM.cloexec();
    let socket = socket2::Socket::new(domain, kind, None)?;
    if domain != socket2::Domain::UNIX {
        socket.set_tcp_nodelay(true)?;
        if keepalive {
            socket.set_tcp_keepalive(&PROBES)?;
            socket.set_tcp_user_timeout(Some(UNACKNOWLEDGED_MAX))?;
        }
    }
    Ok((socket.into(), address))
}
