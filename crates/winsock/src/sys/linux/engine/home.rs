//! Where a thread waits: the domains that are its own, and the word by which others wake it.
//!
//! A thread that never waited for an event, selected network events or started an operation that an event or a routine
//! tells of has no home and pays nothing. It drives its domains whenever it waits in this library; while it computes,
//! sleeps elsewhere or is gone, the guard does.

mod here;
mod place;

pub(in crate::sys::linux) use self::here::{here, look_here};
pub(super) use self::here::{note_started, operates};

use self::here::{MINE, MY_OPERATIONS};
use self::place::{Place, Where};
use super::super::error::{self, Result};
use super::super::event_select::Claim;
use super::super::os::epoll::Epoll;
use super::super::os::poll::{POLLIN, look, poll, pollfd};
use super::super::routine::Apcs;
use super::channel::Sink;
use super::domain::Domain;
use crate::overlapped::Completion;
use std::os::fd::{AsFd, AsRawFd};
use std::ptr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

pub(in crate::sys::linux) struct Home {
    /// Whose it is, by the number that no other thread ever has.
    pub(in crate::sys::linux) thread: u64,
    place: Place,
    operations: OnceLock<Arc<Domain>>,
    selection: OnceLock<Arc<Domain>>,
    /// The sets of foreign loops in which the domains are nested. Held while a domain is made.
    making: Mutex<Vec<Weak<Epoll>>>,
    /// How the thread's wait for events stands.
    pub(in crate::sys::linux) claim: Claim,
    /// What its alertable waits run.
    pub(in crate::sys::linux) apcs: Apcs,
}

impl Home {
    fn new() -> Arc<Home> {
        let home = Arc::new(Home {
            thread: super::super::port::thread_number(),
            place: Place::new(),
            operations: OnceLock::new(),
            selection: OnceLock::new(),
            making: Mutex::default(),
            claim: Claim::default(),
            apcs: Apcs::default(),
        });
        MINE.set(Arc::as_ptr(&home));
        home
    }

    /// The domain of the operations that an event or a routine of this thread tells of.
    pub(in crate::sys::linux) fn operations(self: &Arc<Home>) -> Result<Arc<Domain>> {
        let domain = self.domain(&self.operations, Domain::new)?;
        if self.is_here() {
            MY_OPERATIONS.set(Arc::as_ptr(&domain));
        }
        Ok(domain)
    }

    /// The domain of the sockets whose network events this thread waits for: always an epoll set.
    pub(in crate::sys::linux) fn selection(self: &Arc<Home>) -> Result<Arc<Domain>> {
        self.domain(&self.selection, Domain::with_epoll)
    }

    fn domain(
        self: &Arc<Home>,
        place: &OnceLock<Arc<Domain>>,
        make: impl FnOnce() -> Result<Arc<Domain>>,
    ) -> Result<Arc<Domain>> {
        if let Some(domain) = place.get() {
            return Ok(domain.clone());
        }
        let making = lock(&self.making);
        if let Some(domain) = place.get() {
            return Ok(domain.clone());
        }
        let domain = make()?;
        for set in making.iter().filter_map(Weak::upgrade) {
            set.add_level(domain.as_fd(), 0).map_err(error::wsa)?;
        }
        domain.belong(Arc::downgrade(self));
        // Whoever waits in the one is to hear of the other.
        let other = if ptr::eq(place, &self.operations) { &self.selection } else { &self.operations };
        match other.get() {
            Some(selection) if ptr::eq(other, &self.selection) => selection.nest(&domain)?,
            Some(operations) => domain.nest(operations)?,
            None => {}
        }
        let _ = place.set(domain.clone());
        // The thread may be asleep where it does not hear of the new one.
        if !self.is_here() {
            self.wake();
        }
        Ok(domain)
    }

    /// From now on that set, in which nobody waits, is readable when the domains have something to tell.
    pub(in crate::sys::linux) fn shine_through(&self, set: &Arc<Epoll>) -> Result<()> {
        let mut making = lock(&self.making);
        for domain in [self.operations.get(), self.selection.get()].into_iter().flatten() {
            set.add_level(domain.as_fd(), 0).map_err(error::wsa)?;
        }
        making.retain(|set| set.strong_count() > 0);
        making.push(Arc::downgrade(set));
        Ok(())
    }

    /// Takes what has happened in the domains, without waiting.
    pub(in crate::sys::linux) fn look(&self) {
        let mut sink = Sink::default();
        for domain in [self.operations.get(), self.selection.get()].into_iter().flatten() {
            domain.visit();
            domain.enter(&mut sink);
        }
        sink.deliver();
    }

    /// The domain of network events, in which they are told in the order of their coming whoever looks there.
    pub(in crate::sys::linux) fn ordered_selection(self: &Arc<Home>) -> Result<()> {
        self.selection()?.keep_order();
        Ok(())
    }

