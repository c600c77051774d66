//! Completion ports: Windows' own. What comes out is always a block of ours; see `os::block`.

use super::error::Result;
use super::os::apc::resume_panic;
use super::os::block::Block;
use super::os::queue::{Arrival, Association, Queue};
use super::socket::Socket;
use super::startup::startup;
use crate::error::{ERROR_INVALID_PARAMETER, WAIT_TIMEOUT};
use crate::port::Packet;
use crate::routine::Alertable;
use std::sync::Arc;
use std::time::Duration;

#[derive(Clone)]
pub(crate) struct Port {
    owner: Arc<Owner>,
}

/// Counted apart from the sockets that post to the queue, so that the drop of the last clone closes the port.
struct Owner(Arc<Queue>);

impl Drop for Owner {
    fn drop(&mut self) {
        // Closed by hand before, in which case nothing is left to do.
        let _ = self.0.close();
    }
}

impl Port {
    pub(crate) fn new(concurrency: u32) -> Result<Port> {
        startup()?;
        Ok(Port { owner: Arc::new(Owner(Queue::new(concurrency)?)) })
    }

    pub(crate) fn associate(&self, socket: &Socket, key: usize) -> Result<()> {
        let connection = &socket.handle().connection;
        socket.with(|raw| {
            if connection.association.get().is_some() {
                return Err(ERROR_INVALID_PARAMETER);
            }
            // Of two threads that come here at once the system refuses one.
            self.queue().associate(raw, key)?;
            let _ = connection.association.set(Association { queue: self.queue().clone(), key });
            Ok(())
        })
    }

    pub(crate) fn post(&self, bytes: u32, key: usize, token: usize) -> Result<()> {
        self.queue().post(bytes, key, token)
    }

    pub(crate) fn get(&self, timeout: Option<Duration>) -> Result<Packet> {
        let mut packet = None;
        self.queue().take(1, timeout, false, |arrival| packet = packet_of(arrival))?;
        packet.ok_or(ERROR_INVALID_PARAMETER)
    }

    pub(crate) fn get_many(
        &self,
        packets: &mut Vec<Packet>,
        max: usize,
        timeout: Option<Duration>,
        alertable: Alertable,
    ) -> Result<usize> {
        if max == 0 {
            return Err(ERROR_INVALID_PARAMETER);
        }
        let mut each = |arrival| packets.extend(packet_of(arrival));
        if alertable == Alertable::No {
            return self.queue().take(max, timeout, false, each);
        }
        // Wine runs what is queued for the thread although a packet is there (CP-16), so that is looked for first.
        match self.queue().take(max, Some(Duration::ZERO), false, &mut each) {
            Err(WAIT_TIMEOUT) => {}
            outcome => return outcome,
        }
        let taken = self.queue().take(max, timeout, true, each);
        resume_panic();
        taken
    }

    pub(crate) fn close(&self) -> Result<()> {
        self.queue().close()
    }

    fn queue(&self) -> &Arc<Queue> {
        &self.owner.0
    }
}

pub(crate) fn blocking<R>(work: impl FnOnce() -> R) -> R {
    work()
}

fn packet_of(arrival: Arrival) -> Option<Packet> {
    let Arrival { key, bytes, block } = arrival;
    match block {
        Block::Posted(token) => Some(Packet::Posted { bytes, key, token }),
        Block::Operation(block) => Some(Packet::Io(block.complete(key))),
        Block::Husk => None,
    }
}
