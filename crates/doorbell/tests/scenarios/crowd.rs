//! Many at once: a thousand clients, and nothing to do for them.

use crate::apart::Apart;
use crate::harness::{SOON, all_done, pattern, scenarios, within};
use doorbell::Model;
use std::thread;
use std::time::Duration;

scenarios![a_thousand_clients_at_once, a_thousand_idle_clients_cost_nothing];

fn a_thousand_clients_at_once(model: Model) {
    let server = Apart::new(model);
    let groups = (0..4).map(|group| {
        let mut clients: Vec<_> = (0..250).map(|_| server.connect()).collect();
        thread::spawn(move || {
            for round in 0..3 {
                let bytes = pattern(300, group * 3 + round);
                clients.iter_mut().for_each(|client| client.say(&bytes));
                clients.iter_mut().for_each(|client| assert_eq!(client.hear(bytes.len()), bytes));
            }
            clients
        })
    });
    let groups: Vec<_> = groups.collect();
    let clients = all_done(groups);
    assert_eq!(server.figures().open, 1000);
    drop(clients);
    assert!(within(SOON, || server.figures().open == 0), "all are gone: {:?}", server.figures());
    assert_eq!(server.figures().accepted, 1000);
    server.end();
}

fn a_thousand_idle_clients_cost_nothing(model: Model) {
    let server = Apart::new(model);
    let mut clients: Vec<_> = (0..1000).map(|_| server.connect()).collect();
    clients.iter_mut().for_each(|client| client.echoes(b"hello"));
    // 1 % of one processor over 5 s.
    let took = server.processor_time_in(Duration::from_secs(5));
    assert!(took < Duration::from_millis(50), "{took:?} of processor time for nothing");
    clients.iter_mut().for_each(|client| client.echoes(b"still there"));
    drop(clients);
    server.end();
}
