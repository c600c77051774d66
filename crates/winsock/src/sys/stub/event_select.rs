//! Event objects.

use super::error::{REFUSED, Result};

#[derive(Debug)]
pub(crate) struct Event;

impl Event {
    pub(crate) fn new() -> Result<Event> {
        Err(REFUSED)
    }
}
