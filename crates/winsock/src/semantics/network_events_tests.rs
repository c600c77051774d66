use super::*;
use crate::error::{WSAECONNREFUSED, WSAECONNRESET, WSAEMSGSIZE};
use proptest::prelude::*;

const DATA: Seen = Seen { data: true, urgent: false, inline: false, room: false, end: None };
const ROOM: Seen = Seen { data: false, room: true, ..DATA };
const NOTHING: Seen = Seen { data: false, ..DATA };
const END: Seen = Seen { end: Some(0), ..NOTHING };
const END_BEHIND_DATA: Seen = Seen { data: true, ..END };
const RESET: Seen = Seen { end: Some(WSAECONNRESET), room: true, ..NOTHING };
const URGENT: Seen = Seen { urgent: true, ..NOTHING };

/// A connected stream whose room to send is known, as a server has it.
fn selected(mask: NetEvents) -> Record {
    let mut record = Record::of_accepted(NetEvents::ALL);
    assert_eq!(taken(&mut record), NetEvents::WRITE);
    record.select(mask);
    assert!(!record.news());
    record
}

fn observe(record: &mut Record, seen: Seen) {
    record.observe(Kind::Stream, Phase::Connected, seen);
}

/// A receive into ten bytes. Whether the system has to be asked afterwards.
fn receive(record: &mut Record, outcome: Result<usize, i32>) -> bool {
    record.received(Kind::Stream, Flags::NONE, 10, outcome)
}

fn taken(record: &mut Record) -> NetEvents {
    let mut into = NetworkEvents::default();
    record.enumerate(&mut into);
    into.events
}

fn posted(record: &mut Record) -> Vec<(NetEvents, i32)> {
    std::iter::from_fn(|| record.next()).collect()
}

#[test]
fn a_read_is_recorded_once_until_a_receive() {
    let mut record = selected(NetEvents::READ);
    observe(&mut record, DATA);
    assert!(record.news());
    observe(&mut record, DATA);
    assert!(!record.news(), "recorded already");
    assert_eq!(taken(&mut record), NetEvents::READ);
    observe(&mut record, DATA);
    assert_eq!(taken(&mut record), NetEvents::NONE, "not re-enabled yet (NE-04)");
    assert!(receive(&mut record, Ok(10)), "a full buffer: more may be left");
    observe(&mut record, DATA);
    assert!(record.news());
    assert_eq!(taken(&mut record), NetEvents::READ, "NE-01");
}

#[test]
fn a_short_receive_leaves_nothing_and_asks_nothing() {
    let mut record = selected(NetEvents::READ);
    observe(&mut record, DATA);
    assert!(!receive(&mut record, Ok(4)));
    assert_eq!(taken(&mut record), NetEvents::NONE, "taken back (ES-09)");
    observe(&mut record, DATA);
    assert_eq!(taken(&mut record), NetEvents::READ, "re-enabled");
    assert!(!receive(&mut record, Err(WSAEWOULDBLOCK)));
    assert!(record.is_open());
}

#[test]
fn what_may_leave_data_asks() {
    let mut record = selected(NetEvents::READ);
    assert!(record.received(Kind::Stream, Flags::PEEK, 10, Ok(4)), "NE-02");
    assert!(record.received(Kind::Datagram, Flags::NONE, 10, Ok(4)), "UD-07");
    assert!(record.received(Kind::Datagram, Flags::NONE, 10, Ok(0)), "an empty datagram is no end");
    assert!(record.received(Kind::Datagram, Flags::NONE, 10, Err(WSAEMSGSIZE)));
    assert!(record.received(Kind::Stream, Flags::NONE, 0, Ok(0)), "no room is no end");
    assert!(record.received(Kind::Stream, Flags::OUT_OF_BAND, 10, Ok(1)));
    assert_eq!(taken(&mut record), NetEvents::NONE);
    observe(&mut record, URGENT);
    assert!(receive(&mut record, Ok(4)), "it may have stopped at the urgent byte");
}

#[test]
fn unselected_events_are_remembered_until_consumed() {
    let mut record = selected(NetEvents::NONE);
    observe(&mut record, DATA);
    assert!(!record.news());
    assert_eq!(taken(&mut record), NetEvents::NONE, "ES-08");
    record.select(NetEvents::READ);
    assert!(record.news(), "ES-07");
    assert_eq!(taken(&mut record), NetEvents::READ);
    record.select(NetEvents::NONE);
    record.select(NetEvents::READ);
    observe(&mut record, DATA);
    assert!(!record.news(), "ES-05");

    record.select(NetEvents::NONE);
    assert!(!receive(&mut record, Ok(1)));
    record.select(NetEvents::READ);
    assert!(!record.news(), "consumed");
}

#[test]
fn selecting_with_another_event_moves_what_was_not_enumerated() {
    let mut record = selected(NetEvents::READ);
    observe(&mut record, DATA);
    assert!(record.news());
    record.select(NetEvents::READ | NetEvents::WRITE);
    assert!(record.news(), "the new event object knows nothing of it");
    assert_eq!(taken(&mut record), NetEvents::READ, "room was told before");
}

