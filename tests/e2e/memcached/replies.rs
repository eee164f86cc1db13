//! A client of memcached gets through the proxy what memcached says, and can ask nothing that it is not
//! to ask.

use crate::support::Memcached;
use crate::support::Pool;
use crate::support::Proxy;
use crate::support::TextClient;
use crate::support::eventually;

fn client(proxy: &Proxy) -> TextClient {
    TextClient::connect(proxy.address("alpha"))
}

fn start(count: usize) -> (Vec<Memcached>, Proxy) {
    let servers = Memcached::fleet(count);
    // It spreads keys that differ in a digit.
    let pool = Pool::over_memcached("alpha", &servers).with("hash", "md5");
    let proxy = Proxy::coremux_with(&["--cores", "1"], &[pool]);
    (servers, proxy)
}

/// Commands of which the replies do not depend on the time, each with what came before.
const COMMANDS: &[&[u8]] = &[
    b"get a\r\n",
    b"set a 7 0 5\r\nhe\r\no\r\n",
    b"get a\r\n",
    b"gets a\r\n",
    b"add a 0 0 1\r\nx\r\n",
    b"replace a 0 0 1\r\nx\r\n",
    b"append a 0 0 1\r\ny\r\n",
    b"prepend a 0 0 1\r\nz\r\n",
    b"get a\r\n",
    b"cas a 0 0 1 1\r\nx\r\n",
    b"cas none 0 0 1 1\r\nx\r\n",
    b"set a 0 -1 1\r\nx\r\nget a\r\n",
    b"set n 4294967295 2147483647 2\r\n10\r\n",
    b"incr n 5\r\ndecr n 20\r\nincr none 1\r\n",
    b"incr n x\r\nincr n 18446744073709551615\r\n",
    b"set t 0 0 4\r\ntext\r\nincr t 1\r\n",
    b"touch t 100\r\ntouch none 1\r\ntouch t x\r\n",
    b"gat 0 t\r\ngats 0 t n none\r\ngat x t\r\n",
    b"get t n none t\r\n",
    b"delete t\r\ndelete t\r\ndelete t 0\r\ndelete t 1\r\n",
    b"set q 0 0 1 noreply\r\nx\r\nget q\r\ndelete q noreply\r\nget q\r\n",
    b"set e 0 0 0\r\n\r\nget e\r\n",
    b"version\r\n",
    b"bogus\r\nget\r\nset a\r\n\r\nGET a\r\nincr a\r\n",
    b"set a 0 0 x\r\nset a 0 0 -1\r\n",
    b"set big 0 0 2000000\r\n",
    b"ms m 2 T0 F5 c\r\nhi\r\nmg m s v t f h l k O77\r\nmg m\r\nmg none k O1\r\n",
    b"ms m 1 MA\r\n!\r\nmg m v\r\nms m 1 ME\r\nx\r\nms none 1 MR\r\nx\r\n",
    b"ms cQ== 3 b k\r\nabc\r\nmg cQ== b k v\r\nget q\r\nmd cQ== b\r\n",
    b"ma c\r\nma c N0 J13\r\nma c D2 v t\r\nma c MD D5 v\r\nma t\r\n",
    b"mg w N30 v t\r\nmg w N30 v t\r\nmg w v R40\r\n",
    b"md m I T30\r\nmg m v\r\nmd m\r\nmd m\r\n",
    b"mg m q v\r\nmg c v q\r\nms m 1 q\r\nx\r\nmd m q\r\nma c q\r\nms c 1 q ME\r\nx\r\n",
    b"mg m v v\r\nmg m !\r\nms m 1 !\r\nx\r\nma c Dx\r\n",
    b"me none\r\n",
];

#[test]
fn each_command_gets_memcacheds_own_reply() {
    let direct = Memcached::start();
    let (_servers, proxy) = start(1);
    let mut through = client(&proxy);
    let mut past = TextClient::connect(direct.address());
    for command in COMMANDS {
        let mut command = command.to_vec();
        if command.starts_with(b"set big") {
            command.extend_from_slice(&vec![b'x'; 2_000_000]);
            command.extend_from_slice(b"\r\n");
        }
        let expected = past.ask(&command);
        // The texts of a few faults of flags differ between memcached's own commands.
        let plain = |said: String| {
            said.replace(
                "CLIENT_ERROR invalid or duplicate flag",
                "CLIENT_ERROR bad token in command line format",
            )
        };
        let shown = command[..command.len().min(80)].escape_ascii();
        assert_eq!(plain(through.ask(&command)), plain(expected), "{shown}");
    }
}

#[test]
fn nothing_in_a_key_or_a_value_becomes_a_command() {
    let (servers, proxy) = start(2);
    let mut one = client(&proxy);
    for nth in 0..20 {
        let set = format!("set kept{nth} 0 0 4\r\nkept\r\n");
        assert_eq!(one.ask(set.as_bytes()), "STORED\r\n");
    }
    let format = "CLIENT_ERROR bad command line format\r\n";
    for (smuggled, told) in [
        (&b"set a key 0 0 9\r\nflush_all\r\n"[..], format),
        (b"set kept1\x00 0 0 9\r\nflush_all\r\n", format),
        (b"set kept1 0 99999999999 9\r\nflush_all\r\n", format),
        (b"get kept1\rflush_all\r\n", format),
        (
            b"set kept1 0 0 1\r\nflush_all\r\n",
            "CLIENT_ERROR bad data chunk\r\n",
        ),
        (
            b"ms kept1 9 !\r\nflush_all\r\n",
            "CLIENT_ERROR invalid flag\r\n",
        ),
    ] {
        assert_eq!(one.ask(smuggled), told, "{}", smuggled.escape_ascii());
    }
    let refused = one.ask(b"flush_all\r\nflush_all noreply\r\nshutdown\r\ncache_memlimit 1\r\n");
    assert_eq!(refused.matches("CLIENT_ERROR '").count(), 3, "{refused}");
    assert!(
        refused.contains("unless the pool's `allow:` names it"),
        "{refused}"
    );
    let mut other = client(&proxy);
    let told = other.ask_and_end(b"get zz\nflush_all\r\nget kept1\r\n");
    assert_eq!(told, "CLIENT_ERROR a line with a bare LF in it\r\n");
    for nth in 0..20 {
        let value = format!("VALUE kept{nth} 0 4\r\nkept\r\nEND\r\n");
        assert_eq!(one.ask(format!("get kept{nth}\r\n").as_bytes()), value);
    }
    for server in &servers {
        let stats = server.ask(b"stats\r\n");
        assert!(stats.contains("STAT cmd_flush 0\r\n"), "{stats}");
    }
}