    /// Takes what the sockets of its selection have to tell; what another thread has taken is told by then. Any thread.
    pub(in crate::sys::linux) fn look_in_its_place(&self) {
        let Some(domain) = self.selection.get() else { return };
        if !domain.is_used() {
            return;
        }
        let mut sink = Sink::default();
        if domain.look(&mut sink) {
            domain.bell_heard();
        }
        sink.deliver();
    }

    /// Blocks for at most `timeout` (`None` for ever), until somebody wakes this thread or its domains have something to
    /// tell, or for no reason. For the thread itself.
    pub(in crate::sys::linux) fn wait(&self, timeout: Option<Duration>) {
        let mut sink = Sink::default();
        match (self.selection.get(), self.operations.get()) {
            (None, None) => self.place.sleep(timeout),
            (None, Some(domain)) => self.wait_in(domain, Where::Operations, timeout, &mut sink),
            (Some(domain), None) => self.wait_in(domain, Where::Selection, timeout, &mut sink),
            (Some(outer), Some(inner)) => {
                inner.visit();
                let waiting = inner.begin_wait();
                inner.flush();
                self.wait_in(outer, Where::Selection, timeout, &mut sink);
                inner.poll(Some(Duration::ZERO), &mut sink);
                drop(waiting);
            }
        }
        sink.deliver();
    }

    /// As [`wait`](Self::wait), but also for answers to these entries; how many of them have one.
    pub(in crate::sys::linux) fn wait_beside(
        self: &Arc<Home>,
        entries: &mut Vec<pollfd>,
        deadline: Option<Instant>,
    ) -> Result<usize> {
        let (domain, place) = match self.selection.get() {
            Some(selection) => (selection.clone(), Where::Selection),
            None => (self.operations()?, Where::Operations),
        };
        let inner = self.operations.get().filter(|inner| !Arc::ptr_eq(inner, &domain));
        let domains = [Some(&domain), inner].into_iter().flatten();
        let waiting: Vec<_> = domains.clone().map(|domain| domain.begin_wait()).collect();
        domains.clone().for_each(|domain| {
            domain.visit();
            domain.flush();
        });
        entries.push(pollfd { fd: domain.as_fd().as_raw_fd(), events: POLLIN, revents: 0 });
        let answers = if self.place.enter(place) { poll(entries, deadline) } else { look(entries) };
        self.place.leave();
        let news = entries.pop().is_some_and(|entry| entry.revents != 0);
        drop(waiting);
        if news {
            let mut sink = Sink::default();
            domains.for_each(|domain| _ = domain.poll(Some(Duration::ZERO), &mut sink));
            sink.deliver();
        }
        answers.map(|answers| answers - usize::from(news)).map_err(error::wsa)
    }

    /// Waits in the domain of a port, and at home as well; true if the bell of the port's was rung.
    pub(in crate::sys::linux) fn poll_beside(
        self: &Arc<Home>,
        domain: &Domain,
        timeout: Option<Duration>,
        sink: &mut Sink,
    ) -> bool {
        if timeout != Some(Duration::ZERO) {
            let _waiting = domain.begin_wait();
            domain.flush();
            let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
            let entry = pollfd { fd: domain.as_fd().as_raw_fd(), events: POLLIN, revents: 0 };
            // It fails only where `poll` would: then the caller looks again.
            let _ = self.wait_beside(&mut vec![entry], deadline);
        }
        domain.poll(Some(Duration::ZERO), sink)
    }

    /// Lets the wait that this thread is in, or else its next one, end. Any thread.
    pub(in crate::sys::linux) fn wake(&self) {
        if self.is_here() {
            // It is out of the kernel's wait, or not in one; what it waits in next does not wait.
            self.place.stay();
            return;
        }
        let domain = match self.place.wake() {
            Some(Where::Operations) => self.operations.get(),
            Some(Where::Selection) => self.selection.get(),
            None => None,
        };
        if let Some(domain) = domain {
            domain.ring_bell();
        }
    }

    /// The routine of this number, which the thread has, is to run with this. It comes back if the thread has ended.
    pub(super) fn queue_routine(&self, number: usize, completion: Completion) -> Option<Completion> {
        let left = self.apcs.push_routine(number, completion);
        self.wake();
        left
    }

    /// The bell of this domain was taken out by somebody else, who looked there for this thread.
    pub(super) fn bell_heard(&self, domain: &Domain) {
        if self.place.is_rung() {
            domain.ring_bell();
        }
    }

    /// Whether it is the calling thread's.
    pub(in crate::sys::linux) fn is_here(&self) -> bool {
        ptr::eq(MINE.get(), self)
    }

    fn wait_in(&self, domain: &Domain, place: Where, timeout: Option<Duration>, sink: &mut Sink) {
        domain.visit();
        // Counted first, so that the guard does not take the bell time and again.
        let waiting = domain.begin_wait();
        if self.place.enter(place) {
            domain.poll(timeout, sink);
        }
        self.place.leave();
        drop(waiting);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
