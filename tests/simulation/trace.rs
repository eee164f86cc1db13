//! What happened, line by line, for whoever looks into a seed that failed.
//!
//! A run that holds is not written down: it would cost more than the run.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt::Arguments;

use coremux::base::Time;

/// What becomes of the lines.
#[derive(Debug, Default)]
pub enum Mode {
    #[default]
    Off,
    /// Printed at once.
    Print,
    /// The last ones are kept for the message of the failure.
    Keep(VecDeque<String>),
}

impl Mode {
    pub fn keep() -> Mode {
        Mode::Keep(VecDeque::new())
    }
}

/// Lines that a failure shows.
const KEPT: usize = 60;

thread_local! {
    static MODE: RefCell<Mode> = const { RefCell::new(Mode::Off) };
}

/// Sets what becomes of this thread's lines; what was set before.
pub fn set(mode: Mode) -> Mode {
    MODE.replace(mode)
}

/// The lines that were kept.
pub fn kept() -> Vec<String> {
    MODE.with_borrow(|mode| match mode {
        Mode::Keep(lines) => lines.iter().cloned().collect(),
        Mode::Off | Mode::Print => Vec::new(),
    })
}

pub fn is_on() -> bool {
    MODE.with_borrow(|mode| !matches!(mode, Mode::Off))
}

pub fn line(now: Time, text: Arguments<'_>) {
    MODE.with_borrow_mut(|mode| {
        let line = || format!("{:>10} {text}", now.as_micros());
        match mode {
            Mode::Off => {}
            Mode::Print => eprintln!("{}", line()),
            Mode::Keep(lines) => {
                if lines.len() == KEPT {
                    lines.pop_front();
                }
                lines.push_back(line());
            }
        }
    });
}

/// Writes a line if anybody reads it.
macro_rules! trace {
    ($now:expr, $($text:tt)*) => {
        if $crate::trace::is_on() {
            $crate::trace::line($now, format_args!($($text)*));
        }
    };
}
pub(crate) use trace;

/// The beginning of what may be long.
pub fn head(bytes: &[u8]) -> String {
    let shown = bytes[..bytes.len().min(80)].escape_ascii();
    match bytes.len() {
        0..=80 => format!("\"{shown}\""),
        len => format!("\"{shown}\"… ({len} bytes)"),
    }
}
