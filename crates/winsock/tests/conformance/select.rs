//! SE: select with three sets. What wakes a thread that waits stands in a file of its own below.

mod waiting;

use crate::harness::{
    SETTLE, SILENCE, SOON, any, connecting, fails, families, listener, pair, pair_of, promise, readable,
    recv_exactly, recv_to_the_end, refusing, reset, stream, within,
};
use doorbell_winsock::error::{WSAECONNREFUSED, WSAEINVAL, WSAENOTSOCK, WSAEWOULDBLOCK};
use doorbell_winsock::socket::Flags;
use doorbell_winsock::{Family, FdSet, Result, Socket, select};
use std::thread;
use std::time::{Duration, Instant};

const ZERO: Option<Duration> = Some(Duration::ZERO);

/// What one `select` found with the same sockets in all three sets.
#[derive(Debug)]
struct Found {
    total: usize,
    read: FdSet,
    write: FdSet,
    except: FdSet,
}

impl Found {
    fn of(&self, socket: &Socket) -> (bool, bool, bool) {
        (self.read.contains(socket), self.write.contains(socket), self.except.contains(socket))
    }
}

fn look(sockets: &[&Socket], timeout: Option<Duration>) -> Result<Found> {
    let mut read = FdSet::from_iter(sockets.iter().copied());
    let (mut write, mut except) = (read.clone(), read.clone());
    let total = select(Some(&mut read), Some(&mut write), Some(&mut except), timeout)?;
    assert_eq!(total, read.len() + write.len() + except.len(), "SE-01, SE-02");
    Ok(Found { total, read, write, except })
}

/// A non-blocking socket whose connect to `address` is in progress or done.
fn connecting_to(address: std::net::SocketAddr) -> Socket {
    let socket = stream(Family::of(&address));
    socket.set_nonblocking(true).unwrap();
    fails(socket.connect(address), &[WSAEWOULDBLOCK]);
    socket
}

// W test_select.
#[test]
fn se_01_a_socket_ready_in_two_sets_counts_twice() {
    promise(|| {
        for family in families() {
            let (a, b) = pair_of(family);
            a.send(b"x").unwrap();
            readable(&b);
            let found = look(&[&b], ZERO).unwrap();
            assert_eq!((found.total, found.of(&b)), (2, (true, true, false)));
            let found = look(&[&a], ZERO).unwrap();
            assert_eq!((found.total, found.of(&a)), (1, (false, true, false)));
            let found = look(&[&a, &b], ZERO).unwrap();
            assert_eq!(found.total, 3);
        }
    });
}

// D select.
#[test]
fn se_02_each_set_keeps_exactly_its_ready_members() {
    promise(|| {
        let (a, b) = pair();
        let (_c, d) = pair();
        a.send(b"x").unwrap();
        let mut read = FdSet::from_iter([&d, &b]);
        assert_eq!(select(Some(&mut read), None, None, Some(SOON)), Ok(1));
        assert!(read.contains(&b) && !read.contains(&d));
        assert_eq!(read.len(), 1);
        // The members keep their order.
        let (e, f) = pair();
        let mut write = FdSet::from_iter([&f, &a, &e, &b]);
        assert_eq!(select(None, Some(&mut write), None, ZERO), Ok(4));
        assert!(write.iter().eq([&f, &a, &e, &b]));
    });
}

// D FD_SET, FD_CLR, FD_ISSET.
#[test]
fn se_02_a_set_is_a_list() {
    promise(|| {
        let (a, b) = pair();
        let mut set = FdSet::new();
        assert!(set.is_empty() && !set.contains(&a));
        set.insert(&a);
        set.insert(&b);
        set.insert(&a);
        set.remove(&a);
        assert!(set.iter().eq([&b]) && set.len() == 1);
        set.clear();
        assert!(set.is_empty());
    });
}
// D select.
#[test]
fn se_03_on_time_out_all_sets_are_empty() {
    promise(|| {
        let (_a, b) = pair();
        let mut read = FdSet::from_iter([&b]);
        let mut except = read.clone();
        let start = Instant::now();
        let limit = Duration::from_millis(200);
        assert_eq!(select(Some(&mut read), None, Some(&mut except), Some(limit)), Ok(0));
        assert!(start.elapsed() >= limit && read.is_empty() && except.is_empty(), "{:?}", start.elapsed());
    });
}

