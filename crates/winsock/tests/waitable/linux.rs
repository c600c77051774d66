#![cfg(target_os = "linux")]
//! The foreign loop of Linux, `poll(2)`, and what a descriptor alone promises.

use crate::{OfEvent, OfQueue, SILENCE, SOON, found, is_quiet, pair, wakes};
use doorbell_winsock::error::ERROR_INVALID_HANDLE;
use doorbell_winsock::overlapped::ToEvent;
use doorbell_winsock::routine::Alertable;
use doorbell_winsock::socket::Flags;
use doorbell_winsock::{Event, MessageQueue, Wait, wait_all, wait_any};
use rustix::event::{PollFd, PollFlags, Timespec, epoll, poll};
use rustix::io::Errno;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd};
use std::thread;
use std::time::{Duration, Instant};

impl OfEvent {
    pub(crate) fn wait(&self, timeout: Duration) -> bool {
        is_readable(self.waitable.as_fd(), timeout)
    }
}

impl OfQueue {
    pub(crate) fn new(queue: &MessageQueue) -> OfQueue {
        OfQueue { waitable: Some(queue.waitable().unwrap()) }
    }

    pub(crate) fn wait(&self, timeout: Duration) -> bool {
        self.waitable.as_ref().is_some_and(|waitable| is_readable(waitable.as_fd(), timeout))
    }
}

fn is_readable(fd: BorrowedFd<'_>, timeout: Duration) -> bool {
    let until = Instant::now() + timeout;
    loop {
        let left = Timespec::try_from(until.saturating_duration_since(Instant::now())).unwrap();
        match poll(&mut [PollFd::from_borrowed_fd(fd, PollFlags::IN)], Some(&left)) {
            Ok(ready) => return ready > 0,
            // An operation that this thread handed over to the ring has ended.
            Err(Errno::INTR) => {}
            Err(error) => panic!("poll: {error}"),
        }
    }
}

#[test]
fn whoever_takes_an_auto_reset_event_takes_the_hint_as_well() {
    let pair = [Event::auto_reset().unwrap(), Event::auto_reset().unwrap()];
    let outside = OfEvent { waitable: pair[0].waitable().unwrap() };
    for _ in 0..3 {
        // 1. A wait that asks.
        pair[0].set().unwrap();
        assert!(outside.wait(SOON));
        assert!(found(&pair[0]));
        assert!(!outside.wait(Duration::ZERO));
        // 2. A wait for all.
        pair[0].set().unwrap();
        pair[1].set().unwrap();
        assert!(outside.wait(SOON));
        assert_eq!(wait_all(&pair, Some(Duration::ZERO), Alertable::No), Ok(Wait::Index(0)));
        assert!(!outside.wait(Duration::ZERO));
        // 3. A thread that stands in its wait: the set is for it, or else for who asks.
        let theirs = pair[0].clone();
        let waiter = thread::spawn(move || wait_any(&[theirs], Some(SOON), Alertable::No));
        thread::sleep(SILENCE);
        pair[0].set().unwrap();
        assert_eq!(waiter.join().unwrap(), Ok(Wait::Index(0)));
        assert!(!outside.wait(Duration::ZERO));
        is_quiet(|time| outside.wait(time), || found(&pair[0]));
    }
}

#[test]
fn a_closed_event_wakes_the_loop_and_fails() {
    let event = Event::new().unwrap();
    let outside = OfEvent { waitable: event.waitable().unwrap() };
    event.close().unwrap();
    assert!(outside.wait(SOON));
    let asked = wait_any(&[event], Some(Duration::ZERO), Alertable::No);
    assert_eq!(asked.unwrap_err().code(), ERROR_INVALID_HANDLE);
}

/// As a library would that has an epoll set of its own, and another one around it.
#[test]
fn it_can_be_nested_in_a_foreign_set() {
    let (near, far) = pair();
    let event = Event::new().unwrap();
    let waitable = event.waitable().unwrap();
    near.event_select(Some(&Event::new().unwrap()), doorbell_winsock::NetEvents::WRITE).unwrap();
    let (inner, outer) = (set(), set());
    for (holder, fd) in [(&inner, waitable.as_fd()), (&outer, inner.as_fd())] {
        epoll::add(holder, fd, epoll::EventData::new_u64(7), epoll::EventFlags::IN).unwrap();
    }
    let wait = |time: Duration| {
        let time = Timespec::try_from(time).unwrap();
        let mut events = [const { MaybeUninit::<epoll::Event>::uninit() }; 4];
        epoll::wait(&outer, &mut events, Some(&time)).is_ok_and(|(events, _)| !events.is_empty())
    };
    for _ in 0..3 {
        let receive = near.recv_overlapped(vec![0; 16], Flags::NONE, ToEvent(&event)).unwrap();
        is_quiet(wait, || found(&event));
        far.send(b"ding").unwrap();
        // A signal ends the wait early, which is told by nothing being there.
        wakes(|time| wait(time) || !found(&event), || found(&event));
        assert_eq!(receive.take().result(), Ok(4));
    }
}

fn set() -> std::os::fd::OwnedFd {
    epoll::create(epoll::CreateFlags::CLOEXEC).unwrap()
}
