//! The command line: twemproxy's flags, and ours.
//!
//! Owns: every flag with its meaning and default, the words for a wrong one. Never: acts on them.
//!
//! Flags are read as getopt_long reads twemproxy's: abbreviated long names, `-v3`, `-td`, the last
//! of a repeated one counts, whatever follows a flag that takes a value is its value.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::ArgAction;
use clap::CommandFactory;
use clap::Parser;
use clap::Subcommand;
use clap::error::ContextKind;
use clap::error::ContextValue;
use clap::error::ErrorKind;
use thiserror::Error;

use crate::config::HostPort;
use crate::control::HealthMeans;
use crate::control::ctl::COMMANDS;

pub use crate::process::cores::Cores;
pub use crate::process::log::LogFormat;
pub use crate::process::memory_limit::MemoryLimit;

/// The program's name in every message.
pub const NAME: &str = "coremux";

/// The options of a run of the proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// `-c`.
    pub conf_file: PathBuf,
    /// `-d`.
    pub daemonize: bool,
    /// `-v`: 0 (emergencies) to 11 (everything).
    pub verbosity: u8,
    /// `-o`: the log file; `None` is stderr.
    pub output: Option<PathBuf>,
    /// `--log-format`.
    pub log_format: LogFormat,
    /// `-s`: 1..=65535.
    pub stats_port: u16,
    /// `-a`.
    pub stats_addr: String,
    /// `-i`: how old statistics may be.
    pub stats_interval: Duration,
    /// `-p`.
    pub pid_file: Option<PathBuf>,
    /// `--cores`.
    pub cores: Cores,
    /// `--memory-limit`.
    pub memory_limit: MemoryLimit,
    /// `--admin`.
    pub admin: Option<HostPort>,
    /// `--admin-actions`.
    pub admin_actions: bool,
    /// `--health`.
    pub health: Option<HostPort>,
    /// `--health-means`.
    pub health_means: HealthMeans,
    /// `--health-file`.
    pub health_file: Option<PathBuf>,
    /// `--ctl`.
    pub ctl: Option<PathBuf>,
    /// `--reload-on-change`.
    pub reload_on_change: bool,
}

/// What the arguments ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// `-V`, `-h`, `-D`: the version, then what else is asked for.
    Show {
        /// `-h`.
        usage: bool,
        /// `-D`.
        stats: bool,
    },
    /// `-t`.
    TestConf {
        /// `-c`.
        conf_file: PathBuf,
    },
    /// `route`: where keys live.
    Route {
        /// `-c`.
        conf_file: PathBuf,
        /// At least one, any bytes.
        keys: Vec<OsString>,
    },
    /// `ring`: what share of the keys each server has.
    Ring {
        /// `-c`.
        conf_file: PathBuf,
    },
    /// `ctl`: tell a running proxy.
    Ctl {
        /// `--socket`.
        socket: PathBuf,
        /// The command's name and its arguments; at least the name.
        words: Vec<String>,
    },
    /// `--check`: ask a running proxy how it is.
    Check {
        /// `ip:port`, `ip:port/path`, or the path of its control socket.
        target: String,
        /// `--dynamic`: the exit code is 2 and its weight.
        dynamic: bool,
    },
    /// `--upgrade`: tell a running proxy to hand over to a new process.
    Upgrade {
        /// `-p`: how it is found, unless `--ctl` is given.
        pid_file: Option<PathBuf>,
        /// `--ctl`, or where it is by default.
        socket: PathBuf,
    },
    /// `route -h`, `ring -h`: this text.
    ShowText(String),
    /// None of these: be a proxy.
    Serve {
        /// What was said, with defaults for the rest.
        options: Box<Options>,
        /// `-m` was given, which has no effect.
        mbuf_size_given: bool,
    },
}

/// What is wrong with the arguments, in twemproxy's words where it has any.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{NAME}: {0}")]
pub struct UsageError(String);

/// Reads the arguments, the program's name first.
///
/// # Errors
///
/// The first argument that is wrong.
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Action, UsageError> {
    match Cli::try_parse_from(args) {
        Ok(cli) => Ok(cli.action()),
        Err(error) if error.kind() == ErrorKind::DisplayHelp => {
            Ok(Action::ShowText(error.render().to_string()))
        }
        Err(error) => Err(UsageError(in_twemproxys_words(&error))),
    }
}

/// What `-h` and a wrong argument show.
#[must_use]
pub fn usage() -> String {
    Cli::command().render_help().to_string()
}

// The doc comments below are what `-h` prints.

