//! AcceptEx and its kin: functions that Winsock hands out at run time.

use super::super::error::{Result, check};
use crate::error::WSAEOPNOTSUPP;
use std::sync::OnceLock;
use windows_sys::Win32::Networking::WinSock as ws;
use windows_sys::core::GUID;

type AcceptEx = unwrapped::AcceptEx;
type ConnectEx = unwrapped::ConnectEx;
type Addresses = unwrapped::Addresses;

/// The functions, which are the same for every socket of Microsoft's own provider.
pub(crate) struct Extensions {
    pub(crate) accept_ex: AcceptEx,
    pub(crate) connect_ex: ConnectEx,
    pub(crate) accept_ex_addresses: Addresses,
}

impl Extensions {
    /// Asks for them once, through whichever socket needs them first.
    pub(crate) fn get(raw: ws::SOCKET) -> Result<&'static Extensions> {
        static EXTENSIONS: OnceLock<Extensions> = OnceLock::new();
        if let Some(extensions) = EXTENSIONS.get() {
            return Ok(extensions);
        }
        // SAFETY: each identifier names the function whose type stands beside it.
        let extensions = unsafe {
            Extensions {
                accept_ex: function::<ws::LPFN_ACCEPTEX>(raw, &ws::WSAID_ACCEPTEX)?.ok_or(WSAEOPNOTSUPP)?,
                connect_ex: function::<ws::LPFN_CONNECTEX>(raw, &ws::WSAID_CONNECTEX)?
                    .ok_or(WSAEOPNOTSUPP)?,
                accept_ex_addresses: function::<ws::LPFN_GETACCEPTEXSOCKADDRS>(
                    raw,
                    &ws::WSAID_GETACCEPTEXSOCKADDRS,
                )?
                .ok_or(WSAEOPNOTSUPP)?,
            }
        };
        Ok(EXTENSIONS.get_or_init(|| extensions))
    }
}

/// # Safety
/// `T` is the optional function pointer that `id` names.
unsafe fn function<T: Default>(raw: ws::SOCKET, id: &GUID) -> Result<T> {
    let mut function = T::default();
    let mut bytes = 0;
    // SAFETY: reads the identifier and writes one pointer, each in its own length; the call is not overlapped.
    check(unsafe {
        ws::WSAIoctl(
            raw,
            ws::SIO_GET_EXTENSION_FUNCTION_POINTER,
            std::ptr::from_ref(id).cast(),
            size_of::<GUID>() as u32,
            (&raw mut function).cast(),
            size_of::<T>() as u32,
            &mut bytes,
            std::ptr::null_mut(),
            None,
        )
    })?;
    Ok(function)
}

/// The function types without the `Option` around them.
mod unwrapped {
    use std::ffi::c_void;
    use windows_sys::Win32::Networking::WinSock::{SOCKADDR, SOCKET};
    use windows_sys::Win32::System::IO::OVERLAPPED;

    pub(super) type AcceptEx = unsafe extern "system" fn(
        SOCKET,
        SOCKET,
        *mut c_void,
        u32,
        u32,
        u32,
        *mut u32,
        *mut OVERLAPPED,
    ) -> i32;
    pub(super) type ConnectEx = unsafe extern "system" fn(
        SOCKET,
        *const SOCKADDR,
        i32,
        *const c_void,
        u32,
        *mut u32,
        *mut OVERLAPPED,
    ) -> i32;
    pub(super) type Addresses = unsafe extern "system" fn(
        *const c_void,
        u32,
        u32,
        u32,
        *mut *mut SOCKADDR,
        *mut i32,
        *mut *mut SOCKADDR,
        *mut i32,
    );
}
