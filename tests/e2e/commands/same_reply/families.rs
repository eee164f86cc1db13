//! The commands that are tried, family by family; each begins with empty servers.
//!
//! `~` before a command: the order of the reply is the server's own choice. `?`: chance, or the
//! time, is in the reply.

/// All that the parser of twemproxy 0.5.0 takes (`src/proto/nc_redis.c`), but for AUTH, QUIT, PING
/// and COMMAND, which the proxy answers by itself.
pub(crate) const SUPPORTED_BY_TWEMPROXY: &str = "
    PERSIST PTTL TTL TYPE DUMP EXPIRE EXPIREAT PEXPIRE PEXPIREAT MOVE SORT COPY EXISTS RESTORE DEL
    UNLINK TOUCH LOLWUT
    DECR GET GETDEL INCR STRLEN APPEND DECRBY GETBIT GETSET INCRBY INCRBYFLOAT SETNX GETRANGE PSETEX
    SETBIT SETEX SETRANGE BITCOUNT BITPOS BITFIELD GETEX SET MGET MSET
    HGETALL HKEYS HLEN HVALS HEXISTS HGET HSTRLEN HINCRBY HINCRBYFLOAT HSETNX HDEL HMGET HMSET HSCAN
    HSET HRANDFIELD
    LLEN LINDEX RPOPLPUSH LRANGE LREM LSET LTRIM LINSERT LMOVE LPUSH LPUSHX RPUSH RPUSHX LPOP RPOP
    LPOS
    SCARD SMEMBERS SISMEMBER SMOVE SADD SDIFF SDIFFSTORE SINTER SINTERSTORE SREM SUNION SUNIONSTORE
    SRANDMEMBER SSCAN SPOP SMISMEMBER
    ZCARD ZRANK ZREVRANK ZSCORE ZCOUNT ZLEXCOUNT ZINCRBY ZREMRANGEBYLEX ZREMRANGEBYRANK
    ZREMRANGEBYSCORE ZADD ZDIFF ZDIFFSTORE ZINTER ZINTERSTORE ZMSCORE ZPOPMAX ZPOPMIN ZRANDMEMBER
    ZRANGE ZRANGEBYLEX ZRANGEBYSCORE ZRANGESTORE ZREM ZREVRANGE ZREVRANGEBYLEX ZREVRANGEBYSCORE
    ZSCAN ZUNION ZUNIONSTORE
    GEODIST GEOPOS GEOHASH GEOADD GEORADIUS GEORADIUSBYMEMBER GEOSEARCH GEOSEARCHSTORE
    PFADD PFMERGE PFCOUNT EVAL EVALSHA";

/// Names, and commands with their replies' comparison.
pub(crate) const FAMILIES: &[(&str, &str)] = &[
    ("keys", KEYS),
    ("strings", STRINGS),
    ("bits", BITS),
    ("hashes", HASHES),
    ("lists", LISTS),
    ("sets", SETS),
    ("sorted sets", SORTED_SETS),
    ("places", GEO),
    ("counts", HYPERLOGLOGS),
    ("streams", STREAMS),
    ("scripts", SCRIPTS),
    ("mistakes", MISTAKES),
];

const KEYS: &str = r#"
    SET {k}a 1
    SET {k}b 2 EX 100
    RPUSH {k}list 3 1 2
    EXISTS {k}a
    EXISTS {k}a {k}b {k}a {k}none
    TYPE {k}list
    TYPE {k}none
    TTL {k}a
    TTL {k}b
    TTL {k}none
    ? PTTL {k}b
    PTTL {k}none
    EXPIRE {k}a 100
    EXPIRE {k}a 50 GT
    EXPIRE {k}a 200 GT
    EXPIRE {k}a 300 NX
    TTL {k}a
    PERSIST {k}a
    PERSIST {k}a
    EXPIREAT {k}a 33177117420
    EXPIRETIME {k}a
    PEXPIREAT {k}a 33177117420000
    PEXPIRETIME {k}a
    PEXPIRE {k}a 100000
    PEXPIRE {k}none 100000
    PERSIST {k}a
    DUMP {k}list
    DUMP {k}none
    RESTORE {k}r 0 "no dump"
    SORT {k}list
    SORT {k}list LIMIT 0 2 DESC
    SORT {k}list ALPHA STORE {k}sorted
    SORT_RO {k}list
    LRANGE {k}sorted 0 -1
    COPY {k}a {k}copy
    COPY {k}a {k}copy
    COPY {k}b {k}copy REPLACE
    GET {k}copy
    RENAME {k}copy {k}renamed
    RENAMENX {k}renamed {k}a
    RENAME {k}none {k}renamed
    OBJECT ENCODING {k}list
    OBJECT ENCODING {k}none
    OBJECT REFCOUNT {k}list
    OBJECT IDLETIME {k}list
    TOUCH {k}a {k}b {k}none
    MOVE {k}a 1
    MOVE {k}a 1
    UNLINK {k}b {k}none
    DEL {k}list {k}sorted {k}none
    EXISTS {k}list
    ? LOLWUT
    LOLWUT VERSION 5 1 1 1
    MEMORY USAGE {k}none