/// A proxy for Redis and Memcached: twemproxy's flags and configuration file.
#[derive(Debug, Parser)]
#[command(
    name = NAME,
    args_override_self = true,
    args_conflicts_with_subcommands = true,
    disable_help_flag = true,
    disable_help_subcommand = true,
    infer_long_args = true,
    help_template = "{usage-heading} {usage}\n\n{all-args}\n",
)]
struct Cli {
    // As twemproxy's long flags may be shortened, whatever else begins with the same letters.
    /// Show this help and exit
    #[arg(short = 'h', long, action = ArgAction::SetTrue, aliases = ["h", "he"])]
    help: bool,

    /// Show the version and exit
    #[arg(short = 'V', long)]
    version: bool,

    /// Report every mistake in the configuration file and exit
    #[arg(short = 't', long)]
    test_conf: bool,

    /// Run as a daemon
    #[arg(short = 'd', long)]
    daemonize: bool,

    /// Describe the statistics and exit
    #[arg(short = 'D', long)]
    describe_stats: bool,

    /// Log level, 0 to 11
    #[arg(short = 'v', long, value_name = "N", default_value = "5", value_parser = verbosity)]
    #[arg(allow_hyphen_values = true, alias = "verbosity")]
    verbose: u8,

    /// Log file [default: stderr]
    #[arg(short = 'o', long, value_name = "FILE", allow_hyphen_values = true)]
    output: Option<PathBuf>,

    /// Configuration file
    #[arg(short = 'c', long, value_name = "FILE", default_value = CONF_FILE)]
    #[arg(allow_hyphen_values = true)]
    conf_file: PathBuf,

    /// Port of the statistics
    #[arg(short = 's', long, value_name = "PORT", default_value = "22222")]
    #[arg(value_parser = stats_port, allow_hyphen_values = true)]
    stats_port: u16,

    /// Address of the statistics
    #[arg(short = 'a', long, value_name = "ADDR", default_value = "0.0.0.0")]
    #[arg(allow_hyphen_values = true)]
    stats_addr: String,

    /// How old statistics may be, in milliseconds
    #[arg(short = 'i', long, value_name = "MS", default_value = "30000")]
    #[arg(value_parser = stats_interval, allow_hyphen_values = true)]
    stats_interval: Duration,

    /// File for the process id [default: none]
    #[arg(short = 'p', long, value_name = "FILE", allow_hyphen_values = true)]
    pid_file: Option<PathBuf>,

    /// Has no effect (twemproxy's buffers, 512 to 16777216)
    #[arg(short = 'm', long, value_name = "BYTES", value_parser = mbuf_size)]
    #[arg(allow_hyphen_values = true)]
    mbuf_size: Option<NonZeroUsize>,

    /// How log lines are written
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,

    /// Cores to use: auto (leaves room for what runs beside), a count (4), or a list (0-3,6;
    /// core 5 alone is 5,)
    #[arg(
        long,
        value_name = "CORES",
        default_value = "auto",
        allow_hyphen_values = true
    )]
    cores: Cores,

    /// Limit of the process's memory: 512MiB, 2GiB, auto (three quarters of the machine's) or none
    #[arg(
        long,
        value_name = "BYTES",
        default_value = "auto",
        allow_hyphen_values = true
    )]
    memory_limit: MemoryLimit,

    /// Serve health, readiness, metrics and a status page by HTTP there [default: none]
    #[arg(long, value_name = "IP:PORT", value_parser = address)]
    admin: Option<HostPort>,

    /// Let the status page of --admin drain, cancel a drain and reload
    #[arg(long, requires = "admin")]
    admin_actions: bool,

    /// Listen there while healthy, and only then: for checks that only connect [default: none]
    #[arg(long, value_name = "IP:PORT", value_parser = address)]
    health: Option<HostPort>,

    /// What an open port of --health means: live (healthy), or ready (its pools can serve, too)
    #[arg(long, value_name = "WHAT", default_value = "live", value_parser = health_means)]
    health_means: HealthMeans,

    /// File that contains 0 while healthy, else 1: keepalived's track_file [default: none]
    #[arg(long, value_name = "FILE")]
    health_file: Option<PathBuf>,

    /// Unix socket at which to take the commands of `coremux ctl` [default: none]
    #[arg(long, alias = "socket", value_name = "PATH")]
    ctl: Option<PathBuf>,

    /// Reload when the configuration file is changed or replaced
    #[arg(long)]
    reload_on_change: bool,

    /// Replace the proxy that has this --ctl, or this --pid-file, by a new process of its program,
    /// which takes over listening sockets and clients [default: /run/coremux/ctl.sock]
    #[arg(long)]
    upgrade: bool,

    /// Query the proxy that has this --admin, --health or --ctl: exit code 0 if healthy, else 1 [default: /run/coremux/ctl.sock]
    #[arg(long, value_name = "ADDR", num_args = 0..=1, default_missing_value = CTL_SOCKET)]
    check: Option<String>,

    /// With --check: exit with 2 plus the weight of the proxy, 2 to 102
    #[arg(long, requires = "check")]
    dynamic: bool,

    #[command(subcommand)]
    command: Option<Command>,
}

