//! Completion ports.

use super::error::{REFUSED, Result};
use super::socket::Socket;
use crate::port::Packet;
use crate::routine::Alertable;
use std::time::Duration;

#[derive(Clone)]
pub(crate) struct Port {
    never: std::convert::Infallible,
}

impl Port {
    pub(crate) fn new(_concurrency: u32) -> Result<Port> {
        Err(REFUSED)
    }
    pub(crate) fn associate(&self, _socket: &Socket, _key: usize) -> Result<()> {
        match self.never {}
    }
    pub(crate) fn post(&self, _bytes: u32, _key: usize, _token: usize) -> Result<()> {
        match self.never {}
    }
    pub(crate) fn get(&self, _timeout: Option<Duration>) -> Result<Packet> {
        match self.never {}
    }
    pub(crate) fn get_many(
        &self,
        _packets: &mut Vec<Packet>,
        _max: usize,
        _timeout: Option<Duration>,
        _alertable: Alertable,
    ) -> Result<usize> {
        match self.never {}
    }
    pub(crate) fn close(&self) -> Result<()> {
        match self.never {}
    }
}

pub(crate) fn blocking<R>(work: impl FnOnce() -> R) -> R {
    work()
}

pub(crate) struct Association;

impl Association {
    pub(super) fn take_back_if_abandoned(&self, _done: impl Fn() -> bool) {}
}
