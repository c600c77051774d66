//! Event objects, waits for several of them, and the network events that set them.

use super::error::{REFUSED, Result};
use super::socket::Socket;
use crate::event_select::{Event as Public, NetEvents, NetworkEvents, Wait};
use crate::routine::Alertable;
use std::time::Duration;

#[derive(Clone)]
pub(crate) struct Event;

impl Event {
    pub(crate) fn new(_manual_reset: bool) -> Result<Event> {
        Err(REFUSED)
    }
    pub(crate) fn set(&self) -> Result<()> {
        Err(REFUSED)
    }
    pub(crate) fn reset(&self) -> Result<()> {
        Err(REFUSED)
    }
    pub(crate) fn close(&self) -> Result<()> {
        Err(REFUSED)
    }
    pub(crate) fn waitable(&self) -> Result<Waitable> {
        Err(REFUSED)
    }
}

/// What a foreign loop waits for. A column gives the public one the traits of its system, `AsFd` or `AsHandle`.
pub(crate) struct Waitable;

pub(crate) fn wait(
    _events: &[Public],
    _all: bool,
    _timeout: Option<Duration>,
    _alertable: Alertable,
) -> Result<Wait> {
    Err(REFUSED)
}

impl Socket {
    pub(crate) fn event_select(&self, _event: Option<&Public>, _mask: NetEvents) -> Result<()> {
        Err(REFUSED)
    }
    pub(crate) fn enum_network_events(
        &self,
        _event: Option<&Public>,
        _record: &mut NetworkEvents,
    ) -> Result<()> {
        Err(REFUSED)
    }
}
