//! NE-20: FD_OOB.

use crate::delivery::both;
use crate::harness::{families, pair, pair_of};
use doorbell_winsock::NetEvents;
use doorbell_winsock::socket::Flags;

const MASK: NetEvents = NetEvents::from_bits(1 | 4 | 32);

// W test_oob_events.
both!(ne_20_urgent_data_is_told_as_such, |tell| {
    for family in families() {
        let ((a, b), (_c, d), (e, f)) = (pair_of(family), pair_of(family), pair_of(family));
        tell.select(&b, MASK);
        tell.select(&d, MASK);
        // To who did not select it it is not told, not as data either.
        tell.select(&f, MASK.without(NetEvents::OOB));
        e.send_with(b"!", Flags::OUT_OF_BAND).unwrap();
        tell.nothing();
        for _ in 0..2 {
            a.send_with(b"!", Flags::OUT_OF_BAND).unwrap();
            tell.tells(&b, NetEvents::OOB);
            tell.nothing();
            let mut byte = [0; 1];
            assert_eq!(b.recv_with(&mut byte, Flags::OUT_OF_BAND), Ok(1));
            assert_eq!(&byte, b"!");
            tell.nothing();
        }
        tell.end(&b);
        tell.end(&d);
        tell.end(&f);
    }
});

// D WSAEventSelect: plain data behind it is told as data.
both!(ne_20_plain_data_beside_it_is_told_as_data, |tell| {
    let (a, b) = pair();
    tell.select(&b, MASK);
    a.send_with(b"!", Flags::OUT_OF_BAND).unwrap();
    tell.tells(&b, NetEvents::OOB);
    a.send(b"abc").unwrap();
    tell.tells(&b, NetEvents::READ);
    assert_eq!(b.recv_with(&mut [0; 1], Flags::OUT_OF_BAND), Ok(1));
    tell.at_most(&b, NetEvents::READ);
    assert_eq!(b.recv(&mut [0; 8]), Ok(3));
    tell.nothing();
});

// W test_oob_events.
both!(
    ne_20_inline_it_counts_as_data,
    |tell| {
        for family in families() {
            let (a, b) = pair_of(family);
            b.set_oob_inline(true).unwrap();
            tell.select(&b, MASK);
            for _ in 0..2 {
                a.send_with(b"!", Flags::OUT_OF_BAND).unwrap();
                tell.tells(&b, NetEvents::READ);
                tell.nothing();
                let mut byte = [0; 4];
                assert_eq!(b.recv(&mut byte), Ok(1));
                assert_eq!(byte[0], b'!');
                tell.nothing();
            }
            tell.end(&b);
        }
    },
    by_event = "NE-20",
    by_message = "NE-20"
);
