//! CR: what a start with a routine refuses, and what can be asked before the routine ran.

use super::{Ran, alertably, until};
use crate::harness::{
    Counted, NOTHING, SILENCE, SOON, datagram, fails, listener, next_end, no_packet, pair, pending,
    port_with, promise, recv_pending, refused, started, stream, within,
};
use doorbell_winsock::error::{
    ERROR_NOT_FOUND, WSA_IO_INCOMPLETE, WSA_OPERATION_ABORTED, WSAEINVAL, WSAENOTCONN,
};
use doorbell_winsock::overlapped::{ToPort, ToRoutine};
use doorbell_winsock::socket::Flags;
use doorbell_winsock::{Family, Socket, Wait};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

// W test_WSARecv; WN test_file_io_completion.
#[test]
fn cr_17_a_socket_of_a_port_has_no_routines() {
    promise(|| {
        let (a, b) = pair();
        let (listener, address) = listener(Family::V4);
        let (client, accept) = (stream(Family::V4), Socket::for_accept(Family::V4).unwrap());
        let (d, d_name) = datagram(Family::V4);
        let port = port_with(&[(&b, 1), (&listener, 2), (&client, 3), (&d, 4)]);
        let drops = Arc::new(AtomicUsize::new(0));
        for _ in 0..2 {
            let held = Counted::new(1, &drops);
            let never = ToRoutine(move |_| drop(held));
            assert_eq!(refused(b.recv_overlapped(vec![5; 3], Flags::NONE, never), &[WSAEINVAL]), [5; 3]);
            refused(b.send_overlapped(vec![5; 3], ToRoutine(|_| panic!("it ran"))), &[WSAEINVAL]);
            // Nor has any other kind of operation.
            let never = || ToRoutine(|_| panic!("it ran"));
            refused(listener.accept_ex(&accept, NOTHING, never()), &[WSAEINVAL]);
            refused(client.connect_ex(address, NOTHING, never()), &[WSAEINVAL]);
            refused(d.recv_from_overlapped(vec![0; 3], Flags::NONE, never()), &[WSAEINVAL]);
            refused(d.send_to_overlapped(vec![0; 3], d_name, never()), &[WSAEINVAL]);
        }
        assert_eq!(drops.load(Ordering::SeqCst), 2, "a routine that was refused is dropped");
        assert_eq!(alertably(SILENCE), Ok(Wait::TimedOut));
        no_packet(&port);
        // The port is as it was, and the peer got nothing.
        let id = recv_pending(&b, 4);
        a.send(b"x").unwrap();
        assert_eq!(next_end(&port).id(), id);
        assert_eq!((a.bytes_available(), d.bytes_available()), (Ok(0), Ok(0)));
        // And the accept socket is still free.
        let id = pending(listener.accept_ex(&accept, NOTHING, ToPort));
        started(client.connect_ex(address, NOTHING, ToPort));
        let ends = [next_end(&port), next_end(&port)];
        assert!(ends.iter().any(|end| end.id() == id) && ends.iter().all(|end| end.result() == Ok(0)));
    });
}

// D WSARecv: refused at once, never told; see also OV-03.
#[test]
fn cr_18_the_routine_of_a_refused_operation_never_runs() {
    promise(|| {
        let fresh = stream(Family::V4);
        let drops = Arc::new(AtomicUsize::new(0));
        for number in 1..=5 {
            let held = Counted::new(1, &drops);
            let never = ToRoutine(move |_| panic!("it ran with {held:?}"));
            let buffer = refused(fresh.recv_overlapped(vec![7; 3], Flags::NONE, never), &[WSAENOTCONN]);
            assert_eq!(buffer, [7; 3]);
            assert_eq!(drops.load(Ordering::SeqCst), number);
        }
        assert_eq!(alertably(SILENCE), Ok(Wait::TimedOut));
    });
}

// D WSAGetOverlappedResult; P8.
#[test]
fn cr_19_the_result_may_be_asked_before_the_routine_ran() {
    promise(|| {
        let (a, b) = pair();
        let ran = Ran::default();
        let (id, behind) = (ran.receive(&b, 4).id, ran.receive(&b, 4).id);
        for _ in 0..3 {
            fails(b.routine_result(id), &[WSA_IO_INCOMPLETE]);
        }
        a.send(b"xy").unwrap();
        assert!(within(SOON, || b.routine_result(id).is_ok()));
        for _ in 0..3 {
            assert_eq!(b.routine_result(id), Ok(2));
        }
        fails(b.routine_result(behind), &[WSA_IO_INCOMPLETE]);
        assert_eq!(ran.count(), 0, "asking ran it");
        assert_eq!(alertably(SOON), Ok(Wait::IoCompletion));
        let end = ran.only();
        assert_eq!((end.id(), end.result()), (id, Ok(2)));
        fails(b.routine_result(id), &[ERROR_NOT_FOUND]);
        // A failure is final as well.
        b.cancel(Some(behind)).unwrap();
        assert!(within(SOON, || b.routine_result(behind).is_err_and(|e| e.code() == WSA_OPERATION_ABORTED)));
        assert_eq!(alertably(SOON), Ok(Wait::IoCompletion));
        fails(b.routine_result(behind), &[ERROR_NOT_FOUND]);
    });
}

// D WSAGetOverlappedResult: another thread knows nothing of it.
#[test]
fn cr_19_only_the_starter_knows_its_operations() {
    promise(|| {
        let (a, b) = pair();
        let ran = Ran::default();
        let id = ran.receive(&b, 4).id;
        let other = b.clone();
        fails(thread::spawn(move || other.routine_result(id)).join().unwrap(), &[ERROR_NOT_FOUND]);
        a.send(b"x").unwrap();
        until(&ran, 1);
    });
}
