//! Sockets. Clones are one handle; a closed one answers WSAENOTSOCK to everything; ids are never used twice.

use super::error::{REFUSED, Result};
use crate::socket::{Family, Flags, Kind, Shutdown};
use std::net::SocketAddr;
use std::time::Duration;

#[derive(Clone)]
pub(crate) struct Socket {
    never: std::convert::Infallible,
}

impl Socket {
    pub(crate) fn new(_family: Family, _kind: Kind) -> Result<Socket> {
        Err(REFUSED)
    }
    pub(crate) fn for_accept(_family: Family) -> Result<Socket> {
        Err(REFUSED)
    }
    pub(crate) fn id(&self) -> u64 {
        match self.never {}
    }
    pub(crate) fn bind(&self, _address: &SocketAddr) -> Result<()> {
        match self.never {}
    }
    pub(crate) fn listen(&self, _backlog: i32) -> Result<()> {
        match self.never {}
    }
    pub(crate) fn accept(&self) -> Result<(Socket, SocketAddr)> {
        match self.never {}
    }
    pub(crate) fn connect(&self, _address: &SocketAddr) -> Result<()> {
        match self.never {}
    }
    pub(crate) fn recv(&self, _buffer: &mut [u8], _flags: Flags) -> Result<usize> {
        match self.never {}
    }
    pub(crate) fn send(&self, _buffer: &[u8], _flags: Flags) -> Result<usize> {
        match self.never {}
    }
    pub(crate) fn recv_from(&self, _buffer: &mut [u8]) -> Result<(usize, SocketAddr)> {
        match self.never {}
    }
    pub(crate) fn send_to(&self, _buffer: &[u8], _to: &SocketAddr) -> Result<usize> {
        match self.never {}
    }
    pub(crate) fn shutdown(&self, _how: Shutdown) -> Result<()> {
        match self.never {}
    }
    pub(crate) fn close(&self) -> Result<()> {
        match self.never {}
    }
    pub(crate) fn duplicate(&self) -> Result<Socket> {
        match self.never {}
    }
    pub(crate) fn local_addr(&self) -> Result<SocketAddr> {
        match self.never {}
    }
    pub(crate) fn peer_addr(&self) -> Result<SocketAddr> {
        match self.never {}
    }
    pub(crate) fn set_nonblocking(&self, _on: bool) -> Result<()> {
        match self.never {}
    }
    pub(crate) fn bytes_available(&self) -> Result<usize> {
        match self.never {}
    }
    pub(crate) fn socket_error(&self) -> Result<i32> {
        match self.never {}
    }
    pub(crate) fn set_nodelay(&self, _on: bool) -> Result<()> {
        match self.never {}
    }
    pub(crate) fn nodelay(&self) -> Result<bool> {
        match self.never {}
    }
    pub(crate) fn set_keepalive(&self, _on: bool) -> Result<()> {
        match self.never {}
    }
    pub(crate) fn keepalive(&self) -> Result<bool> {
        match self.never {}
    }
    pub(crate) fn set_linger(&self, _linger: Option<Duration>) -> Result<()> {
        match self.never {}
    }
    pub(crate) fn linger(&self) -> Result<Option<Duration>> {
        match self.never {}
    }
    pub(crate) fn set_oob_inline(&self, _on: bool) -> Result<()> {
        match self.never {}
    }
    pub(crate) fn oob_inline(&self) -> Result<bool> {
        match self.never {}
    }
    pub(crate) fn set_recv_timeout(&self, _timeout: Option<Duration>) -> Result<()> {
        match self.never {}
    }
    pub(crate) fn recv_timeout(&self) -> Result<Option<Duration>> {
        match self.never {}
    }
    pub(crate) fn set_send_timeout(&self, _timeout: Option<Duration>) -> Result<()> {
        match self.never {}
    }
    pub(crate) fn send_timeout(&self) -> Result<Option<Duration>> {
        match self.never {}
    }
    pub(crate) fn set_recv_buffer(&self, _bytes: usize) -> Result<()> {
        match self.never {}
    }
    pub(crate) fn set_send_buffer(&self, _bytes: usize) -> Result<()> {
        match self.never {}
    }
    pub(crate) fn set_exclusive_address(&self) -> Result<()> {
        match self.never {}
    }
}
