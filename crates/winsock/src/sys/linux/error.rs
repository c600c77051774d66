//! The one table from Linux to Winsock (ER-01). No errno leaves this column.

use crate::error::{
    WSA_OPERATION_ABORTED, WSAEACCES, WSAEADDRINUSE, WSAEADDRNOTAVAIL, WSAEAFNOSUPPORT, WSAEALREADY,
    WSAECONNABORTED, WSAECONNREFUSED, WSAECONNRESET, WSAEDESTADDRREQ, WSAEFAULT, WSAEHOSTDOWN,
    WSAEHOSTUNREACH, WSAEINTR, WSAEINVAL, WSAEISCONN, WSAEMFILE, WSAEMSGSIZE, WSAENETDOWN, WSAENETRESET,
    WSAENETUNREACH, WSAENOBUFS, WSAENOPROTOOPT, WSAENOTCONN, WSAENOTSOCK, WSAEOPNOTSUPP, WSAEPFNOSUPPORT,
    WSAEPROTONOSUPPORT, WSAEPROTOTYPE, WSAESHUTDOWN, WSAESOCKTNOSUPPORT, WSAETIMEDOUT, WSAEWOULDBLOCK,
};
use rustix::io::Errno;

/// A result whose error is a Winsock code; the public row adds the name of the call.
pub(crate) type Result<T> = std::result::Result<T, i32>;

/// The Winsock code that means the same. A code without a line here cannot come from a socket call with valid
/// arguments; it is told as WSAEINVAL.
pub(crate) fn wsa(errno: Errno) -> i32 {
    match errno {
        Errno::INTR => WSAEINTR,
        Errno::BADF | Errno::NOTSOCK => WSAENOTSOCK,
        Errno::ACCESS | Errno::PERM => WSAEACCES,
        Errno::FAULT => WSAEFAULT,
        Errno::MFILE | Errno::NFILE => WSAEMFILE,
        Errno::AGAIN | Errno::INPROGRESS => WSAEWOULDBLOCK,
        Errno::ALREADY => WSAEALREADY,
        Errno::DESTADDRREQ => WSAEDESTADDRREQ,
        Errno::MSGSIZE => WSAEMSGSIZE,
        Errno::PROTOTYPE => WSAEPROTOTYPE,
        Errno::NOPROTOOPT => WSAENOPROTOOPT,
        Errno::PROTONOSUPPORT => WSAEPROTONOSUPPORT,
        Errno::SOCKTNOSUPPORT => WSAESOCKTNOSUPPORT,
        Errno::OPNOTSUPP => WSAEOPNOTSUPP,
        Errno::PFNOSUPPORT => WSAEPFNOSUPPORT,
        Errno::AFNOSUPPORT => WSAEAFNOSUPPORT,
        Errno::ADDRINUSE => WSAEADDRINUSE,
        Errno::ADDRNOTAVAIL => WSAEADDRNOTAVAIL,
        Errno::NETDOWN => WSAENETDOWN,
        Errno::NETUNREACH => WSAENETUNREACH,
        Errno::NETRESET => WSAENETRESET,
        Errno::CONNABORTED => WSAECONNABORTED,
        // A pipe breaks when the peer reset the connection; that it was shut here is known before the system is asked.
        Errno::CONNRESET | Errno::PIPE => WSAECONNRESET,
        Errno::NOBUFS | Errno::NOMEM => WSAENOBUFS,
        Errno::ISCONN => WSAEISCONN,
        Errno::NOTCONN => WSAENOTCONN,
        Errno::SHUTDOWN => WSAESHUTDOWN,
        Errno::TIMEDOUT => WSAETIMEDOUT,
        Errno::CONNREFUSED => WSAECONNREFUSED,
        Errno::HOSTDOWN => WSAEHOSTDOWN,
        Errno::HOSTUNREACH => WSAEHOSTUNREACH,
        Errno::CANCELED => WSA_OPERATION_ABORTED,
        _ => WSAEINVAL,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_errno_of_linux_shows() {
        for raw in 1..134 {
            let code = wsa(Errno::from_raw_os_error(raw));
            assert!(code == WSA_OPERATION_ABORTED || (10004..10112).contains(&code), "{raw} became {code}");
        }
    }
}
