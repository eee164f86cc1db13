//! Signals as events of the control plane.
//!
//! Owns: which signals are taken and what they ask for. The numbers are twemproxy's
//! (`src/nc_signal.c`), except that SIGTERM and SIGINT drain.

use std::io;
use std::os::unix::net::UnixStream;

use futures_lite::AsyncReadExt;
use signal_hook::consts::SIGHUP;
use signal_hook::consts::SIGINT;
use signal_hook::consts::SIGTERM;
use signal_hook::consts::SIGTTIN;
use signal_hook::consts::SIGTTOU;
use signal_hook::consts::SIGUSR1;
use signal_hook::consts::SIGUSR2;
use signal_hook::iterator::backend::SignalDelivery;
use signal_hook::iterator::exfiltrator::SignalOnly;

use super::adopt;

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signal {
    /// SIGTERM, SIGINT: answer what was asked, then end; at once when it comes again.
    End,
    /// SIGHUP: open the log file again, and read the configuration again.
    Renew,
    /// SIGTTIN.
    LogMore,
    /// SIGTTOU.
    LogLess,
    /// SIGUSR2: hand over to a new process of this program.
    Upgrade,
    /// SIGUSR1: nothing, but it does not kill.
    Ignored(i32),
}

/// The signals of this process, from now on kept until somebody reads them.
pub struct Signals {
    delivery: SignalDelivery<UnixStream, SignalOnly>,
    wake: UnixStream,
}

impl Signals {
    /// Takes the signals away from their default actions.
    ///
    /// # Errors
    ///
    /// When the process has no file descriptor left.
    pub fn register() -> io::Result<Signals> {
        let (read, write) = UnixStream::pair()?;
        let wake = read.try_clone()?;
        let taken = [SIGTERM, SIGINT, SIGHUP, SIGTTIN, SIGTTOU, SIGUSR1, SIGUSR2];
        let delivery = SignalDelivery::with_pipe(read, write, SignalOnly, taken)?;
        Ok(Signals { delivery, wake })
    }

    /// Calls `each` with every signal, for ever.
    pub(super) async fn forward(mut self, mut each: impl FnMut(Signal)) {
        let mut wake = adopt::stream(self.wake);
        let mut bytes = [0; 16];
        loop {
            // Signals from before this loop left their byte in the socket.
            match wake.read(&mut bytes).await {
                Ok(1..) => self
                    .delivery
                    .pending()
                    .filter_map(meaning)
                    .for_each(&mut each),
                // We hold the other end: it cannot close. Without signals the process still serves.
                Ok(0) | Err(_) => return,
            }
        }
    }
}

impl std::fmt::Debug for Signals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signals").finish_non_exhaustive()
    }
}

fn meaning(signal: i32) -> Option<Signal> {
    match signal {
        SIGTERM | SIGINT => Some(Signal::End),
        SIGHUP => Some(Signal::Renew),
        SIGTTIN => Some(Signal::LogMore),
        SIGTTOU => Some(Signal::LogLess),
        SIGUSR2 => Some(Signal::Upgrade),
        SIGUSR1 => Some(Signal::Ignored(signal)),
        _ => None,
    }
}
