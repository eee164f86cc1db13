//! A reload changes pools, servers and keys under load: no client is dropped, no reply is an error,
//! no request overtakes another; a file that is refused changes nothing.

use std::fs;
use std::net::SocketAddr;
use std::net::TcpListener;

use crate::support::Admin;
use crate::support::Client;
use crate::support::FakeServer;
use crate::support::Load;
use crate::support::Port;
use crate::support::Program;
use crate::support::Proxy;
use crate::support::Redis;
use crate::support::Reply;
use crate::support::eventually;
use crate::support::now;

/// Coremux with two workers, the file it was started with, and a place that nobody has.
struct World {
    admin: Admin,
    proxy: Proxy,
    spare: Port,
}

/// A pool's text.
fn pool(name: &str, listen: impl std::fmt::Display, keys: &str, servers: &[String]) -> String {
    let servers: String = servers.iter().map(|s| format!("    - {s}\n")).collect();
    format!("{name}:\n  listen: {listen}\n  redis: true\n{keys}  servers:\n{servers}")
}

/// `address:weight name`.
fn server(address: impl std::fmt::Display, weight: u32, name: &str) -> String {
    format!("{address}:{weight} {name}")
}

impl World {
    /// Serves pool `alpha` with these keys and servers.
    fn start(arguments: &[&str], keys: &str, servers: &[String]) -> World {
        let admin = Admin::new();
        let mut all = admin.arguments();
        all.extend(
            ["--cores", "2"]
                .iter()
                .chain(arguments)
                .map(|s| (*s).to_owned()),
        );
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        let proxy = Proxy::start_with(Program::Coremux, &all, |listen| {
            pool("alpha", listen.tcp("alpha"), keys, servers)
        });
        let spare = Port::reserve();
        World {
            admin,
            proxy,
            spare,
        }
    }

    fn alpha(&self) -> SocketAddr {
        self.proxy.address("alpha")
    }

    /// Writes pool `alpha` anew.
    fn write(&self, keys: &str, servers: &[String]) {
        let text = pool("alpha", self.alpha(), keys, servers);
        self.proxy.write_config(&text);
    }

    /// Reloads; what `ctl` said.
    #[track_caller]
    fn reload(&self) -> String {
        let (code, text) = self.admin.ctl("reload");
        assert_eq!(code, 0, "{text}");
        text
    }

    /// Is refused to reload; why.
    #[track_caller]
    fn refused(&self) -> String {
        let (code, text) = self.admin.ctl("reload");
        assert_eq!(code, 1, "{text}");
        assert!(text.contains("nothing has changed"), "{text}");
        text
    }
}

/// Three ways to one and the same server: wherever a key lives, its value is the last one written,
/// unless a request has overtaken another.
struct OneServer {
    redis: Redis,
}

impl OneServer {
    fn start() -> OneServer {
        let redis = Redis::start();
        OneServer { redis }
    }

    fn tcp(&self) -> String {
        self.redis.address().to_string()
    }

    fn unix(&self) -> String {
        self.redis.socket_path().display().to_string()
    }

    fn name(&self) -> String {
        format!("localhost:{}", self.redis.address().port())
    }
}

