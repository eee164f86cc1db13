//! What a client is refused and relies on: a transaction.
//!
//! A model beside the proxy's own: what relies on it is done by no server, as the oracle sees.

use crate::dice::Dice;
use crate::request::Expect;
use crate::request::Request;
use crate::workload::Asker;

pub const NO_TRANSACTION: &[u8] =
    b"-ERR not done: MULTI is refused here, and EXEC, DISCARD or RESET has not come yet\r\n";
const ABORTED: &[u8] = b"-EXECABORT Transaction discarded because of previous errors.\r\n";
const NO_DISCARD: &[u8] = b"-ERR 'discard' is refused: transactions are not offered here\r\n";

impl Asker {
    /// Now and then it takes back what it relies on.
    pub(super) fn meets(&mut self, dice: &mut Dice) -> Option<Request> {
        if self.in_transaction && dice.percent(30) {
            self.in_transaction = false;
            let (word, reply) = match dice.percent(70) {
                true => (&b"EXEC"[..], ABORTED),
                false => (&b"discard"[..], NO_DISCARD),
            };
            return Some(Request::local(&[word], Expect::Exact(reply.to_vec())));
        }
        None
    }

    /// The same request, and what becomes of it where it relies on what was refused.
    pub(super) fn or_unmet(&mut self, request: Request) -> Request {
        let name = request.args[0].to_ascii_lowercase();
        // What Redis finds out before it queues anything.
        let own_error = matches!(&request.expect, Expect::Exact(reply)
            if reply.starts_with(b"-ERR wrong number") || reply.starts_with(b"-ERR unknown"));
        let own_error = own_error && name != b"mset";
        match (self.in_transaction, name.as_slice()) {
            (_, b"multi") => {
                self.in_transaction = true;
                request
            }
            _ if own_error => request,
            (true, _) => self.refused(request, NO_TRANSACTION),
            (false, b"select") => {
                let number = std::str::from_utf8(&request.args[1]).expect("a number");
                let taken = request.expect == Expect::Exact(b"+OK\r\n".to_vec());
                if let (true, Ok(database)) = (taken, number.parse()) {
                    self.database = database;
                }
                request
            }
            _ => request,
        }
    }
}
