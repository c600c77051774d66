//! Loom's atomics with a true `SeqCst`.
//!
//! Loom takes `SeqCst` of a load or a store for `AcqRel`, and would find fault with what relies on more, as a flag and a
//! claim do of which each is written before the other is read. A fence on either side, which loom takes for what it is, makes up
//! for it.

pub(crate) use loom::sync::atomic::Ordering;

use Ordering::SeqCst;
use loom::sync::atomic::fence;

fn fenced<T>(operation: impl FnOnce() -> T) -> T {
    fence(SeqCst);
    let outcome = operation();
    fence(SeqCst);
    outcome
}

macro_rules! atomic {
    ($name:ident, $value:ty) => {
        #[derive(Debug, Default)]
        pub(crate) struct $name(loom::sync::atomic::$name);

        impl $name {
            pub(crate) fn new(value: $value) -> $name {
                $name(loom::sync::atomic::$name::new(value))
            }

            pub(crate) fn load(&self, order: Ordering) -> $value {
                fenced(|| self.0.load(order))
            }

            pub(crate) fn store(&self, value: $value, order: Ordering) {
                fenced(|| self.0.store(value, order));
            }

            pub(crate) fn swap(&self, value: $value, order: Ordering) -> $value {
                fenced(|| self.0.swap(value, order))
            }

            pub(crate) fn fetch_or(&self, value: $value, order: Ordering) -> $value {
                fenced(|| self.0.fetch_or(value, order))
            }

            pub(crate) fn fetch_and(&self, value: $value, order: Ordering) -> $value {
                fenced(|| self.0.fetch_and(value, order))
            }

            pub(crate) fn compare_exchange(
                &self,
                current: $value,
                new: $value,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$value, $value> {
                fenced(|| self.0.compare_exchange(current, new, success, failure))
            }

            pub(crate) fn fetch_update(
                &self,
                success: Ordering,
                failure: Ordering,
                update: impl FnMut($value) -> Option<$value>,
            ) -> Result<$value, $value> {
                fenced(|| self.0.fetch_update(success, failure, update))
            }
        }
    };
}

atomic!(AtomicBool, bool);
atomic!(AtomicU8, u8);
atomic!(AtomicU32, u32);
atomic!(AtomicUsize, usize);

impl AtomicUsize {
    pub(crate) fn fetch_add(&self, value: usize, order: Ordering) -> usize {
        fenced(|| self.0.fetch_add(value, order))
    }

    pub(crate) fn fetch_sub(&self, value: usize, order: Ordering) -> usize {
        fenced(|| self.0.fetch_sub(value, order))
    }
}
