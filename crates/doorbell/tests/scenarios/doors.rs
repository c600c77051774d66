//! Who is let in: limits, too few descriptors, several doors, both families.

use crate::apart::Apart;
use crate::harness::{Client, SOON, Served, anywhere, scenarios, within};
use doorbell::{Model, Server, ServerEvent};
use doorbell_service::Echo;
use doorbell_winsock::host;
use std::net::{Ipv6Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

scenarios![
    at_the_limit_of_connections_the_next_one_waits,
    too_few_descriptors_neither_end_nor_spin_the_server,
    ipv6,
    several_listeners,
];

fn at_the_limit_of_connections_the_next_one_waits(model: Model) {
    let told = Arc::new(AtomicUsize::new(0));
    let listener = told.clone();
    let server = Served::with(model, Echo, |builder| {
        builder.max_connections(4).on_event(move |event| {
            if let ServerEvent::LimitReached { connections_max: 4 } = event {
                listener.fetch_add(1, Ordering::SeqCst);
            }
        })
    });
    let mut inside = server.connect_many(4);
    inside.iter_mut().for_each(|client| client.echoes(b"inside"));
    // The backlog takes them, and what they say, but nobody answers.
    let mut waiting = server.connect_many(3);
    waiting.iter_mut().for_each(|client| client.say(b"outside"));
    waiting.iter_mut().for_each(Client::hears_nothing);
    assert_eq!(server.figures().open, 4);
    inside.iter_mut().for_each(|client| client.echoes(b"still inside"));
    assert!(told.load(Ordering::SeqCst) > 0, "that the limit is reached is told");

    // One leaves, one comes in, in the order in which they came.
    for mut next in waiting {
        drop(inside.remove(0));
        assert_eq!(next.hear(7), b"outside");
        inside.push(next);
        assert!(server.figures().open <= 4);
    }
    inside.iter_mut().for_each(|client| client.echoes(b"inside"));
    let figures = server.end();
    assert_eq!((figures.accepted, figures.refused), (7, 0));
}

fn too_few_descriptors_neither_end_nor_spin_the_server(model: Model) {
    if host::descriptor_limit().is_none() {
        // This system has no such limit, so there is nothing to see.
        return;
    }
    let server = Apart::with_descriptors(model, 64);
    let mut clients: Vec<_> = (0..100).map(|_| server.connect()).collect();
    clients.iter_mut().for_each(|client| client.say(b"me?"));
    assert!(within(SOON, || server.figures().refused > 0), "nobody was refused: {:?}", server.figures());
    let took = server.processor_time_in(Duration::from_secs(1));
    assert!(took < Duration::from_millis(200), "{took:?} of processor time in a second without descriptors");
    // Each one who leaves lets another one in, until all were served.
    for mut client in clients {
        assert_eq!(client.hear(3), b"me?");
    }
    assert!(within(SOON, || server.figures().open == 0), "all are gone: {:?}", server.figures());
    server.connect().echoes(b"and it serves");
    server.end();
}

fn ipv6(model: Model) {
    if !has_ipv6() {
        return;
    }
    let builder = Server::builder(Echo).model(model).listen(anywhere_v6());
    let server = Served::start(builder);
    assert!(server.address.is_ipv6() && server.address.port() != 0);
    let mut clients = server.connect_many(8);
    clients.iter_mut().for_each(|client| client.echoes(b"six"));
    clients.iter().for_each(Client::finish);
    clients.iter_mut().for_each(|client| assert_eq!(client.hear_all(), b""));
    server.end();
}

fn several_listeners(model: Model) {
    let mut builder = Server::builder(Echo).model(model).listen(anywhere()).listen(anywhere());
    if has_ipv6() {
        builder = builder.listen(anywhere_v6());
    }
    let server = Served::start(builder);
    let addresses = server.running().addresses().to_vec();
    let mut clients = Vec::new();
    for _ in 0..5 {
        clients.extend(addresses.iter().map(|&address| Client::connect(address)));
    }
    clients.iter_mut().for_each(|client| client.echoes(b"at whichever door"));
    assert_eq!(server.figures().open, clients.len());
    server.end();
    for address in addresses {
        TcpListener::bind(address).expect("its port is free again");
    }
}

/// A machine may have none.
fn has_ipv6() -> bool {
    TcpListener::bind(anywhere_v6()).is_ok()
}

fn anywhere_v6() -> SocketAddr {
    (Ipv6Addr::LOCALHOST, 0).into()
}