#[test]
fn messages_come_again_for_what_holds() {
    let mut record = selected(NetEvents::READ | NetEvents::WRITE);
    observe(&mut record, DATA);
    assert_eq!(posted(&mut record), [(NetEvents::READ, 0)]);
    record.select_again(NetEvents::READ | NetEvents::WRITE | NetEvents::CONNECT);
    assert_eq!(posted(&mut record), []);
    observe(&mut record, Seen { room: true, ..DATA });
    assert_eq!(posted(&mut record), [(NetEvents::WRITE, 0), (NetEvents::READ, 0)], "AS-06");
    observe(&mut record, END);
    record.select_again(NetEvents::CLOSE);
    observe(&mut record, END);
    assert_eq!(posted(&mut record), [(NetEvents::CLOSE, 0)]);
}

#[test]
fn each_receive_that_leaves_data_posts_one_more() {
    let mut record = selected(NetEvents::READ);
    observe(&mut record, DATA);
    assert_eq!(posted(&mut record), [(NetEvents::READ, 0)]);
    for _ in 0..2 {
        assert!(receive(&mut record, Ok(10)));
        observe(&mut record, DATA);
        assert_eq!(posted(&mut record), [(NetEvents::READ, 0)], "AS-05");
    }
}

#[test]
fn room_is_told_once_and_again_after_there_was_none() {
    let mut record = Record::of_accepted(NetEvents::WRITE);
    assert!(record.news(), "IN-01");
    assert!(!record.sent(5, Ok(5)));
    assert_eq!(taken(&mut record), NetEvents::WRITE, "ES-10");
    observe(&mut record, ROOM);
    assert!(!record.news(), "an edge, not a level (NE-06)");
    assert!(!record.wants_room());
    assert!(!record.sent(5, Err(WSAEWOULDBLOCK)));
    assert!(record.wants_room());
    observe(&mut record, NOTHING);
    assert!(!record.news(), "NE-07");
    observe(&mut record, ROOM);
    assert!(record.news());
    assert!(!record.sent(5, Ok(3)));
    assert_eq!(taken(&mut record), NetEvents::NONE, "a part says that it is full as well");
    assert!(record.wants_room());
    assert!(record.sent(5, Err(WSAECONNRESET)), "what became of it?");
}

#[test]
fn an_accept_takes_its_event_back_and_re_enables_it() {
    let mut record = Record::default();
    record.select(NetEvents::ACCEPT);
    let listens = |record: &mut Record, seen| record.observe(Kind::Stream, Phase::Listening, seen);
    listens(&mut record, DATA);
    assert!(record.news());
    listens(&mut record, DATA);
    assert!(!record.news(), "NE-08");
    assert!(record.took_connection(Ok(())));
    assert_eq!(taken(&mut record), NetEvents::NONE);
    listens(&mut record, DATA);
    assert_eq!(taken(&mut record), NetEvents::ACCEPT);
    assert!(!record.took_connection(Err(WSAEWOULDBLOCK)));
    listens(&mut record, RESET);
    assert!(!record.news(), "a listener has no end and no room");
}

#[test]
fn a_connect_tells_its_outcome_once_and_a_failed_one_nothing_else() {
    let mut record = Record::default();
    record.select(NetEvents::ALL);
    record.connecting();
    record.observe(Kind::Stream, Phase::Connecting, RESET);
    assert!(!record.news());
    record.connect_ended(WSAECONNREFUSED);
    record.observe(Kind::Stream, Phase::Failed(WSAECONNREFUSED), RESET);
    let mut into = NetworkEvents { errors: [7; 6], ..NetworkEvents::default() };
    record.enumerate(&mut into);
    assert_eq!(into.events, NetEvents::CONNECT);
    assert_eq!(into.errors, [7, 7, 7, 7, WSAECONNREFUSED, 7], "ES-04, NE-12");

    record.connecting();
    record.connected();
    assert_eq!(posted(&mut record), [(NetEvents::CONNECT, 0), (NetEvents::WRITE, 0)], "AS-09");
}

#[test]
fn a_connection_made_before_the_selection_is_told_to_an_event_alone() {
    let mut record = Record::default();
    record.connect_ended(0);
    record.select(NetEvents::CONNECT);
    assert!(record.news());
    let mut record = Record::default();
    record.connect_ended(0);
    record.select_again(NetEvents::CONNECT);
    observe(&mut record, ROOM);
    assert_eq!(posted(&mut record), []);
    let mut record = selected(NetEvents::ALL);
    observe(&mut record, ROOM);
    assert!(!record.news(), "the accepted side never connected (NE-21)");
}

#[test]
fn an_older_edge_neither_takes_the_end_back_nor_tells_it_before_the_data() {
    let mut record = selected(NetEvents::READ | NetEvents::CLOSE);
    observe(&mut record, END_BEHIND_DATA);
    for older in [DATA, ROOM] {
        observe(&mut record, older);
        assert_eq!(taken(&mut record) & NetEvents::CLOSE, NetEvents::NONE, "data stands before it");
    }
    receive(&mut record, Ok(4));
    assert_eq!(taken(&mut record), NetEvents::CLOSE);
}

