//! Transactions: a client plans all of one before it sends the first part.
//!
//! All parts bear the mark of their `EXEC`, which is what is executed, and once at most. Their keys
//! are one key, so that they live together wherever that is.

use bytes::Bytes;

use crate::dice::Dice;
use crate::mark::Mark;
use crate::request::Expect;
use crate::request::Request;
use crate::workload::Asker;
use crate::workload::base;

pub const ABORTED: &[u8] = b"-EXECABORT Transaction discarded because of previous errors.\r\n";
pub const NOT_WITHIN: &[u8] = b"-ERR Command not allowed inside a transaction\r\n";

/// A command as its client writes it.
type Words = &'static [&'static [u8]];

/// What goes wrong within a transaction, what its client is told, and whether that ends it.
const WRONG: [(Words, &[u8], bool); 7] = [
    (
        &[b"MULTI"],
        b"-ERR MULTI calls can not be nested\r\n",
        false,
    ),
    (
        &[b"WATCH", b"k"],
        b"-ERR WATCH inside MULTI is not allowed\r\n",
        false,
    ),
    (
        &[b"GET"],
        b"-ERR wrong number of arguments for 'get' command\r\n",
        true,
    ),
    (
        &[b"NIX"],
        b"-ERR unknown command 'NIX', with args beginning with: \r\n",
        true,
    ),
    (&[b"SELECT", b"0"], NOT_WITHIN, true),
    (&[b"CLIENT", b"ID"], NOT_WITHIN, true),
    (&[b"KEYS", b"*"], b"", true),
];

impl Asker {
    /// The first part of a transaction; the others are asked next.
    pub(super) fn transaction(&mut self, number: usize, dice: &mut Dice) -> Request {
        let count = *dice.pick(&[0, 1, 2, 3, 3, 8]);
        let wrong = dice.percent(25).then(|| dice.below(count + 1));
        let mark = Mark {
            client: self.client,
            number: number + count + 1 + usize::from(wrong.is_some()),
        };
        let key = self.key(mark, dice);
        let (mut all, mut keys, mut puts) = (vec![Bytes::from_static(b"EXEC")], vec![], vec![]);
        let (mut aborts, mut writes, mut bytes) = (false, false, 0);
        for nth in 0..=count {
            if wrong == Some(nth) {
                let (args, told, ends) = *dice.pick(&WRONG[..6]);
                aborts |= ends;
                let expect = Expect::Exact(told.to_vec());
                self.planned.push_back(Request::local(args, expect));
            }
            if nth == count {
                break;
            }
            let (args, at, put) = self.part(mark, &key, nth, dice);
            writes |= put.is_some() || args[0] == b"EVAL";
            puts.extend(
                put.filter(|_| self.is_followed(&key))
                    .map(|put| (base(&key), put)),
            );
            keys.extend(at.map(|at| all.len() + at));
            all.extend(args.iter().map(|arg| Bytes::copy_from_slice(arg)));
            let request = Request::forwarded(args, Vec::new());
            bytes += request.sent.len();
            self.planned.push_back(Request {
                expect: Expect::Queued { bytes },
                ..request
            });
        }
        let (word, expect) = match (dice.percent(15), aborts, count) {
            (true, ..) => ("DISCARD", Expect::Exact(b"+OK\r\n".to_vec())),
            (_, true, _) => ("EXEC", Expect::Exact(ABORTED.to_vec())),
            (_, _, 0) => ("exec", Expect::Exact(b"*0\r\n".to_vec())),
            _ => ("EXEC", Expect::Forwarded),
        };
        let end = match expect {
            Expect::Forwarded => Request {
                args: all,
                keys,
                puts,
                transaction: Some(writes),
                ..Request::local(&[word.as_bytes()], expect)
            },
            expect => Request::local(&[word.as_bytes()], expect),
        };
        self.planned.push_back(end);
        Request::local(&[b"MULTI"], Expect::Exact(b"+OK\r\n".to_vec()))
    }

    /// A command, where in it its key is, and what it makes of that.
    fn part(
        &mut self,
        mark: Mark,
        key: &[u8],
        nth: usize,
        dice: &mut Dice,
    ) -> (Vec<Vec<u8>>, Option<usize>, Option<Option<Bytes>>) {
        let key = key.to_vec();
        let words = |words: &[&[u8]]| words.iter().map(|word| word.to_vec()).collect();
        // The first one says whose it is.
        let kind = if nth == 0 {
            dice.below(3)
        } else {
            dice.below(8)
        };
        match kind {
            0 => (words(&[b"ECHO", &mark.text()]), None, None),
            1 | 3 => {
                let value = self.value(mark, dice);
                let put = Bytes::copy_from_slice(&value);
                (words(&[b"SET", &key, &value]), Some(1), Some(Some(put)))
            }
            2 | 4 => {
                let end = mark.decimal();
                (words(&[b"GETRANGE", &key, b"0", &end]), Some(1), None)
            }
            5 => (words(&[b"DEL", &key]), Some(1), Some(None)),
            6 => (
                words(&[b"EVAL", b"fail", b"1", &key, &mark.text()]),
                Some(3),
                None,
            ),
            _ => (words(&[b"LOLWUT", &mark.text()]), None, None),
        }
    }
}
