//! An event object, in user space: a flag, and the names of the threads that wait for it.
//!
//! The trick: who sets an event decides in that step whose wait it ends, as the kernel of Windows does, so a reset that
//! follows at once takes nothing away from the threads that waited. A name at an event says where to look; whether its
//! thread waits stands in the thread's own [`Claim`](super::Claim).

use super::super::engine::home::Home;
use super::super::error::Result;
use super::super::sync::atomic::{AtomicU8, AtomicUsize, Ordering::SeqCst};
use super::super::sync::{Mutex, MutexGuard};
use super::waitable::{Beacons, Waitable};
use crate::error::ERROR_INVALID_HANDLE;
use std::sync::{Arc, PoisonError};

const SET: u8 = 1;
const CLOSED: u8 = 2;

/// The handle. When the last of its clones goes the event is closed.
pub(crate) struct Event(Arc<Object>);

impl Event {
    pub(crate) fn new(manual_reset: bool) -> Result<Event> {
        super::super::startup::startup()?;
        Ok(Event(Arc::new(Object {
            manual_reset,
            flags: AtomicU8::new(0),
            handles: AtomicUsize::new(1),
            waiters: Mutex::new(Waiters::default()),
        })))
    }

    pub(crate) fn set(&self) -> Result<()> {
        self.0.set()
    }

    pub(crate) fn reset(&self) -> Result<()> {
        self.0.reset()
    }

    pub(crate) fn close(&self) -> Result<()> {
        self.0.close()
    }

    pub(crate) fn waitable(&self) -> Result<Waitable> {
        let waitable = Waitable::new()?;
        let mut waiters = self.0.waiters();
        if self.0.is_closed() {
            return Err(ERROR_INVALID_HANDLE);
        }
        waiters.beacons.add(&waitable, self.0.is_set());
        Ok(waitable)
    }

    /// The event itself, for those who set it later: it may be closed by then.
    pub(in crate::sys::linux) fn object(&self) -> &Arc<Object> {
        &self.0
    }
}

impl Clone for Event {
    fn clone(&self) -> Event {
        self.0.handles.fetch_add(1, SeqCst);
        Event(self.0.clone())
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        if self.0.handles.fetch_sub(1, SeqCst) == 1 {
            // Closed by hand before: nothing is left to do.
            let _ = self.0.close();
        }
    }
}

pub(in crate::sys::linux) struct Object {
    manual_reset: bool,
    /// Changed under the lock of the waiters alone, read without it.
    flags: AtomicU8,
    handles: AtomicUsize,
    waiters: Mutex<Waiters>,
}

#[derive(Default)]
struct Waiters {
    names: Vec<Name>,
    beacons: Beacons,
}

struct Name {
    home: Arc<Home>,
    /// The event's place in the wait; none in a wait for all.
    place: Option<usize>,
}

impl Object {
    pub(in crate::sys::linux) fn is_closed(&self) -> bool {
        self.flags.load(SeqCst) & CLOSED != 0
    }

    pub(in crate::sys::linux) fn is_set(&self) -> bool {
        self.flags.load(SeqCst) & SET != 0
    }

    /// Neither set nor closed.
    pub(super) fn is_plain(&self) -> bool {
        self.flags.load(SeqCst) == 0
    }

    /// Sets it. A thread that waits for it goes on; of several at an auto-reset event one, and the event stays unset.
    pub(in crate::sys::linux) fn set(&self) -> Result<()> {
        let (mut wake, mut all) = (Vec::new(), Vec::new());
        {
            let mut waiters = self.waiters();
            if self.is_closed() {
                return Err(ERROR_INVALID_HANDLE);
            }
            let names = &mut waiters.names;
            // Set before the claims are looked at: a thread that arms its own meanwhile sees it.
            self.flags.fetch_or(SET, SeqCst);
            for at in 0..names.len() {
                let name = &names[at];
                match name.place {
                    Some(place) if name.home.claim.satisfy(place) => {
                        if !name.home.is_here() {
                            wake.push(name.home.clone());
                        }
                        if !self.manual_reset {
                            self.flags.fetch_and(!SET, SeqCst);
                            // The next set is the turn of the others.
                            let served = Arc::as_ptr(&name.home);
                            names.sort_by_key(|name| Arc::as_ptr(&name.home) == served);
                            break;
                        }
                    }
                    None if name.home.claim.waits_for_all() => all.push(name.home.clone()),
                    _ => {}
                }
            }
            waiters.beacons.show(self.is_set());
        }
        wake.iter().for_each(|home| home.wake());
        for home in all {
            if try_all(&home) {
                home.wake();
            }
        }
        Ok(())
    }

    pub(in crate::sys::linux) fn reset(&self) -> Result<()> {
        let mut waiters = self.waiters();
        if self.is_closed() {
            return Err(ERROR_INVALID_HANDLE);
        }
        self.unset(&mut waiters);
        Ok(())
    }

    fn close(&self) -> Result<()> {
        let mut wake = Vec::new();
        {
            let mut waiters = self.waiters();
            if self.flags.fetch_or(CLOSED, SeqCst) & CLOSED != 0 {
                return Err(ERROR_INVALID_HANDLE);
            }
            // Who asks is told.
            waiters.beacons.show(true);
            // Nobody may be waiting; whoever is, fails.
            let fails = |name: &&Name| name.home.claim.fail(name.place.is_none());
            wake.extend(waiters.names.iter().filter(fails).map(|name| name.home.clone()));
        }
        wake.iter().for_each(|home| home.wake());
        Ok(())
    }

    /// Whether it is set; an auto-reset one is unset by this.
    pub(super) fn take(&self) -> bool {
        if !self.is_set() {
            return false;
        }
        if self.manual_reset {
            return true;
        }
        self.unset(&mut self.waiters())
    }

    /// Whether it was set until now.
    fn unset(&self, waiters: &mut Waiters) -> bool {
        let before = self.flags.fetch_and(!SET, SeqCst);
        waiters.beacons.show(before & CLOSED != 0);
        before & SET != 0
    }

    pub(super) fn add_name(&self, home: &Arc<Home>, place: usize) {
        let names = &mut self.waiters().names;
        // Of the names of one thread that of the lowest place stands first, and stays there (EV-03).
        let higher = names.iter().position(|name| name.place > Some(place) && Arc::ptr_eq(&name.home, home));
        names.insert(higher.unwrap_or(names.len()), Name { home: home.clone(), place: Some(place) });
    }

    pub(super) fn remove_name(&self, home: &Arc<Home>, place: usize) {
        self.waiters().names.retain(|name| name.place != Some(place) || !Arc::ptr_eq(&name.home, home));
    }

    pub(super) fn add_name_for_all(&self, home: &Arc<Home>) {
        self.waiters().names.push(Name { home: home.clone(), place: None });
    }

    pub(super) fn remove_name_for_all(&self, home: &Arc<Home>) {
        self.waiters().names.retain(|name| name.place.is_some() || !Arc::ptr_eq(&name.home, home));
    }

    fn waiters(&self) -> MutexGuard<'_, Waiters> {
        self.waiters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Satisfies this thread's wait for all if all are set now, together; until then nothing is taken (EV-04).
pub(super) fn try_all(home: &Home) -> bool {
    let all = home.claim.all();
    let mut locked: Vec<_> = all.iter().map(|object| object.waiters()).collect();
    let taken = all.iter().all(|object| object.is_set()) && home.claim.satisfy_all();
    if taken {
        for (object, waiters) in all.iter().zip(&mut locked).filter(|(object, _)| !object.manual_reset) {
            object.unset(waiters);
        }
    }
    taken
}
