//! The release rule of a port with real threads: each packet goes to one, nobody sleeps over one, and no more run than may.

use super::waiter::Waiter;
use crate::atomic::{AtomicUsize, Ordering::SeqCst};
use crate::port::Packet;
use crate::semantics::port::{PortState, Release, Turn, Wake};
use loom::sync::{Condvar, Mutex};
use loom::thread::{self, JoinHandle};
use std::sync::Arc;
use std::time::Duration;

/// A port in the steps of `port.rs`. The kernel in which its pollers wait has a bell, and what arrived for the sockets.
struct Port {
    state: Mutex<PortState<Packet, Waiter>>,
    kernel: Mutex<Kernel>,
    wakes: Condvar,
    running: AtomicUsize,
}

#[derive(Default)]
struct Kernel {
    rung: bool,
    arrived: Vec<Packet>,
}

impl Port {
    fn new(concurrency: usize, pollers_max: usize) -> Arc<Port> {
        Arc::new(Port {
            state: Mutex::new(PortState::new(concurrency, pollers_max)),
            kernel: Mutex::default(),
            wakes: Condvar::new(),
            running: AtomicUsize::new(0),
        })
    }

    fn post(&self, packet: Packet) {
        let mut wake = Vec::new();
        {
            let mut state = self.state.lock().expect("the state");
            state.queue(packet);
            state.release(&mut wake);
        }
        self.wake(wake);
    }

    /// Something happens at a socket. Only who is in the kernel, or comes there, learns of it.
    fn arrive(&self, packet: Packet) {
        self.kernel.lock().expect("the kernel").arrived.push(packet);
        self.wakes.notify_one();
    }

    /// None when the port is closed.
    fn get(&self, me: &Waiter) -> Option<Packet> {
        self.get_within(me, None)
    }

    fn get_within(&self, me: &Waiter, timeout: Option<Duration>) -> Option<Packet> {
        let turn = {
            let mut state = self.state.lock().expect("the state");
            match state.enter(me) {
                Turn::Take => return state.take(),
                turn => turn,
            }
        };
        self.wait(me, turn, timeout)
    }

    /// A thread that has entered waits, if not for ever then not at all.
    fn wait(&self, me: &Waiter, mut turn: Turn, timeout: Option<Duration>) -> Option<Packet> {
        loop {
            let mut wake = Vec::new();
            match turn {
                Turn::Poll => {
                    let kernel = self.poll(timeout);
                    for packet in kernel.arrived {
                        self.state.lock().expect("the state").queue(packet);
                    }
                    let mut state = self.state.lock().expect("the state");
                    turn = state.polled(me, kernel.rung, &mut wake);
                    if turn == Turn::Take {
                        let packet = state.take();
                        state.release(&mut wake);
                        state.promote(&mut wake);
                        drop(state);
                        self.wake(wake);
                        return packet;
                    }
                }
                Turn::Park => match me.sleep(timeout) {
                    Some(Release::Packet(packet)) => return Some(packet),
                    Some(Release::Poll) if self.state.lock().expect("the state").is_polling(me) => {
                        turn = Turn::Poll
                    }
                    Some(Release::Closed) => return None,
                    Some(Release::Poll) | None => {}
                },
                Turn::Closed | Turn::Take => return None,
            }
            self.wake(wake);
            if timeout.is_some() {
                return self.give_up(me);
            }
        }
    }

    fn poll(&self, timeout: Option<Duration>) -> Kernel {
        let mut kernel = self.kernel.lock().expect("the kernel");
        while timeout.is_none() && !kernel.rung && kernel.arrived.is_empty() {
            kernel = self.wakes.wait(kernel).expect("the kernel");
        }
        std::mem::take(&mut kernel)
    }

    /// The time-out has come: nothing, unless it was released in that very moment.
    fn give_up(&self, me: &Waiter) -> Option<Packet> {
        let mut wake = Vec::new();
        let gone = self.state.lock().expect("the state").withdraw(me, &mut wake);
        self.wake(wake);
        if gone {
            return None;
        }
        loop {
            match me.sleep(None) {
                Some(Release::Packet(packet)) => return Some(packet),
                Some(Release::Closed) => return None,
                Some(Release::Poll) | None => {}
            }
        }
    }

