//! The commands of `coremux ctl`: one table of rows, from which help, dispatch and documents come.
//!
//! Owns: each command's name, arguments, meaning and act. Never: a socket; `admin` brings what is
//! asked for as an event, so a command is done between two other events, and nothing happens
//! beside it.
//!
//! To add one is to add a row. An act that cannot answer at once keeps its `Reply` until it can.

mod observe;
mod stats;
mod switch_master;

use std::ops::RangeInclusive;
use std::time::Duration;

use tracing::info;

use crate::control::admin;
use crate::control::asked::Asked;
use crate::control::asked::Reply;
use crate::control::health::UnhealthyReason;
use crate::control::main_loop::Control;

/// Until clients are let go after a drain was shown: keepalived moves an address within two thirds
/// of its advertisements' interval, which is a second at most where it matters.
const LET_GO_AFTER: Duration = Duration::from_secs(1);

/// A command.
#[derive(Debug)]
pub struct Command {
    /// As typed.
    pub name: &'static str,
    /// Its arguments in words; empty if it has none.
    pub arguments: &'static str,
    /// What it does.
    pub doc: &'static str,
    counts: RangeInclusive<usize>,
    act: fn(&mut Control, &[String], Reply),
}

/// Every command, in the order in which help shows them.
pub const COMMANDS: &[Command] = &[
    Command {
        name: "status",
        arguments: "",
        doc: "the state of the process, its workers, pools and servers",
        counts: 0..=0,
        act: |control, _, reply| {
            let health = control.standing.health.borrow();
            let report = health.report(control.clock.now());
            let uptime = control.clock.uptime();
            let telemetry = control.shown.telemetry.borrow();
            let ready = health.ready_report();
            let mut text = admin::of_status(&report, &ready, &telemetry, uptime);
            if let Some(story) = control.upgrade.story() {
                text.push_str(&format!("{story}\n"));
            }
            reply.done(text);
        },
    },
    Command {
        name: "top",
        arguments: "",
        doc: "the same at the terminal, again every second: rates, latencies, the slowest and the busiest \
              servers, the last events and slow requests; `?` shows the keys",
        counts: 0..=0,
        // The program that sends commands draws it, and asks the JSON API; no other program needs it.
        act: |_, _, reply| reply.refused("`coremux ctl top` draws on a terminal\n".to_owned()),
    },
    Command {
        name: "stats",
        arguments: "[POOL SERVER items|slabs|settings|conns]",
        doc: "twemproxy's statistics, one line of JSON; or what one memcached says of itself, by the name \
              that the first form shows",
        counts: 0..=3,
        act: stats::act,
    },
    Command {
        name: "health",
        arguments: "",
        doc: "whether all workers are alive and the process is not draining; exit code 1 if not",
        counts: 0..=0,
        act: |control, _, reply| {
            let health = control.standing.health.borrow();
            let report = health.report(control.clock.now());
            reply.judged(health.is_healthy(), json(&report));
        },
    },
    Command {
        name: "ready",
        arguments: "",
        doc: "whether it is healthy and every pool can serve; exit code 1 if not",
        counts: 0..=0,
        act: |control, _, reply| {
            let health = control.standing.health.borrow();
            reply.judged(health.is_ready(), json(&health.ready_report()));
        },
    },
    Command {
        name: "drain",
        arguments: "[--within SECONDS] [--after SECONDS]",
        doc: "become unhealthy, so that clients go to another proxy, and go on serving; with --within, \
              close the connected clients one by one over that time, beginning --after (1 s)",
        counts: 0..=4,
        act: drain,
    },
    Command {
        name: "undrain",
        arguments: "",
        doc: "cancel the drain",
        counts: 0..=0,
        act: |control, _, reply| {
            if !control
                .standing
                .health
                .borrow()
                .has_reason(UnhealthyReason::Draining)
            {
                return reply.done("it does not drain\n".to_owned());
            }
            info!("told to drain no longer");
            control
                .standing
                .health
                .borrow_mut()
                .remove_reason(UnhealthyReason::Draining);
            control.keep();
            reply.done("drains no longer\n".to_owned());
        },
    },
    Command {
        name: "switch-master",
        arguments: "NAME IP PORT",
        doc: "set the address of the server of this name, in every pool that has it; refused where \
              Sentinels decide, which are queried at once",
        counts: 3..=3,
        act: switch_master::act,
    },
    Command {
        name: "upgrade",
        arguments: "",
        doc: "start the program again and hand over listening sockets and client connections to it",
        counts: 0..=0,
        act: |control, _, reply| control.start_upgrade(Some(reply)),
    },
    Command {
        name: "loglevel",
        arguments: "N | + | -",
        doc: "set the log level (0 to 11), or raise or lower it by one",
        counts: 1..=1,
        act: |control, arguments, reply| {
            let level = match arguments[0].as_str() {
                "+" => control.log.change_level(1),
                "-" => control.log.change_level(-1),
                level => match level.parse() {
                    Ok(level) => control.log.set_level(level),
                    Err(_) => {
                        return reply.refused(format!("`{level}` is no level: 0 to 11, + or -\n"));
                    }
                },
            };
            reply.done(format!("log level {level}\n"));
        },
    },
    Command {
        name: "reload",
        arguments: "",
        doc: "read the configuration again and apply it without dropping a client; exit code 1 if \
              it is refused, with every problem and its line",
        counts: 0..=0,
        act: |control, _, reply| control.reload(Some(reply)),
    },
    Command {
        name: "slow",
        arguments: "[--pool POOL] [--reset]",
        doc: "the latest requests that took `slow_log_ms` or longer, and where the time went; \
              --reset forgets them",
        counts: 0..=3,
        act: slow,
    },
    Command {
        name: "hotkeys",
        arguments: "[--pool POOL] [--for 10s] [--top 20]",
        doc: "count which keys are used most, for that long, and by which commands; nothing is counted \
              when nobody asks",
        counts: 0..=6,
        act: observe::hot_keys,
    },
    Command {
        name: "bigkeys",
        arguments: "[--pool POOL] [--for 10s] [--top 20]",
        doc: "the largest replies and values that are seen for that long, of 1 KiB and more",
        counts: 0..=6,
        act: observe::big_keys,
    },
    Command {
        name: "monitor",
        arguments: "[--pool POOL] [--client CLIENT] [--command COMMAND] [--key PATTERN] [--rate 1000]",
        doc: "requests as they come, as Redis's MONITOR shows them, but for values: of each the length; \
              --client is an address with or without its port, a name, or a number; PATTERN is that of KEYS; \
              of more than --rate a second a fair sample, and how many were left out",
        counts: 0..=10,
        act: observe::monitor,
    },
    Command {
        name: "reopen",
        arguments: "",
        doc: "open the log file again, after it was moved away",
        counts: 0..=0,
        act: |control, _, reply| {
            control.log.reopen();
            reply.done(String::new());
        },
    },
];

