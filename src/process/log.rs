//! Where log lines go and how they look: `[2026-11-22 17:14:18.449] warn server ejected pool=a`.
//!
//! Owns: twemproxy's twelve levels laid over five, the form of a line. Never: what is worth a line; the
//! file, which is `sink`'s; how often the same is said, which is `pace`'s. There is no line per request.

mod fact;
mod pace;
mod sink;

use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use thiserror::Error;
use tracing::Event;
use tracing::Level;
use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer;
use tracing_subscriber::Registry;
use tracing_subscriber::layer::Context;
use tracing_subscriber::layer::Layered;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::reload;

use crate::control;

pub use fact::LogFormat;

use fact::Fact;
use fact::Value;
use pace::Sameness;
use sink::Sink;

/// twemproxy's most talkative level (`LOG_PVERB`).
pub(super) const VERBOSITY_MAX: u8 = 11;

/// How long who has the file opened again waits for it. It takes no longer unless the disk hangs.
const REOPEN_WITHIN: Duration = Duration::from_millis(200);

/// How long the end of the process waits for whoever should read the last lines.
const LAST_LINES_WITHIN: Duration = Duration::from_secs(1);

/// Why there is no log.
#[derive(Debug, Error)]
pub(super) enum LogError {
    /// The file cannot be opened.
    #[error("cannot open the log file {}: {source}", .path.display())]
    Open {
        /// As on the command line.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The process has a log already.
    #[error("the process has a log already")]
    Twice,
}

/// The running log; clones turn the same one.
#[derive(Clone, Debug)]
pub(super) struct Log {
    sink: Arc<Sink>,
    filter: reload::Handle<LevelFilter, Registry>,
    verbosity: Arc<Mutex<Verbosity>>,
}

/// One of twemproxy's levels, and whether somebody has told it to the running process.
#[derive(Debug)]
struct Verbosity {
    level: u8,
    told: bool,
}

/// Starts the process's log, to a file or to stderr.
///
/// # Errors
///
/// When the file cannot be opened for appending.
pub(super) fn init(
    output: Option<&Path>,
    format: LogFormat,
    verbosity: u8,
) -> Result<Log, LogError> {
    let (log, subscriber) = build(output, format, verbosity)?;
    tracing::subscriber::set_global_default(subscriber).map_err(|_| LogError::Twice)?;
    log_panics();
    Ok(log)
}

// The default hook writes to stderr, and waits for whoever reads it; a daemon's is nobody's.
fn log_panics() {
    let default = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let text = panic.payload().downcast_ref::<String>().map(String::as_str);
        let words = text.or(panic.payload().downcast_ref::<&str>().copied());
        let words = words.unwrap_or("no words");
        let at = panic.location().map(ToString::to_string);
        let thread = std::thread::current();
        let thread = thread.name().unwrap_or("unnamed");
        tracing::error!(thread, at, "panicked: {words}");
        if std::env::var_os("RUST_BACKTRACE").is_some() {
            default(panic);
        }
    }));
}

type Lines = Layered<Writer, Layered<reload::Layer<LevelFilter, Registry>, Registry>>;

fn build(
    output: Option<&Path>,
    format: LogFormat,
    verbosity: u8,
) -> Result<(Log, Lines), LogError> {
    let verbosity = verbosity.min(VERBOSITY_MAX);
    let sink = Arc::new(Sink::open(output, format)?);
    let (layer, filter) = reload::Layer::new(level_of(verbosity));
    let subscriber = tracing_subscriber::registry()
        .with(layer)
        .with(Writer(Arc::clone(&sink)));
    let log = Log {
        sink,
        filter,
        verbosity: Arc::new(Mutex::new(Verbosity {
            level: verbosity,
            told: false,
        })),
    };
    Ok((log, subscriber))
}

impl Log {
    /// Whether lines go to stderr, so that nothing has to be said there twice.
    #[must_use]
    pub(super) fn is_stderr(&self) -> bool {
        self.sink.is_stderr()
    }

