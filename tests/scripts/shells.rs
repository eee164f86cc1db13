//! Every script fails alike in dash and in bash: a failure that ends a shell by itself would end it with
//! another exit code than the one that is written down, and its caller would draw another conclusion.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::process::Stdio;

use tempfile::TempDir;

const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts");

const SHELLS: [&[&str]; 3] = [&["dash"], &["bash"], &["bash", "--posix"]];

/// A file as `client-reconfig.sh` changes it, in a path with a blank.
struct Site {
    folder: TempDir,
}

impl Site {
    fn new() -> Site {
        let site = Site {
            folder: tempfile::Builder::new()
                .prefix("a b")
                .tempdir()
                .expect("a folder"),
        };
        let pool =
            "alpha:\n  listen: 127.0.0.1:1\n  redis: true\n  servers:\n  - 10.0.0.1:6379:1 m1\n";
        fs::write(site.path("conf.yml"), pool).expect("a file");
        site
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs a script: its exit code, and what it says on stderr.
    fn run(
        &self,
        shell: &[&str],
        script: &str,
        words: &[&str],
        env: &[(&str, &str)],
    ) -> (i32, String) {
        let at = |name: &str| self.path(name).into_os_string();
        let mut command = Command::new(shell[0]);
        command
            .args(&shell[1..])
            .arg(format!("{SCRIPTS}/{script}"))
            .args(words)
            .env("COREMUX_CONF", at("conf.yml"))
            .env("COREMUX_USE", at("settings"))
            .env("COREMUX_BIN", "/no/such/coremux")
            .env("COREMUX_CTL", at("ctl.sock"))
            .env("COREMUX_PID", at("pid"))
            .env("COREMUX_HEALTH_FILE", at("health"))
            .env("COREMUX_WAIT", "1")
            .envs(env.iter().copied())
            .stdin(Stdio::null());
        let output = command.output().expect("the shell is installed");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code().expect("it ended by itself"), said)
    }
}

const FAILOVER: [&str; 7] = [
    "m1", "leader", "start", "10.0.0.1", "6379", "10.0.0.9", "6380",
];

#[test]
fn wrong_arguments_have_the_codes_that_are_written_down() {
    let site = Site::new();
    let cases: [(&str, &[&str], i32); 19] = [
        ("client-reconfig.sh", &[], 2),
        ("client-reconfig.sh", &["m1"], 2),
        (
            "client-reconfig.sh",
            &["m1", "leader", "start", "a b", "1", "c", "1"],
            2,
        ),
        (
            "client-reconfig.sh",
            &["m1", "leader", "start", "a", "0", "c", "1"],
            2,
        ),
        (
            "client-reconfig.sh",
            &["m1", "leader", "start", "a", "99999", "c", "1"],
            2,
        ),
        ("check-health.sh", &["-x"], 1),
        ("check-health.sh", &["-t"], 1),
        ("check-health.sh", &["a", "b"], 1),
        ("notify.sh", &[], 2),
        ("notify.sh", &["INSTANCE", "a"], 2),
        ("vip-setup.sh", &[], 2),
        ("vip-setup.sh", &["--with"], 2),
        ("vip-setup.sh", &["--with", "none", "10.0.0.1", "1", "2"], 2),
        ("vip-setup.sh", &["10.0.0.1; id", "1", "2"], 2),
        ("vip-setup.sh", &["10.0.0.1", "0", "2"], 2),
        ("vip-setup.sh", &["--remove", "10.0.0.1"], 2),
        ("vip-setup.sh", &["--nonsense"], 2),
        ("quickstart", &["--nonsense"], 2),
        ("test", &["--nonsense"], 2),
    ];
    for (script, words, expected) in cases {
        for shell in SHELLS {
            let (code, said) = site.run(shell, script, words, &[]);
            assert_eq!(code, expected, "{shell:?} {script} {words:?}: {said}");
            assert_ne!(said, "", "{shell:?} {script} {words:?}");
        }
    }
}

/// A script, its arguments and settings, the exit code, and a word of what it says.
type Case<'a> = (
    &'a str,
    &'a [&'a str],
    &'a [(&'a str, &'a str)],
    i32,
    &'a str,
);

