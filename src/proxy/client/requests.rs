//! Reads a client's requests and sends each where it belongs.
//!
//! Owns: the way from received bytes to a queued request, or to a reply in place. A well-formed
//! frame always gets its reply in its place in the stream; only a broken one ends the client.

use bytes::Bytes;

use crate::base::ByteQueue;
use crate::base::Chunk;
use crate::base::Key;
use crate::base::ServerIdx;
use crate::base::Time;
use crate::protocol::Arg;
use crate::protocol::Expect;
use crate::protocol::ProtocolError;
use crate::protocol::Request;
use crate::protocol::command::Args;
use crate::protocol::command::Command;
use crate::protocol::command::CommandError;
use crate::protocol::command::ErrorsBy;
use crate::proxy::Proxy;
use crate::proxy::client::ending::End;
use crate::proxy::client::pause::PauseReason;
use crate::proxy::dispatch::desk::Desk;
use crate::proxy::dispatch::forward::Forwarded;
use crate::proxy::effects::ConnId;
use crate::proxy::effects::Output;
use crate::proxy::exclusive::lease::Lease;
use crate::proxy::failure::Answer;
use crate::proxy::failure::RequestError;
use crate::proxy::plan;
use crate::proxy::plan::Ask;
use crate::proxy::plan::Plan;
use crate::proxy::pool::conns::Place;
use crate::proxy::pool::replica::Target;

/// Why no more requests are read at the desk.
enum Stop {
    /// Nothing is left, or nothing more is read of this client.
    End,
    /// The next request must wait.
    Paused,
    /// The next request is of so many bytes, and something is to be done for it by others.
    Needs(usize, Need),
    /// The next request does not lie whole in the chunk.
    Partial,
    /// What comes is no request.
    Broken(ProtocolError),
}

/// What has become of one request at the desk.
enum Taken {
    /// It is done with.
    Sent,
    /// It writes to a master that is about to be replaced: its client is read no further.
    Waits,
    Needs(Need),
}

/// What a request needs that is not at the desk.
enum Need {
    /// Something else was planned than to forward it to one server, or it is turned away.
    Plan(Result<Plan, RequestError>, Expect),
    /// It is in this connection's queue, and that is not open.
    Open(Key),
    /// There is no connection yet to whom it is forwarded.
    Connection((ServerIdx, Ask), (Target, Place), Expect),
    /// Its client is within a transaction.
    Within,
}

