//! `WSAEventSelect`: network events recorded for each socket, and event objects that say "look" (model 4).
//!
//! This row is not built yet: every call refuses with WSAEOPNOTSUPP (10045).

use crate::error::{Error, Result};
use crate::sys;

/// An event object: set or unset, waited for by any thread.
#[doc(alias = "WSAEVENT")]
#[derive(Debug)]
pub struct Event {
    _sys: sys::event_select::Event,
}

impl Event {
    /// Makes a manual-reset event, initially unset.
    ///
    /// # Errors
    /// WSAEOPNOTSUPP (10045): not built yet.
    #[doc(alias = "WSACreateEvent")]
    pub fn new() -> Result<Event> {
        let _sys = sys::event_select::Event::new().map_err(|code| Error::new("create_event", code))?;
        Ok(Event { _sys })
    }
}
