//! Reads a client's requests and sends each where it belongs.
//!
//! Owns: the way from received bytes to a queued request, or to a reply in place. A well-formed
//! frame always gets its reply in its place in the stream; only a broken one ends the client.

use bytes::Bytes;

use crate::base::ByteQueue;
use crate::base::Chunk;
use crate::base::Key;
use crate::base::Time;
use crate::protocol::Expect;
use crate::protocol::ProtocolError;
use crate::protocol::Request;
use crate::protocol::command::Args;
use crate::protocol::command::CommandError;
use crate::proxy::Proxy;
use crate::proxy::client::Client;
use crate::proxy::client::Phase;
use crate::proxy::client::ending::End;
use crate::proxy::dispatch::forward::Desk;
use crate::proxy::dispatch::forward::Forwarded;
use crate::proxy::effects::ConnId;
use crate::proxy::effects::Output;
use crate::proxy::failure::Answer;
use crate::proxy::failure::RequestError;
use crate::proxy::plan;
use crate::proxy::plan::Plan;

impl Proxy {
    pub(in crate::proxy) fn client_received<C: Chunk>(&mut self, key: Key, chunk: &C, now: Time) {
        let Some(client) = self.clients.slab.find_mut(key) else {
            return;
        };
        client.input.heard(now);
        if !client.life.is_open() {
            return;
        }
        if client.pauses.is_stopped() {
            client.input.keep(chunk);
            return;
        }
        self.read_requests(key, chunk, now);
    }

    pub(in crate::proxy) fn client_received_end(&mut self, key: Key, now: Time) {
        let Some(client) = self.clients.slab.find_mut(key) else {
            return;
        };
        client.input.end(now);
        if client.is_migrating() {
            // Whoever takes it will see it end.
            return;
        }
        let (phase, holds) = (client.life.phase(), client.input.has_unparsed());
        self.count_end(key, End::Eof);
        match phase {
            // What it sent before is read first.
            Phase::Open if holds => {}
            Phase::Open => self.end_client(key, false, now),
            Phase::Ending { .. } => self.settle_client(key, now),
            Phase::Lingering { .. } => self.close_client(key),
            Phase::Closed => {}
        }
    }

    pub(in crate::proxy) fn client_failed(&mut self, key: Key) {
        if self.clients.slab.find(key).is_some() {
            self.count_end(key, End::Err);
            self.close_client(key);
        }
    }

    /// Reads no more requests of this client; closes it when it has its replies.
    pub(in crate::proxy) fn end_client(&mut self, key: Key, linger: bool, now: Time) {
        if let Some(client) = self.clients.slab.find_mut(key) {
            client.end(linger);
            self.settle_client(key, now);
        }
    }

    /// Brings a client that reads no more requests as far as it can go.
    pub(in crate::proxy) fn settle_client(&mut self, key: Key, now: Time) {
        let Some(client) = self.clients.slab.find_mut(key) else {
            return;
        };
        let Phase::Ending { linger } = client.life.phase() else {
            return;
        };
        if !client.replies.is_settled() {
            return;
        }
        if !linger || client.input.has_ended() {
            self.close_client(key);
            return;
        }
        // A close with unread bytes would reset the connection, and destroy the last replies on
        // their way.
        let until = now + crate::proxy::LINGER;
        client.life.linger(until);
        let conn = client.conn();
        self.wire.put(Output::ShutdownWrite(conn));
        if client.pauses.end() {
            self.wire.put(Output::Resume(conn));
        }
        self.time_client(key, until);
    }

    /// Brings clients on that have got nothing for a request: no send tells when they are settled.
    pub(in crate::proxy) fn settle_unheard(&mut self, now: Time) {
        for key in std::mem::take(&mut self.unheard) {
            self.settle_client(key, now);
            self.migrate_if_settled(key);
        }
    }

    /// Looks at a client at `due`, and not before.
    pub(in crate::proxy) fn time_client(&mut self, key: Key, due: Time) {
        if let Some(client) = self.clients.slab.find_mut(key) {
            client.life.set_due(due);
            self.timers.set(due, ConnId::Client(key));
        }
    }

    pub(in crate::proxy) fn client_due(&mut self, key: Key, due: Time, now: Time) {
        let Some(client) = self.clients.slab.find(key) else {
            return;
        };
        if !client.life.is_due(due) {
            return;
        }
        let idle_timeout = self.pools[client.pool.index()].config.timeouts.client_idle;
        match (client.life.phase(), idle_timeout) {
            (Phase::Lingering { until }, _) if until <= now => self.close_client(key),
            (Phase::Open, Some(timeout)) => {
                // One that is stopped may have said anything since.
                let busy = client.pauses.is_stopped() || !client.replies.is_settled();
                let due = if busy {
                    now + timeout
                } else {
                    client.input.last_heard() + timeout
                };
                if due > now {
                    self.time_client(key, due);
                } else {
                    self.end_client(key, true, now);
                }
            }
            _ => {}
        }
    }

