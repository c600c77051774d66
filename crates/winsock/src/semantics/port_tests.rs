use super::*;
use proptest::prelude::*;

type State = PortState<u32, u32>;

fn packets(wake: &[Wake<u32, u32>]) -> Vec<(u32, u32)> {
    wake.iter()
        .filter_map(|w| match w {
            Wake::Thread(thread, Release::Packet(packet)) => Some((*thread, *packet)),
            _ => None,
        })
        .collect()
}

#[test]
fn a_queued_packet_is_taken_without_waiting() {
    let mut port = State::new(2, usize::MAX);
    port.queue(7);
    assert_eq!(port.enter(&1), Turn::Take);
    assert_eq!(port.take(), Some(7));
}

#[test]
fn no_more_threads_wait_in_the_kernel_than_may_run() {
    let mut port = State::new(2, usize::MAX);
    assert_eq!([1, 2, 3, 4].map(|t| port.enter(&t)), [Turn::Poll, Turn::Poll, Turn::Park, Turn::Park]);
    let mut ring = State::new(2, 1);
    assert_eq!([1, 2, 3].map(|t| ring.enter(&t)), [Turn::Poll, Turn::Park, Turn::Park]);
}

#[test]
fn parked_threads_are_released_last_in_first_out_up_to_the_concurrency_value() {
    let mut port = State::new(2, usize::MAX);
    for thread in 1..=4 {
        port.enter(&thread);
    }
    (10..13).for_each(|packet| port.queue(packet));
    let mut wake = Vec::new();
    port.release(&mut wake);
    assert_eq!(packets(&wake), [(4, 10), (3, 11)]);
    assert_eq!(port.backlog(), 1);
    // One of them comes back and takes what is left.
    port.stop_running();
    assert_eq!(port.enter(&3), Turn::Take);
    assert_eq!(port.take(), Some(12));
}

#[test]
fn a_poller_hands_its_packets_to_a_thread_that_came_later() {
    let mut port = State::new(1, usize::MAX);
    assert_eq!(port.enter(&1), Turn::Poll);
    assert_eq!(port.enter(&2), Turn::Park);
    port.queue(10);
    let mut wake = Vec::new();
    assert_eq!(port.polled(&1, false, &mut wake), Turn::Park);
    assert_eq!(packets(&wake), [(2, 10)]);
}

#[test]
fn the_bell_is_rung_once_until_it_was_heard() {
    let mut port = State::new(2, usize::MAX);
    port.enter(&1);
    let mut wake = Vec::new();
    port.queue(10);
    port.release(&mut wake);
    port.queue(11);
    port.release(&mut wake);
    assert_eq!(wake, [Wake::Bell]);
    assert_eq!(port.polled(&1, true, &mut wake), Turn::Take);
}

#[test]
fn a_place_that_becomes_free_sends_a_parked_thread_into_the_kernel() {
    let mut port = State::new(1, usize::MAX);
    port.queue(10);
    assert_eq!(port.enter(&1), Turn::Take);
    port.take();
    assert_eq!(port.enter(&2), Turn::Park);
    let mut wake = Vec::new();
    port.stop_running();
    port.promote(&mut wake);
    assert_eq!(wake, [Wake::Thread(2, Release::Poll)]);
}

#[test]
fn a_port_stalls_when_nothing_came_out_although_somebody_waits_for_it() {
    let mut port = State::new(1, usize::MAX);
    (10..13).for_each(|packet| port.queue(packet));
    assert_eq!(port.enter(&1), Turn::Take);
    port.take();
    assert!(!port.holds_back(), "nobody waits");
    assert_eq!(port.enter(&2), Turn::Park);
    assert!(port.holds_back());
    assert!(!port.stalls(), "one came out since");
    assert!(port.stalls());
    // The thread that runs turns out to sleep.
    port.stop_running();
    assert!(!port.stalls());
    let mut wake = Vec::new();
    port.release(&mut wake);
    assert_eq!(packets(&wake), [(2, 11)]);
}

#[test]
fn closing_wakes_everybody_one_way_or_the_other() {
    let mut port = State::new(2, usize::MAX);
    for thread in 1..=3 {
        port.enter(&thread);
    }
    let mut wake = Vec::new();
    port.close(&mut wake);
    assert_eq!(wake, [Wake::Thread(3, Release::Closed), Wake::Bell]);
    wake.clear();
    assert_eq!(port.polled(&2, true, &mut wake), Turn::Closed);
    assert_eq!(wake, [Wake::Bell], "the next poller is rung for");
    wake.clear();
    assert_eq!(port.polled(&1, true, &mut wake), Turn::Closed);
    assert!(wake.is_empty());
    assert_eq!(port.enter(&1), Turn::Closed);
}

