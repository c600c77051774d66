//! Groups of connections that one thread can wait for at a time, and one more thread for each group when all are full.
//!
//! A wait takes 64 events (LI-01), and one of them is the thread's own, by which others wake it: 63 are left. A group whose
//! clients have all gone stays, and its thread waits for the next ones.

use crate::bell::{Bell, Wake};
use crate::core::Core;
use crate::inbox::Inbox;
use crate::threads::Threads;
use doorbell_winsock::event_select::{Event, WAIT_EVENTS_MAX, Wait, wait_any};
use doorbell_winsock::routine::Alertable;
use doorbell_winsock::{Error, Result};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// As many connections as a thread can wait for beside its own event.
pub(crate) const SEATS: usize = WAIT_EVENTS_MAX - 1;

/// All groups of a server. `T` is what a newcomer brings along.
pub(crate) struct Groups<T> {
    core: Arc<Core>,
    threads: Threads,
    work: Work<T>,
    groups: Mutex<Vec<Arc<Group<T>>>>,
}

/// What the thread of a group does, until it [may end](Group::may_end).
type Work<T> = fn(&Arc<Core>, Arc<Group<T>>) -> Result<()>;

impl<T: Send + 'static> Groups<T> {
    /// Starts so many groups, each with a thread that does `work`. Further ones are started on demand.
    pub(crate) fn start(
        core: &Arc<Core>,
        threads: &Threads,
        count: usize,
        work: Work<T>,
    ) -> Result<Groups<T>> {
        let (core, threads) = (core.clone(), threads.clone());
        let groups = Groups { core, threads, work, groups: Mutex::default() };
        for _ in 0..count {
            groups.start_one(&mut groups.groups())?;
        }
        Ok(groups)
    }

    /// Gives a newcomer a seat in the group with the most free ones; when all groups are full, in a new one.
    ///
    /// # Errors
    /// The newcomer comes back with the reason when no thread can be started: accepting should rest.
    pub(crate) fn place(&self, newcomer: T) -> std::result::Result<(), (T, Error)> {
        let mut groups = self.groups();
        let emptiest = groups.iter().min_by_key(|group| group.taken()).filter(|group| group.taken() < SEATS);
        let group = match emptiest {
            Some(group) => group.clone(),
            None => match self.start_one(&mut groups) {
                Ok(group) => group,
                Err(error) => return Err((newcomer, error)),
            },
        };
        group.taken.fetch_add(1, Ordering::Relaxed);
        group.inbox.put(newcomer);
        group.bell.wake.ring();
        Ok(())
    }

    fn start_one(&self, groups: &mut Vec<Arc<Group<T>>>) -> Result<Arc<Group<T>>> {
        let bell = Bell::new(&self.core, Event::new()?);
        let group = Arc::new(Group { bell, inbox: Inbox::new(), taken: AtomicUsize::new(0) });
        let (core, theirs, work) = (self.core.clone(), group.clone(), self.work);
        self.threads.spawn("group", move || work(&core, theirs))?;
        group.bell.ring_at_stop(&self.core);
        groups.push(group.clone());
        Ok(group)
    }

    fn groups(&self) -> MutexGuard<'_, Vec<Arc<Group<T>>>> {
        self.groups.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One group, as its thread and others see it.
pub(crate) struct Group<T> {
    /// Its event stands at index 0 of the thread's wait. It is rung for newcomers, for post, and when the server stops.
    pub(crate) bell: Arc<Bell<Event>>,
    inbox: Inbox<T>,
    taken: AtomicUsize,
}

impl<T> Group<T> {
    /// Those who were given a seat since this was last asked. Each holds it until it is [free](Group::free_seat) again.
    pub(crate) fn newcomers(&self) -> Vec<T> {
        self.inbox.take()
    }

    /// Somebody has left.
    pub(crate) fn free_seat(&self) {
        self.taken.fetch_sub(1, Ordering::Relaxed);
    }

    /// The server stops and the thread has no clients left: whether nobody is on the way to it either. Then it must end, since
    /// whoever still comes is dropped.
    pub(crate) fn may_end(&self) -> bool {
        self.inbox.close_if_empty()
    }

    fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }
}

/// One wait, and what comes of it: `serve` is given the index of every event that is set, each once, in their order. The
/// wait names the lowest alone (EV-03), and would forget the others for as long as that one is busy.
pub(crate) fn wait_for_each(
    events: &[Event],
    mut timeout: Option<Duration>,
    mut serve: impl FnMut(usize),
) -> Result<()> {
    let mut from = 0;
    while from < events.len() {
        let Wait::Index(index) = wait_any(&events[from..], timeout, Alertable::No)? else { break };
        serve(from + index);
        from += index + 1;
        timeout = Some(Duration::ZERO);
    }
    Ok(())
}
