//! A command on its way to the loop, and the answer on its way back.
//!
//! Owns: both. Never: what a command does, which is `ctl`'s.

use glommio::channels::local_channel;
use glommio::channels::local_channel::LocalReceiver;
use glommio::channels::local_channel::LocalSender;

/// What came of a command: its text, or why it was refused.
type Outcome = Result<String, Refused>;

/// Why a command was not done.
pub(super) enum Refused {
    /// In words.
    Because(String),
    /// Another process answers from now on, by the same socket.
    AskAgain,
}

/// A command that somebody waits for.
pub(super) struct Asked {
    /// Its name, which is in the table of `ctl`.
    pub(super) command: String,
    pub(super) arguments: Vec<String>,
    pub(super) reply: Reply,
}

impl Asked {
    /// The command, for the loop, and where its outcome will come.
    pub(super) fn new(command: &str, arguments: Vec<String>) -> (Asked, LocalReceiver<Outcome>) {
        let (sender, outcome) = local_channel::new_bounded(1);
        let asked = Asked {
            command: command.to_owned(),
            arguments,
            reply: Reply(sender),
        };
        (asked, outcome)
    }
}

/// Answers whoever asked, once. Without an answer he is told that there is none.
pub(super) struct Reply(LocalSender<Outcome>);

impl Reply {
    /// It is done; `text` is for people, whole lines.
    pub(super) fn done(self, text: String) {
        self.give(Ok(text));
    }

    /// It is not done, and why.
    pub(super) fn refused(self, text: String) {
        self.give(Err(Refused::Because(text)));
    }

    /// Another process is to be asked, by the same socket.
    pub(super) fn elsewhere(self) {
        self.give(Err(Refused::AskAgain));
    }

    /// It is as it should be, or is not.
    pub(super) fn judged(self, good: bool, text: String) {
        self.give(if good {
            Ok(text)
        } else {
            Err(Refused::Because(text))
        });
    }

    fn give(self, outcome: Outcome) {
        // Fails when nobody waits any more.
        let _ = self.0.try_send(outcome);
    }
}