#[derive(Clone, Debug)]
enum Act {
    Post,
    Come(u32),
    /// The poller of this number, counted among the pollers, is back from the kernel; true: with a packet.
    Back(usize, bool),
    GiveUp(u32),
    WaitElsewhere,
    RunAgain,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        Just(Act::Post),
        (0u32..6).prop_map(Act::Come),
        (0usize..4, any::<bool>()).prop_map(|(n, p)| Act::Back(n, p)),
        (0u32..6).prop_map(Act::GiveUp),
        Just(Act::WaitElsewhere),
        Just(Act::RunAgain),
    ];
    proptest::collection::vec(act, 1..120)
}

proptest! {
    // Whatever threads do: every packet is handed out once and in order, never to more threads than may run, and no
    // packet lies there while somebody could run who was neither woken nor rung for.
    #[test]
    fn packets_come_out_once_in_order_and_never_to_too_many(
        acts in acts(), concurrency in 1usize..4, solo in any::<bool>(),
    ) {
        let mut port = State::new(concurrency, if solo { 1 } else { usize::MAX });
        let (mut posted, mut handed) = (0u32, Vec::new());
        let (mut running, mut elsewhere): (Vec<u32>, Vec<u32>) = Default::default();
        let mut waiting: Vec<(u32, bool)> = Vec::new();
        let mut exceeded = 0usize;
        for act in acts {
            let mut wake = Vec::new();
            match act {
                Act::Post => {
                    port.queue(posted);
                    posted += 1;
                    port.release(&mut wake);
                }
                Act::Come(thread) => {
                    if waiting.iter().any(|w| w.0 == thread) || elsewhere.contains(&thread) {
                        continue;
                    }
                    if running.contains(&thread) {
                        running.retain(|t| *t != thread);
                        port.stop_running();
                        port.release(&mut wake);
                    }
                    match port.enter(&thread) {
                        Turn::Take => {
                            running.push(thread);
                            handed.extend(port.take());
                        }
                        turn => waiting.push((thread, turn == Turn::Poll)),
                    }
                }
                Act::Back(number, with_packet) => {
                    let pollers: Vec<u32> = waiting.iter().filter(|w| w.1).map(|w| w.0).collect();
                    let Some(thread) = pollers.get(number).copied() else { continue };
                    if with_packet {
                        port.queue(posted);
                        posted += 1;
                    }
                    match port.polled(&thread, !with_packet, &mut wake) {
                        Turn::Take => {
                            waiting.retain(|w| w.0 != thread);
                            running.push(thread);
                            // Threads woken on the way got the packets before it.
                            handed.extend(packets(&wake).iter().map(|p| p.1));
                            wake.retain(|w| match w {
                                Wake::Thread(t, Release::Packet(_)) => {
                                    waiting.retain(|w| w.0 != *t);
                                    running.push(*t);
                                    false
                                }
                                _ => true,
                            });
                            handed.extend(port.take());
                            port.release(&mut wake);
                        }
                        turn => waiting.iter_mut().filter(|w| w.0 == thread).for_each(|w| w.1 = turn == Turn::Poll),
                    }
                }
                Act::GiveUp(thread) => {
                    if waiting.iter().any(|w| w.0 == thread) {
                        prop_assert!(port.withdraw(&thread, &mut wake));
                        waiting.retain(|w| w.0 != thread);
                    }
                }
                Act::WaitElsewhere => {
                    if let Some(thread) = running.pop() {
                        elsewhere.push(thread);
                        port.stop_running();
                        port.release(&mut wake);
                        port.promote(&mut wake);
                    }
                }
                Act::RunAgain => {
                    if let Some(thread) = elsewhere.pop() {
                        port.run_again();
                        running.push(thread);
                        exceeded = exceeded.max(running.len());
                    }
                }
            }
            for one in wake {
                match one {
                    Wake::Thread(thread, Release::Packet(packet)) => {
                        waiting.retain(|w| w.0 != thread);
                        running.push(thread);
                        handed.push(packet);
                    }
                    Wake::Thread(thread, Release::Poll) => {
                        waiting.iter_mut().filter(|w| w.0 == thread).for_each(|w| w.1 = true);
                    }
                    Wake::Thread(_, Release::Closed) => prop_assert!(false, "nobody closed"),
                    Wake::Bell => {}
                }
            }
            prop_assert!(running.len() <= concurrency.max(exceeded));
            exceeded = if running.len() > concurrency { running.len() } else { 0 };
            prop_assert_eq!(&handed, &(0..handed.len() as u32).collect::<Vec<_>>());
            if port.backlog() > 0 && running.len() < concurrency && !waiting.is_empty() {
                prop_assert!(port.bell_rung, "a packet lies there and nobody was told");
                prop_assert!(waiting.iter().any(|w| w.1), "the bell is rung for nobody");
            }
        }
    }
}
