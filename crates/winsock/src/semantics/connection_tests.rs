use super::*;
use crate::error::WSAECONNREFUSED;
use proptest::prelude::*;

fn peer() -> SocketAddr {
    ([127, 0, 0, 1], 7).into()
}

fn connected() -> Connection {
    let mut connection = Connection::new(Kind::Stream);
    connection.connected(peer());
    connection
}

const EVERYTHING: Raw = Raw { readable: true, writable: true, urgent: true, ended: true };

#[test]
fn a_fresh_stream_refuses_transfer_and_is_ready_for_nothing() {
    let fresh = Connection::new(Kind::Stream);
    assert_eq!(fresh.may_receive(), Err(WSAENOTCONN));
    assert_eq!(fresh.may_send(), Err(WSAENOTCONN));
    assert_eq!(fresh.may_shutdown(), Err(WSAENOTCONN));
    assert_eq!(fresh.may_listen(), Err(WSAEINVAL));
    assert_eq!(fresh.may_accept(), Err(WSAEINVAL));
    assert_eq!(fresh.readiness(EVERYTHING, false), Readiness::default());
}

#[test]
fn a_failed_connect_is_remembered_until_one_succeeds() {
    let mut connection = Connection::new(Kind::Stream);
    connection.connecting();
    assert_eq!(connection.may_connect(), Err(WSAEALREADY));
    connection.connect_failed(WSAECONNREFUSED);
    assert_eq!([connection.socket_error(), connection.socket_error()], [WSAECONNREFUSED; 2]);
    assert_eq!(connection.readiness(EVERYTHING, false), Readiness { except: true, ..Readiness::default() });
    assert_eq!(connection.may_connect(), Ok(()));
    connection.connected(peer());
    assert_eq!(connection.socket_error(), 0);
    assert_eq!(connection.may_connect(), Err(WSAEISCONN));
}

#[test]
fn a_reset_is_told_again_and_again_and_the_first_cause_wins() {
    let mut connection = connected();
    connection.failed(WSAECONNRESET);
    connection.failed(WSAECONNABORTED);
    assert_eq!(connection.may_receive(), Err(WSAECONNRESET));
    assert_eq!(connection.may_send(), Err(WSAECONNRESET));
    assert_eq!(connection.peer(), Ok(peer()));
    let ready = connection.readiness(Raw::default(), false);
    assert_eq!(ready, Readiness { read: true, write: true, except: false });
}

#[test]
fn each_direction_is_shut_on_its_own() {
    let mut connection = connected();
    connection.shut(Shutdown::Receive);
    assert_eq!((connection.may_receive(), connection.may_send()), (Err(WSAESHUTDOWN), Ok(())));
    assert!(!connection.is_shut(Shutdown::Both));
    connection.shut(Shutdown::Send);
    assert_eq!(connection.may_send(), Err(WSAESHUTDOWN));
    assert!(connection.is_shut(Shutdown::Both));
}

#[test]
fn urgent_data_is_exceptional_unless_inline() {
    let urgent = Raw { urgent: true, ..Raw::default() };
    assert!(connected().readiness(urgent, false).except);
    assert_eq!(connected().readiness(urgent, true), Readiness { read: true, ..Readiness::default() });
}

#[test]
fn a_datagram_socket_sends_to_anybody_and_receives_when_bound() {
    let mut datagrams = Connection::new(Kind::Datagram);
    assert_eq!(datagrams.may_send(), Err(WSAENOTCONN));
    assert_eq!(datagrams.may_send_to(), Ok(()));
    assert_eq!(datagrams.may_receive(), Err(WSAEINVAL));
    assert_eq!(datagrams.may_listen(), Err(WSAEOPNOTSUPP));
    datagrams.bound();
    datagrams.failed(WSAECONNRESET);
    assert_eq!(datagrams.may_receive(), Ok(()));
    datagrams.connected(peer());
    assert_eq!((datagrams.may_send(), datagrams.may_connect()), (Ok(()), Ok(())));
    datagrams.disconnected();
    assert_eq!(datagrams.peer(), Err(WSAENOTCONN));
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Bind,
    Listen,
    Connect,
    Succeed,
    Fail(i32),
    Break(i32),
    Shut(Shutdown),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        Just(Step::Bind),
        Just(Step::Listen),
        Just(Step::Connect),
        Just(Step::Succeed),
        Just(Step::Fail(WSAECONNREFUSED)),
        prop_oneof![Just(WSAECONNRESET), Just(WSAECONNABORTED), Just(WSAEINVAL)].prop_map(Step::Break),
        prop_oneof![Just(Shutdown::Receive), Just(Shutdown::Send), Just(Shutdown::Both)].prop_map(Step::Shut),
    ]
}

fn raw() -> impl Strategy<Value = Raw> {
    (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>())
        .prop_map(|(readable, writable, urgent, ended)| Raw { readable, writable, urgent, ended })
}

proptest! {
    // Only steps that the machine allows are taken, as a column does it.
    #[test]
    fn whatever_happens_the_promises_hold(steps in proptest::collection::vec(step(), 0..30), raw in raw()) {
        let mut connection = Connection::new(Kind::Stream);
        let mut broken_by = 0;
        for step in steps {
            match step {
                Step::Bind if connection.may_bind().is_ok() => connection.bound(),
                Step::Listen if connection.may_listen().is_ok() => connection.listening(),
                Step::Connect if connection.may_connect().is_ok() => connection.connecting(),
                Step::Succeed if connection.phase() == Phase::Connecting => connection.connected(peer()),
                Step::Fail(code) if connection.phase() == Phase::Connecting => connection.connect_failed(code),
                Step::Break(code) if connection.phase() == Phase::Connected => {
                    connection.failed(code);
                    if broken_by == 0 && code != WSAEINVAL {
                        broken_by = code;
                    }
                }
                Step::Shut(how) if connection.may_shutdown().is_ok() => connection.shut(how),
                _ => {}
            }
            let ready = connection.readiness(raw, false);
            match connection.phase() {
                Phase::Connected => {
                    prop_assert_eq!(connection.socket_error(), broken_by);
                    if !connection.is_shut(Shutdown::Send) {
                        prop_assert_eq!(connection.may_send().err().unwrap_or(0), broken_by);
                    }
                    prop_assert!(connection.peer().is_ok());
                }
                Phase::Failed(code) => {
                    prop_assert_eq!(connection.socket_error(), code);
                    prop_assert!(ready.except && !ready.write && !ready.read);
                }
                Phase::Listening => prop_assert!(!ready.write && !ready.except && connection.is_bound()),
                Phase::Idle | Phase::Connecting => {
                    prop_assert_eq!(ready, Readiness::default());
                    prop_assert_eq!(connection.may_send(), Err(WSAENOTCONN));
                }
            }
        }
    }
}
