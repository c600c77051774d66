//! Addresses, from Rust's shape to Winsock's and back.

use super::super::error::Result;
use crate::error::WSAEAFNOSUPPORT;
use std::net::{SocketAddr, SocketAddrV4, SocketAddrV6};
use windows_sys::Win32::Networking::WinSock::{
    AF_INET, AF_INET6, IN_ADDR, IN_ADDR_0, IN6_ADDR, IN6_ADDR_0, SOCKADDR, SOCKADDR_IN, SOCKADDR_IN6,
    SOCKADDR_IN6_0, SOCKADDR_INET,
};

/// Room for an address of either family, and how much of it is used.
#[derive(Clone, Copy)]
pub(crate) struct Address {
    room: SOCKADDR_INET,
    len: i32,
}

impl Address {
    /// Empty room, all of which a call may fill.
    pub(crate) fn empty() -> Address {
        Address { room: SOCKADDR_INET::default(), len: size_of::<SOCKADDR_INET>() as i32 }
    }

    pub(crate) fn new(address: &SocketAddr) -> Address {
        match address {
            SocketAddr::V4(v4) => Address {
                room: SOCKADDR_INET {
                    Ipv4: SOCKADDR_IN {
                        sin_family: AF_INET,
                        sin_port: v4.port().to_be(),
                        sin_addr: IN_ADDR {
                            S_un: IN_ADDR_0 { S_addr: u32::from_ne_bytes(v4.ip().octets()) },
                        },
                        sin_zero: [0; 8],
                    },
                },
                len: size_of::<SOCKADDR_IN>() as i32,
            },
            SocketAddr::V6(v6) => Address {
                room: SOCKADDR_INET {
                    Ipv6: SOCKADDR_IN6 {
                        sin6_family: AF_INET6,
                        sin6_port: v6.port().to_be(),
                        sin6_flowinfo: v6.flowinfo(),
                        sin6_addr: IN6_ADDR { u: IN6_ADDR_0 { Byte: v6.ip().octets() } },
                        Anonymous: SOCKADDR_IN6_0 { sin6_scope_id: v6.scope_id() },
                    },
                },
                len: size_of::<SOCKADDR_IN6>() as i32,
            },
        }
    }

    /// Where a call reads or writes the address.
    pub(crate) fn room(&mut self) -> *mut SOCKADDR {
        (&raw mut self.room).cast()
    }

    /// Where a call reads or writes its length.
    pub(crate) fn len(&mut self) -> &mut i32 {
        &mut self.len
    }

    /// The same two places, for a call that goes on after it has returned.
    ///
    /// # Safety
    /// The address is there.
    pub(crate) unsafe fn parts(address: *mut Address) -> (*mut SOCKADDR, *mut i32) {
        // SAFETY: no reference is made, only places are named.
        unsafe { ((&raw mut (*address).room).cast(), &raw mut (*address).len) }
    }

    pub(crate) fn get(&self) -> Result<SocketAddr> {
        // SAFETY: every byte of the union is initialised, the family says which variant was written, and all bit
        // patterns are addresses.
        unsafe {
            match self.room.si_family {
                AF_INET => {
                    let v4 = &self.room.Ipv4;
                    let ip = v4.sin_addr.S_un.S_addr.to_ne_bytes();
                    Ok(SocketAddrV4::new(ip.into(), u16::from_be(v4.sin_port)).into())
                }
                AF_INET6 => {
                    let v6 = &self.room.Ipv6;
                    let ip = v6.sin6_addr.u.Byte;
                    let (port, scope) = (u16::from_be(v6.sin6_port), v6.Anonymous.sin6_scope_id);
                    Ok(SocketAddrV6::new(ip.into(), port, v6.sin6_flowinfo, scope).into())
                }
                _ => Err(WSAEAFNOSUPPORT),
            }
        }
    }

    /// Copies an address that the system wrote elsewhere.
    ///
    /// # Safety
    /// `len` bytes can be read at `from`.
    pub(crate) unsafe fn copied(from: *const SOCKADDR, len: i32) -> Address {
        let mut address = Address::empty();
        let len = usize::try_from(len).unwrap_or(0).min(size_of::<SOCKADDR_INET>());
        // SAFETY: the caller vouches for the source; the room is ours and not shorter than `len`.
        unsafe { std::ptr::copy_nonoverlapping(from.cast::<u8>(), address.room().cast::<u8>(), len) };
        address
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_survives_the_way_there_and_back() {
        for text in ["127.0.0.1:80", "0.0.0.0:0", "[::1]:443", "[fe80::1%7]:65535"] {
            let address: SocketAddr = text.parse().expect("a literal address");
            assert_eq!(Address::new(&address).get(), Ok(address));
        }
    }

    #[test]
    fn no_address_is_an_error() {
        assert_eq!(Address::empty().get(), Err(WSAEAFNOSUPPORT));
    }
}