"#;

const STRINGS: &str = r#"
    SET {s}a hello
    get {s}a
    GeT {s}a
    SET {s}a again NX
    SET {s}none again XX
    SET {s}a new GET
    SET {s}a x EX 100 KEEPTTL
    SET {s}a "with blanks"
    SET {s}empty ""
    GET {s}empty
    GET {s}none
    GETSET {s}a 10
    GETSET {s}fresh 10
    INCR {s}a
    INCRBY {s}a 9
    DECR {s}a
    DECRBY {s}a 100
    INCRBYFLOAT {s}a 0.25
    INCR {s}a
    APPEND {s}a xyz
    STRLEN {s}a
    GETRANGE {s}a 0 2
    GETRANGE {s}a -3 -1
    SUBSTR {s}a 0 1
    SETRANGE {s}a 2 !!
    GET {s}a
    SETNX {s}a 1
    SETNX {s}nx 1
    SETEX {s}ex 100 value
    TTL {s}ex
    PSETEX {s}pex 100000 value
    SETEX {s}ex 0 value
    GETEX {s}ex
    GETEX {s}ex PERSIST
    TTL {s}ex
    GETDEL {s}ex
    GETDEL {s}ex
    MSET {s}m1 1 {s}m2 2 {s}m3 3
    MGET {s}m1 {s}none {s}m2 {s}m1
    mget {s}m3
    MSETNX {s}m1 1 {s}m4 2
    MSETNX {s}m5 1 {s}m4 2
    LCS {s}m1 {s}m2
    LCS {s}m1 {s}m1 LEN
    SET s{not}this 1
    GET s{not}this
"#;

const BITS: &str = r#"
    SETBIT {b}a 7 1
    SETBIT {b}a 7 0
    SETBIT {b}a 100 1
    GETBIT {b}a 100
    GETBIT {b}a 9999
    BITCOUNT {b}a
    BITCOUNT {b}a 0 1
    BITCOUNT {b}a 0 100 BIT
    BITPOS {b}a 1
    BITPOS {b}a 0 2 -1
    BITFIELD {b}f SET u8 0 255 GET u4 0 INCRBY i5 100 1
    BITFIELD {b}f OVERFLOW FAIL INCRBY u2 102 3
    BITFIELD_RO {b}f GET u8 0
    BITOP AND {b}and {b}a {b}f
    BITOP NOT {b}not {b}a
    GET {b}and
    SETBIT {b}a 4294967296 1
"#;

const HASHES: &str = r#"
    HSET {h}a f1 v1 f2 v2
    HSET {h}a f1 new
    HSETNX {h}a f1 v
    HSETNX {h}a f3 v3
    HMSET {h}a f4 4 f5 5
    HGET {h}a f1
    HGET {h}a none
    HGET {h}none f1
    HMGET {h}a f1 none f2
    HGETALL {h}a
    HGETALL {h}none
    HKEYS {h}a
    HVALS {h}a
    HLEN {h}a
    HEXISTS {h}a f1
    HEXISTS {h}a none
    HSTRLEN {h}a f2
    HINCRBY {h}a f4 10
    HINCRBY {h}a f1 10
    HINCRBYFLOAT {h}a f5 0.5
    HSCAN {h}a 0
    HSCAN {h}a 0 MATCH f[12] COUNT 100
    ? HRANDFIELD {h}a
    ~ HRANDFIELD {h}a 100
    ? HRANDFIELD {h}a -3 WITHVALUES
    HDEL {h}a f1 f2 none
    HDEL {h}a f3 f4 f5
    EXISTS {h}a
