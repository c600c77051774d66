//! A domain: what a group of sockets is driven by, an epoll set or a ring. Any thread may drive it.

use super::super::os::epoll::{BATCH, Epoll, Ready};
use super::super::os::io_uring::{CANCEL, Done, Ring};
use super::super::os::poll;
use super::super::port::PortCore;
use super::super::{error, network_events, startup};
use super::channel::Sink;
use super::home::{self, Home};
use super::line::Direction;
use super::registry::{self, Token};
use super::{guard, progress};
use crate::error::WSAENOBUFS;
use crate::startup::Backend;
use io_uring::squeue;
use rustix::io::Errno;
use std::cell::Cell;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

/// The number of the bell, which belongs to no socket.
const BELL: u64 = u64::MAX;
/// That of a domain in another one's set.
const NESTED: u64 = u64::MAX - 1;
/// So many full batches are taken in one go: a million sockets.
const ROUNDS_MAX: usize = 16_384;

thread_local! {
    /// The domain whose ring the calling thread reaps, by its address: it is at home there too.
    static POLLED: Cell<usize> = const { Cell::new(0) };
}

pub(crate) struct Domain {
    driver: Driver,
    /// The port whose threads drive this domain; none for the one of sockets without a port.
    port: OnceLock<Weak<PortCore>>,
    /// Or the home of the thread that drives it.
    home: OnceLock<Weak<Home>>,
    /// Threads in the kernel's wait.
    pollers: AtomicUsize,
    /// Rises whenever a thread comes by; what stays the same for a tick was left alone for a tick.
    epoch: AtomicU64,
    /// Whether an operation ever had to wait here; until then nobody has to look after it.
    used: AtomicBool,
    /// The guard waits in it.
    attended: AtomicBool,
    /// Nobody takes events here but under the lock: who has it finds that all from before are told.
    in_order: AtomicBool,
    taking: Mutex<()>,
}

enum Driver {
    Epoll(Epoll),
    Ring(Box<Ring>),
}

impl Domain {
    pub(crate) fn new() -> error::Result<Arc<Domain>> {
        let driver = match startup::backend() {
            Backend::IoUring => {
                let code = |e: std::io::Error| {
                    e.raw_os_error().map(|code| error::wsa(Errno::from_raw_os_error(code)))
                };
                Driver::Ring(Box::new(Ring::new().map_err(|e| code(e).unwrap_or(WSAENOBUFS))?))
            }
            _ => Driver::Epoll(Epoll::new().map_err(error::wsa)?),
        };
        Ok(Domain::of(driver))
    }

    /// A domain that is an epoll set whatever the backend.
    pub(crate) fn with_epoll() -> error::Result<Arc<Domain>> {
        Ok(Domain::of(Driver::Epoll(Epoll::new().map_err(error::wsa)?)))
    }

    fn of(driver: Driver) -> Arc<Domain> {
        let domain = Arc::new(Domain {
            driver,
            port: OnceLock::new(),
            home: OnceLock::new(),
            pollers: AtomicUsize::new(0),
            epoch: AtomicU64::new(0),
            used: AtomicBool::new(false),
            attended: AtomicBool::new(false),
            in_order: AtomicBool::new(false),
            taking: Mutex::new(()),
        });
        guard::watch(&domain);
        domain
    }

    /// The domain of the sockets that have no port. The guard drives it.
    pub(crate) fn commons() -> error::Result<Arc<Domain>> {
        static COMMONS: OnceLock<error::Result<Arc<Domain>>> = OnceLock::new();
        COMMONS.get_or_init(Domain::new).clone()
    }

    pub(crate) fn serve(&self, port: Weak<PortCore>) {
        let _ = self.port.set(port);
    }

    pub(crate) fn port(&self) -> Option<Arc<PortCore>> {
        self.port.get().and_then(Weak::upgrade)
    }

    pub(super) fn belong(&self, home: Weak<Home>) {
        let _ = self.home.set(home);
    }

    /// The guard took the bell out in the place of those it was rung for.
    pub(super) fn bell_heard(&self) {
        if let Some(port) = self.port() {
            port.bell_heard();
        }
        if let Some(home) = self.home.get().and_then(Weak::upgrade) {
            home.bell_heard(self);
        }
    }

    pub(crate) fn is_ring(&self) -> bool {
        matches!(self.driver, Driver::Ring(_))
    }

    /// How many threads may usefully wait in the kernel at once. An epoll set wakes one thread an event; a ring all.
    pub(crate) fn pollers_max(&self) -> usize {
        if self.is_ring() { 1 } else { usize::MAX }
    }

    pub(crate) fn pollers(&self) -> usize {
        self.pollers.load(Ordering::SeqCst)
    }

