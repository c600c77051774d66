//! The three sets of a `select`, filled from peers and walked afterwards.

use crate::peer::LEGS;
use crate::peer::ready::Peer;
use doorbell_winsock::{FdSet, Result, Socket, select};
use std::iter::Peekable;
use std::slice::Iter;
use std::time::{Duration, Instant};

#[derive(Default)]
pub(crate) struct Sets {
    pub(crate) read: FdSet,
    write: FdSet,
    /// Where a connect that failed is told.
    except: FdSet,
}

impl Sets {
    pub(crate) fn clear(&mut self) {
        self.read.clear();
        self.write.clear();
        self.except.clear();
    }

    /// Puts the sockets of a peer into the sets that they wait in.
    pub(crate) fn insert(&mut self, peer: &Peer) {
        for leg in LEGS {
            let Some((socket, awaits)) = peer.awaits(leg) else { continue };
            if awaits.receive {
                self.read.insert(socket);
            }
            if awaits.send || awaits.connect {
                self.write.insert(socket);
            }
            if awaits.connect {
                self.except.insert(socket);
            }
        }
    }

    /// Waits until one of them is ready, and leaves in the sets those that are.
    pub(crate) fn select(&mut self, timeout: Option<Duration>) -> Result<()> {
        select(Some(&mut self.read), Some(&mut self.write), Some(&mut self.except), timeout).map(drop)
    }

    /// Walks what is left. Everybody is to be asked for in the order in which they were put in: so one walk is enough.
    pub(crate) fn ready(&self) -> Ready<'_> {
        let [read, write, except] = [&self.read, &self.write, &self.except].map(|set| set.iter().peekable());
        Ready { read, write, except }
    }
}

pub(crate) struct Ready<'a> {
    read: Peekable<Iter<'a, Socket>>,
    write: Peekable<Iter<'a, Socket>>,
    except: Peekable<Iter<'a, Socket>>,
}

impl Ready<'_> {
    /// Whether this socket is left in the read set.
    pub(crate) fn may_read(&mut self, socket: &Socket) -> bool {
        self.read.next_if(|next| *next == socket).is_some()
    }

    /// Tells a peer what its sockets may do now.
    pub(crate) fn serve(&mut self, peer: &mut Peer, buffer: &mut [u8], now: Instant) {
        // Asked for both legs before either is served, since that may change the other.
        let ready = LEGS.map(|leg| {
            peer.socket(leg).map(|socket| {
                let is_left =
                    |set: &mut Peekable<Iter<'_, Socket>>| set.next_if(|next| *next == socket).is_some();
                (is_left(&mut self.read), is_left(&mut self.write), is_left(&mut self.except))
            })
        });
        for (leg, ready) in LEGS.into_iter().zip(ready) {
            let (may_receive, may_send, failed) = ready.unwrap_or_default();
            if may_receive {
                peer.may_receive(leg, buffer, now);
            }
            if failed {
                peer.connect_failed(None, now);
            } else if may_send {
                peer.may_send(leg, now);
            }
        }
    }
}
