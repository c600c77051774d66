//! What the connections of a thread share.

use super::Load;
use super::draw::Draw;
use super::orders::Orders;
use super::pattern::Pattern;
use super::record::Record;
use super::schedule::Schedule;
use mio::Registry;
use std::net::SocketAddr;

pub(super) struct Desk<'a> {
    pub(super) target: SocketAddr,
    pub(super) load: &'a Load,
    pub(super) orders: &'a Orders,
    pub(super) pattern: &'a Pattern,
    pub(super) registry: Registry,
    /// All connections receive into this one, so that it stays in the cache.
    pub(super) receive: Box<[u8]>,
    pub(super) scratch: Vec<u8>,
    /// Whether a read that does not fill its buffer says that no more is there. Above Winsock mio watches a socket again only
    /// after a call that would have blocked.
    pub(super) short_read_is_all: bool,
    pub(super) record: Record,
    pub(super) draw: Draw,
    /// Of an open loop.
    pub(super) schedule: Option<Schedule>,
    /// Whether new requests may begin.
    pub(super) sending: bool,
    /// How many connections were opened; when the last one was, and which it is.
    pub(super) opened: usize,
    pub(super) opened_ns: u64,
    pub(super) opened_last: usize,
    /// The clock as it was last read.
    pub(super) now_ns: u64,
}

impl Desk<'_> {
    /// Reads the clock.
    pub(super) fn tick(&mut self) -> u64 {
        self.now_ns = self.orders.now_ns();
        self.now_ns
    }
}