    /// Goes on with clients that were stopped and have taken their replies since.
    pub(in crate::proxy) fn resume_clients(&mut self, now: Time) {
        for key in std::mem::take(&mut self.clients.resumable) {
            let Some(client) = self.clients.slab.find_mut(key) else {
                continue;
            };
            let limits = self.pools[client.pool.index()].limits;
            let over_limits = !client.replies.has_much_room(limits);
            if client.life.is_open() && client.pauses.go_on(over_limits) {
                self.read_unparsed(key, now);
            }
        }
    }

    fn read_unparsed(&mut self, key: Key, now: Time) {
        loop {
            let Some(client) = self.clients.slab.find_mut(key) else {
                return;
            };
            if !client.life.is_open() || client.pauses.is_stopped() {
                return;
            }
            let Some(chunk) = client.input.next_unparsed() else {
                break;
            };
            self.read_requests(key, &chunk, now);
        }
        if self.clients.slab[key].input.has_ended() {
            self.end_client(key, false, now);
        } else {
            self.wire.put(Output::Resume(ConnId::Client(key)));
        }
    }

    /// Reads all requests in `chunk`, or as many as the client may have on their way.
    fn read_requests<C: Chunk>(&mut self, key: Key, chunk: &C, now: Time) {
        let mut args = std::mem::take(&mut self.args);
        let mut at = 0;
        while at < chunk.bytes().len() {
            let Some(client) = self.clients.slab.find_mut(key) else {
                break;
            };
            if !client.life.is_open() {
                break;
            }
            if !client.may_read(self.pools[client.pool.index()].limits) {
                client.input.put_back(chunk, at);
                self.clients.update_pause(key, &mut self.wire);
                break;
            }
            let buf = &chunk.bytes()[at..];
            if !client.input.is_assembling() {
                let protocol = self.pools[client.pool.index()].protocol;
                match protocol.cut_request(buf, &mut args) {
                    Ok(Some(bytes)) => {
                        let request = Request::whole(&buf[..bytes], &args);
                        if self.waits_for_a_master(key, &request) {
                            self.clients.slab[key].input.put_back(chunk, at);
                            self.clients.update_pause(key, &mut self.wire);
                            break;
                        }
                        self.take_request(key, &request, Some((chunk, at)), now);
                        at += bytes;
                        continue;
                    }
                    Ok(None) => {}
                    Err(error) => {
                        self.protocol_error(key, error, now);
                        break;
                    }
                }
            }
            match self.assemble(key, chunk, at, now) {
                Ok(used) => at += used,
                Err(error) => {
                    self.protocol_error(key, error, now);
                    break;
                }
            }
        }
        self.args = args;
    }

    fn assemble<C: Chunk>(
        &mut self,
        key: Key,
        chunk: &C,
        at: usize,
        now: Time,
    ) -> Result<usize, ProtocolError> {
        let client = &mut self.clients.slab[key];
        let (input, protocol) = (&mut client.input, self.pools[client.pool.index()].protocol);
        let mut assembly = input.take_assembly(protocol);
        let fed = assembly.feed(chunk, at, &mut self.wire.spare)?;
        if !fed.complete {
            input.set_assembly(assembly);
            return Ok(fed.used);
        }
        let request = assembly.request();
        if self.waits_for_a_master(key, &request) {
            self.clients.slab[key].input.put_back(chunk, at + fed.used);
            self.keep_request(key, &request);
            self.clients.update_pause(key, &mut self.wire);
            return Ok(chunk.bytes().len() - at);
        }
        self.take_request::<C>(key, &request, None, now);
        Ok(fed.used)
    }

    /// Keeps a request that was assembled, before all that came behind it.
    fn keep_request(&mut self, key: Key, request: &Request<'_>) {
        let mut frame = ByteQueue::default();
        request.write_to(&mut frame, None::<(&Bytes, usize)>, &mut self.wire.spare);
        let slices: Vec<&[u8]> = frame.slices().collect();
        let frame = Bytes::from(slices.concat());
        self.clients.slab[key].input.put_back(&frame, 0);
    }

    fn protocol_error(&mut self, key: Key, error: ProtocolError, now: Time) {
        self.count_end(key, End::Err);
        let client = &mut self.clients.slab[key];
        let (of_pool, id) = (&self.pools[client.pool.index()], client.session.id());
        let (pool, protocol) = (&of_pool.config.name, of_pool.protocol);
        match error.foreign() {
            // It comes again and again, and only people can put it right.
            Some(foreign) => tracing::warn!(
                %pool,
                client = id,
                "client closed: it speaks {foreign}, and this port speaks {protocol} only"
            ),
            None => tracing::info!(%pool, client = id, %error, "client sent a broken request"),
        }
        let mut reply = Vec::new();
        protocol.write_protocol_error(&error, &mut reply);
        client.reply_in_place(&reply, &mut self.wire);
        self.end_client(key, true, now);
    }