    /// The last lines, for the page for people.
    #[must_use]
    pub(super) fn recent(&self) -> control::RecentEvents {
        self.sink.recent().clone()
    }

    /// Writes from now on; what there was to say before has waited. There may be threads from now on.
    ///
    /// # Errors
    ///
    /// When there is no thread for it.
    pub(super) fn start(&self) -> io::Result<()> {
        self.sink.start()
    }

    /// Writes the last lines, if somebody takes them within a second.
    pub(super) fn finish(&self) {
        self.sink.flush(LAST_LINES_WITHIN);
    }

    fn turn(&self, to: impl FnOnce(u8) -> u8) -> u8 {
        let mut verbosity = self
            .verbosity
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *verbosity = Verbosity {
            level: to(verbosity.level).min(VERBOSITY_MAX),
            told: true,
        };
        let verbosity = verbosity.level;
        let level = level_of(verbosity);
        // It fails only when there is no subscriber any more, and so no log.
        let _ = self.filter.reload(level);
        // Whatever the level: whoever turned it wants to see that it turned.
        let fact = Fact::new(Level::INFO, "log level")
            .with("verbosity", Value::Unsigned(verbosity.into()))
            .with("level", Value::Text(level.to_string()));
        self.sink.write(&fact);
        verbosity
    }
}

impl control::Log for Log {
    fn reopen(&self) {
        if self.is_stderr() {
            return;
        }
        self.sink.reopen(REOPEN_WITHIN);
    }

    fn change_level(&self, by: i8) -> u8 {
        self.turn(|verbosity| verbosity.saturating_add_signed(by))
    }

    fn set_level(&self, level: u8) -> u8 {
        self.turn(|_| level)
    }

    fn told_level(&self) -> Option<u8> {
        let verbosity = self.verbosity.lock();
        let verbosity = verbosity.unwrap_or_else(PoisonError::into_inner);
        verbosity.told.then_some(verbosity.level)
    }
}

/// twemproxy's levels, laid over those that there are lines for: its default, NOTICE (5), shows
/// what happens to servers and pools.
fn level_of(verbosity: u8) -> LevelFilter {
    match verbosity {
        // EMERG, ALERT, CRIT, ERR
        0..=3 => LevelFilter::ERROR,
        // WARN
        4 => LevelFilter::WARN,
        // NOTICE, INFO
        5 | 6 => LevelFilter::INFO,
        // DEBUG
        7 => LevelFilter::DEBUG,
        // VERB, VVERB, VVVERB, PVERB
        _ => LevelFilter::TRACE,
    }
}

#[derive(Debug)]
struct Writer(Arc<Sink>);

impl<S: Subscriber> Layer<S> for Writer {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let metadata = event.metadata();
        // Of a library only what has gone wrong is of interest.
        if !metadata.target().starts_with(env!("CARGO_CRATE_NAME"))
            && *metadata.level() > Level::WARN
        {
            return;
        }
        let mut fact = Fact::new(*metadata.level(), "");
        event.record(&mut fact);
        // Who turns the level up to see everything sees everything.
        match fact.level > Level::INFO {
            true => self.0.write(&fact),
            false => self.0.admit(Sameness::of(metadata, &fact), fact),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::control::Log as _;

    // What `act` logs at `verbosity`, without the times.
    fn logged(verbosity: u8, act: impl FnOnce(&Log, &Path)) -> Vec<String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("coremux.log");
        let (log, subscriber) = build(Some(&path), LogFormat::Text, verbosity).unwrap();
        log.start().unwrap();
        tracing::subscriber::with_default(subscriber, || act(&log, &path));
        log.finish();
        without_times(&path)
    }

    fn without_times(path: &Path) -> Vec<String> {
        let text = fs::read_to_string(path).unwrap();
        assert!(text.is_empty() || text.ends_with('\n'));
        text.lines()
            .map(|line| {
                let (time, rest) = line.split_once("] ").expect("a time in brackets");
                let shape: String = time
                    .chars()
                    .map(|c| if c.is_ascii_digit() { '9' } else { c })
                    .collect();
                assert_eq!(shape, "[9999-99-99 99:99:99.999");
                rest.to_owned()
            })
            .collect()
    }