// D select: a time-out is not cut to whole milliseconds downwards, and a part of one is not a poll for ever.
#[test]
fn se_03_a_short_time_out_is_not_shortened() {
    promise(|| {
        let (_a, b) = pair();
        for limit in [Duration::from_micros(1), Duration::from_micros(1500), Duration::from_millis(20)] {
            let start = Instant::now();
            let mut read = FdSet::from_iter([&b]);
            assert_eq!(select(Some(&mut read), None, None, Some(limit)), Ok(0));
            assert!(start.elapsed() >= limit, "{:?} instead of {limit:?}", start.elapsed());
        }
    });
}

// D select.
#[test]
fn se_04_zero_polls_and_none_waits_for_ever() {
    promise(|| {
        let (a, b) = pair();
        let start = Instant::now();
        for _ in 0..100 {
            assert_eq!(select(Some(&mut FdSet::from_iter([&b])), None, None, ZERO), Ok(0));
        }
        assert!(start.elapsed() < SOON);
        let start = Instant::now();
        let sender = thread::spawn(move || {
            thread::sleep(Duration::from_millis(150));
            a.send(b"x").unwrap();
            a
        });
        assert_eq!(select(Some(&mut FdSet::from_iter([&b])), None, None, None), Ok(1));
        assert!(start.elapsed() >= Duration::from_millis(150));
        drop(sender.join());
    });
}

// W test_select.
#[test]
fn se_05_no_socket_at_all_is_an_error_and_not_a_sleep() {
    promise(|| {
        for timeout in [ZERO, Some(Duration::from_secs(60)), None] {
            let start = Instant::now();
            fails(select(None, None, None, timeout), &[WSAEINVAL]);
            let (mut read, mut write, mut except) = (FdSet::new(), FdSet::new(), FdSet::new());
            let empty = select(Some(&mut read), Some(&mut write), Some(&mut except), timeout);
            fails(empty, &[WSAEINVAL]);
            fails(select(Some(&mut read), None, None, timeout), &[WSAEINVAL]);
            assert!(start.elapsed() < SOON);
        }
    });
}

// W test_select.
#[test]
fn se_06_a_closed_member_is_an_error_and_changes_no_set() {
    promise(|| {
        let (a, b) = pair();
        a.send(b"x").unwrap();
        readable(&b);
        let closed = stream(Family::V4);
        closed.close().unwrap();
        for place in 0..3 {
            let mut sets = [FdSet::from_iter([&b]), FdSet::from_iter([&b]), FdSet::from_iter([&b])];
            sets[place].insert(&closed);
            let [read, write, except] = &mut sets;
            fails(select(Some(read), Some(write), Some(except), Some(SOON)), &[WSAENOTSOCK]);
            for (number, set) in sets.iter().enumerate() {
                assert_eq!(set.len(), if number == place { 2 } else { 1 });
                assert!(set.contains(&b));
            }
            assert!(sets[place].contains(&closed));
        }
        fails(select(Some(&mut FdSet::from_iter([&closed])), None, None, None), &[WSAENOTSOCK]);
    });
}

// D select; W test_select.
#[test]
fn se_07_what_makes_a_socket_readable() {
    promise(|| {
        for family in families() {
            let (a, data) = pair_of(family);
            a.send(b"x").unwrap();
            let (b, ended) = pair_of(family);
            b.close().unwrap();
            let (c, half) = pair_of(family);
            c.shutdown(doorbell_winsock::Shutdown::Send).unwrap();
            let (d, torn) = pair_of(family);
            reset(&d);
            let (listening, address) = listener(family);
            stream(family).connect(address).unwrap();
            let (_e, idle) = pair_of(family);
            let (idle_listener, _) = listener(family);
            for socket in [&data, &ended, &half, &torn, &listening] {
                readable(socket);
            }
            let all = [&idle, &data, &ended, &half, &torn, &listening, &idle_listener];
            let mut read = FdSet::from_iter(all);
            assert_eq!(select(Some(&mut read), None, None, ZERO), Ok(5));
            assert!(read.iter().eq([&data, &ended, &half, &torn, &listening]));
        }
    });
}