#[test]
fn under_load_every_change_is_made_without_an_error_or_a_lost_client() {
    let one = OneServer::start();
    let (tcp, unix, name) = (one.tcp(), one.unix(), one.name());
    let plain = [server(&tcp, 1, "a"), server(&tcp, 1, "b")];
    let world = World::start(&[], "", &plain);
    let load = Load::start(world.alpha(), 12, 7);
    load.goes_on(500);
    let both = |a: &str, b: &str| [server(a, 1, "a"), server(b, 1, "b")];
    let more = [
        server(&tcp, 1, "a"),
        server(&unix, 1, "b"),
        server(&name, 2, "c"),
    ];
    let changes: Vec<(&str, Vec<String>, &str)> = vec![
        (
            "",
            both(&unix, &tcp).into(),
            "server moved pool=alpha server=a",
        ),
        (
            "",
            both(&tcp, &unix).into(),
            "server moved pool=alpha server=b",
        ),
        (
            "",
            both(&name, &unix).into(),
            "server moved pool=alpha server=a",
        ),
        (
            "",
            both(&tcp, &unix).into(),
            "server moved pool=alpha server=a",
        ),
        ("", more.to_vec(), "server added pool=alpha server=c"),
        ("  timeout: 20000\n", more.to_vec(), "timeout=20000 was=0"),
        (
            "  server_connections: 3\n",
            more.to_vec(),
            "server_connections=3 was=1",
        ),
        (
            "  server_connections: 2\n",
            more.to_vec(),
            "server_connections=2 was=3",
        ),
        (
            "  hash: murmur\n",
            more.to_vec(),
            "hash=murmur was=fnv1a_64",
        ),
        (
            "  distribution: modula\n",
            more.to_vec(),
            "distribution=modula was=ketama",
        ),
        (
            "  on_server_failure: hold\n",
            more.to_vec(),
            "on_server_failure=hold",
        ),
        (
            "",
            vec![server(&tcp, 5, "a"), server(&unix, 1, "c")],
            "server removed pool=alpha server=b",
        ),
        (
            "  preconnect: true\n",
            vec![server(&tcp, 1, "a"), server(&unix, 3, "c")],
            "server reweighted pool=alpha server=c weight=3 was=1",
        ),
        (
            "",
            vec![server(&unix, 1, "b")],
            "server added pool=alpha server=b",
        ),
        ("", plain.to_vec(), "server moved pool=alpha server=b"),
    ];
    for round in 0..3 {
        for (keys, servers, line) in &changes {
            world.write(keys, servers);
            let text = world.reload();
            assert!(
                text.contains(line),
                "{line} is missing in round {round}: {text}"
            );
            assert!(text.ends_with("reloaded\n"), "{text}");
            load.goes_on(400);
        }
    }
    load.end();
    // The pool has its own connections to the servers that it had at last, and no others.
    eventually("connections to removed servers are closed", || {
        let numbers = world.proxy.numbers();
        let of = |server| numbers.server("alpha", server, "server_connections");
        (of("a") + of("b") <= 8 && one.redis_clients() <= 9).then_some(())
    });
}

impl OneServer {
    /// How many clients it has, this one included.
    fn redis_clients(&self) -> usize {
        match self.redis.client().call(["CLIENT", "LIST"]) {
            Reply::Bulk(list) => list.split(|byte| *byte == b'\n').count() - 1,
            other => panic!("{other:?}"),
        }
    }

    /// How often anybody has connected to it.
    fn connections_ever(&self) -> u64 {
        let info = match self.redis.client().call(["INFO", "stats"]) {
            Reply::Bulk(info) => String::from_utf8(info).unwrap(),
            other => panic!("{other:?}"),
        };
        let line = info
            .lines()
            .find(|l| l.starts_with("total_connections_received:"));
        line.unwrap().split(':').nth(1).unwrap().parse().unwrap()
    }
}

#[test]
fn what_has_not_changed_keeps_its_connections_and_its_numbers() {
    let one = OneServer::start();
    let servers = [server(one.tcp(), 1, "a")];
    let world = World::start(&[], "", &servers);
    let mut clients: Vec<Client> = (0..8).map(|_| world.proxy.client("alpha")).collect();
    for client in &mut clients {
        assert_eq!(client.call(["SET", "k", "v"]), Reply::ok());
    }
    let before = one.connections_ever();
    let mut more = servers.to_vec();
    more.push(server(one.unix(), 1, "b"));
    let beta = pool("beta", world.spare.address(), "", &servers);
    let alpha = pool(
        "alpha",
        world.alpha(),
        "  timeout: 500\n  backlog: 64\n",
        &more,
    );
    world.proxy.write_config(&(beta + &alpha));
    let text = world.reload();
    assert!(text.contains("pool added pool=beta"), "{text}");
    for client in &mut clients {
        assert_eq!(client.call(["GET", "k"]), Reply::bulk("v"));
    }
    // By two workers to `b`, and those of this test that count.
    let opened = one.connections_ever() - before;
    assert!(opened <= 3, "{opened} connections were opened");
    let numbers = world.proxy.numbers();
    let requests = |server| numbers.server("alpha", server, "requests");
    assert_eq!(requests("a") + requests("b"), 16);
    assert!(requests("a") >= 8, "what was counted before counts");
    assert_eq!(numbers.pool("alpha", "client_connections"), 8);
    assert_eq!(numbers.pool("beta", "client_connections"), 0);
    assert_eq!(
        Client::connect(world.spare.address()).call(["GET", "k"]),
        Reply::bulk("v")
    );
}

