//! Sends as the reactor does: a first attempt takes what there is room for and completes at once,
//! mostly without waking anybody; a second one completes when all is sent.

use std::time::Duration;

use coremux::proxy::ConnId;

use crate::frame::parse_request;
use crate::link::Outgoing;
use crate::mark::Mark;
use crate::tally::Happening;
use crate::wire::End;
use crate::world::Event;
use crate::world::LinkId;
use crate::world::World;

/// As in the reactor: a longer send wakes its worker when it has completed.
const SILENT_BYTES_MAX: usize = 64 << 10;

/// As in the reactor: when silent sends are looked at if nothing else happens.
pub const LOOK_AGAIN: Duration = Duration::from_millis(10);

impl World {
    pub(super) fn transmit(&mut self, worker: usize) {
        while let Some((conn, batch)) = self.workers[worker].proxy.poll_transmit(self.now) {
            let wakes = self.workers[worker].proxy.awaits_sent(conn);
            let link = self.begin_send(worker, conn, Outgoing::new(batch));
            let long = self.links[link.0].last_send_bytes > SILENT_BYTES_MAX;
            self.attempt(link);
            if wakes || long {
                let completion = self.now + self.dice.micros(0, 20);
                self.schedule(completion, Event::SendCompletes(link));
                continue;
            }
            self.workers[worker].silent.push(link);
            if !std::mem::replace(&mut self.workers[worker].looks_again, true) {
                self.schedule(self.now + LOOK_AGAIN, Event::LookAgain(worker));
            }
        }
    }

    fn begin_send(&mut self, worker: usize, conn: ConnId, outgoing: Outgoing) -> LinkId {
        let id = self
            .link_of(worker, conn)
            .expect("bytes for a socket that is not there");
        self.expect_no_write_that_waits(worker, id, &outgoing.rest);
        let link = &mut self.links[id.0];
        let so_far = link.emitted.last().map_or(0, |(end, _)| *end);
        link.emitted
            .push((so_far + outgoing.rest.len() as u64, self.now));
        link.last_send_bytes = outgoing.rest.len();
        assert!(
            link.ended_by_proxy.is_none(),
            "bytes behind the end of a stream"
        );
        let socket = link
            .socket
            .as_mut()
            .expect("a link of a worker has a socket");
        assert!(
            socket.outgoing.is_none(),
            "a second batch before the first was sent"
        );
        socket.outgoing = Some(outgoing);
        socket.under_way += 1;
        id
    }

    /// As long as writes to a server wait, no batch for it has one.
    fn expect_no_write_that_waits(&self, worker: usize, id: LinkId, batch: &[u8]) {
        let Some(server) = self.server_of(id) else {
            return;
        };
        if !self.writes_wait(worker, server) {
            return;
        }
        let mut at = 0;
        while let Ok(Some((args, len))) = parse_request(&batch[at..]) {
            let args: Vec<&[u8]> = args.into_iter().map(|arg| &batch[at..][arg]).collect();
            let is_somebodys = args.iter().any(|arg| Mark::of(arg).is_some());
            assert!(
                !is_somebodys || self.oracle.is_read(&args),
                "a write is sent that is to wait"
            );
            at += len;
        }
    }

    pub fn looks_again(&mut self, worker: usize) {
        self.workers[worker].looks_again = false;
        self.wake(worker);
    }

    /// Gives the kernel as much as there is room for; whether it took anything.
    fn attempt(&mut self, id: LinkId) -> bool {
        let link = &mut self.links[id.0];
        let Some(outgoing) = link
            .socket
            .as_mut()
            .and_then(|socket| socket.outgoing.as_mut())
        else {
            return false;
        };
        if link.to_proxy.end == Some(End::Reset) {
            outgoing.errno = Some(*self.dice.pick(&[libc::ECONNRESET, libc::EPIPE]));
            return false;
        }
        let most = match self.dice.percent(80) {
            true => outgoing.rest.len(),
            false => self.dice.between(1, outgoing.rest.len()),
        };
        let step = most.min(link.to_peer.room());
        if step < outgoing.rest.len() {
            self.tally.count(Happening::PartialSend);
        }
        if step == 0 {
            return false;
        }
        let bytes = outgoing.rest.split_to(step);
        let arrivals = link.to_peer.write(bytes, self.now, &mut self.dice);
        self.land_at(id, false, arrivals);
        true
    }

    /// The first attempt of a send has completed.
    pub fn send_completes(&mut self, id: LinkId) {
        let link = &mut self.links[id.0];
        let worker = link.worker;
        let Some(socket) = &mut link.socket else {
            return;
        };
        let Some(outgoing) = &mut socket.outgoing else {
            return;
        };
        if socket.closing {
            return;
        }
        let (errno, done) = (outgoing.errno, outgoing.rest.is_empty());
        if errno.is_some() || done {
            self.wake(worker);
            self.sent(id, errno);
        } else {
            outgoing.until_all_is_sent = true;
            self.go_on_sending(id);
        }
    }

    /// A send that waits until all is sent has room, or a reason to fail.
    pub fn go_on_sending(&mut self, id: LinkId) {
        let link = &mut self.links[id.0];
        let worker = link.worker;
        let Some(socket) = &mut link.socket else {
            return;
        };
        if socket.closing
            || socket
                .outgoing
                .as_ref()
                .is_none_or(|o| !o.until_all_is_sent)
        {
            return;
        }
        let took = self.attempt(id);
        let Some(outgoing) = self.links[id.0]
            .socket
            .as_mut()
            .and_then(|s| s.outgoing.as_mut())
        else {
            return;
        };
        let (errno, done) = (outgoing.errno, outgoing.rest.is_empty());
        if errno.is_some() || done {
            self.wake(worker);
            self.sent(id, errno);
        } else if took {
            let next = self.now + self.dice.micros(0, 100);
            self.schedule(next, Event::GoOnSending(id));
        } else {
            outgoing.parked = true;
            self.links[id.0].was_parked = true;
            self.maybe_break(id);
        }
    }

    pub(super) fn sent(&mut self, id: LinkId, errno: Option<i32>) {
        let link = &mut self.links[id.0];
        let (worker, conn) = (link.worker, link.conn);
        let Some(socket) = &mut link.socket else {
            return;
        };
        let Some(outgoing) = socket.outgoing.take() else {
            return;
        };
        socket.under_way -= 1;
        // There may be room for more requests now.
        link.over_limit = None;
        if errno.is_some() {
            self.ends(id, errno);
        }
        let proxy = &mut self.workers[worker].proxy;
        proxy.sent(conn, outgoing.batch, self.now);
        self.close_if_idle(id);
    }

    /// There may be room again for what the proxy sends, or nobody left to read it.
    pub fn proxy_has_room(&mut self, id: LinkId) {
        if let Some(socket) = &mut self.links[id.0].socket {
            if let Some(outgoing) = &mut socket.outgoing {
                if std::mem::take(&mut outgoing.parked) {
                    self.schedule(self.now, Event::GoOnSending(id));
                }
            }
        }
    }
}
