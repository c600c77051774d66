use super::super::os::poll::{POLLIN, poll, pollfd};
use super::wait;
use crate::error::{ERROR_INVALID_HANDLE, ERROR_INVALID_PARAMETER};
use crate::event_select::{Event, NetEvents, Wait};
use crate::overlapped::{IoBuf, IoBufMut, Segment, Segments, ToEvent, ToPort};
use crate::routine::{Alertable, ThreadHandle};
use crate::socket::{Family, Flags, Kind, Socket};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

const SOON: Option<Duration> = Some(Duration::from_secs(5));
const NOW: Option<Duration> = Some(Duration::ZERO);
/// Long enough for a thread to have begun its wait.
const SETTLE: Duration = Duration::from_millis(50);

fn any(events: &[Event], timeout: Option<Duration>) -> Result<Wait, i32> {
    wait(events, false, timeout, Alertable::No)
}

fn all(events: &[Event], timeout: Option<Duration>) -> Result<Wait, i32> {
    wait(events, true, timeout, Alertable::No)
}

fn events<const N: usize>() -> [Event; N] {
    std::array::from_fn(|_| Event::new().unwrap())
}

#[test]
fn a_reset_that_follows_at_once_takes_nothing_away() {
    let pair = events::<2>();
    for for_all in [false, true] {
        thread::scope(|scope| {
            let waiter = scope.spawn(|| wait(&pair, for_all, SOON, Alertable::No));
            thread::sleep(SETTLE);
            if for_all {
                pair[0].set().unwrap();
            }
            pair[1].set().unwrap();
            pair[1].reset().unwrap();
            assert!(matches!(waiter.join().unwrap(), Ok(Wait::Index(_))));
        });
        pair[0].reset().unwrap();
    }
}

#[test]
fn each_set_of_an_auto_reset_event_lets_one_wait_through() {
    const SETS: usize = 2000;
    let event = Event::auto_reset().unwrap();
    let taken = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let both = [Event::auto_reset().unwrap(), event.clone()];
                while taken.load(SeqCst) < SETS {
                    if any(&both, Some(Duration::from_millis(20))) == Ok(Wait::Index(1)) {
                        taken.fetch_add(1, SeqCst);
                    }
                }
            });
        }
        let deadline = Instant::now() + Duration::from_secs(20);
        for set in 0..SETS {
            event.set().unwrap();
            // A set of an event that is set is none.
            while taken.load(SeqCst) <= set {
                assert!(Instant::now() < deadline, "{} of {SETS} were taken", taken.load(SeqCst));
                thread::yield_now();
            }
        }
    });
    assert_eq!(taken.load(SeqCst), SETS);
    assert_eq!(any(&[event], NOW), Ok(Wait::TimedOut));
}

#[test]
fn the_lowest_of_those_that_are_set_and_no_other() {
    let three: [Event; 3] = std::array::from_fn(|_| Event::auto_reset().unwrap());
    three[2].set().unwrap();
    three[1].set().unwrap();
    assert_eq!(any(&three, NOW), Ok(Wait::Index(1)));
    assert_eq!(any(&three, SOON), Ok(Wait::Index(2)));
    assert_eq!(any(&three, NOW), Ok(Wait::TimedOut));
}

#[test]
fn a_wait_for_all_takes_all_or_nothing() {
    let pair = [Event::auto_reset().unwrap(), Event::auto_reset().unwrap()];
    pair[0].set().unwrap();
    assert_eq!(all(&pair, NOW), Ok(Wait::TimedOut));
    assert_eq!(all(&pair, Some(Duration::from_millis(20))), Ok(Wait::TimedOut));
    pair[1].set().unwrap();
    assert_eq!(all(&pair, NOW), Ok(Wait::Index(0)));
    assert_eq!(any(&pair, NOW), Ok(Wait::TimedOut));
}

