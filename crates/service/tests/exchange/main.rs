//! Whatever happens, in whatever order: what an exchange promises holds.
//!
//! A conversation follows a random script, a server does random things that an exchange may see, and after each of them
//! the promises are checked. At the end the server does its duty until nothing is wanted, and all must be over.

mod script;
mod stage;
#[path = "../support/mod.rs"]
mod support;

use doorbell_service::{Echo, Event, Leg, Limits};
use proptest::collection::vec;
use proptest::prelude::*;
use stage::Stage;
use std::time::{Duration, Instant};

const HIGH_WATER: usize = 64;

proptest! {
    #![proptest_config(ProptestConfig { cases: 250, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_promises_hold_whatever_happens(
        script in vec(vec(script::deed(), 0..3), 0..40),
        steps in vec(stage::step(), 0..120),
    ) {
        let mut stage = Stage::open(script);
        for step in &steps {
            if stage.exchange.is_over() {
                break;
            }
            stage.step(step);
            stage.check();
        }
        stage.play_to_the_end();
        let story = stage.scripted.story();
        if !stage.may_lose {
            prop_assert_eq!(&stage.first.heard, &story.first.said, "all that was said is delivered");
        }
    }

    #[test]
    fn an_echo_never_holds_more_than_the_high_water_mark(
        sizes in vec((1..5000usize, 0..3000usize), 1..60),
        high_water in 1..4000usize,
    ) {
        let now = Instant::now();
        let limits = Limits { high_water, linger: Duration::ZERO };
        let mut exchange = support::open_numbered(&Echo, 1, limits);
        exchange.input(Event::Opened, now);
        let (mut received, mut heard) = (Vec::new(), Vec::new());
        for (offered, read) in sizes {
            // Both are decided before either happens, as by a server with a receive and a send under way.
            let count = offered.min(exchange.wants(Leg::First).receive);
            let bytes: Vec<u8> = (received.len()..received.len() + count).map(|place| (place % 251) as u8).collect();
            exchange.input(Event::Received(Leg::First, &bytes), now);
            received.extend(bytes);
            prop_assert!(exchange.unsent(Leg::First) <= high_water);
            let read = read.min(exchange.outgoing(Leg::First).len());
            heard.extend_from_slice(&exchange.outgoing(Leg::First)[..read]);
            exchange.sent(Leg::First, read, now);
            let unsent = exchange.unsent(Leg::First);
            prop_assert!(unsent > high_water / 2 || exchange.wants(Leg::First).receive > 0, "resumes at half");
        }
        heard.extend_from_slice(exchange.outgoing(Leg::First));
        prop_assert_eq!(heard, received);
    }
}
