//! A server without meta commands gets none: it would take the data of an `ms` for commands.

use std::sync::Arc;
use std::sync::Mutex;

use crate::support::FakeConn;
use crate::support::FakeServer;
use crate::support::Pool;
use crate::support::Proxy;
use crate::support::TextClient;

const TOO_OLD: &str = "CLIENT_ERROR The server of this key is too old for this command\r\n";

/// The lines that a server has read as commands.
type Lines = Arc<Mutex<Vec<String>>>;

/// Serves one connection as memcached 1.4 does.
fn serve_as_older(conn: &mut FakeConn, lines: &Lines) {
    while let Some(line) = conn.line() {
        let name = line.split_whitespace().next().unwrap_or_default();
        let reply = match name {
            "version" => "VERSION 1.4.39\r\n",
            "get" => "END\r\n",
            "set" => {
                conn.line();
                "STORED\r\n"
            }
            "flush_all" => "OK\r\n",
            _ => "ERROR\r\n",
        };
        lines.lock().unwrap().push(name.to_owned());
        conn.send(reply.as_bytes());
    }
}

fn start(serve: impl Fn(FakeConn, &Lines) + Send + Sync + 'static) -> (FakeServer, Proxy, Lines) {
    let lines = Lines::default();
    let seen = Arc::clone(&lines);
    let server = FakeServer::start(move |conn| serve(conn, &seen));
    let pool = Pool::memcached("alpha").server(server.address());
    let proxy = Proxy::coremux_with(&["--cores", "1"], &[pool]);
    (server, proxy, lines)
}

fn no_meta_command_came(lines: &Lines) {
    let lines = lines.lock().unwrap();
    let known = ["version", "get", "set"];
    let all_known = lines.iter().all(|line| known.contains(&line.as_str()));
    assert!(all_known && !lines.is_empty(), "{lines:?}");
}

#[test]
fn the_data_of_a_meta_command_is_no_command_of_a_server_that_lacks_it() {
    let (_server, proxy, lines) = start(|mut conn, lines| serve_as_older(&mut conn, lines));
    let attack = "ms k 9\r\nflush_all\r\n";
    let asked = format!(
        "{attack}get k\r\nms k 9 q\r\nflush_all\r\nmg k v q\r\nmd k\r\nma k\r\nme k\r\nmn\r\n\
         set k 0 0 9\r\nflush_all\r\n"
    );
    let expected = format!("{TOO_OLD}END\r\n{}MN\r\nSTORED\r\n", TOO_OLD.repeat(5));
    // Those of the first client wait for the greeting, those of the second do not.
    for _ in 0..2 {
        let mut client = TextClient::connect(proxy.address("alpha"));
        assert_eq!(client.ask_and_end(asked.as_bytes()), expected);
    }
    // Larger than what is sent at once.
    let large = "flush_all\r\n".repeat(200_000);
    let asked = format!("ms k {}\r\n{large}\r\nget k\r\n", large.len());
    let mut client = TextClient::connect(proxy.address("alpha"));
    let got = client.ask_and_end(asked.as_bytes());
    assert!(got == format!("{TOO_OLD}END\r\n"), "{got}");
    no_meta_command_came(&lines);
}

#[test]
fn a_server_that_an_older_one_replaces_gets_meta_commands_until_then() {
    let (server, proxy, lines) = start(|mut conn, lines| {
        if conn.number > 0 {
            return serve_as_older(&mut conn, lines);
        }
        assert_eq!(conn.line().as_deref(), Some("version\r\n"));
        conn.send(b"VERSION 1.6.18\r\n");
        assert_eq!(conn.line().as_deref(), Some("ms k 9\r\n"));
        assert_eq!(conn.line().as_deref(), Some("flush_all\r\n"));
        conn.send(b"HD\r\n");
        // A read, which is sent again where its connection breaks.
        assert_eq!(conn.line().as_deref(), Some("mg k v\r\n"));
    });
    let mut client = TextClient::connect(proxy.address("alpha"));
    client.send(b"ms k 9\r\nflush_all\r\n");
    assert_eq!(client.read_until(b"\r\n"), "HD");
    client.send(b"mg k v\r\n");
    assert_eq!(client.read_until(b"\r\n"), TOO_OLD.trim_end());
    let got = client.ask_and_end(b"ms k 9\r\nflush_all\r\nget k\r\n");
    assert_eq!(got, format!("{TOO_OLD}END\r\n"));
    assert_eq!(server.connections(), 2);
    no_meta_command_came(&lines);
}
