//! Message queues and their windows, and the network events that are posted there.

use super::error::{REFUSED, Result};
use super::socket::Socket;
use crate::async_select::{Message, Window as Public};
use crate::event_select::NetEvents;
use std::time::Duration;

pub(crate) struct MessageQueue;

impl MessageQueue {
    pub(crate) fn new() -> Result<MessageQueue> {
        Err(REFUSED)
    }
    pub(crate) fn window(&self) -> Window {
        Window
    }
    pub(crate) fn get(&self, _timeout: Option<Duration>) -> Result<Option<Message>> {
        Err(REFUSED)
    }
}

#[derive(Clone)]
pub(crate) struct Window;

impl Window {
    pub(crate) fn post(&self, _id: u32, _wparam: usize, _lparam: isize) -> Result<()> {
        Err(REFUSED)
    }
}

impl Socket {
    pub(crate) fn async_select(&self, _window: &Public, _id: u32, _mask: NetEvents) -> Result<()> {
        Err(REFUSED)
    }
}
