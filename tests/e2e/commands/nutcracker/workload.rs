//! Requests that nutcracker supports, at random from a seed.
//!
//! Left out is what nutcracker answers by closing (arity, `EXPIRE` with options), what depends on
//! chance or the clock, and what it sends to the first key's server though the others live
//! elsewhere: keys of one request that is not split have one tag.

use std::collections::BTreeSet;

use coremux::base::Random;

/// Whether two servers that hold the same reply in the same order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    Same,
    OfTheServer,
}

/// `K` is a key of the type that its letter says (`s` string, `h` hash, `l` list, `t` set, `z`
/// sorted set, `g` places, `p` counts, `x` any), `A` and `B` are two with one tag, `F` a field or
/// member, `V` a value, `N` a small number, `S` a score. `~`: the order is the server's own.
const TEMPLATES: &[(char, &str)] = &[
    ('s', "SET K V"),
    ('s', "SET K V"),
    ('s', "SET K V NX"),
    ('s', "SET K V XX GET"),
    ('s', "GET K"),
    ('s', "GET K"),
    ('s', "GETSET K V"),
    ('s', "GETDEL K"),
    ('s', "GETEX K PERSIST"),
    ('s', "APPEND K V"),
    ('s', "STRLEN K"),
    ('s', "SETNX K V"),
    ('s', "SETEX K 10000 V"),
    ('s', "PSETEX K 10000000 V"),
    ('s', "GETRANGE K N -N"),
    ('s', "SETRANGE K N V"),
    ('s', "INCR K"),
    ('s', "DECR K"),
    ('s', "INCRBY K N"),
    ('s', "DECRBY K N"),
    ('s', "INCRBYFLOAT K 0.5"),
    ('s', "SETBIT K N 1"),
    ('s', "GETBIT K N"),
    ('s', "BITCOUNT K"),
    ('s', "BITPOS K 1"),
    ('s', "BITFIELD K INCRBY u8 N 1 GET i4 0"),
    ('s', "SET K N"),
    ('x', "MGET K K K K K"),
    ('x', "MGET K"),
    ('x', "mget K K K K K K K K K K K K K K K K K K K K"),
    ('s', "MSET K V K V K V"),
    ('s', "MSET K N"),
    ('x', "DEL K K K"),
    ('x', "UNLINK K K"),
    ('x', "TOUCH K K K K"),
    ('x', "EXISTS K"),
    ('x', "TYPE K"),
    ('x', "PERSIST K"),
    ('x', "EXPIRE K 100000"),
    ('x', "PEXPIREAT K 33177117420000"),
    ('x', "EXPIREAT K 33177117420"),
    ('x', "COPY A B"),
    ('x', "COPY A B REPLACE"),
    ('l', "SORT K ALPHA"),
    ('t', "SORT K ALPHA LIMIT 0 5"),
    ('h', "HSET K F V"),
    ('h', "HSET K F V F V"),
    ('h', "HMSET K F V F V"),
    ('h', "HSETNX K F V"),
    ('h', "HGET K F"),
    ('h', "HMGET K F F F"),
    ('h', "~HGETALL K"),
    ('h', "~HKEYS K"),
    ('h', "~HVALS K"),
    ('h', "HLEN K"),
    ('h', "HEXISTS K F"),
    ('h', "HSTRLEN K F"),
    ('h', "HDEL K F F"),
    ('h', "HINCRBY K number N"),
    ('h', "HINCRBYFLOAT K number 1.5"),
    ('l', "LPUSH K V V"),
    ('l', "RPUSH K V"),
    ('l', "LPUSHX K V"),
    ('l', "RPUSHX K V"),
    ('l', "LPOP K"),
    ('l', "RPOP K 2"),
    ('l', "LLEN K"),
    ('l', "LRANGE K 0 -1"),
    ('l', "LRANGE K N -N"),
    ('l', "LINDEX K N"),
    ('l', "LSET K N V"),
    ('l', "LREM K 0 F"),
    ('l', "RPUSH K F F F"),
    ('l', "LPOS K F"),
    ('l', "LINSERT K BEFORE F V"),
    ('l', "LTRIM K 0 20"),
    ('l', "RPOPLPUSH A B"),
    ('l', "LMOVE A B LEFT RIGHT"),
    ('t', "SADD K F F F"),
    ('t', "SREM K F"),
    ('t', "SCARD K"),
    ('t', "~SMEMBERS K"),
    ('t', "SISMEMBER K F"),
    ('t', "SMISMEMBER K F F"),
    ('t', "SMOVE A B F"),
    ('t', "~SINTER A B"),
    ('t', "~SUNION A B"),
    ('t', "~SDIFF A B"),
    ('t', "SUNIONSTORE A A B"),
    ('t', "SINTERSTORE B A B"),
    ('t', "SDIFFSTORE A A B"),
    ('z', "ZADD K S F S F"),
    ('z', "ZADD K NX CH S F"),
    ('z', "ZINCRBY K S F"),
    ('z', "ZREM K F"),
    ('z', "ZCARD K"),
    ('z', "ZSCORE K F"),
    ('z', "ZMSCORE K F F"),
    ('z', "ZRANK K F"),
    ('z', "ZREVRANK K F"),
    ('z', "ZCOUNT K -inf S"),
    ('z', "ZRANGE K 0 -1 WITHSCORES"),
    ('z', "ZREVRANGE K 0 N"),
    ('z', "ZRANGEBYSCORE K -inf +inf LIMIT 0 3"),
    ('z', "ZREVRANGEBYSCORE K +inf (S"),
    ('z', "ZPOPMIN K"),
    ('z', "ZPOPMAX K 2"),
    ('z', "ZREMRANGEBYRANK K 0 0"),
    ('z', "ZREMRANGEBYSCORE K S S"),
    ('z', "ZUNIONSTORE A 2 A B"),
    ('z', "ZINTERSTORE B 2 A B"),
    ('z', "ZRANGESTORE A B 0 5"),
    ('g', "GEOADD K 13.361389 38.115556 F"),
    ('g', "GEODIST K F F"),
    ('g', "GEOPOS K F"),
    (
        'g',
        "GEOSEARCH K FROMLONLAT 13 38 BYRADIUS 200 km ASC COUNT 1",
    ),
    ('p', "PFADD K F F"),
    ('p', "PFCOUNT K"),
    ('p', "PFMERGE A B"),
    ('s', "EVAL return{KEYS[1],ARGV[1]} 1 K V"),
    ('s', "EVAL return(redis.call('incr',KEYS[1])) 1 K"),
    ('s', "PING"),
];

