use super::Action;
use super::Cores;
use super::HealthMeans;
use super::HostPort;
use super::LogFormat;
use super::MemoryLimit;
use super::Options;
use super::parse;
use super::usage;
use clap::CommandFactory;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::time::Duration;

fn action(line: &str) -> Result<Action, String> {
    let args = std::iter::once("coremux").chain(line.split_whitespace());
    parse(args.map(OsString::from)).map_err(|error| error.to_string())
}

fn options(line: &str) -> Options {
    match action(line) {
        Ok(Action::Serve { options, .. }) => *options,
        other => panic!("{line}: {other:?}"),
    }
}

#[test]
fn nothing_said_is_twemproxys_defaults() {
    let defaults = Options {
        conf_file: PathBuf::from("conf/nutcracker.yml"),
        daemonize: false,
        verbosity: 5,
        output: None,
        log_format: LogFormat::Text,
        stats_port: 22222,
        stats_addr: "0.0.0.0".to_owned(),
        stats_interval: Duration::from_secs(30),
        pid_file: None,
        cores: Cores::Auto,
        memory_limit: MemoryLimit::Auto,
        admin: None,
        admin_actions: false,
        health: None,
        health_means: HealthMeans::Live,
        health_file: None,
        ctl: None,
        reload_on_change: false,
    };
    assert_eq!(options(""), defaults);
}

#[test]
fn every_flag_says_what_it_says() {
    let said = "-d -v 7 -o log -c conf -s 1 -a ::1 -i 10 -p pid --cores 0-1,4 \
                --memory-limit 2GiB --log-format json";
    let expected = Options {
        conf_file: PathBuf::from("conf"),
        daemonize: true,
        verbosity: 7,
        output: Some(PathBuf::from("log")),
        log_format: LogFormat::Json,
        stats_port: 1,
        stats_addr: "::1".to_owned(),
        stats_interval: Duration::from_millis(10),
        pid_file: Some(PathBuf::from("pid")),
        cores: Cores::List(vec![0, 1, 4]),
        memory_limit: "2GiB".parse().unwrap(),
        ..options("")
    };
    assert_eq!(options(said), expected);
    let long = "--daemonize --verbose=7 --output=log --conf-file conf --stats-port 1 \
                --stats-addr ::1 --stats-interval 10 --pid-file pid --cores=0-1,4 \
                --memory-limit=2GiB --log-format=json";
    assert_eq!(options(long), expected);
    let short = "--daem --verb 7 --out log --conf conf --stats-p 1 --stats-a ::1 --stats-i 10 \
                 --pid pid --cor 0-1,4 --mem 2GiB --log json";
    assert_eq!(options(short), expected);
}

#[test]
fn the_admin_side_is_off_unless_asked_for() {
    let said = options(
        "--admin 127.0.0.1:8080 --admin-actions --health [::1]:1 --health-means ready --health-file f --ctl s",
    );
    let expected = Options {
        admin: Some(HostPort::Ip(([127, 0, 0, 1], 8080).into())),
        admin_actions: true,
        health: Some(HostPort::Ip((std::net::Ipv6Addr::LOCALHOST, 1).into())),
        health_means: HealthMeans::Ready,
        health_file: Some(PathBuf::from("f")),
        ctl: Some(PathBuf::from("s")),
        ..options("")
    };
    assert_eq!(said, expected);
    assert!(matches!(
        options("--admin localhost:1").admin,
        Some(HostPort::Name { port: 1, .. })
    ));
    assert!(action("--admin-actions").is_err(), "of what");
    for wrong in ["8080", "a:", ":1", "a:0", "a:65536", "", "127.0.0.1:0"] {
        assert!(action(&format!("--admin={wrong}")).is_err(), "{wrong}");
    }
}

#[test]
fn a_check_has_an_address_or_the_usual_one() {
    let check = |target: &str, dynamic| {
        Ok(Action::Check {
            target: target.to_owned(),
            dynamic,
        })
    };
    assert_eq!(action("--check"), check(super::CTL_SOCKET, false));
    assert_eq!(action("--check h:1"), check("h:1", false));
    assert_eq!(action("--check --dynamic"), check(super::CTL_SOCKET, true));
    assert_eq!(action("--dynamic --check=h:1"), check("h:1", true));
    assert!(action("--dynamic").is_err());
}