"#;

const LISTS: &str = r#"
    LPUSHX {l}a none
    RPUSHX {l}a none
    LPUSH {l}a 1 2 3
    RPUSH {l}a 4 5
    LPUSHX {l}a 0
    RPUSHX {l}a 6
    LLEN {l}a
    LRANGE {l}a 0 -1
    LRANGE {l}none 0 -1
    LINDEX {l}a 1
    LINDEX {l}a 100
    LSET {l}a 0 zero
    LSET {l}a 100 zero
    LINSERT {l}a BEFORE 4 3.5
    LINSERT {l}a AFTER none x
    LPOS {l}a 4
    LPOS {l}a none
    LPOS {l}a 4 COUNT 0 RANK -1
    LREM {l}a 0 4
    LTRIM {l}a 1 -2
    LPOP {l}a
    RPOP {l}a
    LPOP {l}a 2
    RPOP {l}none
    LPOP {l}none 2
    RPUSH {l}b x y z
    RPOPLPUSH {l}b {l}c
    LMOVE {l}b {l}c LEFT RIGHT
    LMOVE {l}none {l}c LEFT RIGHT
    LRANGE {l}c 0 -1
    LMPOP 2 {l}none {l}c LEFT COUNT 2
    LMPOP 1 {l}none RIGHT
"#;

const SETS: &str = r#"
    SADD {t}a 1 2 3 x y
    SADD {t}a 1
    SADD {t}b 2 3 4
    SCARD {t}a
    ~ SMEMBERS {t}a
    SMEMBERS {t}none
    SISMEMBER {t}a x
    SISMEMBER {t}a none
    SMISMEMBER {t}a x none 1
    ~ SDIFF {t}a {t}b
    ~ SINTER {t}a {t}b
    ~ SUNION {t}a {t}b {t}none
    SDIFFSTORE {t}d {t}a {t}b
    SINTERSTORE {t}i {t}a {t}b
    SUNIONSTORE {t}u {t}a {t}b
    ~ SMEMBERS {t}u
    SMEMBERS {t}i
    SINTERCARD 2 {t}a {t}b
    SINTERCARD 2 {t}a {t}b LIMIT 1
    SMOVE {t}a {t}b x
    SMOVE {t}a {t}b none
    SREM {t}a 1 2 none
    ? SRANDMEMBER {t}a
    ~ SRANDMEMBER {t}a 100
    ~ SSCAN {t}a 0
    ~ SSCAN {t}u 0 MATCH [0-9] COUNT 100
    ? SPOP {t}a
    ~ SPOP {t}u 100
    SPOP {t}u
    EXISTS {t}u
"#;

