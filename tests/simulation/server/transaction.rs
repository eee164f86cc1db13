//! A server within a transaction: it queues, refuses, and executes all of it or nothing.

use bytes::Bytes;

use crate::tally::Happening;
use crate::wire::End;
use crate::world::LinkId;
use crate::world::World;

/// What waits for `EXEC` on one connection.
#[derive(Debug, Default)]
pub struct Queued {
    commands: Vec<Vec<Bytes>>,
    /// What it has refused of it, first.
    refused: Option<Bytes>,
}

const BECAUSE: &[u8] = b"-EXECABORT Transaction discarded because of: ";
const PREVIOUS: &[u8] = b"-EXECABORT Transaction discarded because of previous errors.\r\n";

/// What is told of a transaction of which nothing was done for this error.
pub(super) fn because(error: &[u8]) -> Vec<u8> {
    [BECAUSE, &error[1..]].concat()
}

impl World {
    /// Takes a request that begins a transaction, or belongs to one: whether the connection goes
    /// on. `None` if it does neither.
    pub(super) fn take_part(
        &mut self,
        (pool, server): (usize, usize),
        link: LinkId,
        args: &[&[u8]],
    ) -> Option<bool> {
        let conn = self.servers[pool][server].conns.get_mut(&link)?;
        let is_within = conn.transaction.is_some();
        match (args[0], is_within) {
            (b"MULTI", within) => {
                assert!(!within, "a transaction is begun within another one");
                conn.transaction = Some(Queued::default());
                self.reply(link, Bytes::from_static(b"+OK\r\n"));
                Some(self.breaks_within(pool, server, link))
            }
            (b"EXEC", within) => {
                assert!(within, "no transaction has begun");
                let queued = conn.transaction.take()?;
                Some(self.end_transaction((pool, server), link, queued))
            }
            (_, true) => {
                let refusal = self.refusal(pool, server, args);
                let conn = self.servers[pool][server].conns.get_mut(&link)?;
                let queued = conn.transaction.as_mut()?;
                let own = |arg: &&[u8]| Bytes::copy_from_slice(arg);
                queued.commands.push(args.iter().map(own).collect());
                match refusal {
                    Some(refusal) => {
                        queued.refused.get_or_insert(refusal.clone());
                        self.speaks(pool, server);
                        self.reply(link, refusal);
                    }
                    None => self.reply(link, Bytes::from_static(b"+QUEUED\r\n")),
                }
                Some(self.breaks_within(pool, server, link))
            }
            (_, false) => None,
        }
    }

    /// Now and then a server ends in the middle: nothing of it is done.
    fn breaks_within(&mut self, pool: usize, server: usize, link: LinkId) -> bool {
        let armed = &mut self.servers[pool][server].armed;
        let breaks = |fault: &Happening| *fault == Happening::ClosedBeforeReply;
        let Some(at) = armed.iter().position(breaks) else {
            return true;
        };
        if !self.dice.percent(30) {
            return true;
        }
        self.servers[pool][server].armed.remove(at);
        self.tally.count(Happening::TransactionBroken);
        self.touch_link(link, Happening::ClosedBeforeReply);
        let end = *self.dice.pick(&[End::Fin, End::Reset]);
        self.server_closes(link, end);
        false
    }

    fn end_transaction(
        &mut self,
        (pool, server): (usize, usize),
        link: LinkId,
        queued: Queued,
    ) -> bool {
        let mut all: Vec<&[u8]> = vec![b"EXEC"];
        all.extend(queued.commands.iter().flatten().map(|arg| &arg[..]));
        if let Some(refusal) = &queued.refused {
            self.oracle
                .refused(server, &all, Bytes::from(because(refusal)));
            self.reply(link, Bytes::from_static(PREVIOUS));
            return true;
        }
        let commands: Vec<Vec<&[u8]>> = queued
            .commands
            .iter()
            .map(|args| args.iter().map(|arg| &arg[..]).collect())
            .collect();
        self.execute((pool, server), link, &all, |store| {
            let mut reply = format!("*{}\r\n", commands.len()).into_bytes();
            for command in &commands {
                reply.extend(store.execute(command));
            }
            reply
        })
    }
}
