//! What a server does with a request: it executes it, or fails in its own way.

use bytes::Bytes;

use crate::fault::NO_SUCH_DATABASE;
use crate::fault::WRONG_PASSWORD;
use crate::frame::elements;
use crate::frame::parse_request;
use crate::link::Peer;
use crate::server::transaction::because;
use crate::store::A_SCRIPT_SAYS;
use crate::store::Store;
use crate::tally::Happening;
use crate::trace::head;
use crate::trace::trace;
use crate::wire::End;
use crate::world::LinkId;
use crate::world::World;

/// What a server says when it cannot serve now.
const TRANSIENT: [&[u8]; 3] = [
    b"-LOADING Redis is loading the dataset in memory\r\n",
    b"-OOM command not allowed when used memory > 'maxmemory'.\r\n",
    b"-BUSY Redis is busy running a script.\r\n",
];

/// What is left of a reply for which nobody else's request has to wait.
const LARGE_BYTES: usize = 256 << 10;

const NO_REPLICAS: &[u8] = b"-NOREPLICAS Not enough good replicas to write.\r\n";

const HELLO: &[u8] =
    b"%3\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$6\r\n7.0.15\r\n$5\r\nproto\r\n:3\r\n";

const GARBAGE: [&[u8]; 7] = [
    b"HTTP/1.1 400 Bad Request\r\n\r\n",
    b"$-2\r\n",
    b":12a\r\n",
    b"$3\r\nabcdef\r\n",
    b"+fine\n",
    b"*1\r\n%1\r\n",
    b"\0\0\0\0",
];

/// The same reply as a server of RESP3 gives it.
fn in_resp3(reply: &[u8]) -> Vec<u8> {
    let null: [&[u8]; 2] = [b"$-1\r\n", b"*-1\r\n"];
    if null.contains(&reply) {
        return b"_\r\n".to_vec();
    }
    let Some(elements) = elements(reply) else {
        return reply.to_vec();
    };
    let mut newer = format!("*{}\r\n", elements.len()).into_bytes();
    for element in elements {
        newer.extend(in_resp3(element));
    }
    newer
}

impl World {
    pub(super) fn execute_received(&mut self, pool: usize, server: usize, link: LinkId) {
        let Some(conn) = self.servers[pool][server].conns.get_mut(&link) else {
            return;
        };
        let mut received = std::mem::take(&mut conn.received);
        let mut at = 0;
        loop {
            match parse_request(&received[at..]) {
                Ok(Some((args, end))) => {
                    let args: Vec<&[u8]> =
                        args.into_iter().map(|arg| &received[at..][arg]).collect();
                    let goes_on = self.take_request(pool, server, link, &args);
                    at += end;
                    if !goes_on {
                        return;
                    }
                }
                Ok(None) => break,
                Err(why) => panic!(
                    "what reached server {server} of pool {pool} is no frame: {why}: {}",
                    head(&received[at..])
                ),
            }
        }
        if let Some(conn) = self.servers[pool][server].conns.get_mut(&link) {
            received.drain(..at);
            conn.received = received;
        }
    }

    /// Executes one request and sees that its reply is sent; whether the connection goes on.
    fn take_request(&mut self, pool: usize, server: usize, link: LinkId, args: &[&[u8]]) -> bool {
        if let Some(goes_on) = self.take_part((pool, server), link, args) {
            return goes_on;
        }
        if [&b"AUTH"[..], b"HELLO", b"SELECT", b"PING"].contains(&args[0]) {
            let reply = self.greet(pool, server, link, args);
            self.reply(link, reply);
            return true;
        }
        let config = &self.config.pools[pool];
        let Some(conn) = self.servers[pool][server].conns.get(&link) else {
            return false;
        };
        assert!(
            conn.authenticated || config.greeting.redis_auth.is_none(),
            "a request came before the server had the password"
        );
        let (database, resp3) = (conn.database, conn.resp3);
        if resp3 {
            self.tally.count(Happening::NewerVersion);
        }
        if database != config.greeting.redis_db {
            self.tally.count(Happening::OtherDatabase);
        }
        trace!(
            self.now,
            "server {pool}.{server} executes {}",
            head(&args.join(&b' '))
        );
        let is_script = self.oracle.is_script(args);
        if let Some(refusal) = self.refusal(pool, server, args) {
            if !is_script {
                self.speaks(pool, server);
            }
            self.oracle.refused(server, args, refusal.clone());
            self.reply(link, refusal);
            return true;
        }
        self.execute((pool, server), link, args, |store| store.execute(args))
    }