    pub(crate) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::SeqCst)
    }

    pub(crate) fn is_used(&self) -> bool {
        self.used.load(Ordering::Relaxed)
    }

    /// A thread came by.
    pub(crate) fn visit(&self) {
        self.epoch.fetch_add(1, Ordering::Relaxed);
    }

    /// An operation has to wait here: somebody must be looking.
    pub(crate) fn note_pending(&self) {
        if !self.used.load(Ordering::Relaxed) {
            self.used.store(true, Ordering::SeqCst);
        }
        if self.pollers() == 0 && !self.attended.load(Ordering::SeqCst) {
            guard::notify();
        }
    }

    /// The guard begins or ends to wait here.
    pub(crate) fn attend(&self, attended: bool) {
        self.attended.store(attended, Ordering::SeqCst);
    }

    /// Waits for at most `timeout` for what the sockets have to tell, and lets their lines go on. Ends of operations go
    /// into the sink. True if the bell was rung.
    pub(crate) fn poll(&self, timeout: Option<Duration>, sink: &mut Sink) -> bool {
        let _waiting = (timeout != Some(Duration::ZERO)).then(|| self.begin_wait());
        match &self.driver {
            Driver::Epoll(epoll) if self.in_order.load(Ordering::Relaxed) => {
                if timeout != Some(Duration::ZERO) {
                    let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
                    // It fails only where the set's own wait would: then the caller looks again.
                    let _ = poll::wait_for(epoll.as_fd(), poll::POLLIN, deadline);
                }
                self.take_in_order(epoll, sink)
            }
            Driver::Epoll(epoll) => epoll.wait(timeout, |ready| advance_ready(ready, sink)),
            Driver::Ring(ring) => {
                ring.wait(timeout);
                let before = POLLED.replace(std::ptr::from_ref(self).addr());
                let rung = reap(ring, sink);
                POLLED.set(before);
                rung
            }
        }
    }

    /// From here on, and until what it gives is dropped, the calling thread counts as one that waits here.
    pub(super) fn begin_wait(&self) -> Waiting<'_> {
        self.pollers.fetch_add(1, Ordering::SeqCst);
        Waiting(self)
    }

    /// Hands over what waits for it and takes what has happened, also what a ring can only tell when it is entered.
    pub(super) fn enter(&self, sink: &mut Sink) {
        if let Driver::Ring(ring) = &self.driver {
            ring.enter();
        }
        self.poll(Some(Duration::ZERO), sink);
    }

    /// From now on the wait here, in an epoll set, ends when that domain has something to tell.
    pub(super) fn nest(&self, inner: &Domain) -> error::Result<()> {
        // What shines through must be looked after, or the guard would look at this one for ever.
        inner.used.store(true, Ordering::SeqCst);
        match &self.driver {
            Driver::Epoll(epoll) => epoll.add_level(inner.as_fd(), NESTED).map_err(error::wsa),
            Driver::Ring(_) => Ok(()),
        }
    }

    /// Takes what has happened already, without waiting and, on a ring, without handing anything over.
    pub(crate) fn look(&self, sink: &mut Sink) -> bool {
        match &self.driver {
            Driver::Epoll(epoll) if self.in_order.load(Ordering::Relaxed) => self.take_in_order(epoll, sink),
            Driver::Epoll(epoll) => epoll.wait(Some(Duration::ZERO), |ready| advance_ready(ready, sink)),
            Driver::Ring(ring) => reap(ring, sink),
        }
    }

    /// From now on whoever has looked here knows that all that happened before is told, by whichever thread. It costs a
    /// thread that waits one more call.
    pub(super) fn keep_order(&self) {
        self.in_order.store(true, Ordering::Relaxed);
    }

    fn take_in_order(&self, epoll: &Epoll, sink: &mut Sink) -> bool {
        let _taking = self.taking.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut rung, mut rounds) = (false, 0);
        loop {
            let mut count = 0;
            rung |= epoll.wait(Some(Duration::ZERO), |ready| {
                count += 1;
                advance_ready(ready, sink);
            });
            rounds += 1;
            // A full batch may not have been all (the bell's place is not counted). What comes meanwhile is not from before,
            // so after as many as there can well be it is left to others.
            if count < BATCH - 1 || rounds == ROUNDS_MAX {
                return rung;
            }
        }
    }

    /// Gets one thread out of the wait.
    pub(crate) fn ring_bell(&self) {
        match &self.driver {
            Driver::Epoll(epoll) => epoll.ring(),
            Driver::Ring(ring) => ring.post(BELL),
        }
    }

    /// Makes changes of this descriptor known here. A ring learns of a socket by its operations instead.
    pub(crate) fn add(&self, fd: BorrowedFd<'_>, token: Token) -> error::Result<()> {
        match &self.driver {
            Driver::Epoll(epoll) => epoll.add(fd, token.number(0)).map_err(error::wsa),
            Driver::Ring(_) => Ok(()),
        }
    }

    /// From now on also tells when there is room to send. Asked for when a send did not fit: told from the start, it would
    /// wake a thread for every new connection only to say that it is writable.
    pub(crate) fn add_writer(&self, fd: BorrowedFd<'_>, token: Token) {
        if let Driver::Epoll(epoll) = &self.driver {
            // It can fail only for want of memory in the kernel; the guard's look does not help then either.
            let _ = epoll.add_writer(fd, token.number(0));
        }
    }

    /// Makes changes of this descriptor known to the socket's network events; those of room to send as well if asked for.
    pub(crate) fn add_selected(&self, fd: BorrowedFd<'_>, token: Token, writer: bool) -> error::Result<()> {
        let number = token.number(network_events::DIRECTION);
        match &self.driver {
            Driver::Epoll(epoll) if writer => epoll.add_both(fd, number).map_err(error::wsa),
            Driver::Epoll(epoll) => epoll.add(fd, number).map_err(error::wsa),
            Driver::Ring(_) => Ok(()),
        }
    }

    /// [`add_writer`](Self::add_writer) for network events.
    pub(crate) fn add_selected_writer(&self, fd: BorrowedFd<'_>, token: Token) {
        if let Driver::Epoll(epoll) = &self.driver {
            let _ = epoll.add_writer(fd, token.number(network_events::DIRECTION));
        }
    }

    /// The opposite of [`add`](Self::add) and [`add_selected`](Self::add_selected).
    pub(crate) fn remove(&self, fd: BorrowedFd<'_>) {
        if let Driver::Epoll(epoll) = &self.driver {
            // A descriptor that was never added is no harm.
            let _ = epoll.remove(fd);
        }
    }

    /// Ring only: hands an entry to the kernel, with the next wait of this thread if it runs at the port here, else by
    /// the guard. The kernel does an operation's work in the thread that handed it over: interrupted for it, a thread of
    /// the program's own would see its calls fail with EINTR, and when it ends its operations would end with it.
    ///
    /// # Safety
    /// The memory that the entry names stays valid until its end was reaped.
    pub(crate) unsafe fn push(&self, entry: squeue::Entry, token: Token, direction: Direction) {
        if let Driver::Ring(ring) = &self.driver {
            // SAFETY: the caller's promise.
            unsafe { ring.push(&entry.user_data(token.number(direction as u64))) };
            self.submit_by_whom_it_concerns();
        }
    }

    /// Ring only: asks the entry of this socket and direction to end.
    pub(crate) fn cancel(&self, token: Token, direction: Direction) {
        if let Driver::Ring(ring) = &self.driver {
            ring.cancel(token.number(direction as u64));
        }
    }

    /// Hands over what waits for submission.
    pub(crate) fn flush(&self) {
        if let Driver::Ring(ring) = &self.driver {
            ring.submit();
        }
    }

    // A thread that runs at the port of this domain, or whose own it is, comes back soon and submits everything in one
    // call; should it stay away, the guard submits at its next look.
    fn submit_by_whom_it_concerns(&self) {
        let polls_here = POLLED.get() == std::ptr::from_ref(self).addr();
        if guard::is_me() {
            self.flush();
        } else if polls_here
            || home::operates(self)
            || self.port.get().is_some_and(super::super::port::runs_here)
        {
            guard::notify();
        } else {
            guard::flush();
        }
    }
}