#[test]
fn what_follows_a_command_of_ctl_is_its_own() {
    let ctl = |socket: &str, words: &[&str]| {
        Ok(Action::Ctl {
            socket: PathBuf::from(socket),
            words: words.iter().map(|word| (*word).to_owned()).collect(),
        })
    };
    assert_eq!(action("ctl status"), ctl(super::CTL_SOCKET, &["status"]));
    let lower = ctl("s", &["loglevel", "-"]);
    assert_eq!(action("ctl --socket s loglevel -"), lower);
    assert_eq!(
        action("ctl x --socket s -h"),
        ctl(super::CTL_SOCKET, &["x", "--socket", "s", "-h"])
    );
    let help = action("ctl -h");
    assert!(matches!(help, Ok(Action::ShowText(text)) if text.contains("undrain")));
    assert!(action("ctl").is_err());
}

#[test]
fn the_last_of_a_repeated_flag_counts() {
    assert_eq!(options("-d -d -v1 -v2 -s 5 -s 6").verbosity, 2);
    assert_eq!(options("-c a -c b").conf_file, PathBuf::from("b"));
}

#[test]
fn a_log_level_is_clamped() {
    assert_eq!(options("-v 0").verbosity, 0);
    for above in ["11", "12", "255", "256", "99999999999999999999999"] {
        assert_eq!(options(&format!("-v {above}")).verbosity, 11);
    }
}

#[test]
fn showing_goes_before_testing_and_testing_before_serving() {
    let show = |usage, stats| Ok(Action::Show { usage, stats });
    assert_eq!(action("-t -d -V"), show(false, false));
    assert_eq!(action("-th"), show(true, false));
    assert_eq!(action("-D"), show(false, true));
    assert_eq!(action("-hD"), show(true, true));
    let conf_file = PathBuf::from("x");
    assert_eq!(action("-tdc x"), Ok(Action::TestConf { conf_file }));
}

#[test]
fn the_buffer_size_is_checked_and_of_no_effect() {
    let given = |line| match action(line) {
        Ok(Action::Serve {
            mbuf_size_given, ..
        }) => mbuf_size_given,
        other => panic!("{line}: {other:?}"),
    };
    assert!(!given(""));
    assert!(given("-m 512") && given("--mbuf-size=16777216"));
    let range = "coremux: mbuf chunk size must be between 512 and 16777216 bytes";
    for outside in ["511", "16777217", "1"] {
        assert_eq!(action(&format!("-m {outside}")), Err(range.to_owned()));
    }
}

#[test]
fn keys_are_bytes_and_may_look_like_flags() {
    let route = |line| match action(line) {
        Ok(Action::Route { conf_file, keys }) => (conf_file, keys),
        other => panic!("{line}: {other:?}"),
    };
    let (conf_file, keys) = route("route -c x a b");
    assert_eq!(conf_file, PathBuf::from("x"));
    assert_eq!(keys, ["a", "b"]);
    assert_eq!(route("route -- -t").1, ["-t"]);
    let binary = OsString::from_vec(b"\xff\x80".to_vec());
    let args = ["coremux", "route"].map(OsString::from);
    let action = parse(args.into_iter().chain([binary.clone()])).unwrap();
    assert!(matches!(action, Action::Route { keys, .. } if keys == [binary]));
}

#[test]
fn a_sub_command_has_its_own_flags_and_no_others() {
    assert!(matches!(action("ring -c x"), Ok(Action::Ring { .. })));
    assert!(matches!(action("ring -h"), Ok(Action::ShowText(text)) if text.contains("FILE")));
    for wrong in [
        "route",
        "ring x",
        "-t ring",
        "ring -t",
        "rign",
        "route -x k",
    ] {
        assert!(action(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn the_usage_shows_every_flag() {
    super::Cli::command().debug_assert();
    let usage = usage();
    for flag in "hVtdDvocsaipm".chars() {
        assert!(
            usage.contains(&format!("  -{flag}, --")),
            "-{flag} in {usage}"
        );
    }
    for word in [
        "--cores",
        "--memory-limit",
        "route",
        "ring",
        "conf/nutcracker.yml",
        "22222",
        "0.0.0.0",
    ] {
        assert!(usage.contains(word), "{word} in {usage}");
    }
}