    #[test]
    fn a_line_is_a_fact_with_its_values() {
        let error = io::Error::from_raw_os_error(111);
        let lines = logged(5, |_, _| {
            tracing::warn!(pool = "alpha", failures = 2, ok = true, %error, "server ejected");
            tracing::info!(name = "a b", empty = "", quote = "a\"b", debug = ?"x y", "odd");
        });
        let expected = [
            "warn server ejected pool=alpha failures=2 ok=true \
             error=\"Connection refused (os error 111)\"",
            "info odd name=\"a b\" empty=\"\" quote=\"a\\\"b\" debug=\"x y\"",
        ];
        assert_eq!(lines, expected);
    }

    #[test]
    fn a_value_cannot_forge_a_line() {
        let lines = logged(5, |_, _| {
            let evil = "x\n[2026-01-01 00:00:00.000] error forged";
            tracing::info!(pool = evil, "pool {evil}");
            tracing::info!(pool = ?evil, pool2 = %evil, "pool");
        });
        assert_eq!(lines.len(), 2, "{lines:?}");
    }

    #[test]
    fn a_library_is_heard_only_when_something_is_wrong() {
        let lines = logged(11, |_, _| {
            tracing::info!(target: "glommio::executor", "hello");
            tracing::warn!(target: "glommio::executor", "trouble");
        });
        assert_eq!(lines, ["warn trouble"]);
    }

    #[test]
    fn each_of_twemproxys_levels_shows_what_it_should() {
        for (verbosity, shown) in [
            (0, 1),
            (3, 1),
            (4, 2),
            (5, 3),
            (6, 3),
            (7, 4),
            (8, 5),
            (11, 5),
        ] {
            let lines = logged(verbosity, |_, _| {
                tracing::error!("e");
                tracing::warn!("w");
                tracing::info!("i");
                tracing::debug!("d");
                tracing::trace!("t");
            });
            assert_eq!(lines.len(), shown, "{verbosity}: {lines:?}");
        }
    }

    #[test]
    fn the_level_is_turned_while_it_runs_and_stops_at_both_ends() {
        let lines = logged(4, |log, _| {
            tracing::info!("unseen");
            log.change_level(1);
            tracing::info!("seen");
            log.change_level(-1);
            tracing::info!("unseen again");
            (0..20).for_each(|_| _ = log.change_level(1));
            (0..20).for_each(|_| _ = log.change_level(-1));
        });
        let first = [
            "info log level verbosity=5 level=info",
            "info seen",
            "info log level verbosity=4 level=warn",
        ];
        assert_eq!(lines[..3], first);
        assert!(lines.contains(&"info log level verbosity=11 level=trace".to_owned()));
        assert_eq!(
            lines.last().unwrap(),
            "info log level verbosity=0 level=error"
        );
    }

    #[test]
    fn a_file_that_was_moved_away_is_opened_again() {
        let lines = logged(5, |log, path| {
            tracing::info!("old");
            let moved = path.with_extension("1");
            fs::rename(path, &moved).unwrap();
            tracing::info!("still old");
            log.reopen();
            tracing::info!("new");
            assert_eq!(without_times(&moved), ["info old", "info still old"]);
        });
        assert_eq!(lines, ["info log file opened again", "info new"]);
    }

    #[test]
    fn a_file_is_appended_to_and_one_that_cannot_be_opened_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("coremux.log");
        fs::write(&path, "[2026-01-01 00:00:00.000] info before\n").unwrap();
        let (log, subscriber) = build(Some(&path), LogFormat::Text, 5).unwrap();
        tracing::subscriber::with_default(subscriber, || tracing::info!("after"));
        log.finish();
        assert_eq!(without_times(&path), ["info before", "info after"]);
        let error = build(Some(dir.path()), LogFormat::Text, 5).unwrap_err();
        assert!(
            error.to_string().contains("cannot open the log file /"),
            "{error}"
        );
    }
}