    /// Sends a request where it belongs. `chunk` is the buffer that a whole frame lies in, and
    /// where.
    #[inline]
    fn take_request<C: Chunk>(
        &mut self,
        key: Key,
        request: &Request<'_>,
        chunk: Option<(&C, usize)>,
        now: Time,
    ) {
        if request.is_empty() {
            return;
        }
        let client = &mut self.clients.slab[key];
        let pool = &self.pools[client.pool.index()];
        let found = pool.protocol.resolve(request);
        let expect = match found {
            Ok(command) => pool.protocol.expect(command, request),
            Err(_) => Expect::ONE,
        };
        let allowed = plan::authorize(request, found, &client.session, pool);
        let planned = allowed.and_then(|()| {
            match found {
                Ok(command) => client.session.set_command(command.name),
                Err(CommandError::Unknown) if plan::forwards_unknown(pool, request) => {
                    client.session.set_command("unknown");
                }
                Err(_) => {}
            }
            let random = self.random.next_u32();
            plan::plan(request, (found, expect), pool, random, &mut self.parts)
        });
        let Ok(Plan::Forward(server, ask)) = planned else {
            return self.carry_out(key, planned, (request, expect), now);
        };
        let mut desk = Desk {
            client,
            pool,
            servers: &mut self.servers,
            graves: &mut self.graves,
            wire: &mut self.wire,
            stats: &self.stats,
        };
        let done = match desk.forward((server, ask), request, chunk, now) {
            Ok(Forwarded::Queued(conn, bytes)) => {
                return self.request_queued(conn, key, bytes, now);
            }
            Ok(Forwarded::Unconnected(target, place)) => {
                let (asked, to) = ((server, ask), (target, place));
                self.forward_on_new(key, asked, to, (request, chunk), now)
            }
            Err(error) => Err(error),
        };
        if let Err(error) = done {
            self.turn_away(key, expect, error);
        }
    }

    /// Does with a request what was planned, other than to forward it to one server.
    pub(in crate::proxy) fn carry_out(
        &mut self,
        key: Key,
        planned: Result<Plan, RequestError>,
        (request, expect): (&Request<'_>, Expect),
        now: Time,
    ) {
        let session = &mut self.clients.slab[key].session;
        session.set_unmet(plan::relies_on_after(session.unmet(), &planned));
        let done = match planned {
            Ok(Plan::Answer(local)) => return self.answer(key, local, request, now),
            Ok(Plan::Refuse(error)) => {
                let mut reply = Vec::new();
                let pool = self.clients.slab[key].pool;
                let protocol = self.pools[pool.index()].protocol;
                protocol.write_refusal(&error, request, &mut reply);
                return self.reply(key, &reply);
            }
            Ok(Plan::Fan(fan, ask)) => self.forward_parts(key, &fan, ask, request, now),
            Ok(Plan::All(join, ask)) => self.forward_to_all(key, join, ask, request, now),
            Ok(Plan::Forward(..)) => Ok(()),
            Err(error) => Err(error),
        };
        if let Err(error) = done {
            self.turn_away(key, expect, error);
        }
    }

    /// A request goes no further than here; where nothing comes for it, its client is not told of
    /// servers.
    fn turn_away(&mut self, key: Key, expect: Expect, error: RequestError) {
        let no_server = matches!(error, RequestError::NoServer | RequestError::NoReplica);
        if no_server {
            let pool = self.clients.slab[key].pool;
            self.stats.pools[pool.index()].counters.forward_error.add(1);
        }
        let of_servers =
            no_server || matches!(error, RequestError::Fenced | RequestError::CrossServer);
        if !(of_servers && expect.is_none()) {
            self.reply_error(key, error);
        }
    }

    /// Answers the next request of a client with an error.
    pub(in crate::proxy) fn reply_error(&mut self, key: Key, error: RequestError) {
        let protocol = self.pools[self.clients.slab[key].pool.index()].protocol;
        self.reply(key, &Answer::Request(error).encode(protocol));
    }

    /// Answers the next request of a client at once.
    pub(in crate::proxy) fn reply(&mut self, key: Key, reply: &[u8]) {
        self.clients.slab[key].reply_in_place(reply, &mut self.wire);
    }

    pub(in crate::proxy) fn close_client(&mut self, key: Key) {
        self.end_socket(key, Output::Close(ConnId::Client(key)));
    }

    /// Closes a client that does not take its replies: the kernel need not keep them either.
    pub(in crate::proxy) fn abort_client(&mut self, key: Key) {
        self.end_socket(key, Output::Abort(ConnId::Client(key)));
    }

    fn end_socket(&mut self, key: Key, output: Output) {
        let client = self.clients.slab.find_mut(key);
        if client.is_some_and(Client::close) {
            self.wire.put(output);
        }
    }
}
