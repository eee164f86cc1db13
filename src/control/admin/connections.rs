//! Who is inside a door: so many at most, the longest inside goes first.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::Future;
use std::rc::Rc;

use glommio::Task;

/// The connections that are open, in the order in which they came.
#[derive(Clone)]
pub(super) struct Connections {
    most: usize,
    inside: Rc<RefCell<Inside>>,
}

#[derive(Default)]
struct Inside {
    next: u64,
    tasks: BTreeMap<u64, Task<()>>,
}

impl Connections {
    pub(super) fn new(most: usize) -> Connections {
        Connections {
            most,
            inside: Rc::default(),
        }
    }

    /// Lets a connection in; it has its place until it ends, or must make room.
    pub(super) fn admit(&self, conversation: impl Future<Output = ()> + 'static) {
        let mut inside = self.inside.borrow_mut();
        let number = inside.next;
        inside.next += 1;
        let all = Rc::clone(&self.inside);
        let task = glommio::spawn_local(async move {
            conversation.await;
            let this = all.borrow_mut().tasks.remove(&number);
            // Not there if it must make room at this very moment.
            if let Some(task) = this {
                task.detach();
            }
        });
        inside.tasks.insert(number, task);
        let leaving = match inside.tasks.len() > self.most {
            true => inside.tasks.pop_first(),
            false => None,
        };
        drop(inside);
        // To drop a task is to cancel it.
        drop(leaving);
    }

    /// Lets those who are inside finish, with nobody to look after them.
    pub(super) fn leave(self) {
        let tasks = std::mem::take(&mut self.inside.borrow_mut().tasks);
        for task in tasks.into_values() {
            task.detach();
        }
    }
}