#[test]
fn a_file_that_is_wrong_changes_nothing_and_every_problem_is_named_with_its_place() {
    let one = OneServer::start();
    let servers = [server(one.tcp(), 1, "a")];
    let mut world = World::start(&[], "", &servers);
    let mut client = world.proxy.client("alpha");
    assert_eq!(client.call(["SET", "k", "v"]), Reply::ok());
    world.write(
        "  hash: sha\n  timeout: soon\n",
        &[server("127.0.0.1:1", 1, "other")],
    );
    let text = world.refused();
    assert!(
        text.contains("proxy.yml:4:9: alpha.hash: unknown hash"),
        "{text}"
    );
    assert!(text.contains("proxy.yml:5:12: alpha.timeout:"), "{text}");
    world.proxy.process().logs("alpha.hash: unknown hash");
    assert_eq!(client.call(["GET", "k"]), Reply::bulk("v"));
    fs::remove_file(world.proxy.config_path()).unwrap();
    let text = world.refused();
    assert!(text.contains("proxy.yml"), "{text}");
    assert_eq!(
        world.proxy.client("alpha").call(["GET", "k"]),
        Reply::bulk("v")
    );
    world.write("", &servers);
    assert_eq!(world.reload(), "nothing is different\n");
}

#[test]
fn a_port_that_is_taken_refuses_all_of_the_reload() {
    let one = OneServer::start();
    let servers = [server(one.tcp(), 1, "a")];
    let world = World::start(&[], "", &servers);
    let mut client = world.proxy.client("alpha");
    assert_eq!(client.call(["SET", "k", "v"]), Reply::ok());
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let wrong = [server("127.0.0.1:1", 1, "a")];
    let gamma = pool("gamma", world.spare.address(), "", &servers);
    let beta = pool("beta", taken.local_addr().unwrap(), "", &servers);
    let alpha = pool("alpha", world.alpha(), "", &wrong);
    world.proxy.write_config(&(alpha + &beta + &gamma));
    let text = world.refused();
    assert!(text.contains("pool beta: cannot listen on"), "{text}");
    assert!(text.contains("the port is in use"), "{text}");
    assert_eq!(
        client.call(["GET", "k"]),
        Reply::bulk("v"),
        "still where it was"
    );
    assert!(!world.proxy.stats().contains("gamma"));
    // Its socket was open for a moment, and is not kept.
    eventually("nobody listens there", || {
        TcpListener::bind(world.spare.address())
            .is_ok()
            .then_some(())
    });
}

#[test]
fn a_pool_that_is_removed_answers_what_it_was_asked_and_closes() {
    let redis = Redis::start();
    let servers = [server(redis.address(), 1, "a")];
    let world = World::start(&[], "", &servers);
    let beta = pool("beta", world.spare.address(), "", &servers);
    let alpha = pool("alpha", world.alpha(), "", &servers);
    world.proxy.write_config(&(beta + &alpha));
    world.reload();
    let mut leaving = Client::connect(world.spare.address());
    let mut staying = world.proxy.client("alpha");
    assert_eq!(leaving.call(["SET", "k", "v"]), Reply::ok());
    // The server is silent for a while: the request is in flight when the pool is removed.
    let pause = redis.client().call(["CLIENT", "PAUSE", "400"]);
    assert_eq!(pause, Reply::ok());
    leaving.send(["GET", "k"]);
    eventually("the request is under way", || {
        let numbers = world.proxy.numbers();
        (numbers.server("beta", "a", "out_queue") == 1).then_some(())
    });
    world.write("", &servers);
    let text = world.reload();
    assert!(text.contains("pool removed pool=beta"), "{text}");
    assert_eq!(
        leaving.read(),
        Reply::bulk("v"),
        "asked before, answered after"
    );
    assert_eq!(leaving.read_until_closed(), b"");
    assert_eq!(staying.call(["GET", "k"]), Reply::bulk("v"));
    eventually("nobody listens there", || {
        TcpListener::bind(world.spare.address())
            .is_ok()
            .then_some(())
    });
    assert!(!world.proxy.stats().contains("beta"));
}