    /// Executes what the client of these `args` has asked for, once; whether the connection goes on.
    pub(super) fn execute(
        &mut self,
        (pool, server): (usize, usize),
        link: LinkId,
        args: &[&[u8]],
        act: impl FnOnce(&mut Store) -> Vec<u8>,
    ) -> bool {
        let Some(conn) = self.servers[pool][server].conns.get(&link) else {
            return false;
        };
        let (database, resp3) = (conn.database, conn.resp3);
        let is_script = self.oracle.is_script(args);
        let mut execution = self.oracle.executing(
            (pool, server),
            (link, database, resp3),
            args,
            self.now,
            &mut self.tally,
        );
        let socket = self.links[link.0].socket.as_ref();
        if socket.is_some_and(|socket| !socket.closing && !socket.ended) {
            self.oracle.check_in_time(&execution, &mut self.tally);
        }
        // What a client had to wait with itself did not wait for its server.
        let asker = Peer::Client(execution.mark.client);
        let mut links = self.links.iter().rev();
        let was_paused = links.any(|link| link.peer == asker && link.was_paused);
        if let (Some(connected), false) = (self.links[link.0].connected, was_paused) {
            self.oracle.check_wanted(&execution, connected);
        }
        if self.config.pools[pool].connections.per_server.get() == 1
            && self.goes_around(pool, server, link)
        {
            self.tally.count(Happening::Detour);
        }
        let fault = self.armed_fault(pool, server, self.oracle.is_fragment(&execution));
        let reply = match fault {
            Some(Happening::Transient) => {
                if !is_script {
                    self.speaks(pool, server);
                }
                let said = *self.dice.pick(&TRANSIENT[1..]);
                match args[0] {
                    b"EXEC" => because(said),
                    _ => said.to_vec(),
                }
            }
            Some(Happening::BadFragment) => self
                .dice
                .pick(&[&b"*0\r\n"[..], b"$1\r\nx\r\n", b"*1\r\n*0\r\n"])
                .to_vec(),
            _ => {
                let stores = &mut self.servers[pool][server].stores;
                act(stores.entry(database).or_default())
            }
        };
        let reply = match resp3 {
            true => in_resp3(&reply),
            false => reply,
        };
        let reply = Bytes::from(reply);
        execution.reply = reply.clone();
        if reply.ends_with(A_SCRIPT_SAYS) {
            self.tally.count(Happening::ScriptSpoke);
        }
        self.oracle.executed(execution);
        self.links[link.0].has_served = true;
        let Some(fault) = fault else {
            self.reply(link, reply);
            return true;
        };
        self.tally.count(fault);
        self.touch_link(link, fault);
        match fault {
            Happening::ClosedBeforeReply => {
                let end = *self.dice.pick(&[End::Fin, End::Reset]);
                self.server_closes(link, end);
                false
            }
            Happening::ClosedMidReply => {
                let cut = self.dice.between(1, reply.len() - 1);
                self.reply(link, reply.slice(..cut));
                let end = *self.dice.pick(&[End::Fin, End::Reset]);
                if let Some(conn) = self.servers[pool][server].conns.get_mut(&link) {
                    conn.ending = Some(end);
                }
                false
            }
            Happening::Garbage => {
                let garbage = *self.dice.pick(&GARBAGE);
                self.reply(link, Bytes::from_static(garbage));
                true
            }
            _ => {
                self.reply(link, reply);
                true
            }
        }
    }

    /// Whether another connection of the same worker carries something large.
    fn goes_around(&self, pool: usize, server: usize, link: LinkId) -> bool {
        let worker = self.links[link.0].worker;
        self.servers[pool][server]
            .conns
            .iter()
            .any(|(other, conn)| {
                let (large, beside) = (conn.replies.front(), &self.links[other.0]);
                let socket = beside.socket.as_ref();
                *other != link
                    && beside.worker == worker
                    && socket.is_some_and(|socket| !socket.closing && !socket.ended)
                    && large.is_some_and(|(_, reply)| reply.len() > LARGE_BYTES)
            })
    }

