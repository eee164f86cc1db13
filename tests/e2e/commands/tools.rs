//! The tools that come with Redis work through the proxy as they do directly.

use std::io::Write;
use std::process::Command;
use std::process::Output;
use std::process::Stdio;

use crate::support::Pool;
use crate::support::Proxy;
use crate::support::Redis;
use crate::support::encode;

fn stand() -> (Vec<Redis>, Proxy) {
    let servers = Redis::fleet(3);
    let pools = [
        Pool::over("alpha", &servers),
        Pool::over("locked", &[]).with("redis_auth", "secret"),
    ];
    let locked = Redis::start_with(&["--requirepass", "secret"]);
    let [alpha, with_password] = pools;
    let proxy = Proxy::coremux(&[alpha, with_password.server(locked.address())]);
    let servers = servers.into_iter().chain([locked]).collect();
    (servers, proxy)
}

fn tool(program: &str, proxy: &Proxy, pool: &str, arguments: &[&str]) -> Command {
    let address = proxy.address(pool);
    let mut command = Command::new(program);
    command
        .args([
            "-h",
            &address.ip().to_string(),
            "-p",
            &address.port().to_string(),
        ])
        .args(arguments)
        .stdin(Stdio::null());
    command
}

fn text(output: Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{}: {said}", output.status);
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn redis_cli_asks_and_shows() {
    let (_servers, proxy) = stand();
    let cli = |arguments: &[&str]| {
        text(
            tool("redis-cli", &proxy, "alpha", arguments)
                .output()
                .unwrap(),
        )
    };
    assert_eq!(cli(&["SET", "key", "value"]), "OK\n");
    assert_eq!(cli(&["GET", "key"]), "value\n");
    assert_eq!(
        cli(&["--no-raw", "MGET", "key", "none"]),
        "1) \"value\"\n2) (nil)\n"
    );
    assert_eq!(cli(&["PING"]), "PONG\n");
    assert!(cli(&["INFO", "server"]).contains("redis_version:7.0.15"));
    assert_eq!(cli(&["MULTI"]), "OK\n");
    assert!(cli(&["-n", "0", "GET", "key"]).contains("value"));
    let big = "v".repeat(1 << 20);
    let mut child = tool("redis-cli", &proxy, "alpha", &["-x", "SET", "big"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(big.as_bytes())
        .unwrap();
    assert_eq!(text(child.wait_with_output().unwrap()), "OK\n");
    assert_eq!(cli(&["STRLEN", "big"]), "1048576\n");
    let locked = |arguments: &[&str]| {
        text(
            tool("redis-cli", &proxy, "locked", arguments)
                .output()
                .unwrap(),
        )
    };
    assert_eq!(
        locked(&["-a", "secret", "--no-auth-warning", "SET", "key", "value"]),
        "OK\n"
    );
    assert!(locked(&["GET", "key"]).contains("NOAUTH"));
}

#[test]
fn redis_cli_takes_a_session_and_a_mass_of_requests() {
    let (_servers, proxy) = stand();
    let session =
        "SET key \"with blanks\"\nGET key\nNONSENSE\nINCR counter\nDEL key counter\nquit\n";
    let run = |arguments: &[&str], input: &[u8]| {
        let mut child = tool("redis-cli", &proxy, "alpha", arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let input = input.to_vec();
        let writer = std::thread::spawn(move || stdin.write_all(&input));
        let out = text(child.wait_with_output().unwrap());
        writer.join().unwrap().unwrap();
        out
    };
    let said = run(&[], session.as_bytes());
    let lines: Vec<&str> = said.lines().filter(|line| !line.is_empty()).collect();
    assert_eq!(lines[..2], ["OK", "with blanks"]);
    assert!(
        lines[2].starts_with("ERR unknown command 'NONSENSE'"),
        "{said}"
    );
    assert_eq!(lines[3..], ["1", "2"]);

    let mut mass = Vec::new();
    for n in 0..20_000 {
        encode(&mut mass, ["SET", &format!("mass:{n}"), &n.to_string()]);
    }
    let said = run(&["--pipe"], &mass);
    assert!(said.contains("errors: 0, replies: 20000"), "{said}");
}

#[test]
fn redis_benchmark_runs_its_tests_without_an_error() {
    let (servers, proxy) = stand();
    let tests = "ping,set,get,incr,lpush,rpush,lpop,rpop,sadd,hset,spop,zadd,zpopmin,lrange,mset";
    for arguments in [
        &["-n", "2000", "-q", "-t", tests][..],
        &[
            "-n", "10000", "-P", "16", "-c", "20", "-r", "1000", "-q", "-t", tests,
        ],
        &["-n", "500", "-d", "30000", "-c", "5", "-q", "-t", "set,get"],
        &["-n", "2000", "--threads", "2", "-q", "-t", "set,get"],
    ] {
        let out = tool("redis-benchmark", &proxy, "alpha", arguments)
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&out.stderr).into_owned();
        let said = text(out);
        assert_eq!(errors, "", "{arguments:?}");
        assert!(!said.to_lowercase().contains("error"), "{said}");
        let results = said.matches("requests per second").count();
        assert!(results >= 2, "{said}");
        if arguments.contains(&tests) {
            // Two of PING and four of LRANGE, which has an LPUSH before it.
            assert!(results >= 19, "{results}: {said}");
        }
    }
    let stats = proxy.numbers();
    let requests: i64 = (1..=3)
        .map(|n| stats.server("alpha", &format!("s{n}"), "requests"))
        .sum();
    assert!(requests > 100_000, "{requests}");
    drop(servers);
}

#[test]
fn netcat_speaks_inline() {
    let (_servers, proxy) = stand();
    let address = proxy.address("alpha");
    let mut child = Command::new("nc")
        .args(["-N", &address.ip().to_string(), &address.port().to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let input = b"PING\r\nset word \"two words\"\nget word\n\nmget word none\r\n";
    child.stdin.take().unwrap().write_all(input).unwrap();
    let said = text(child.wait_with_output().unwrap());
    let due = "+PONG\r\n+OK\r\n$9\r\ntwo words\r\n*2\r\n$9\r\ntwo words\r\n$-1\r\n";
    assert_eq!(said, due);
}