    /// Gives the packet back its place: the thread came back, or waits elsewhere.
    fn stop_running(&self) {
        let mut wake = Vec::new();
        {
            let mut state = self.state.lock().expect("the state");
            state.stop_running();
            state.release(&mut wake);
            state.promote(&mut wake);
        }
        self.wake(wake);
    }

    fn close(&self) {
        let mut wake = Vec::new();
        let packets = self.state.lock().expect("the state").close(&mut wake);
        self.wake(wake);
        drop(packets);
    }

    fn wake(&self, wake: Vec<Wake<Packet, Waiter>>) {
        for one in wake {
            match one {
                Wake::Bell => {
                    self.kernel.lock().expect("the kernel").rung = true;
                    self.wakes.notify_one();
                }
                Wake::Thread(waiter, release) => waiter.release(release),
            }
        }
    }

    /// A worker that takes one packet, and runs with it for a moment.
    fn worker(self: &Arc<Port>, may_run: usize) -> JoinHandle<Option<Packet>> {
        let port = self.clone();
        thread::spawn(move || {
            let packet = port.get(&Waiter::new())?;
            assert!(port.running.fetch_add(1, SeqCst) < may_run, "more run than may");
            port.running.fetch_sub(1, SeqCst);
            port.stop_running();
            Some(packet)
        })
    }
}

fn all(workers: Vec<JoinHandle<Option<Packet>>>) -> Vec<Packet> {
    let mut packets: Vec<_> =
        workers.into_iter().filter_map(|worker| worker.join().expect("a worker")).collect();
    packets.sort_unstable();
    packets
}

/// Two workers, two packets, both may run (CP-18).
pub fn each_packet_goes_to_one_thread() {
    crate::walk(|| {
        let port = Port::new(2, 0);
        let workers = vec![port.worker(2), port.worker(2)];
        port.post(1);
        port.post(2);
        assert_eq!(all(workers), [1, 2]);
    });
}

/// The same where one of them may wait in the kernel.
pub fn each_packet_goes_to_one_thread_with_a_poller() {
    crate::walk(|| {
        let port = Port::new(2, 1);
        let workers = vec![port.worker(2), port.worker(2)];
        port.post(1);
        port.post(2);
        assert_eq!(all(workers), [1, 2]);
    });
}

/// Only one may run, and nobody is forgotten over that (CP-20).
pub fn no_more_run_than_may() {
    crate::walk(|| {
        let port = Port::new(1, 1);
        let workers = vec![port.worker(1), port.worker(1)];
        port.post(1);
        port.post(2);
        assert_eq!(all(workers), [1, 2]);
    });
}

/// One that blocks elsewhere until the other has had its turn frees its place (CP-21).
pub fn a_place_that_is_freed_is_given_to_another() {
    crate::walk(|| {
        let port = Port::new(1, 0);
        let turns = Arc::new((Mutex::new(0), Condvar::new()));
        let workers: Vec<_> = (0..2)
            .map(|_| {
                let (port, turns) = (port.clone(), turns.clone());
                thread::spawn(move || {
                    let packet = port.get(&Waiter::new());
                    port.stop_running();
                    let mut count = turns.0.lock().expect("the turns");
                    *count += 1;
                    turns.1.notify_all();
                    while *count < 2 {
                        count = turns.1.wait(count).expect("the turns");
                    }
                    packet
                })
            })
            .collect();
        port.post(1);
        port.post(2);
        assert_eq!(all(workers), [1, 2]);
    });
}

/// Closing lets every waiter go, with a packet that was before it or without (CP-23).
pub fn closing_lets_everybody_go() {
    crate::walk(|| {
        let port = Port::new(1, 1);
        let workers = vec![port.worker(1), port.worker(1)];
        port.post(1);
        port.close();
        assert!(all(workers).len() <= 1);
    });
}

