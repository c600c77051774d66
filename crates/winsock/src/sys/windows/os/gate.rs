//! A gate before a handle that the system may give to somebody else as soon as it is closed.
//!
//! Whoever wants to use the handle goes through and is counted; closing shuts the gate, after which nobody comes in, and
//! tells how many are inside still. One number holds both, so that nobody slips in between.

use std::sync::atomic::{AtomicU32, Ordering};

const SHUT: u32 = 1 << 31;

#[derive(Debug, Default)]
pub(crate) struct Gate(AtomicU32);

impl Gate {
    /// Goes in, unless the gate is shut; a shut one is left as it is.
    pub(crate) fn enter(&self) -> bool {
        // Acquire: what the maker of the handle wrote is seen. The count cannot run into the flag: it would take two
        // thousand million threads.
        self.0
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |state| (state & SHUT == 0).then(|| state + 1))
            .is_ok()
    }

    /// Goes out; how many are inside now.
    pub(crate) fn leave(&self) -> u32 {
        (self.0.fetch_sub(1, Ordering::AcqRel) - 1) & !SHUT
    }

    /// Shuts the gate for ever; false when it was shut already.
    pub(crate) fn shut(&self) -> bool {
        self.0.fetch_or(SHUT, Ordering::AcqRel) & SHUT == 0
    }

    /// Shuts the gate for ever and goes in oneself, as the last; false when it was shut already.
    pub(crate) fn shut_behind(&self) -> bool {
        self.0
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |state| {
                (state & SHUT == 0).then_some((state + 1) | SHUT)
            })
            .is_ok()
    }

    pub(crate) fn is_shut(&self) -> bool {
        self.0.load(Ordering::Acquire) & SHUT != 0
    }

    pub(crate) fn inside(&self) -> u32 {
        self.0.load(Ordering::Acquire) & !SHUT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shut_gate_lets_nobody_in_and_everybody_out() {
        let gate = Gate::default();
        assert!(gate.enter() && gate.enter());
        assert!(gate.shut_behind() && !gate.shut_behind() && !gate.shut());
        assert!(!gate.enter() && gate.is_shut());
        assert_eq!((gate.inside(), gate.leave(), gate.leave(), gate.leave()), (3, 2, 1, 0));
    }
}
