//! The options of a socket, one call each.

use super::super::error::{Result, check};
use super::super::socket::Socket;
use std::time::Duration;
use windows_sys::Win32::Networking::WinSock as ws;

impl Socket {
    pub(crate) fn set_nonblocking(&self, on: bool) -> Result<()> {
        let mut on = u32::from(on);
        // SAFETY: the number lives across the call.
        self.with(|raw| check(unsafe { ws::ioctlsocket(raw, ws::FIONBIO, &mut on) }))
    }

    pub(crate) fn bytes_available(&self) -> Result<usize> {
        let mut bytes = 0;
        // SAFETY: the number lives across the call.
        self.with(|raw| check(unsafe { ws::ioctlsocket(raw, ws::FIONREAD, &mut bytes) }))?;
        Ok(bytes as usize)
    }

    pub(crate) fn socket_error(&self) -> Result<i32> {
        self.get(ws::SOL_SOCKET, ws::SO_ERROR, 0)
    }

    pub(crate) fn set_nodelay(&self, on: bool) -> Result<()> {
        self.set_switch(ws::IPPROTO_TCP, ws::TCP_NODELAY, on)
    }

    pub(crate) fn nodelay(&self) -> Result<bool> {
        self.switch(ws::IPPROTO_TCP, ws::TCP_NODELAY)
    }

    pub(crate) fn set_keepalive(&self, on: bool) -> Result<()> {
        self.set_switch(ws::SOL_SOCKET, ws::SO_KEEPALIVE, on)
    }

    pub(crate) fn keepalive(&self) -> Result<bool> {
        self.switch(ws::SOL_SOCKET, ws::SO_KEEPALIVE)
    }

    pub(crate) fn set_linger(&self, linger: Option<Duration>) -> Result<()> {
        let seconds = linger.map_or(0, |time| {
            // Rounded up: half a second must not become the zero that makes close a reset.
            let seconds = time.as_secs().saturating_add(u64::from(time.subsec_nanos() > 0));
            u16::try_from(seconds).unwrap_or(u16::MAX)
        });
        let value = ws::LINGER { l_onoff: u16::from(linger.is_some()), l_linger: seconds };
        self.set(ws::SOL_SOCKET, ws::SO_LINGER, &value)
    }

    pub(crate) fn linger(&self) -> Result<Option<Duration>> {
        let value = self.get(ws::SOL_SOCKET, ws::SO_LINGER, ws::LINGER { l_onoff: 0, l_linger: 0 })?;
        Ok((value.l_onoff != 0).then(|| Duration::from_secs(value.l_linger.into())))
    }

    pub(crate) fn set_oob_inline(&self, on: bool) -> Result<()> {
        self.set_switch(ws::SOL_SOCKET, ws::SO_OOBINLINE, on)
    }

    pub(crate) fn oob_inline(&self) -> Result<bool> {
        self.switch(ws::SOL_SOCKET, ws::SO_OOBINLINE)
    }

    pub(crate) fn set_recv_timeout(&self, timeout: Option<Duration>) -> Result<()> {
        self.set(ws::SOL_SOCKET, ws::SO_RCVTIMEO, &milliseconds(timeout))
    }

    pub(crate) fn recv_timeout(&self) -> Result<Option<Duration>> {
        self.timeout(ws::SO_RCVTIMEO)
    }

    pub(crate) fn set_send_timeout(&self, timeout: Option<Duration>) -> Result<()> {
        self.set(ws::SOL_SOCKET, ws::SO_SNDTIMEO, &milliseconds(timeout))
    }

    pub(crate) fn send_timeout(&self) -> Result<Option<Duration>> {
        self.timeout(ws::SO_SNDTIMEO)
    }

    pub(crate) fn set_recv_buffer(&self, bytes: usize) -> Result<()> {
        self.set(ws::SOL_SOCKET, ws::SO_RCVBUF, &i32::try_from(bytes).unwrap_or(i32::MAX))
    }

    pub(crate) fn set_send_buffer(&self, bytes: usize) -> Result<()> {
        self.set(ws::SOL_SOCKET, ws::SO_SNDBUF, &i32::try_from(bytes).unwrap_or(i32::MAX))
    }

    pub(crate) fn set_exclusive_address(&self) -> Result<()> {
        self.set_switch(ws::SOL_SOCKET, ws::SO_EXCLUSIVEADDRUSE, true)
    }

    pub(crate) fn set_switch(&self, level: i32, option: i32, on: bool) -> Result<()> {
        self.set(level, option, &u32::from(on))
    }

    fn switch(&self, level: i32, option: i32) -> Result<bool> {
        // Some switches answer one byte, some four; the rest stays the zero it was.
        Ok(self.get(level, option, 0u32)? != 0)
    }

    fn timeout(&self, option: i32) -> Result<Option<Duration>> {
        let milliseconds = self.get(ws::SOL_SOCKET, option, 0u32)?;
        Ok((milliseconds != 0).then(|| Duration::from_millis(milliseconds.into())))
    }

    /// Only for types without padding: numbers and the linger structure.
    fn set<T>(&self, level: i32, option: i32, value: &T) -> Result<()> {
        let len = size_of::<T>() as i32;
        // SAFETY: the value can be read for as long as the call lasts, in its own length.
        self.with(|raw| check(unsafe { ws::setsockopt(raw, level, option, (&raw const *value).cast(), len) }))
    }

    /// Only for types of which every bit pattern is a value: numbers and the linger structure.
    fn get<T>(&self, level: i32, option: i32, mut value: T) -> Result<T> {
        let mut len = size_of::<T>() as i32;
        self.with(|raw| {
            // SAFETY: the value can be written for as long as the call lasts, in its own length.
            check(unsafe { ws::getsockopt(raw, level, option, (&raw mut value).cast(), &mut len) })
        })?;
        Ok(value)
    }
}

/// Whole milliseconds, at least one, since zero stands for never.
fn milliseconds(timeout: Option<Duration>) -> u32 {
    timeout.map_or(0, |time| u32::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(u32::MAX).max(1))
}
