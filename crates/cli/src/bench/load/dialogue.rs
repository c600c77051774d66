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

#[cfg(test)]
mod tests {
    use super::*;

    fn request(size: usize, rounds: Option<u32>) -> Request {
        Request { size, rounds, due_ns: 0, sent_ns: 0 }
    }

    /// All that a dialogue has to send, taken in steps of `step`.
    fn send(dialogue: &mut Dialogue, pattern: &Pattern, step: usize) -> Vec<u8> {
        let (mut all, mut scratch) = (Vec::new(), Vec::new());
        while !dialogue.is_sent() {
            let piece = dialogue.outgoing(pattern, &mut scratch);
            let len = piece.len().min(step);
            all.extend_from_slice(&piece[..len]);
            dialogue.sent(len);
        }
        all
    }

    fn fault(result: Result<(), LoadError>) -> String {
        result.unwrap_err().to_string()
    }

    #[test]
    fn what_is_sent_is_right_however_it_is_cut() {
        let pattern = Pattern::new();
        for (rounds, step) in
            [(None, 1), (None, 999), (None, usize::MAX), (Some(7), 3), (Some(7), usize::MAX)]
        {
            let mut dialogue = Dialogue::new(5);
            let sizes = [9, 64, 70_000, 10, 9, 200_000];
            sizes.iter().for_each(|size| dialogue.ask(request(*size, rounds)));
            let sent = send(&mut dialogue, &pattern, step);
            assert_eq!(sent.len(), sizes.iter().sum::<usize>());
            let mut answered = Vec::new();
            for piece in sent.chunks(step.min(777)) {
                dialogue.take(piece, &pattern, |request| answered.push(request.size)).unwrap();
            }
            assert_eq!(answered, sizes);
            assert_eq!(dialogue.under_way(), 0);
        }
    }

    #[test]
    fn a_head_says_what_it_asks_for() {
        let (pattern, mut dialogue) = (Pattern::new(), Dialogue::new(0));
        dialogue.ask(request(9, Some(0)));
        dialogue.ask(request(20, Some(300)));
        let sent = send(&mut dialogue, &pattern, usize::MAX);
        assert_eq!(sent[..8], burn_head(1, 0));
        assert_eq!(sent[9..17], burn_head(12, 300));
        // A wrong byte within a head.
        let mut came = sent.clone();
        came[12] ^= 1;
        let fault = fault(dialogue.take(&came, &pattern, |_| {}));
        assert!(fault.contains("byte 12 of its answers (byte 3 of the answer to request 1)"), "{fault}");
    }

    #[test]
    fn another_connections_answer_or_another_order_is_a_fault() {
        let pattern = Pattern::new();
        let [mut own, mut other] = [1, 2].map(Dialogue::new);
        (0..2).for_each(|_| own.ask(request(64, None)));
        other.ask(request(64, None));
        let sent = send(&mut own, &pattern, usize::MAX);
        let swapped = [&sent[64..], &sent[..64]].concat();
        let fault_of_order = fault(own.take(&swapped, &pattern, |_| {}));
        assert!(fault_of_order.contains("as if 64 bytes before it were missing"), "{fault_of_order}");
        send(&mut other, &pattern, usize::MAX);
        let fault = fault(other.take(&sent[..64], &pattern, |_| {}));
        assert!(fault.starts_with("connection 2, byte 0 of its answers"), "{fault}");
    }

    #[test]
    fn bytes_that_were_not_sent_are_a_fault() {
        let (pattern, mut dialogue) = (Pattern::new(), Dialogue::new(0));
        dialogue.ask(request(8, None));
        let sent = dialogue.outgoing(&pattern, &mut Vec::new()).to_vec();
        dialogue.sent(5);
        let fault = fault(dialogue.take(&sent, &pattern, |_| {}));
        assert!(fault.contains("byte 5 of its answers") && fault.contains("came 3 bytes more"), "{fault}");
    }
}
