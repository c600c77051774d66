//! The release rule of a port with real threads: each packet goes to one, nobody sleeps over one, and no more run than may.

use super::waiter::Waiter;
use crate::atomic::{AtomicUsize, Ordering::SeqCst};
use crate::port::Packet;
use crate::semantics::port::{PortState, Release, Turn, Wake};
use loom::sync::{Condvar, Mutex};
use loom::thread::{self, JoinHandle};
use std::sync::Arc;

/// A port without sockets, in the steps of `port.rs`. The kernel in which its pollers wait is a bell.
struct Port {
    state: Mutex<PortState<Packet, Waiter>>,
    bell: Mutex<bool>,
    rung: Condvar,
    running: AtomicUsize,
}

impl Port {
    fn new(concurrency: usize, pollers_max: usize) -> Arc<Port> {
        Arc::new(Port {
            state: Mutex::new(PortState::new(concurrency, pollers_max)),
            bell: Mutex::new(false),
            rung: Condvar::new(),
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

    /// None when the port is closed.
    fn get(&self, me: &Waiter) -> Option<Packet> {
        let mut turn = {
            let mut state = self.state.lock().expect("the state");
            let turn = state.enter(me);
            if turn == Turn::Take {
                return state.take();
            }
            turn
        };
        loop {
            let mut wake = Vec::new();
            match turn {
                Turn::Poll => {
                    {
                        let mut bell = self.bell.lock().expect("the bell");
                        while !*bell {
                            bell = self.rung.wait(bell).expect("the bell");
                        }
                        *bell = false;
                    }
                    let mut state = self.state.lock().expect("the state");
                    turn = state.polled(me, true, &mut wake);
                    if turn == Turn::Take {
                        let packet = state.take();
                        state.release(&mut wake);
                        state.promote(&mut wake);
                        drop(state);
                        self.wake(wake);
                        return packet;
                    }
                }
                Turn::Park => match me.sleep(None) {
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
                    *self.bell.lock().expect("the bell") = true;
                    self.rung.notify_one();
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
                let turn = port.state.lock().expect("the state").enter(&me);
                let released = match turn {
                    Turn::Take => port.state.lock().expect("the state").take(),
                    _ => {
                        let mut wake = Vec::new();
                        let gone = port.state.lock().expect("the state").withdraw(&me, &mut wake);
                        port.wake(wake);
                        match gone {
                            true => None,
                            false => match me.sleep(None) {
                                Some(Release::Packet(packet)) => Some(packet),
                                other => panic!("released with {other:?}"),
                            },
                        }
                    }
                };
                // Without one it comes again.
                released.or_else(|| port.get(&Waiter::new()))
            })
        };
        port.post(7);
        assert_eq!(worker.join().expect("the worker"), Some(7));
    });
}
