//! What the system says of a selected socket, and what of it counts.

use super::super::engine::line::Direction;
use super::super::error::wsa;
use super::super::os::epoll::Ready;
use super::super::os::poll::{POLLERR, POLLHUP, POLLIN, POLLOUT, POLLPRI, POLLRDHUP, look_at};
use super::super::socket::Core;
use crate::semantics::connection::Phase;
use crate::semantics::network_events::Seen;
use crate::socket::{Kind, Shutdown};
use rustix::net::sockopt::socket_error;
use rustix::net::{RecvFlags, recv};
use std::os::fd::BorrowedFd;
use std::sync::atomic::Ordering::SeqCst;

/// What `poll` or the set says.
#[derive(Clone, Copy)]
pub(super) struct Edge {
    /// What there is belongs to operations, the last of which asks by itself what it left.
    taken: bool,
    filled: bool,
    data: bool,
    urgent: bool,
    room: bool,
    /// The peer finished, or the connection is over.
    ended: bool,
    /// There is an error to be asked for.
    broken: bool,
    /// Over in both directions.
    hung_up: bool,
}

impl Edge {
    /// As of now.
    pub(super) fn look(core: &Core, fd: BorrowedFd<'_>) -> Edge {
        let lines = [Direction::Input, Direction::Output];
        let before = lines.map(|line| (core.queues.joined(line), core.queues.waits(line)));
        let answer = look_at(fd, POLLIN | POLLOUT | POLLPRI | POLLRDHUP);
        // Also what came for one that began meanwhile, and may have ended as well.
        let after = lines.map(|line| core.queues.joined(line));
        let [taken, filled] = [0, 1].map(|at| before[at].1 || before[at].0 != after[at]);
        let has = |bits| answer & bits != 0;
        Edge {
            taken,
            filled,
            data: has(POLLIN),
            urgent: has(POLLPRI),
            room: has(POLLOUT),
            ended: has(POLLRDHUP | POLLERR | POLLHUP),
            broken: has(POLLERR),
            hung_up: has(POLLHUP),
        }
    }

    /// As the set said.
    pub(super) fn of(core: &Core, ready: Ready) -> Edge {
        Edge {
            taken: core.queues.waits(Direction::Input),
            filled: core.queues.waits(Direction::Output),
            data: ready.data,
            urgent: ready.urgent,
            room: ready.writable,
            ended: ready.ended,
            broken: ready.broken,
            hung_up: ready.hung_up,
        }
    }

    /// In the words of the semantics. What an overlapped operation waits for is that operation's (NE-10, NE-11): when the
    /// last of its line has ended the system is asked again. A direction that was shut here has no events.
    pub(super) fn seen(self, core: &Core, fd: BorrowedFd<'_>) -> (Phase, Seen) {
        let Edge { taken, filled, .. } = self;
        let (phase, shut_receive, shut_send) = core.ask(|connection| {
            (connection.phase(), connection.is_shut(Shutdown::Receive), connection.is_shut(Shutdown::Send))
        });
        let mut seen = Seen {
            data: self.data && !taken && !shut_receive,
            urgent: self.urgent && !taken,
            inline: core.oob_inline.load(SeqCst),
            room: self.room && !filled && !shut_send,
            end: None,
        };
        if core.kind == Kind::Datagram {
            if self.broken {
                // A datagram sent earlier met a port that nobody owns: nobody's error (UD-11).
                let _ = socket_error(fd);
            }
            return (phase, seen);
        }
        if phase != Phase::Connected {
            return (phase, seen);
        }
        // An operation that is to learn why the connection broke must not find the reason gone.
        if self.ended && !(taken || self.hung_up && filled) {
            let code = self.code(core, fd);
            seen.data &= code == 0 && has_data(fd);
            seen.end = Some(code);
        }
        (phase, seen)
    }

    /// Why it ended, 0 for the peer's word. The system tells a reason once, so it is remembered (BL-03).
    fn code(self, core: &Core, fd: BorrowedFd<'_>) -> i32 {
        let asked = if self.broken { socket_error(fd) } else { Ok(Ok(())) };
        let told = asked.ok().and_then(Result::err).map_or(0, wsa);
        if told != 0 {
            core.note_error(told);
        }
        match core.ask(|connection| connection.socket_error()) {
            0 => told,
            noted => noted,
        }
    }
}

/// Whether data stands before the end, which the system calls readable as well (NE-05). A count would stop at an urgent
/// byte.
fn has_data(fd: BorrowedFd<'_>) -> bool {
    recv(fd, &mut [0], RecvFlags::PEEK | RecvFlags::DONTWAIT).is_ok_and(|(_, bytes)| bytes > 0)
}
