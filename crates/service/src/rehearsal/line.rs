//! The far end of one connection, as the test plays it.

use std::collections::VecDeque;

/// What the peer reads in one step when nobody says how much: some services never stop sending.
const READ_A_STEP: usize = 1024 * 1024;

#[derive(Default)]
pub(super) struct Line {
    /// Pieces that the far end has sent and that were not received yet.
    arriving: VecDeque<Vec<u8>>,
    /// The far end finishes behind them.
    finishing: Finishing,
    /// What the far end has read.
    sent: Vec<u8>,
    /// How much it may read: `None` for all.
    allowed: Option<usize>,
    left_in_step: usize,
    /// The far end has seen the end of what is sent to it.
    pub(super) finished: bool,
    pub(super) closed: bool,
    pub(super) reset: bool,
}

#[derive(Default, PartialEq, Eq)]
enum Finishing {
    #[default]
    No,
    Due,
    Told,
}

impl Line {
    pub(super) fn begin_step(&mut self) {
        self.left_in_step = READ_A_STEP;
    }

    pub(super) fn arrive(&mut self, piece: &[u8]) {
        if !piece.is_empty() && self.finishing == Finishing::No {
            self.arriving.push_back(piece.to_vec());
        }
    }

    pub(super) fn finish(&mut self) {
        if self.finishing == Finishing::No {
            self.finishing = Finishing::Due;
        }
    }

    pub(super) fn allow(&mut self, count: usize) {
        self.allowed = Some(self.allowed.unwrap_or(0) + count);
    }

    pub(super) fn allow_all(&mut self) {
        self.allowed = None;
    }

    /// The far end reads what it may. `None` when that is nothing.
    pub(super) fn take_in(&mut self, outgoing: &[u8], wanted: bool) -> Option<usize> {
        let count = outgoing.len().min(self.allowed.unwrap_or(self.left_in_step));
        if !wanted || count == 0 {
            return None;
        }
        match &mut self.allowed {
            Some(allowed) => *allowed -= count,
            None => self.left_in_step -= count,
        }
        self.sent.extend_from_slice(&outgoing[..count]);
        Some(count)
    }

    pub(super) fn take_sent(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.sent)
    }

    /// The next piece to be received, cut to the room there is.
    pub(super) fn next_piece(&mut self, room: usize) -> Option<Vec<u8>> {
        if room == 0 {
            return None;
        }
        let mut piece = self.arriving.pop_front()?;
        if piece.len() > room {
            let rest = piece.split_off(room);
            self.arriving.push_front(rest);
        }
        Some(piece)
    }

    /// Whether the finish is what would be received next; if so, it is.
    pub(super) fn is_finish_due(&mut self, room: usize) -> bool {
        let due = room > 0 && self.arriving.is_empty() && self.finishing == Finishing::Due;
        if due {
            self.finishing = Finishing::Told;
        }
        due
    }

    /// This side closes. The far end sees it as a finish or as a reset.
    pub(super) fn close(&mut self, reset: bool) {
        self.lose();
        self.closed = true;
        self.reset = reset;
        self.finished |= !reset;
    }

    /// What was on its way here is lost.
    pub(super) fn lose(&mut self) {
        self.arriving.clear();
    }
}