#[test]
fn a_silent_server_that_is_moved_makes_only_those_wait_whom_it_owes_a_reply() {
    let silent = FakeServer::start(|mut conn| while conn.request().is_some() {});
    let redis = Redis::start();
    let world = World::start(&["--cores", "1"], "", &[server(silent.address(), 1, "a")]);
    let mut stuck = world.proxy.client("alpha");
    stuck.send(["GET", "k"]);
    eventually("it was asked", || (silent.asked() == 1).then_some(()));
    let mut other = world.proxy.client("alpha");
    world.write("", &[server(redis.address(), 1, "a")]);
    world.reload();
    assert_eq!(other.call(["SET", "k", "v"]), Reply::ok());
    assert_eq!(other.call(["GET", "k"]), Reply::bulk("v"));
    // Behind what it is owed, its next request waits, and is lost with nothing.
    stuck.send(["GET", "k"]);
    drop(silent);
    assert_eq!(stuck.read(), Reply::bulk("v"), "a read is sent again");
    assert_eq!(stuck.read(), Reply::bulk("v"));
}

#[test]
fn signals_that_come_together_reload_what_the_file_says_at_last_and_open_the_log_again() {
    let one = OneServer::start();
    let mut world = World::start(&[], "", &[server(one.tcp(), 1, "a")]);
    let load = Load::start(world.alpha(), 4, 11);
    for n in 1..=10 {
        let timeout = format!("  timeout: {}\n", 10_000 + n);
        world.write(
            &timeout,
            &[server(
                if n % 2 == 0 { one.tcp() } else { one.unix() },
                1,
                "a",
            )],
        );
        world.proxy.process().signal("HUP");
        world.proxy.process().signal("HUP");
        let line = format!("key changed pool=alpha timeout={}", 10_000 + n);
        eventually("it is reloaded", || {
            world.proxy.process().log().contains(&line).then_some(())
        });
        load.goes_on(200);
    }
    load.end();
}

#[test]
fn with_reload_on_change_a_file_that_is_replaced_is_read() {
    let one = OneServer::start();
    let mut world = World::start(&["--reload-on-change"], "", &[server(one.tcp(), 1, "a")]);
    let began = now();
    for timeout in ["11000", "12000"] {
        let text = pool(
            "alpha",
            world.alpha(),
            &format!("  timeout: {timeout}\n"),
            &[server(one.tcp(), 1, "a")],
        );
        let beside = world.proxy.directory().join("new.yml");
        fs::write(&beside, text).unwrap();
        fs::rename(&beside, world.proxy.config_path()).unwrap();
        let line = format!("key changed pool=alpha timeout={timeout}");
        eventually("it is reloaded", || {
            world.proxy.process().log().contains(&line).then_some(())
        });
    }
    let log = world.proxy.process().log();
    let seen = log.matches("configuration file changed").count();
    assert_eq!(seen, 2, "after {:?}: {log}", began.elapsed());
}

#[test]
fn who_has_given_a_password_stays_and_who_comes_gives_the_new_one() {
    let redis = Redis::start();
    let servers = [server(redis.address(), 1, "a")];
    let world = World::start(&[], "", &servers);
    let mut first = world.proxy.client("alpha");
    assert_eq!(first.call(["SET", "k", "v"]), Reply::ok());
    let mut admin = redis.client();
    assert_eq!(
        admin.call(["CONFIG", "SET", "requirepass", "new"]),
        Reply::ok()
    );
    world.write("  redis_auth: new\n", &servers);
    let text = world.reload();
    assert!(
        text.contains("key changed pool=alpha key=redis_auth\n"),
        "{text}"
    );
    assert!(!text.contains("new\n"), "a password is printed: {text}");
    assert_eq!(first.call(["GET", "k"]), Reply::bulk("v"));
    let mut second = world.proxy.client("alpha");
    let refused = second.call(["GET", "k"]);
    assert!(matches!(refused, Reply::Error(_)), "{refused:?}");
    assert_eq!(second.call(["AUTH", "new"]), Reply::ok());
    assert_eq!(second.call(["GET", "k"]), Reply::bulk("v"));
    // On new connections, greeted with the new password and database.
    world.write("  redis_auth: new\n  redis_db: 3\n", &servers);
    world.reload();
    assert_eq!(second.call(["GET", "k"]), Reply::Null);
    world.write("  redis_auth: new\n", &servers);
    world.reload();
    assert_eq!(second.call(["GET", "k"]), Reply::bulk("v"));
}

