//! Network events of sockets, and the event objects that they set.

use super::error::{REFUSED, Result};
use super::socket::Socket;
use crate::event_select::{Event, NetEvents, NetworkEvents};

impl Socket {
    pub(crate) fn event_select(&self, _event: Option<&Event>, _mask: NetEvents) -> Result<()> {
        Err(REFUSED)
    }
    pub(crate) fn enum_network_events(
        &self,
        _event: Option<&Event>,
        _record: &mut NetworkEvents,
    ) -> Result<()> {
        Err(REFUSED)
    }
}
