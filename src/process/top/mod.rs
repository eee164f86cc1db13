//! `coremux ctl top`: a running proxy at a terminal, again every second, until somebody has seen enough.
//!
//! Owns: the terminal, from when it is taken until it is given back as it was, whatever ends the view: a
//! key, a signal, a panic, a proxy that is gone. Never: what is shown (`model`) or how (`view`).

mod model;
mod report;
mod rows;
mod view;

use std::env;
use std::io;
use std::io::IsTerminal;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;
use std::sync::mpsc::SyncSender;
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::Duration;
use std::time::Instant;

use ratatui::DefaultTerminal;
use ratatui::crossterm::event;
use ratatui::crossterm::event::Event;
use ratatui::crossterm::event::KeyEventKind;
use rustix::event::PollFd;
use rustix::event::PollFlags;
use rustix::event::poll;
use rustix::io::Errno;
use signal_hook::consts::SIGHUP;
use signal_hook::consts::SIGTERM;

use crate::process::cli::NAME;
use crate::process::http;
use crate::process::http::Request;
use crate::process::say;

use model::Model;
use report::Answers;
use report::Bodies;
use view::Paint;

use super::ctl_command::REFUSED;
use super::ctl_command::UNREACHABLE;

/// How old what is shown may be.
const EVERY: Duration = Duration::from_secs(1);

/// How long an answer may take.
const WITHIN: Duration = Duration::from_secs(3);

/// How long a proxy may be away: an upgrade is over before.
const GONE_AFTER: Duration = Duration::from_secs(10);

/// How soon a signal, or an answer, is seen.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// As many slow requests are looked through for the slowest, the newest.
const SLOW_MAX: usize = 1_000;

/// Why the view has ended.
enum End {
    /// Somebody wants to see no more.
    Enough,
    /// The proxy has not answered for long.
    Gone(String),
    /// The terminal cannot be read or written.
    Terminal(io::Error),
}

/// Shows the proxy at that socket.
pub(super) fn run(target: &str) -> ExitCode {
    if let Err(why) = fit() {
        say(&format!(
            "{NAME}: top draws on a terminal, and {why}; `{NAME} ctl status` needs none\n"
        ));
        return ExitCode::from(REFUSED);
    }
    let first = match ask(target, 0, 0) {
        Ok(first) => first,
        Err(error) => return gone(target, &error),
    };
    let mut model = Model::default();
    model.take(first);
    let end = match ratatui::try_init() {
        Ok(mut terminal) => {
            let end = show(&mut terminal, &mut model, target);
            ratatui::restore();
            end
        }
        Err(error) => End::Terminal(error),
    };
    match end {
        End::Enough => ExitCode::SUCCESS,
        End::Gone(error) => gone(target, &error),
        End::Terminal(error) => {
            say(&format!("{NAME}: top cannot use the terminal: {error}\n"));
            ExitCode::from(REFUSED)
        }
    }
}

fn gone(target: &str, error: &str) -> ExitCode {
    say(&format!(
        "{NAME}: cannot reach the proxy at {target}: {error}; does it run with `--ctl {target}`?\n"
    ));
    ExitCode::from(UNREACHABLE)
}

/// Whether there is something to draw on.
fn fit() -> Result<(), String> {
    if !io::stdout().is_terminal() || !io::stdin().is_terminal() {
        return Err("there is none".to_owned());
    }
    match env::var("TERM").unwrap_or_default().as_str() {
        "" => Err("TERM is not set".to_owned()),
        dumb @ ("dumb" | "unknown") => Err(format!("TERM is {dumb}")),
        _ => Ok(()),
    }
}