#[test]
fn values_of_several_servers_come_in_the_order_of_the_keys() {
    let (servers, proxy) = start(3);
    let mut client = client(&proxy);
    let large = "v".repeat(300_000);
    for nth in 0..60 {
        let value = if nth == 30 {
            large.clone()
        } else {
            format!("value{nth}")
        };
        let set = format!("set key{nth} {nth} 0 {}\r\n{value}\r\n", value.len());
        assert_eq!(client.ask(set.as_bytes()), "STORED\r\n");
    }
    let shares = servers.iter().map(|server| server.ask(b"stats\r\n"));
    assert!(
        shares
            .into_iter()
            .all(|stats| !stats.contains("STAT curr_items 0\r\n"))
    );
    let keys: Vec<String> = (0..60)
        .rev()
        .flat_map(|nth| [format!("key{nth}"), format!("none{nth}")])
        .collect();
    let got = client.ask(format!("get {}\r\n", keys.join(" ")).as_bytes());
    let mut expected = String::new();
    for nth in (0..60).rev() {
        let value = if nth == 30 {
            large.clone()
        } else {
            format!("value{nth}")
        };
        expected += &format!("VALUE key{nth} {nth} {}\r\n{value}\r\n", value.len());
    }
    assert!(got == expected + "END\r\n", "{} bytes", got.len());
    let gats = client.ask(b"gats 0 key1 key2 key3 key4\r\n");
    assert_eq!(gats.matches("VALUE ").count(), 4);
    assert_eq!(gats.matches("END\r\n").count(), 1);
}

#[test]
fn quiet_commands_of_several_servers_are_in_order_and_their_mn_is_behind_them() {
    let (_servers, proxy) = start(3);
    let mut client = client(&proxy);
    let (mut asked, mut expected) = (String::new(), String::new());
    for nth in 0..50 {
        asked +=
            &format!("ms key{nth} 2 q\r\nhi\r\nmg key{nth} v k O{nth} q\r\nmg none{nth} v k q\r\n");
        expected += &format!("VA 2 kkey{nth} O{nth}\r\nhi\r\n");
    }
    assert_eq!(client.ask(asked.as_bytes()), expected);
}

#[test]
fn statistics_are_of_every_server_and_name_it() {
    let (_servers, proxy) = start(2);
    let mut client = client(&proxy);
    let stats = client.ask(b"stats\r\n");
    for server in ["s1", "s2"] {
        assert!(stats.contains(&format!("STAT {server}:pid ")), "{stats}");
        assert!(
            stats.contains(&format!("STAT {server}:curr_items 0\r\n")),
            "{stats}"
        );
    }
    assert_eq!(stats.matches("END\r\n").count(), 1);
    assert_eq!(
        client.ask(b"verbosity 0\r\nverbosity 0 noreply\r\n"),
        "OK\r\n"
    );
    let refused = client.ask(b"stats items\r\n");
    assert!(
        refused.starts_with("CLIENT_ERROR 'stats' is refused"),
        "{refused}"
    );
}

#[test]
fn every_server_is_flushed_where_the_pool_allows_it() {
    let servers = Memcached::fleet(2);
    let pool = Pool::over_memcached("alpha", &servers).with("allow", "[flush_all]");
    let proxy = Proxy::coremux_with(&["--cores", "1"], &[pool]);
    let mut client = client(&proxy);
    assert_eq!(
        client.ask(b"flush_all\r\nflush_all 0\r\nflush_all noreply\r\n"),
        "OK\r\nOK\r\n"
    );
    for server in &servers {
        let stats = server.ask(b"stats\r\n");
        assert!(stats.contains("STAT cmd_flush 3\r\n"), "{stats}");
    }
}

#[test]
fn a_reload_cannot_change_what_a_pool_speaks() {
    let (_servers, mut proxy) = start(1);
    let yml = std::fs::read_to_string(proxy.config_path()).unwrap();
    proxy.write_config(&yml.replace("redis: false", "redis: true"));
    proxy.process().signal("HUP");
    eventually("it is refused", || {
        let log = proxy.process().log();
        log.contains("`redis` cannot change while the pool is served")
            .then_some(())
    });
    assert_eq!(client(&proxy).ask(b"get a\r\n"), "END\r\n");
}

#[test]
fn the_binary_protocol_is_refused_in_words_and_in_the_log() {
    let (_servers, mut proxy) = start(1);
    let told = client(&proxy).ask_and_end(&[&[0x80, 1, 0, 3][..], &[0; 20]].concat());
    assert!(
        told.starts_with("CLIENT_ERROR this port speaks memcached's text protocol"),
        "{told}"
    );
    eventually("the log says so", || {
        let log = proxy.process().log();
        log.contains("it speaks memcached's binary protocol")
            .then_some(())
    });
}
