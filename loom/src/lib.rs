//! The parts of `doorbell-winsock` where threads meet, under [loom](https://docs.rs/loom): each model runs through every
//! interleaving of its few threads, up to a bounded number of preemptions.
//!
//! (`#[path = "."]` at a module says that the paths in it start here.) The files are those of the crate itself, put into a tree in which `sync` is loom's and what they lean on is as little as
//! will do. The models stand beside them, since most of what they call is nobody else's; `tests/models.rs` runs them.

#![forbid(unsafe_code)]
// The files have more than the models need.
#![allow(dead_code, unreachable_pub)]

/// The models, by the part that they are about.
pub mod models {
    pub use crate::sys::linux::async_select::model as messages;
    pub use crate::sys::linux::engine::home::model as place;
    pub use crate::sys::linux::event_select::model as event;
    pub use crate::sys::linux::port::model as port;
    pub use crate::sys::linux::routine::model as apcs;
}

/// Runs a model. A bell that stays rung shows with three preemptions, not with two; `LOOM_MAX_PREEMPTIONS` says otherwise.
fn walk(model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(3));
    builder.check(model);
}

mod atomic;

/// As the crate's, as far as the files name it.
mod error {
    pub(crate) const ERROR_INVALID_HANDLE: i32 = 6;
    pub(crate) const ERROR_INVALID_WINDOW_HANDLE: i32 = 1400;
    pub(crate) const ERROR_NOT_ENOUGH_QUOTA: i32 = 1816;
}

mod overlapped {
    /// What a routine is given: here a number.
    #[derive(Debug, PartialEq, Eq)]
    pub(crate) struct Completion(pub(crate) usize);
}

mod port {
    pub(crate) type Packet = u32;
}

mod async_select {
    pub(crate) type Message = u32;
    pub(crate) const MESSAGES_MAX: usize = 2;
}

#[path = "."]
mod semantics {
    #[path = "../../crates/winsock/src/semantics/port.rs"]
    pub(crate) mod port;
}

#[path = "."]
mod sys {
    #[path = "."]
    pub mod linux {
        /// Loom's in place of the standard library's.
        mod sync {
            pub(in crate::sys::linux) use crate::atomic;
            pub(in crate::sys::linux) use loom::sync::{Condvar, Mutex, MutexGuard};
        }

        mod error {
            pub(in crate::sys::linux) type Result<T> = std::result::Result<T, i32>;
        }

        mod startup {
            pub(in crate::sys::linux) fn startup() -> super::error::Result<()> {
                Ok(())
            }
        }

        mod overlapped {
            use crate::overlapped::Completion;

            pub(in crate::sys::linux) fn result_of(completion: &Completion) -> super::error::Result<usize> {
                Ok(completion.0)
            }
        }

        #[path = "."]
        pub mod engine {
            #[path = "."]
            pub mod home {
                use super::super::event_select::Claim;
                use super::super::routine::Apcs;
                use place::Place;

                /// A thread's home without domains: it sleeps in its bed.
                pub(crate) struct Home {
                    pub(in crate::sys::linux) place: Place,
                    pub(crate) claim: Claim,
                    pub(crate) apcs: Apcs,
                }

                impl Home {
                    pub(crate) fn new() -> Home {
                        Home { place: Place::new(), claim: Claim::default(), apcs: Apcs::default() }
                    }

                    pub(crate) fn is_here(&self) -> bool {
                        false
                    }

                    pub(crate) fn wake(&self) {
                        let _ = self.place.wake();
                    }

                    pub(crate) fn wait(&self, timeout: Option<std::time::Duration>) {
                        self.place.sleep(timeout);
                    }
                }

                #[path = "../../crates/winsock/src/sys/linux/engine/home/place.rs"]
                pub(crate) mod place;

                #[path = "place.rs"]
                pub mod model;
            }
        }

        #[path = "."]
        pub mod event_select {
            #[path = "../../crates/winsock/src/sys/linux/event_select/claim.rs"]
            mod claim;
            #[path = "../../crates/winsock/src/sys/linux/event_select/object.rs"]
            mod object;

            #[path = "event.rs"]
            pub mod model;

            pub(crate) use claim::Claim;
            pub(in crate::sys::linux) use waitable::{Beacons, Waitable};

            /// No foreign loop waits here.
            mod waitable {
                use super::super::error::Result;

                pub(crate) struct Waitable;

                impl Waitable {
                    pub(in crate::sys::linux) fn new() -> Result<Waitable> {
                        Ok(Waitable)
                    }
                }

                #[derive(Default)]
                pub(in crate::sys::linux) struct Beacons;

                impl Beacons {
                    pub(in crate::sys::linux) fn add(&mut self, _: &Waitable, _: bool) {}
                    pub(in crate::sys::linux) fn show(&mut self, _: bool) {}
                }
            }
        }

        #[path = "."]
        pub mod async_select {
            #[path = "../../crates/winsock/src/sys/linux/async_select/queue.rs"]
            mod queue;

            #[path = "messages.rs"]
            pub mod model;
        }

        #[path = "."]
        pub mod routine {
            #[path = "../../crates/winsock/src/sys/linux/routine/queue.rs"]
            mod queue;

            #[path = "apcs.rs"]
            pub mod model;

            pub(crate) use queue::Apcs;
        }

        #[path = "."]
        pub mod port {
            #[path = "../../crates/winsock/src/sys/linux/port/waiter.rs"]
            mod waiter;

            #[path = "port.rs"]
            pub mod model;
        }
    }
}