fn show(terminal: &mut DefaultTerminal, model: &mut Model, target: &str) -> End {
    let ended = Arc::new(AtomicBool::new(false));
    for signal in [SIGTERM, SIGHUP] {
        if let Err(error) = signal_hook::flag::register(signal, Arc::clone(&ended)) {
            return End::Terminal(error);
        }
    }
    if let Err(error) = end_with_the_terminal() {
        return End::Terminal(error);
    }
    let paint = Paint::of_environment();
    let answers = ask_again_and_again(target.to_owned());
    let mut answered = now();
    let mut drawn = None;
    while !ended.load(Ordering::Relaxed) {
        match latest(&answers) {
            Some(Ok(new)) => {
                answered = now();
                model.take(new);
            }
            Some(Err(error)) if answered.elapsed() > GONE_AFTER => return End::Gone(error),
            Some(Err(error)) => model.lose(error),
            None => {}
        }
        if drawn != Some(model.version()) {
            drawn = Some(model.version());
            if let Err(error) = terminal.draw(|frame| view::draw(frame, model, &paint)) {
                return End::Terminal(error);
            }
        }
        match next_event() {
            Ok(Some(Event::Key(key))) if key.kind != KeyEventKind::Release => {
                if model.key(key) {
                    return End::Enough;
                }
            }
            Ok(Some(Event::Resize(..))) => drawn = None,
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return End::Terminal(error),
        }
    }
    End::Enough
}

/// Ends the program when its terminal is gone. There is nothing to give back then, and crossterm reads
/// the end of a terminal again and again without ever coming back.
fn end_with_the_terminal() -> io::Result<()> {
    let watch = || {
        let stdin = io::stdin();
        let mut terminal = [PollFd::new(&stdin, PollFlags::empty())];
        // Nothing is asked for but what is told unasked: a hang-up, or an error.
        while matches!(poll(&mut terminal, None), Err(Errno::INTR)) {}
        std::process::exit(REFUSED.into());
    };
    let thread = thread::Builder::new().name("terminal".to_owned());
    thread.spawn(watch).map(drop)
}

fn next_event() -> io::Result<Option<Event>> {
    match event::poll(LOOK_EVERY)? {
        true => event::read().map(Some),
        false => Ok(None),
    }
}

type Answered = Result<Answers, String>;

fn latest(answers: &Receiver<Answered>) -> Option<Answered> {
    answers.try_iter().last()
}

/// Asks on a thread of its own, so that keys are heard meanwhile; it ends when nobody listens.
fn ask_again_and_again(target: String) -> Receiver<Answered> {
    let (sender, answers) = sync_channel(1);
    let asking = move || ask_until_unheard(&target, &sender);
    if let Err(error) = thread::Builder::new().name("top".to_owned()).spawn(asking) {
        let (sender, answers) = sync_channel(1);
        _ = sender.send(Err(error.to_string()));
        return answers;
    }
    answers
}

fn ask_until_unheard(target: &str, sender: &SyncSender<Answered>) {
    let (mut events, mut steps) = (0, 0);
    loop {
        let answered = ask(target, events, steps);
        if let Ok(answers) = &answered {
            (events, steps) = answers.last_numbers();
        }
        if sender.send(answered).is_err() {
            return;
        }
        thread::sleep(EVERY);
    }
}

/// All that is shown; of events and history what came after those numbers.
fn ask(target: &str, events: u64, steps: u64) -> Answered {
    let get = |path: &str| -> Result<String, String> {
        let request = Request {
            method: "GET",
            path,
            body: "",
        };
        let answer = http::ask(target, request, WITHIN).map_err(|error| error.to_string())?;
        match answer.status {
            200 => Ok(answer.body),
            status => Err(format!("{path}: status {status}: {}", answer.body.trim())),
        }
    };
    let bodies = Bodies {
        status: get("/api/status")?,
        events: get(&format!("/api/events?since={events}"))?,
        history: get(&format!("/api/history?since={steps}"))?,
        slow: get(&format!("/api/slow?most={SLOW_MAX}"))?,
    };
    bodies
        .parse()
        .map_err(|error| format!("no such answer: {error}"))
}

#[allow(clippy::disallowed_methods, reason = "the top floor has a clock")]
fn now() -> Instant {
    Instant::now()
}