/// Where a proxy that is managed by systemd (`RuntimeDirectory=coremux`) has its control socket.
pub const CTL_SOCKET: &str = "/run/coremux/ctl.sock";

/// twemproxy's default, relative to where the program is started.
const CONF_FILE: &str = "conf/nutcracker.yml";

#[derive(Debug, Subcommand)]
enum Command {
    /// Show which server each key lives on, and exit
    Route {
        /// Configuration file
        #[arg(short = 'c', long, value_name = "FILE", default_value = CONF_FILE)]
        conf_file: PathBuf,

        /// The keys
        #[arg(value_name = "KEY", required = true)]
        keys: Vec<OsString>,

        /// Show this help and exit
        #[arg(short = 'h', long, action = ArgAction::Help)]
        help: Option<bool>,
    },
    /// Send a command to a running proxy, or query its state
    #[command(after_help = ctl_commands())]
    Ctl {
        /// Control socket of the proxy (its --ctl); --ctl is accepted here, too
        #[arg(long, alias = "ctl", value_name = "PATH", default_value = CTL_SOCKET)]
        socket: PathBuf,

        /// The command and its arguments
        #[arg(value_name = "COMMAND", required = true)]
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        words: Vec<String>,

        /// Show this help and exit
        #[arg(short = 'h', long, action = ArgAction::Help)]
        help: Option<bool>,
    },
    /// Show the share of the keys that each server has, and exit
    Ring {
        /// Configuration file
        #[arg(short = 'c', long, value_name = "FILE", default_value = CONF_FILE)]
        conf_file: PathBuf,

        /// Show this help and exit
        #[arg(short = 'h', long, action = ArgAction::Help)]
        help: Option<bool>,
    },
}

impl Cli {
    /// twemproxy's precedence: showing, then testing, then serving.
    fn action(self) -> Action {
        match self.command {
            Some(Command::Route {
                conf_file, keys, ..
            }) => {
                return Action::Route { conf_file, keys };
            }
            Some(Command::Ring { conf_file, .. }) => return Action::Ring { conf_file },
            Some(Command::Ctl { socket, words, .. }) => return Action::Ctl { socket, words },
            None => {}
        }
        if self.help || self.version || self.describe_stats {
            return Action::Show {
                usage: self.help,
                stats: self.describe_stats,
            };
        }
        if let Some(target) = self.check {
            return Action::Check {
                target,
                dynamic: self.dynamic,
            };
        }
        if self.upgrade {
            return Action::Upgrade {
                pid_file: self.pid_file.filter(|_| self.ctl.is_none()),
                socket: self.ctl.unwrap_or_else(|| PathBuf::from(CTL_SOCKET)),
            };
        }
        if self.test_conf {
            return Action::TestConf {
                conf_file: self.conf_file,
            };
        }
        Action::Serve {
            mbuf_size_given: self.mbuf_size.is_some(),
            options: Box::new(Options {
                conf_file: self.conf_file,
                daemonize: self.daemonize,
                verbosity: self.verbose,
                output: self.output,
                log_format: self.log_format,
                stats_port: self.stats_port,
                stats_addr: self.stats_addr,
                stats_interval: self.stats_interval,
                pid_file: self.pid_file,
                cores: self.cores,
                memory_limit: self.memory_limit,
                admin: self.admin,
                admin_actions: self.admin_actions,
                health: self.health,
                health_means: self.health_means,
                health_file: self.health_file,
                ctl: self.ctl,
                reload_on_change: self.reload_on_change,
            }),
        }
    }
}

fn health_means(text: &str) -> Result<HealthMeans, String> {
    match text {
        "live" => Ok(HealthMeans::Live),
        "ready" => Ok(HealthMeans::Ready),
        _ => Err("option --health-means requires live or ready".to_owned()),
    }
}

/// Digits only; a number too long for u64 is too big for every flag.
fn number(flag: char, text: &str) -> Result<u64, String> {
    let decimal = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !decimal {
        return Err(format!("option -{flag} requires a number"));
    }
    Ok(text.parse().unwrap_or(u64::MAX))
}

/// Clamped to what there is, as twemproxy's `log_init` does.
fn verbosity(text: &str) -> Result<u8, String> {
    const MAX: u8 = 11;
    number('v', text).map(|level| u8::try_from(level).map_or(MAX, |level| level.min(MAX)))
}

