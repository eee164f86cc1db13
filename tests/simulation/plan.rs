//! What a model client is going to do.

use coremux::base::Time;

use crate::dice::Dice;
use crate::scenario::ARRIVALS_END;
use crate::scenario::PoolPlan;

/// How a client ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It closes when it has all replies.
    Close,
    /// It closes its sending half behind its last request, and waits for the replies.
    HalfClose,
    /// Its last request is `QUIT`.
    Quit,
    /// Its last bytes are no request.
    Broken,
    /// It resets the connection after so many requests.
    Reset(usize),
    /// It closes after so many requests, without a look at what is due, and maybe comes again.
    Vanish(usize),
    /// It says nothing any more until the proxy closes.
    Idle,
}

/// What a client asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taste {
    /// A bit of everything.
    Mixed,
    /// The same large value again and again, without reading.
    Greedy,
    /// The same value again and again, larger than any other, and all of it.
    Voracious,
    /// To take one large value after the other.
    Generous,
    /// To take the same key's next value, one at a time.
    Stubborn,
}

/// One client's ways.
#[derive(Clone, Debug)]
pub struct Plan {
    pub start: Time,
    pub requests: usize,
    /// Requests that may be on their way at once.
    pub depth: usize,
    /// Microseconds between two bursts.
    pub pause: (usize, usize),
    pub ending: Ending,
    /// How many times it stops reading.
    pub rests: usize,
    /// It takes a few bytes at a time.
    pub sips: bool,
    pub byte_by_byte: bool,
    pub taste: Taste,
    /// It closes so long after the proxy has.
    pub closes_late: bool,
}

impl Plan {
    pub fn new(pool: &PoolPlan, dice: &mut Dice) -> Plan {
        let requests = match dice.below(10) {
            0 => 0,
            1..4 => dice.between(1, 5),
            4..9 => dice.between(5, 40),
            _ => dice.between(40, 150),
        };
        let ending = match dice.below(100) {
            0..35 => Ending::Close,
            35..55 => Ending::HalfClose,
            55..65 => Ending::Quit,
            65..80 => Ending::Broken,
            _ if pool.idle_timeout.is_some() && dice.percent(50) => Ending::Idle,
            _ if dice.percent(50) => Ending::Vanish(dice.between(0, requests)),
            _ => Ending::Reset(dice.between(0, requests)),
        };
        let taste = match dice.below(100) {
            0..8 => Taste::Greedy,
            8..20 => Taste::Generous,
            20..26 => Taste::Voracious,
            26..34 => Taste::Stubborn,
            _ => Taste::Mixed,
        };
        let restful = taste == Taste::Greedy || dice.percent(15);
        let (requests, depth) = match taste {
            Taste::Mixed => (requests, *dice.pick(&[1, 1, 2, 5, 20, 1000])),
            Taste::Voracious => (dice.between(3, 15), dice.between(1, 3)),
            Taste::Stubborn => (dice.between(40, 120), 1),
            _ => (dice.between(40, 120), 1000),
        };
        Plan {
            start: Time::ZERO + dice.micros(0, ARRIVALS_END),
            requests,
            depth,
            pause: *dice.pick(&[(0, 0), (0, 1000), (1000, 20_000), (1000, 200_000)]),
            ending,
            rests: if restful { dice.between(1, 2) } else { 0 },
            sips: dice.percent(10),
            byte_by_byte: dice.percent(6),
            taste,
            closes_late: dice.percent(10),
        }
    }

    /// Of a client that looks whether all is well at the end.
    pub fn verifying(now: Time) -> Plan {
        Plan {
            start: now,
            requests: 0,
            depth: 10,
            pause: (0, 0),
            ending: Ending::Close,
            rests: 0,
            sips: false,
            byte_by_byte: false,
            taste: Taste::Mixed,
            closes_late: false,
        }
    }
}

/// What is no request, and what its sender is told.
pub const BROKEN: [(&[u8], &str); 10] = [
    (b"*1\r\n:3\r\n", "expected '$', got ':'"),
    (b"*abc\r\n", "invalid multibulk length"),
    (b"*-2\r\n", "invalid multibulk length"),
    (b"*02\r\n", "invalid multibulk length"),
    (b"*99999999\r\n", "invalid multibulk length"),
    (b"*1\r\n$-5\r\n", "invalid bulk length"),
    (b"*1\r\n$99999999999\r\n", "invalid bulk length"),
    (
        b"*2\r\n$3\r\nGET\r\n$1\r\nkk\r\n",
        "expected CRLF after bulk string",
    ),
    (b"SET k \"open\r\n", "unbalanced quotes in request"),
    (b"*2\r\n$3\r\nGET\r\n+k\r\n", "expected '$', got '+'"),
];