    /// What a server says that will do in a moment what it is asked.
    pub(super) fn refusal(&mut self, pool: usize, server: usize, args: &[&[u8]]) -> Option<Bytes> {
        let state = &self.servers[pool][server];
        if state.has(Happening::Refuses) && !self.oracle.is_read(args) {
            self.tally.count(Happening::Refuses);
            return Some(Bytes::from_static(NO_REPLICAS));
        }
        let loads = state.has(Happening::Transient) && self.dice.percent(30);
        loads.then(|| {
            self.tally.count(Happening::Transient);
            Bytes::from_static(TRANSIENT[0])
        })
    }

    /// What a server says that was spoken of, when it is asked itself.
    fn speak_for_itself(&mut self, pool: usize, server: usize) -> Bytes {
        self.tally.count(Happening::SecondOpinion);
        if !self.servers[pool][server].has(Happening::Transient) {
            return Bytes::from_static(b"+PONG\r\n");
        }
        self.speaks(pool, server);
        let said = *self.dice.pick(&TRANSIENT);
        Bytes::from_static(said)
    }

    /// A server says in its own words that it cannot serve.
    pub(super) fn speaks(&mut self, pool: usize, server: usize) {
        *self.oracle.spoken.entry((pool, server)).or_default() += 1;
    }

    fn armed_fault(&mut self, pool: usize, server: usize, fragment: bool) -> Option<Happening> {
        let state = &mut self.servers[pool][server];
        if state.has(Happening::Transient) {
            return Some(Happening::Transient);
        }
        let fits = |fault: &Happening| fragment || *fault != Happening::BadFragment;
        let at = state.armed.iter().position(fits)?;
        Some(state.armed.remove(at))
    }

    fn greet(&mut self, pool: usize, server: usize, link: LinkId, args: &[&[u8]]) -> Bytes {
        let config = &self.config.pools[pool];
        let state = &mut self.servers[pool][server];
        let (refuses_auth, refuses_select) = (
            state.has(Happening::AuthRefused),
            state.has(Happening::SelectRefused),
        );
        let Some(conn) = state.conns.get_mut(&link) else {
            return Bytes::new();
        };
        let password = config
            .greeting
            .redis_auth
            .as_ref()
            .map(|secret| secret.expose());
        if args[0] == b"PING" && self.links[link.0].has_served {
            return self.speak_for_itself(pool, server);
        }
        if args[0] == b"PING" {
            if password.is_some() && !conn.authenticated {
                return Bytes::from_static(b"-NOAUTH Authentication required.\r\n");
            }
            conn.proved = true;
            self.tally.count(Happening::Proved);
            return Bytes::from_static(b"+PONG\r\n");
        }
        assert!(
            conn.replies.len() < 3 && args.len() == 2 && conn.database == 0,
            "an odd greeting: {}",
            head(&args.join(&b' '))
        );
        if args[0] == b"AUTH" {
            assert_eq!(Some(args[1]), password, "the server got another password");
            if refuses_auth {
                self.tally.count(Happening::AuthRefused);
                self.touch_link(link, Happening::AuthRefused);
                return Bytes::from([b"-", WRONG_PASSWORD, b"\r\n"].concat());
            }
            conn.authenticated = true;
            return Bytes::from_static(b"+OK\r\n");
        }
        if password.is_some() && !conn.authenticated {
            assert!(refuses_auth, "SELECT came before AUTH");
            return Bytes::from_static(b"-NOAUTH Authentication required.\r\n");
        }
        if args[0] == b"HELLO" {
            assert_eq!(args[1], b"3", "no other version is asked for");
            conn.resp3 = true;
            return Bytes::from_static(HELLO);
        }
        if refuses_select {
            self.tally.count(Happening::SelectRefused);
            self.touch_link(link, Happening::SelectRefused);
            return Bytes::from([b"-", NO_SUCH_DATABASE, b"\r\n"].concat());
        }
        let database = std::str::from_utf8(args[1]).expect("a number");
        conn.database = database.parse().expect("a number");
        Bytes::from_static(b"+OK\r\n")
    }
}
