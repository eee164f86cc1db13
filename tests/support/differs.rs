//! Commands whose replies through a pool of one server differ on purpose from that server's own.

/// Each, and why. What is refused, and what varies from time to time, says so itself.
pub const DIFFERS: &[(&str, &str)] = &[
    ("auth", "the texts are twemproxy's, for the pool's password"),
    ("client|id", "connections are the proxy's"),
    ("client|info", "connections are the proxy's"),
    ("client|list", "connections are the proxy's"),
    (
        "client|tracking",
        "a key's readers are known to no server, as clients share connections",
    ),
    (
        "command",
        "it tells the proxy's table, which has newer commands, too",
    ),
    ("command|count", "it tells the proxy's table"),
    (
        "command|docs",
        "it tells the proxy's table; summaries are its own",
    ),
    ("command|info", "it tells the proxy's table"),
    ("command|list", "it tells the proxy's table"),
    (
        "command|getkeys",
        "as since Redis 7.2, one argument will do",
    ),
    (
        "command|getkeysandflags",
        "as since Redis 7.2, one argument will do",
    ),
    (
        "config|get",
        "settings that the proxy has itself are the proxy's",
    ),
    ("evalsha", "the keys are looked for before the script"),
    ("evalsha_ro", "the keys are looked for before the script"),
    ("fcall", "the keys are looked for before the function"),
    ("fcall_ro", "the keys are looked for before the function"),
    ("hello", "the connection is the proxy's"),
    ("info", "it describes the pool"),
    ("lastsave", "the time is the server's own"),
    ("lolwut", "it is drawn by chance"),
];