#[test]
fn what_cannot_be_done_has_the_codes_that_are_written_down() {
    let quick = [("QUICKSTART_PORTS", "1 2")];
    let profile = [("QUICKSTART_PROFILE", "x")];
    let drain = [("COREMUX_NOTIFY_DRAIN", "yes")];
    let no_conf = [("COREMUX_CONF", "/no/such.yml")];
    let a_folder = [("COREMUX_CONF", "/")];
    let bad_wait = [("COREMUX_WAIT", "soon")];
    let cases: [Case<'_>; 9] = [
        ("client-reconfig.sh", &FAILOVER, &no_conf, 3, "no such file"),
        (
            "client-reconfig.sh",
            &FAILOVER,
            &a_folder,
            3,
            "no such file",
        ),
        (
            "client-reconfig.sh",
            &FAILOVER,
            &bad_wait,
            1,
            "another call",
        ),
        // The file is changed, or was, and there is nobody to tell.
        ("client-reconfig.sh", &FAILOVER, &[], 1, "nobody to tell"),
        ("check-health.sh", &[], &[], 1, ""),
        ("notify.sh", &["INSTANCE", "a", "FAULT"], &drain, 1, ""),
        ("quickstart", &[], &quick, 2, "three numbers"),
        ("quickstart", &[], &profile, 2, "release or dev"),
        (
            "vip-setup.sh",
            &["--with", "nft", "10.0.0.1", "1", "2"],
            &[("PATH", "/nowhere")],
            3,
            "nft is missing",
        ),
    ];
    for (script, words, env, expected, text) in cases {
        for shell in SHELLS {
            let site = Site::new();
            let shell: Vec<String> = shell.iter().map(|word| found(word)).collect();
            let shell: Vec<&str> = shell.iter().map(String::as_str).collect();
            let (code, said) = site.run(&shell, script, words, env);
            assert_eq!(
                code, expected,
                "{shell:?} {script} {words:?} {env:?}: {said}"
            );
            assert!(said.contains(text), "{shell:?} {script}: {said}");
        }
    }
}

/// Where a shell is; some cases have no PATH.
fn found(word: &str) -> String {
    let file = format!("/bin/{word}");
    match Path::new(&file).exists() {
        true => file,
        false => word.to_owned(),
    }
}

#[test]
fn a_lock_or_settings_that_cannot_be_used_are_refused_for_good() {
    for shell in SHELLS {
        let site = Site::new();
        // Not even root writes a directory.
        fs::create_dir(site.path("conf.yml.lock")).expect("a folder");
        let (code, said) = site.run(shell, "client-reconfig.sh", &FAILOVER, &[]);
        assert_eq!(code, 3, "{shell:?}: {said}");
        assert!(said.contains("may not be written"), "{shell:?}: {said}");
        for text in ["COREMUX_WAIT=(", "exit 7", "no-such-program", "if"] {
            let site = Site::new();
            fs::write(site.path("settings"), text).expect("a file");
            let (code, said) = site.run(shell, "client-reconfig.sh", &FAILOVER, &[]);
            assert_eq!(code, 3, "{shell:?} {text}: {said}");
            assert!(said.contains("settings"), "{shell:?} {text}: {said}");
        }
    }
}

#[test]
fn without_a_home_cargo_is_found_where_the_users_is() {
    let site = Site::new();
    let cargo = site.path("cargo home/bin/cargo");
    fs::create_dir_all(cargo.parent().expect("a folder")).expect("a folder");
    fs::write(&cargo, "#!/bin/sh\necho found\n").expect("a file");
    fs::set_permissions(&cargo, fs::Permissions::from_mode(0o755)).expect("a mode");
    for shell in SHELLS {
        let run = |text: &str, home: Option<PathBuf>| {
            let mut command = Command::new(found(shell[0]));
            let source = format!("set -eu; name=x; . '{SCRIPTS}/lib.sh'; {text}");
            command.args(&shell[1..]).args(["-c", &source]);
            command.env_remove("HOME").env("PATH", "/usr/bin:/bin");
            match home {
                Some(home) => command.env("CARGO_HOME", home),
                None => command.env_remove("CARGO_HOME"),
            };
            command.output().expect("the shell runs")
        };
        let output = run("need_rust; cargo", Some(site.path("cargo home")));
        assert_eq!(output.stdout, b"found\n", "{shell:?}: {output:?}");
        // Whether the user has one or not: no variable that is not set ends it.
        let output = run("need_rust", None);
        let said = String::from_utf8_lossy(&output.stderr);
        let code = output.status.code();
        assert!(
            code == Some(0) || (code == Some(3) && said.contains("cargo is missing")),
            "{shell:?}: {said}"
        );
    }
}
