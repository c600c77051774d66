//! Completion ports: the release rule of `semantics::port`, a domain, and threads that wait.
//!
//! A thread that comes for a packet takes one that is queued, or waits in the domain itself, or sleeps on its own
//! condition variable until it is released. What it learns in the domain it queues, and the rule says whose it is.

mod runner;
mod thread;
mod waiter;

pub(crate) use self::thread::blocking;
pub(in crate::sys::linux) use self::thread::{free_place, runs_here, runs_on, take_place, thread_number};

use self::runner::Runner;
use self::waiter::Waiter;
use super::engine::channel::Sink;
use super::engine::domain::Domain;
use super::engine::guard;
use super::engine::home::{self, Home};
use super::engine::line;
use super::error::Result;
use super::event_select::Object;
use super::routine;
use super::socket::Socket;
use crate::error::{
    ERROR_ABANDONED_WAIT_0, ERROR_INVALID_HANDLE, ERROR_INVALID_PARAMETER, WAIT_TIMEOUT,
    WSA_WAIT_IO_COMPLETION,
};
use crate::overlapped::Completion;
use crate::port::Packet;
use crate::routine::Alertable;
use crate::semantics::port::{PortState, Release, Turn, Wake};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

/// Every so many packets taken from the queue a thread also looks at the sockets, so that posted packets, however many,
/// do not keep those of operations away.
const LOOK_EVERY: u32 = 64;

/// The handle: clones of a port share it, its drop closes.
#[derive(Clone)]
pub(crate) struct Port {
    handle: Arc<Handle>,
}

struct Handle(Arc<PortCore>);

impl Drop for Handle {
    fn drop(&mut self) {
        let _ = self.0.close();
    }
}

/// The port itself; its sockets keep it.
pub(crate) struct PortCore {
    state: Mutex<PortState<Packet, Waiter>>,
    domain: Arc<Domain>,
    /// No other port ever has it.
    number: u64,
    /// Threads that have run here.
    runners: Mutex<Vec<Weak<Runner>>>,
}

impl Port {
    pub(crate) fn new(concurrency: u32) -> Result<Port> {
        super::startup::startup()?;
        let concurrency = if concurrency == 0 { crate::host::processors() } else { concurrency as usize };
        let domain = Domain::new()?;
        let state = Mutex::new(PortState::new(concurrency, domain.pollers_max()));
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed) + 1;
        let core = Arc::new(PortCore { state, domain, number, runners: Mutex::default() });
        core.domain.serve(Arc::downgrade(&core));
        Ok(Port { handle: Arc::new(Handle(core)) })
    }

    pub(crate) fn associate(&self, socket: &Socket, key: usize) -> Result<()> {
        let port = &self.handle.0;
        let core = socket.core()?;
        if port.lock().is_closed() {
            return Err(ERROR_INVALID_HANDLE);
        }
        let mut lines = core.queues.lock();
        core.queues.port.set((port.clone(), key)).map_err(|_| ERROR_INVALID_PARAMETER)?;
        line::resettle(core, &mut lines, port.domain.clone())
    }

    pub(crate) fn post(&self, bytes: u32, key: usize, token: usize) -> Result<()> {
        let port = &self.handle.0;
        if port.lock().is_closed() {
            return Err(ERROR_INVALID_HANDLE);
        }
        // What happened before the post comes out before it (CP-13), whoever has been woken for it.
        if port.domain.is_used() {
            port.look();
        }
        let mut wake = Vec::new();
        {
            let mut state = port.lock();
            if state.is_closed() {
                return Err(ERROR_INVALID_HANDLE);
            }
            state.queue(Packet::Posted { bytes, key, token });
            port.release(&mut state, &mut wake);
        }
        port.wake(wake);
        Ok(())
    }

    pub(crate) fn get(&self, timeout: Option<Duration>) -> Result<Packet> {
        let mut packet = None;
        self.handle.0.take(1, timeout, None, |one| packet = Some(one))?;
        packet.ok_or(WAIT_TIMEOUT)
    }

    pub(crate) fn get_many(
        &self,
        packets: &mut Vec<Packet>,
        max: usize,
        timeout: Option<Duration>,
        alertable: Alertable,
    ) -> Result<usize> {
        if max == 0 {
            return Err(ERROR_INVALID_PARAMETER);
        }
        let home = (alertable == Alertable::Yes).then(home::here).transpose()?;
        if let Some(home) = &home {
            // Made before the thread counts as one that waits.
            home.operations()?;
        }
        self.handle.0.take(max, timeout, home, |packet| packets.push(packet))
    }

    pub(crate) fn close(&self) -> Result<()> {
        self.handle.0.close()
    }
}

impl PortCore {
    pub(crate) fn domain(&self) -> &Arc<Domain> {
        &self.domain
    }