// D select; W test_select.
#[test]
fn se_08_what_makes_a_socket_writable() {
    promise(|| {
        for family in families() {
            let (listener, address) = listener(family);
            let socket = connecting_to(address);
            let mut write = FdSet::from_iter([&socket]);
            assert_eq!(select(None, Some(&mut write), None, Some(SOON)), Ok(1));
            assert_eq!(socket.socket_error(), Ok(0));
            let (server, _) = listener.accept().unwrap();
            // Without room it is not writable; with room it is again.
            while socket.send(&[0; 65536]).is_ok() {}
            assert_eq!(select(None, Some(&mut FdSet::from_iter([&socket])), None, Some(SILENCE)), Ok(0));
            let reader = thread::spawn(move || recv_to_the_end(&server).len());
            assert_eq!(select(None, Some(&mut FdSet::from_iter([&socket])), None, Some(SOON)), Ok(1));
            assert!(socket.send(b"x").is_ok());
            socket.close().unwrap();
            reader.join().unwrap();
        }
    });
}

// W test_select.
#[test]
fn se_09_a_failed_connect_is_in_the_except_set_alone() {
    promise(|| {
        for family in families() {
            let (_held, nobody) = refusing(family);
            let socket = connecting_to(nobody);
            let mut except = FdSet::from_iter([&socket]);
            let mut write = except.clone();
            assert_eq!(select(None, Some(&mut write), Some(&mut except), Some(SOON)), Ok(1));
            assert!(except.contains(&socket) && write.is_empty());
            // It stays so, and one that is under way is in no set.
            let (under_way, _address, _keep) = connecting();
            let found = look(&[&socket, &under_way], ZERO).unwrap();
            assert_eq!((found.of(&socket).1, found.of(&socket).2), (false, true));
            assert_eq!(found.of(&under_way), (false, false, false));
        }
    });
}

// W test_select.
#[test]
fn se_10_the_reason_of_a_failed_connect_can_be_read_again() {
    promise(|| {
        for family in families() {
            let (_held, nobody) = refusing(family);
            let socket = connecting_to(nobody);
            assert_eq!(select(None, None, Some(&mut FdSet::from_iter([&socket])), Some(SOON)), Ok(1));
            for _ in 0..3 {
                assert_eq!(socket.socket_error(), Ok(WSAECONNREFUSED));
            }
            // Reading it takes the socket out of no set.
            assert_eq!(select(None, None, Some(&mut FdSet::from_iter([&socket])), ZERO), Ok(1));
            let (_listener, address) = listener(family);
            fails(socket.connect(address), &[WSAEWOULDBLOCK]);
            assert_eq!(select(None, Some(&mut FdSet::from_iter([&socket])), None, Some(SOON)), Ok(1));
            assert_eq!(socket.socket_error(), Ok(0));
            assert_eq!(look(&[&socket], ZERO).unwrap().of(&socket), (false, true, false));
        }
    });
}

// W test_select.
#[test]
fn se_11_a_stream_without_a_connection_is_in_no_set() {
    promise(|| {
        for family in families() {
            let fresh = stream(family);
            let bound = stream(family);
            bound.bind(any(family)).unwrap();
            let start = Instant::now();
            assert_eq!(look(&[&fresh, &bound], Some(SILENCE)).unwrap().total, 0);
            assert!(start.elapsed() >= SILENCE);
            // Beside one that is ready they are not found either.
            let (a, _b) = pair_of(family);
            let found = look(&[&fresh, &a, &bound], Some(SOON)).unwrap();
            assert_eq!((found.total, found.of(&a)), (1, (false, true, false)));
        }
    });
}

// W test_select: a socket that becomes connected while it is waited for is found.
#[test]
fn se_11_and_is_found_once_it_connects() {
    promise(|| {
        let (listener, address) = listener(Family::V4);
        let fresh = stream(Family::V4);
        let connector = {
            let fresh = fresh.clone();
            thread::spawn(move || {
                thread::sleep(SETTLE);
                fresh.connect(address)
            })
        };
        let found = within(SOON, || {
            select(None, Some(&mut FdSet::from_iter([&fresh])), None, Some(SILENCE)) == Ok(1)
        });
        assert!(found);
        connector.join().unwrap().unwrap();
        drop(listener);
    });
}