/// A wait that runs out in the moment of a release does not lose what it was released with.
pub fn a_time_out_loses_no_packet() {
    crate::walk(|| {
        let port = Port::new(1, 0);
        let worker = {
            let port = port.clone();
            thread::spawn(move || {
                let me = Waiter::new();
                // Without one it comes again.
                port.get_within(&me, Some(Duration::ZERO)).or_else(|| port.get(&me))
            })
        };
        port.post(7);
        assert_eq!(worker.join().expect("the worker"), Some(7));
    });
}

/// Who waits in the kernel gives up, and another one goes there: else nobody would learn what arrives.
pub fn a_poller_that_gives_up_is_followed_by_another() {
    crate::walk(|| {
        let port = Port::new(1, 1);
        let poller = Waiter::new();
        let turn = port.state.lock().expect("the state").enter(&poller);
        assert_eq!(turn, Turn::Poll);
        let worker = port.worker(1);
        let gives_up = {
            let port = port.clone();
            thread::spawn(move || {
                if let Some(packet) = port.wait(&poller, turn, Some(Duration::ZERO)) {
                    // It had one all the same.
                    port.post(packet);
                    port.stop_running();
                }
            })
        };
        port.arrive(1);
        gives_up.join().expect("the poller");
        assert_eq!(all(vec![worker]), [1]);
    });
}

/// The same when the only one that may run waits elsewhere (CP-21), or ends.
pub fn one_that_stops_running_is_followed_by_another() {
    crate::walk(|| {
        let port = Port::new(1, 1);
        let workers = vec![port.worker(1), port.worker(1)];
        port.post(1);
        port.arrive(2);
        assert_eq!(all(workers), [1, 2]);
    });
}

/// A word to poll is on its way while its thread gives up, comes again, and is given a packet: the packet stays.
pub fn a_late_word_to_poll_displaces_no_packet() {
    crate::walk(|| {
        let port = Port::new(1, 1);
        let me = Waiter::new();
        {
            // One runs, and one is parked behind it.
            let mut state = port.state.lock().expect("the state");
            state.queue(0);
            assert_eq!(state.enter(&Waiter::new()), Turn::Take);
            assert_eq!(state.take(), Some(0));
            assert_eq!(state.enter(&me), Turn::Park);
        }
        port.arrive(1);
        port.arrive(2);
        let stops = {
            let port = port.clone();
            thread::spawn(move || port.stop_running())
        };
        let worker = {
            let port = port.clone();
            thread::spawn(move || {
                let packet = port.give_up(&me).or_else(|| port.get(&me));
                port.stop_running();
                packet
            })
        };
        let mine = port.get(&Waiter::new());
        port.stop_running();
        stops.join().expect("who ran");
        let mut packets = [mine, worker.join().expect("the worker")];
        packets.sort_unstable();
        assert_eq!(packets, [Some(1), Some(2)]);
    });
}

/// Of two that wait, who came last goes first (CP-19), also where the other one brings the packet out of the kernel.
pub fn who_came_last_goes_first() {
    last_goes_first(1, 1);
}

/// The same where both are in the kernel, which does not know who came last.
pub fn who_came_last_goes_first_whomever_the_kernel_wakes() {
    last_goes_first(2, 2);
}

fn last_goes_first(concurrency: usize, pollers_max: usize) {
    crate::walk(move || {
        let port = Port::new(concurrency, pollers_max);
        let [first, last] = [(); 2].map(|()| {
            let me = Waiter::new();
            let turn = port.state.lock().expect("the state").enter(&me);
            let port = port.clone();
            thread::spawn(move || {
                let packet = port.wait(&me, turn, None);
                if packet == Some(1) {
                    // One at a time, so that it is clear who is meant.
                    port.arrive(2);
                }
                port.stop_running();
                packet
            })
        });
        port.arrive(1);
        assert_eq!(last.join().expect("the last"), Some(1));
        assert_eq!(first.join().expect("the first"), Some(2));
    });
}
