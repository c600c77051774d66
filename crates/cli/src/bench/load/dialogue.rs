//! What was asked on a connection and what must come back, byte by byte. No socket, no clock.

use super::LoadError;
use super::fault::Standing;
use super::pattern::{PIECE_MAX, Pattern, Place};
use doorbell_service::{BURN_HEAD_BYTES, burn_head};
use std::collections::VecDeque;

/// A request whose answer is not complete.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request {
    /// Bytes, the head included.
    pub(super) size: usize,
    /// For service `burn`: what the head asks for. Without, the request has no head.
    pub(super) rounds: Option<u32>,
    /// When it was to be sent, and when it was.
    pub(super) due_ns: u64,
    pub(super) sent_ns: u64,
}

/// One connection's requests and answers.
#[derive(Debug)]
pub(super) struct Dialogue {
    pending: VecDeque<Request>,
    /// Which of `pending` is the first that is not sent whole, and how much of it is.
    sending: usize,
    of_request: usize,
    unsent: usize,
    /// Where the next byte of a request, and of an answer, stands in the pattern.
    asks: Place,
    answers: Place,
    standing: Standing,
}

impl Request {
    fn head(&self) -> Option<[u8; BURN_HEAD_BYTES]> {
        // Sizes end at 16 MiB.
        self.rounds.map(|rounds| burn_head((self.size - BURN_HEAD_BYTES) as u32, rounds))
    }

    /// What of the head is left behind the first `done` bytes.
    fn head_left(&self, done: usize) -> usize {
        self.rounds.map_or(0, |_| BURN_HEAD_BYTES.saturating_sub(done))
    }
}

impl Dialogue {
    pub(super) fn new(connection: usize) -> Dialogue {
        let place = Place::of(connection);
        Dialogue {
            pending: VecDeque::new(),
            sending: 0,
            of_request: 0,
            unsent: 0,
            asks: place,
            answers: place,
            standing: Standing { connection, ..Standing::default() },
        }
    }

    pub(super) fn standing(&self) -> &Standing {
        &self.standing
    }

    /// Requests under way.
    pub(super) fn under_way(&self) -> usize {
        self.pending.len()
    }

    pub(super) fn is_sent(&self) -> bool {
        self.unsent == 0
    }

    pub(super) fn ask(&mut self, request: Request) {
        self.unsent += request.size;
        self.pending.push_back(request);
    }

    /// What is to be sent next, in one piece. `scratch` holds it where heads stand between.
    pub(super) fn outgoing<'a>(&self, pattern: &'a Pattern, scratch: &'a mut Vec<u8>) -> &'a [u8] {
        if self.pending.get(self.sending).is_none_or(|request| request.rounds.is_none()) {
            return pattern.piece(self.asks, self.unsent);
        }
        scratch.clear();
        let (mut place, mut done) = (self.asks, self.of_request);
        for request in self.pending.range(self.sending..) {
            let head = request.head_left(done);
            scratch.extend(request.head().iter().flat_map(|bytes| &bytes[BURN_HEAD_BYTES - head..]));
            let body = request.size - done - head;
            let body = pattern.piece(place, body.min(PIECE_MAX.saturating_sub(scratch.len())));
            scratch.extend_from_slice(body);
            place = place.after(body.len());
            if scratch.len() >= PIECE_MAX {
                break;
            }
            done = 0;
        }
        scratch
    }

    /// So many bytes of [`outgoing`](Dialogue::outgoing) are on their way.
    pub(super) fn sent(&mut self, mut bytes: usize) {
        self.unsent -= bytes;
        self.standing.awaited += bytes;
        while bytes > 0 {
            let request = self.pending[self.sending];
            let step = bytes.min(request.size - self.of_request);
            let head = request.head_left(self.of_request).min(step);
            self.asks = self.asks.after(step - head);
            self.of_request += step;
            bytes -= step;
            if self.of_request == request.size {
                self.sending += 1;
                self.of_request = 0;
            }
        }
    }

    /// Compares what came with what must, and tells of each request that is answered whole.
    ///
    /// # Errors
    /// A byte is another than was sent, or one too many.
    pub(super) fn take(
        &mut self,
        mut bytes: &[u8],
        pattern: &Pattern,
        mut answered: impl FnMut(&Request),
    ) -> Result<(), LoadError> {
        while !bytes.is_empty() {
            let Some(request) = self.pending.front().copied().filter(|_| self.standing.awaited > 0) else {
                return Err(self.standing.too_many(bytes));
            };
            let done = self.standing.of_answer;
            let head_left = request.head_left(done);
            let head = request.head();
            let expected = match &head {
                Some(head) if head_left > 0 => &head[done..],
                _ => pattern.piece(self.answers, request.size - done),
            };
            let len = expected.len().min(bytes.len()).min(self.standing.awaited);
            if expected[..len] != bytes[..len] {
                let right =
                    expected.iter().zip(bytes).take_while(|(expected, came)| expected == came).count();
                let wrong = expected[right];
                self.advance(right, head_left > 0);
                return Err(self.standing.wrong(wrong, &bytes[right..], pattern, self.answers));
            }
            self.advance(len, head_left > 0);
            bytes = &bytes[len..];
            if self.standing.of_answer == request.size {
                self.pending.pop_front();
                self.sending -= 1;
                self.standing.answered += 1;
                self.standing.of_answer = 0;
                answered(&request);
            }
        }
        Ok(())
    }

    fn advance(&mut self, bytes: usize, in_head: bool) {
        self.standing.of_answer += bytes;
        self.standing.received += bytes as u64;
        self.standing.awaited -= bytes;
        if !in_head {
            self.answers = self.answers.after(bytes);
        }
    }
}
