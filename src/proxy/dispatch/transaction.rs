//! A transaction on its way into the queue of one server connection.
//!
//! Owns: that it goes in as one request, whose bytes nothing comes between. It is asked of the
//! master, and never twice: unsent it moves like any other, and once a byte of it was sent its
//! outcome is unknown when its connection ends.

use crate::base::Key;
use crate::base::ServerIdx;
use crate::base::Time;
use crate::proxy::Proxy;
use crate::proxy::client::Due;
use crate::proxy::client::transaction::Transaction;
use crate::proxy::failure::RequestError;
use crate::proxy::plan::Ask;

impl Proxy {
    /// Sends a client's transaction to the server where its keys live.
    pub(in crate::proxy) fn forward_transaction(
        &mut self,
        client: Key,
        server: ServerIdx,
        transaction: Transaction,
        now: Time,
    ) -> Result<(), RequestError> {
        let ask = Ask::of_transaction(transaction.writes());
        let conn = self.open_one(client, server, ask, now)?;
        self.queue_transaction(client, conn, ask, transaction, now);
        Ok(())
    }

    /// Puts a transaction into the queue of this connection.
    pub(in crate::proxy) fn queue_transaction(
        &mut self,
        client: Key,
        conn: Key,
        ask: Ask,
        transaction: Transaction,
        now: Time,
    ) {
        let Some(mut desk) = self.desk(client) else {
            return;
        };
        let queue = desk.servers[conn].requests.writer();
        let spare = &mut desk.wire.spare;
        let expect = transaction.write_to(desk.pool.protocol, queue, spare);
        let awaiter = desk.client.expect(Due::One);
        let is_open = desk.queue(conn, awaiter, ask.expecting(expect), now);
        desk.stats.counters.transactions.add(1);
        if !is_open {
            self.request_passed_on(conn, client, now);
        }
    }
}
