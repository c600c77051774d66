//! What other threads hand to one thread: new clients.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// `None` when it is closed. Whoever puts something in wakes the thread afterwards.
#[derive(Debug)]
pub(crate) struct Inbox<T>(Mutex<Option<Vec<T>>>);

impl<T> Inbox<T> {
    pub(crate) fn new() -> Inbox<T> {
        Inbox(Mutex::new(Some(Vec::new())))
    }

    /// Puts something behind what is there; gives it back if nobody will look any more.
    pub(crate) fn put(&self, thing: T) -> Result<(), T> {
        match &mut *self.things() {
            Some(things) => {
                things.push(thing);
                Ok(())
            }
            None => Err(thing),
        }
    }

    /// What came since this was last asked, in the order in which it came.
    pub(crate) fn take(&self) -> Vec<T> {
        self.things().as_mut().map_or_else(Vec::new, std::mem::take)
    }

    /// Nobody will look any more, if nothing is there: then it is closed.
    pub(crate) fn close_if_empty(&self) -> bool {
        let mut things = self.things();
        if things.as_ref().is_some_and(|things| !things.is_empty()) {
            return false;
        }
        *things = None;
        true
    }

    fn things(&self) -> MutexGuard<'_, Option<Vec<T>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_closes_only_when_nothing_is_there() {
        let inbox = Inbox::new();
        assert_eq!((inbox.put(1), inbox.put(2)), (Ok(()), Ok(())));
        assert!(!inbox.close_if_empty());
        assert_eq!(inbox.take(), [1, 2]);
        assert!(inbox.close_if_empty());
        assert_eq!(inbox.put(3), Err(3));
        assert_eq!(inbox.take(), []);
    }
}