fn stats_port(text: &str) -> Result<u16, String> {
    match u16::try_from(number('s', text)?) {
        Ok(port) if port != 0 => Ok(port),
        Ok(_) | Err(_) => Err(format!("option -s value {text} is not a valid port")),
    }
}

fn stats_interval(text: &str) -> Result<Duration, String> {
    // twemproxy keeps it in a C int.
    let ms = number('i', text)?.min(i32::MAX.unsigned_abs().into());
    Ok(Duration::from_millis(ms))
}

fn address(text: &str) -> Result<HostPort, String> {
    if let Ok(address) = text.parse::<SocketAddr>() {
        return match address.port() {
            0 => Err(format!("`{text}` has no port")),
            _ => Ok(HostPort::Ip(address)),
        };
    }
    let (host, port) = text.rsplit_once(':').unwrap_or_default();
    match port.parse() {
        Ok(port) if port != 0 && !host.is_empty() => Ok(HostPort::Name {
            host: Arc::from(host),
            port,
        }),
        Ok(_) | Err(_) => Err(format!("`{text}` is no address: ip:port")),
    }
}

/// What stands below the help of `ctl`.
fn ctl_commands() -> String {
    let width = COMMANDS.iter().map(|c| c.synopsis().len()).max();
    let mut text = "Commands:\n".to_owned();
    for command in COMMANDS {
        let synopsis = command.synopsis();
        let width = width.unwrap_or_default();
        text.push_str(&format!("  {synopsis:width$}  {}\n", command.doc));
    }
    text.push_str("\nExit codes: 0 done; 1 refused, or not so; 2 cannot reach the proxy.");
    text
}

fn mbuf_size(text: &str) -> Result<NonZeroUsize, String> {
    let requires = || "option -m requires a non-zero number".to_owned();
    let bytes = number('m', text).map_err(|_| requires())?;
    let bytes = usize::try_from(bytes).ok().and_then(NonZeroUsize::new);
    let bytes = bytes.ok_or_else(requires)?;
    if !(512..=16_777_216).contains(&bytes.get()) {
        return Err("mbuf chunk size must be between 512 and 16777216 bytes".to_owned());
    }
    Ok(bytes)
}

fn in_twemproxys_words(error: &clap::Error) -> String {
    let context = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        _ => None,
    };
    let argument = context(ContextKind::InvalidArg).unwrap_or_default();
    let value = context(ContextKind::InvalidValue).unwrap_or_default();
    match error.kind() {
        ErrorKind::UnknownArgument if argument.starts_with('-') => {
            let name = argument.trim_start_matches('-');
            let meant = context(ContextKind::SuggestedArg);
            let meant = meant.map_or(String::new(), |arg| format!("; did you mean {arg}?"));
            format!("invalid option -- '{name}'{meant}")
        }
        // A flag at the end, without its value.
        ErrorKind::InvalidValue if value.is_empty() => wants(argument),
        ErrorKind::ValueValidation => match std::error::Error::source(error) {
            Some(source) => source.to_string(),
            None => first_line(error),
        },
        ErrorKind::MissingRequiredArgument => match error.get(ContextKind::InvalidArg) {
            Some(ContextValue::Strings(missing)) => format!("{} missing", missing.join(", ")),
            _ => first_line(error),
        },
        _ => first_line(error),
    }
}

/// `argument` is clap's, as in `--conf-file <FILE>`.
fn wants(argument: &str) -> String {
    let name = argument.split(' ').next().unwrap_or(argument);
    let command = Cli::command();
    let short = command
        .get_arguments()
        .find(|arg| arg.get_long() == name.strip_prefix("--"))
        .and_then(clap::Arg::get_short);
    match short {
        Some(short @ ('o' | 'c' | 'p')) => format!("option -{short} requires a file name"),
        Some(short @ 'a') => format!("option -{short} requires a string"),
        Some(short) => format!("option -{short} requires a number"),
        None => match name {
            "--cores" => format!("option {name} requires a count, a list or auto"),
            "--memory-limit" => format!("option {name} requires bytes, auto or none"),
            "--health-means" => format!("option {name} requires live or ready"),
            "--admin" | "--health" => format!("option {name} requires an address"),
            _ => format!("option {name} requires a file name"),
        },
    }
}

fn first_line(error: &clap::Error) -> String {
    let text = error.to_string();
    let line = text.lines().next().unwrap_or_default();
    line.strip_prefix("error: ").unwrap_or(line).to_owned()
}

#[cfg(test)]
mod tests;
