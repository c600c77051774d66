//! What the tests of the exchange share: opening one without a server.

use doorbell_service::{AnyService, Exchange, Limits, Peer, Reach};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

/// An address that nobody really connects to.
pub(crate) const SOMEWHERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 9);

pub(crate) fn open_numbered(service: &impl AnyService, number: u64, limits: Limits) -> Exchange {
    service.open_exchange(&Peer { number, local: SOMEWHERE, remote: SOMEWHERE }, limits, Arc::new(Nobody))
}

/// Nobody waits: the test itself looks into the mailbox.
struct Nobody;

impl Reach for Nobody {
    fn wake(&self, _number: u64) {}

    fn stop_server(&self) {}
}