const SORTED_SETS: &str = r#"
    ZADD {z}a 1 one 2 two 3 three
    ZADD {z}a NX CH 5 one 4 four
    ZADD {z}a XX GT CH 0 one 9 four
    ZADD {z}a INCR 1 one
    ZADD {z}b 10 two 20 three 30 other
    ZADD {z}lex 0 a 0 b 0 c 0 d
    ZCARD {z}a
    ZSCORE {z}a two
    ZSCORE {z}a none
    ZMSCORE {z}a one none two
    ZRANK {z}a three
    ZRANK {z}a none
    ZREVRANK {z}a three
    ZCOUNT {z}a (1 +inf
    ZLEXCOUNT {z}lex [b +
    ZINCRBY {z}a 0.5 one
    ZRANGE {z}a 0 -1
    ZRANGE {z}a 0 -1 WITHSCORES
    ZRANGE {z}a (1 5 BYSCORE LIMIT 0 1
    ZRANGE {z}lex [b (d BYLEX REV
    ZRANGE {z}lex (d [b BYLEX REV
    ZRANGEBYLEX {z}lex - (c
    ZREVRANGEBYLEX {z}lex + [c LIMIT 0 1
    ZRANGEBYSCORE {z}a -inf (3 WITHSCORES
    ZREVRANGEBYSCORE {z}a +inf 2
    ZREVRANGE {z}a 0 1 WITHSCORES
    ZRANGESTORE {z}stored {z}a 0 1
    ZUNION 2 {z}a {z}b
    ZUNION 2 {z}a {z}b WEIGHTS 2 1 AGGREGATE MAX WITHSCORES
    ZINTER 2 {z}a {z}b WITHSCORES
    ZDIFF 2 {z}a {z}b WITHSCORES
    ZINTERCARD 2 {z}a {z}b
    ZUNIONSTORE {z}u 2 {z}a {z}b
    ZINTERSTORE {z}i 2 {z}a {z}b AGGREGATE MIN
    ZDIFFSTORE {z}d 2 {z}a {z}b
    ZRANGE {z}i 0 -1 WITHSCORES
    ZSCAN {z}a 0
    ZSCAN {z}a 0 MATCH t* COUNT 100
    ? ZRANDMEMBER {z}a
    ~ ZRANDMEMBER {z}a 100
    ? ZRANDMEMBER {z}a -3 WITHSCORES
    ZPOPMIN {z}u
    ZPOPMAX {z}u 2
    ZPOPMIN {z}none
    ZMPOP 2 {z}none {z}b MAX COUNT 2
    ZREM {z}a one none
    ZREMRANGEBYRANK {z}a 0 0
    ZREMRANGEBYSCORE {z}a 3 3
    ZREMRANGEBYLEX {z}lex [a (c
    ZRANGE {z}a 0 -1
    ZRANGE {z}lex 0 -1
"#;

const GEO: &str = r#"
    GEOADD {g}a 13.361389 38.115556 Palermo 15.087269 37.502669 Catania
    GEOADD {g}a NX 13.5 38.0 Palermo
    GEOADD {g}a 300 0 nowhere
    GEODIST {g}a Palermo Catania
    GEODIST {g}a Palermo Catania km
    GEODIST {g}a Palermo none
    GEOPOS {g}a Palermo none
    GEOHASH {g}a Palermo Catania
    GEORADIUS {g}a 15 37 200 km ASC
    GEORADIUS {g}a 15 37 200 km STORE {g}stored
    GEORADIUS_RO {g}a 15 37 100 km WITHDIST WITHCOORD
    GEORADIUSBYMEMBER {g}a Palermo 200 km DESC
    GEORADIUSBYMEMBER_RO {g}a Palermo 10 km
    GEOSEARCH {g}a FROMMEMBER Palermo BYRADIUS 200 km ASC WITHDIST
    GEOSEARCH {g}a FROMLONLAT 15 37 BYBOX 400 400 km ASC
    GEOSEARCHSTORE {g}found {g}a FROMLONLAT 15 37 BYRADIUS 200 km
    ZRANGE {g}found 0 -1
"#;

const HYPERLOGLOGS: &str = r#"
    PFADD {p}a x y z
    PFADD {p}a x
    PFADD {p}b z w
    PFCOUNT {p}a
    PFCOUNT {p}a {p}b
    PFMERGE {p}merged {p}a {p}b
    PFCOUNT {p}merged
    GET {p}merged
    SET {p}none x
    PFCOUNT {p}none
"#;

const STREAMS: &str = r#"
    XADD {x}a 1-1 field value
    XADD {x}a 1-2 field value other more
    XADD {x}a 1-1 field value
    XADD {x}a NOMKSTREAM 2-1 f v
    XADD {x}none NOMKSTREAM 2-1 f v
    XLEN {x}a
    XRANGE {x}a - +
    XREVRANGE {x}a + - COUNT 1
    XREAD COUNT 1 STREAMS {x}a 0
    XREAD STREAMS {x}a {x}none 1-1 0
    XREAD STREAMS {x}a $
    XGROUP CREATE {x}a group 0
    XGROUP CREATE {x}a group 0
    XGROUP CREATECONSUMER {x}a group bob
    XREADGROUP GROUP group alice COUNT 2 STREAMS {x}a >
    XREADGROUP GROUP group alice STREAMS {x}a 0
    XPENDING {x}a group
    ? XPENDING {x}a group - + 10
    XCLAIM {x}a group bob 0 1-1 JUSTID
    XAUTOCLAIM {x}a group bob 0 0 JUSTID
    XACK {x}a group 1-1
    XINFO GROUPS {x}a
    XINFO STREAM {x}a
    ? XINFO CONSUMERS {x}a group
    XSETID {x}a 10-0
    XDEL {x}a 1-1
    XTRIM {x}a MAXLEN 1
    XGROUP DELCONSUMER {x}a group bob
    XGROUP DESTROY {x}a group
"#;

const SCRIPTS: &str = r#"
    EVALSHA e0e1f9fabfc9d4800c877a703b823ac0578ff8db 1 {e}a
    EVAL "return 1" 1 {e}a
    EVAL "return {KEYS[1],KEYS[2],ARGV[1]}" 2 {e}a {e}b first
    EVAL "return redis.call('SET',KEYS[1],ARGV[1])" 1 {e}a value
    EVAL "return redis.call('GET',KEYS[1])" 1 {e}a
    EVAL "return {1,{2,{3,'x'}},false}" 1 {e}a
    EVAL "return redis.error_reply('MY own error')" 1 {e}a
    EVAL "return redis.status_reply('FINE')" 1 {e}a
    EVAL "this is no script" 1 {e}a
    EVAL "return 1" x {e}a
    EVAL "return 1" 5 {e}a
    EVAL "return 1" -1 {e}a
    EVAL_RO "return redis.call('GET',KEYS[1])" 1 {e}a
    EVAL_RO "return redis.call('SET',KEYS[1],'x')" 1 {e}a
    EVALSHA e0e1f9fabfc9d4800c877a703b823ac0578ff8db 1 {e}a
    EVALSHA_RO e0e1f9fabfc9d4800c877a703b823ac0578ff8db 1 {e}a
    EVALSHA 0000000000000000000000000000000000000000 1 {e}a
    FCALL second 1 {e}a one two
    FCALL_RO second 1 {e}a one two
    FCALL none 1 {e}a
"#;

const MISTAKES: &str = r#"
    SET {m}string value
    LPUSH {m}list value
    LPUSH {m}string value
    GET {m}list
    INCR {m}string
    HGET {m}string field
    ZADD {m}z notanumber member
    SET {m}string
    SET {m}string value EX
    SET {m}string value NONSENSE
    GET
    GET {m}a {m}b
    MSET {m}a
    MSET {m}a 1 {m}b
    MGET
    DEL
    EXISTS
    TOUCH
    PFCOUNT
    SINTER
    ZUNION 2 {m}a
    ZUNION 0 {m}a
    ZUNION x {m}a
    ZUNIONSTORE {m}d 0 {m}a
    EVAL
    EVAL "return 1"
    EXPIRE {m}string notanumber
    EXPIRE {m}string 1 NX XX
    OBJECT
    OBJECT NONSENSE {m}string
    NONSENSE
    NONSENSE with arguments "and blanks"
    XADD {m}x
    XREAD STREAMS {m}x
    GEOADD {m}g 1
    SETBIT {m}string x 1
    LPOP {m}list notanumber
    XREAD STREAMS
    XREAD STREAMS {m}k
    XREAD STREAMS {m}a {m}b 0
    XREAD COUNT x STREAMS {m}k 0
    XREAD {m}k 0
    XREADGROUP GROUP g
    XREADGROUP STREAMS {m}k 0
    XREADGROUP GROUP g c STREAMS
    SORT {m}list STORE
    SORT {m}list BY
    GEORADIUS {m}k 1 1 1 m STORE
    MSET {m}a b c
    MSETNX {m}a b c
    BITOP NOT
    BITOP NOT {m}d
    BITOP NOT {m}d {m}s {m}s
    OBJECT ENCODING
    OBJECT ENCODING {m}a b
    COPY {m}a
    COPY {m}a {m}b DB x
    LMPOP 1 {m}k
    LMPOP 1 {m}k UP
    LMPOP 01 {m}k LEFT
    LMPOP +1 {m}k LEFT
    ZUNION 4294967297 {m}k
    ZUNION 18446744073709551617 {m}k
    ZINTERCARD -1 {m}k
    SINTERCARD 1.0 {m}k
    EVAL "return 1" 4294967297 {m}k
    EVAL "return 1" 01 {m}k
    GETEX {m}k EX
    LCS {m}a {m}b c
    XGROUP CREATE {m}k
    XGROUP NONSENSE {m}k
    XINFO STREAM
    MEMORY USAGE {m}k SAMPLES
    MEMORY NONSENSE
    PFMERGE
    SUNIONSTORE {m}d
    georadiuXbymember {m}k m 1 m
    GET {m}string
"#;
