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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Settings;
    use doorbell_service::Discard;
    use doorbell_winsock::error::WSAENOBUFS;
    use std::sync::mpsc::{self, Receiver, Sender};
    use std::thread::{self, ThreadId};
    use std::time::Instant;

    const SOON: Duration = Duration::from_secs(5);

    /// Says on which thread it has a seat, and leaves when the other end of its second channel is dropped.
    type Guest = (Sender<ThreadId>, Receiver<()>);

    fn core() -> Arc<Core> {
        Arc::new(Core::new(Box::new(Discard), Settings::default(), Box::new(|_| ())))
    }

    fn serve(core: &Arc<Core>, group: Arc<Group<Guest>>) -> Result<Work> {
        let core = core.clone();
        Ok(Box::new(move || {
            let mut guests = Vec::new();
            loop {
                let patience = Some(Duration::from_millis(5));
                wait_for_each(std::slice::from_ref(&group.bell.wake), patience, |_| {
                    drop(group.bell.answer())
                })?;
                for guest in group.newcomers() {
                    guest.0.send(thread::current().id()).expect("the test listens");
                    guests.push(guest);
                }
                guests.retain(|guest| {
                    let leaves = guest.1.try_recv() == Err(mpsc::TryRecvError::Disconnected);
                    if leaves {
                        group.free_seat();
                    }
                    !leaves
                });
                if guests.is_empty() && group.may_end(core.phase()) {
                    return Ok(());
                }
            }
        }))
    }

    /// Returns the thread that a new guest has its seat on, and what keeps it there.
    fn place(groups: &Groups<Guest>) -> (ThreadId, Sender<()>) {
        let ((tell, told), (keep, kept)) = (mpsc::channel(), mpsc::channel());
        assert!(groups.place((tell, kept)).is_ok());
        (told.recv_timeout(SOON).unwrap(), keep)
    }

    fn comes_true(mut condition: impl FnMut() -> bool) -> bool {
        let until = Instant::now() + SOON;
        while !condition() {
            if Instant::now() > until {
                return false;
            }
            thread::sleep(Duration::from_millis(1));
        }
        true
    }

    #[test]
    fn the_64th_starts_a_group_which_ends_with_its_last() {
        let core = core();
        let threads = Threads::new(&core);
        let groups = Groups::start(&core, &threads, 1, serve).unwrap();
        let mut full: Vec<_> = (0..SEATS).map(|_| place(&groups)).collect();
        let first = full[0].0;
        assert!(full.iter().all(|(thread, _)| *thread == first));
        let other = place(&groups);
        assert_ne!(other.0, first);
        let [stays, ends] = [0, 1].map(|number| Arc::downgrade(&lock(&groups.groups)[number]));
        drop(other);
        assert!(comes_true(|| ends.strong_count() == 1), "nobody has it but the list");

        // A seat that is free is taken before another group is started.
        full.pop();
        assert!(comes_true(|| stays.upgrade().is_some_and(|group| group.taken() < SEATS)));
        assert_eq!((place(&groups).0, threads.count()), (first, 2));
        assert_eq!(ends.strong_count(), 0);

        drop(full);
        assert!(comes_true(|| stays.upgrade().is_some_and(|group| group.taken() == 0)));
        assert_eq!(place(&groups).0, first, "a group of the start stays");
        core.stop_now();
        threads.join().unwrap();
    }

    #[test]
    fn who_finds_no_group_comes_back() {
        let core = core();
        let threads = Threads::new(&core);
        let groups =
            Groups::start(&core, &threads, 0, |_, _| Err(Error::new("create_thread", WSAENOBUFS))).unwrap();
        let (newcomer, error) = groups.place(7).unwrap_err();
        assert_eq!((newcomer, error.code()), (7, WSAENOBUFS));
        threads.join().unwrap();
    }
}