    /// Queues the end of an operation, and sets its event in the same step: who sees the one finds the other (CP-09). A
    /// closed port gives it back. [`wake_for_packets`](Self::wake_for_packets) has to follow.
    pub(in crate::sys::linux) fn queue(
        &self,
        completion: Completion,
        event: Option<&Object>,
    ) -> Option<Completion> {
        let mut state = self.lock();
        // A closed event is nobody's any more.
        event.map(Object::set);
        if state.is_closed() {
            return Some(completion);
        }
        state.queue(Packet::Io(completion));
        None
    }

    /// Finds threads for packets that were queued.
    pub(crate) fn wake_for_packets(&self) {
        let mut wake = Vec::new();
        {
            let mut state = self.lock();
            // A thread of this port that runs comes back soon and takes a single packet itself, which is cheaper than a
            // wake; should it stay away, the guard finds it another thread.
            if state.backlog() > 1 || !runs_on(self) {
                self.release(&mut state, &mut wake);
            } else if state.backlog() > 0 {
                guard::notify();
            }
        }
        self.wake(wake);
    }

    /// For the guard: packets and free places find threads. True if packets are left.
    pub(crate) fn rescue(&self) -> bool {
        let mut wake = Vec::new();
        let left = {
            let mut state = self.lock();
            state.release(&mut wake);
            state.promote(&mut wake);
            state.backlog() > 0
        };
        self.wake(wake);
        left
    }

    /// For the guard, once a tick. Threads that run here but sleep elsewhere lose their places if others wait for them, and
    /// have them again when they are awake. True if there is reason to look again.
    pub(crate) fn look_for_sleepers(&self) -> bool {
        let stalls = self.lock().stalls();
        let runners: Vec<_> = {
            let mut known = lock(&self.runners);
            known.retain(|runner| runner.strong_count() > 0);
            let here = known.iter().filter_map(Weak::upgrade).filter(|runner| runner.runs_at(self.number));
            here.filter(|runner| stalls || !runner.is_counted()).collect()
        };
        // Asked without a lock: should it be otherwise by now, the next look says so.
        let asked: Vec<_> = runners.iter().map(|runner| (runner, runner.sleeps())).collect();
        let (mut wake, mut changed) = (Vec::new(), false);
        let mut state = self.lock();
        for (runner, sleeps) in asked {
            if runner.runs_at(self.number) && runner.count(!sleeps) {
                changed = true;
                if sleeps { state.stop_running() } else { state.run_again() }
            }
        }
        state.release(&mut wake);
        let again = changed || state.holds_back();
        drop(state);
        self.wake(wake);
        again
    }

    /// The bell was taken out of the domain by somebody who does not wait at the port.
    pub(crate) fn bell_heard(&self) {
        let mut wake = Vec::new();
        self.lock().bell_heard(&mut wake);
        self.wake(wake);
    }

    // Takes up to `max` packets, at least one, in order. Alertably with the home of the thread, whose routines run if no
    // packet is there (CP-16).
    fn take(
        self: &Arc<Self>,
        max: usize,
        timeout: Option<Duration>,
        home: Option<Arc<Home>>,
        each: impl FnMut(Packet),
    ) -> Result<usize> {
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let polls_only = timeout == Some(Duration::ZERO);
        let me = thread::come_back();
        self.domain.visit();
        let mut wake = Vec::new();
        // A closed port that was closed before is an invalid handle; one that closes during the wait is abandoned.
        let mut turn = {
            let mut state = self.lock();
            match state.enter(&me) {
                Turn::Closed => return Err(ERROR_INVALID_HANDLE),
                Turn::Take => return Ok(self.run(state, None, max, each)),
                turn => {
                    if state.holds_back() {
                        guard::notify();
                    }
                    turn
                }
            }
        };
        let mut sink = Sink::default();
        if let (Some(home), true) = (&home, polls_only) {
            home.look();
        }
        let can_run = || home.as_ref().is_some_and(|home| routine::can_run(home));
        loop {
            let now = can_run().then_some(Duration::ZERO);
            let left = now.or(deadline.map(|deadline| deadline.saturating_duration_since(Instant::now())));
            match turn {
                Turn::Poll => {
                    let saw_bell = match &home {
                        None => self.domain.poll(left, &mut sink),
                        Some(home) => home.poll_beside(&self.domain, left, &mut sink),
                    };
                    sink.deliver_but(Some(self));
                    let mut state = self.lock();
                    turn = state.polled(&me, saw_bell, &mut wake);
                    if turn == Turn::Take {
                        return Ok(self.run_and_wake(state, wake, None, max, each));
                    }
                }
                Turn::Park => {
                    // What this thread pushed for a ring must not wait until it is back.
                    self.domain.flush();
                    let released = match &home {
                        None => me.sleep(left),
                        Some(home) => me.sleep_at_home(home, left),
                    };
                    match released {
                        Some(Release::Packet(packet)) => {
                            return Ok(self.run(self.lock(), Some(packet), max, each));
                        }
                        // It may be an old one, for an earlier wait of this thread that ran out; the state knows.
                        Some(Release::Poll) if self.lock().is_polling(&me) => turn = Turn::Poll,
                        Some(Release::Closed) => turn = Turn::Closed,
                        Some(Release::Poll) | None => {}
                    }
                }
                Turn::Closed | Turn::Take => {
                    self.wake(wake);
                    return Err(ERROR_ABANDONED_WAIT_0);
                }
            }
            self.wake(std::mem::take(&mut wake));
            let is_over = || polls_only || deadline.is_some_and(|deadline| deadline <= Instant::now());
            if turn != Turn::Closed && (can_run() || is_over()) {
                let mut state = self.lock();
                if state.withdraw(&me, &mut wake) {
                    drop(state);
                    self.wake(wake);
                    let ran = home.as_ref().is_some_and(|home| routine::run_queued(home));
                    return Err(if ran { WSA_WAIT_IO_COMPLETION } else { WAIT_TIMEOUT });
                }
                // It was released in this very moment: what it was released with is there.
                drop(state);
                loop {
                    match me.sleep(None) {
                        Some(Release::Packet(packet)) => {
                            return Ok(self.run(self.lock(), Some(packet), max, each));
                        }
                        Some(Release::Closed) => return Err(ERROR_ABANDONED_WAIT_0),
                        Some(Release::Poll) | None => {}
                    }
                }
            }
        }
    }

