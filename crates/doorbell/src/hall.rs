//! The hall: connections that each have a thread of their own, and how those that stand in a call are reached.
//!
//! A thread in a blocking call hears nothing. What ends the call is that its socket is closed (BL-07): that is how a
//! stop reaches a connection that waits for its peer. One whose conversation can be posted to pays for a bell, a
//! datagram socket, and waits in `select` for both.

use crate::bell::Wake;
use crate::core::{Core, Phase};
use crate::wake::WakeSocket;
use doorbell_service::Reach;
use doorbell_winsock::{Result, Socket};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

/// One connection, as others see it.
pub(crate) struct Caller {
    socket: Socket,
    /// Its thread stands in a receive, or is about to.
    stands: AtomicBool,
    wake: OnceLock<WakeSocket>,
    core: Weak<Core>,
}

impl Caller {
    /// The thread is about to stand in a receive. False when it must not: the server stops, and might not see it there.
    pub(crate) fn stand(&self, core: &Core) -> bool {
        self.stands.store(true, Ordering::SeqCst);
        let serving = core.phase() == Phase::Serving;
        self.stands.store(serving, Ordering::SeqCst);
        serving
    }

    /// The thread is about again.
    pub(crate) fn sit_down(&self) {
        self.stands.store(false, Ordering::SeqCst);
    }

    /// The bell, hung up when it is first asked for. Who posts before that finds none, so the mailbox must be looked into
    /// once afterwards.
    pub(crate) fn wake(&self) -> Result<&WakeSocket> {
        if self.wake.get().is_none() {
            let _ = self.wake.set(WakeSocket::new()?);
        }
        Ok(self.wake.get().unwrap_or_else(|| unreachable!("it has just been hung up")))
    }

    fn look_up(&self, phase: Phase) {
        // Who has a bell stands in no call that it could not end by itself.
        if let Some(wake) = self.wake.get() {
            return wake.ring();
        }
        if phase == Phase::Over {
            // Cut off: a linger time of zero makes the close a reset (CL-09).
            let _ = self.socket.set_linger(Some(Duration::ZERO));
            let _ = self.socket.close();
        } else if self.stands.load(Ordering::SeqCst)
            && !self.socket.bytes_available().is_ok_and(|count| count > 0)
        {
            // What has arrived is answered first; the receive that takes it returns by itself.
            let _ = self.socket.close();
        }
    }
}

impl Reach for Caller {
    fn wake(&self, _number: u64) {
        if let Some(wake) = self.wake.get() {
            wake.ring();
        }
    }

    fn stop_server(&self) {
        if let Some(core) = self.core.upgrade() {
            core.stop();
        }
    }
}

/// Everybody who is in.
#[derive(Default)]
pub(crate) struct Hall {
    callers: Mutex<HashMap<u64, Arc<Caller>>>,
    left: Condvar,
}

impl Hall {
    pub(crate) fn new(core: &Arc<Core>) -> Arc<Hall> {
        let hall = Arc::new(Hall::default());
        let (at_stop, weak) = (hall.clone(), Arc::downgrade(core));
        core.on_stop(move || {
            let phase = weak.upgrade().map_or(Phase::Over, |core| core.phase());
            at_stop.callers().values().for_each(|caller| caller.look_up(phase));
        });
        hall
    }

    /// Lets a connection in for as long as the guest lives.
    pub(crate) fn enter(self: &Arc<Hall>, core: &Arc<Core>, socket: &Socket) -> Guest {
        let caller = Arc::new(Caller {
            socket: socket.clone(),
            stands: AtomicBool::new(false),
            wake: OnceLock::new(),
            core: Arc::downgrade(core),
        });
        let number = core.next_number();
        self.callers().insert(number, caller.clone());
        Guest { hall: self.clone(), number, caller }
    }

    /// Blocks until everybody has left; those who have not when the grace is over are thrown out.
    pub(crate) fn wait_until_empty(&self, core: &Core) {
        let mut callers = self.callers();
        while !callers.is_empty() {
            let grace = core.grace_ends().map(|end| end.saturating_duration_since(Instant::now()));
            callers = match grace.filter(|_| core.phase() < Phase::Over) {
                Some(grace) => {
                    self.left.wait_timeout(callers, grace).unwrap_or_else(PoisonError::into_inner).0
                }
                None => self.left.wait(callers).unwrap_or_else(PoisonError::into_inner),
            };
            if core.phase() == Phase::Over {
                callers.values().for_each(|caller| caller.look_up(Phase::Over));
            }
        }
    }

    fn callers(&self) -> MutexGuard<'_, HashMap<u64, Arc<Caller>>> {
        self.callers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Somebody in the hall; leaves it when dropped, also by a panic.
pub(crate) struct Guest {
    hall: Arc<Hall>,
    number: u64,
    pub(crate) caller: Arc<Caller>,
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.hall.callers().remove(&self.number);
        self.hall.left.notify_all();
    }
}
