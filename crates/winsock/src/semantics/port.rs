//! The release rule of a completion port: who gets which packet, and who has to sleep.
//!
//! Packets wait in a first-in first-out queue, threads on a last-in first-out stack (CP-13, CP-19). A thread runs from
//! the moment it got a packet until it comes back; no more than the concurrency value run at a time (CP-20).
//!
//! The trick: a waiting thread either *polls*, which means that it waits in the kernel for the sockets themselves, or is
//! *parked*. Pollers and running threads together never exceed the concurrency value, so in a steady state a thread
//! that comes back simply polls again, and nobody has to wake anybody. When a poller brings packets although a thread
//! that came later is above it on the stack, the packets go to that one: the stack decides, not the kernel.

use std::collections::VecDeque;

/// What a thread that comes to the port has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// Take packets: it runs now.
    Take,
    /// Wait in the kernel.
    Poll,
    /// Sleep until released.
    Park,
    /// The port is closed.
    Closed,
}

/// What a parked thread is woken for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Release<P> {
    /// To run, with this packet.
    Packet(P),
    /// To wait in the kernel.
    Poll,
    /// The port is closed.
    Closed,
}

/// Something to do outside, in order, once the lock is given back.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Wake<P, W> {
    /// Wake this parked thread.
    Thread(W, Release<P>),
    /// Get one poller, whichever, out of the kernel.
    Bell,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    Parked,
    Polling,
}

pub(crate) struct PortState<P, W> {
    packets: VecDeque<P>,
    waiting: Vec<(W, How)>,
    concurrency: usize,
    running: usize,
    pollers_max: usize,
    bell_rung: bool,
    closed: bool,
    /// Packets that came out, now and when somebody last asked.
    taken: u64,
    taken_before: u64,
}