impl Desk<'_> {
    /// Reads the requests of `chunk` from `at` on, as long as they need nothing else: those that are
    /// forwarded to one server, which is connected. That is what nearly all of them are.
    fn read<C: Chunk>(
        &mut self,
        chunk: &C,
        at: &mut usize,
        args: &mut Vec<Arg>,
        now: Time,
    ) -> Stop {
        while *at < chunk.bytes().len() && self.client.life.is_open() {
            if !self.client.may_read(self.pool.limits) {
                return Stop::Paused;
            }
            if self.client.input.is_assembling() {
                return Stop::Partial;
            }
            let buf = &chunk.bytes()[*at..];
            let bytes = match self.pool.protocol.cut_request(buf, args) {
                Ok(Some(bytes)) => bytes,
                Ok(None) => return Stop::Partial,
                Err(error) => return Stop::Broken(error),
            };
            let request = Request::whole(&buf[..bytes], args);
            match self.take(&request, Some((chunk, *at)), now) {
                Taken::Sent => *at += bytes,
                Taken::Waits => return Stop::Paused,
                Taken::Needs(need) => return Stop::Needs(bytes, need),
            }
        }
        Stop::End
    }

    /// Sends a request where it belongs, if that is one server. `chunk` is the buffer that a whole
    /// frame lies in, and where.
    #[inline]
    fn take<C: Chunk>(
        &mut self,
        request: &Request<'_>,
        chunk: Option<(&C, usize)>,
        now: Time,
    ) -> Taken {
        if request.is_empty() {
            return Taken::Sent;
        }
        if self.client.transaction.is_some() {
            return match self.exec_waits(request) {
                true => Taken::Waits,
                false => Taken::Needs(Need::Within),
            };
        }
        let found = self.pool.protocol.resolve(request);
        let commands = &mut self.records.pool(self.client.pool).commands;
        commands.count(found.map_or("unknown", |command| command.name));
        let Some((command, (server, ask))) = self.plain(request, found) else {
            return self.take_planned(request, found, chunk, now);
        };
        self.client.session.set_command(command.name);
        self.pass_on((server, ask), request, chunk, now)
    }

    /// Where a request goes for which nothing is to be decided but that, and of which nobody wants to know:
    /// nearly all are so. Of others it says nothing, and changes nothing.
    #[inline]
    fn plain(
        &mut self,
        request: &Request<'_>,
        found: Result<&'static Command, CommandError>,
    ) -> Option<(&'static Command, (ServerIdx, Ask))> {
        let (session, pool, Ok(command)) = (&self.client.session, self.pool, found) else {
            return None;
        };
        let is_plain = plan::authorizes_all(session, pool, command)
            && self.write_holds.is_empty()
            && self.observers.is_empty();
        if !is_plain {
            return None;
        }
        let expect = pool.protocol.expect(command, request);
        let plain = plan::plain(request, (command, expect), pool)?;
        #[cfg(debug_assertions)]
        {
            let authorized = plan::authorize(request, found, session, pool);
            let planned = plan::plan(request, (found, expect), pool, 0, self.parts);
            assert!(
                authorized.is_ok(),
                "what is plain is not allowed: {authorized:?}"
            );
            assert!(
                matches!(planned, Ok(Plan::Forward(server, ask)) if (server, ask) == plain),
                "what is plain is planned otherwise: {planned:?}"
            );
        }
        Some((command, plain))
    }

    /// Does with a request what is to be decided first.
    #[inline(never)]
    fn take_planned<C: Chunk>(
        &mut self,
        request: &Request<'_>,
        found: Result<&'static Command, CommandError>,
        chunk: Option<(&C, usize)>,
        now: Time,
    ) -> Taken {
        let (session, pool) = (&mut self.client.session, self.pool);
        let expect = match found {
            Ok(command) => pool.protocol.expect(command, request),
            Err(_) => Expect::ONE,
        };
        let allowed = plan::authorize(request, found, session, pool);
        let planned = allowed.and_then(|()| {
            match found {
                Ok(command) => session.set_command(command.name),
                Err(CommandError::Unknown) if plan::forwards_unknown(pool, request) => {
                    session.set_command("unknown");
                }
                Err(_) => {}
            }
            let random = self.random.next_u32();
            plan::plan(request, (found, expect), pool, random, self.parts)
        });
        let holds = &mut *self.write_holds;
        if holds.stop(self.client, pool, &planned, self.parts) {
            return Taken::Waits;
        }
        let Ok(Plan::Forward(server, ask)) = planned else {
            if self.curious.stop(self.client, pool, &planned, now) {
                return Taken::Waits;
            }
            // One that waits for a connection is read again.
            let is_done = !matches!(
                planned,
                Ok(Plan::Refuse(_) | Plan::Wait(..) | Plan::Watch(..)) | Err(_)
            );
            if let (true, Ok(command)) = (is_done && !self.observers.is_empty(), found) {
                self.observe(request, command, now);
            }
            return Taken::Needs(Need::Plan(planned, expect));
        };
        if let (false, Ok(command)) = (self.observers.is_empty(), found) {
            self.observe(request, command, now);
        }
        if ask.terms.errors() == ErrorsBy::Anybody {
            self.hear_of_script(request);
        }
        self.pass_on((server, ask), request, chunk, now)
    }

    #[inline]
    fn pass_on<C: Chunk>(
        &mut self,
        (server, ask): (ServerIdx, Ask),
        request: &Request<'_>,
        chunk: Option<(&C, usize)>,
        now: Time,
    ) -> Taken {
        let expect = ask.terms.expect();
        Taken::Needs(match self.forward((server, ask), request, chunk, now) {
            Ok(Forwarded::Sent) => return Taken::Sent,
            Ok(Forwarded::Waits(conn)) => Need::Open(conn),
            Ok(Forwarded::Unconnected(target, place)) => {
                Need::Connection((server, ask), (target, place), expect)
            }
            Err(error) => Need::Plan(Err(error), expect),
        })
    }
}