fn slow(control: &mut Control, arguments: &[String], reply: Reply) {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (pool, forget) = match words[..] {
        [] => (None, false),
        ["--reset"] => (None, true),
        ["--pool", pool] => (Some(pool), false),
        ["--pool", pool, "--reset"] | ["--reset", "--pool", pool] => (Some(pool), true),
        _ => return reply.refused("usage: slow [--pool POOL] [--reset]\n".to_owned()),
    };
    let mut telemetry = control.shown.telemetry.borrow_mut();
    let outcome = match forget {
        true => telemetry.forget_slow(pool).map(|()| String::new()),
        false => telemetry.slow_lines(pool),
    };
    match outcome {
        Ok(text) => reply.done(text),
        Err(text) => reply.refused(text),
    }
}

fn drain(control: &mut Control, arguments: &[String], reply: Reply) {
    let (mut within, mut after) = (None, LET_GO_AFTER);
    for pair in arguments.chunks(2) {
        match pair {
            [flag, value] if flag == "--within" => within = seconds(value),
            [flag, value] if flag == "--after" => after = seconds(value).unwrap_or(Duration::MAX),
            _ => within = None,
        }
    }
    if (within.is_none() && !arguments.is_empty()) || after == Duration::MAX {
        let text =
            "usage: drain [--within SECONDS] [--after SECONDS], --after only with --within\n";
        return reply.refused(text.to_owned());
    }
    let already = control
        .standing
        .health
        .borrow()
        .has_reason(UnhealthyReason::Draining);
    if !already {
        info!("told to drain: unhealthy from now on, serving on");
        control.add_reason(UnhealthyReason::Draining);
    }
    let mut text = match already {
        true => "draining already".to_owned(),
        false => "draining: unhealthy, and serving on".to_owned(),
    };
    if let Some(within) = within {
        control.let_go(after, within);
        let (within, after) = (within.as_secs_f64(), after.as_secs_f64());
        text += &format!("; in {after} s clients begin to go, over {within} s");
    }
    reply.done(text + "\n");
}

/// `5`, `0.5`; a day at most.
fn seconds(text: &str) -> Option<Duration> {
    let seconds = text.parse().ok()?;
    let time = Duration::try_from_secs_f64(seconds).ok()?;
    (time <= Duration::from_secs(86_400)).then_some(time)
}

/// The row of `name`.
fn find(name: &str) -> Option<&'static Command> {
    COMMANDS.iter().find(|command| command.name == name)
}

/// Whether there is a command of that name.
pub(super) fn is_command(name: &str) -> bool {
    find(name).is_some()
}

/// Does what somebody has asked for.
pub(super) fn act(control: &mut Control, asked: Asked) {
    let Asked {
        command,
        arguments,
        reply,
    } = asked;
    if control.upgrade.has_left_the_endpoints() {
        return reply.elsewhere();
    }
    let Some(command) = find(&command) else {
        return reply.refused(format!("there is no command `{command}`\n"));
    };
    if !command.takes(arguments.len()) {
        return reply.refused(format!("usage: {}\n", command.synopsis()));
    }
    (command.act)(control, &arguments, reply);
}

impl Command {
    /// `drain`, `loglevel N | + | -`.
    #[must_use]
    pub fn synopsis(&self) -> String {
        match self.arguments {
            "" => self.name.to_owned(),
            arguments => format!("{} {arguments}", self.name),
        }
    }

    /// Whether it takes so many arguments.
    #[must_use]
    pub fn takes(&self, arguments: usize) -> bool {
        self.counts.contains(&arguments)
    }
}

fn json(report: &impl serde::Serialize) -> String {
    // Text keys and plain values: there is nothing that could fail.
    serde_json::to_string_pretty(report).unwrap_or_default() + "\n"
}

#[cfg(test)]
mod tests {
    use super::COMMANDS;

    #[test]
    fn every_command_is_one_word_that_is_there_once_and_says_what_it_takes() {
        for (nth, command) in COMMANDS.iter().enumerate() {
            let plain = |c: char| c.is_ascii_lowercase() || c == '-';
            assert!(command.name.chars().all(plain), "{}", command.name);
            assert!(COMMANDS[..nth].iter().all(|c| c.name != command.name));
            assert!(!command.doc.is_empty());
            let needs_none = command.arguments.is_empty() || command.arguments.starts_with('[');
            assert_eq!(command.takes(0), needs_none);
        }
    }
}