impl<P, W: Clone + PartialEq> PortState<P, W> {
    /// A port that lets `concurrency` threads run, of whose waiters at most `pollers_max` may be in the kernel at once.
    pub(crate) fn new(concurrency: usize, pollers_max: usize) -> PortState<P, W> {
        PortState {
            packets: VecDeque::new(),
            waiting: Vec::new(),
            concurrency,
            running: 0,
            pollers_max,
            bell_rung: false,
            closed: false,
            taken: 0,
            taken_before: 0,
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed
    }

    /// How many packets wait.
    pub(crate) fn backlog(&self) -> usize {
        self.packets.len()
    }

    /// Puts a packet at the end; [`release`](Self::release) then finds it a thread.
    pub(crate) fn queue(&mut self, packet: P) {
        self.packets.push_back(packet);
    }

    /// A thread that does not run here comes for packets. After `Take` it runs and calls [`take`](Self::take).
    pub(crate) fn enter(&mut self, thread: &W) -> Turn {
        if self.closed {
            return Turn::Closed;
        }
        if !self.packets.is_empty() && self.running < self.concurrency {
            self.running += 1;
            return Turn::Take;
        }
        let how = self.how_to_wait();
        self.waiting.push((thread.clone(), how));
        Self::turn(how)
    }

    /// The next packet, for a thread that runs.
    pub(crate) fn take(&mut self) -> Option<P> {
        let packet = self.packets.pop_front();
        self.taken += u64::from(packet.is_some());
        packet
    }

    /// Whether packets and threads wait, and only the concurrency value keeps them apart.
    pub(crate) fn holds_back(&self) -> bool {
        !self.closed
            && !self.packets.is_empty()
            && !self.waiting.is_empty()
            && self.running >= self.concurrency
    }

    /// Whether it does and no packet came out since this was asked last.
    pub(crate) fn stalls(&mut self) -> bool {
        let before = std::mem::replace(&mut self.taken_before, self.taken);
        self.holds_back() && before == self.taken
    }

    /// A poller is back from the kernel, and what it found is queued. Unless the answer is `Take` or `Closed` it is
    /// still waiting, in the way the answer says.
    pub(crate) fn polled(&mut self, thread: &W, saw_bell: bool, wake: &mut Vec<Wake<P, W>>) -> Turn {
        if saw_bell {
            self.bell_rung = false;
        }
        let Some(at) = self.position(thread) else { return Turn::Closed };
        if self.closed {
            self.waiting.remove(at);
            self.ring_for_pollers(wake);
            return Turn::Closed;
        }
        // 1. Whoever came later goes first: a parked thread is woken, a poller is rung for. The kernel wakes pollers in
        //    an order of its own, so this one parks, and sooner or later the bell reaches the right one.
        while self.can_release() && at + 1 < self.waiting.len() {
            if let Some((_, How::Polling)) = self.waiting.last() {
                self.waiting[at].1 = How::Parked;
                self.ring(wake);
                return Turn::Park;
            }
            self.release_top(wake);
        }
        // 2. Then this one.
        if self.can_release() {
            self.waiting.remove(at);
            self.running += 1;
            return Turn::Take;
        }
        // 3. Else it goes on waiting, in the kernel only if there is still a place.
        self.waiting[at].1 = How::Parked;
        self.waiting[at].1 = self.how_to_wait();
        Self::turn(self.waiting[at].1)
    }

    /// The bell was taken out of the kernel by somebody who does not wait here.
    pub(crate) fn bell_heard(&mut self, wake: &mut Vec<Wake<P, W>>) {
        self.bell_rung = false;
        if self.closed { self.ring_for_pollers(wake) } else { self.release(wake) }
    }

    /// A waiter gives up. False if it was released meanwhile, so that something is on its way to it.
    pub(crate) fn withdraw(&mut self, thread: &W, wake: &mut Vec<Wake<P, W>>) -> bool {
        let Some(at) = self.position(thread) else { return false };
        self.waiting.remove(at);
        self.release(wake);
        self.promote(wake);
        true
    }

    /// Whether this thread waits here and has its place in the kernel.
    pub(crate) fn is_polling(&self, thread: &W) -> bool {
        self.position(thread).is_some_and(|at| self.waiting[at].1 == How::Polling)
    }

    /// A running thread stops running: it comes back, waits elsewhere, or ends.
    pub(crate) fn stop_running(&mut self) {
        self.running = self.running.saturating_sub(1);
    }

    /// A thread runs again after a wait elsewhere; the value may be exceeded for a moment, as on Windows.
    pub(crate) fn run_again(&mut self) {
        self.running += 1;
    }

    /// Finds threads for the packets that wait.
    pub(crate) fn release(&mut self, wake: &mut Vec<Wake<P, W>>) {
        while self.can_release() {
            match self.waiting.last() {
                Some((_, How::Parked)) => self.release_top(wake),
                Some((_, How::Polling)) => {
                    self.ring(wake);
                    return;
                }
                None => return,
            }
        }
    }

    /// Sends a parked thread into the kernel if nobody is there and one more may run.
    pub(crate) fn promote(&mut self, wake: &mut Vec<Wake<P, W>>) {
        if self.pollers() > 0 || self.running >= self.concurrency {
            return;
        }
        if let Some((thread, how)) = self.waiting.last_mut() {
            *how = How::Polling;
            wake.push(Wake::Thread(thread.clone(), Release::Poll));
        }
    }

    /// Closes: everybody wakes, what was queued is handed back to be dropped.
    pub(crate) fn close(&mut self, wake: &mut Vec<Wake<P, W>>) -> VecDeque<P> {
        self.closed = true;
        self.waiting.retain(|(thread, how)| {
            if *how == How::Parked {
                wake.push(Wake::Thread(thread.clone(), Release::Closed));
            }
            *how == How::Polling
        });
        self.ring_for_pollers(wake);
        std::mem::take(&mut self.packets)
    }

    fn pollers(&self) -> usize {
        self.waiting.iter().filter(|(_, how)| *how == How::Polling).count()
    }

    fn how_to_wait(&self) -> How {
        let pollers = self.pollers();
        if pollers < self.pollers_max && self.running + pollers < self.concurrency {
            How::Polling
        } else {
            How::Parked
        }
    }

    fn turn(how: How) -> Turn {
        match how {
            How::Polling => Turn::Poll,
            How::Parked => Turn::Park,
        }
    }

    fn position(&self, thread: &W) -> Option<usize> {
        self.waiting.iter().rposition(|(waiter, _)| waiter == thread)
    }

    fn can_release(&self) -> bool {
        !self.closed && !self.packets.is_empty() && self.running < self.concurrency
    }

    // Only called when the top of the stack is parked and a packet waits.
    fn release_top(&mut self, wake: &mut Vec<Wake<P, W>>) {
        if let Some((thread, _)) = self.waiting.pop() {
            if let Some(packet) = self.take() {
                self.running += 1;
                wake.push(Wake::Thread(thread, Release::Packet(packet)));
            }
        }
    }

    fn ring(&mut self, wake: &mut Vec<Wake<P, W>>) {
        if !self.bell_rung {
            self.bell_rung = true;
            wake.push(Wake::Bell);
        }
    }

    // Each poller that leaves a closed port rings for the next one.
    fn ring_for_pollers(&mut self, wake: &mut Vec<Wake<P, W>>) {
        if self.pollers() > 0 {
            self.bell_rung = false;
            self.ring(wake);
        }
    }
}

#[cfg(test)]
#[path = "port_tests.rs"]
mod tests;
