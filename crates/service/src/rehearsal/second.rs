//! The far end of a connection, in the hand of a test.

use super::Scene;
use crate::exchange::{Event, Leg};
use std::fmt;
use std::io::ErrorKind;

/// The far end of the second leg: see [`Rehearsal`](super::Rehearsal) for what each word means.
pub struct RehearsedLeg<'a> {
    pub(super) scene: &'a mut Scene,
    pub(super) leg: Leg,
}

impl RehearsedLeg<'_> {
    /// The connection that was asked for is there.
    ///
    /// # Panics
    /// If none was asked for.
    pub fn accept(&mut self) {
        let address = self.scene.connecting.take().expect("the conversation asked for no connection");
        self.scene.tell(Event::Connected(address));
        self.scene.play();
    }

    /// The connection that was asked for cannot be made.
    ///
    /// # Panics
    /// If none was asked for.
    pub fn refuse(&mut self, kind: ErrorKind) {
        self.scene.connecting.take().expect("the conversation asked for no connection");
        self.scene.fail(self.leg, kind);
    }

    /// The far end sends these bytes.
    pub fn receive(&mut self, bytes: &[u8]) {
        self.receive_in_pieces(bytes, []);
    }

    /// The far end sends these bytes in pieces of these sizes; the rest comes in one piece.
    pub fn receive_in_pieces(&mut self, bytes: &[u8], sizes: impl IntoIterator<Item = usize>) {
        let mut rest = bytes;
        for size in sizes {
            let (piece, behind) = rest.split_at(size.min(rest.len()));
            self.scene.line(self.leg).arrive(piece);
            rest = behind;
        }
        self.scene.line(self.leg).arrive(rest);
        self.scene.play();
    }

    /// The far end sends nothing more.
    pub fn finish(&mut self) {
        self.scene.line(self.leg).finish();
        self.scene.play();
    }

    /// The connection fails; what was on its way is lost.
    pub fn fail(&mut self, kind: ErrorKind) {
        self.scene.fail(self.leg, kind);
    }

    /// From now on the far end reads only what it is allowed to, and now `count` bytes more.
    pub fn read(&mut self, count: usize) {
        self.scene.line(self.leg).allow(count);
        self.scene.play();
    }

    /// The far end reads everything at once again.
    pub fn read_all(&mut self) {
        self.scene.line(self.leg).allow_all();
        self.scene.play();
    }

    /// What the far end has read since this was last asked.
    pub fn take_sent(&mut self) -> Vec<u8> {
        self.scene.line(self.leg).take_sent()
    }

    /// Bytes that were sent to it and that it has not read.
    pub fn unsent(&self) -> usize {
        self.scene.exchange.unsent(self.leg)
    }

    /// Whether the conversation receives nothing from it now.
    pub fn is_paused(&self) -> bool {
        self.scene.exchange.wants(self.leg).receive == 0
    }

    /// Whether the far end has seen the end of what is sent to it.
    pub fn is_finished(&mut self) -> bool {
        self.scene.line(self.leg).finished
    }

    /// Whether this connection is closed or reset.
    pub fn is_closed(&mut self) -> bool {
        self.scene.line(self.leg).closed
    }

    /// Whether this connection was reset by this side.
    pub fn is_reset(&mut self) -> bool {
        self.scene.line(self.leg).reset
    }
}

impl fmt::Debug for RehearsedLeg<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RehearsedLeg").field("leg", &self.leg).finish_non_exhaustive()
    }
}