#[test]
fn threads_that_wait_for_all_of_the_same_share_them_fairly() {
    const ROUNDS: usize = 500;
    let pair = [Event::auto_reset().unwrap(), Event::auto_reset().unwrap()];
    let turned = [pair[1].clone(), pair[0].clone()];
    let taken = AtomicUsize::new(0);
    thread::scope(|scope| {
        for order in [&pair, &turned] {
            scope.spawn(|| {
                while taken.load(SeqCst) < ROUNDS {
                    if all(order, Some(Duration::from_millis(20))) == Ok(Wait::Index(0)) {
                        taken.fetch_add(1, SeqCst);
                    }
                }
            });
        }
        let deadline = Instant::now() + Duration::from_secs(20);
        for round in 0..ROUNDS {
            pair.iter().for_each(|event| event.set().unwrap());
            while taken.load(SeqCst) <= round {
                assert!(Instant::now() < deadline, "{} of {ROUNDS} were taken", taken.load(SeqCst));
                thread::yield_now();
            }
        }
    });
    assert_eq!(taken.load(SeqCst), ROUNDS);
}

#[test]
fn what_is_no_wait_is_refused() {
    let two = events::<2>();
    assert_eq!(any(&[], NOW), Err(ERROR_INVALID_PARAMETER));
    assert_eq!(any(&vec![two[0].clone(); 65], NOW), Err(ERROR_INVALID_PARAMETER));
    assert_eq!(all(&[two[0].clone(), two[0].clone()], NOW), Err(ERROR_INVALID_PARAMETER));
    assert_eq!(any(&[two[0].clone(), two[0].clone()], NOW), Ok(Wait::TimedOut));
    two[0].close().unwrap();
    two[1].set().unwrap();
    assert_eq!(any(&two, NOW), Err(ERROR_INVALID_HANDLE));
    assert_eq!(two[0].set().unwrap_err().code(), ERROR_INVALID_HANDLE);
    assert_eq!(two[0].close().unwrap_err().code(), ERROR_INVALID_HANDLE);
}

#[test]
fn an_array_that_changes_between_waits_leaves_no_name_behind() {
    let many = events::<5>();
    let soon = Some(Duration::from_millis(5));
    for _ in 0..3 {
        assert_eq!(any(&many, soon), Ok(Wait::TimedOut));
        assert_eq!(any(&many[3..], soon), Ok(Wait::TimedOut));
    }
    thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(SETTLE);
            many[0].set().unwrap();
            thread::sleep(SETTLE);
            many[4].set().unwrap();
        });
        assert_eq!(any(&many[3..], SOON), Ok(Wait::Index(1)));
    });
}

#[test]
fn an_apc_that_sets_the_awaited_event_is_told_first() {
    let event = Event::new().unwrap();
    let me = ThreadHandle::current().unwrap();
    let set = event.clone();
    me.queue_apc(move || set.set().unwrap()).unwrap();
    let one = [event];
    assert_eq!(any(&one, NOW), Ok(Wait::TimedOut));
    assert_eq!(wait(&one, false, SOON, Alertable::Yes), Ok(Wait::IoCompletion));
    assert_eq!(wait(&one, false, SOON, Alertable::Yes), Ok(Wait::Index(0)));
}

#[test]
fn an_apc_wakes_an_alertable_wait_and_no_other() {
    let one = events::<1>();
    let (tell, told) = mpsc::channel();
    thread::scope(|scope| {
        let waiter = scope.spawn(|| {
            tell.send(ThreadHandle::current().unwrap()).unwrap();
            let plain = any(&one, Some(Duration::from_millis(200)));
            (plain, wait(&one, false, SOON, Alertable::Yes))
        });
        let handle = told.recv().unwrap();
        thread::sleep(SETTLE);
        handle.queue_apc(|| ()).unwrap();
        assert_eq!(waiter.join().unwrap(), (Ok(Wait::TimedOut), Ok(Wait::IoCompletion)));
        assert!(handle.queue_apc(|| ()).is_err(), "the thread is gone");
    });
}

#[test]
fn closing_an_event_of_an_earlier_wait_does_not_end_a_wait_for_all_of_others() {
    let [earlier, now] = events::<2>();
    let now = [now];
    thread::scope(|scope| {
        let waiter = scope.spawn(|| {
            assert_eq!(
                any(std::slice::from_ref(&earlier), Some(Duration::from_millis(1))),
                Ok(Wait::TimedOut)
            );
            all(&now, SOON)
        });
        thread::sleep(SETTLE);
        earlier.close().unwrap();
        thread::sleep(SETTLE);
        now[0].set().unwrap();
        assert_eq!(waiter.join().unwrap(), Ok(Wait::Index(0)));
    });
}

