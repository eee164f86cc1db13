//! `hotkeys`, `bigkeys`, `monitor`: what is asked for, or one line that says what would be right.

use std::hash::RandomState;
use std::time::Duration;

use crate::base::PoolIdx;
use crate::control::asked::Reply;
use crate::control::main_loop::Control;
use crate::control::main_loop::observers::MONITOR_STEP;
use crate::control::main_loop::observers::Terms;
use crate::protocol;
use crate::telemetry::observed::ClientFilter;
use crate::telemetry::observed::Filter;
use crate::telemetry::observed::Wants;

/// How long is counted, unless said otherwise.
const FOR: Duration = Duration::from_secs(10);

/// Longer, and who has asked would not wait for the answer.
const FOR_MAX: Duration = Duration::from_secs(50);

/// How many keys are shown, unless said otherwise.
const TOP: usize = 20;

/// As many as are kept at least.
const TOP_MAX: usize = 200;

/// How many lines a second are shown, unless said otherwise.
const RATE: usize = 1_000;

/// More than any terminal shows, and little for a worker.
const RATE_MAX: usize = 100_000;

const COUNTING: &[&str] = &["--pool", "--for", "--top"];
const MONITORING: &[&str] = &["--pool", "--client", "--command", "--key", "--rate"];

/// Options with their values.
struct Options<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Options<'a> {
    fn new(command: &str, arguments: &'a [String], known: &[&str]) -> Result<Options<'a>, String> {
        let mut all: Vec<(&str, &str)> = Vec::new();
        let mut words = arguments.iter();
        while let Some(word) = words.next() {
            let (name, value) = match word.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (word.as_str(), None),
            };
            if !known.contains(&name) {
                let known = known.join(", ");
                return Err(format!(
                    "{command} has no option `{name}`; it has: {known}\n"
                ));
            }
            if all.iter().any(|(other, _)| *other == name) {
                return Err(format!("`{name}` is there twice\n"));
            }
            let Some(value) = value.or_else(|| words.next().map(String::as_str)) else {
                return Err(format!("`{name}` is without a value\n"));
            };
            all.push((name, value));
        }
        Ok(Options(all))
    }

    fn find(&self, name: &str) -> Option<&'a str> {
        let found = self.0.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| *value)
    }

    fn count(&self, name: &str, or: usize, most: usize) -> Result<usize, String> {
        let Some(text) = self.find(name) else {
            return Ok(or);
        };
        let count = text.parse().ok().filter(|count| (1..=most).contains(count));
        count.ok_or_else(|| format!("`{name} {text}`: a number from 1 to {most}\n"))
    }

    fn time(&self) -> Result<Duration, String> {
        let Some(text) = self.find("--for") else {
            return Ok(FOR);
        };
        let seconds = text.strip_suffix('s').unwrap_or(text).parse().ok();
        let time = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        let time = time.filter(|time| !time.is_zero() && *time <= FOR_MAX);
        time.ok_or_else(|| {
            let most = FOR_MAX.as_secs();
            format!("`--for {text}`: seconds, {most} at most, such as `--for 10s`\n")
        })
    }
}

/// `hotkeys`.
pub(super) fn hot_keys(control: &mut Control, arguments: &[String], reply: Reply) {
    let wants = Wants::HotKeys(RandomState::new());
    let terms = counting(control, "hotkeys", arguments, wants);
    begin(control, terms, reply);
}

/// `bigkeys`.
pub(super) fn big_keys(control: &mut Control, arguments: &[String], reply: Reply) {
    let terms = counting(control, "bigkeys", arguments, Wants::BigKeys);
    begin(control, terms, reply);
}

/// `monitor`.
pub(super) fn monitor(control: &mut Control, arguments: &[String], reply: Reply) {
    let terms = monitoring(control, arguments);
    begin(control, terms, reply);
}

fn begin(control: &mut Control, terms: Result<Terms, String>, reply: Reply) {
    match terms {
        Ok(terms) => control.begin_to_observe(terms, reply),
        Err(text) => reply.refused(text),
    }
}

fn counting(
    control: &Control,
    command: &str,
    arguments: &[String],
    wants: Wants,
) -> Result<Terms, String> {
    let options = Options::new(command, arguments, COUNTING)?;
    let shows_keys = |pool: &PoolIdx| {
        let config = control.table.pool(*pool);
        config.is_some_and(|config| config.slow_log.keys)
    };
    let named = options.find("--pool");
    let mut pools = pools(control, named)?;
    pools.retain(shows_keys);
    if pools.is_empty() {
        return Err(match named {
            Some(pool) => format!("pool `{pool}` hides its keys (`slow_log_keys: false`)\n"),
            None => "every pool hides its keys (`slow_log_keys: false`)\n".to_owned(),
        });
    }
    Ok(Terms {
        pools,
        wants,
        within: options.time()?,
        top: options.count("--top", TOP, TOP_MAX)?,
        rate: 0,
    })
}

fn monitoring(control: &Control, arguments: &[String]) -> Result<Terms, String> {
    let options = Options::new("monitor", arguments, MONITORING)?;
    let named = options.find("--pool");
    let pools = pools(control, named)?;
    let command = options.find("--command").map(str::to_ascii_lowercase);
    if let Some(name) = &command {
        if protocol::command_name(name).is_none() {
            return Err(format!(
                "`--command {name}`: no command that is known; a name such as `get`, or `config|get`\n"
            ));
        }
    }
    let rate = options.count("--rate", RATE, RATE_MAX)?;
    let steps = MONITOR_STEP.as_millis() as usize;
    let key = options.find("--key");
    if let (Some(_), Some(pool)) = (key, named) {
        let config = pools.first().and_then(|pool| control.table.pool(*pool));
        if config.is_some_and(|config| !config.slow_log.keys) {
            return Err(format!(
                "pool `{pool}` hides its keys (`slow_log_keys: false`)\n"
            ));
        }
    }
    let filter = Filter {
        client: options.find("--client").map(ClientFilter::new),
        command,
        key: key.map(|glob| glob.as_bytes().to_vec()),
        most: (rate * steps / 1_000).max(1),
        names_pools: pools.len() > 1,
    };
    Ok(Terms {
        pools,
        wants: Wants::Requests(filter),
        within: Duration::MAX,
        top: 0,
        rate,
    })
}

/// The pool of this name, or all of them.
fn pools(control: &Control, name: Option<&str>) -> Result<Vec<PoolIdx>, String> {
    let pools = control.table.pools();
    let wanted = pools.filter(|(_, config)| name.is_none_or(|name| *config.name == *name));
    let pools: Vec<PoolIdx> = wanted.map(|(pool, _)| pool).collect();
    match (pools.is_empty(), name) {
        (true, Some(name)) => Err(control.shown.telemetry.borrow().no_pool(name)),
        _ => Ok(pools),
    }
}
