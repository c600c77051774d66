//! The engine of the Linux column: what makes overlapped operations progress.
//!
//! Each socket has two lines of operations, one a direction; only the first of a line may touch the system (`line.rs`,
//! `progress.rs`, `ending.rs`, `attempt.rs` for a single try, and `at_once.rs` for a send that
//! needs no line). Where its end is told says its channel
//! (`channel.rs`). What tells a line that it can go on is a [`Domain`](domain::Domain): an epoll set or a ring, one for
//! each port, up to two for each thread that waits for events (`home.rs`), and one for the other sockets
//! (`domain.rs`). The threads that wait run it. When they are all away for long, the guard does (`guard.rs`). Numbers
//! given to the kernel are places in a registry with a generation, never addresses (`registry.rs`).

pub(crate) mod at_once;
pub(crate) mod attempt;
pub(crate) mod channel;
pub(crate) mod domain;
pub(crate) mod ending;
pub(crate) mod guard;
pub(crate) mod home;
pub(crate) mod line;
pub(crate) mod progress;
pub(crate) mod registry;
