//! `MULTI`, what is asked behind it, and `EXEC`, `DISCARD`.
//!
//! Owns: what a client is told of each command within a transaction, as Redis would tell it, and
//! that a transaction of which one command was refused is never sent. Never: chooses a connection.

use crate::base::Chunk;
use crate::base::Key;
use crate::base::ServerIdx;
use crate::base::Time;
use crate::protocol::Expect;
use crate::protocol::Request;
use crate::protocol::command::CommandError;
use crate::protocol::command::Local;
use crate::proxy::Proxy;
use crate::proxy::client::state::Carried;
use crate::proxy::client::transaction::Home;
use crate::proxy::client::transaction::Transaction;
use crate::proxy::client::unmet::Unmet;
use crate::proxy::dispatch::desk::Desk;
use crate::proxy::exclusive::watch::Watched;
use crate::proxy::failure::RequestError;
use crate::proxy::plan;
use crate::proxy::plan::Ask;
use crate::proxy::plan::PLACEHOLDER;
use crate::proxy::plan::Plan;
use crate::proxy::plan::Within;
use crate::proxy::pool::Pool;

impl Desk<'_> {
    /// Whether a request is an `EXEC` that waits for a master; then its client is read no further.
    #[cold]
    pub(in crate::proxy) fn exec_waits(&mut self, request: &Request<'_>) -> bool {
        let Some(transaction) = self.client.transaction.as_mut() else {
            return false;
        };
        let found = self.pool.protocol.resolve(request);
        let is_exec = found.is_ok_and(|command| command.is_local(Local::Exec));
        if !is_exec || transaction.is_aborted() || find_home(transaction, self.pool).is_err() {
            return false;
        }
        let ask = Ask::of_transaction(transaction.writes());
        let planned = server_of(transaction, self.pool).map(|server| Plan::Forward(server, ask));
        let holds = &mut *self.write_holds;
        holds.stop(self.client, self.pool, &planned, self.parts)
    }
}

impl Proxy {
    /// `MULTI`.
    pub(in crate::proxy) fn begin_transaction(&mut self, key: Key) {
        let draw = self.random.next_u32();
        let client = &mut self.clients.slab[key];
        let routes = self.pools[client.pool.index()].routes;
        client.transaction = Some(Box::new(Transaction::new(draw, routes)));
    }

    /// Takes a request of a client that is within a transaction.
    #[cold]
    pub(in crate::proxy) fn take_within<C: Chunk>(
        &mut self,
        key: Key,
        request: &Request<'_>,
        chunk: Option<(&C, usize)>,
        now: Time,
    ) {
        let client = &mut self.clients.slab[key];
        let pool = &self.pools[client.pool.index()];
        let Some(draw) = client.transaction.as_ref().map(|begun| begun.draw) else {
            return;
        };
        let found = pool.protocol.resolve(request);
        if let Ok(command) = found {
            client.session.set_command(command.name);
        }
        let allowed = plan::authorize(request, found, &client.session, pool);
        let planned = allowed.and_then(|()| plan::plan_within(request, found, pool, draw));
        if let Ok(Within::Now(_) | Within::Queue(..)) = planned {
            self.observe_of(key, request, now);
        }
        let done = match planned {
            Ok(Within::Now(Local::Exec)) => return self.execute(key, now),
            Ok(Within::Now(local)) => return self.answer(key, local, request, now),
            Ok(Within::Told(error)) => return self.reply_error(key, error),
            Ok(Within::Refuse(error)) => {
                self.refuse_within(key, &error, request);
                return;
            }
            Ok(Within::Queue(home, writes)) => {
                self.queue_command(key, (request, chunk), (home, writes))
            }
            Err(error) => Err(error),
        };
        match done {
            Ok(()) => self.answer_queued(key),
            Err(error) => {
                self.abort_transaction(key);
                self.reply_error(key, error);
            }
        }
    }

    /// A command is wrong in itself; where that is `EXEC`, the transaction is over.
    fn refuse_within(&mut self, key: Key, error: &CommandError, request: &Request<'_>) {
        self.abort_transaction(key);
        if matches!(error, CommandError::WrongArity(exec) if exec.is_local(Local::Exec)) {
            self.end_transaction(key);
        }
        let mut reply = Vec::new();
        let protocol = self.pools[self.clients.slab[key].pool.index()].protocol;
        protocol.write_refusal(error, request, &mut reply);
        self.reply(key, &reply);
    }

    /// Nothing of a client's transaction will be done.
    fn abort_transaction(&mut self, key: Key) {
        if let Some(transaction) = &mut self.clients.slab[key].transaction {
            transaction.abort();
        }
    }

    /// A client is within a transaction no longer, and watches nothing: what it had asked for.
    pub(in crate::proxy) fn end_transaction(&mut self, key: Key) -> Option<Box<Transaction>> {
        let client = &mut self.clients.slab[key];
        let unmet = client.session.unmet();
        client.session.set_unmet(Unmet {
            watch: false,
            ..unmet
        });
        client.transaction.take()
    }

