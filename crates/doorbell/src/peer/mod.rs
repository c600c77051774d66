//! A peer: one connection, its conversation, and its sockets.
//!
//! [`ready`] is for models that are told *you may* ([`notified`] for those that are told it once), [`done`] for those
//! that are told *it is done*. They never meet:
//! what they share is the [`Talk`](talk::Talk), which knows nothing of sockets.

pub(crate) mod done;
pub(crate) mod notified;
pub(crate) mod ready;
pub(crate) mod talk;

use doorbell_service::Leg;

/// Both legs of a peer, for whoever looks at each in turn.
pub(crate) const LEGS: [Leg; 2] = [Leg::First, Leg::Second];
