//! Connections to an endpoint: so many at most, the longest there is closed first, and none stays.
//!
//! Strangers reach some of the endpoints, so what they can take of the process is little and known
//! beforehand: descriptors are set aside for just so many.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::Future;
use std::rc::Rc;
use std::time::Duration;

use glommio::Task;

/// More than monitors and people have at once: an answer leaves in milliseconds. When all places are
/// taken the longest inside must go, so that those who only sit there keep nobody out.
pub(super) const PLACES: usize = 16;

/// Statistics, admin, health, ctl.
const ENDPOINTS: usize = 4;

/// What all endpoints together may take of the process's descriptors.
pub const DESCRIPTORS_OF_ENDPOINTS: usize = PLACES * ENDPOINTS;

/// One question and its answer, from the accept to the last byte. What takes longer is a peer that
/// does not send, or does not read.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// The connections that are open, in the order in which they came.
#[derive(Clone, Default)]
pub(super) struct Inside {
    tasks: Rc<RefCell<Tasks>>,
}

#[derive(Default)]
struct Tasks {
    next: u64,
    tasks: BTreeMap<u64, Task<()>>,
}

impl Inside {
    /// Lets a connection in; it has its place until it ends, or must make room.
    pub(super) fn admit(&self, conversation: impl Future<Output = ()> + 'static) {
        let number = self.tasks.borrow().next;
        let all = Rc::clone(&self.tasks);
        let task = glommio::spawn_local(async move {
            // glommio begins a task while it is spawned: one that is over at once must not be over
            // before it has its place.
            futures_lite::future::yield_now().await;
            conversation.await;
            let this = all.borrow_mut().tasks.remove(&number);
            // Not there if it must make room at this very moment.
            if let Some(task) = this {
                task.detach();
            }
        });
        let mut inside = self.tasks.borrow_mut();
        inside.next += 1;
        inside.tasks.insert(number, task);
        let leaving = match inside.tasks.len() > PLACES {
            true => inside.tasks.pop_first(),
            false => None,
        };
        drop(inside);
        // To drop a task is to cancel it.
        drop(leaving);
    }

    /// Lets those who are inside finish, with nobody to look after them.
    pub(super) fn leave(self) {
        let tasks = std::mem::take(&mut self.tasks.borrow_mut().tasks);
        for task in tasks.into_values() {
            task.detach();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use glommio::LocalExecutor;

    use super::*;

    #[test]
    fn conversations_that_are_over_at_once_leave_no_place_taken() {
        LocalExecutor::default().run(async {
            let (inside, over) = (Inside::default(), Rc::new(Cell::new(0)));
            for _ in 0..100 {
                let over = Rc::clone(&over);
                inside.admit(async move { over.set(over.get() + 1) });
                while !inside.tasks.borrow().tasks.is_empty() {
                    futures_lite::future::yield_now().await;
                }
            }
            assert_eq!(over.get(), 100);
        });
    }

    #[test]
    fn the_longest_inside_makes_room_and_who_is_left_alone_finishes() {
        LocalExecutor::default().run(async {
            let (inside, over) = (Inside::default(), Rc::new(RefCell::new(Vec::new())));
            let go = Rc::new(Cell::new(false));
            for nth in 0..PLACES + 3 {
                let (over, go) = (Rc::clone(&over), Rc::clone(&go));
                inside.admit(async move {
                    while !go.get() {
                        futures_lite::future::yield_now().await;
                    }
                    over.borrow_mut().push(nth);
                });
                assert!(inside.tasks.borrow().tasks.len() <= PLACES);
            }
            inside.leave();
            go.set(true);
            while over.borrow().len() < PLACES {
                futures_lite::future::yield_now().await;
            }
            assert_eq!(*over.borrow(), (3..PLACES + 3).collect::<Vec<_>>());
        });
    }
}
