//! Groups of connections that one thread can wait for at a time, and one more thread for each group when all are full.
//!
//! A wait takes 64 events (LI-01), and one of them is the thread's own, by which others wake it: 63 are left. A group that was
//! started on demand ends with its last client.

use crate::bell::{Bell, Wake};
use crate::core::{Core, Phase};
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
    prepare: Prepare<T>,
    groups: Arc<Mutex<Vec<Arc<Group<T>>>>>,
}

/// Makes what the thread of a group needs, on that thread, so that nobody is given a seat who could not be served. Returns
/// the thread's work, which ends when the group [may](Group::may_end).
type Prepare<T> = fn(&Arc<Core>, Arc<Group<T>>) -> Result<Work>;

pub(crate) type Work = Box<dyn FnOnce() -> Result<()>>;

impl<T: Send + 'static> Groups<T> {
    /// Starts so many groups, each with a thread of its own, which stay. Further ones are started on demand.
    pub(crate) fn start(
        core: &Arc<Core>,
        threads: &Threads,
        count: usize,
        prepare: Prepare<T>,
    ) -> Result<Groups<T>> {
        let groups = Groups { core: core.clone(), threads: threads.clone(), prepare, groups: Arc::default() };
        for _ in 0..count {
            groups.start_one(&mut lock(&groups.groups), true)?;
        }
        let at_stop = groups.groups.clone();
        core.on_stop(move || lock(&at_stop).iter().for_each(|group| group.bell.wake.ring()));
        Ok(groups)
    }

    /// Gives a newcomer a seat in the group with the most free ones; when all groups are full, in a new one.
    ///
    /// # Errors
    /// The newcomer comes back with the reason when no group can be started: accepting should rest.
    pub(crate) fn place(&self, mut newcomer: T) -> std::result::Result<(), (T, Error)> {
        let mut groups = lock(&self.groups);
        loop {
            let emptiest =
                groups.iter().min_by_key(|group| group.taken()).filter(|group| group.taken() < SEATS);
            let group = match emptiest {
                Some(group) => group.clone(),
                None => match self.start_one(&mut groups, false) {
                    Ok(group) => group,
                    Err(error) => return Err((newcomer, error)),
                },
            };
            group.taken.fetch_add(1, Ordering::Relaxed);
            match group.inbox.put(newcomer) {
                Ok(()) => {
                    group.bell.wake.ring();
                    return Ok(());
                }
                // It has ended.
                Err(back) => {
                    newcomer = back;
                    groups.retain(|other| !Arc::ptr_eq(other, &group));
                }
            }
        }
    }

    fn start_one(&self, groups: &mut Vec<Arc<Group<T>>>, stays: bool) -> Result<Arc<Group<T>>> {
        let bell = Bell::new(&self.core, Event::new()?);
        let group = Arc::new(Group { bell, stays, inbox: Inbox::new(), taken: AtomicUsize::new(0) });
        let (core, theirs, prepare) = (self.core.clone(), group.clone(), self.prepare);
        self.threads.spawn_prepared("group", move || Ok(((), prepare(&core, theirs)?)))?;
        groups.push(group.clone());
        Ok(group)
    }
}

/// One group, as its thread and others see it.
pub(crate) struct Group<T> {
    /// Its event stands at index 0 of the thread's wait. It is rung for newcomers, for post, and when the server stops.
    pub(crate) bell: Arc<Bell<Event>>,
    /// Also when it is empty.
    stays: bool,
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

    /// The thread has no clients left: whether it is to end, since the server stops or the group was started on demand, and
    /// nobody is on the way to it. Then it must, as nobody is placed here any more.
    pub(crate) fn may_end(&self, phase: Phase) -> bool {
        (phase > Phase::Serving || !self.stays) && self.inbox.close_if_empty()
    }

    fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }
}

/// Nothing of a service's runs under this lock, so a poisoned one is whole.
fn lock<G>(mutex: &Mutex<G>) -> MutexGuard<'_, G> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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