#[test]
fn the_end_is_told_once_behind_the_data_and_never_as_a_read() {
    let mut record = selected(NetEvents::ALL);
    observe(&mut record, END);
    observe(&mut record, END);
    assert_eq!(posted(&mut record), [(NetEvents::CLOSE, 0)], "NE-05, NE-13");
    assert!(!receive(&mut record, Ok(0)));
    assert_eq!(posted(&mut record), []);

    let mut record = selected(NetEvents::ALL);
    observe(&mut record, END_BEHIND_DATA);
    assert_eq!(posted(&mut record), [(NetEvents::READ, 0)]);
    assert!(receive(&mut record, Ok(10)));
    observe(&mut record, END_BEHIND_DATA);
    assert_eq!(posted(&mut record), [(NetEvents::READ, 0)]);
    assert!(!receive(&mut record, Ok(4)), "the rest was short: the end is next");
    assert_eq!(posted(&mut record), [(NetEvents::CLOSE, 0)], "NE-14");
}

#[test]
fn a_reset_is_told_with_its_code() {
    let mut record = selected(NetEvents::ALL);
    assert!(!record.sent(5, Err(WSAEWOULDBLOCK)));
    assert!(receive(&mut record, Err(WSAECONNRESET)));
    observe(&mut record, RESET);
    assert_eq!(posted(&mut record), [(NetEvents::CLOSE, WSAECONNRESET)], "NE-15: and no room");
}

#[test]
fn an_urgent_byte_has_an_event_of_its_own_unless_inline() {
    let mut record = selected(NetEvents::ALL);
    observe(&mut record, URGENT);
    assert_eq!(posted(&mut record), [(NetEvents::OOB, 0)]);
    observe(&mut record, URGENT);
    assert_eq!(posted(&mut record), []);
    assert!(record.received(Kind::Stream, Flags::OUT_OF_BAND, 1, Ok(1)));
    observe(&mut record, URGENT);
    assert_eq!(posted(&mut record), [(NetEvents::OOB, 0)]);

    let mut record = selected(NetEvents::ALL);
    observe(&mut record, Seen { inline: true, data: true, ..URGENT });
    assert_eq!(posted(&mut record), [(NetEvents::READ, 0)], "NE-20");
}

#[test]
fn an_idle_socket_is_ready_for_nothing() {
    let mut record = Record::default();
    record.select(NetEvents::ALL);
    record.observe(Kind::Stream, Phase::Idle, Seen { data: true, urgent: true, ..RESET });
    assert!(!record.news());
    record.observe(Kind::Datagram, Phase::Idle, ROOM);
    assert_eq!(posted(&mut record), [(NetEvents::WRITE, 0)], "UD-08");
}

/// What may happen to a connected stream.
#[derive(Clone, Copy, Debug)]
enum Step {
    Arrives(usize),
    Ends,
    Receives(usize),
    Enumerates,
    Select(u16),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (1usize..20).prop_map(Step::Arrives),
        Just(Step::Ends),
        (1usize..20).prop_map(Step::Receives),
        Just(Step::Enumerates),
        (0u16..64).prop_map(Step::Select),
    ]
}

proptest! {
    /// Whatever happens in whatever order: nothing is told that does not hold, and nothing that holds is lost.
    #[test]
    fn no_history_loses_or_invents_an_event(steps in prop::collection::vec(step(), 1..60)) {
        let mut record = selected(NetEvents::ALL);
        let (mut unread, mut ended, mut closes) = (0, false, 0);
        // What a program that takes everything it is told knows: that it should receive.
        let mut told = false;
        for step in steps {
            let seen = |unread, ended: bool| Seen { data: unread > 0, room: true, end: ended.then_some(0), ..NOTHING };
            match step {
                Step::Arrives(bytes) if !ended => {
                    unread += bytes;
                    observe(&mut record, seen(unread, ended));
                }
                Step::Ends => {
                    ended = true;
                    observe(&mut record, seen(unread, ended));
                }
                Step::Receives(room) if unread > 0 || ended => {
                    let bytes = room.min(unread);
                    unread -= bytes;
                    told = false;
                    if record.received(Kind::Stream, Flags::NONE, room, Ok(bytes)) {
                        observe(&mut record, seen(unread, ended));
                    }
                }
                Step::Enumerates => {
                    let events = taken(&mut record);
                    prop_assert!(!events.contains(NetEvents::READ) || (unread > 0 && !told));
                    prop_assert!(!events.contains(NetEvents::CLOSE) || (ended && unread == 0));
                    told |= events.contains(NetEvents::READ);
                    closes += usize::from(events.contains(NetEvents::CLOSE));
                    prop_assert!(closes <= 1);
                }
                Step::Select(mask) => record.select(NetEvents::from_bits(mask)),
                Step::Arrives(_) | Step::Receives(_) => {}
            }
        }
        record.select(NetEvents::ALL);
        let events = taken(&mut record);
        prop_assert_eq!(told || events.contains(NetEvents::READ), unread > 0);
        prop_assert_eq!(closes > 0 || events.contains(NetEvents::CLOSE), ended && unread == 0);
    }
}