    fn queue_command<C: Chunk>(
        &mut self,
        key: Key,
        (request, chunk): (&Request<'_>, Option<(&C, usize)>),
        (home, writes): (Home, bool),
    ) -> Result<(), RequestError> {
        let client = &mut self.clients.slab[key];
        let pool = &self.pools[client.pool.index()];
        let Some(transaction) = client.transaction.as_mut() else {
            return Ok(());
        };
        if transaction.is_aborted() {
            return Ok(());
        }
        if !transaction.has_room(request.frame_bytes(), pool.limits.bytes) {
            return Err(RequestError::TransactionTooLarge);
        }
        find_home(transaction, pool)?;
        let home = transaction.home().with(home)?;
        transaction.push((request, chunk), (home, writes), &mut self.wire.spare);
        Ok(())
    }

    /// `EXEC`.
    fn execute(&mut self, key: Key, now: Time) {
        let watch_refused = self.clients.slab[key].session.unmet().watch;
        let Some(mut transaction) = self.end_transaction(key) else {
            return;
        };
        let watched = self.watched(key);
        if transaction.is_aborted() || watch_refused {
            self.unwatch(key);
            return self.reply_error(key, RequestError::Aborted);
        }
        if watched == Watched::Lost {
            self.unwatch(key);
            return self.answer_void_exec(key);
        }
        if transaction.commands() == 0 && watched == Watched::Nothing {
            self.unwatch(key);
            return self.answer_empty_exec(key);
        }
        let client = &self.clients.slab[key];
        let pool = &self.pools[client.pool.index()];
        let found = find_home(&mut transaction, pool).map_err(|_| RequestError::Parted);
        let server = found.and_then(|()| server_of(&transaction, pool));
        let server = match (watched, transaction.home()) {
            (Watched::At(at), Home::Anywhere) => Ok(at),
            (Watched::At(at), _) if server.is_ok_and(|server| server != at) => {
                Err(RequestError::CrossServer)
            }
            _ => server,
        };
        let done =
            server.and_then(|server| self.forward_transaction(key, server, *transaction, now));
        self.unwatch(key);
        if let Err(error) = done {
            self.turn_away(key, Expect::ONE, error);
        }
    }
}

/// Who is asked to do a transaction.
fn server_of(transaction: &Transaction, pool: &Pool) -> Result<ServerIdx, RequestError> {
    let server = match transaction.home() {
        Home::Anywhere => pool.server_of(PLACEHOLDER, transaction.draw),
        Home::At(server) => server,
    };
    server.ok_or(RequestError::NoServer)
}

/// Finds out where the keys of a transaction live, if that may have changed.
///
/// # Errors
/// On several servers.
fn find_home(transaction: &mut Transaction, pool: &Pool) -> Result<(), RequestError> {
    if transaction.is_outdated(pool.routes) {
        let mut home = Home::Anywhere;
        each_command(&transaction.frames(), pool, transaction.draw, |_, at, _| {
            home = home.with(at)?;
            Ok(())
        })?;
        transaction.settle(home, pool.routes);
    }
    Ok(())
}

/// Looks once more at commands that were queued: their frames stand one behind the other.
fn each_command(
    frames: &[u8],
    pool: &Pool,
    draw: u32,
    mut look: impl FnMut(&Request<'_>, Home, bool) -> Result<(), RequestError>,
) -> Result<(), RequestError> {
    let (mut at, mut args) = (0, Vec::new());
    while at < frames.len() {
        let cut = pool.protocol.cut_request(&frames[at..], &mut args);
        let Ok(Some(bytes)) = cut else {
            return Err(RequestError::NotWithin);
        };
        let request = Request::whole(&frames[at..at + bytes], &args);
        let found = pool.protocol.resolve(&request);
        match plan::plan_within(&request, found, pool, draw)? {
            Within::Queue(home, writes) => look(&request, home, writes)?,
            _ => return Err(RequestError::NotWithin),
        }
        at += bytes;
    }
    Ok(())
}

/// A client's transaction, as another process has known it; one that cannot be done here is aborted.
pub(super) fn adopted(carried: &Carried, pool: &Pool, draw: u32) -> Option<Box<Transaction>> {
    let mut transaction = Transaction::new(draw, pool.routes);
    let whole = match carried {
        Carried::Nothing => return None,
        Carried::Aborted => Err(RequestError::Aborted),
        Carried::Open(frames) => {
            let mut spare = crate::base::Spare::default();
            each_command(frames, pool, draw, |request, home, writes| {
                if !transaction.has_room(request.frame_bytes(), pool.limits.bytes) {
                    return Err(RequestError::TransactionTooLarge);
                }
                let home = transaction.home().with(home)?;
                let nowhere = None::<(&bytes::Bytes, usize)>;
                transaction.push((request, nowhere), (home, writes), &mut spare);
                Ok(())
            })
        }
    };
    if whole.is_err() {
        transaction.abort();
    }
    Some(Box::new(transaction))
}
