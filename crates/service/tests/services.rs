//! The services that come with the crate, rehearsed.

use doorbell_service::{Burn, Chargen, Discard, Echo, Limits, Rehearsal, burn_head, for_every_split};
use std::io::ErrorKind;
use std::time::{Duration, Instant};

/// Small enough to be full soon; odd, so that nothing ends where it does by chance.
const HIGH_WATER: usize = 1001;

fn limits() -> Limits {
    Limits { high_water: HIGH_WATER, linger: Duration::ZERO }
}

#[test]
fn echo_gives_back_every_byte_however_it_is_cut() {
    let input = b"the postman rings twice";
    for_every_split(&Echo, Instant::now(), input, |rehearsal| {
        assert_eq!(rehearsal.take_sent(), input);
        assert!(!rehearsal.is_finished());
    });
}

#[test]
fn echo_finishes_only_when_the_peer_has_everything_back() {
    let mut rehearsal = Rehearsal::new(&Echo, Instant::now());
    rehearsal.read(0);
    rehearsal.receive(b"still here");
    rehearsal.finish();
    assert!(!rehearsal.is_finished() && !rehearsal.is_closed());
    rehearsal.read(9);
    assert!(!rehearsal.is_finished());
    rehearsal.read(1);
    assert!(rehearsal.is_closed() && !rehearsal.is_reset());
    assert_eq!(rehearsal.take_sent(), b"still here");
}

#[test]
fn echo_holds_no_more_than_the_high_water_mark_for_a_peer_that_never_reads() {
    let input: Vec<u8> = (0..50_000u32).map(|i| (i % 251) as u8).collect();
    let mut rehearsal = Rehearsal::with_limits(&Echo, limits(), Instant::now());
    rehearsal.read(0);
    rehearsal.receive_in_pieces(&input, [1, 700, 4, 10_000]);
    assert_eq!(rehearsal.unsent(), HIGH_WATER);
    assert!(rehearsal.is_paused());

    // Down to half of it nothing more is received; from there on all the room is used.
    rehearsal.read(HIGH_WATER - HIGH_WATER / 2 - 1);
    assert_eq!(rehearsal.unsent(), HIGH_WATER / 2 + 1);
    rehearsal.read(1);
    assert_eq!(rehearsal.unsent(), HIGH_WATER);

    rehearsal.finish();
    rehearsal.read_all();
    assert_eq!(rehearsal.take_sent(), input);
    assert!(rehearsal.is_closed());
}

#[test]
fn echo_ends_with_a_connection_that_fails_in_the_middle() {
    let mut rehearsal = Rehearsal::new(&Echo, Instant::now());
    rehearsal.read(2);
    rehearsal.receive(b"hello");
    rehearsal.fail(ErrorKind::ConnectionReset);
    assert_eq!(rehearsal.take_sent(), b"he");
    assert!(rehearsal.is_over());
    assert_eq!(rehearsal.unsent(), 0);
}

#[test]
fn discard_takes_everything_and_says_nothing() {
    let mut rehearsal = Rehearsal::with_limits(&Discard, limits(), Instant::now());
    rehearsal.receive(&vec![7; 1 << 20]);
    assert!(!rehearsal.is_paused());
    assert!(!rehearsal.is_closed());
    rehearsal.finish();
    assert!(rehearsal.is_closed() && !rehearsal.is_reset());
    assert_eq!(rehearsal.take_sent(), b"");
}

#[test]
fn chargen_sends_rotating_lines_whatever_it_is_told() {
    let mut rehearsal = Rehearsal::with_limits(&Chargen, limits(), Instant::now());
    rehearsal.receive(b"be quiet");
    let sent = rehearsal.take_sent();
    assert!(sent.len() >= 1 << 20, "only {} bytes in two steps", sent.len());

    for (number, line) in sent.chunks_exact(74).enumerate() {
        assert_eq!(&line[72..], b"\r\n", "line {number}");
        for (column, &character) in line[..72].iter().enumerate() {
            let expected = b' ' + ((number + column) % 95) as u8;
            assert_eq!(character, expected, "line {number}, column {column}");
        }
    }
}

#[test]
fn chargen_waits_for_a_peer_that_does_not_read() {
    let mut rehearsal = Rehearsal::with_limits(&Chargen, limits(), Instant::now());
    let before = rehearsal.take_sent().len();
    // What a peer may read in one step is no multiple of the mark: some of a filling is left.
    rehearsal.read(0);
    let left = rehearsal.unsent();
    assert!(left > 0 && left <= HIGH_WATER);
    rehearsal.read(left - 1);
    assert_eq!(rehearsal.unsent(), 1, "nothing is added before all is gone");
    rehearsal.read(1);
    assert_eq!(rehearsal.unsent(), HIGH_WATER);
    assert_eq!(rehearsal.take_sent().len(), left);
    assert!(before > 0);
}

#[test]
fn chargen_closes_when_the_peer_finishes_after_the_last_byte() {
    let mut rehearsal = Rehearsal::with_limits(&Chargen, limits(), Instant::now());
    rehearsal.read(0);
    let left = rehearsal.unsent();
    rehearsal.take_sent();
    rehearsal.receive(b"ignored even while it is full");
    rehearsal.finish();
    assert!(!rehearsal.is_closed());
    rehearsal.read_all();
    assert!(rehearsal.is_closed() && !rehearsal.is_reset());
    assert_eq!(rehearsal.take_sent().len(), left);
}

/// Rounds that no processor computes in less than a millisecond: each is six steps, one after the other.
const COSTLY: u32 = 2_000_000;

#[test]
fn burn_gives_back_every_request_however_it_is_cut() {
    // One with a body, one without, one that costs nothing, and the beginning of another.
    let input =
        [&burn_head(3, 5), b"now".as_slice(), &burn_head(0, 7), &burn_head(2, 0), b"or", &[0, 0]].concat();
    for_every_split(&Burn, Instant::now(), &input, |rehearsal| {
        assert_eq!(rehearsal.take_sent(), input);
        assert!(!rehearsal.is_finished());
    });
}

#[test]
fn burn_computes_before_it_answers() {
    let mut rehearsal = Rehearsal::new(&Burn, Instant::now());
    let begun = Instant::now();
    rehearsal.receive(&burn_head(0, COSTLY));
    assert!(begun.elapsed() > Duration::from_millis(1), "{:?}", begun.elapsed());
    assert_eq!(rehearsal.take_sent(), burn_head(0, COSTLY));
}

#[test]
fn burn_ends_when_its_peer_has_finished_even_within_a_request() {
    let mut rehearsal = Rehearsal::new(&Burn, Instant::now());
    rehearsal.receive(&burn_head(100, 1));
    assert!(!rehearsal.is_closed());
    rehearsal.finish();
    assert!(rehearsal.is_closed() && !rehearsal.is_reset());
    assert_eq!(rehearsal.take_sent(), burn_head(100, 1));
}