    fn run(
        self: &Arc<Self>,
        state: MutexGuard<'_, PortState<Packet, Waiter>>,
        first: Option<Packet>,
        max: usize,
        each: impl FnMut(Packet),
    ) -> usize {
        self.run_and_wake(state, Vec::new(), first, max, each)
    }

    // The calling thread runs from here on. It takes what it may; for what is left others are woken.
    fn run_and_wake(
        self: &Arc<Self>,
        mut state: MutexGuard<'_, PortState<Packet, Waiter>>,
        mut wake: Vec<Wake<Packet, Waiter>>,
        first: Option<Packet>,
        max: usize,
        mut each: impl FnMut(Packet),
    ) -> usize {
        let mut count = 0;
        if let Some(packet) = first {
            each(packet);
            count += 1;
        }
        while count < max {
            let Some(packet) = state.take() else { break };
            each(packet);
            count += 1;
        }
        let left = state.backlog();
        // One packet is not worth a wake: this thread or the guard sees to it soon.
        if left > 1 {
            self.release(&mut state, &mut wake);
        }
        if self.domain.pollers_max() > 1 {
            state.promote(&mut wake);
        }
        drop(state);
        if left == 1 {
            guard::notify();
        }
        self.wake(wake);
        if thread::runs(self, count) {
            self.look();
        }
        count
    }

    /// Looks at the sockets without waiting.
    fn look(self: &Arc<Self>) {
        let mut sink = Sink::default();
        let rung = self.domain.look(&mut sink);
        sink.deliver_but(Some(self));
        let mut wake = Vec::new();
        {
            let mut state = self.lock();
            if rung {
                state.bell_heard(&mut wake);
            }
            if state.backlog() > 1 || !runs_on(self) {
                state.release(&mut wake);
            }
        }
        self.wake(wake);
    }

    fn close(&self) -> Result<()> {
        let mut wake = Vec::new();
        let packets = {
            let mut state = self.lock();
            if state.is_closed() {
                return Err(ERROR_INVALID_HANDLE);
            }
            state.close(&mut wake)
        };
        self.wake(wake);
        drop(packets);
        Ok(())
    }

    /// Finds threads for packets, and somebody to look after those that find none.
    fn release(&self, state: &mut PortState<Packet, Waiter>, wake: &mut Vec<Wake<Packet, Waiter>>) {
        state.release(wake);
        if state.holds_back() {
            guard::notify();
        }
    }

    /// A thread that runs here stops; none if nothing is known of it.
    fn stop_running(&self, runner: Option<&Runner>) {
        let mut wake = Vec::new();
        {
            let mut state = self.lock();
            if runner.is_none_or(Runner::stop) {
                state.stop_running();
            }
            state.release(&mut wake);
            state.promote(&mut wake);
        }
        self.domain.flush();
        self.wake(wake);
    }

    fn wake(&self, wake: Vec<Wake<Packet, Waiter>>) {
        for one in wake {
            match one {
                Wake::Bell => self.domain.ring_bell(),
                Wake::Thread(waiter, release) => waiter.release(release),
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, PortState<Packet, Waiter>> {
        lock(&self.state)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