/// A thread in the wait. When the last one leaves, the guard is told.
pub(super) struct Waiting<'a>(&'a Domain);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if self.0.pollers.fetch_sub(1, Ordering::SeqCst) == 1 && self.0.is_used() {
            guard::notify();
        }
    }
}

impl AsFd for Domain {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.driver {
            Driver::Epoll(epoll) => epoll.as_fd(),
            Driver::Ring(ring) => ring.as_fd(),
        }
    }
}

fn advance_ready(ready: Ready, sink: &mut Sink) {
    if ready.token == NESTED {
        // Its own thread looks there when it is out of the wait; the guard has it in its own set.
        return;
    }
    let (token, direction) = Token::parse(ready.token);
    let Some(core) = registry::find(token) else { return };
    if direction == network_events::DIRECTION {
        network_events::on_ready(&core, ready);
    } else {
        progress::on_ready(&core, ready, sink);
    }
}

fn reap(ring: &Ring, sink: &mut Sink) -> bool {
    let mut rung = false;
    ring.reap(|done: Done| match done.token {
        BELL => rung = true,
        CANCEL => {}
        number => {
            let (token, direction) = Token::parse(number);
            if let Some(core) = registry::find(token) {
                progress::on_done(&core, Direction::from_number(direction), done, sink);
            }
        }
    });
    rung
}