#[test]
fn a_foreign_loop_hears_of_its_sockets_before_anybody_has_set_the_event() {
    let (near, far) = pair();
    let event = Event::new().unwrap();
    let waitable = event.waitable().unwrap();
    // The set in which the socket is comes after the waitable.
    near.event_select(Some(&event), NetEvents::READ).unwrap();
    let until = Instant::now() + Duration::from_secs(5);
    loop {
        far.send(b"ding").unwrap();
        poll(&mut [pollfd { fd: waitable.as_raw_fd(), events: POLLIN, revents: 0 }], Some(until)).unwrap();
        let by_itself = !event.sys.object().is_set();
        assert_eq!(any(std::slice::from_ref(&event), SOON), Ok(Wait::Index(0)));
        if by_itself {
            return;
        }
        // The guard was quicker; so it always is where it alone looks after the sockets of such a thread.
        assert!(Instant::now() < until, "the loop hears of nothing but the event");
        near.enum_network_events(Some(&event)).unwrap();
        near.recv(&mut [0; 16]).unwrap();
    }
}

/// A buffer that waits for an event of its own when it is dropped, and before or behind that sets those of the wait in
/// which it is.
struct Waits {
    byte: Box<u8>,
    events: [Event; 2],
    sets_first: bool,
    dropped_by: mpsc::Sender<thread::ThreadId>,
}

// SAFETY: the byte lies on the heap and is nobody else's.
unsafe impl IoBuf for Waits {
    fn segments(&mut self) -> Segments {
        Segments::One(Segment::new(&mut *self.byte, 1))
    }
}
// SAFETY: it may be written.
unsafe impl IoBufMut for Waits {}

impl Drop for Waits {
    fn drop(&mut self) {
        let set = || self.events.iter().for_each(|event| event.set().unwrap());
        if self.sets_first {
            set();
        }
        let mine = Event::new().unwrap();
        for for_all in [false, true] {
            let waited =
                wait(std::slice::from_ref(&mine), for_all, Some(Duration::from_millis(5)), Alertable::No);
            assert_eq!(waited, Ok(Wait::TimedOut));
        }
        if !self.sets_first {
            set();
        }
        self.dropped_by.send(thread::current().id()).unwrap();
    }
}

#[test]
fn a_buffer_that_waits_as_it_is_dropped_takes_nothing_from_the_wait_that_drops_it() {
    for (for_all, sets_first) in [(false, true), (false, false), (true, true), (true, false)] {
        let (near, far) = pair();
        let events: [Event; 2] = std::array::from_fn(|_| Event::auto_reset().unwrap());
        let (dropped_by, dropper) = mpsc::channel();
        let buffer = Waits { byte: Box::new(0), events: events.clone(), sets_first, dropped_by };
        // The first brings the socket to this thread's home; nobody wants the end of the second.
        let op = near.recv_overlapped(vec![0; 1], Flags::NONE, ToEvent(&Event::new().unwrap())).unwrap();
        near.recv_overlapped(buffer, Flags::NONE, ToPort).unwrap();
        let sender = thread::spawn(move || {
            thread::sleep(SETTLE);
            far.send(b"12").unwrap();
            far
        });
        let waited = wait(&events, for_all, SOON, Alertable::No);
        assert_eq!(waited, Ok(Wait::Index(0)), "for all: {for_all}, set first: {sets_first}");
        assert_eq!(dropper.recv().unwrap(), thread::current().id());
        // Each was taken once.
        let left = if for_all { Wait::TimedOut } else { Wait::Index(0) };
        assert_eq!(any(&events[1..], NOW), Ok(left));
        assert_eq!(any(&events, NOW), Ok(Wait::TimedOut));
        assert_eq!(op.take().result(), Ok(1));
        sender.join().unwrap();
    }
}

fn pair() -> (Socket, Socket) {
    let listener = Socket::new(Family::V4, Kind::Stream).unwrap();
    listener.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    listener.listen(1).unwrap();
    let one = Socket::new(Family::V4, Kind::Stream).unwrap();
    one.connect(listener.local_addr().unwrap()).unwrap();
    (one, listener.accept().unwrap().0)
}