impl Proxy {
    pub(in crate::proxy) fn client_received<C: Chunk>(&mut self, key: Key, chunk: &C, now: Time) {
        let Some(client) = self.clients.slab.find_mut(key) else {
            return;
        };
        client.input.heard(now);
        let traffic = &self.stats.pools[client.pool.index()].traffic;
        traffic.client_received_bytes.add(chunk.bytes().len());
        if !client.life.is_open() {
            return;
        }
        if client.pauses.is_stopped() {
            client.input.keep(chunk);
            return;
        }
        if client.pauses.has(PauseReason::Exclusive) {
            client.input.keep(chunk);
            return self.clients.update_pause(key, &mut self.wire);
        }
        self.read_requests(key, chunk, now);
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
            if client.pauses.has(PauseReason::Exclusive) {
                self.wire.put(Output::Resume(ConnId::Client(key)));
                self.waiter_has_ended(key, now);
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
        let mut args = std::mem::take(&mut self.scratch.args);
        let mut at = 0;
        while let Some(mut desk) = self.desk(key) {
            match desk.read(chunk, &mut at, &mut args, now) {
                Stop::End => break,
                Stop::Paused => {
                    desk.client.input.put_back(chunk, at);
                    self.clients.update_pause(key, &mut self.wire);
                    break;
                }
                Stop::Needs(bytes, need) => {
                    let frame = &chunk.bytes()[at..at + bytes];
                    let request = Request::whole(frame, &args);
                    if !self.meet(key, need, (&request, Some((chunk, at))), now) {
                        self.clients.slab[key].input.put_back(chunk, at);
                        self.clients.update_pause(key, &mut self.wire);
                        break;
                    }
                    at += bytes;
                }
                Stop::Partial => match self.assemble(key, chunk, at, now) {
                    Ok(used) => at += used,
                    Err(error) => {
                        self.protocol_error(key, error, now);
                        break;
                    }
                },
                Stop::Broken(error) => {
                    self.protocol_error(key, error, now);
                    break;
                }
            }
        }
        self.scratch.args = args;
    }

    fn assemble<C: Chunk>(
        &mut self,
        key: Key,
        chunk: &C,
        at: usize,
        now: Time,
    ) -> Result<usize, ProtocolError> {
        let Some(mut desk) = self.desk(key) else {
            return Ok(chunk.bytes().len() - at);
        };
        let mut assembly = desk.client.input.take_assembly(desk.pool.protocol);
        let fed = assembly.feed(chunk, at, &mut desk.wire.spare)?;
        if !fed.complete {
            desk.client.input.set_assembly(assembly);
            return Ok(fed.used);
        }
        let request = assembly.request();
        let met = match desk.take::<C>(&request, None, now) {
            Taken::Sent => true,
            Taken::Waits => false,
            Taken::Needs(need) => self.meet::<C>(key, need, (&request, None), now),
        };
        if !met {
            self.clients.slab[key].input.put_back(chunk, at + fed.used);
            self.keep_request(key, &request);
            self.clients.update_pause(key, &mut self.wire);
            return Ok(chunk.bytes().len() - at);
        }
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

    /// Goes on with a request that cannot be done at the desk alone: whether that is done, or it has to
    /// wait.
    fn meet<C: Chunk>(
        &mut self,
        key: Key,
        need: Need,
        (request, chunk): (&Request<'_>, Option<(&C, usize)>),
        now: Time,
    ) -> bool {
        match need {
            Need::Plan(Ok(Plan::Wait(server, ask, at)), expect) => {
                let done = self.ask_to_wait(key, (server, ask, at), (request, chunk), now);
                if let Ok(true) = done {
                    self.observe_of(key, request, now);
                }
                return done.unwrap_or_else(|error| {
                    self.turn_away(key, expect, error);
                    true
                });
            }
            Need::Plan(Ok(Plan::Watch(server, ask)), expect) => {
                let done = self.watch(key, (server, ask), (request, chunk), now);
                if let Ok(true) = done {
                    self.observe_of(key, request, now);
                }
                return done.unwrap_or_else(|error| {
                    self.turn_away(key, expect, error);
                    true
                });
            }
            Need::Plan(Ok(Plan::Subscribe(kind)), expect) => {
                let done = self.subscribe(key, kind, request, now);
                return done.unwrap_or_else(|error| {
                    self.turn_away(key, expect, error);
                    true
                });
            }
            Need::Plan(Ok(Plan::Unsubscribe(kind)), _) => {
                return self.unsubscribe(key, kind, request, now);
            }
            Need::Plan(planned, expect) => self.carry_out(key, planned, (request, expect), now),
            Need::Open(conn) => self.request_passed_on(conn, key, now),
            Need::Within => self.take_within(key, request, chunk, now),
            Need::Connection(asked, to, expect) => {
                let done = self.forward_on_new(key, asked, to, (request, chunk), now);
                if let Err(error) = done {
                    self.turn_away(key, expect, error);
                }
            }
        }
        true
    }

    /// Does with a request what was planned, other than to forward it to one server.
    pub(in crate::proxy) fn carry_out(
        &mut self,
        key: Key,
        planned: Result<Plan, RequestError>,
        (request, expect): (&Request<'_>, Expect),
        now: Time,
    ) {
        // What it has waited for a connection with is not asked there after all.
        let lease = self.clients.slab[key].lease.as_deref();
        if lease.is_some_and(Lease::is_unused) {
            self.end_lease(key);
        }
        let session = &mut self.clients.slab[key].session;
        session.set_unmet(plan::relies_on_after(session.unmet(), &planned));
        let done = match planned {
            Ok(Plan::Answer(local)) => return self.answer(key, local, request, now),
            Ok(Plan::Refuse(error)) => {
                let mut reply = Vec::new();
                let pool = self.clients.slab[key].pool;
                self.records.pool(pool).failures.count(error.cause());
                let protocol = self.pools[pool.index()].protocol;
                protocol.write_refusal(&error, request, &mut reply);
                return self.reply(key, &reply);
            }
            Ok(Plan::Fan(fan, ask)) => self.forward_parts(key, &fan, ask, request, now),
            Ok(Plan::All(join, ask)) => {
                if let (ErrorsBy::Anybody, Some(mut desk)) = (ask.terms.errors(), self.desk(key)) {
                    desk.hear_of_script(request);
                }
                self.forward_to_all(key, join, ask, request, now)
            }
            Ok(Plan::Page(server, page, ask)) => {
                self.forward_page(key, (server, page), ask, request, now)
            }
            Ok(Plan::LastPage) => {
                let mut reply = Vec::new();
                let pool = self.clients.slab[key].pool;
                self.pools[pool.index()]
                    .protocol
                    .write_last_page(&mut reply);
                return self.reply(key, &reply);
            }
            // They were met before.
            Ok(
                Plan::Forward(..)
                | Plan::Wait(..)
                | Plan::Watch(..)
                | Plan::Subscribe(_)
                | Plan::Unsubscribe(_),
            ) => Ok(()),
            Err(error) => Err(error),
        };
        if let Err(error) = done {
            self.turn_away(key, expect, error);
        }
    }

    /// A request goes no further than here; where nothing comes for it, its client is not told of
    /// servers.
    pub(in crate::proxy) fn turn_away(&mut self, key: Key, expect: Expect, error: RequestError) {
        let no_server = matches!(error, RequestError::NoServer | RequestError::NoReplica);
        if no_server {
            let pool = self.clients.slab[key].pool;
            self.stats.pools[pool.index()].counters.forward_error.add(1);
        }
        let of_servers =
            no_server || matches!(error, RequestError::Fenced | RequestError::CrossServer);
        match expect.is_unheard() {
            // A place of its own in the order, as any answer of one that comes with a reply.
            true if of_servers || !expect.is_none() => {
                let pool = self.clients.slab[key].pool;
                self.record_failure(pool, Answer::Request(error));
                self.reply(key, &[]);
            }
            _ => self.reply_error(key, error),
        }
    }

    /// Answers the next request of a client with an error.
    pub(in crate::proxy) fn reply_error(&mut self, key: Key, error: RequestError) {
        let pool = self.clients.slab[key].pool;
        let answer = Answer::Request(error);
        self.record_failure(pool, answer);
        let answer = answer.encode(self.pools[pool.index()].protocol);
        self.reply(key, &answer);
    }

    /// Answers the next request of a client at once.
    pub(in crate::proxy) fn reply(&mut self, key: Key, reply: &[u8]) {
        self.clients.slab[key].reply_in_place(reply, &mut self.wire);
    }
}
