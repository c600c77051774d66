//! Where threads meet: the locks and words of the parts whose interleavings are walked through one by one.
//!
//! Those parts take them from here and from nowhere else, so that `loom/` can put its own in their stead (CONTRIBUTING.md,
//! "Soundness").

pub(in crate::sys::linux) use std::sync::{Condvar, Mutex, MutexGuard, atomic};