#[test]
fn pools_are_renamed_and_swap_their_addresses_without_a_lost_client() {
    let redis = Redis::fleet(2);
    let of = |place: usize| [server(redis[place].address(), 1, "s")];
    let world = World::start(&[], "", &of(0));
    let write = |alpha: (&str, SocketAddr), beta: (&str, SocketAddr)| {
        let alpha = pool(alpha.0, alpha.1, "", &of(0));
        world
            .proxy
            .write_config(&(alpha + &pool(beta.0, beta.1, "", &of(1))));
        world.reload()
    };
    let (here, there) = (world.alpha(), world.spare.address());
    write(("alpha", here), ("beta", there));
    let mut a = Client::connect(here);
    let mut b = Client::connect(there);
    assert_eq!(a.call(["SET", "k", "alpha"]), Reply::ok());
    assert_eq!(b.call(["SET", "k", "beta"]), Reply::ok());
    let text = write(("omega", here), ("beta", there));
    assert!(text.contains("pool renamed pool=omega was=alpha"), "{text}");
    assert_eq!(world.proxy.numbers().pool("omega", "client_connections"), 1);
    write(("omega", there), ("beta", here));
    for _ in 0..8 {
        assert_eq!(
            Client::connect(here).call(["GET", "k"]),
            Reply::bulk("beta")
        );
        assert_eq!(
            Client::connect(there).call(["GET", "k"]),
            Reply::bulk("alpha")
        );
    }
    assert_eq!(
        a.call(["GET", "k"]),
        Reply::bulk("alpha"),
        "a client stays in its pool"
    );
    assert_eq!(b.call(["GET", "k"]), Reply::bulk("beta"));
}

#[test]
fn limits_and_times_of_clients_take_effect() {
    let redis = Redis::start();
    let servers = [server(redis.address(), 1, "a")];
    let world = World::start(&[], "", &servers);
    let mut first = world.proxy.client("alpha");
    assert_eq!(first.call(["EXISTS", "none"]), Reply::Integer(0));
    world.write("  client_connections: 1\n", &servers);
    world.reload();
    let refused = world.proxy.client("alpha").read();
    assert!(matches!(refused, Reply::Error(_)), "{refused:?}");
    assert_eq!(first.call(["EXISTS", "none"]), Reply::Integer(0));
    world.write("  client_idle_timeout: 300\n", &servers);
    world.reload();
    assert_eq!(
        first.read_until_closed(),
        b"",
        "idle since before the reload"
    );
    let mut next = world.proxy.client("alpha");
    assert_eq!(next.call(["EXISTS", "none"]), Reply::Integer(0));
    world.write("", &servers);
    world.reload();
    // Longer than it would have been left alone.
    let until = now() + std::time::Duration::from_millis(600);
    eventually("time passes", || (now() > until).then_some(()));
    assert_eq!(next.call(["EXISTS", "none"]), Reply::Integer(0));
}

#[test]
fn a_server_that_is_ejected_already_is_asked_when_the_new_file_says() {
    let mut redis = Redis::start();
    let servers = [server(redis.address(), 1, "a")];
    let keys = |retry_ms: u32| {
        format!(
            "  auto_eject_hosts: true\n  server_failure_limit: 1\n  server_retry_timeout: {retry_ms}\n"
        )
    };
    let mut world = World::start(&[], &keys(600_000), &servers);
    let mut client = world.proxy.client("alpha");
    assert_eq!(client.call(["SET", "k", "v"]), Reply::ok());
    redis.kill();
    eventually("the server is ejected", || {
        client.call(["GET", "k"]);
        world
            .proxy
            .process()
            .log()
            .contains("server ejected")
            .then_some(())
    });
    redis.restart();
    world.write(&keys(50), &servers);
    world.reload();
    eventually("the server is readmitted", || {
        (client.call(["SET", "k", "v"]) == Reply::ok()).then_some(())
    });
}