/// A stream of requests.
pub(crate) struct Workload {
    random: Random,
    untried: BTreeSet<&'static str>,
}

impl Workload {
    pub(crate) fn new(seed: u64) -> Workload {
        Workload {
            random: Random::new(seed),
            untried: TEMPLATES.iter().map(|(_, template)| *template).collect(),
        }
    }

    /// Some requests to be sent at once.
    pub(crate) fn pipeline(&mut self) -> Vec<(Vec<Vec<u8>>, Order)> {
        let depth = match self.below(3) {
            0 => 1,
            _ => 1 + self.below(40),
        };
        (0..depth).map(|_| self.request()).collect()
    }

    /// What was never chosen.
    pub(crate) fn untried(&self) -> Vec<&'static str> {
        self.untried.iter().copied().collect()
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.random.below(bound)
    }

    fn request(&mut self) -> (Vec<Vec<u8>>, Order) {
        let place = usize::try_from(self.below(TEMPLATES.len() as u64)).unwrap();
        let (kind, template) = TEMPLATES[place];
        self.untried.remove(template);
        let (order, line) = match template.strip_prefix('~') {
            Some(line) => (Order::OfTheServer, line),
            None => (Order::Same, template),
        };
        let tag = self.below(5);
        let words = line.split(' ').map(|word| match word {
            "K" => self.key(kind).into_bytes(),
            "A" => format!("{kind}{{{tag}}}a").into_bytes(),
            "B" => format!("{kind}{{{tag}}}b").into_bytes(),
            "F" => format!("f{}", self.below(12)).into_bytes(),
            "V" => self.value(),
            "N" => self.below(20).to_string().into_bytes(),
            "-N" => format!("-{}", 1 + self.below(20)).into_bytes(),
            "S" => self.below(10).to_string().into_bytes(),
            "(S" => format!("({}", self.below(10)).into_bytes(),
            word => word.as_bytes().to_vec(),
        });
        (words.collect(), order)
    }

    fn key(&mut self, kind: char) -> String {
        let all = ['s', 'h', 'l', 't', 'z', 'g', 'p'];
        // Now and then one of another type, which is an error.
        let kind = match (kind, self.below(30)) {
            ('x', _) | (_, 0) => all[usize::try_from(self.below(7)).unwrap()],
            (kind, _) => kind,
        };
        match self.below(3) {
            0 => format!(
                "{kind}{{{}}}{}",
                self.below(5),
                ["a", "b"][usize::from(self.below(2) == 0)]
            ),
            // Far apart, so that they live on several servers.
            _ => format!("{kind}{:x}", Random::new(self.below(8)).next_u64()),
        }
    }

    fn value(&mut self) -> Vec<u8> {
        let length = match self.below(100) {
            0 => 40_000 + self.below(30_000),
            1..10 => 1_000 + self.below(8_000),
            _ => self.below(40),
        };
        (0..length)
            .map(|_| self.random.next_u32().to_le_bytes()[0])
            .collect()
    }
}
