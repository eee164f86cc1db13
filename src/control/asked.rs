//! A command on its way to the loop, and the answer on its way back.
//!
//! Owns: both. Never: what a command does, which is `ctl`'s.

use std::rc::Rc;
use std::rc::Weak;

use glommio::channels::local_channel;
use glommio::channels::local_channel::LocalReceiver;
use glommio::channels::local_channel::LocalSender;

/// So many pieces wait to be written to who reads slowly; then no more are made for him.
const PIECES_MAX: usize = 4;

/// What came of a command, or why it was refused.
type Outcome = Result<Said, Refused>;

/// What came of a command.
pub(super) enum Said {
    /// A text, whole lines.
    Text(String),
    /// Texts that go on to come, for as long as somebody waits for them.
    Pieces(LocalReceiver<String>),
}

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
    pub(super) fn new(command: &str, arguments: Vec<String>) -> (Asked, Answering) {
        let (sender, outcome) = local_channel::new_bounded(1);
        let asker = Rc::new(());
        let reply = Reply {
            sender,
            asker: Rc::downgrade(&asker),
        };
        let asked = Asked {
            command: command.to_owned(),
            arguments,
            reply,
        };
        let answering = Answering { outcome, asker };
        (asked, answering)
    }
}

/// Somebody who waits for an answer, for as long as this is kept.
pub(super) struct Answering {
    outcome: LocalReceiver<Outcome>,
    asker: Rc<()>,
}

impl Answering {
    /// The answer; `None` if there is none.
    pub(super) async fn outcome(&self) -> Option<Outcome> {
        self.outcome.recv().await
    }

    /// What says, for as long as it is kept, that he waits.
    pub(super) fn asker(&self) -> Rc<()> {
        Rc::clone(&self.asker)
    }
}

/// Answers whoever asked, once. Without an answer he is told that there is none.
pub(super) struct Reply {
    sender: LocalSender<Outcome>,
    asker: Weak<()>,
}

/// Answers whoever asked for as long as he reads.
pub(super) struct Pieces {
    sender: LocalSender<String>,
    asker: Weak<()>,
}

impl Pieces {
    /// Whether somebody waits for more.
    pub(super) fn is_awaited(&self) -> bool {
        self.asker.strong_count() > 0
    }

    /// Whether he has not read what he was sent.
    pub(super) fn is_full(&self) -> bool {
        self.sender.is_full()
    }

    /// Sends him a text, if there is room.
    pub(super) fn send(&self, text: String) {
        // It fails where he has gone, too.
        let _ = self.sender.try_send(text);
    }
}

impl Reply {
    /// It is done; `text` is for people, whole lines.
    pub(super) fn done(self, text: String) {
        self.give(Ok(Said::Text(text)));
    }

    /// It goes on: texts will come.
    pub(super) fn goes_on(self) -> Pieces {
        let (sender, pieces) = local_channel::new_bounded(PIECES_MAX);
        let asker = Weak::clone(&self.asker);
        self.give(Ok(Said::Pieces(pieces)));
        Pieces { sender, asker }
    }

    /// Whether somebody waits for it still.
    pub(super) fn is_awaited(&self) -> bool {
        self.asker.strong_count() > 0
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
            Ok(Said::Text(text))
        } else {
            Err(Refused::Because(text))
        });
    }

    fn give(self, outcome: Outcome) {
        // Fails when nobody waits any more.
        let _ = self.sender.try_send(outcome);
    }
}
