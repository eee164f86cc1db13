//! The connection itself.

use super::ADMIN_SESSION;
use super::ALL_SHARDS_OK;
use super::Arity::AtLeast;
use super::Arity::Exactly;
use super::Command;
use super::FAST;
use super::Flags;
use super::Group;
use super::LOADING_FAST;
use super::Local;
use super::Refusal;
use super::Rows;
use super::SESSION;
use super::SESSION_BUSY;
use super::VARIES;

const CONNECTION: Rows = Rows(Group::Connection);

/// Laid out by hand: a row takes as few lines as it can.
#[rustfmt::skip]
pub(super) static ROWS: &[Command] = &[
    CONNECTION.keyless("auth", AtLeast(2), SESSION_BUSY.and(Flags::NO_AUTH), "1.0.0",
        "Authenticates the connection.")
        .local(Local::Auth),
    CONNECTION.container("client", "2.4.0", "Commands about client connections.", &[
        CONNECTION.keyless("client|caching", Exactly(3), SESSION, "6.0.0",
            "Says whether the next command's keys are tracked.")
            .local(Local::ClientCaching),
        CONNECTION.keyless("client|capa", AtLeast(3), SESSION, "8.0.0",
            "Says what the client can do (Valkey).")
            .local(Local::ClientCapa),
        CONNECTION.keyless("client|getname", Exactly(2), SESSION, "2.6.9",
            "Returns the connection's name.")
            .local(Local::ClientGetname),
        CONNECTION.keyless("client|getredir", Exactly(2), SESSION, "6.0.0",
            "Returns the client that tracking messages go to.")
            .local(Local::ClientGetredir),
        CONNECTION.help("client|help", "5.0.0"),
        CONNECTION.keyless("client|id", Exactly(2), SESSION, "5.0.0",
            "Returns the connection's id.")
            .local(Local::ClientId),
        CONNECTION.keyless("client|import-source", Exactly(3), ADMIN_SESSION, "8.1.0",
            "Marks the connection as one that imports keys (Valkey).")
            .refuse(Refusal::ConnectionState),
        CONNECTION.keyless("client|info", Exactly(2), SESSION, "6.2.0",
            "Describes the connection.")
            .local(Local::ClientInfo).tips(VARIES),
        CONNECTION.keyless("client|kill", AtLeast(3), ADMIN_SESSION, "2.4.0",
            "Closes clients' connections.")
            .local(Local::ClientKill).on_leave(),
        CONNECTION.keyless("client|list", AtLeast(2), ADMIN_SESSION, "2.4.0", "Lists the clients.")
            .local(Local::ClientList).tips(VARIES),
        CONNECTION.keyless("client|maint_notifications", AtLeast(3), SESSION, "8.2.0",
            "Asks to be told of maintenance.")
            .refuse(Refusal::Maintenance),
        CONNECTION.keyless("client|no-evict", Exactly(3), ADMIN_SESSION, "7.0.0",
            "Exempts the connection from eviction of clients.")
            .local(Local::ClientNoEvict),
        CONNECTION.keyless("client|no-touch", Exactly(3), SESSION, "7.2.0",
            "Makes commands not count as use of a key.")
            .local(Local::ClientNoTouch),
        CONNECTION.keyless("client|pause", AtLeast(3), ADMIN_SESSION, "2.9.50",
            "Stops serving clients for a while.")
            .local(Local::ClientPause).on_leave(),
        CONNECTION.keyless("client|reply", Exactly(3), SESSION, "3.2.0",
            "Says whether commands are replied to.")
            .local(Local::ClientReply),
        CONNECTION.keyless("client|setinfo", Exactly(4), SESSION, "7.2.0",
            "Names the client's library.")
            .local(Local::ClientSetinfo),
        CONNECTION.keyless("client|setname", Exactly(3), SESSION, "2.6.9", "Names the connection.")
            .local(Local::ClientSetname),
        CONNECTION.keyless("client|tracking", AtLeast(3), SESSION, "6.0.0",
            "Turns help for client-side caching on or off.")
            .local(Local::ClientTracking),
        CONNECTION.keyless("client|trackinginfo", Exactly(2), SESSION, "6.2.0",
            "Describes the connection's tracking.")
            .local(Local::ClientTrackinginfo),
        CONNECTION.keyless("client|unblock", AtLeast(3), ADMIN_SESSION, "5.0.0",
            "Ends another client's wait.")
            .local(Local::ClientUnblock),
        CONNECTION.keyless("client|unpause", Exactly(2), ADMIN_SESSION, "6.2.0",
            "Ends what CLIENT PAUSE began.")
            .local(Local::ClientUnpause).on_leave(),
    ]),
    CONNECTION.keyless("echo", Exactly(2), LOADING_FAST, "1.0.0", "Returns its argument.")
        .local(Local::Echo),
    CONNECTION.keyless("hello", AtLeast(1), SESSION_BUSY.and(Flags::NO_AUTH), "6.0.0",
        "Agrees on a protocol, and authenticates and names the connection.")
        .local(Local::Hello),
    CONNECTION.keyless("ping", AtLeast(1), FAST, "1.0.0", "Returns PONG, or its argument.")
        .local(Local::Ping).tips(ALL_SHARDS_OK),
    CONNECTION.keyless("quit", AtLeast(1), SESSION_BUSY.and(Flags::NO_AUTH), "1.0.0",
        "Closes the connection.")
        .local(Local::Quit),
    CONNECTION.keyless("reset", Exactly(1), SESSION_BUSY.and(Flags::NO_AUTH), "6.2.0",
        "Makes the connection as good as new.")
        .local(Local::Reset),
    CONNECTION.keyless("select", Exactly(2), LOADING_FAST, "1.0.0", "Selects a database.")
        .local(Local::Select),
];
