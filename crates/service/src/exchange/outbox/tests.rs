use super::*;
use proptest::collection::vec;
use proptest::prelude::*;

#[test]
fn the_same_memory_is_used_again_by_plain_sends() {
    let mut outbox = Outbox::default();
    outbox.push(&[1; 4096]);
    let place = outbox.outgoing().as_ptr();
    for _ in 0..100 {
        outbox.consume(4000);
        outbox.push(&[2; 4000]);
        assert_eq!(outbox.outgoing().as_ptr(), place, "the few bytes left move to the front");
        outbox.consume(4096);
        outbox.push(&[1; 4096]);
        assert_eq!(outbox.outgoing().as_ptr(), place);
    }
}

#[test]
fn two_buffers_take_turns_under_operations() {
    let mut outbox = Outbox::default();
    let mut places = Vec::new();
    outbox.push(&[0; 1000]);
    for _ in 0..100 {
        let buffer = outbox.take();
        places.push(buffer.as_ptr());
        outbox.push(&[0; 1000]);
        assert_eq!(outbox.outgoing(), [0; 0], "one at a time");
        assert_eq!(outbox.unsent(), 2000);
        outbox.consume(1000);
        outbox.give_back(buffer);
    }
    places.sort();
    places.dedup();
    assert!(places.len() <= 2, "{} buffers", places.len());
}

#[test]
fn an_idle_outbox_keeps_no_big_buffer() {
    let mut outbox = Outbox::default();
    outbox.push(&[0; KEPT_BYTES + 1]);
    outbox.consume(KEPT_BYTES + 1);
    assert!(outbox.take_spare().is_none());

    outbox.push(&[0; KEPT_BYTES + 1]);
    let buffer = outbox.take();
    outbox.consume(KEPT_BYTES + 1);
    outbox.give_back(buffer);
    assert!(outbox.take_spare().is_none());

    // Two big ones, one under way while the other gathers.
    outbox.push(&[0; KEPT_BYTES + 1]);
    let buffer = outbox.take();
    outbox.push(&[0; KEPT_BYTES + 1]);
    outbox.give_back(buffer);
    outbox.consume(KEPT_BYTES + 1);
    outbox.consume(KEPT_BYTES + 1);
    assert!(outbox.take_spare().is_none());

    outbox.push(b"small");
    outbox.consume(5);
    assert!(outbox.take_spare().is_some() && outbox.take_spare().is_none());
}

#[test]
fn an_operation_that_ends_after_everything_was_dropped_changes_nothing() {
    let mut outbox = Outbox::default();
    outbox.push(b"lost");
    let buffer = outbox.take();
    outbox.drop_all();
    outbox.consume(4);
    outbox.give_back(buffer);
    assert_eq!(outbox.unsent(), 0);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn bytes_come_out_once_and_in_order(steps in vec((0..300usize, 0..300usize, any::<bool>()), 0..100)) {
        let (mut outbox, mut pushed, mut out) = (Outbox::default(), Vec::new(), Vec::new());
        for (push, take, owned) in steps {
            let bytes: Vec<u8> = (pushed.len()..pushed.len() + push).map(|place| place as u8).collect();
            outbox.push(&bytes);
            pushed.extend(bytes);
            if owned {
                let buffer = outbox.take();
                outbox.push(&[0xAA]);
                pushed.push(0xAA);
                out.extend_from_slice(&buffer);
                outbox.consume(buffer.len());
                outbox.give_back(buffer);
            } else {
                let take = take.min(outbox.outgoing().len());
                out.extend_from_slice(&outbox.outgoing()[..take]);
                outbox.consume(take);
            }
            prop_assert_eq!(out.len() + outbox.unsent(), pushed.len());
        }
        out.extend_from_slice(outbox.outgoing());
        prop_assert_eq!(out, pushed);
    }
}
