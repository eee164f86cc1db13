//! Whether somebody still answers at a door.

use std::cell::Cell;
use std::rc::Rc;

/// A door's, shared by who answers and who decides about it.
#[derive(Clone, Debug)]
pub(super) struct Gate(Rc<Cell<Way>>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Open,
    Left,
    Shut,
}

impl Gate {
    /// Whoever comes is answered.
    pub(super) fn open() -> Gate {
        Gate(Rc::new(Cell::new(Way::Open)))
    }

    /// Another process answers from now on. Who is being accepted at this moment is not its to
    /// answer any more, so one more is.
    pub(super) fn leave(&self) {
        self.0.set(Way::Left);
    }

    /// Nobody is answered from now on.
    pub(super) fn shut(&self) {
        self.0.set(Way::Shut);
    }

    /// Whether it is open.
    pub(super) fn is_open(&self) -> bool {
        self.0.get() == Way::Open
    }

    /// Whether it is shut.
    pub(super) fn is_shut(&self) -> bool {
        self.0.get() == Way::Shut
    }
}