// W test_tcp_reset.
#[test]
fn se_12_a_reset_is_readable_and_writable_and_no_exception() {
    promise(|| {
        for family in families() {
            let (a, b) = pair_of(family);
            reset(&a);
            readable(&b);
            for _ in 0..2 {
                assert_eq!(look(&[&b], ZERO).unwrap().of(&b), (true, true, false));
            }
        }
    });
}

// W test_select.
#[test]
fn se_13_a_listener_is_never_writable() {
    promise(|| {
        for family in families() {
            let (listener, address) = listener(family);
            assert_eq!(look(&[&listener], Some(SILENCE)).unwrap().total, 0);
            let _client = {
                let client = stream(family);
                client.connect(address).unwrap();
                client
            };
            readable(&listener);
            let found = look(&[&listener], ZERO).unwrap();
            assert_eq!((found.total, found.of(&listener)), (1, (true, false, false)));
        }
    });
}

// W test_select.
#[test]
fn se_14_the_same_socket_twice_counts_once() {
    promise(|| {
        let (a, b) = pair();
        let mut write = FdSet::from_iter([&a, &b, &a, &a.clone()]);
        assert_eq!(select(None, Some(&mut write), None, ZERO), Ok(2));
        assert!(write.iter().eq([&a, &b]), "{write:?}");
        // A duplicate is another socket, and so is the same one in another set.
        let twin = a.duplicate().unwrap();
        b.send(b"x").unwrap();
        readable(&a);
        let mut read = FdSet::from_iter([&a, &twin, &a]);
        let mut write = FdSet::from_iter([&twin, &a, &twin]);
        assert_eq!(select(Some(&mut read), Some(&mut write), None, ZERO), Ok(4));
        assert!(read.iter().eq([&a, &twin]) && write.iter().eq([&twin, &a]));
    });
}

// W test_select; D maximum number of sockets supported.
#[test]
fn se_15_a_set_holds_far_more_than_64_sockets() {
    promise(|| {
        let pairs: Vec<(Socket, Socket)> = (0..70).map(|_| pair()).collect();
        let all = || pairs.iter().flat_map(|(a, b)| [a, b]);
        let mut write = FdSet::from_iter(all());
        assert_eq!(select(None, Some(&mut write), None, ZERO), Ok(140));
        assert!(write.iter().eq(all()));
        // The last one is found as well as the first.
        for number in [0, 63, 64, 69] {
            pairs[number].0.send(b"x").unwrap();
            let mut read = FdSet::from_iter(all());
            assert_eq!(select(Some(&mut read), None, None, Some(SOON)), Ok(1));
            assert!(read.contains(&pairs[number].1));
            assert_eq!(pairs[number].1.recv(&mut [0; 4]), Ok(1));
        }
    });
}

// W test_select.
#[test]
fn se_19_out_of_band_data_is_an_exception() {
    promise(|| {
        for family in families() {
            let (a, b) = pair_of(family);
            a.send_with(b"!", Flags::OUT_OF_BAND).unwrap();
            let mut except = FdSet::from_iter([&b]);
            assert_eq!(select(None, None, Some(&mut except), Some(SOON)), Ok(1));
            assert_eq!(look(&[&b], ZERO).unwrap().of(&b), (false, true, true));
            let mut byte = [0; 1];
            assert_eq!(b.recv_with(&mut byte, Flags::OUT_OF_BAND), Ok(1));
            assert_eq!(&byte, b"!");
            assert!(!look(&[&b], ZERO).unwrap().of(&b).2);
            // The stream beside it is untouched.
            a.send(b"x").unwrap();
            assert_eq!(recv_exactly(&b, 1), b"x");
        }
    });
}

// W test_select.
#[test]
fn se_19_out_of_band_data_in_line_is_data() {
    promise(|| {
        let (a, b) = pair();
        b.set_oob_inline(true).unwrap();
        assert_eq!(b.oob_inline(), Ok(true));
        a.send_with(b"!", Flags::OUT_OF_BAND).unwrap();
        readable(&b);
        assert_eq!(look(&[&b], ZERO).unwrap().of(&b), (true, true, false));
        assert_eq!(recv_exactly(&b, 1), b"!");
    });
}
